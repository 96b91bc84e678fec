# SPDX-License-Identifier: Apache-2.0
"""Leaky rates of every neuron, with every time constant: the features that a reservoir is read by.

Feature ``k n + i`` is the rate of neuron i in spikes a step, a leaky sum with the time constant k: what a spike adds is
``d = 1 - exp(-1 / tau)``, and d is lost in a step. Sums, to which a spike adds 1, are the same but for a factor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from ..errors import ModelError
from ..types import SpikeTrain
from .readout import Readout


@njit(cache=True)
def _advance(indptr, ids, decay, gain, n, x):
    """All features, step by step; 1 if an id is out of range, and nothing has then changed."""
    for k in range(indptr[0], indptr[-1]):
        if ids[k] < 0 or ids[k] >= n:
            return 1
    for step in range(len(indptr) - 1):
        for i in range(len(x)):
            x[i] *= 1 - decay[i]
        for k in range(indptr[step], indptr[step + 1]):
            for i in range(ids[k], len(x), n):
                x[i] += gain[i]
    return 0


class LeakyFeatures:
    """The features of a stream of spikes.

    Args:
        n_neurons: that spike.
        taus: time constants [steps], positive.
    """

    def __init__(self, n_neurons: int, taus: Sequence[float]) -> None:
        self.n_neurons, self.taus = n_neurons, tuple(float(tau) for tau in taus)
        if not self.taus or not all(0 < tau < np.inf for tau in self.taus):
            raise ModelError(f"readout: time constants {self.taus}; give finite ones above 0")
        self._decay = np.repeat(-np.expm1(-1 / np.array(self.taus)), n_neurons)
        self._gain = self._decay
        self._x = np.zeros(self.n)

    @classmethod
    def sums(cls, n_neurons: int, decay: np.ndarray) -> LeakyFeatures:
        """Leaky sums to which a spike adds 1.

        Args:
            n_neurons: that spike.
            decay: what a sum loses in a step, one a time constant.
        """
        features = cls(n_neurons, -1 / np.log1p(-decay))
        features._decay = np.repeat(decay, n_neurons)
        features._gain = np.ones(features.n)
        return features

    @property
    def n(self) -> int:
        """Number of features."""
        return self.n_neurons * len(self.taus)

    def reset(self) -> None:
        """Forget all spikes."""
        self._x[:] = 0

    def step(self, spikes: SpikeTrain) -> np.ndarray:
        """Take the spikes of some steps and return the features after the last, float64 ``(n,)``.

        Raises:
            ValueError: a neuron is out of range; nothing has then changed.
        """
        indptr, ids = np.ascontiguousarray(spikes.indptr, np.int64), np.ascontiguousarray(spikes.ids, np.int32)
        if _advance(indptr, ids, self._decay, self._gain, self.n_neurons, self._x):
            raise ValueError(f"spikes must have indices in 0 .. {self.n_neurons - 1}")
        return self._x.copy()

    @property
    def state(self) -> np.ndarray:
        """Copy of the features; assign it to restore."""
        return self._x.copy()

    @state.setter
    def state(self, state: np.ndarray) -> None:
        self._x[:] = state

    def readout(self, weights: np.ndarray, offset: np.ndarray) -> Readout:
        """The readout ``weights features + offset`` with one leaky sum an output and time constant.

        Args:
            weights: ``(n_outputs, n)``.
            offset: ``(n_outputs,)``.
        """
        n_outputs, n_taus = len(weights), len(self.taus)
        rows = (weights * self._gain).reshape(n_outputs * n_taus, self.n_neurons)
        decay = np.tile(self._decay[:: self.n_neurons], n_outputs)
        mix = np.repeat(np.eye(n_outputs), n_taus, axis=1)
        return Readout(rows, decay, mix, offset)

    @classmethod
    def of_readout(cls, readout: Readout) -> tuple[LeakyFeatures, np.ndarray, np.ndarray]:
        """The features of a readout that :meth:`readout` gave, with its weights and offset.

        Raises:
            ModelError: it is of another form.
        """
        n_outputs = readout.n_features
        n_taus, rest = divmod(len(readout.weight), n_outputs)
        same = rest == 0 and np.array_equal(readout.mix, np.repeat(np.eye(n_outputs), n_taus, axis=1))
        if not same or not np.array_equal(readout.decay, np.tile(readout.decay[:n_taus], n_outputs)):
            raise ModelError("readout: no leaky sum for each output and time constant; train it again")
        decay = readout.decay[:n_taus]
        features = cls(readout.n_neurons, -1 / np.log1p(-decay))
        features._decay[:] = np.repeat(decay, readout.n_neurons)
        weights = readout.weight.reshape(n_outputs, -1) / features._gain
        return features, weights, readout.offset.copy()
