# SPDX-License-Identifier: Apache-2.0
"""The offload node: address-event spikes in, the spiking network on a neuromorphic backend, spikes out."""

from __future__ import annotations

import numpy as np
from event_camera_msgs.msg import EventPacket

from ..events.codec import PacketSequence
from ..perception import Perception
from ..spiking.nir_io import read_perception_model
from ..types import SpikeTrain
from . import graph
from .convert import HASH_DIGITS, packet_to_spikes, spikes_to_packet, to_ns
from .diagnostics import ERROR, WARN
from .network import load_backend, tell_work
from .process import run
from .stage import EPISODE_GAP_NS, Stage


class NeuromorphicNode(Stage):
    """Steps the network by the steps of each packet on /neuromorphic/input and answers on
    /neuromorphic/output.

    Packets of another network (by the hash in ``frame_id``) and malformed ones are refused and counted. Steps
    that a lost packet held are run without input, so that the network's time stays the world's.
    """

    def __init__(self) -> None:
        super().__init__("neuromorphic")
        self._file = self.parameter("perception_model", "", "path of the perception model (.nir)")

    def configure(self) -> None:
        """Read the network, load it onto the backend, warm the kernels."""
        model = read_perception_model(self._file)
        self._hash, self._step_ns = model.hash, Perception(model).step_ns
        self._backend = load_backend(model)
        self._publisher = self.speak(EventPacket, graph.SPIKES_OUT)
        self.listen(EventPacket, graph.SPIKES_IN, self._on_spikes)

    def activate(self) -> None:
        """Begin an episode."""
        self._until_ns: int | None = None
        self._sequence = PacketSequence()
        self._backend.reset()

    def _on_spikes(self, message: EventPacket) -> None:
        try:
            spikes = packet_to_spikes(message, self._backend.n_inputs, self._hash)
        except ValueError as error:
            self.diagnostics.count("refused")
            self.diagnostics.complain(ERROR, f"packet refused: {error}")
            return
        lost = self._sequence.lost
        self._sequence.update(message.seq)
        if self._sequence.lost > lost:
            self.diagnostics.complain(WARN, "packets were lost")
        start_ns = message.time_base
        gap = None if self._until_ns is None else start_ns - self._until_ns
        if gap is None or not 0 <= gap <= EPISODE_GAP_NS:
            self._backend.reset()
            self.diagnostics.count("episodes")
        elif gap >= self._step_ns:
            steps = gap // self._step_ns
            self._backend.run(SpikeTrain(np.zeros(steps + 1, np.int64), np.empty(0, np.int32)))
            self.diagnostics.count("steps_without_input", steps)
        self._until_ns = start_ns + spikes.n_steps * self._step_ns
        output = self._backend.run(spikes)
        packet = spikes_to_packet(
            output, self._backend.n_outputs, self._hash, to_ns(message.header.stamp), start_ns, message.seq
        )
        self._publisher.publish(packet)
        self.diagnostics.values["answered_ns"] = to_ns(message.header.stamp)
        self.diagnostics.count("packets")

    def diagnose(self) -> None:
        """Tell of the work done since the last reset."""
        if self.active or self.diagnostics.counts:
            self.diagnostics.values |= {"lost": self._sequence.lost, "network": self._hash[:HASH_DIGITS]}
            tell_work(self.diagnostics, self._backend.stats(), self._step_ns)


def main() -> None:
    """Run the node."""
    run(NeuromorphicNode)


if __name__ == "__main__":
    main()
