# SPDX-License-Identifier: Apache-2.0
"""Rounding of weights that keeps the currents on sample spikes, not each weight by itself.

Weights are rounded source by source; what a synapse loses is made up for by the synapses of sources that are not
rounded yet and spike with it. This is optimal brain surgery in one pass (Frantar et al., GPTQ, 2022,
arXiv:2210.17323), with filtered spikes for the inputs: the voltage feels a spike through both decays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky

from ..spiking.graph import Connection, Correlation, CubaPopulation, Linear
from ..types import SpikeTrain

#: Share of the mean square that is added to that of every source, so that the samples are not taken too literally.
DAMPING = 0.3
#: More sources than this are rounded to the nearest; the inverse grows with their cube.
MOST_SOURCES = 2048
#: Membranes that leak less are taken to leak so much, for spikes reset them.
LEAST_LEAK = 0.05


@dataclass(frozen=True, slots=True)
class Grid:
    """What the weights of a connection may be: ``step`` times an integer in ``low .. high``."""

    step: float
    low: int
    high: int


def can_compensate(incoming: Sequence[Connection]) -> bool:
    """Whether there are few enough sources, and none of the connections is a convolution."""
    n_sources = sum(c.shape[1] for c in incoming)
    return 0 < n_sources <= MOST_SOURCES and not any(isinstance(c, Correlation) for c in incoming)


class Compensation:
    """What the spikes of a population's sources have in common.

    Args:
        p: the population.
        incoming: connections into it, none of them a convolution.
        trains: spikes of the source of each.
    """

    def __init__(self, p: CubaPopulation, incoming: Sequence[Connection], trains: Sequence[SpikeTrain]) -> None:
        self._counts = [c.shape[1] for c in incoming]
        traces = [_felt(train, n, p) for train, n in zip(trains, self._counts, strict=True)]
        joined = np.concatenate(traces, axis=1)
        hessian = joined.T @ joined / len(joined)
        active = np.diag(hessian) > 0
        typical = float(np.diag(hessian)[active].mean()) if active.any() else 1.0
        hessian[np.diag_indices_from(hessian)] += DAMPING * typical + np.where(active, 0, typical)
        # The busiest first, while all others can make up for them.
        self._order = np.argsort(-np.diag(hessian), kind="stable")
        self._factor = cholesky(np.linalg.inv(hessian[np.ix_(self._order, self._order)]))

    def round(self, incoming: Sequence[Connection], grids: Sequence[Grid]) -> list[np.ndarray]:
        """The weights of every connection on its grid, such that the currents change little.

        Args:
            incoming: the connections, perhaps with other weights.
            grids: of each.

        Returns:
            float64, shapes of the weights; what was 0 stays 0.
        """
        order, factor = self._order, self._factor
        weights, masks = zip(*(_matrix(c) for c in incoming), strict=True)
        step, low, high = (
            np.repeat([getattr(g, name) for g in grids], self._counts)[order] for name in ("step", "low", "high")
        )
        w, mask = np.concatenate(weights, axis=1)[:, order], np.concatenate(masks, axis=1)[:, order]
        for i in range(w.shape[1]):
            rounded = step[i] * np.clip(np.rint(w[:, i] / step[i]), low[i], high[i])
            rounded[~mask[:, i]] = 0
            error = (w[:, i] - rounded) / factor[i, i]
            w[:, i] = rounded
            w[:, i + 1 :] -= np.outer(error, factor[i, i + 1 :]) * mask[:, i + 1 :]
        back = np.empty_like(w)
        back[:, order] = w
        parts = np.split(back, np.cumsum(self._counts)[:-1], axis=1)
        return [
            part if isinstance(c, Linear) else part[c.synapses()[1], c.synapses()[0]]
            for c, part in zip(incoming, parts, strict=True)
        ]


def _matrix(c: Connection) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``(n_target, n_source)``, and where there are synapses."""
    source, target, weight = c.synapses()
    matrix = np.zeros(c.shape)
    matrix[target, source] = weight
    return matrix, matrix != 0


def _felt(train: SpikeTrain, n: int, p: CubaPopulation) -> np.ndarray:
    """Spikes as a membrane without threshold feels them, float64 ``(n_steps, n)``."""
    spikes = train.to_dense(n)
    keep_u, keep_v = 1 - float(p.du.mean()), 1 - max(float(p.dv.mean()), LEAST_LEAK)
    u, v, felt = np.zeros(n), np.zeros(n), np.empty(spikes.shape)
    for t in range(len(spikes)):
        u = keep_u * u + spikes[t]
        v = keep_v * v + u
        felt[t] = v
    return felt
