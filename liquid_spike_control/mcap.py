# SPDX-License-Identifier: Apache-2.0
"""Reads the messages of an .mcap file from its beginning on, whole or cut off by a crash.

A cut file has no summary, so libraries that begin with it refuse the file. Here every record is taken as it comes,
and the end of the file ends the reading wherever it is: also within a chunk, compressed or not. For any input, the
allocation is bounded by the file's size and :data:`MAX_CHUNK`. Format: https://mcap.dev/spec
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from .errors import TaskError

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

EVENT_PACKET = "event_camera_msgs/msg/EventPacket"
EVENT_PACKET_DEFINITION = """\
std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
"""

MAGIC = b"\x89MCAP0\r\n"
#: Largest chunk that is unpacked [bytes]; rosbag2 writes less than 1 MiB, Foxglove's tools 4.
MAX_CHUNK = 1 << 28
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F


def typestore() -> Typestore:
    """The message types of ROS 2 Jazzy, and EventPacket."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(EVENT_PACKET_DEFINITION, EVENT_PACKET))
    return store


class Raw(NamedTuple):
    """A message as it is in the file."""

    topic: str
    kind: str
    stamp_ns: int
    data: bytes


def read_message(types: Typestore, raw: Raw, path: Path) -> Any:
    """A message with the fields of its ROS type.

    Raises:
        TaskError: its bytes are not a message of its type.
    """
    try:
        return types.deserialize_cdr(raw.data, raw.kind)
    except Exception as error:  # rosbags: any error of unpacking foreign bytes
        line = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise TaskError(f"{path}: {raw.topic} at {raw.stamp_ns} ns: no {raw.kind} ({line}); record it again") from None


@dataclass
class McapScan:
    """The messages of one file.

    Attributes:
        cut: why the reading ended before the end of the data, or None; known when the messages were read.
        types: knows every message type that was met, by the definition in the file.
    """

    path: Path
    cut: str | None = None
    types: Typestore = field(default_factory=typestore)
    _schemas: dict[int, str] = field(default_factory=dict)
    _channels: dict[int, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with open(self.path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise TaskError(f"{self.path}: not an MCAP file; give a recording of liquid-spike record or ros2 bag")

    def messages(self) -> Iterator[Raw]:
        """Every message, in the order of the file."""
        self.cut = None
        size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            place = file.seek(len(MAGIC))
            while True:
                head = file.read(9)
                if len(head) < 9:
                    self.cut = f"the file ends at byte {size}, before its summary"
                    return
                kind, length = head[0], struct.unpack("<Q", head[1:])[0]
                if kind == _DATA_END:
                    return
                end = place + 9 + length
                body = file.read(min(end, size) - place - 9) if kind in (*_INNER, _CHUNK) else b""
                try:
                    yield from self._chunk(body) if kind == _CHUNK else self._record(kind, body, length)
                except (struct.error, ValueError, EOFError) as error:
                    if end <= size:
                        self.cut = f"a damaged record at byte {place}: {error}"
                        return
                if end > size:
                    self.cut = f"the file ends at byte {size}, within a record"
                    return
                place = file.seek(end)

    def _chunk(self, body: bytes) -> Iterator[Raw]:
        size, crc = struct.unpack_from("<QI", body, 16)
        compression, at = _text(body, 28)
        (packed,) = struct.unpack_from("<Q", body, at)
        content = _unpack(compression, body[at + 8 : at + 8 + packed], size)
        if len(content) == size and crc and crc32(content) != crc:
            raise ValueError("the checksum of a chunk is wrong")
        at = 0
        while at < len(content):
            kind, length = struct.unpack_from("<BQ", content, at)
            yield from self._record(kind, content[at + 9 : at + 9 + length], length)
            at += 9 + length
        if len(content) < size:
            raise EOFError("the chunk is not whole")

    def _record(self, kind: int, body: bytes, length: int) -> Iterator[Raw]:
        if kind in _INNER and len(body) < length:
            raise EOFError("the record is not whole")
        if kind == _MESSAGE:
            channel, _, stamp_ns = struct.unpack_from("<HIQ", body)
            if channel not in self._channels:
                raise ValueError(f"a message of channel {channel}, which is not described")
            yield Raw(*self._channels[channel], stamp_ns, body[22:])
        elif kind == _CHANNEL:
            number, schema = struct.unpack_from("<HH", body)
            topic, _ = _text(body, 4)
            self._channels[number] = (topic, self._schemas.get(schema, ""))
        elif kind == _SCHEMA:
            (number,) = struct.unpack_from("<H", body)
            name, at = _text(body, 2)
            encoding, at = _text(body, at)
            definition, _ = _text(body, at)
            if number not in self._schemas:
                self._schemas[number] = name
                self._learn(name, encoding, definition)

    def _learn(self, name: str, encoding: str, definition: str) -> None:
        """Take a type that is not known yet; the messages of one that cannot be read stay raw."""
        from rosbags.typesys import TypesysError, get_types_from_idl, get_types_from_msg

        if name in self.types.fielddefs:
            return
        try:
            read = get_types_from_msg(definition, name) if encoding == "ros2msg" else get_types_from_idl(definition)
            self.types.register({k: v for k, v in read.items() if k not in self.types.fielddefs})
        except TypesysError:
            return


_INNER = (_SCHEMA, _CHANNEL, _MESSAGE)


def _text(body: bytes, at: int) -> tuple[str, int]:
    """A string with its length before it, and where it ends."""
    (length,) = struct.unpack_from("<I", body, at)
    if at + 4 + length > len(body):
        raise EOFError("a text is not whole")
    return body[at + 4 : at + 4 + length].decode(), at + 4 + length


def _unpack(compression: str, data: bytes, size: int) -> bytes:
    """Return the contents of a chunk, up to the cut.

    Raises:
        ValueError: it is too large, damaged or compressed in an unknown way.
    """
    if size > MAX_CHUNK:
        raise ValueError(f"a chunk of {size} bytes, more than {MAX_CHUNK}")
    if compression == "":
        return data
    try:
        if compression == "zstd":
            from backports.zstd import ZstdDecompressor

            return ZstdDecompressor().decompress(data, max_length=size)
        if compression == "lz4":
            from lz4.frame import LZ4FrameDecompressor

            return LZ4FrameDecompressor().decompress(data, max_length=size)
    except (RuntimeError, OSError, ArithmeticError) as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # each library has an error of its own
        raise ValueError(f"{type(error).__name__}: {error}") from None
    raise ValueError(f"compression {compression!r} is unknown")
