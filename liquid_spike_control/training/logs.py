# SPDX-License-Identifier: Apache-2.0
"""Figures of a training as it goes on, in the event files that TensorBoard reads.

Written here, so that a log needs nothing installed: a file is a row of TFRecords (length, masked CRC-32C of the
length, data, masked CRC-32C of the data), each an ``Event`` in protocol buffers, of which scalars need six fields.

Sources: tensorflow/core/lib/io/record_writer.h and tensorflow/core/util/event.proto (the formats).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from pathlib import Path

from ..errors import OutputError, TaskError

_POLYNOMIAL = 0x82F63B78  # Castagnoli, reflected


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_REMAINDERS = [_remainder(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    """CRC-32C (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _REMAINDERS[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    """One TFRecord."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def scalar_event(wall_time_s: float, step: int, figures: Mapping[str, float]) -> bytes:
    """An ``Event``: wall_time = 1, step = 2, summary = 5, a list of value = 1 with tag = 1 and simple_value = 2."""
    values = b"".join(
        _field(1, _field(1, name.encode()) + b"\x15" + struct.pack("<f", value)) for name, value in figures.items()
    )
    return b"\x09" + struct.pack("<d", wall_time_s) + b"\x10" + _varint(step) + _field(5, values)


class EventLog:
    """Scalars over the steps of a training, one new file in a folder that ``tensorboard --logdir`` may be given.

    Args:
        folder: made if it does not exist.
        clock: gives the time [s since 1970] that TensorBoard shows.

    Raises:
        TaskError: the folder cannot be written.
    """

    def __init__(self, folder: Path, clock=time.time) -> None:
        self._clock = clock
        begin = clock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            k = len(list(folder.glob("events.out.tfevents.*")))
            self._file = open(folder / f"events.out.tfevents.{int(begin):010d}.{k}", "xb", buffering=0)
        except OSError as error:
            raise TaskError(f"--logs {folder}: cannot be written ({error.strerror}); give another folder") from None
        # file_version = 3
        self._folder = folder
        self._append(b"\x09" + struct.pack("<d", begin) + _field(3, b"brain.Event:2"))

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Append figures by name; they can be seen at once.

        Raises:
            OutputError: the disk is full or has failed.
        """
        self._append(scalar_event(self._clock(), step, figures))

    def _append(self, event: bytes) -> None:
        try:
            self._file.write(record(event))
        except OSError as error:
            raise OutputError(f"--logs {self._folder}: {error.strerror}; make room, the same command goes on") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()
