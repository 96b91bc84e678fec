# SPDX-License-Identifier: Apache-2.0
"""Run a NIR network on Loihi's arithmetic, and compare it with its floating-point original.

    python examples/nir_network.py [NETWORK.nir [PRESET]]

PRESET names the framework that wrote the file, whose conventions NIR leaves open: snntorch, norse, sinabs, ...
Without a file, the pencil's perception is run.
"""

import sys

import liquid_spike_control as lsc
from liquid_spike_control.neuromorphic import compare, random_spikes, write_network
from liquid_spike_control.resources import shipped_model


def main(path: str | None = None, preset: str | None = None, out: str = "network.safetensors"):
    """Quantise, run and compare the network; returns the agreement, layer by layer."""
    model = lsc.read_model(path or shipped_model("pencil/perception.nir"), preset=preset)
    network = lsc.quantise(model.graph)  # 8-bit weights, integer thresholds and decays
    spikes = random_spikes(model.n_inputs, rate=50.0, steps=1000, dt=1e-3, seed=0)
    emulator = lsc.emulate(network)
    output = emulator.run(spikes)
    stats = emulator.stats()
    print(f"{len(spikes.ids)} spikes in, {len(output.ids)} out, {stats.synaptic_operations} synaptic operations")
    write_network(out, network, {"step_s": 1e-3})  # `liquid-spike neuromorphic run network.safetensors`
    agreement = compare(model.graph, network, spikes)
    print(agreement)
    return agreement


if __name__ == "__main__":
    main(*sys.argv[1:3])
