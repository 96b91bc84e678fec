# SPDX-License-Identifier: Apache-2.0
"""The packets of a robot's cameras as one stream for the perception: what its node, and a replay, take in. Pure.

A single camera gives a batch of events a packet, or, with windows, one when a window is complete. The events of several
cameras are put side by side: without windows those of packets with one stamp, as the simulator sends them; with windows
a window is complete when every camera has reached its end, in whatever order the packets of different cameras arrive. A
camera that falls silent therefore stops the stream, as a single one does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..types import EPISODE_GAP_NS, EVENT, begins_episode
from .codec import STEP_NS, PacketSequence
from .stream import EventStream
from .windows import Windows

#: Stamps of several cameras that wait for the packets of the others.
MOST_WAITING = 64
_NONE = np.empty(0, EVENT)


class Batch(NamedTuple):
    """Events that the perception takes at once.

    Attributes:
        events: EVENT, sorted by time; of several cameras side by side, each to the right of the one before.
        stamp_ns: end of their time [ns].
    """

    events: np.ndarray
    stamp_ns: int


@dataclass(frozen=True, slots=True)
class CameraStream:
    """A camera's topic.

    Attributes:
        width: columns [pixels].
        sensor_clock: its packets are on the sensor's clock, see :class:`~.stream.EventStream`.
    """

    width: int
    sensor_clock: bool = False


class CameraStreams:
    """Takes packets, gives batches.

    Args:
        cameras: at least one.
        window_ns: length of a window [ns]; 0: none.
        begin: called with the time [ns] at which an episode begins, before the batch that begins it.

    Attributes:
        sequences: of each camera, what became of its packets.
        streams: of each camera, with the counts of its decoder.
    """

    def __init__(
        self, cameras: Sequence[CameraStream], window_ns: int, begin: Callable[[int], None] = lambda stamp: None
    ) -> None:
        self._cameras, self._window_ns, self._on_begin = tuple(cameras), window_ns, begin
        self.sequences = [PacketSequence() for _ in cameras]
        self.streams = [EventStream(camera.sensor_clock) for camera in cameras]
        self._windows = [Windows(window_ns) for _ in cameras] if window_ns else []
        # Stamps of drivers jitter, and those of several cameras arrive in any order
        self._several = len(cameras) > 1
        self._jitter_ns = STEP_NS if self._several or cameras[0].sensor_clock else 0
        self._waiting: dict[int, dict[int, np.ndarray]] = {}
        self._latest_ns = [0] * len(cameras)
        self._until_ns = 0
        self.last_ns: int | None = None

    def begins(self, stamp_ns: int) -> bool:
        """Whether a packet of this stamp begins an episode."""
        return begins_episode(self.last_ns, stamp_ns, self._jitter_ns)

    def take(
        self, number: int, packet: Any, stamp_ns: int, lost: bool = False,
        thin: Callable[[np.ndarray], np.ndarray] = lambda events: events,
    ) -> list[Batch]:  # fmt: skip
        """Take the next packet of a camera; :attr:`sequences` has counted it before.

        Args:
            number: of the camera.
            packet: ``event_camera_msgs/EventPacket``.
            stamp_ns: its stamp [ns].
            lost: packets of this camera were lost before it.
            thin: leaves out events after decoding.
        """
        if self.begins(stamp_ns):
            self._begin(stamp_ns)
        self.last_ns = stamp_ns if self.last_ns is None or not self._several else max(stamp_ns, self.last_ns)
        stream = self.streams[number]
        steps = stream.clock.steps
        events = thin(stream.read(packet, stamp_ns, lost))
        if not self._windows:
            return self._of_stamp(number, events, stamp_ns)
        if stream.clock.steps > steps:
            self._restart(int(events["t"][0]) - 1 if len(events) else stamp_ns)
        if self._several:
            return self._of_windows(number, events, stream.latest_ns)
        window = self._windows[0].add(events, stream.latest_ns)
        return [] if window is None else [Batch(*window)]

    def _of_stamp(self, number: int, events: np.ndarray, stamp_ns: int) -> list[Batch]:
        """The batch of a stamp, when the packets of all cameras are there."""
        if not self._several:
            return [Batch(events, stamp_ns)]
        parts = self._waiting.setdefault(stamp_ns, {})
        parts[number] = events
        if len(parts) < len(self._cameras):
            if len(self._waiting) > MOST_WAITING:
                del self._waiting[min(self._waiting)]
            return []
        for older in [stamp for stamp in self._waiting if stamp <= stamp_ns]:
            del self._waiting[older]
        return [Batch(side_by_side([parts[k] for k in range(len(parts))], self._cameras), stamp_ns)]

    def _of_windows(self, number: int, events: np.ndarray, latest_ns: int) -> list[Batch]:
        """The windows that every camera has reached the end of, one by one."""
        self._windows[number].add(events, 0)  # keeps them
        self._latest_ns[number] = max(latest_ns, self._latest_ns[number])
        if max(self._latest_ns) - self._until_ns > EPISODE_GAP_NS:  # a camera is silent, and what waits for it is old
            self._restart(max(self._latest_ns))
            return []
        batches = []
        while self._until_ns + self._window_ns <= min(self._latest_ns):
            self._until_ns += self._window_ns
            parts = [windows.add(_NONE, self._until_ns) for windows in self._windows]
            batches.append(Batch(side_by_side([part[0] for part in parts if part], self._cameras), self._until_ns))
        return batches

    def _begin(self, stamp_ns: int) -> None:
        self._restart(stamp_ns)
        for stream in self.streams:
            stream.reset()  # or it would wait for a clock that ran back
        self._waiting.clear()
        self._latest_ns = [0] * len(self._cameras)
        self.last_ns = stamp_ns

    def _restart(self, stamp_ns: int) -> None:
        """Begin an episode within the cameras' streams."""
        self._until_ns = stamp_ns
        for windows in self._windows:
            windows.reset(stamp_ns)
        self._on_begin(stamp_ns)


def side_by_side(events: Sequence[np.ndarray], cameras: Sequence[Any]) -> np.ndarray:
    """The events of several cameras as those of one picture, each camera to the right of the one before.

    Args:
        events: an EVENT array of each camera, sorted by time.
        cameras: with the ``width`` of each [pixels].

    Returns:
        EVENT array, sorted by time; the very array of a single camera.
    """
    if len(events) == 1:
        return events[0]
    moved, offset = [], 0
    for own, camera in zip(events, cameras, strict=True):
        own = own.copy()
        own["x"] += offset
        moved.append(own)
        offset += camera.width
    joined = np.concatenate(moved)
    return joined[np.argsort(joined["t"], kind="stable")]
