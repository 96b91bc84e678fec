# SPDX-License-Identifier: Apache-2.0
"""What a bag holds of a run besides the events: joints, estimates, commands, spikes, and how the graph was set up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import TaskError
from ..joints import COMMAND_NAMES, JOINT_NAMES, from_joint_state, to_ns
from ..sim.tasks import ESTIMATE_NAMES
from ..types import Quantities
from .bag import Bag
from .mcap_file import EVENT_PACKET, GRAPH_TOPIC, STRING

JOINT_STATE = "sensor_msgs/msg/JointState"
BOOL = "std_msgs/msg/Bool"


@dataclass(frozen=True)
class Topics:
    """Where a run's messages are."""

    events: str = "/event_camera/events"
    joints: str = "/joint_states"
    spikes_in: str = "/neuromorphic/input"
    spikes_out: str = "/neuromorphic/output"
    estimate: str = "/perception/state"
    command: str = "/controller/command"
    gated: str = "/robot_joint_command"
    e_stop: str = "/e_stop"


@dataclass(frozen=True, slots=True)
class Published:
    """Named numbers, and when they were published [ns]."""

    at_ns: int
    quantities: Quantities


@dataclass
class Contents:
    """Everything of a run but the events, which are many.

    Attributes:
        joints, estimates, commands, gated: in the order of the bag.
        spikes_in, spikes_out: stamp of a packet [ns] to the :func:`digest` of its spikes.
        e_stops: times [ns] at which the e-stop was pressed.
        network: hash of the network that the packets of spikes name, or empty.
        nodes: parameters of each node, where the recorder could ask it.
        models: SHA-256 of the model files, likewise.
        n_events: packets of events.
    """

    joints: list[Published] = field(default_factory=list)
    estimates: list[Published] = field(default_factory=list)
    commands: list[Published] = field(default_factory=list)
    gated: list[Published] = field(default_factory=list)
    spikes_in: dict[int, bytes] = field(default_factory=dict)
    spikes_out: dict[int, bytes] = field(default_factory=dict)
    e_stops: list[int] = field(default_factory=list)
    network: str = ""
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    n_events: int = 0

    def parameter(self, node: str, name: str) -> Any:
        """A parameter of the node of that name, whatever its namespace; None where the bag does not tell."""
        for path, values in self.nodes.items():
            if path.rpartition("/")[2] == node and name in values:
                return values[name]
        return None


def digest(data: Any) -> bytes:
    """A short hash of bytes, to compare them later without keeping them."""
    return hashlib.blake2b(memoryview(data).cast("B"), digest_size=16).digest()


def read_contents(bag: Bag, topics: Topics) -> Contents:
    """Read a bag through, except for its events.

    Raises:
        TaskError: a topic is of another type, or a message is damaged.
    """
    contents = Contents()
    numbers = {
        topics.joints: (contents.joints, JOINT_NAMES),
        topics.estimate: (contents.estimates, ESTIMATE_NAMES),
        topics.command: (contents.commands, COMMAND_NAMES),
        topics.gated: (contents.gated, COMMAND_NAMES),
    }
    kinds = dict.fromkeys(numbers, JOINT_STATE) | {topics.e_stop: BOOL, GRAPH_TOPIC: STRING}
    kinds |= dict.fromkeys((topics.events, topics.spikes_in, topics.spikes_out), EVENT_PACKET)
    for raw in bag.messages():
        if raw.topic not in kinds:
            continue
        if raw.kind != kinds[raw.topic]:
            raise TaskError(f"{bag.path}: {raw.topic} is a {raw.kind}, not a {kinds[raw.topic]}; name another topic")
        if raw.topic == topics.events:
            contents.n_events += 1
            continue
        message = bag.read(raw)
        if raw.topic in numbers:
            held, names = numbers[raw.topic]
            held.append(Published(raw.stamp_ns, from_joint_state(message, names)))
        elif raw.topic == topics.e_stop:
            if message.data:
                contents.e_stops.append(raw.stamp_ns)
        elif raw.topic == GRAPH_TOPIC:
            _take_description(bag, contents, message.data)
        else:
            spikes = contents.spikes_in if raw.topic == topics.spikes_in else contents.spikes_out
            spikes[to_ns(message.header.stamp)] = digest(message.events)
            contents.network = message.header.frame_id
    return contents


def _take_description(bag: Bag, contents: Contents, text: str) -> None:
    try:
        told = json.loads(text)
        nodes, models = dict(told["nodes"]), dict(told["models"])
    except (ValueError, KeyError, TypeError):
        raise TaskError(f"{bag.path}: {GRAPH_TOPIC} is not what liquid-spike record writes; record it again") from None
    contents.nodes |= {str(path): values for path, values in nodes.items() if isinstance(values, dict)}
    contents.models |= {str(name): str(sha) for name, sha in models.items()}


def event_packets(bag: Bag, topics: Topics) -> Iterator[Any]:
    """The packets of events, in the order of the bag."""
    for raw in bag.messages():
        if raw.topic == topics.events:
            yield bag.read(raw)
