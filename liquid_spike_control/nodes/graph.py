# SPDX-License-Identifier: Apache-2.0
"""The one description of the ROS graph, from which the launch file and the supervisor start it.

Imports neither ROS nor MuJoCo nor numba, so that a launch file and ``--help`` stay quick.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ..errors import GraphError, TaskError
from ..events.front_end import to_json
from ..joints import MULTI_ARRAY
from ..outputs import check_new
from ..resources import PACKAGE, model_file
from ..robot import Qos, Robot, RosPlace, names, units
from .transport import profile_variables

#: Answer to who asks a controller to learn, or to keep what it has learnt, that does not.
STILL = "nothing in this controller learns while it runs; give one that does, or --rewards to one that learns by reward"

MODES = ("lockstep", "realtime")
BACKENDS = ("offload", "in_process")
#: What the offload node can run a network on.
SIMULATORS = ("loihi", "float", "lava", "nengo_loihi", "brian2_loihi")

# Names as they are without a namespace; nodes use them relative to their own, see relative().
CLOCK = "/clock"
EVENTS = "/event_camera/events"
JOINT_STATES = "/joint_states"
SPIKES_IN = "/neuromorphic/input"
SPIKES_OUT = "/neuromorphic/output"
ESTIMATE = "/perception/state"
COMMAND = "/controller/command"
GATED_COMMAND = "/robot_joint_command"
GROUND_TRUTH = "/ground_truth"
POSE = "/simulation/pose"
DIAGNOSTICS = "/diagnostics"
E_STOP = "/e_stop"
#: Of a controller that goes on learning by reward: rewards from -1 to 1, each at the position of a joint of its
#: command's name; and those that the controller took, with the stamp of the command before which it did.
REWARD, TAKEN_REWARD = "/reward", "/controller/reward"
#: Inputs of a user to the simulated world; no node of the graph publishes them.
PUSH, SETPOINT = "/simulation/push", "/simulation/setpoint"

#: Every topic of a graph and its type; those of events, readings and gated commands are the robot's own, these are
#: their default names.
TOPICS = {
    CLOCK: "rosgraph_msgs/msg/Clock",
    EVENTS: "event_camera_msgs/msg/EventPacket",
    JOINT_STATES: "sensor_msgs/msg/JointState",
    SPIKES_IN: "event_camera_msgs/msg/EventPacket",
    SPIKES_OUT: "event_camera_msgs/msg/EventPacket",
    ESTIMATE: "sensor_msgs/msg/JointState",
    COMMAND: "sensor_msgs/msg/JointState",
    GATED_COMMAND: "sensor_msgs/msg/JointState",
    GROUND_TRUTH: "sensor_msgs/msg/JointState",
    POSE: "sensor_msgs/msg/JointState",
    DIAGNOSTICS: "diagnostic_msgs/msg/DiagnosticArray",
    E_STOP: "std_msgs/msg/Bool",
}

#: Who must hear a topic's first message: in lock-step one that is lost halts the graph.
LISTENERS = {
    EVENTS: ("perception",),
    JOINT_STATES: ("controller",),
    SPIKES_IN: ("neuromorphic",),
    SPIKES_OUT: ("perception",),
    ESTIMATE: ("controller",),
    COMMAND: ("gate",),
    GATED_COMMAND: ("simulator",),
}

#: The recorder's second node, which hears the topics.
CAPTURE = "recorder_capture"

#: The node of a view, and the one that hears the topics for it; an operator's tool, and so with the operator's keys.
VIEW, VIEW_CAPTURE = "liquid_spike_view", "liquid_spike_view_capture"
#: Environment variable with the pid of the process that a node must not outlive; set by the supervisor.
PARENT = "LIQUID_SPIKE_SUPERVISOR"
#: Environment variable with the number of a pipe that a view closes when its page is opened; set by a run that waits.
OPENED = "LIQUID_SPIKE_PAGE_OPENED"
#: What every node's process is started with; the user's own settings win.
ENVIRONMENT = {
    "ROS_DOMAIN_ID": "0",
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    "RCUTILS_COLORIZED_OUTPUT": "0",
    "RCUTILS_CONSOLE_OUTPUT_FORMAT": "[{severity}] {message}",
    "PYTHONUNBUFFERED": "1",
    # one thread a process: five processes share the cores, and the kernels are small
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class GraphOptions:
    """Options of a robot's graph.

    Attributes:
        robot: its description, or its name, folder or yaml file.
        simulated: with the simulator; else on the robot's own topics, in real time.
        seed, duration_s: of the simulated episode; the duration is the task's own by default [s].
        settings: of the task.
        mode: lockstep or realtime.
        backend: offload or in_process: where the spiking network runs.
        simulator: backend of the offload node.
        perception_model, controller_model: other files than the description's.
        record: an .mcap file to write.
        priority: SCHED_RR priority of the nodes, 0 for ordinary scheduling.
        params: a yaml file of ROS parameters that replace those derived from the robot.
        namespace: that the nodes and their topics are in; a topic that the description gives with a slash in front is
            not.
        wait_s: how long activation waits for a real robot [s].
        expert: in one process, the task's expert drives on the true state and no model is needed.
        rewards: the controller goes on learning by reward: the task's, or on a real robot those of the topic.
        learnt: file for what the controller has learnt at the end.

    Raises:
        RobotError: there is no such robot, or it has no such model.
        TaskError: a number is out of range.
        GraphError: a file is missing, or an option unknown.
    """

    robot: Robot | str | Path = "pencil"
    simulated: bool = True
    seed: int = 0
    duration_s: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    mode: str = "lockstep"
    backend: str = "offload"
    simulator: str = "loihi"
    perception_model: Path | None = None
    controller_model: Path | None = None
    record: Path | None = None
    priority: int = 0
    params: Path | None = None
    namespace: str = ""
    wait_s: float = 60.0
    expert: bool = False
    rewards: bool = False
    learnt: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "namespace", check_namespace(self.namespace))
        check_wait(self.wait_s)
        if not isinstance(self.robot, Robot):
            from ..robots.catalogue import robot_named

            object.__setattr__(self, "robot", robot_named(self.robot))
        if self.duration_s is not None and not 0 < self.duration_s < 1e6:
            raise TaskError(f"--duration {self.duration_s}; give simulated seconds, more than 0")
        if not 0 <= self.seed < 2**31:
            raise TaskError(f"--seed {self.seed}; give a whole number from 0 to 2147483647")
        for name, value, known in (
            ("mode", self.mode, MODES),
            ("backend", self.backend, BACKENDS),
            ("simulator", self.simulator, SIMULATORS),
        ):
            if value not in known:
                raise GraphError(f"--{name} {value}; known: {', '.join(known)}")
        if self.simulator != "loihi" and self.backend != "offload":
            raise GraphError(f"--simulator {self.simulator} is for the offload node; leave --backend out")
        if not self.simulated and self.mode != "realtime":
            raise GraphError(f"--mode {self.mode}; a real robot runs in real time")
        if not 0 <= self.priority <= 98:
            raise GraphError(f"--priority {self.priority}; give 0 (ordinary) to 98")
        for option in ("perception", "controller"):
            path = self.model(option)
            if path is not None and not path.is_file():
                raise GraphError(f"{path}: no such file; give --{option}-model, or train one")
        if self.record is not None:
            check_new(Path(self.record), f"--record {self.record}")

    @property
    def sighted(self) -> bool:
        """Whether the robot has event cameras, and so a perception."""
        return bool(self.description.estimates)

    @property
    def description(self) -> Robot:
        """The robot."""
        assert isinstance(self.robot, Robot)
        return self.robot

    def model(self, which: str) -> Path | None:
        """Path of the perception or the controller; None where there is nothing to perceive, or an expert drives.

        Raises:
            RobotError: the description names none, or it is not there.
        """
        if self.expert or (which == "perception" and not self.sighted):
            return None
        chosen = getattr(self, f"{which}_model")
        return model_file(chosen) if chosen is not None else self.description.model(which)


#: Arguments of the process that brings the nodes up, for its keys where ROS_SECURITY_ENABLE is set; nodes have theirs.
ENCLAVE = ("--ros-args", "--enclave", "/liquid_spike_supervisor")


@dataclass(frozen=True)
class NodeSpec:
    """One node of the graph: its name, the module that is its program, the parameters it is started with, and its
    namespace.

    Attributes:
        own_clock: whether the graph's clock is in its namespace too, as that of a simulator is.
    """

    name: str
    parameters: dict[str, object]
    namespace: str = ""
    own_clock: bool = False

    @property
    def module(self) -> str:
        """Module for ``python -m``."""
        return f"{PACKAGE}.nodes.{self.name}"

    def arguments(self) -> list[str]:
        """Command line after ``python -m <module>``.

        Without ``--params-file``: in a namespace a block that is called ``gate`` would not be the gate's.
        """
        from .parameter_file import flatten

        arguments = ["--ros-args", "--enclave", f"/{self.name}"]
        if self.namespace:
            arguments += ["-r", f"__ns:=/{self.namespace}"]
            arguments += ["-r", f"{CLOCK}:={relative(CLOCK)}"] if self.own_clock else []
        for key, value in flatten(self.parameters).items():
            arguments += ["-p", f"{key}:={json.dumps(value)}"]
        return arguments


def topics(options: GraphOptions) -> dict[str, str]:
    """The topics that a graph with these options has, and their types."""
    robot = options.description
    found = {CLOCK: TOPICS[CLOCK]} if options.simulated else {}
    if options.sighted:
        found |= {absolute(camera.events_topic): TOPICS[EVENTS] for camera in robot.cameras}
    found |= {absolute(place.topic): place.type for place in robot.reading_places()}
    if options.sighted:
        offload = (SPIKES_IN, SPIKES_OUT) if options.backend == "offload" else ()
        found |= {topic: TOPICS[topic] for topic in (*offload, ESTIMATE)}
    found[COMMAND] = TOPICS[COMMAND]
    found |= {absolute(place.topic): place.type for place in (*command_places(options), *parts(options))}
    if options.rewards:
        found |= dict.fromkeys((REWARD, TAKEN_REWARD), TOPICS[JOINT_STATES])
    if options.simulated:
        found |= {topic: TOPICS[topic] for topic in (GROUND_TRUTH, POSE)}
    return found | {topic: TOPICS[topic] for topic in (DIAGNOSTICS, E_STOP)}


def relative(topic: str) -> str:
    """Return a topic of the graph as its nodes name it, relative to their namespace."""
    return topic.lstrip("/")


def check_namespace(namespace: str) -> str:
    """A namespace without slashes at its ends.

    Raises:
        GraphError: ROS has no such namespace.
    """
    name = namespace.strip("/")
    if name and not re.fullmatch(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", name, re.ASCII):
        raise GraphError(f"--namespace {namespace}; give letters, digits and _, not beginning with a digit: robot1")
    return name


def check_wait(wait_s: float) -> None:
    """Refuse a time that is negative or not finite.

    Raises:
        GraphError: it is negative or not finite.
    """
    if not 0 <= wait_s <= 1e6:
        raise GraphError(f"--wait {wait_s}; give seconds, 0 or more")


def absolute(topic: str) -> str:
    """A topic's name from the root namespace."""
    return topic if topic.startswith("/") else f"/{topic}"


