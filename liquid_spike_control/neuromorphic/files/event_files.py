# SPDX-License-Identifier: Apache-2.0
"""Recordings of event cameras: our own bags, and the formats that faery reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import TaskError
from ...events.files import MAGIC, open_events
from ...events.stream import EventStream
from ...joints import to_ns
from ...types import EVENT

EVENT_CAMERA = ("/event_camera/events", "event_camera_msgs/msg/EventPacket")
RECORDINGS = (".mcap", *MAGIC)


def read_recording(path: Path) -> tuple[np.ndarray, tuple[int, int], int | None]:
    """Read the events of a file; the suffix selects the format.

    Returns:
        EVENT; width and height of the picture [pixels]; and when the recording begins [ns], if the file contains it.

    Raises:
        TaskError: it has no events, or faery is not installed. A damaged file raises what its reader raises.
    """
    return _mcap(path) if path.suffix.lower() == ".mcap" else _faery(path)


def _mcap(path: Path) -> tuple[np.ndarray, tuple[int, int], int | None]:
    """Events, width and height of the picture, and when the first packet begins [ns]."""
    topic, kind = EVENT_CAMERA
    stream, parts, picture, start = EventStream(sensor_clock=False, translate=False), [], None, None
    for message in _messages(path, topic, kind):
        picture = (message.width, message.height)
        parts.append(stream.read(message, to_ns(message.header.stamp)))
        start = message.time_base if start is None else start
    if picture is None:
        raise TaskError(f"{path}: nothing on {topic}; record a run of liquid-spike run --record")
    return np.concatenate(parts), picture, start or None  # 0: the clock of the sensor, which began before


def _messages(path: Path, topic: str, kind: str) -> Iterator:
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        for connection, _, data in reader.messages([c for c in reader.connections if c.topic == topic]):
            if connection.msgtype != kind:
                raise TaskError(f"{path}: {topic} is a {connection.msgtype}, not {kind}")
            yield reader.deserialize(data, connection.msgtype)


def _faery(path: Path) -> tuple[np.ndarray, tuple[int, int], None]:
    file = open_events(path)
    pieces = list(file.pieces())
    return np.concatenate(pieces) if pieces else np.empty(0, EVENT), (file.width, file.height), None
