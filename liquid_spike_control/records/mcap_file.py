# SPDX-License-Identifier: Apache-2.0
"""One .mcap file that is being written: there under its name from the first byte, whole up to the last flush."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LiquidSpikeError, OutputError
from ..mcap import typestore
from ..outputs import check_new

if TYPE_CHECKING:
    from rosbags.interfaces import Connection

#: Topic on which a recording describes its graph: a std_msgs/String, JSON with ``nodes`` (the parameters of each) and
#: ``models`` (SHA-256 of each file). Within the data, so that a cut file has it too.
GRAPH_TOPIC = "/recorder/graph"
STRING = "std_msgs/msg/String"
#: The last bytes of a whole .mcap file.
_END = b"\x89MCAP0\r\n"


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file, hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_whole(path: Path) -> None:
    """Refuse a recording that was not written to its end.

    Raises:
        OutputError: its summary is missing, as the disk was full or the recorder ended.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - len(_END)))
            whole = size > len(_END) and file.read() == _END
    except OSError as error:
        raise OutputError(f"{path}: nothing was recorded ({error.strerror}); record again") from None
    if not whole:
        raise OutputError(f"{path}: the recording ends before the run did; make room and record again")


class McapFile:
    """Messages into a file in rosbag2's layout (metadata and all), which ``ros2 bag`` and Foxglove read.

    Args:
        path: of the file, ``.mcap``; it must not exist.

    Raises:
        TaskError: it exists.
        LiquidSpikeError: its folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        from rosbags.rosbag2 import StoragePlugin, Writer

        self.path = path
        self.size = 0
        self.types = typestore()
        self._topics: dict[str, Connection] = {}
        check_new(path)
        try:
            folder = Path(tempfile.mkdtemp(prefix=".recording-", dir=path.parent))
            try:
                self._writer = Writer(folder / "bag", version=9, storage_plugin=StoragePlugin.MCAP)
                self._writer.open()
                (folder / "bag/bag.mcap").rename(path)  # it stays open
            finally:
                shutil.rmtree(folder)
        except OSError as error:
            raise LiquidSpikeError(f"{path}: {error.strerror}; record to a folder that can be written") from None

    def knows(self, kind: str) -> bool:
        """Whether the definition of a message type is available."""
        return kind in self.types.fielddefs

    def write(self, topic: str, kind: str, stamp_ns: int, data: bytes) -> None:
        """Add a serialised message (CDR) of type ``kind``, one of those that the file :meth:`knows`.

        Raises:
            LiquidSpikeError: the disk is full, or has failed; so with all that writes.
        """
        with self._to_disk():
            if topic not in self._topics:
                self._topics[topic] = self._writer.add_connection(topic, kind, typestore=self.types)
            self._writer.write(self._topics[topic], stamp_ns, data)
        self.size += len(data)

    def write_message(self, topic: str, stamp_ns: int, message: Any) -> None:
        """Add a message of the file's own :attr:`types`."""
        kind = message.__msgtype__
        self.write(topic, kind, stamp_ns, bytes(self.types.serialize_cdr(message, kind)))

    def write_graph(self, stamp_ns: int, description: dict[str, Any]) -> None:
        """Write the description of the recorded graph, see :data:`GRAPH_TOPIC`."""
        string = self.types.types[STRING]
        self.write_message(GRAPH_TOPIC, stamp_ns, string(data=json.dumps(description, sort_keys=True)))

    def flush(self) -> None:
        """Hand what was written to the kernel, as a chunk that stands by itself."""
        from rosbags.rosbag2.storage_mcap import McapWriter

        storage = self._writer.storage
        if isinstance(storage, McapWriter) and storage.chunk.msgs:
            with self._to_disk():
                storage.close_chunk()
                storage.bio.flush()

    def close(self, custom_data: dict[str, str] | None = None) -> None:
        """Write the summary, with ``custom_data`` in its metadata, where ``ros2 bag info`` shows it."""
        for key, value in (custom_data or {}).items():
            self._writer.set_custom_data(key, value)
        with self._to_disk(), tempfile.TemporaryDirectory() as folder:
            self._writer.metapath = Path(folder) / "metadata.yaml"  # the same is in the file
            self._writer.close()

    def abandon(self) -> None:
        """Let go of the file as it is."""
        with suppress(OSError):
            self._writer.abort()

    @contextmanager
    def _to_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.abandon()
            kept = "what was flushed before is kept"
            raise OutputError(f"{self.path}: {error.strerror}; {kept}, make room and record again") from None
