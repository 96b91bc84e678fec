# SPDX-License-Identifier: Apache-2.0
"""Events as a bag of EventPackets, as a camera's driver would have published them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import TaskError
from ..events.codec import ENCODINGS, encode, split
from ..mcap import EVENT_PACKET
from .event_source import EventSource, windows
from .mcap_file import McapFile

#: Where a recording is put that begins at time 0: a stamp of 0 means in ROS that there is none [ns].
START_NS = 1_000_000_000
SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class PacketForm:
    """Format of event packets.

    Attributes:
        encoding: "evt3" or "mono".
        window_ns: length of a packet [ns], whole microseconds.
        driver: as the drivers of event cameras send them: on the sensor's clock, stamped with the time of the first
            event, and none without events. Otherwise as our simulator does: the stamp ends the window.

    Raises:
        TaskError: one of them cannot be.
    """

    encoding: str
    window_ns: int
    driver: bool = False

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise TaskError(f"--encoding {self.encoding}; give one of {', '.join(ENCODINGS)}")
        if not 1000 <= self.window_ns <= SECOND_NS or self.window_ns % 1000:
            raise TaskError(f"--window {self.window_ns * 1e-9:g}; give seconds, 1e-6 to 1, whole microseconds")
        if self.driver and self.encoding != "evt3":
            raise TaskError(f"--driver: drivers send evt3, not {self.encoding}; leave --encoding out")


class Packet(NamedTuple):
    """Messages that a camera publishes at the same time.

    Attributes:
        end_ns: when it is published.
        stamp_ns: of its header.
        base_ns: its time base.
        data: encoded events.
        n_events: how many.
    """

    end_ns: int
    stamp_ns: int
    base_ns: int
    data: bytes
    n_events: int


def packets(pieces: Iterator[np.ndarray], form: PacketForm, start_ns: int | None) -> Iterator[Packet]:
    """Events as packets of equal windows; of a window with too many for one packet, as several.

    Args:
        pieces: EVENT arrays, ascending in time.
        form: of the packets.
        start_ns: when the first window begins; the stamps are moved there. By default they are moved only if they
            begin before 1 s, to 1 s.

    Raises:
        TaskError: the events do not ascend.
    """
    shift = None
    for window_end_ns, events in windows(pieces, form.window_ns):
        if shift is None:
            began = window_end_ns - form.window_ns
            target = start_ns if start_ns is not None else began if began >= START_NS else START_NS
            shift = (target - began) // 1000 * 1000
        end_ns = window_end_ns + shift
        parts = split(events, form.encoding)
        if form.driver:
            for part in parts:
                yield Packet(end_ns, int(part["t"][0]) + shift, 0, encode(part, form.encoding, 0), len(part))
            continue
        base_ns = end_ns - form.window_ns
        for number, part in enumerate(parts or [events]):
            last = number >= len(parts) - 1
            moved = part.copy()
            moved["t"] += shift
            stamp_ns = end_ns if last else -(-int(moved["t"][-1]) // 1000) * 1000
            yield Packet(stamp_ns, stamp_ns, base_ns, encode(moved, form.encoding, base_ns), len(part))


def write_event_bag(
    path: Path, made: Iterator[Packet], source: EventSource, topic: str, form: PacketForm
) -> int:
    """Write packets into an .mcap file.

    Args:
        path: of the file.
        made: see :func:`packets`.
        source: where the events are from.
        topic: of the packets.
        form: of the packets.

    Returns:
        The number of packets.

    Raises:
        LiquidSpikeError: the file exists, or the recording is damaged: the file then has what came before.
    """
    file = McapFile(path)
    types = file.types.types
    n = 0
    try:
        for n, packet in enumerate(made, 1):
            time = types["builtin_interfaces/msg/Time"](
                sec=packet.stamp_ns // SECOND_NS, nanosec=packet.stamp_ns % SECOND_NS
            )
            message = types[EVENT_PACKET](
                header=types["std_msgs/msg/Header"](stamp=time, frame_id="event_camera"),
                height=source.height, width=source.width, seq=n - 1, time_base=packet.base_ns, encoding=form.encoding,
                is_bigendian=False, events=np.frombuffer(packet.data, np.uint8),
            )  # fmt: skip
            file.write_message(topic, packet.end_ns, message)
    finally:
        file.close()
    return n
