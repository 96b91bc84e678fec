# SPDX-License-Identifier: Apache-2.0
"""Events from a file of an event camera, or from the packets of a bag: both as pieces that ascend in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import TaskError
from ..events.codec import STEP_NS
from ..events.files import READS, EventFile, open_events
from ..events.stream import EventStream
from ..events.words import count_until, joined, to_words
from ..joints import to_ns
from ..mcap import EVENT_PACKET
from .bag import Bag
from .contents import event_packets

#: A longer time without events is an error of the clock; it would be filled with empty windows [ns].
LONGEST_GAP_NS = 600_000_000_000
BAGS = (".mcap", ".db3", "")


@dataclass
class EventSource:
    """Events and the size of their picture.

    Attributes:
        path: of the file or bag.
        width, height: of the picture [pixels].
        cut: why a bag ended before its end, or None; known when the events were read.
        dropped: number of events, packets and words that could not be decoded, by the reason; known after reading.
    """

    path: Path
    width: int
    height: int
    cut: str | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    _file: EventFile | None = None
    _topic: str = ""
    _sensor_clock: bool = False

    def pieces(self) -> Iterator[np.ndarray]:
        """EVENT arrays; times [ns] as they are, not checked.

        Raises:
            TaskError: the recording is damaged; what came before was given.
        """
        if self._file is not None:
            yield from self._file.pieces()
            self.dropped = self._file.dropped
            return
        bag, stream, last_ns = Bag(self.path), EventStream(self._sensor_clock, translate=False), None
        for _, packet in event_packets(bag, (self._topic,)):
            stamp_ns = to_ns(packet.header.stamp)
            if last_ns is not None and stamp_ns < last_ns - STEP_NS:
                stream.reset()  # the robot's clock ran back: another run
            last_ns = stamp_ns
            yield stream.read(packet, stamp_ns)
        self.cut = bag.cut
        self.dropped = {name: n for name, n in stream.decoder.dropped.items() if n}


def open_source(
    path: Path, topic: str, size: tuple[int, int] | None = None, sensor_clock: bool = False, track: str | None = None
) -> EventSource:
    """Open a recording of an event camera, or a bag with its packets.

    Args:
        path: of the file, or of a bag's folder.
        topic: of the packets, in a bag.
        size: width and height [pixels], for files that do not contain it.
        sensor_clock: a bag's evt3 packets are on the camera's own clock, with any time base.
        track: which camera of a file with several.

    Raises:
        TaskError: it is missing, of another format or damaged, or has no packets.
    """
    if path.suffix.lower() in READS or not (path.is_dir() or path.suffix in BAGS):
        file = open_events(path, size, track)
        return EventSource(path, file.width, file.height, _file=file)
    bag, seen = Bag(path), set()
    for raw in bag.messages():
        if raw.kind == EVENT_PACKET:
            seen.add(raw.topic)
        if raw.topic == topic and raw.kind == EVENT_PACKET:
            packet = bag.read(raw)
            return EventSource(path, packet.width, packet.height, _topic=topic, _sensor_clock=sensor_clock)
    others = f"name --topic {' or '.join(sorted(seen))}" if seen else "there are no event packets in this bag"
    raise TaskError(f"{path}: nothing on {topic}; {others}")


def windows(pieces: Iterator[np.ndarray], window_ns: int) -> Iterator[tuple[int, np.ndarray]]:
    """Cut events into windows of equal length, without a gap; the first event lies in the first microsecond.

    Args:
        pieces: EVENT arrays, ascending in time.
        window_ns: length of a window [ns], whole microseconds.

    Yields:
        End of the window [ns] and its events, of ``end - window < t <= end``; also where there are none.

    Raises:
        TaskError: the events do not ascend in time, or jump by more than :data:`LONGEST_GAP_NS`.
    """
    held: list[np.ndarray] = []
    end, last = None, None
    for piece in pieces:
        if not len(piece):
            continue
        t = piece["t"]
        if end is None or last is None:
            last = int(t[0])
            end = (last - 1) // 1000 * 1000 + window_ns
        steps = np.diff(t, prepend=last)
        if steps.min() < 0:
            raise TaskError(f"the events run back by {-int(steps.min())} ns; sort the recording, or record it again")
        if steps.max() > LONGEST_GAP_NS:
            raise TaskError(f"the events jump by {steps.max() * 1e-9:.0f} s; cut the recording there")
        last = int(t[-1])
        while last > end:
            at = count_until(to_words(piece), end)
            yield end, joined([*held, piece[:at]])
            held, piece = [], piece[at:]
            end += window_ns
        held.append(piece)
    if end is not None:
        yield end, joined(held)
