# SPDX-License-Identifier: Apache-2.0
"""Keep three neurons at their rates while their input changes: learning on the emulator, while it runs.

    python examples/learn_online.py

The delta rule changes a weight at each spike of its source by the difference between the wanted and the actual activity
of the target. After 8,000 steps half of the sources fall silent, and the weights of the others make up for them.
"""

import numpy as np

import liquid_spike_control as lsc
from liquid_spike_control.neuromorphic.emulator.loihi import Dense, LoihiNetwork, Population
from liquid_spike_control.neuromorphic.learning.rules import delta_rule

N_SOURCES, TAU = 30, 50  # sources; time constant of the activity [steps]
WANTED = np.array([0.02, 0.05, 0.08])  # spikes a step
SOURCE_RATE = 0.05  # spikes a step


def source_spikes(rng: np.random.Generator, n_steps: int, n_active: int) -> lsc.SpikeTrain:
    """Poisson spikes of the first ``n_active`` sources."""
    spikes = rng.random((n_steps, N_SOURCES)) < SOURCE_RATE
    return lsc.SpikeTrain.from_dense(spikes & (np.arange(N_SOURCES) < n_active))


def main(seed: int = 0) -> dict[str, np.ndarray]:
    """Learn, fade the input, learn on; returns the rates [spikes a step] of the targets in each phase."""
    rule = delta_rule(rate=1 / 4, tau=TAU, sign="mixed")
    network = LoihiNetwork(
        n_inputs=N_SOURCES,
        populations={"target": Population(len(WANTED), du=800, dv=300, vth=1200)},
        connections=[Dense("input", "target", np.full((len(WANTED), N_SOURCES), 40), learning=rule)],
    )
    emulator = lsc.emulate(network)
    synapses = emulator.plastic[0]
    synapses.reinforce(16 * WANTED * TAU)  # the wanted activity, in units of the trace
    rng, rates = np.random.default_rng(seed), {}
    for phase, n_active, n_steps in (
        ("before learning", 30, 500), ("learnt", 30, 7500), ("input faded", 15, 500), ("learnt again", 15, 7500),
    ):  # fmt: skip
        output = emulator.run(source_spikes(rng, n_steps, n_active)).to_dense(len(WANTED))
        rates[phase] = output[-4000:].mean(axis=0)
        weights = synapses.weights[:, :n_active].mean(axis=1)
        print(f"{phase:16} rates {rates[phase].round(3)}  wanted {WANTED}  mean weights {weights.round(1)}")
    return rates


if __name__ == "__main__":
    main()
