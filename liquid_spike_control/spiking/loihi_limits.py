# SPDX-License-Identifier: Apache-2.0
"""Features of a float graph that Loihi lacks with any integers, or that need Loihi 2's programmable neuron."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .graph import CubaPopulation, SpikingGraph

#: Most extra steps of a synapse (Davies et al. 2018, IEEE Micro 38(1)).
MOST_DELAY = 62


def unsupported_on_loihi(graph: SpikingGraph) -> list[str]:
    """One line for each: population or connection, reason, remedy. An empty list lets the graph be quantised.

    Thresholds that count from above or at, and neurons that never spike, are supported: integers have both.
    :func:`programmable_neurons` names what Loihi 1 does not run.
    """
    found = []
    for name, p in graph.populations.items():
        if not p.spiking:
            continue
        if ((p.du > 0) & (p.du < 0.5 / 4096)).any() or ((p.dv > 0) & (p.dv < 0.5 / 4096)).any():
            found.append(f"{name}: a time constant beyond 8192 steps, which 12 bits make endless; take a longer step")
    for c in graph.connections:
        longest = int(np.max(c.delay, initial=0))
        if longest > MOST_DELAY:
            where = f"{c.source} -> {c.target}"
            found.append(
                f"{where}: a delay of {longest} steps, the limit is {MOST_DELAY}; take a longer step, or divide it "
                "among relay neurons; --backend float runs it as it is"
            )
    return found


def needs_program(p: CubaPopulation) -> bool:
    """Whether neurons do what Loihi 1's cannot and Loihi 2's programmable ones can."""
    if not p.spiking:
        return False
    subtracts = p.reset == "subtract" and bool((p.dv < 1).any())
    return subtracts or p.most_spikes > 1 or bool(np.isfinite(p.lowest)) or p.adapts


def programmable_neurons(populations: Mapping[str, CubaPopulation]) -> dict[str, str]:
    """The populations that run on Loihi 2's programmable neuron only, and in a few words why."""
    found = {}
    for name, p in populations.items():
        if needs_program(p):
            why = ["its reset subtracts" if p.drop is None or p.drop.any() else "a spike resets nothing"]
            why = why if p.reset == "subtract" else []
            why += [f"it sends up to {p.most_spikes} spikes a step"] if p.most_spikes > 1 else []
            why += ["its threshold adapts"] if p.adapts else []
            why += [f"its voltage ends at {p.lowest:g}"] if np.isfinite(p.lowest) else []
            found[name] = f"{', '.join(why)}: integers for Loihi 2's programmable neuron, not for Loihi 1"
    return found
