# SPDX-License-Identifier: Apache-2.0
"""The recorder node: every topic of the graph, as it was serialised, into one MCAP file."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from ..errors import GraphError
from . import graph
from .capture import Capture
from .process import run
from .stage import Stage, wait_until

EVENT_PACKET = """\
std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
"""


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file, hex."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class RecorderNode(Stage):
    """Writes while active; the file is complete when the node is deactivated.

    The file's metadata hold the SHA-256 of the model files as ``custom_data`` (``perception_model``,
    ``controller_model``), where ``rosbags`` and ``ros2 bag info`` show them.
    """

    def __init__(self) -> None:
        super().__init__("recorder")
        self._output = Path(self.parameter("output", "", "path of the .mcap file to write"))
        self._models = {
            name: self.parameter(name, "", f"path of the {what} whose hash is recorded")
            for name, what in (
                ("perception_model", "perception model"),
                ("controller_model", "controller file"),
            )
        }
        period = self.parameter("drain_period_s", 0.1, "time between two writes [s]", 0.01, 1.0)
        self._topics = tuple(self.parameter("topics", list(graph.TOPICS), "what is recorded"))
        self.create_timer(period, self._write, clock=self._steady)

    def configure(self) -> None:
        """Subscribe and open the file."""
        from rosbags.rosbag2 import StoragePlugin, Writer
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore

        if self._output.exists():
            raise GraphError(f"{self._output} exists; give another name")
        typestore = get_typestore(Stores.ROS2_JAZZY)
        typestore.register(get_types_from_msg(EVENT_PACKET, "event_camera_msgs/msg/EventPacket"))
        try:
            self._folder = Path(tempfile.mkdtemp(prefix=".recording-", dir=self._output.parent))
        except OSError as error:
            raise GraphError(
                f"{self._output}: {error.strerror}; record to a folder that can be written"
            ) from None
        self._writer = Writer(self._folder / "bag", version=9, storage_plugin=StoragePlugin.MCAP)
        for name, path in self._models.items():
            if path:
                self._writer.set_custom_data(name, file_hash(path))
        self._writer.open()
        self._connections = {
            topic: self._writer.add_connection(topic, graph.TOPICS[topic], typestore=typestore)
            for topic in self._topics
        }
        self._capture = Capture("recorder_capture", self._topics)

    def activate(self) -> None:
        """Begin when every topic is connected, so that the first message is not lost."""
        wait_until(
            self._capture.matched, lambda: "some recorded topics have no publisher; start the whole graph"
        )

    def deactivate(self) -> None:
        """Write what is left and put the file in its place."""
        self.active = True
        self._write()
        self.active = False
        self._writer.close()
        self._capture.close()
        shutil.move(next((self._folder / "bag").glob("*.mcap")), self._output)
        shutil.rmtree(self._folder)

    def _write(self) -> None:
        if not self.active:
            return
        for topic, stamp_ns, data in sorted(self._capture.drain(), key=lambda taken: taken[1]):
            self._writer.write(self._connections[topic], stamp_ns, data)
            self.diagnostics.count("messages")


def main() -> None:
    """Run the node."""
    run(RecorderNode)


if __name__ == "__main__":
    main()
