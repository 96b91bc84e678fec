# SPDX-License-Identifier: Apache-2.0
"""What of a float graph Loihi 1 cannot do, however fine the integers: the exact remedy where there is one."""

from __future__ import annotations

import numpy as np

from .graph import SpikingGraph

#: Most extra steps of a synapse (Davies et al. 2018, IEEE Micro 38(1)).
MOST_DELAY = 62


def loihi_obstacles(graph: SpikingGraph) -> list[str]:
    """One line for each: population or connection, reason, remedy. An empty list lets the graph be quantised.

    Thresholds that count from above or at, and neurons that never spike, are no obstacles: integers have both.
    """
    found = []
    for name, p in graph.populations.items():
        if not p.spiking:
            continue
        if p.reset == "subtract" and (p.dv < 1).any():
            found.append(f"{name}: a spike subtracts the threshold, Loihi's resets to 0; train it with a reset to zero")
        if ((p.du > 0) & (p.du < 0.5 / 4096)).any() or ((p.dv > 0) & (p.dv < 0.5 / 4096)).any():
            found.append(f"{name}: a time constant beyond 8192 steps, which 12 bits make endless; take a longer step")
    for c in graph.connections:
        longest = int(np.max(c.delay, initial=0))
        if longest > MOST_DELAY:
            where = f"{c.source} -> {c.target}"
            found.append(f"{where}: a delay of {longest} steps, the limit is {MOST_DELAY}; take a longer step")
    return found