def command_places(options: GraphOptions) -> tuple[RosPlace, ...]:
    """Where all gated commands are in one message. A Float64MultiArray has no stamp, which the simulator needs: there
    it is a JointState.
    """
    robot = options.description
    places = robot.gated_places()
    if options.simulated and places[0].type == MULTI_ARRAY:
        robot = msgspec.structs.replace(
            robot, commands=tuple(msgspec.structs.replace(c, ros=None) for c in robot.commands)
        )
        places = robot.command_places()
    return places


def parts(options: GraphOptions) -> tuple[RosPlace, ...]:
    """Where the robot takes each command, if on several topics; else none, as it takes them all at once."""
    places = options.description.command_places()
    return places if places != options.description.gated_places() else ()


def describe(options: GraphOptions) -> tuple[NodeSpec, ...]:
    """The nodes in the order in which they are activated: listeners before speakers.

    Raises:
        GraphError: the parameters' file cannot be read, or a real robot lacks what it needs.
    """
    robot = options.description
    mode: dict[str, object] = {"mode": options.mode, "priority": options.priority, "live_inputs": not options.simulated}
    controller: dict[str, object] = {"controller_model": str(_resolved(options.model("controller")))}
    commands: dict[str, object] = {
        "command_names": list(names(robot.commands)), "command_units": list(units(robot.commands))
    }  # fmt: skip
    estimates: dict[str, object] = {}
    perception: dict[str, object] = {}
    if options.sighted:
        perception = {"perception_model": str(_resolved(options.model("perception")))}
        estimates = {"estimate_names": list(names(robot.estimates)), "estimate_units": list(units(robot.estimates))}
    nodes = [
        NodeSpec("gate", mode | controller | commands | _gate(options)),
        NodeSpec("controller", mode | controller | commands | estimates | _controller(options)),
    ]
    if options.sighted:
        if options.backend == "offload":
            nodes.append(NodeSpec("neuromorphic", mode | perception | {"backend": options.simulator}))
        seeing = {"backend": options.backend} | _perception(options)
        nodes.append(NodeSpec("perception", mode | perception | estimates | seeing))
    if options.record is not None:
        recorder = {"output": str(Path(options.record).resolve())}
        if options.simulated:
            found = topics(options)
            recorder |= {"topics": list(found), "types": list(found.values())}  # type: ignore[dict-item]
        ordinary = {"priority": 0}  # writing a chunk takes milliseconds, which the others need more
        nodes.insert(0, NodeSpec("recorder", mode | perception | controller | recorder | ordinary))
    if options.simulated:
        nodes.append(NodeSpec("simulator", mode | _simulator(options)))
    if options.mode == "lockstep":
        peers = {"peers": [node.name for node in nodes]}
        nodes = [NodeSpec(node.name, node.parameters | peers) for node in nodes]
    if options.params is not None:
        nodes = _overridden(nodes, options.params, options.namespace)
    return tuple(NodeSpec(n.name, n.parameters, options.namespace, own_clock=options.simulated) for n in nodes)


