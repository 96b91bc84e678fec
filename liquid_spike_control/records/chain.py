# SPDX-License-Identifier: Apache-2.0
"""The graph's perception and controller in this process, fed with what a bag holds: their state follows the nodes'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..events.codec import Decoder, encode_spikes
from ..events.windows import SensorClock, Windows
from ..joints import to_ns
from ..liquid.controller import LiquidController
from ..loop import observation_for
from ..neuromorphic.backend import Backend
from ..perception import Perception
from ..types import EPISODE_GAP_NS, Quantities


@dataclass(frozen=True, slots=True)
class Perceived:
    """What became of one packet of events.

    Attributes:
        spikes_in, spikes_out: in the bytes of the ``spikes`` encoding.
        estimate: named, with the packet's stamp.
    """

    spikes_in: bytes
    spikes_out: bytes
    estimate: Quantities


class PerceptionReplay:
    """Packets of events to estimates, as the perception and the offload node do it.

    Args:
        perception: its state is followed.
        backend: runs the network.
        sensor_clock, window_ns: how the stream is cut, see the perception node's parameters.
    """

    def __init__(self, perception: Perception, backend: Backend, sensor_clock: bool, window_ns: int) -> None:
        self._perception, self._backend = perception, backend
        self._decoder = Decoder()
        self._on_sensor_clock, self._clock = sensor_clock, SensorClock()
        self._windows = Windows(window_ns) if window_ns else None
        self._last_ns: int | None = None

    def perceive(self, packet: Any) -> Perceived | None:
        """Take the next packet that the perception took; None where no window is complete."""
        stamp = to_ns(packet.header.stamp)
        begins = _begins(self._last_ns, stamp)
        if begins:
            self._begin(stamp)
        self._last_ns = stamp
        base = 0 if self._on_sensor_clock and packet.encoding == "evt3" else packet.time_base
        events = self._decoder.decode(packet.events, packet.encoding, base, packet.width, packet.height)
        if self._windows is None:
            return self._step(events, stamp)
        latest = stamp
        if self._on_sensor_clock:
            steps = self._clock.steps
            events = self._clock.translate(events, stamp)
            latest = int(events["t"][-1]) if len(events) else stamp
            if self._clock.steps > steps and not begins:
                self._begin(stamp)
        window = self._windows.add(events, latest)
        return None if window is None else self._step(*window)

    def _begin(self, stamp: int) -> None:
        self._perception.reset(stamp)
        self._backend.reset()
        if self._windows is not None:
            self._windows.reset(stamp)
            self._decoder.reset()
            self._clock = SensorClock()

    def _step(self, events: np.ndarray, stamp: int) -> Perceived:
        spikes = self._perception.encode(events, stamp)
        output = self._backend.run(spikes)
        return Perceived(encode_spikes(spikes), encode_spikes(output), self._perception.decode(output, stamp))


class ControllerReplay:
    """Estimates and joint states to commands, as the controller node does it."""

    def __init__(self, controller: LiquidController) -> None:
        self._controller = controller
        self._last_ns: int | None = None

    def command(self, estimate: Quantities, candidates: list[Quantities], recorded: bytes) -> np.ndarray:
        """The command for an estimate.

        Args:
            estimate: of the perception.
            candidates: joint states that the controller may have taken, the likeliest first. Which of those within
                the tolerance had arrived is not in a bag; the one that gives the recorded command is taken.
            recorded: bytes of the recorded command.

        Returns:
            float64 ``(n_commands,)``, of the first candidate where none gives what was recorded.
        """
        controller, stamp = self._controller, estimate.stamp_ns
        elapsed = controller.nominal_period_s
        if _begins(self._last_ns, stamp):
            controller.reset()
        else:
            elapsed = (stamp - self._last_ns) * 1e-9  # type: ignore[operator]
        self._last_ns = stamp
        before, first = controller.state, None
        for joints in candidates:
            controller.state = before
            command = controller.step(observation_for(controller.observation_names, joints, estimate), elapsed)
            if command.tobytes() == recorded:
                return command
            first = first or (command, controller.state)
        assert first is not None, "no candidate"
        controller.state = first[1]
        return first[0]


def _begins(last_ns: int | None, stamp_ns: int) -> bool:
    """Whether a stamp begins an episode, as the nodes see it."""
    return last_ns is None or not 0 <= stamp_ns - last_ns <= EPISODE_GAP_NS
