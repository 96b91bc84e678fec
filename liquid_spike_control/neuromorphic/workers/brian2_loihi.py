# SPDX-License-Identifier: Apache-2.0
"""Brian2Loihi (Michaelis et al. 2022, 10.3389/fninf.2022.1015624), on Brian2's NumPy target.

Weights go in as mantissas, with the number of bits, the exponent and the sign mode: their rule is what is compared.
Imported by the worker's interpreter only.
"""

from __future__ import annotations

import time
from importlib.metadata import version

import numpy as np

from .recording import Recording


class Simulator:
    """One network; Brian's clock runs at 1 ms a step."""

    def __init__(self, network: dict) -> None:
        self._network = network
        self.versions = {name: version(name) for name in ("brian2-loihi", "Brian2", "numpy")}
        self.reset()

    @classmethod
    def open(cls, network: dict) -> Simulator:
        """Build a network."""
        return cls(network)

    def reset(self) -> None:
        """Rebuild the network."""
        import brian2
        import brian2_loihi

        brian2.prefs.codegen.target = "numpy"
        brian2.device.reinit()
        brian2.device.activate()
        network, self._now, self._brian = self._network, 0, brian2
        nothing = np.empty(0, int)
        self._input = brian2_loihi.LoihiSpikeGeneratorGroup(network["n_inputs"], nothing, nothing)
        self._groups = [
            brian2_loihi.LoihiNeuronGroup(
                p["n"],
                refractory=max(1, int(p["refractory"][0])),
                threshold_v_mant=int(p["vth"][0]),
                decay_v=int(p["dv"][0]),
                decay_I=int(p["du"][0]) + 1,
            )
            for p in network["populations"]
        ]
        synapses = []
        for c in network["connections"]:
            w = c["weights"]
            sign = 2 if w.min(initial=0) >= 0 else 3 if w.max(initial=0) <= 0 else 1
            source = self._input if c["source"] < 0 else self._groups[c["source"]]
            for delay in np.unique(c["delays"]):
                some = c["delays"] == delay
                group = brian2_loihi.LoihiSynapses(
                    source,
                    self._groups[c["target"]],
                    delay=int(delay),
                    w_exp=c["weight_exp"],
                    sign_mode=sign,
                    num_weight_bits=c["num_weight_bits"],
                )
                group.connect(i=c["sources"][some], j=c["targets"][some])
                group.w = w[some]
                synapses.append(group)
        # The current is that of a step between the synapses and the decay, which Brian2Loihi does last.
        current = brian2.NetworkOperation(self._see_current, when="groups", order=-1)
        end = brian2.NetworkOperation(self._see_end, when="end")
        start = brian2.NetworkOperation(self._resume, when="start")
        self._spiked: list[np.ndarray] | None = None
        self._run = brian2_loihi.LoihiNetwork(self._input, *self._groups, *synapses, start, current, end)
        self._record = Recording([], state=False)
        self._late = nothing

    def _resume(self) -> None:
        """Brian clears the spikes of a run's last step before the synapses have seen them."""
        if self._spiked is not None:
            for group, spiked in zip(self._groups, self._spiked, strict=True):
                group.variables["_spikespace"].get_value()[:] = spiked
            self._spiked = None

    def _see_current(self) -> None:
        if self._record.state:
            self._record.add_u([g.I[:] for g in self._groups])

    def _see_end(self) -> None:
        self._last = [group.variables["_spikespace"].get_value().copy() for group in self._groups]
        self._record.add_spikes([np.array(g.spikes) for g in self._groups], time.monotonic_ns())
        if self._record.state:
            self._record.add_v([g.v[:] for g in self._groups])

    def run(self, indptr: np.ndarray, ids: np.ndarray, state: bool) -> dict:
        """Advance; see :mod:`.serve` for the answer."""
        n_steps = len(indptr) - 1
        self._record = Recording([p["n"] for p in self._network["populations"]], state)
        # Our input of step k acts in k + 1, and Brian's generators act in the step of the spike: they fire one step
        # later, the last of a run in the next.
        ids = np.concatenate([self._late, ids])
        steps = np.repeat(np.arange(n_steps + 1), np.concatenate([[len(self._late)], np.diff(indptr)]))
        self._late = ids[steps == n_steps]
        self._input.set_spikes(ids, (self._now + steps) * self._brian.ms)
        self._run.run(n_steps)
        self._now += n_steps
        self._spiked = self._last
        return self._record.answer()

    def close(self) -> None:
        """Nothing to end."""
