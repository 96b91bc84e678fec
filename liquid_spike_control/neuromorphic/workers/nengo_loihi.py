# SPDX-License-Identifier: Apache-2.0
"""nengo-loihi's emulator, below Nengo: blocks of compartments given as the integers that the chip would hold.

Weights go in as they act (nengo-loihi's own discretisation starts from floats), so what is compared is the neurons:
decays, overflow, bias, threshold, refractory period. Imported by the worker's interpreter only.
"""

from __future__ import annotations

import time
import types
from importlib.metadata import version

import numpy as np

from .recording import Recording

_V_MAX = 2**23 - 1


class Simulator:
    """One network; a step is one call of the emulator's ``step``."""

    def __init__(self, network: dict) -> None:
        self._network = network
        self.versions = {name: version(name) for name in ("nengo-loihi", "nengo", "numpy")}
        self.reset()

    @classmethod
    def open(cls, network: dict) -> Simulator:
        """Build a network."""
        return cls(network)

    def reset(self) -> None:
        """Rebuild the network: the emulator cannot be rewound."""
        from nengo_loihi.block import Axon, LoihiBlock, Synapse
        from nengo_loihi.emulator import EmulatorInterface
        from nengo_loihi.inputs import SpikeInput

        network = self._network
        blocks, first = [], 0
        self._slices = []
        for p in network["populations"]:
            block = LoihiBlock(p["n"], label=p["name"])
            compartment = block.compartment
            for ours, theirs in (("du", "decay_u"), ("dv", "decay_v"), ("bias", "bias")):
                setattr(compartment, theirs, p[ours].astype(np.int32))
            compartment.vth = (p["vth"] << 6).astype(np.int32)
            compartment.refract_delay = p["refractory"].astype(np.int32)
            compartment.vmin, compartment.vmax = -_V_MAX, _V_MAX
            compartment.scale_u = compartment.scale_v = False
            blocks.append(block)
            self._slices.append(slice(first, first + p["n"]))
            first += p["n"]
        self._input = SpikeInput(network["n_inputs"])
        for c in network["connections"]:
            if not c["synapses"].any():  # nengo-loihi takes the logarithm of how many there are
                continue
            source = self._input if c["source"] < 0 else blocks[c["source"]]
            n = network["n_inputs"] if c["source"] < 0 else network["populations"][c["source"]]["n"]
            order = np.argsort(c["sources"], kind="stable")
            ends = np.searchsorted(c["sources"][order], np.arange(1, n))
            rows = [np.split(x[order], ends) for x in (c["synapses"] << (c["shift"] + 6), c["targets"])]
            synapse = Synapse(n)
            synapse._set_weights_indices(rows[0], rows[1], weight_dtype=np.int32)
            blocks[c["target"]].add_synapse(synapse)
            axon = Axon(n)
            axon.target = synapse
            axon.set_compartment_axon_map(np.arange(n))
            source.add_axon(axon)
        model = types.SimpleNamespace(blocks=blocks, inputs=[self._input], probes=[], dt=0.001)
        self._emulator = EmulatorInterface(model, seed=0)
        self._emulator.compartment.ref_count[:] = np.concatenate([p["start"] for p in network["populations"]])

    def run(self, indptr: np.ndarray, ids: np.ndarray, state: bool) -> dict:
        """Advance; see :mod:`.serve` for the answer."""
        compartment = self._emulator.compartment
        record = Recording([p["n"] for p in self._network["populations"]], state)
        for k in range(len(indptr) - 1):
            # nengo-loihi counts steps from 1, and a spike given for step t acts in step t + 1.
            self._input.add_spikes(self._emulator.t + 1, ids[indptr[k] : indptr[k + 1]])
            self._emulator.step()
            record.add_spikes([np.flatnonzero(compartment.spiked[s]) for s in self._slices], time.monotonic_ns())
            if state:
                record.add_u([compartment.current[s].copy() for s in self._slices])
                record.add_v([compartment.voltage[s].copy() for s in self._slices])
        return record.answer()

    def close(self) -> None:
        """End the emulator."""
        self._emulator.close()
