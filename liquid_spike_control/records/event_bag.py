# SPDX-License-Identifier: Apache-2.0
"""Events as a bag of EventPackets, as a camera's driver would have published them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import TaskError
from ..events.codec import ENCODINGS, encode, split
from .event_source import EventSource, windows
from .mcap_file import EVENT_PACKET, McapFile

#: Where a recording is put that begins at time 0: a stamp of 0 means in ROS that there is none [ns].
START_NS = 1_000_000_000
SECOND_NS = 1_000_000_000


class Packet(NamedTuple):
    """What a camera publishes at once.

    Attributes:
        stamp_ns: end of the time that it covers.
        base_ns: beginning of it.
        data: encoded events.
        n_events: how many.
    """

    stamp_ns: int
    base_ns: int
    data: bytes
    n_events: int


def packets(pieces: Iterator[np.ndarray], encoding: str, window_ns: int, start_ns: int | None) -> Iterator[Packet]:
    """Events as packets of equal windows; of a window with too many for one packet, as several.

    Args:
        pieces: EVENT arrays, ascending in time.
        encoding: "evt3" or "mono".
        window_ns: length of a window [ns], whole microseconds.
        start_ns: when the first window begins; the events are moved there. By default they are moved only if they
            begin before 1 s, to 1 s.

    Raises:
        TaskError: the events do not ascend, or the window is none.
    """
    if encoding not in ENCODINGS:
        raise TaskError(f"--encoding {encoding}; give one of {', '.join(ENCODINGS)}")
    if not 1000 <= window_ns <= SECOND_NS or window_ns % 1000:
        raise TaskError(f"--window {window_ns * 1e-9:g}; give seconds, 1e-6 to 1, whole microseconds")
    shift = None
    for end_ns, events in windows(pieces, window_ns):
        if shift is None:
            began = end_ns - window_ns
            target = start_ns if start_ns is not None else began if began >= START_NS else START_NS
            shift = (target - began) // 1000 * 1000
        base = end_ns - window_ns + shift
        moved = events.copy()
        moved["t"] += shift
        parts = split(moved, encoding) or [moved]
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            stamp = end_ns + shift if last else -(-int(part["t"][-1]) // 1000) * 1000
            yield Packet(stamp, base, encode(part, encoding, base), len(part))


def write_event_bag(
    path: Path,
    pieces: Iterator[np.ndarray],
    source: EventSource,
    topic: str,
    encoding: str,
    window_ns: int,
    start_ns: int | None,
) -> int:
    """Write events into an .mcap file; see :func:`packets`.

    Returns:
        The number of packets.

    Raises:
        LiquidSpikeError: the file exists, or the recording is damaged: the file then has what came before.
    """
    file = McapFile(path)
    types = file.types.types
    n = 0
    try:
        for n, packet in enumerate(packets(pieces, encoding, window_ns, start_ns), 1):
            time = types["builtin_interfaces/msg/Time"](
                sec=packet.stamp_ns // SECOND_NS, nanosec=packet.stamp_ns % SECOND_NS
            )
            message = types[EVENT_PACKET](
                header=types["std_msgs/msg/Header"](stamp=time, frame_id="event_camera"),
                height=source.height, width=source.width, seq=n - 1, time_base=packet.base_ns, encoding=encoding,
                is_bigendian=False, events=np.frombuffer(packet.data, np.uint8),
            )  # fmt: skip
            file.write_message(topic, packet.stamp_ns, message)
    finally:
        file.close()
    return n
