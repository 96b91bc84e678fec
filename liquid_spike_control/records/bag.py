# SPDX-License-Identifier: Apache-2.0
"""Any ROS 2 bag: an .mcap or .db3 file or a folder of them, whole or cut off by a crash."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import TaskError
from ..inputs import MAX_YAML_BYTES
from ..mcap import McapScan, Raw, read_message, typestore

#: In a bag's metadata.yaml: whether files are compressed whole, or message by message.
_COMPRESSED = re.compile(r"compression_mode:\s*['\"]?(file|message)", re.IGNORECASE)
#: The most that is unpacked [bytes]: so much, and so many times the size of what is packed. A camera that
#: sees nothing gives a recording that shrinks to a hundredth; what was made to fill a disk, to a ten-thousandth.
_ROOM, _RATIO = 1 << 26, 200
_BLOCK = 1 << 20


def is_bag(source: str) -> bool:
    """Whether a path is meant to be a bag: any file or folder that describes no robot, or the name of a bag's file."""
    path = Path(source)
    if path.suffix in (".mcap", ".db3"):
        return True
    if path.is_dir():
        return source not in ("", ".") and not (path / "robot.yaml").is_file()
    return path.is_file() and path.suffix not in (".yaml", ".yml")


class Bag:
    """The messages of a recording.

    Args:
        path: a .mcap or .db3 file, or a folder of `ros2 bag`, with or without its metadata.yaml.

    Attributes:
        cut: why the reading ended before the end of the data, or None; known when the messages were read.

    Raises:
        TaskError: there is no bag.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.cut: str | None = None
        if not self.path.exists():
            raise TaskError(f"{path}: no such bag; record one with liquid-spike record, or ros2 bag record")
        self._types = typestore()
        self._compression = ""
        self._files = self._find()

    def _find(self) -> list[Path]:
        """The files to read one after the other."""
        path = self.path
        if path.is_file():
            if path.suffix not in (".mcap", ".db3"):
                raise TaskError(f"{path}: not a bag; give a .mcap or .db3 file, or a folder of ros2 bag")
            return [path]
        if not path.is_dir():
            raise TaskError(f"{path}: neither a file nor a folder; give a .mcap or .db3 file, or a folder of ros2 bag")
        metadata = path / "metadata.yaml"
        if metadata.is_file():
            with metadata.open("rb") as file:
                found = _COMPRESSED.search(file.read(MAX_YAML_BYTES).decode(errors="replace"))
            self._compression = found[1].lower() if found else ""
        suffixes = (".mcap.zstd", ".db3.zstd") if self._compression == "file" else (".mcap", ".db3")
        files = sorted((p for p in path.iterdir() if p.name.endswith(suffixes)), key=_in_order)
        if not files:
            raise TaskError(f"{path}: no {' or '.join(suffixes)} file in this folder; give one that ros2 bag made")
        return files

    def messages(self) -> Iterator[Raw]:
        """Every message, file by file.

        Raises:
            TaskError: the bag is damaged in a way that leaves nothing to read.
        """
        self.cut = None
        for file in self._files:
            with self._unpacked(file) as whole:
                for raw in self._of_file(whole, file):
                    if self._compression == "message":
                        raw = raw._replace(data=self._unpack(raw))
                    yield raw

    def _of_file(self, whole: Path, file: Path) -> Iterator[Raw]:
        if whole.suffix == ".mcap":
            scan = McapScan(whole, types=self._types)
            yield from scan.messages()
            self.cut = self.cut or scan.cut
        else:
            yield from self._by_rosbags(whole, file)

    @contextmanager
    def _unpacked(self, file: Path) -> Iterator[Path]:
        """The file itself, or what is packed in it, as long as the block lasts."""
        if self._compression != "file":
            yield file
            return
        from backports import zstd

        most = _ROOM + _RATIO * file.stat().st_size
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / file.stem
            try:
                with zstd.open(file, "rb") as packed, whole.open("wb") as out:
                    while block := packed.read(_BLOCK):
                        if out.tell() + len(block) > most:
                            raise TaskError(f"{file}: it unpacks to more than {most} bytes; unpack it yourself")
                        out.write(block)
            except (zstd.ZstdError, EOFError, OSError) as error:
                raise TaskError(f"{file}: cannot be unpacked ({_line(error)}); copy it again") from None
            yield whole

    def _unpack(self, raw: Raw) -> bytes:
        from backports import zstd

        where = f"{self.path}: {raw.topic} at {raw.stamp_ns} ns"
        packed, most = zstd.ZstdDecompressor(), _ROOM + _RATIO * len(raw.data)
        try:
            data = packed.decompress(raw.data, max_length=most)
        except zstd.ZstdError as error:
            raise TaskError(f"{where}: cannot be unpacked ({_line(error)}); record it again") from None
        if not packed.eof:
            raise TaskError(f"{where}: it is cut, or unpacks to more than {most} bytes; record it again")
        return data

    def _by_rosbags(self, whole: Path, file: Path) -> Iterator[Raw]:
        from rosbags.highlevel import AnyReader

        try:
            with AnyReader([whole], default_typestore=self._types) as reader:
                known = reader.typestore.fielddefs
                self._types.register({k: v for k, v in known.items() if k not in self._types.fielddefs})
                for connection, stamp_ns, data in reader.messages():
                    yield Raw(connection.topic, connection.msgtype, stamp_ns, bytes(data))
        except Exception as error:  # sqlite, zstd, yaml and rosbags each have errors of their own
            raise TaskError(f"{file}: not a whole bag ({_line(error)}); ros2 bag reindex may repair it") from None

    def read(self, raw: Raw) -> Any:
        """The message, with the fields of its ROS type.

        Raises:
            TaskError: its bytes are not a message of its type.
        """
        return read_message(self._types, raw, self.path)


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:160]


def _in_order(path: Path) -> tuple:
    """rosbag2 counts its files: name_0, name_1, ... name_10."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name))