def _resolved(path: Path | None) -> Path:
    assert path is not None
    return path.resolve()


def _gate(options: GraphOptions) -> dict[str, object]:
    robot, places = options.description, command_places(options)
    limits = {
        name: [getattr(command, field) for command in robot.commands]
        for name, field in (("lower", "least"), ("upper", "most"), ("rate", "rate"), ("safe", "safe"))
    }
    if stages := robot.safe_stages():
        limits |= {"safe_after_s": [t for t, _ in stages], "safe_then": [v for _, values in stages for v in values]}
    qos: dict[str, object] = {}
    robot_places = parts(options)
    for place in () if options.simulated else robot_places or places:
        qos |= _qos(options, place.topic, place.qos, "publisher")
    several = {f"robot_{field}s": [getattr(place, field) for place in robot_places] for field in ("topic", "type")}
    several["robot_interfaces"] = [place.field for place in robot_places]
    constants = [] if options.simulated else [place.told_constants() for place in robot_places or places]
    if any(constants):
        limits["command_constants"] = constants
    return limits | qos | (several if robot_places else {}) | {
        "max_age_s": robot.max_age_s, "watchdog_s": min(0.01, robot.max_age_s / 3), "use_sim_time": options.simulated,
        "command_topic": places[0].topic, "command_type": places[0].type,
        "command_interfaces": [place.field for place in places],
    }  # fmt: skip


