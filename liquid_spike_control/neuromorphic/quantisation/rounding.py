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
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import cholesky

from ...spiking.graph import Connection, Correlation, CubaPopulation, Synapses
from ...types import SpikeTrain

#: Share of the mean square that is added to that of every source, so that the samples are not taken too literally.
DAMPING = 0.3
#: More sources than this are rounded to the nearest; the inverse grows with their cube.
MOST_SOURCES = 2048
#: Membranes that leak less are taken to leak so much, for spikes reset them.
LEAST_LEAK = 0.05
#: Samples are thinned out beyond so many numbers.
MOST_NUMBERS = 1 << 24


@dataclass(frozen=True, slots=True)
class Grid:
    """Allowed weights of a connection: ``step`` times an integer in ``low .. high``."""

    step: float
    low: int
    high: int


def can_compensate(incoming: Sequence[Connection]) -> bool:
    """Whether there are few enough sources, and a convolution is the only connection."""
    if len(incoming) > 1 and any(isinstance(c, Correlation) for c in incoming):
        return False
    return 0 < sum(_n_sources(c) for c in incoming) <= MOST_SOURCES


def _n_sources(c: Connection) -> int:
    """Of one neuron; for a convolution the pixels under its kernel."""
    return c.weight[0].size if isinstance(c, Correlation) else c.shape[1]


class Compensation:
    """Statistics of the spikes of a population's sources.

    Args:
        p: the population.
        incoming: connections into it, for which :func:`can_compensate`.
        trains: spikes of the source of each.
    """

    def __init__(self, p: CubaPopulation, incoming: Sequence[Connection], trains: Sequence[SpikeTrain]) -> None:
        self._counts = [_n_sources(c) for c in incoming]
        places = incoming[0].shape[0] // len(incoming[0].weight) if isinstance(incoming[0], Correlation) else 1
        every = max(1, trains[0].n_steps * places * sum(self._counts) // MOST_NUMBERS)
        joined = np.concatenate([_felt(train, c, p, every) for train, c in zip(trains, incoming, strict=True)], axis=1)
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
        return [_from_matrix(c, part) for c, part in zip(incoming, parts, strict=True)]


def _matrix(c: Connection) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``(n_target, n_source)``, a kernel's ``(C_out, C_in K L)``, and where there are synapses."""
    if isinstance(c, Synapses):
        matrix = np.zeros(c.shape)
        matrix[c.targets, c.sources] = c.weight
    else:
        matrix = c.weight.reshape(len(c.weight), -1)
    return matrix, matrix != 0


def _from_matrix(c: Connection, matrix: np.ndarray) -> np.ndarray:
    return matrix[c.targets, c.sources] if isinstance(c, Synapses) else matrix.reshape(c.weight.shape)


def _felt(train: SpikeTrain, c: Connection, p: CubaPopulation, every: int) -> np.ndarray:
    """Spikes as membranes without threshold feel them, float64 ``(n_samples, n_sources)``: in every so many steps one
    sample, or one for each place of a kernel."""
    keep_u, keep_v = 1 - float(p.du.mean()), 1 - max(float(p.dv.mean()), LEAST_LEAK)
    u, v = np.zeros(c.shape[1]), np.zeros(c.shape[1])
    felt = []
    for t in range(train.n_steps):
        u *= keep_u
        u[train.step(t)] += 1
        v = keep_v * v + u
        if t % every == 0:
            felt.append(v)
    return _patches(c, np.array(felt)) if isinstance(c, Correlation) else np.array(felt)


def _patches(c: Correlation, felt: np.ndarray) -> np.ndarray:
    """Return the values under the kernel at every place, ``(n_samples, C_in K L)``."""
    channels, height, width = c.input_shape
    if c.channels_first:
        image = felt.reshape(-1, channels, height, width)
    else:
        image = felt.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
    image = np.pad(image, ((0, 0), (0, 0), *((p, p) for p in c.padding)))
    windows = sliding_window_view(image, c.weight.shape[2:], axis=(2, 3))[:, :, :: c.stride[0], :: c.stride[1]]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, c.weight[0].size)
