# SPDX-License-Identifier: Apache-2.0
"""Any ROS 2 bag: an .mcap or .db3 file or a folder of them, whole or cut off by a crash."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import TaskError
from .mcap_file import typestore
from .mcap_scan import McapScan, Raw

#: In a bag's metadata.yaml: rosbags must unpack whole files, or message by message.
_COMPRESSED = r"compression_mode:\s*['\"]?(file|message)"


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
        self._files = self._find()

    def _find(self) -> list[Path]:
        """The files to read one after the other, or the folder where rosbags must unpack them."""
        path = self.path
        if path.is_file():
            if path.suffix not in (".mcap", ".db3"):
                raise TaskError(f"{path}: not a bag; give a .mcap or .db3 file, or a folder of ros2 bag")
            return [path]
        metadata = path / "metadata.yaml"
        if metadata.is_file() and re.search(_COMPRESSED, metadata.read_text(errors="replace"), re.IGNORECASE):
            return [path]
        files = sorted((p for p in path.iterdir() if p.suffix in (".mcap", ".db3")), key=_in_order)
        if not files:
            raise TaskError(f"{path}: no .mcap or .db3 file in this folder; give the folder that ros2 bag made")
        return files

    def messages(self) -> Iterator[Raw]:
        """Every message, file by file.

        Raises:
            TaskError: the bag is damaged in a way that leaves nothing to read.
        """
        self.cut = None
        for file in self._files:
            if file.suffix == ".mcap":
                scan = McapScan(file, types=self._types)
                yield from scan.messages()
                self.cut = self.cut or scan.cut
            else:
                yield from self._by_rosbags(file)

    def _by_rosbags(self, file: Path) -> Iterator[Raw]:
        from rosbags.highlevel import AnyReader

        try:
            with AnyReader([file], default_typestore=self._types) as reader:
                known = reader.typestore.fielddefs
                self._types.register({k: v for k, v in known.items() if k not in self._types.fielddefs})
                for connection, stamp_ns, data in reader.messages():
                    yield Raw(connection.topic, connection.msgtype, stamp_ns, bytes(data))
        except Exception as error:  # sqlite, zstd, yaml and rosbags each have errors of their own
            line = " ".join(f"{type(error).__name__}: {error}".split())[:160]
            raise TaskError(f"{file}: not a whole bag ({line}); ros2 bag reindex may mend it") from None

    def read(self, raw: Raw) -> Any:
        """The message, with the fields of its ROS type.

        Raises:
            TaskError: its bytes are not a message of its type.
        """
        try:
            return self._types.deserialize_cdr(raw.data, raw.kind)
        except Exception as error:  # rosbags: whatever its unpacking of foreign bytes raises
            line = " ".join(f"{type(error).__name__}: {error}".split())[:100]
            where = f"{self.path}: {raw.topic} at {raw.stamp_ns} ns"
            raise TaskError(f"{where}: no {raw.kind} ({line}); record it again") from None


def _in_order(path: Path) -> tuple:
    """rosbag2 counts its files: name_0, name_1, ... name_10."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name))
