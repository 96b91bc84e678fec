# SPDX-License-Identifier: Apache-2.0
"""The perception node: event packets in, estimates out, the network on the offload node or in this
process.
"""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

import numpy as np
from event_camera_msgs.msg import EventPacket
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from ..errors import GraphError, TaskError
from ..events.codec import DECODED, ENCODINGS, STEP_NS, Decoder, PacketSequence, encode
from ..events.filters import FrontEnd
from ..events.front_end import from_json
from ..events.stream import EventStream
from ..events.windows import Windows
from ..neuromorphic.model import of_perception
from ..perception import Perception
from ..sim.world import side_by_side
from ..spiking.nir_io import read_perception_model
from ..types import EVENT, SpikeTrain, begins_episode
from . import graph
from .convert import packet_to_spikes, spikes_to_packet, to_joint_state, to_ns, to_packet
from .diagnostics import ERROR, STALE, WARN
from .graph_node import GraphNode
from .network import load_backend, report_work
from .process import run

#: A camera sends packets in a still scene too; after so long a silence it is dead, which is reported within 0.2 s [s].
SILENCE_S = 0.15
#: Between two looks at the silence [s].
LOOK_S = 0.02
#: So long does a packet wait for the offload node before the node counts as lost [s].
ANSWER_S = 0.04
#: In real time, of packets older than this only a part of the events is perceived: a storm must not make all late [ns].
SHED_AGE_NS = 4_000_000
#: Older by each of these, a part less: half, a third, a quarter ... [ns].
SHED_STEP_NS = 1_000_000
#: Older ones are dropped whole, for the newer ones behind them [ns].
MAX_AGE_NS = 15_000_000


class Eye(NamedTuple):
    """A camera: topic of its packets, columns and rows."""

    topic: str
    width: int
    height: int


