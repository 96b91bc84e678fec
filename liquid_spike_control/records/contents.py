# SPDX-License-Identifier: Apache-2.0
"""What a bag holds of a run besides the events: joints, estimates, commands and spikes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import TaskError
from ..joints import JOINT_STATE, MULTI_ARRAY, from_joint_state, to_ns
from ..types import Quantities
from .bag import Bag
from .mcap_file import EVENT_PACKET
from .mcap_scan import Raw
from .setup import Setup, Topics

BOOL = "std_msgs/msg/Bool"


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
    n_events: int = 0


def digest(data: Any) -> bytes:
    """A short hash of bytes, to compare them later without keeping them."""
    return hashlib.blake2b(memoryview(data).cast("B"), digest_size=16).digest()


def read_contents(bag: Bag, topics: Topics, setup: Setup) -> Contents:
    """Read a bag through, except for its events.

    Raises:
        TaskError: a topic is of another type, or a message is damaged.
    """
    contents = Contents()
    kinds = dict.fromkeys((setup.events, topics.spikes_in, topics.spikes_out), EVENT_PACKET)
    kinds |= dict.fromkeys((topics.estimate, topics.command), JOINT_STATE) | {topics.e_stop: BOOL}
    kinds |= {setup.joints: setup.joint_readings.kind, setup.gated: setup.gated_readings.kind}
    numbers = {
        topics.estimate: (contents.estimates, lambda message: from_joint_state(message, setup.estimate_names)),
        topics.command: (contents.commands, lambda message: from_joint_state(message, setup.command_names)),
        setup.joints: (contents.joints, setup.joint_readings.read),
        setup.gated: (contents.gated, setup.gated_readings.read),
    }
    for raw in bag.messages():
        if raw.topic not in kinds:
            continue
        if raw.kind != kinds[raw.topic]:
            raise TaskError(f"{bag.path}: {raw.topic} is a {raw.kind}, not a {kinds[raw.topic]}; name another topic")
        if raw.topic == setup.events:
            contents.n_events += 1
        elif raw.topic in numbers:
            held, read = numbers[raw.topic]
            if (quantities := _read(bag, raw, read)) is not None:
                held.append(Published(raw.stamp_ns, quantities))
        else:
            _take(contents, topics, raw, bag.read(raw))
    if setup.gated_readings.kind == MULTI_ARRAY:
        _stamp(contents)
    return contents


def _read(bag: Bag, raw: Raw, read: Any) -> Quantities | None:
    try:
        return read(bag.read(raw))
    except AttributeError as error:
        raise TaskError(f"{bag.path}: {raw.topic}: {error}; the bag's parameters do not fit its messages") from None


def _take(contents: Contents, topics: Topics, raw: Raw, message: Any) -> None:
    if raw.topic == topics.e_stop:
        if message.data:
            contents.e_stops.append(raw.stamp_ns)
        return
    spikes = contents.spikes_in if raw.topic == topics.spikes_in else contents.spikes_out
    spikes[to_ns(message.header.stamp)] = digest(message.events)
    contents.network = message.header.frame_id


def _stamp(contents: Contents) -> None:
    """Give gated commands without a stamp that of the command that was published last before them."""
    commands = sorted(contents.commands, key=lambda command: command.at_ns)
    k, used = -1, -1
    for number, message in enumerate(contents.gated):
        while k + 1 < len(commands) and commands[k + 1].at_ns <= message.at_ns:
            k += 1
        if k > used:
            used = k
            stamped = replace(message.quantities, stamp_ns=commands[k].quantities.stamp_ns)
            contents.gated[number] = replace(message, quantities=stamped)


def event_packets(bag: Bag, topic: str) -> Iterator[Any]:
    """The packets of events, in the order of the bag."""
    for raw in bag.messages():
        if raw.topic == topic and raw.kind == EVENT_PACKET:
            yield bag.read(raw)
