# SPDX-License-Identifier: Apache-2.0
"""Build and step of a large sparse network on the emulator, on one thread and on two.

Run: ``python test/benchmarks/large_network.py [--neurons 1000000] [--synapses 100] [--fraction 0.01]``
"""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np

from liquid_spike_control.neuromorphic.emulator.loihi import LoihiEmulator, LoihiNetwork, Population, Sparse
from liquid_spike_control.types import SpikeTrain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", type=int, default=1_000_000)
    parser.add_argument("--synapses", type=int, default=100, help="from an axon")
    parser.add_argument("--fraction", type=float, default=0.01, help="axons that spike in a step")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    n, fan, rng = options.neurons, options.synapses, np.random.default_rng(0)
    stride = n // fan
    targets = (np.arange(fan) * stride + rng.integers(0, stride, (n, fan))).ravel()
    sources, weights = np.repeat(np.arange(n), fan), 2 * rng.integers(-128, 128, n * fan)
    chosen = [np.sort(rng.choice(n, int(n * options.fraction), replace=False)) for _ in range(options.steps)]
    spikes = SpikeTrain.from_steps(chosen)
    for threads in (1, 2):
        begin = perf_counter()
        synapses = Sparse("input", "a", (n, n), targets, sources, weights)
        network = LoihiNetwork(n, {"a": Population(n, du=1000, dv=200, vth=1500)}, [synapses])
        emulator = LoihiEmulator(network, threads)
        built = perf_counter() - begin
        emulator.run(spikes)  # until currents and voltages are what they stay
        times = []
        for _ in range(options.rounds):
            begin = perf_counter()
            emulator.run(spikes)
            times.append((perf_counter() - begin) / options.steps * 1e3)
        stats = emulator.stats()
        print(
            f"{threads} thread{'s' * (threads > 1)}: {n:,} neurons, {n * fan:,} synapses; build {built:.1f} s; step "
            f"{min(times):.1f} ms (median {np.median(times):.1f}); {stats.spikes / stats.neuron_steps:.2%} of neurons "
            f"spike in a step; {stats.synaptic_operations / stats.steps:,.0f} synaptic operations"
        )
        del emulator, network, synapses


if __name__ == "__main__":
    main()