class PerceptionNode(GraphNode):
    """Events to axon spikes to the network to estimates; every message carries the stamp of the events."""

    def __init__(self) -> None:
        super().__init__("perception")
        self._file = self.parameter("perception_model", "", "path of the perception model (.nir)")
        self._offload = (
            self.parameter(
                "backend", "offload", "where the network runs: offload (its own node) or in_process",
                choices=graph.BACKENDS,
            )
            == "offload"
        )  # fmt: skip
        texts = Parameter.Type.STRING_ARRAY
        packets = graph.relative(graph.EVENTS)
        self._topic = self.parameter("events_topic", packets, "where the event camera's packets come")
        self._on_sensor_clock = (
            self.parameter(
                "event_clock", "stamp",
                "stamp: events are on the robot's clock and the stamp ends the packet, as our simulator does; sensor: "
                "on the camera's own, and the stamp is that of the first event, as the camera drivers do",
                choices=("stamp", "sensor"),
            )
            == "sensor"
        )  # fmt: skip
        window_s = self.parameter(
            "window_s", 0.0, "one estimate for so much of the stream [s]; 0: one a packet", 0.0, 0.1
        )
        self._window_ns = round(window_s * 1e9)
        self._topics = self.parameter("events_topics", texts, "topics of several cameras, in place of events_topic")
        numbers = Parameter.Type.INTEGER_ARRAY
        self._widths = self.parameter("camera_widths", numbers, "columns of each of several cameras")
        self._heights = self.parameter("camera_heights", numbers, "rows of each of several cameras")
        self._width = self.parameter("camera_width", Parameter.Type.INTEGER, "columns of the camera", 1, 65535)
        self._height = self.parameter("camera_height", Parameter.Type.INTEGER, "rows of the camera", 1, 65535)
        self._front_end = self.parameter(
            "front_end", "", "crop, groups, filters, undistortion of each camera: JSON out of the robot's description"
        )
        self._realtime = self.mode == "realtime"
        sheds = self.parameter(
            "sheds", True, "in real time late packets are dropped and events shed; false: the world waits for this node"
        )
        self._sheds = self._realtime and sheds
        self._names = self.parameter("estimate_names", texts, "names of the estimates, as in the model")
        self._units = self.parameter("estimate_units", texts, "unit of each, as in the model")

    def configure(self) -> None:
        """Read the model, warm the kernels."""
        if self._topics is None:
            self.demand("camera_width", "camera_height")
        else:
            self.demand("camera_widths", "camera_heights")
        self.demand("estimate_names", "estimate_units")
        self._eyes = self._new_eyes()
        size = sum(eye.width for eye in self._eyes), max(eye.height for eye in self._eyes)
        if self._on_sensor_clock and not self._window_ns:
            raise GraphError("parameter window_s: 0 is for event_clock stamp; give the controller's period")
        model = read_perception_model(self._file)
        self._perception = Perception(model, self._new_front_end())
        self._perception.check_fits(self._names, self._units, size)
        if self._window_ns % self._perception.step_ns:
            raise GraphError(f"parameter window_s: give a multiple of the model's step, {self._perception.step_ns} ns")
        self._stream = EventStream(self._on_sensor_clock)
        self._windows = Windows(self._window_ns) if self._window_ns else None
        self._hash = model.hash
        self._backend = None if self._offload else load_backend(of_perception(model))
        self._warm()
        self._estimate_publisher = self.add_publisher(JointState, graph.relative(graph.ESTIMATE))
        for number, eye in enumerate(self._eyes):
            take = self._on_events if len(self._eyes) == 1 else partial(self._on_one_of_several, number)
            self.add_subscription(EventPacket, eye.topic, take, best_effort=self._realtime, from_robot=True)
        if self._realtime:
            self.create_timer(LOOK_S, self._look, clock=self._steady)
        if self._offload:
            self._n_outputs = model.readout.n_neurons
            self._spikes_publisher = self.add_publisher(EventPacket, graph.relative(graph.SPIKES_IN))
            self.add_subscription(EventPacket, graph.relative(graph.SPIKES_OUT), self._on_spikes)

    def _new_eyes(self) -> list[Eye]:
        """The cameras.

        Raises:
            GraphError: the parameters of several cameras do not fit each other.
        """
        if self._topics is None:
            return [Eye(self._topic, self._width, self._height)]
        if self._on_sensor_clock:
            raise GraphError("parameter event_clock: sensor; several cameras must be on the robot's clock: give stamp")
        if not len(self._topics) == len(self._widths) == len(self._heights):
            raise GraphError("parameters events_topics, camera_widths, camera_heights: give one for each camera")
        return [Eye(*place) for place in zip(self._topics, self._widths, self._heights, strict=True)]

    def _new_front_end(self) -> FrontEnd | None:
        """What lies between the cameras and the network.

        Raises:
            GraphError: the parameter is damaged or does not fit the cameras.
        """
        try:
            sensors = from_json(self._front_end, [(eye.width, eye.height) for eye in self._eyes])
        except TaskError as error:
            raise GraphError(f"parameter {error}") from None
        return FrontEnd(sensors) if sensors else None

    def _warm(self) -> None:
        """Compile every kernel that a packet passes, or load it from the cache."""
        perception = self._perception
        events, decoder = np.zeros(3, EVENT), Decoder()
        events["t"] = (1, 2, perception.step_ns)
        for encoding in ENCODINGS:
            packet = to_packet(
                encode(events, encoding, 0), encoding, 0, 0, *perception.picture, 0
            )
            decoded = decoder.decode(packet.events, encoding, 0, *perception.picture)
            decoder.reset()
        for encoding in DECODED:
            decoder.decode(b"", encoding, 0, *perception.picture)
        spikes = perception.encode(decoded, 5 * perception.step_ns)
        packet_to_spikes(spikes_to_packet(spikes, perception.n_axons, "", 0, 0, 0), perception.n_axons, "")
        silent = SpikeTrain(np.zeros(6, np.int64), np.empty(0, np.int32))
        perception.decode(self._backend.run(spikes) if self._backend else silent, 0)
        if perception.front_end is not None:
            perception.front_end.counts.fill(0)

    def activate(self) -> None:
        """Begin an episode."""
        self.diagnostics.values.pop("answered_ns", None)
        self._last_stamp_ns: int | None = None
        self._began_ns = 0
        self._stream = EventStream(self._on_sensor_clock)
        self._told_drops = self._stream.decoder.dropped
        self._sequence = PacketSequence()
        self._streams = [EventStream(False) for _ in self._eyes]
        self._partly: dict[int, dict[int, np.ndarray]] = {}
        self._missed = False
        self._last_packet_s = time.monotonic()
        self._seq = 0

    def _on_events(self, message: EventPacket) -> None:
        stamp = to_ns(message.header.stamp)
        self._last_packet_s = time.monotonic()
        lost = self._sequence.lost
        newest = self._sequence.update(message.seq)
        if self._sequence.lost > lost:
            self.diagnostics.complain(WARN, "event packets were lost")
        if not newest and self._last_stamp_ns is not None and stamp <= self._last_stamp_ns:
            self.diagnostics.count("out_of_order")  # reordered or sent twice; a clock that ran back counts on
            return
        if self._sheds and self.hop_ns > MAX_AGE_NS:
            self.diagnostics.count("too_old")
            self.diagnostics.complain(WARN, f"event packets are dropped: {self.hop_ns / 1e6:.0f} ms old")
            self._missed = True
            return
        if (message.width, message.height) != (self._width, self._height):
            self.diagnostics.count("refused")
            size = f"{message.width}x{message.height}"
            self.diagnostics.complain(ERROR, f"{self._topic}: {size} pixels, camera_width and camera_height differ")
            return
        last, self._last_stamp_ns = self._last_stamp_ns, stamp
        begins = begins_episode(last, stamp, STEP_NS if self._on_sensor_clock else 0)
        if begins:
            self._begin(stamp)
        steps = self._stream.clock.steps
        events = self._stream.read(message, stamp, self._missed or self._sequence.lost > lost)
        self._missed = False
        self._tell_drops(begins)
        self.diagnostics.count("events", len(events))
        events = self._shed(events)
        if self._windows is None:
            self._perceive(events, stamp)
            return
        if self._stream.clock.steps > steps:
            self._restart(int(events["t"][0]) - 1 if len(events) else stamp)
        if (window := self._windows.add(events, self._stream.latest_ns)) is not None:
            self._perceive(*window)

    def _on_one_of_several(self, number: int, message: EventPacket) -> None:
        """Wait for the packets of one stamp from all cameras, which are then one picture side by side."""
        stamp, eye = to_ns(message.header.stamp), self._eyes[number]
        self._last_packet_s = time.monotonic()
        if (message.width, message.height) != (eye.width, eye.height):
            self.diagnostics.count("refused")
            size = f"{message.width}x{message.height}"
            self.diagnostics.complain(ERROR, f"{eye.topic}: {size} pixels, camera_widths and camera_heights differ")
            return
        parts = self._partly.setdefault(stamp, {})
        parts[number] = self._streams[number].read(message, stamp, False)
        if len(parts) < len(self._eyes):
            return
        for older in [s for s in self._partly if s <= stamp]:
            del self._partly[older]
        last, self._last_stamp_ns = self._last_stamp_ns, stamp
        if begins_episode(last, stamp):
            self._begin(stamp)
        events = side_by_side([parts[i] for i in range(len(self._eyes))], self._eyes)
        self.diagnostics.count("events", len(events))
        self._perceive(events, stamp)

    def _shed(self, events: np.ndarray) -> np.ndarray:
        """Every n-th event where the node does not keep up: a thinner picture of now, and none of the past."""
        every = 1 + (self.hop_ns - SHED_AGE_NS) // SHED_STEP_NS if self._sheds else 1
        if every <= 1 or not len(events):
            return events
        kept = events[::every]
        self.diagnostics.count("shed", len(events) - len(kept))
        self.diagnostics.count("packets_shed_from")
        self.diagnostics.complain(WARN, f"too many events: 1 of {every} is perceived")
        return kept

    def _begin(self, stamp_ns: int) -> None:
        """Begin an episode: what comes next is later than ``stamp_ns``."""
        self._restart(stamp_ns)
        self._stream.reset()  # or it would wait for a clock that ran back

    def _restart(self, stamp_ns: int) -> None:
        """Begin an episode, within the camera's stream."""
        self._perception.reset(stamp_ns)
        self._began_ns = self._until_ns = stamp_ns
        self.diagnostics.count("episodes")
        if self._backend is not None:
            self._backend.reset()
        if self._windows is not None:
            self._windows.reset(stamp_ns)

    def _tell_drops(self, begins: bool) -> None:
        """Raise the level where events were dropped.

        Padding is no loss, and a stream that is joined in the middle lacks a time at first.
        """
        dropped, before = self._stream.decoder.dropped, self._told_drops
        if dropped == before:
            return
        self._told_drops = dropped
        expected = ("skipped", "incomplete") if begins else ("skipped",)
        news = [f"{n - before[k]} {k}" for k, n in dropped.items() if n > before[k] and k not in expected]
        if news:
            remedy = ", is event_clock right?" if dropped["out_of_span"] > before["out_of_span"] else ""
            self.diagnostics.complain(WARN, f"events were dropped: {', '.join(news)}{remedy}")

    def _perceive(self, events: np.ndarray, stamp: int) -> None:
        if self._backend is not None:
            self._publish(self._perception.step(events, stamp, self._backend))
            return
        spikes = self._perception.encode(events, stamp)
        start_ns = self._until_ns
        self._until_ns += spikes.n_steps * self._perception.step_ns  # part of a step may be left for the next
        self._spikes_publisher.publish(
            spikes_to_packet(spikes, self._perception.n_axons, self._hash, stamp, start_ns, self._seq)
        )
        self._seq += 1
        self.diagnostics.values["encoded_ns"] = stamp
        self._look_for_answers(stamp)

    def _look_for_answers(self, stamp: int) -> None:
        """Without the offload node there are no estimates and no commands, and the gate sends the safe one."""
        silent = stamp - max(self._began_ns, self.diagnostics.values.get("answered_ns", 0))
        if self._realtime and silent > ANSWER_S * 1e9:
            self.diagnostics.complain(ERROR, "the offload node does not answer: no estimates, the gate keeps safe")

    def _look(self) -> None:
        if self.active and (silent := time.monotonic() - self._last_packet_s) > SILENCE_S:
            self.diagnostics.complain(STALE, f"no event packets for {silent:.1f} s")

    def _on_spikes(self, message: EventPacket) -> None:
        try:
            spikes = packet_to_spikes(message, self._n_outputs, self._hash)
        except ValueError as error:
            self.diagnostics.count("refused")
            self.diagnostics.complain(ERROR, f"packet refused: {error}")
            return
        if message.time_base < self._began_ns:
            self.diagnostics.count("of_the_episode_before")  # it would be decoded into the new one's state
            return
        self._publish(self._perception.decode(spikes, to_ns(message.header.stamp)))

    def _publish(self, estimate) -> None:
        self._estimate_publisher.publish(to_joint_state(estimate))
        self.diagnostics.count("estimates")
        self.answered(estimate.stamp_ns)

    def diagnose(self) -> None:
        """Report losses, packets that could not be read, and peers that are silent."""
        if not self.active:
            return
        self._look()
        self.diagnostics.values |= {
            "lost": self._sequence.lost,
            "duplicated": self._sequence.duplicated,
            "reordered": self._sequence.reordered,
            "rejected": self._perception.rejected,
            **({} if self._perception.front_end is None else self._perception.front_end.dropped),
            **self._stream.decoder.dropped,
        }
        if self._backend is not None:
            report_work(self.diagnostics, self._backend.stats(), self._perception.step_ns)


def main() -> None:
    """Run the node."""
    run(PerceptionNode)


if __name__ == "__main__":
    main()
