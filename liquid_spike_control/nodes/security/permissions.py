# SPDX-License-Identifier: Apache-2.0
"""Topics and services that each node of a graph may use: those that it needs, and no more.

Worked out from the description that the graph is started from, see :mod:`..graph`. Names are
absolute, or ``~/name`` for what is the node's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...errors import GraphError
from .. import graph
from ..graph import GraphOptions, NodeSpec

#: Every topic or service, in the patterns of DDS Security.
EVERYTHING = "/*"
PARAMETER_SERVICES = tuple(
    f"~/{name}"
    for name in (
        "describe_parameters", "get_parameter_types", "get_parameters", "list_parameters", "set_parameters",
        "set_parameters_atomically",
    )
)  # fmt: skip
LIFECYCLE_SERVICES = tuple(
    f"~/{name}"
    for name in (
        "change_state", "get_state", "get_available_states", "get_available_transitions", "get_transition_graph"
    )
)  # fmt: skip
SUPERVISOR, MONITOR, OPERATOR = "liquid_spike_supervisor", "liquid_spike_monitor", "operator"
#: Brings the nodes up where a launch file starts them; uses the supervisor's keys.
BRINGUP = "liquid_spike_bringup"


@dataclass(frozen=True)
class Permissions:
    """Names of the topics that a node publishes and subscribes to, and of the services that it serves and calls."""

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    call: tuple[str, ...] = ()


def permissions(options: GraphOptions) -> dict[str, dict[str, Permissions]]:
    """For each process (an enclave, such as ``/gate``) its nodes, and what each may do.

    Raises:
        GraphError: the robot's description does not hold together.
    """
    specs = graph.describe(options)
    names = [spec.name for spec in specs]
    enclaves = {}
    for spec in specs:
        parameters: dict[str, Any] = spec.parameters
        enclaves[f"/{spec.name}"] = {spec.name: _stage(spec, parameters, names)}
        if spec.name == "recorder":
            subscribed = tuple(parameters.get("topics") or (EVERYTHING,))
            enclaves["/recorder"][graph.CAPTURE] = _plain(subscribe=subscribed)
    attends = _supervisor(names)
    watchers = {SUPERVISOR: attends, BRINGUP: _logging(attends)}
    if options.simulated:
        mine = (*_sensed(options), graph.CLOCK, graph.SPIKES_IN, graph.COMMAND, graph.E_STOP, graph.REWARD,
                graph.TAKEN_REWARD)  # fmt: skip
        events = _seen(options)
        watched = (topic for topic in graph.topics(options) if topic in events or topic not in mine)
        watchers[MONITOR] = _plain(subscribe=tuple(watched))
        enclaves["/simulator"] = {"simulator": _simulator(options)}
    enclaves[f"/{SUPERVISOR}"] = watchers
    asked = ("/gate/reset_e_stop", "/controller/set_learning", "/controller/save_learnt")
    operator = _plain(publish=(graph.E_STOP,), call=asked)
    enclaves[f"/{OPERATOR}"] = {OPERATOR: operator} | _view(options)
    for nodes in enclaves.values():
        for node, allowed in nodes.items():
            for name in (*allowed.publish, *allowed.subscribe):
                if not isinstance(name, str) or not name:
                    raise GraphError(f"{options.params}: {node}: '{name}' is no topic; give one such as /joint_states")
    return enclaves


def _view(options: GraphOptions) -> dict[str, Permissions]:
    """The nodes of a view: what people see of the graph, and do to it."""
    shown = {graph.GROUND_TRUTH, graph.POSE, graph.ESTIMATE, graph.COMMAND, graph.DIAGNOSTICS, *_seen(options),
             graph.absolute(graph.command_places(options)[0].topic)}  # fmt: skip
    subscribed = tuple(topic for topic in graph.topics(options) if topic in shown)
    asked = ("get_parameters", "set_pause", "step_simulation") if options.simulated else ()
    orders = _plain(
        publish=(graph.E_STOP, graph.PUSH, graph.SETPOINT) if options.simulated else (graph.E_STOP,),
        call=("/gate/reset_e_stop", *(f"/simulator/{service}" for service in asked)),
    )
    return {graph.VIEW: orders, graph.VIEW_CAPTURE: _plain(subscribe=subscribed)}


def _sensed(options: GraphOptions) -> tuple[str, ...]:
    """Topics of the readings and of the events."""
    readings = dict.fromkeys(graph.absolute(place.topic) for place in options.description.reading_places())
    return (*readings, *_seen(options))


def _seen(options: GraphOptions) -> tuple[str, ...]:
    """Topics of the events."""
    if not options.sighted:
        return ()
    return tuple(graph.absolute(camera.events_topic) for camera in options.description.cameras)


def _simulator(options: GraphOptions) -> Permissions:
    command = graph.absolute(graph.command_places(options)[0].topic)
    diagnostics = (graph.DIAGNOSTICS,) if options.mode == "lockstep" else ()
    rewards = (graph.REWARD,) if options.rewards else ()
    return Permissions(
        ("/rosout", "/parameter_events", graph.DIAGNOSTICS, "~/transition_event", graph.CLOCK, *_sensed(options),
         graph.GROUND_TRUTH, graph.POSE, *rewards),
        (command, graph.PUSH, graph.SETPOINT, *diagnostics),
        (*PARAMETER_SERVICES, "~/get_type_description", *LIFECYCLE_SERVICES, "~/reset_world", "~/set_pause",
         "~/step_simulation"),
    )  # fmt: skip


def _stage(spec: NodeSpec, parameters: dict[str, Any], names: list[str]) -> Permissions:
    own = _own(spec.name, parameters, names)
    clock = (graph.CLOCK,) if parameters.get("use_sim_time") else ()
    return Permissions(
        publish=("/rosout", "/parameter_events", graph.DIAGNOSTICS, "~/transition_event", *own.publish),
        subscribe=tuple(dict.fromkeys((*clock, *own.subscribe))),
        serve=(*PARAMETER_SERVICES, "~/get_type_description", *LIFECYCLE_SERVICES, *own.serve),
        call=own.call,
    )


def _own(name: str, parameters: dict[str, Any], names: list[str]) -> Permissions:
    """Return the permissions of a node besides those of every stage."""
    offload = parameters.get("backend") != "in_process"
    if name == "gate":
        topics = (parameters.get("command_topic", graph.GATED_COMMAND), *(parameters.get("robot_topics") or ()))
        return Permissions(
            tuple(dict.fromkeys(map(_absolute, topics))), (graph.COMMAND, graph.E_STOP), ("~/reset_e_stop",)
        )
    if name == "controller":
        joints = parameters.get("joint_topics") or (parameters.get("joint_topic", graph.JOINT_STATES),)
        estimate = (graph.ESTIMATE,) if parameters.get("estimate_names") else ()
        reward, taken = ((graph.REWARD,), (graph.TAKEN_REWARD,)) if parameters.get("rewards") else ((), ())
        subscribed = (*dict.fromkeys(map(_absolute, joints)), *estimate, *reward)
        return Permissions((graph.COMMAND, *taken), subscribed, ("~/set_learning", "~/save_learnt"))
    if name == "perception":
        events = parameters.get("events_topics") or (parameters.get("events_topic", graph.EVENTS),)
        spikes_in, spikes_out = ((graph.SPIKES_IN,), (graph.SPIKES_OUT,)) if offload else ((), ())
        return Permissions((graph.ESTIMATE, *spikes_in), (*map(_absolute, events), *spikes_out))
    if name == "neuromorphic":
        return Permissions((graph.SPIKES_OUT,), (graph.SPIKES_IN,))
    if name == "simulator":
        return Permissions()  # see _simulator
    asked = tuple(f"/{n}/{service}" for n in names for service in ("list_parameters", "get_parameters") if n != name)
    return Permissions(call=asked if parameters.get("topics") else (EVERYTHING,))


def _absolute(topic: Any) -> Any:
    """A topic's name in the root namespace; what is no name is refused later, by its node."""
    return graph.absolute(topic) if isinstance(topic, str) and topic else topic


def _supervisor(names: list[str]) -> Permissions:
    return _plain(
        subscribe=(graph.DIAGNOSTICS, *(f"/{name}/transition_event" for name in names)),
        call=tuple(f"/{name}/{service}" for name in names for service in ("change_state", "get_state")),
    )


def _logging(allowed: Permissions) -> Permissions:
    """The same for a node with services for its parameters, and a log on a topic."""
    publish, serve = ("/rosout", *allowed.publish), (*PARAMETER_SERVICES, *allowed.serve)
    return replace(allowed, publish=publish, serve=serve)


def _plain(publish: tuple[str, ...] = (), subscribe: tuple[str, ...] = (), call: tuple[str, ...] = ()) -> Permissions:
    """A node without a lifecycle, services for its parameters, or a log of its own on a topic."""
    return Permissions(("/parameter_events", *publish), subscribe, ("~/get_type_description",), call)