def _controller(options: GraphOptions) -> dict[str, object]:
    robot, places = options.description, options.description.reading_places()
    seen = robot.seen
    tolerance_s = 0.0 if options.simulated else robot.tolerance_s
    if tolerance_s is None:
        raise GraphError(
            f"{robot.source}: tolerance_s: not set; give how far the stamps of readings and events of one moment may be"
            " apart, one and a half periods of the readings"
        )
    values: dict[str, object] = {"period_s": robot.period_s, "tolerance_s": tolerance_s}
    if options.rewards:
        values["rewards"] = True
    if options.learnt is not None:
        values["learnt_file"] = str(options.learnt.resolve())
    if not places:
        return values
    values |= {
        "joint_names": list(names(seen)), "joint_units": list(units(seen)),
        "joint_interfaces": [place.field for place in places],
        "joint_topic": places[0].topic, "joint_type": places[0].type,
    }  # fmt: skip
    if not options.simulated:
        for place in places:
            values |= _qos(options, place.topic, place.qos, "subscription")
        if robot.setpoints:
            values["setpoint_defaults"] = [setpoint.default for setpoint in robot.setpoints]
    if robot.setpoints:
        values["setpoint_names"] = list(names(robot.setpoints))
    if len({(place.topic, place.type) for place in places}) > 1:
        values |= {
            "joint_topics": [place.topic for place in places], "joint_types": [place.type for place in places]
        }  # fmt: skip
    return values


