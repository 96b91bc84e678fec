# SPDX-License-Identifier: Apache-2.0
"""Contents of a bag besides the events: joints, estimates, commands and spikes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import TaskError
from ..joints import JOINT_STATE, Merger, from_joint_state, to_ns
from ..mcap import EVENT_PACKET, Raw
from ..statuses import read_status
from ..types import Quantities
from .bag import Bag
from .chain import SpikePacket
from .setup import Setup, Topics

BOOL = "std_msgs/msg/Bool"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"


@dataclass(frozen=True, slots=True)
class Published:
    """Named numbers, and when they were published [ns]."""

    at_ns: int
    quantities: Quantities


@dataclass
class Contents:
    """Everything of a run but the events, which are many.

    Attributes:
        joints: readings by source, see :attr:`.setup.Setup.joints`, each in the order of the bag.
        estimates, commands, gated: in the order of the bag.
        spikes_in, spikes_out: of the network, in the order of the bag.
        e_stops: times [ns] at which the e-stop was pressed.
        dropped: packets of events that the perception lost or dropped, by its diagnostics.
        learning: stamps [ns] from which on the controller learns, or does not, by its diagnostics.
        rewards: by which the controller learnt, float64 ``(n_commands,)``, by the stamp of the command [ns].
        statuses: what nodes reported of themselves, and when [ns], see :func:`..statuses.read_status`.
        network: hash of the network that the packets of spikes name, or empty.
        n_events: packets of events.
    """

    joints: list[list[Published]] = field(default_factory=list)
    estimates: list[Published] = field(default_factory=list)
    commands: list[Published] = field(default_factory=list)
    gated: list[Published] = field(default_factory=list)
    spikes_in: list[SpikePacket] = field(default_factory=list)
    spikes_out: list[SpikePacket] = field(default_factory=list)
    e_stops: list[int] = field(default_factory=list)
    dropped: int = 0
    learning: dict[int, bool] = field(default_factory=dict)
    rewards: dict[int, np.ndarray] = field(default_factory=dict)
    statuses: list[tuple[int, dict[str, dict[str, str]]]] = field(default_factory=list)
    network: str = ""
    n_events: int = 0


def read_contents(bag: Bag, topics: Topics, setup: Setup) -> Contents:
    """Read a bag through, except for its events.

    Raises:
        TaskError: a topic is of another type, or a message is damaged.
    """
    contents = Contents()
    kinds = dict.fromkeys((*setup.events, topics.spikes_in, topics.spikes_out), EVENT_PACKET)
    kinds |= dict.fromkeys((topics.estimate, topics.command, topics.rewards), JOINT_STATE) | {topics.e_stop: BOOL}
    kinds[topics.diagnostics] = DIAGNOSTICS
    kinds |= {topic: readings.kind for topic, readings in setup.joints}
    kinds |= {setup.gated: setup.gated_readings.kind}
    contents.joints = [[] for _ in setup.joints]
    rewards: list[Published] = []
    numbers = {
        topics.estimate: (contents.estimates, lambda message: from_joint_state(message, setup.estimate_names)),
        topics.command: (contents.commands, lambda message: from_joint_state(message, setup.command_names)),
        topics.rewards: (rewards, lambda message: from_joint_state(message, setup.command_names)),
        **{t: (held, r.read) for (t, r), held in zip(setup.joints, contents.joints, strict=True)},
        setup.gated: (contents.gated, setup.gated_readings.read),
    }
    mergers = {topic: Merger(default) for (topic, _), default in zip(setup.joints, setup.defaults, strict=True)}
    for raw in bag.messages():
        if raw.topic not in kinds:
            continue
        if raw.kind != kinds[raw.topic]:
            raise TaskError(f"{bag.path}: {raw.topic} is a {raw.kind}, not a {kinds[raw.topic]}; name another topic")
        if raw.topic in setup.events:
            contents.n_events += 1
        elif raw.topic in numbers:
            held, read = numbers[raw.topic]
            quantities = _read(bag, raw, read)
            if quantities is not None and raw.topic in mergers:
                quantities = mergers[raw.topic].add(quantities)
            if quantities is not None:
                held.append(Published(raw.stamp_ns, quantities))
        else:
            _take(contents, topics, raw, bag.read(raw))
    contents.rewards = {reward.quantities.stamp_ns: reward.quantities.values for reward in rewards}
    return contents


def _read(bag: Bag, raw: Raw, read: Any) -> Quantities | None:
    try:
        return read(bag.read(raw))
    except (AttributeError, TypeError, ValueError) as error:
        raise TaskError(f"{bag.path}: {raw.topic}: {error}; the bag's parameters do not fit its messages") from None


def _take(contents: Contents, topics: Topics, raw: Raw, message: Any) -> None:
    if raw.topic == topics.e_stop:
        if message.data:
            contents.e_stops.append(raw.stamp_ns)
        return
    if raw.topic == topics.diagnostics:
        contents.dropped = max([contents.dropped, *map(_dropped, message.status)])
        for status in message.status:
            contents.learning |= _learning(status)
        contents.statuses.append((raw.stamp_ns, read_status(message)))
        return
    spikes = contents.spikes_in if raw.topic == topics.spikes_in else contents.spikes_out
    data = message.events.tobytes()
    spikes.append(SpikePacket(to_ns(message.header.stamp), message.time_base, message.height, data))
    contents.network = message.header.frame_id


def _dropped(status: Any) -> int:
    """Packets that the perception has lost, dropped or taken a part of so far; 0 for the status of another."""
    if not status.name.startswith("perception:"):
        return 0
    values = {pair.key: pair.value for pair in status.values}
    # of another program's diagnostics, they need not be numbers
    counts = (values.get(name, "0") for name in ("lost", "too_old", "out_of_order", "packets_shed_from"))
    return sum(int(count) for count in counts if count.isdecimal() and len(count) < 20)


def _learning(status: Any) -> dict[int, bool]:
    """Return when learning was turned on and off, from the controller's status; empty for another node's."""
    if not status.name.startswith("controller:"):
        return {}
    recorded = next((pair.value for pair in status.values if pair.key == "learning_changes"), "")
    changes = (change.partition(":") for change in recorded.split())
    # of another program's diagnostics, they need not be stamps
    return {int(at): on == "on" for at, _, on in changes if at.isdecimal() and len(at) < 20 and on in ("on", "off")}


def event_packets(bag: Bag, topics: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """The packets of events in the order of the bag, each with the number of its topic."""
    for raw in bag.messages():
        if raw.topic in topics and raw.kind == EVENT_PACKET:
            yield topics.index(raw.topic), bag.read(raw)
