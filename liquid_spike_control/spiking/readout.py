# SPDX-License-Identifier: Apache-2.0
"""From spikes to named numbers: leaky sums of weighted spikes, then a linear map. Runs on the host, in
float64."""

from __future__ import annotations

import numpy as np
from numba import njit

from ..errors import ModelError
from ..types import SpikeTrain


@njit(cache=True)
def _advance(indptr, ids, keep, columns, mix, offset, x, y):
    """``x <- keep x + sum of columns[ids]`` a step, then ``y = mix x + offset``; 1 if an id is out of
    range."""
    for k in range(indptr[0], indptr[-1]):
        if ids[k] < 0 or ids[k] >= len(columns):
            return 1
    for step in range(len(indptr) - 1):
        for i in range(len(x)):
            x[i] *= keep[i]
        for k in range(indptr[step], indptr[step + 1]):
            for i in range(len(x)):
                x[i] += columns[ids[k], i]
    for j in range(len(y)):
        total = offset[j]
        for i in range(len(x)):
            total += mix[j, i] * x[i]
        y[j] = total
    return 0


class Readout:
    """Leaky integrators over the output spikes: ``x <- (1 - decay) x + weight s``, features ``y = mix x +
    offset``.

    The spikes of a step count in the same step: unlike a connection between neurons it has no delay.

    Attributes:
        weight: float64 ``(n_x, n_neurons)``.
        decay: float64 ``(n_x,)``, fraction lost in a step, 0 .. 1.
        mix: float64 ``(n_features, n_x)``.
        offset: float64 ``(n_features,)``.

    Raises:
        ModelError: shapes do not meet, or a number is not finite.
    """

    def __init__(self, weight, decay, mix, offset=0.0):
        self.weight = np.asarray(weight, float)
        self.mix = np.asarray(mix, float)
        if self.weight.ndim != 2 or self.mix.ndim != 2 or self.mix.shape[1] != len(self.weight):
            raise ModelError(f"readout: weight {self.weight.shape} and mix {self.mix.shape} do not meet")
        self.decay = np.array(np.broadcast_to(np.asarray(decay, float), len(self.weight)))
        self.offset = np.array(np.broadcast_to(np.asarray(offset, float), len(self.mix)))
        if not all(np.isfinite(a).all() for a in (self.weight, self.decay, self.mix, self.offset)):
            raise ModelError("readout: a weight or decay is not finite")
        if self.decay.min() < 0 or self.decay.max() > 1:
            raise ModelError("readout: decays must lie in 0 .. 1; a time constant is shorter than the step")
        self._keep = 1 - self.decay
        self._columns = np.ascontiguousarray(self.weight.T)
        self._mix = np.ascontiguousarray(self.mix)
        self._x = np.zeros(len(self.weight))

    @property
    def n_neurons(self) -> int:
        """Number of neurons whose spikes it takes."""
        return self.weight.shape[1]

    @property
    def n_features(self) -> int:
        """Number of features it gives."""
        return len(self.mix)

    def reset(self) -> None:
        """Forget all spikes."""
        self._x[:] = 0

    @property
    def state(self) -> np.ndarray:
        """Copy of the leaky sums, float64 ``(n_x,)``; assign it to restore."""
        return self._x.copy()

    @state.setter
    def state(self, state: np.ndarray) -> None:
        self._x[:] = state

    def step(self, spikes: SpikeTrain) -> np.ndarray:
        """Take the spikes of some steps and return the features after the last, float64 ``(n_features,)``.

        Raises:
            ValueError: a neuron is out of range; nothing has then changed.
        """
        y = np.empty(len(self.mix))
        indptr = np.ascontiguousarray(spikes.indptr, np.int64)
        ids = np.ascontiguousarray(spikes.ids, np.int32)
        if _advance(indptr, ids, self._keep, self._columns, self._mix, self.offset, self._x, y):
            raise ValueError(f"spikes must have indices in 0 .. {self.n_neurons - 1}")
        return y
