# SPDX-License-Identifier: Apache-2.0
"""Setup of a recorded graph: from the parameters in its bag, or else from the robot's description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..control.gate import GateLimits, stages
from ..errors import TaskError
from ..events.camera_streams import CameraStream
from ..events.front_end import Sensor, from_json
from ..inputs import parse_json
from ..joints import JOINT_STATE, Readings, by_topic, setpoints_of
from ..robot import Robot, names
from ..types import Quantities
from .bag import Bag
from .mcap_file import GRAPH_TOPIC


@dataclass(frozen=True)
class Topics:
    """Topics of a run's messages; None: as in the bag, or in the robot's description."""

    events: str | None = None
    joints: str | None = None
    command: str = "/controller/command"
    rewards: str = "/controller/reward"
    gated: str | None = None
    spikes_in: str = "/neuromorphic/input"
    spikes_out: str = "/neuromorphic/output"
    estimate: str = "/perception/state"
    e_stop: str = "/e_stop"
    diagnostics: str = "/diagnostics"
    truth: str = "/ground_truth"
    pose: str = "/simulation/pose"


@dataclass
class Description:
    """Description of the graph that the recorder wrote.

    Attributes:
        nodes: path of each node, and its parameters.
        models: SHA-256 of the model files, by the name of the parameter.
    """

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)

    def parameter(self, node: str, name: str, default: Any = None) -> Any:
        """Return a parameter of the node of that name, in any namespace."""
        for path, values in self.nodes.items():
            if path.rpartition("/")[2] == node and values.get(name) is not None:
                return values[name]
        return default


def read_description(bag: Bag) -> Description:
    """Read the bag's description of its graph; empty if another program recorded it.

    Raises:
        TaskError: it is damaged.
    """
    description = Description()
    for raw in bag.messages():
        if raw.topic != GRAPH_TOPIC:
            continue
        try:
            content = parse_json(bag.read(raw).data)
            nodes, models = dict(content["nodes"]), dict(content["models"])
        except (ValueError, KeyError, TypeError, AttributeError):
            remedy = "record it with liquid-spike record"
            raise TaskError(f"{bag.path}: {GRAPH_TOPIC} does not contain nodes and models; {remedy}") from None
        description.nodes |= {str(path): values for path, values in nodes.items() if isinstance(values, dict)}
        description.models |= {str(name): str(sha) for name, sha in models.items()}
    return description


@dataclass(frozen=True)
class Setup:
    """A graph as its nodes had it.

    Attributes:
        events: topic of each camera.
        sizes: columns and rows of each.
        gated: topic.
        joints: topics of the readings, and how each is read.
        defaults: for each of them the setpoints that hold until one is given; None for readings.
        lockstep: whether the gate ran in lock-step.
        gated_readings: how the gated commands are read.
        estimate_names, command_names: of the perception and the controller.
        tolerance_ns: how far a joint state may be from the estimate [ns].
        streams, window_ns: how the perception takes the cameras' streams.
        sensors: the cameras with their front ends; empty where there is none.
        backend: what ran the network.
        limits: of the gate, before those of the controller.
    """

    events: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    joints: tuple[tuple[str, Readings], ...]
    defaults: tuple[Quantities | None, ...]
    gated: str
    lockstep: bool
    gated_readings: Readings
    estimate_names: tuple[str, ...]
    command_names: tuple[str, ...]
    tolerance_ns: int
    streams: tuple[CameraStream, ...]
    window_ns: int
    sensors: tuple[Sensor, ...]
    backend: str
    limits: GateLimits

    def limits_with(self, command_limits: np.ndarray) -> GateLimits:
        """The gate's limits, tightened by the controller's, as the gate node does it."""
        own = self.limits
        lower, upper = np.maximum(own.lower, -command_limits), np.minimum(own.upper, command_limits)
        return GateLimits(own.names, lower, upper, own.rate, own.max_age_ns, own.safe, own.then)


def setup_of(description: Description, topics: Topics, mode: str | None, robot: Robot) -> Setup:
    """Derive the setup of a recorded graph.

    Args:
        description: of the bag.
        topics: names that were given win.
        mode: "lockstep" or "realtime"; the bag's by default.
        robot: of the recorded graph, if the bag does not contain it.

    Raises:
        TaskError: a parameter is not what a node would have taken.
    """
    parameter = description.parameter
    gated = robot.gated_places()
    recorded = parameter("controller", "command_names") is not None
    estimates = parameter("controller", "estimate_names", () if recorded else names(robot.estimates))
    commands = tuple(parameter("gate", "command_names", names(robot.commands)))
    limits = robot.gate_limits()
    try:
        joints = _sources(description, topics, robot)
        setpoints = parameter("controller", "setpoint_names", ()), parameter("controller", "setpoint_defaults", ())
        events, sizes, clocks = _cameras(description, topics, robot)
        return Setup(
            events=events,
            sizes=sizes,
            joints=joints,
            defaults=tuple(setpoints_of(readings.names, *setpoints) for _, readings in joints),
            gated=topics.gated or _absolute(parameter("gate", "command_topic", gated[0].topic)),
            # the recorder knows at once what the gate answers when it is asked, which a short run may end before
            lockstep=(mode or parameter("gate", "mode", parameter("recorder", "mode", "realtime"))) == "lockstep",
            gated_readings=Readings(
                parameter("gate", "command_type", gated[0].type), commands,
                tuple(parameter("gate", "command_interfaces", [place.field for place in gated])),
            ),
            estimate_names=tuple(estimates),
            command_names=commands,
            tolerance_ns=round(parameter("controller", "tolerance_s", 0.0) * 1e9),
            streams=tuple(CameraStream(width, sensor) for (width, _), sensor in zip(sizes, clocks, strict=True)),
            window_ns=max(0, round(parameter("perception", "window_s", 0.0) * 1e9)),
            sensors=_sensors(description, robot, sizes),
            backend=parameter("neuromorphic", "backend", "loihi"),
            limits=GateLimits(
                commands,
                np.array(parameter("gate", "lower", limits.lower)),
                np.array(parameter("gate", "upper", limits.upper)),
                np.array(parameter("gate", "rate", limits.rate)),
                round(parameter("gate", "max_age_s", limits.max_age_ns * 1e-9) * 1e9),
                np.array(parameter("gate", "safe", limits.safe)),
                _stages(description, limits, len(commands)),
            ),
        )  # fmt: skip
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise TaskError(f"the bag's parameters cannot be read ({error}); record it with liquid-spike record") from None


def _stages(description: Description, limits: GateLimits, n: int) -> tuple[tuple[int, np.ndarray], ...]:
    """Stages of the safe command as the gate node had them, or else, in a bag without its parameters, the robot's."""
    if description.parameter("gate", "safe") is None:
        return limits.then
    parameter = description.parameter
    return stages(parameter("gate", "safe_after_s") or (), parameter("gate", "safe_then") or (), n)


