# SPDX-License-Identifier: Apache-2.0
"""How a recorded graph was set up: from the parameters in its bag, or the pencil's where the bag does not tell."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..assembly import FORCE_RATE, MAX_AGE_NS
from ..control.gate import GateLimits
from ..errors import TaskError
from ..joints import COMMAND_NAMES, JOINT_FIELDS, JOINT_NAMES, JOINT_STATE, Readings
from ..robots.pencil.episodes import ESTIMATE_NAMES
from ..robots.pencil.task import FORCE_LIMIT
from .bag import Bag
from .mcap_file import GRAPH_TOPIC


@dataclass(frozen=True)
class Topics:
    """Where a run's messages are; what is None is as the bag tells, or the pencil's."""

    events: str | None = None
    joints: str | None = None
    command: str = "/controller/command"
    gated: str | None = None
    spikes_in: str = "/neuromorphic/input"
    spikes_out: str = "/neuromorphic/output"
    estimate: str = "/perception/state"
    e_stop: str = "/e_stop"
    diagnostics: str = "/diagnostics"


@dataclass
class Description:
    """What the recorder found out about the graph.

    Attributes:
        nodes: path of each node, and its parameters.
        models: SHA-256 of the model files, by the name of the parameter.
    """

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)

    def parameter(self, node: str, name: str, default: Any = None) -> Any:
        """A parameter of the node of that name, whatever its namespace."""
        for path, values in self.nodes.items():
            if path.rpartition("/")[2] == node and values.get(name) is not None:
                return values[name]
        return default


def read_description(bag: Bag) -> Description:
    """What a bag tells of its graph; empty where another program recorded it.

    Raises:
        TaskError: it is damaged.
    """
    description = Description()
    for raw in bag.messages():
        if raw.topic != GRAPH_TOPIC:
            continue
        try:
            told = json.loads(bag.read(raw).data)
            nodes, models = dict(told["nodes"]), dict(told["models"])
        except (ValueError, KeyError, TypeError, AttributeError):
            remedy = "record it with liquid-spike record"
            raise TaskError(f"{bag.path}: {GRAPH_TOPIC} does not tell nodes and models; {remedy}") from None
        description.nodes |= {str(path): values for path, values in nodes.items() if isinstance(values, dict)}
        description.models |= {str(name): str(sha) for name, sha in models.items()}
    return description


@dataclass(frozen=True)
class Setup:
    """A graph as its nodes had it.

    Attributes:
        events, joints, gated: topics.
        lockstep: whether the gate ran in lock-step.
        joint_readings, gated_readings: how the robot's messages are read.
        estimate_names, command_names: of the perception and the controller.
        tolerance_ns: how far a joint state may be from the estimate [ns].
        sensor_clock, window_ns: how the perception takes a camera's stream.
        backend: what ran the network.
        limits: of the gate, before those of the controller.
    """

    events: str
    joints: str
    gated: str
    lockstep: bool
    joint_readings: Readings
    gated_readings: Readings
    estimate_names: tuple[str, ...]
    command_names: tuple[str, ...]
    tolerance_ns: int
    sensor_clock: bool
    window_ns: int
    backend: str
    limits: GateLimits

    def limits_with(self, command_limits: np.ndarray) -> GateLimits:
        """The gate's limits, tightened by the controller's, as the gate node does it."""
        own = self.limits
        lower, upper = np.maximum(own.lower, -command_limits), np.minimum(own.upper, command_limits)
        return GateLimits(own.names, lower, upper, own.rate, own.max_age_ns, own.safe)


def setup_of(description: Description, topics: Topics, mode: str | None) -> Setup:
    """The setup that a description tells.

    Args:
        description: of the bag.
        topics: names that were given win.
        mode: "lockstep" or "realtime", likewise.

    Raises:
        TaskError: a parameter is not what a node would have taken.
    """
    told = description.parameter
    commands = tuple(told("gate", "command_names", COMMAND_NAMES))
    try:
        return Setup(
            events=topics.events or told("perception", "events_topic", "/event_camera/events"),
            joints=topics.joints or told("controller", "joint_topic", "/joint_states"),
            gated=topics.gated or told("gate", "command_topic", "/robot_joint_command"),
            # the recorder knows at once what the gate tells when it is asked, which a short run may end before
            lockstep=(mode or told("gate", "mode", told("recorder", "mode", "realtime"))) == "lockstep",
            joint_readings=_readings(description, "controller", "joint", JOINT_NAMES),
            gated_readings=_readings(description, "gate", "command", COMMAND_NAMES),
            estimate_names=tuple(told("controller", "estimate_names", ESTIMATE_NAMES)),
            command_names=commands,
            tolerance_ns=round(told("controller", "tolerance_s", 0.0) * 1e9),
            sensor_clock=told("perception", "event_clock", "stamp") == "sensor",
            window_ns=max(0, round(told("perception", "window_s", 0.0) * 1e9)),
            backend=told("neuromorphic", "backend", "loihi"),
            limits=GateLimits(
                commands,
                np.array(told("gate", "lower", [-FORCE_LIMIT])),
                np.array(told("gate", "upper", [FORCE_LIMIT])),
                np.array(told("gate", "rate", [FORCE_RATE])),
                round(told("gate", "max_age_s", MAX_AGE_NS * 1e-9) * 1e9),
                np.array(told("gate", "safe", [0.0])),
            ),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise TaskError(f"the bag's parameters cannot be read ({error}); record it with liquid-spike record") from None


def _readings(description: Description, node: str, what: str, names: tuple[str, ...]) -> Readings:
    """Of the parameters ``<what>_type``, ``<what>_names`` and ``<what>_interfaces``."""
    told = tuple(description.parameter(node, f"{what}_names", names))
    kind = description.parameter(node, f"{what}_type", JOINT_STATE)
    known = tuple("/".join(JOINT_FIELDS[name]) for name in told if name in JOINT_FIELDS)
    return Readings(kind, told, tuple(description.parameter(node, f"{what}_interfaces", known)))
