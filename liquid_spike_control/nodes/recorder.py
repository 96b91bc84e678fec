# SPDX-License-Identifier: Apache-2.0
"""The recorder node: every topic of the graph, as it was serialised, into one MCAP file."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from rclpy.parameter import Parameter

from ..errors import GraphError, LiquidSpikeError
from .diagnostics import ERROR
from .graph_node import GraphNode, wait_until
from .process import run
from .recording import Recording

#: Without topics that are given, activation waits so long for the publishers of those that there are [s].
MATCH_S = 1.0


class RecorderNode(GraphNode):
    """Writes while active; the file is complete when the node is deactivated, and whole up to the last half second
    if it never is. Where the file exists, as for a recorder that is brought up again, another is written beside it,
    with a number in its name.

    The SHA-256 of the model files are in the file's metadata as ``custom_data``, where ``rosbags`` and
    ``ros2 bag info`` show them, and on :data:`~..records.mcap_file.GRAPH_TOPIC` with the nodes' parameters.
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
        self._topics = self.parameter(
            "topics", Parameter.Type.STRING_ARRAY,
            "topics of the graph, each awaited before the start; every topic, as it appears, if not given",
        )  # fmt: skip
        self._types = self.parameter("types", Parameter.Type.STRING_ARRAY, "type of each of the topics")
        self._recording: Recording | None = None
        self.create_timer(period, self._poll, clock=self._steady)

    def configure(self) -> None:
        """Open the file and subscribe."""
        everything: set[str] | None = None if self._topics else set()
        output = unused(self._output)
        if output != self._output:  # a robot does not stop for its recorder
            self.get_logger().warning(f"{self._output} exists; recording into {output}")
        self._recording = Recording(output, self, tuple(self._topics or ()), everything, tuple(self._types or ()))
        self._recording.description.add(self.get_fully_qualified_name(), {"mode": self.mode} | self._models)

    def activate(self) -> None:
        """Begin when every topic given is connected, so that the first message is not lost; else with the topics that
        there are, for which those of the graph's other nodes have been made.
        """
        if self._recording is None:
            raise GraphError(f"{self._output} is closed; configure the node again, with another output")
        if self._topics:
            wait_until(
                self._recording.matched, lambda: "some recorded topics have no publisher; start the whole graph"
            )
            return
        self._recording.look(now=True)
        deadline = time.monotonic() + MATCH_S
        while not self._recording.matched() and time.monotonic() < deadline:
            time.sleep(0.005)

    def deactivate(self) -> None:
        """Write what is left, and the file's summary."""
        self.release()

    def release(self) -> None:
        """Close the file, if it is open."""
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.close()

    def _poll(self) -> None:
        if self._recording is None:
            return
        try:
            self._recording.look()
            if self.active:
                self._recording.poll()
        except LiquidSpikeError as error:  # a full disk must not stop a robot
            self.get_logger().error(str(error))
            self._recording = None

    def diagnose(self) -> None:
        """Report how much was written."""
        if self._recording is None:
            if self.active:
                self.diagnostics.complain(ERROR, f"{self._output}: recording has stopped; see the log for the reason")
        else:
            self.diagnostics.values["messages"] = self._recording.counts.total()
            self.diagnostics.values["bytes"] = self._recording.file.size


def unused(path: Path) -> Path:
    """The path, or the first of path_2, path_3 and so on that does not exist."""
    numbers = itertools.count(2)
    found = path
    while found.exists():
        found = path.with_stem(f"{path.stem}_{next(numbers)}")
    return found


def main() -> None:
    """Run the node."""
    run(RecorderNode)


if __name__ == "__main__":
    main()
