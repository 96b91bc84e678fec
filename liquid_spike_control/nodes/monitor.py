# SPDX-License-Identifier: Apache-2.0
"""Watches a graph from outside, in batches: the history of a run, and the report of its diagnostics."""

from __future__ import annotations

import numpy as np
from rclpy.serialization import deserialize_message

from ..events.codec import Decoder
from ..history import History
from ..robot import names
from . import graph
from .capture import Capture
from .convert import from_joint_state, to_ns
from .diagnostics import read_status
from .graph import GraphOptions
from .interfaces import Interfaces
from .network import energy_text, read_work
from .report import Report


class Monitor:
    """Fills a :class:`History` and keeps every node's latest diagnostics.

    Args:
        options: of the graph.
        keep: also keep events and output spikes, for a plot or a video.
        posed: also keep poses, for a video.
    """

    def __init__(self, options: GraphOptions, keep: bool, posed: bool = False) -> None:
        robot = options.description
        self.history = History(robot)
        self.status: dict[str, dict[str, str]] = {}
        self._options = options
        places = graph.command_places(options)
        self._command_topic = graph.absolute(places[0].topic)
        self._gated = Interfaces(places[0].type, names(robot.commands), [place.field for place in places], "command")
        self._truth_names = (*names(robot.seen), *names(robot.estimates))
        self._estimate_names = names(robot.estimates)
        lefts = np.cumsum([0, *(camera.width for camera in robot.cameras)]).tolist()
        #: Topic of each camera, and the column where its picture begins beside the others.
        self._event_topics = {graph.absolute(c.events_topic): x for c, x in zip(robot.cameras, lefts, strict=False)}
        topics = {graph.GROUND_TRUTH, graph.ESTIMATE, self._command_topic, graph.DIAGNOSTICS}
        if keep:
            topics |= {graph.SPIKES_OUT, *self._event_topics}
        if posed:
            topics.add(graph.POSE)
        self._capture = Capture("liquid_spike_monitor")
        for topic, kind in graph.topics(options).items():
            if topic in topics:
                self._capture.add(topic, kind, graph.relative(topic))
        self._decoder = Decoder()

    def poll(self) -> None:
        """Take what has come."""
        for topic, _, data in self._capture.drain():
            message = deserialize_message(data, self._capture.types[topic])
            if topic == graph.DIAGNOSTICS:
                self.status |= read_status(message)
            elif topic == graph.GROUND_TRUTH:
                truth = from_joint_state(message, self._truth_names)
                self.history.truth[truth.stamp_ns] = tuple(truth.values.tolist())
            elif topic == graph.ESTIMATE:
                estimate = from_joint_state(message, self._estimate_names)
                self.history.estimates[estimate.stamp_ns] = tuple(estimate.values.tolist())
            elif topic == self._command_topic:
                command = self._gated.read(message)
                if command is not None:
                    self.history.commands.setdefault(command.stamp_ns, tuple(command.values.tolist()))
            elif topic == graph.POSE:
                self.history.poses[to_ns(message.header.stamp)] = np.array(message.position)
            elif topic in self._event_topics:
                events = self._decoder.decode(
                    message.events, message.encoding, message.time_base, message.width, message.height
                )
                if left := self._event_topics[topic]:
                    events = events.copy()
                    events["x"] += left
                self.history.events.append(events)
            else:
                pairs = np.frombuffer(message.events, "<u4").reshape(-1, 2)
                self.history.spikes.append((message.time_base, pairs[:, 0].copy(), pairs[:, 1].copy()))

    def matched(self) -> bool:
        """Whether every topic has its publisher, and the diagnostics those of all nodes."""
        return self._capture.matched()

    def number(self, node: str, key: str) -> float:
        """Return a number of a node's diagnostics; 0 if it has not been reported."""
        return float(self.status.get(node, {}).get(key, 0))

    @property
    def finished(self) -> bool:
        """Whether the simulator reports the end of the episode."""
        return self.status.get("simulator", {}).get("finished") == "True"

    @property
    def silent(self) -> str | None:
        """The stage that did not answer in lock-step, if one did not."""
        return self.status.get("simulator", {}).get("silent")

    def report(self) -> Report:
        """The outcome, from the history and the last diagnostics."""
        elapsed = self.number("simulator", "elapsed_s")
        network = "neuromorphic" if self._options.backend == "offload" else "perception"
        stats, step_ns = read_work(self.status.get(network, {}))
        realtime = self._options.mode == "realtime"
        controller = self.status.get("controller", {})
        learning = {key: text for key, text in controller.items() if key.startswith("learn")}
        learning.pop("learning_changes", None)

        seconds = max(elapsed, 1e-9)
        return Report.of(
            self._options,
            self.history,
            f"ROS 2, {self._options.mode}, {self._options.backend}",
            success=self.status.get("simulator", {}).get("success") == "True",
            duration_s=self.number("simulator", "duration_s"),
            reward=self.number("simulator", "reward"),
            elapsed_s=elapsed,
            wall_s=self.number("simulator", "wall_s"),
            events_per_s=self.number("simulator", "events") / seconds,
            spikes_per_s=stats.spikes / seconds,
            synaptic_operations_per_s=stats.synaptic_operations / seconds,
            energy=energy_text(stats, step_ns) if self._options.sighted else "",
            latencies_us=self._latencies(),
            real_time_factor_least=self._factor_least(),
            deadline_misses=int(self.number("simulator", "deadline_misses")) if realtime else None,
            learning=learning,
        )

    def _factor_least(self) -> float | None:
        text = self.status.get("simulator", {}).get("real_time_factor_least")
        return None if text is None else float(text)

    def _latencies(self) -> dict[str, tuple[float, float]]:
        found = {}
        for node, values in self.status.items():
            for key, value in values.items():
                if key.endswith("_us_p50") and not key.endswith(f"{graph.DIAGNOSTICS}_us_p50"):
                    name = key.removesuffix("_us_p50")
                    found[f"{node}: {name}"] = (float(value), float(values[f"{name}_us_p99"]))
        return dict(sorted(found.items(), key=lambda item: ("sensing" not in item[0], "hop" not in item[0])))

    def close(self) -> None:
        """Unsubscribe."""
        self._capture.close()
