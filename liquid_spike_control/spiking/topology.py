# SPDX-License-Identifier: Apache-2.0
"""Who reaches whom in a reservoir, and how late: by distance on a grid, as a small world, or with one probability.

``distance``
    Neurons on a cubic grid with a spacing of 1. A synapse from i to j exists with the probability
    ``C exp(-(D(i, j) / reach)^2)``, C being 0.3, 0.2, 0.4, 0.1 from excitatory to excitatory, excitatory to
    inhibitory, inhibitory to excitatory and inhibitory to inhibitory neurons. Its delay grows with the distance.
    Maass, Natschlaeger, Markram: "Real-time computing without stable states", Neural Computation 14(11), 2002.
``small-world``
    Neurons on a ring that reach ``degree`` nearest ones, each synapse's target replaced by a random one with the
    probability ``rewired``. Delays are drawn. Watts, Strogatz: "Collective dynamics of small-world networks", 1998.
``uniform``
    Each neuron reaches every other one with the probability ``degree / (n - 1)``. Delays are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ..errors import ModelError

Topology = Literal["distance", "small-world", "uniform"]
TOPOLOGIES: tuple[str, ...] = get_args(Topology)
#: C of Maass et al. 2002: ``[source inhibitory][target inhibitory]``.
DENSITY = np.array([[0.3, 0.2], [0.4, 0.1]])


@dataclass(frozen=True, eq=False)
class Wires:
    """Synapses without weights. Three int64 arrays ``(n_synapses,)``, no neuron reaching itself."""

    sources: np.ndarray
    targets: np.ndarray
    delays: np.ndarray


def wires(
    topology: str,
    inhibitory: np.ndarray,
    rng: np.random.Generator,
    degree: int = 20,
    reach: float = 2.0,
    rewired: float = 0.1,
    delays: np.ndarray | None = None,
) -> Wires:
    """Draw the synapses of a reservoir.

    Args:
        topology: one of :data:`TOPOLOGIES`.
        inhibitory: which neurons are, bool ``(n,)``.
        rng: its numbers decide everything.
        degree: synapses that leave a neuron, of small worlds and uniform wiring.
        reach: distance at which the density has fallen to 1/e, in spacings of the grid.
        rewired: part of a small world's synapses that go anywhere.
        delays: those that there are, int64, ascending [extra steps]; none if not given.

    Raises:
        ModelError: the topology is unknown, or there is no synapse.
    """
    n, delays = len(inhibitory), np.zeros(1, np.int64) if delays is None else delays
    if topology not in TOPOLOGIES:
        raise ModelError(f"topology {topology} is unknown; use one of {', '.join(TOPOLOGIES)}")
    degree = min(degree, n - 1)
    if topology == "distance":
        places = _grid(n)
        away = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1))
        density = DENSITY[inhibitory.astype(int)[:, None], inhibitory.astype(int)]
        reached = rng.random((n, n)) < density * np.exp(-((away / reach) ** 2))
        np.fill_diagonal(reached, False)
        sources, targets = np.nonzero(reached)
        # As many synapses have each delay, the nearest ones the shortest.
        rank = np.argsort(np.argsort(away[sources, targets], kind="stable"), kind="stable")
        late = delays[rank * len(delays) // max(len(rank), 1)]
        found = Wires(sources.astype(np.int64), targets.astype(np.int64), late)
    else:
        sources, targets = _ring(n, degree, rewired, rng) if topology == "small-world" else _uniform(n, degree, rng)
        found = Wires(sources, targets, rng.choice(delays, len(sources)))
    if not len(found.sources):
        raise ModelError(f"a {topology} topology of {n} neurons has no synapse; give more neurons or a longer reach")
    return found


def _grid(n: int) -> np.ndarray:
    """Places of n neurons on a nearly cubic grid, float64 ``(n, 3)``."""
    side = int(np.ceil(n ** (1 / 3) - 1e-9))
    index = np.arange(n)
    return np.stack([index % side, index // side % side, index // side**2], 1).astype(float)


def _ring(n: int, degree: int, rewired: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    # Neighbours on both sides in turn: +1, -1, +2, -2, ...
    steps = np.array([(k // 2 + 1) * (1 if k % 2 == 0 else -1) for k in range(degree)])
    sources = np.repeat(np.arange(n), degree)
    targets = (sources + np.tile(steps, n)) % n
    for i in range(n):
        mine = np.arange(i * degree, (i + 1) * degree)
        moved = mine[rng.random(degree) < rewired]
        free = np.setdiff1d(np.arange(n), [i, *targets[np.setdiff1d(mine, moved)]])
        targets[moved] = rng.choice(free, len(moved), replace=False)
    return sources, targets


def _uniform(n: int, degree: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    reached = rng.random((n, n)) < degree / max(n - 1, 1)
    np.fill_diagonal(reached, False)
    sources, targets = np.nonzero(reached)
    return sources.astype(np.int64), targets.astype(np.int64)
