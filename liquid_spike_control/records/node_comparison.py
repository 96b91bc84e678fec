# SPDX-License-Identifier: Apache-2.0
"""Each stage of a replay beside what the bag has of it. See :mod:`.replay` for what each is given."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from ..types import Quantities, begins_episode
from .chain import ControllerReplay, EncoderReplay, NetworkReplay, ReadoutReplay, SpikePacket
from .comparison import Comparison
from .contents import Published

#: Joint states that are tried for a command, where the tolerance leaves a choice.
CANDIDATES = 4


def encode(
    packets: Iterable, stage: EncoderReplay, recorded: list[SpikePacket], account: Comparison, lockstep: bool
) -> list[SpikePacket]:
    """Packets of events to packets of spikes; compared where spikes were recorded."""
    by_stamp = {packet.stamp_ns: packet for packet in recorded}
    made = [packet for number, taken in packets for packet in stage.take(number, taken)]
    _compare_spikes(made, by_stamp, account, lockstep)
    return made


def run(
    packets: list[SpikePacket], stage: NetworkReplay, recorded: list[SpikePacket], account: Comparison, lockstep: bool
) -> list[SpikePacket]:
    """Packets of spikes through the network; one that was not answered never came, and its steps are silent."""
    by_stamp = {packet.stamp_ns: packet for packet in recorded}
    made = [stage.run(packet) for packet in packets if not by_stamp or lockstep or packet.stamp_ns in by_stamp]
    account.unanswered += len(packets) - len(made)
    _compare_spikes(made, by_stamp, account, lockstep)
    return made


def _compare_spikes(
    made: list[SpikePacket], by_stamp: dict[int, SpikePacket], account: Comparison, lockstep: bool
) -> None:
    if not by_stamp:
        return
    final = ends([packet.stamp_ns for packet in made])
    for packet in made:
        held = by_stamp.get(packet.stamp_ns)
        if held is not None:
            account.compare(packet.stamp_ns, held.data, packet.data, (_spikes(held), _spikes(packet)))
        elif lockstep and packet.stamp_ns not in final:
            account.differs(packet.stamp_ns, "", _spikes(packet))
        else:
            account.unanswered += 1
    for stamp in sorted(by_stamp.keys() - {packet.stamp_ns for packet in made}):
        account.differs(stamp, _spikes(by_stamp[stamp]), "")


def decode(
    packets: list[SpikePacket], stage: ReadoutReplay, recorded: list[Published], account: Comparison, lockstep: bool
) -> dict[int, Quantities]:
    """The network's spikes to estimates, by stamp."""
    by_stamp = {message.quantities.stamp_ns: message.quantities.values for message in recorded}
    estimates = {}
    final = ends([packet.stamp_ns for packet in packets])
    for packet in packets:
        stamp = packet.stamp_ns
        if by_stamp and stamp not in by_stamp and (not lockstep or stamp in final):
            account.unanswered += 1
            continue
        estimates[stamp] = estimate = stage.decode(packet)
        if stamp in by_stamp:
            texts = text(by_stamp[stamp]), text(estimate.values)
            account.compare(stamp, by_stamp[stamp].tobytes(), estimate.values.tobytes(), texts)
        elif by_stamp:
            account.differs(stamp, "", text(estimate.values))
        else:
            account.unanswered += 1
    for stamp in sorted(by_stamp.keys() - estimates.keys()):
        account.differs(stamp, text(by_stamp[stamp]), "")
    return estimates


def decide(
    estimates: dict[int, Quantities],
    joints: Nearby,
    stage: ControllerReplay,
    recorded: list[Published],
    account: Comparison,
    lockstep: bool,
) -> dict[int, np.ndarray]:
    """The command for each recorded one's stamp; the recorded one where the bag lacks what it was made of."""
    commands: dict[int, np.ndarray] = {}
    for message in recorded:
        stamp, values = message.quantities.stamp_ns, message.quantities.values
        estimate, near = estimates.get(stamp), joints.to(stamp, message.at_ns)
        if estimate is None or not near:
            account.unanswered += 1
            commands[stamp] = values
            continue
        commands[stamp] = made = stage.command(estimate, near, values.tobytes())
        account.compare(stamp, values.tobytes(), made.tobytes(), (text(values), text(made)))
    final = ends(estimates)
    for stamp in sorted(estimates.keys() - commands.keys()):
        if lockstep and min(commands) < stamp and stamp not in final:
            account.differs(stamp, "", "an estimate that was not answered")
        else:
            account.unanswered += 1
    return commands


def ends(stamps: Iterable[int]) -> set[int]:
    """The stamps that end an episode or the bag: there the graph may owe an answer, in lock-step too."""
    ordered = sorted(stamps)
    return {a for a, b in itertools.pairwise(ordered) if begins_episode(a, b)} | set(ordered[-1:])


class Nearby:
    """The joint states that the controller may have taken.

    Args:
        sources: readings of the bag, by source.
        tolerance_ns: how far one may be from the estimate [ns].
        defaults: for each source the setpoints that hold until others are given; None for readings.
    """

    def __init__(
        self, sources: Sequence[list[Published]], tolerance_ns: int, defaults: Sequence[Quantities | None]
    ) -> None:
        self._defaults = defaults
        self._sources = [sorted(source, key=lambda j: j.quantities.stamp_ns) for source in sources]
        self._stamps = [np.array([j.quantities.stamp_ns for j in source], np.int64) for source in self._sources]
        self._tolerance_ns = tolerance_ns

    def to(self, stamp_ns: int, before_ns: int) -> list[tuple[Quantities, ...]]:
        """Readings of every source within the tolerance of a stamp and published before a time [ns], the nearest first;
        none where a source has none.
        """
        found = [self._near(k, stamp_ns, before_ns) for k in range(len(self._sources))]
        return list(itertools.islice(itertools.product(*found), CANDIDATES))

    def _near(self, source: int, stamp_ns: int, before_ns: int) -> list[Quantities]:
        if (default := self._defaults[source]) is not None:
            given = [j.quantities for j in self._sources[source] if j.at_ns <= before_ns]
            return [default, *given][: -CANDIDATES - 1 : -1]
        begin = np.searchsorted(self._stamps[source], stamp_ns - self._tolerance_ns)
        end = np.searchsorted(self._stamps[source], stamp_ns + self._tolerance_ns, "right")
        exact = not self._tolerance_ns  # then there is no choice, independently of the clocks of two machines
        found = [j.quantities for j in self._sources[source][begin:end] if exact or j.at_ns <= before_ns]
        return sorted(found, key=lambda quantities: abs(quantities.stamp_ns - stamp_ns))[:CANDIDATES]


def text(values: np.ndarray) -> str:
    """Numbers to the last bit."""
    return ", ".join(repr(value) for value in values.tolist())


def _spikes(packet: SpikePacket) -> str:
    return f"{len(packet.data) // 8} spikes in {packet.n_steps} steps"
