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
from ..events.camera_streams import CameraStream, CameraStreams
from ..events.codec import DECODED, DROPPED, ENCODINGS, Decoder, encode
from ..events.filters import FrontEnd
from ..events.front_end import from_json
from ..neuromorphic.model import of_perception
from ..perception import Perception
from ..spiking.nir_io import read_perception_model
from ..types import EVENT, SpikeTrain
from . import graph
from .convert import packet_to_spikes, spikes_to_packet, to_joint_state, to_ns, to_packet
from .diagnostics import ERROR, STALE, WARN
from .graph_node import GraphNode
from .network import load_backend, report_work
from .process import run

#: Of the times of events, see the parameter ``event_clock``.
CLOCKS = ("stamp", "sensor")
#: A camera sends packets in a still scene too; after so long a silence it is dead, which is reported within 0.2 s [s].
SILENCE_S = 0.15
#: Between two looks at the silence [s].
LOOK_S = 0.02
#: So long does a packet wait for the offload node before the node counts as lost [s].
ANSWER_S = 0.04
#: In real time, of packets older than this only a part of the events is perceived: a storm must not make all late [ns].
SHED_AGE_NS = 4_000_000
#: A stall of the machine is caught up without loss: events are shed where packets are late for longer than this [ns],
STALL_NS = 12_000_000
#: until one comes that is no older than this [ns].
CAUGHT_UP_NS = 2_000_000
#: Older by each of these, a part less: half, a third, a quarter ... [ns].
SHED_STEP_NS = 1_000_000
#: Older ones are dropped whole, for the newer ones behind them [ns].
MAX_AGE_NS = 15_000_000