def _cameras(
    description: Description, topics: Topics, robot: Robot
) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...], tuple[bool, ...]]:
    """Topic, size and clock of each camera, as the perception node had them, or else as the robot has them."""
    parameter, cameras = description.parameter, robot.cameras
    found = parameter("perception", "events_topics")
    if found is None:
        found = parameter("perception", "events_topic")
        found = [camera.events_topic for camera in cameras] if found is None else [found]
    if topics.events:
        found = topics.events.split(",")
    widths, heights = (
        parameter("perception", f"camera_{name}s", [parameter("perception", f"camera_{name}", 0)] * len(found))
        for name in ("width", "height")
    )
    sizes = [(int(w), int(h)) for w, h in zip(widths, heights, strict=True)]
    if not all(all(size) for size in sizes):
        if len(found) != len(cameras):
            raise ValueError(f"{len(found)} topics of events for {len(cameras)} cameras of robot {robot.name}")
        sizes = [(camera.width, camera.height) for camera in cameras]
    clock = parameter("perception", "event_clock", "stamp")
    clocks = parameter("perception", "event_clocks", [clock] * len(found))
    if len(clocks) != len(found):
        raise ValueError(f"{len(clocks)} event_clocks for {len(found)} events_topics")
    return tuple(map(_absolute, found)), tuple(sizes), tuple(clock == "sensor" for clock in clocks)


def _sensors(description: Description, robot: Robot, sizes: Sequence[tuple[int, int]]) -> tuple[Sensor, ...]:
    """As the perception node had them, or the robot's where the bag does not know that node."""
    if description.parameter("perception", "estimate_names") is None:
        return robot.sensors()
    return from_json(description.parameter("perception", "front_end", ""), sizes)


def _absolute(topic: str) -> str:
    """A topic's name in the root namespace, which a bag has it under."""
    return topic if topic.startswith("/") or not topic else f"/{topic}"


def _sources(description: Description, topics: Topics, robot: Robot) -> tuple[tuple[str, Readings], ...]:
    """The topics of the readings, as the controller node has them."""
    places, seen = robot.reading_places(), robot.seen
    joint_names = tuple(description.parameter("controller", "joint_names", names(seen)))
    fields = tuple(description.parameter("controller", "joint_interfaces", [place.field for place in places]))
    if not joint_names:
        return ()
    first = places[0] if places else None
    topic = topics.joints or description.parameter("controller", "joint_topic", first.topic if first else "")
    kind = description.parameter("controller", "joint_type", first.type if first else JOINT_STATE)
    each = description.parameter("controller", "joint_topics", [topic] * len(joint_names))
    kinds = description.parameter("controller", "joint_types", [kind] * len(joint_names))
    grouped = by_topic([_absolute(where) for where in each], kinds)
    if len(fields) != len(joint_names):
        raise ValueError(f"{len(fields)} joint_interfaces for {len(joint_names)} joint_names")
    return tuple(
        (where, Readings(of, tuple(joint_names[i] for i in mine), tuple(fields[i] for i in mine)))
        for (where, of), mine in grouped.items()
    )
