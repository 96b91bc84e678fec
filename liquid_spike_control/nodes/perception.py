# SPDX-License-Identifier: Apache-2.0
"""The perception node: event packets in, estimates out, the network on the offload node or in this
process.
"""

from __future__ import annotations

import time

import numpy as np
from event_camera_msgs.msg import EventPacket
from sensor_msgs.msg import JointState

from ..events.codec import ENCODINGS, Decoder, PacketSequence, encode
from ..neuromorphic.model import of_perception
from ..perception import Perception
from ..sim.tasks import ESTIMATE_NAMES, ESTIMATE_UNITS
from ..spiking.nir_io import read_perception_model
from ..types import EVENT, SpikeTrain
from . import graph
from .convert import packet_to_spikes, spikes_to_packet, to_joint_state, to_ns, to_packet
from .diagnostics import ERROR, STALE, WARN
from .network import load_backend, tell_work
from .process import run
from .stage import EPISODE_GAP_NS, Stage

#: A camera sends packets in a still scene too; one that is silent for so long is dead [s].
SILENCE_S = 0.2


class PerceptionNode(Stage):
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

    def configure(self) -> None:
        """Read the model, warm the kernels."""
        model = read_perception_model(self._file)
        self._perception = Perception(model)
        self._perception.check_fits(ESTIMATE_NAMES, ESTIMATE_UNITS)
        self._decoder = Decoder()
        self._hash = model.hash
        self._backend = None if self._offload else load_backend(of_perception(model))
        self._warm()
        self._estimate_publisher = self.speak(JointState, graph.ESTIMATE)
        self.listen(EventPacket, graph.EVENTS, self._on_events, best_effort=self.mode == "realtime")
        if self._offload:
            self._n_outputs = model.readout.n_neurons
            self._spikes_publisher = self.speak(EventPacket, graph.SPIKES_IN)
            self.listen(EventPacket, graph.SPIKES_OUT, self._on_spikes)

    def _warm(self) -> None:
        """Compile every kernel that a packet passes, or load it from the cache."""
        perception = self._perception
        events = np.zeros(3, EVENT)
        events["t"] = (1, 2, perception.step_ns)
        for encoding in ENCODINGS:
            packet = to_packet(
                encode(events, encoding, 0), encoding, 0, 0, perception.width, perception.height, 0
            )
            decoded = self._decoder.decode(packet.events, encoding, 0, perception.width, perception.height)
            self._decoder.reset()
        spikes = perception.encode(decoded, 5 * perception.step_ns)
        packet_to_spikes(spikes_to_packet(spikes, perception.n_axons, "", 0, 0, 0), perception.n_axons, "")
        silent = SpikeTrain(np.zeros(6, np.int64), np.empty(0, np.int32))
        perception.decode(self._backend.run(spikes) if self._backend else silent, 0)

    def activate(self) -> None:
        """Begin an episode."""
        self._last_stamp_ns: int | None = None
        self._sequence = PacketSequence()
        self._heard = time.monotonic()
        self._seq = 0

    def _on_events(self, message: EventPacket) -> None:
        stamp = to_ns(message.header.stamp)
        self._heard = time.monotonic()
        lost = self._sequence.lost
        self._sequence.update(message.seq)
        if self._sequence.lost > lost:
            self.diagnostics.complain(WARN, "event packets were lost")
        last, self._last_stamp_ns = self._last_stamp_ns, stamp
        if last is None or not 0 <= stamp - last <= EPISODE_GAP_NS:
            self._perception.reset(stamp)
            self._until_ns = stamp
            self.diagnostics.count("episodes")
            if self._backend is not None:
                self._backend.reset()
        events = self._decoder.decode(
            message.events, message.encoding, message.time_base, message.width, message.height
        )
        self.diagnostics.count("events", len(events))
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

    def _on_spikes(self, message: EventPacket) -> None:
        try:
            spikes = packet_to_spikes(message, self._n_outputs, self._hash)
        except ValueError as error:
            self.diagnostics.count("refused")
            self.diagnostics.complain(ERROR, f"packet refused: {error}")
            return
        self._publish(self._perception.decode(spikes, to_ns(message.header.stamp)))

    def _publish(self, estimate) -> None:
        self._estimate_publisher.publish(to_joint_state(estimate))
        self.diagnostics.values["answered_ns"] = estimate.stamp_ns
        self.diagnostics.count("estimates")

    def diagnose(self) -> None:
        """Tell of losses, of what could not be read, and of neighbours that are silent."""
        if not self.active:
            return
        if time.monotonic() - self._heard > SILENCE_S:
            self.diagnostics.complain(STALE, f"no event packets for {time.monotonic() - self._heard:.1f} s")
        told = self.diagnostics.values
        if told.get("encoded_ns", 0) - told.get("answered_ns", 0) > SILENCE_S * 1e9 and self._offload:
            self.diagnostics.complain(ERROR, "the offload node does not answer; no estimates go out")
        self.diagnostics.values |= {
            "lost": self._sequence.lost,
            "malformed": self._decoder.malformed,
            "rejected": self._perception.rejected,
        }
        if self._backend is not None:
            tell_work(self.diagnostics, self._backend.stats(), self._perception.step_ns)


def main() -> None:
    """Run the node."""
    run(PerceptionNode)


if __name__ == "__main__":
    main()
