# SPDX-License-Identifier: Apache-2.0
"""A readout that is learnt on line by prescribed error sensitivity (PES): the error times the activity, nothing else.

For the features x of a sample, their slow mean m, the target y, the weights W and the offset b:

    e = y - W (x - m) - b,   W <- W + rate e (x - m)' / p,   b <- b + e / memory,   m <- m + (x - m) / memory

p is the mean of ``|x - m|^2``, so that the rate is a number of its own, whatever neurons there are: a sample that comes
twice in a row has lost the part ``rate`` of its error. A synapse needs its own activity and the error of its target, no
matrix of correlations as recursive least squares has. The mean is taken off because rates are positive: what all
neurons have in common would use up the rate. MacNeil, Eliasmith: "Fine-tuning and the stability of recurrent neural
networks", PLoS ONE 6(9), 2011, 10.1371/journal.pone.0022885.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import TaskError


class PrescribedErrorSensitivity:
    """Weights and offset of a readout, learnt sample by sample. It freezes where it diverges.

    Args:
        n_features, n_outputs: sizes.
        rate: above 0, at most 1: the part of a sample's error that the sample takes away.
        memory: of the means of features and errors [samples], at least 1.
        bound: no weight, nor the offset, gets beyond this magnitude: learning that reaches it is frozen.

    Attributes:
        frozen: why learning has stopped; empty while it goes on. The weights are then the last good ones.

    Raises:
        TaskError: a number is out of its range.
    """

    def __init__(
        self, n_features: int, n_outputs: int, rate: float = 0.05, memory: float = 200.0, bound: float = 1e4
    ) -> None:
        if not 0 < rate <= 1:
            raise TaskError(f"rate {rate:g}; give a number above 0, at most 1")
        if not 1 <= memory < math.inf:
            raise TaskError(f"a memory of {memory:g} samples; give a finite number of at least 1")
        if not 0 < bound < math.inf:
            raise TaskError(f"a bound of weights of {bound:g}; give a finite number above 0")
        self._rate, self._memory, self._bound = rate, memory, bound
        self._w, self._b = np.zeros((n_outputs, n_features)), np.zeros(n_outputs)
        self._mean, self._power = np.zeros(n_features), 0.0
        self._begun = False
        self.frozen = ""

    @property
    def weights(self) -> np.ndarray:
        """Of the features, float64 ``(n_outputs, n_features)``, a copy."""
        return self._w.copy()

    @property
    def offset(self) -> np.ndarray:
        """Of the outputs, float64 ``(n_outputs,)``."""
        return self._b - self._w @ self._mean

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Outputs for features ``(n_features,)``, float64 ``(n_outputs,)``."""
        return self._w @ (features - self._mean) + self._b

    def learn(self, features: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Take a sample in; see :meth:`.recursive_least_squares.RecursiveLeastSquares.learn`."""
        before = self.predict(features)
        if self.frozen:
            return before
        if not (np.isfinite(features).all() and np.isfinite(target).all()):
            self.frozen = "a feature or a target is not finite"
            return before
        if not self._begun:
            self._mean, self._b, self._begun = np.array(features, float), np.array(target, float), True
            return before
        error, centred = target - before, features - self._mean
        power = float(centred @ centred)
        # The mean power of so few samples would be too small; a sample that is larger than it counts by its own.
        self._power += (power - self._power) / self._memory if self._power else power
        step = self._rate / max(self._power, power, 1e-12)
        weights, offset = self._w + step * np.outer(error, centred), self._b + error / self._memory
        if max(np.abs(weights).max(), np.abs(offset).max()) > self._bound:
            self.frozen = f"a weight has reached its bound of {self._bound:g}; give a smaller rate"
        else:
            self._w, self._b = weights, offset
            self._mean += centred / self._memory
        return before