class Eye(NamedTuple):
    """A camera: topic of its packets, columns and rows, and whether its events are on the sensor's own clock."""

    topic: str
    width: int
    height: int
    sensor_clock: bool


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
        self._event_clock = self.parameter(
            "event_clock", "stamp",
            "stamp: events are on the robot's clock and the stamp ends the packet, as our simulator does; sensor: "
            "on the camera's own, and the stamp is that of the first event, as the camera drivers do",
            choices=CLOCKS,
        )  # fmt: skip
        window_s = self.parameter(
            "window_s", 0.0, "one estimate for so much of the stream [s]; 0: one a packet", 0.0, 0.1
        )
        self._window_ns = round(window_s * 1e9)
        self._topics = self.parameter("events_topics", texts, "topics of several cameras, in place of events_topic")
        numbers = Parameter.Type.INTEGER_ARRAY
        self._widths = self.parameter("camera_widths", numbers, "columns of each of several cameras")
        self._heights = self.parameter("camera_heights", numbers, "rows of each of several cameras")
        self._event_clocks = self.parameter("event_clocks", texts, "event_clock of each of several cameras")
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
        if any(eye.sensor_clock for eye in self._eyes) and not self._window_ns:
            raise GraphError("parameter window_s: 0 is for event_clock stamp; give the controller's period")
        model = read_perception_model(self._file)
        self._perception = Perception(model, self._new_front_end())
        self._perception.check_fits(self._names, self._units, size)
        if self._window_ns % self._perception.step_ns:
            raise GraphError(f"parameter window_s: give a multiple of the model's step, {self._perception.step_ns} ns")
        self._hash = model.hash
        self._backend = None if self._offload else load_backend(of_perception(model))
        self._warm()
        self._estimate_publisher = self.add_publisher(JointState, graph.relative(graph.ESTIMATE))
        for number, eye in enumerate(self._eyes):
            take = partial(self._on_events, number)
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
            return [Eye(self._topic, self._width, self._height, self._event_clock == "sensor")]
        clocks = [self._event_clock] * len(self._topics) if self._event_clocks is None else self._event_clocks
        if not len(self._topics) == len(self._widths) == len(self._heights) == len(clocks):
            lists = "events_topics, camera_widths, camera_heights, event_clocks"
            raise GraphError(f"parameters {lists}: give one for each camera")
        if unknown := set(clocks) - set(CLOCKS):
            raise GraphError(f"parameter event_clocks: '{min(unknown)}'; give {' or '.join(CLOCKS)}")
        sensor = [clock == "sensor" for clock in clocks]
        return [Eye(*place) for place in zip(self._topics, self._widths, self._heights, sensor, strict=True)]

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
        n = len(self._eyes)
        cameras = [CameraStream(eye.width, eye.sensor_clock) for eye in self._eyes]
        self._streams = CameraStreams(cameras, self._window_ns, self._begin)
        self._dropped = [stream.decoder.dropped for stream in self._streams.streams]
        self._last_stamps_ns: list[int | None] = [None] * n
        self._missed = [False] * n
        self._heard = [time.monotonic()] * n
        self._late_since_ns: int | None = None
        self._began_ns = 0
        self._seq = 0

    def _on_events(self, number: int, message: EventPacket) -> None:
        """Take a packet of a camera."""
        stamp, eye, sequence = to_ns(message.header.stamp), self._eyes[number], self._streams.sequences[number]
        self._heard[number] = time.monotonic()
        lost = sequence.lost
        newest = sequence.update(message.seq)
        if sequence.lost > lost:
            self.diagnostics.complain(WARN, "event packets were lost")
        last = self._last_stamps_ns[number]
        if not newest and last is not None and stamp <= last:
            self.diagnostics.count("out_of_order")  # reordered or sent twice; a clock that ran back counts on
            return
        if self._sheds and self.hop_ns > MAX_AGE_NS:
            self.diagnostics.count("too_old")
            self.diagnostics.complain(WARN, f"event packets are dropped: {self.hop_ns / 1e6:.0f} ms old")
            self._missed[number] = True
            return
        if (message.width, message.height) != (eye.width, eye.height):
            self.diagnostics.count("refused")
            size, wanted = f"{message.width}x{message.height}", f"{eye.width}x{eye.height}"
            self.diagnostics.complain(ERROR, f"{eye.topic}: {size} pixels, its parameters give {wanted}")
            return
        self._last_stamps_ns[number] = stamp
        begins = self._streams.begins(stamp)
        missed = self._missed[number] or sequence.lost > lost
        batches = self._streams.take(number, message, stamp, missed, self._count_and_shed)
        self._missed[number] = False
        self._report_drops(number, begins)
        for batch in batches:
            self._perceive(*batch)

    def _count_and_shed(self, events: np.ndarray) -> np.ndarray:
        self.diagnostics.count("events", len(events))
        return self._shed(events)

    def _shed(self, events: np.ndarray) -> np.ndarray:
        """Every n-th event where the node does not keep up: a thinner picture of now, and none of the past."""
        every = 1 + (self.hop_ns - SHED_AGE_NS) // SHED_STEP_NS if self._sheds and self._late() else 1
        if every <= 1 or not len(events):
            return events
        kept = events[::every]
        self.diagnostics.count("shed", len(events) - len(kept))
        self.diagnostics.count("packets_shed_from")
        self.diagnostics.complain(WARN, f"too many events: 1 of {every} is perceived")
        return kept

    def _late(self) -> bool:
        """Whether packets are late for longer than a stall explains."""
        now = time.monotonic_ns()
        if self.hop_ns <= CAUGHT_UP_NS:
            self._late_since_ns = None
        elif self._late_since_ns is None and self.hop_ns > SHED_AGE_NS:
            self._late_since_ns = now
        return self._late_since_ns is not None and now - self._late_since_ns > STALL_NS

    def _begin(self, stamp_ns: int) -> None:
        """Begin an episode: what comes next is later than ``stamp_ns``."""
        self._perception.reset(stamp_ns)
        self._began_ns = self._until_ns = stamp_ns
        self.diagnostics.count("episodes")
        if self._backend is not None:
            self._backend.reset()

    def _report_drops(self, number: int, begins: bool) -> None:
        """Raise the level where events of a camera were dropped.

        Padding is no loss, and a stream that is joined in the middle lacks a time at first.
        """
        dropped, before = self._streams.streams[number].decoder.dropped, self._dropped[number]
        if dropped == before:
            return
        self._dropped[number] = dropped
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
        if not self.active:
            return
        for eye, heard in zip(self._eyes, self._heard, strict=True):
            if (silent := time.monotonic() - heard) > SILENCE_S:
                camera = f" on {eye.topic}" if len(self._eyes) > 1 else ""
                self.diagnostics.complain(STALE, f"no event packets{camera} for {silent:.1f} s")

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
            **{name: sum(getattr(each, name) for each in self._streams.sequences)
               for name in ("lost", "duplicated", "reordered")},
            "rejected": self._perception.rejected,
            **({} if self._perception.front_end is None else self._perception.front_end.dropped),
            **{name: sum(stream.decoder.dropped[name] for stream in self._streams.streams) for name in DROPPED},
        }
        if self._backend is not None:
            report_work(self.diagnostics, self._backend.stats(), self._perception.step_ns)


def main() -> None:
    """Run the node."""
    run(PerceptionNode)


if __name__ == "__main__":
    main()
