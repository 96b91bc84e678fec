# SPDX-License-Identifier: Apache-2.0
"""Recordings of event cameras, whole in memory: bags of one file, and all that ``events/files.py`` reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import TaskError
from ...events.files import MAGIC, open_events
from ...events.stream import EventStream
from ...events.words import joined
from ...joints import to_ns
from ...mcap import EVENT_PACKET, McapScan, read_message
from ...types import EVENT

TOPIC = "/event_camera/events"
RECORDINGS = (".mcap", *MAGIC)
#: The most in a recording, which is held twice for a moment; 16 bytes each.
MAX_EVENTS = 1 << 24


def read_recording(path: Path) -> tuple[np.ndarray, tuple[int, int], int | None]:
    """Read the events of a file; the suffix selects the format.

    Returns:
        EVENT; width and height of the picture [pixels]; and when the recording begins [ns], if the file contains it.

    Raises:
        TaskError: it has no events, or more than :data:`MAX_EVENTS`, or faery is needed and not installed. A damaged
            file raises what its reader raises.
    """
    if path.suffix.lower() == ".mcap":
        return _mcap(path)
    file = open_events(path)
    return _held(path, file.pieces()), (file.width, file.height), None


def _mcap(path: Path) -> tuple[np.ndarray, tuple[int, int], int | None]:
    """Events, width and height of the picture, and when the first packet begins [ns]."""
    stream, scan = EventStream(sensor_clock=False, translate=False), McapScan(path)
    first: list[Any] = []

    def pieces() -> Iterator[np.ndarray]:
        for raw in scan.messages():
            if raw.topic != TOPIC:
                continue
            if raw.kind != EVENT_PACKET:
                raise TaskError(f"{path}: {TOPIC} is a {raw.kind}, not {EVENT_PACKET}")
            message = read_message(scan.types, raw, path)
            if not first:
                first.append(message)
            yield stream.read(message, to_ns(message.header.stamp))

    events = _held(path, pieces())
    if scan.cut:
        raise TaskError(f"{path}: not a whole .mcap file ({scan.cut}); events convert writes what is whole")
    if not first:
        raise TaskError(f"{path}: nothing on {TOPIC}; record a run of liquid-spike run --record")
    # 0: the clock of the sensor, which began before
    return events, (first[0].width, first[0].height), first[0].time_base or None


def _held(path: Path, pieces: Iterable[np.ndarray]) -> np.ndarray:
    parts, n = [np.empty(0, EVENT)], 0
    for piece in pieces:
        parts.append(piece)
        n += len(piece)
        if n > MAX_EVENTS:
            raise TaskError(f"{path}: more than {MAX_EVENTS:,} events; cut the recording into parts")
    return joined(parts)
