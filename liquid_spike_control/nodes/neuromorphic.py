# SPDX-License-Identifier: Apache-2.0
"""The offload node: address-event spikes in, the spiking network on a neuromorphic backend, spikes out."""

from __future__ import annotations

import time

import numpy as np
from event_camera_msgs.msg import EventPacket

from ..errors import GraphError, LiquidSpikeError, ModelError
from ..events.codec import PacketSequence
from ..neuromorphic.backend import Backend
from ..neuromorphic.model import read_model
from ..types import SpikeTrain
from . import graph
from .convert import HASH_DIGITS, MAX_STEPS, packet_to_spikes, spikes_to_packet, to_ns
from .diagnostics import ERROR, WARN
from .graph_node import EPISODE_GAP_NS, GraphNode
from .network import load_backend, report_work
from .process import run


class NeuromorphicNode(GraphNode):
    """Steps the network by the steps of each packet on /neuromorphic/input and answers on
    /neuromorphic/output.

    Packets of another network (by the hash in ``frame_id``), malformed ones and those of more than ``max_steps``
    steps are refused and counted. Steps that a lost packet held are run without input, so that the network's time
    stays the world's.

    Another network is loaded without a new process: deactivate, cleanup, set ``model``, configure, activate.
    """

    def __init__(self) -> None:
        super().__init__("neuromorphic")
        self._backend: Backend | None = None
        self.parameter("model", "", "path of the network: .nir, .net, .h5 or .safetensors", fixed=False)
        self.parameter("perception_model", "", "the same, where model is empty", fixed=False)
        self.parameter("preset", "", "whose discretisation a foreign .nir follows", fixed=False)
        self.parameter("dt", 0.0, "step of a foreign .nir in its own unit; 0: the preset's", 0.0, 1e3, fixed=False)
        self.parameter("step_s", 0.0, "length of a step [s]; 0: the file's", 0.0, 10.0, fixed=False)
        self.parameter("backend", "loihi", "what runs the network", choices=graph.SIMULATORS, fixed=False)
        self._max_steps = self.parameter("max_steps", MAX_STEPS, "most steps of a packet", 1, 1_000_000)

    def configure(self) -> None:
        """Read the network, load it onto the backend, warm the kernels."""
        file, preset, dt, step_s = (
            self._value("model") or self._value("perception_model"),
            *(self._value(name) or None for name in ("preset", "dt", "step_s")),
        )
        if not file:
            raise GraphError("parameter model: it is empty; give the path of a network")
        model = read_model(file, preset, dt, step_s)
        if model.step_s is None:
            raise ModelError(f"{file}: it does not contain the length of a step; give parameter step_s")
        self._hash, self._step_ns = model.hash, round(model.step_s * 1e9)
        self._kind = self._value("backend")
        self._backend = load_backend(model, self._kind)
        self._publisher = self.add_publisher(EventPacket, graph.relative(graph.SPIKES_OUT))
        self.add_subscription(EventPacket, graph.relative(graph.SPIKES_IN), self._on_spikes)
        self.get_logger().info(f"{file} ({self._hash[:HASH_DIGITS]}) on {self._kind}")
        for note in model.notes:
            self.get_logger().warning(note)

    def _value(self, name: str):
        return self.get_parameter(name).value

    def release(self) -> None:
        """Close the backend and its process."""
        if self._backend is not None:
            self._backend.__exit__(None, None, None)
            self._backend = None

    def activate(self) -> None:
        """Begin an episode."""
        self._until_ns: int | None = None
        self._sequence = PacketSequence()
        self._busy_ns, self._told = 0, time.monotonic_ns()
        assert self._backend is not None
        self._backend.reset()

    def _on_spikes(self, message: EventPacket) -> None:
        backend = self._backend
        if backend is None:
            self.diagnostics.count("unanswered")
            return
        try:
            spikes = packet_to_spikes(message, backend.n_inputs, self._hash, self._max_steps)
            if message.header.stamp.nanosec >= 10**9:
                raise ValueError(f"a stamp with {message.header.stamp.nanosec} ns")
        except ValueError as error:
            self.diagnostics.count("refused")
            self.diagnostics.complain(ERROR, f"packet refused: {error}")
            return
        lost = self._sequence.lost
        self._sequence.update(message.seq)
        if self._sequence.lost > lost:
            self.diagnostics.complain(WARN, "packets were lost")
        began = time.perf_counter_ns()
        try:
            output = self._advance(backend, message.time_base, spikes)
        except LiquidSpikeError as error:  # another simulator, which may hang or die; ours cannot
            self.get_logger().error(str(error))
            self.release()
            self.diagnostics.count("unanswered")
            return
        self._busy_ns += time.perf_counter_ns() - began
        stamp_ns = to_ns(message.header.stamp)
        packet = spikes_to_packet(
            output, backend.n_outputs, self._hash, stamp_ns, message.time_base, message.seq
        )
        self._publisher.publish(packet)
        self.diagnostics.count("packets")
        self.answered(stamp_ns)

    def _advance(self, backend: Backend, start_ns: int, spikes: SpikeTrain) -> SpikeTrain:
        """Run the steps of a packet, and before them those that were lost."""
        gap = None if self._until_ns is None else start_ns - self._until_ns
        if gap is None or not 0 <= gap <= min(EPISODE_GAP_NS, self._max_steps * self._step_ns):
            backend.reset()
            self.diagnostics.count("episodes")
        elif gap >= self._step_ns:
            steps = gap // self._step_ns
            backend.run(SpikeTrain(np.zeros(steps + 1, np.int64), np.empty(0, np.int32)))
            self.diagnostics.count("steps_without_input", steps)
        self._until_ns = start_ns + spikes.n_steps * self._step_ns
        return backend.run(spikes)

    def diagnose(self) -> None:
        """Report the load and the work done since the last reset."""
        if self._backend is None:
            if self.active:
                self.diagnostics.complain(ERROR, "the backend has failed; configure the node again")
            return
        if not self.active and not self.diagnostics.counts:
            return
        now = time.monotonic_ns()
        load = self._busy_ns / max(now - self._told, 1)
        self._busy_ns, self._told = 0, now
        counts = self.diagnostics.counts
        self.diagnostics.values |= {
            "network": self._hash[:HASH_DIGITS],
            "backend": self._kind,
            "load": f"{load:.4f}",
            "lost": self._sequence.lost,
            "duplicated": self._sequence.duplicated,
            "refused": counts.get("refused", 0),
        }
        report_work(self.diagnostics, self._backend.stats(), self._step_ns)


def main() -> None:
    """Run the node."""
    run(NeuromorphicNode)


if __name__ == "__main__":
    main()
