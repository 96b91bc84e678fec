# SPDX-License-Identifier: Apache-2.0
"""The graph's perception, offload node and controller in this process: their state follows the nodes'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import TaskError
from ..events.camera_streams import CameraStream, CameraStreams
from ..events.codec import decode_spikes, encode_spikes
from ..joints import to_ns
from ..loop import observation_for
from ..neuromorphic.backend import Backend
from ..perception import Perception
from ..types import EPISODE_GAP_NS, Quantities, SpikeTrain, begins_episode

if TYPE_CHECKING:
    from ..control.files import AnyController

#: Steps that a packet of spikes may hold, as the nodes have it.
MAX_STEPS = 10_000


class SpikePacket(NamedTuple):
    """Address-event spikes of some steps, in the bytes of the ``spikes`` encoding.

    Attributes:
        stamp_ns: of the events that they came of.
        start_ns: start of the first step.
        n_steps: how many steps.
        data: the spikes.
    """

    stamp_ns: int
    start_ns: int
    n_steps: int
    data: bytes

    @classmethod
    def of(cls, stamp_ns: int, start_ns: int, spikes: SpikeTrain) -> SpikePacket:
        """Of a spike train."""
        return cls(stamp_ns, start_ns, spikes.n_steps, encode_spikes(spikes))

    def train(self, n_neurons: int) -> SpikeTrain:
        """The spikes of a population.

        Raises:
            TaskError: they are malformed, or of too many steps; no node would have answered them.
        """
        spikes = decode_spikes(self.data, self.n_steps, n_neurons) if self.n_steps <= MAX_STEPS else None
        if spikes is None:
            raise TaskError(
                f"the bag's packet of spikes at {self.stamp_ns} ns is not of {n_neurons} neurons and at most"
                f" {MAX_STEPS} steps; give the model that was recorded"
            )
        return spikes


class EncoderReplay:
    """Packets of events to packets of spikes, as the perception node makes them.

    Args:
        perception: encodes.
        cameras, window_ns: how the streams are cut, see the perception node's parameters.

    Attributes:
        begins: stamps at which an episode began [ns].
    """

    def __init__(self, perception: Perception, cameras: Sequence[CameraStream], window_ns: int) -> None:
        self._perception = perception
        self._streams = CameraStreams(cameras, window_ns, self._begin)
        self._until_ns = 0
        self.begins: list[int] = []

    def take(self, number: int, packet: Any) -> list[SpikePacket]:
        """Take the next packet of a camera that the perception took; none where no batch is complete."""
        sequence = self._streams.sequences[number]
        lost = sequence.lost
        sequence.update(packet.seq)
        batches = self._streams.take(number, packet, to_ns(packet.header.stamp), lost=sequence.lost > lost)
        return [self._encode(*batch) for batch in batches]

    def _begin(self, stamp_ns: int) -> None:
        self.begins.append(stamp_ns)
        self._perception.reset(stamp_ns)
        self._until_ns = stamp_ns

    def _encode(self, events: np.ndarray, stamp: int) -> SpikePacket:
        spikes = self._perception.encode(events, stamp)
        made = SpikePacket.of(stamp, self._until_ns, spikes)
        self._until_ns += spikes.n_steps * self._perception.step_ns
        return made


class NetworkReplay:
    """Spikes in, spikes out, as the offload node computes them: missing steps are run without input.

    Args:
        backend: runs the network.
        step_ns: length of a step [ns].
        begins: of a network in the perception's process, which knows the episodes; None for the offload node.
    """

    def __init__(self, backend: Backend, step_ns: int, begins: Iterable[int] | None = None) -> None:
        self._backend, self._step_ns = backend, step_ns
        self._begins = None if begins is None else set(begins)
        self._until_ns: int | None = None

    def run(self, packet: SpikePacket) -> SpikePacket:
        """The answer to a packet.

        Raises:
            TaskError: it is malformed.
        """
        spikes = packet.train(self._backend.n_inputs)
        if self._begins is not None:
            if packet.start_ns in self._begins:
                self._backend.reset()
        else:
            gap = None if self._until_ns is None else packet.start_ns - self._until_ns
            if gap is None or not 0 <= gap <= EPISODE_GAP_NS:
                self._backend.reset()
            elif gap >= self._step_ns:
                self._backend.run(SpikeTrain(np.zeros(gap // self._step_ns + 1, np.int64), np.empty(0, np.int32)))
            self._until_ns = packet.start_ns + packet.n_steps * self._step_ns
        return SpikePacket.of(packet.stamp_ns, packet.start_ns, self._backend.run(spikes))


class ReadoutReplay:
    """The network's spikes to estimates, as the perception node makes them.

    Args:
        perception: decodes.
        n_neurons: of the network's output.
        begins: stamps at which an episode began [ns], ascending; the readout is reset there.
    """

    def __init__(self, perception: Perception, n_neurons: int, begins: list[int]) -> None:
        self._perception, self._n_neurons, self._begins = perception, n_neurons, list(begins)

    def decode(self, packet: SpikePacket) -> Quantities:
        """The estimate.

        Raises:
            TaskError: the packet is malformed.
        """
        spikes = packet.train(self._n_neurons)
        while self._begins and self._begins[0] <= packet.start_ns:
            self._perception.reset(self._begins.pop(0))
        return self._perception.decode(spikes, packet.stamp_ns)


class ControllerReplay:
    """Estimates and joint states to commands, as the controller node does it."""

    def __init__(
        self, controller: AnyController, learning: Mapping[int, bool] | None = None,
        rewards: Mapping[int, np.ndarray] | None = None,
    ) -> None:  # fmt: skip
        """Set it up.

        Args:
            controller: that decides.
            learning: stamps [ns] from which on it learns, or does not.
            rewards: by the stamp of the command [ns], see :class:`.contents.Contents`; of one that learns by them.
        """
        self._controller, self._rewards = controller, rewards or {}
        self._learning = sorted((learning or {}).items())
        self._last_ns: int | None = None

    def command(self, estimate: Quantities, candidates: list[tuple[Quantities, ...]], recorded: bytes) -> np.ndarray:
        """The command for an estimate.

        Args:
            estimate: of the perception.
            candidates: readings that the controller may have taken, the likeliest first. Which of those within
                the tolerance had arrived is not in a bag; the one that gives the recorded command is taken.
            recorded: bytes of the recorded command.

        Returns:
            float64 ``(n_commands,)``, of the first candidate where none gives what was recorded.
        """
        controller, stamp = self._controller, estimate.stamp_ns
        elapsed = controller.nominal_period_s
        if begins_episode(self._last_ns, stamp):
            controller.reset()
        else:
            elapsed = (stamp - self._last_ns) * 1e-9  # type: ignore[operator]
        self._last_ns = stamp
        while self._learning and self._learning[0][0] <= stamp:
            controller.learning = self._learning.pop(0)[1]  # type: ignore[union-attr]  # only of one that learns
        if (reward := self._rewards.get(stamp)) is not None:
            controller.judge(reward)  # type: ignore[union-attr]  # only of one that learns by them
        before, first = controller.state, None
        for readings in candidates:
            controller.state = before
            command = controller.step(observation_for(controller.observation_names, *readings, estimate), elapsed)
            if command.tobytes() == recorded:
                return command
            first = first or (command, controller.state)
        assert first is not None, "no candidate"
        controller.state = first[1]
        return first[0]