def _perception(options: GraphOptions) -> dict[str, object]:
    cameras = options.description.cameras
    values: dict[str, object]
    if len(cameras) == 1:
        (camera,) = cameras
        values = {
            "events_topic": camera.events_topic, "camera_width": camera.width, "camera_height": camera.height
        }  # fmt: skip
    else:
        values = {
            "events_topics": [camera.events_topic for camera in cameras],
            "camera_widths": [camera.width for camera in cameras],
            "camera_heights": [camera.height for camera in cameras],
        }
    if front_end := to_json([sensor.settings for sensor in options.description.sensors()]):
        values["front_end"] = front_end
    # the simulated world slows down instead, and events that are missing would be a fault of the camera's
    values["sheds"] = not options.simulated
    if options.simulated:
        return values
    clocks = [camera.clock for camera in cameras]
    if "sensor" in clocks or len(clocks) > 1:  # each at a pace of its own
        values["window_s"] = options.description.period_s
        values |= {"event_clock": clocks[0]} if len(clocks) == 1 else {"event_clocks": clocks}
    for camera in cameras:
        values |= _qos(options, camera.events_topic, camera.qos, "subscription")
    return values


def _qos(options: GraphOptions, topic: str, qos: Qos, end: str) -> dict[str, object]:
    """The parameters by which ROS sets the quality of service of a topic."""
    if not topic.startswith("/"):
        topic = "/" + "/".join(filter(None, (options.namespace, topic)))
    given = {field: getattr(qos, field) for field in ("reliability", "depth")}
    return {f"qos_overrides.{topic}.{end}.{field}": value for field, value in given.items() if value is not None}


def _simulator(options: GraphOptions) -> dict[str, object]:
    robot, places = options.description, command_places(options)
    values: dict[str, object] = {
        "robot": str(Path(robot.source).resolve()), "seed": options.seed,
        "settings": json.dumps(dict(options.settings)),
        # so that a plant without a gate has stopped before long
        "command_timeout_s": 2 * robot.max_age_s,
        "command_topic": places[0].topic, "command_interfaces": [place.field for place in places],
        "command_type": places[0].type,
    }  # fmt: skip
    if options.rewards:
        values["rewards"] = True
    return values | ({} if options.duration_s is None else {"duration_s": options.duration_s})


def _overridden(nodes: Sequence[NodeSpec], path: Path, namespace: str) -> list[NodeSpec]:
    """Return the nodes with their parameters replaced by those of a yaml file."""
    from .parameter_file import check_nodes, parameters_of

    check_nodes(path, [node.name for node in nodes])
    return [NodeSpec(node.name, node.parameters | parameters_of(path, node.name, namespace)) for node in nodes]


def environment() -> dict[str, str]:
    """The environment of every process of the graph."""
    return ENVIRONMENT | dict(os.environ) | profile_variables(os.environ)


def domain_id(environment: dict[str, str]) -> int:
    """The ROS domain.

    Raises:
        GraphError: ROS_DOMAIN_ID is not a number from 0 to 232.
    """
    text = environment["ROS_DOMAIN_ID"]
    if not text.isdecimal() or int(text) > 232:
        raise GraphError(f"ROS_DOMAIN_ID={text}; give a number from 0 to 232")
    return int(text)


def settings_of(text: str) -> dict[str, Any]:
    """Settings of a task out of ``name=value,name=value``.

    Raises:
        ValueError: it is not of this form.
    """
    settings = {}
    for pair in filter(None, text.split(",")):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(pair)
        try:
            settings[name.strip()] = json.loads(value)
        except ValueError:
            settings[name.strip()] = value.strip()
    return settings
