# SPDX-License-Identifier: Apache-2.0
"""A readout that is learnt on line: recursive least squares, the rule of FORCE learning.

For the features x of a sample, the target y and the weights W, with a forgetting factor f:

    k = P x / (f + x' P x),   W <- W + (y - W x) k',   P <- (P - k x' P) / f

P begins as 1 / regularisation; then W is, at every sample, the ridge regression over all samples before it (f = 1).
Haykin: Adaptive Filter Theory, chapter 10; Sussillo, Abbott: "Generating coherent patterns of activity from chaotic
neural networks", Neuron 63(4), 2009 (FORCE: what is fed back is the output while it learns).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..errors import TaskError


@njit(cache=True)
def _update(p, x, gain, forgetting):
    """``gain <- P x / (f + x' P x)`` and ``P <- (P - gain x' P) / f``; P is symmetric. Returns ``x' P x``."""
    n = len(x)
    power = 0.0
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += p[i, j] * x[j]
        gain[i] = total
        power += total * x[i]
    scale = 1.0 / (forgetting + power)
    for i in range(n):
        for j in range(n):
            p[i, j] = (p[i, j] - scale * gain[i] * gain[j]) / forgetting
    for i in range(n):
        gain[i] *= scale
    return power


class RecursiveLeastSquares:
    """Weights and offset of a readout, learnt sample by sample. It freezes where it diverges.

    Args:
        n_features, n_outputs: sizes.
        regularisation: alpha, above 0: how much the first samples are distrusted, in squares of a feature.
        forgetting: 0.9 .. 1; below 1 old samples count less.
        bound: no weight, nor the offset, gets beyond this magnitude: learning that reaches it is frozen.

    Attributes:
        weights: float64 ``(n_outputs, n_features)``.
        offset: float64 ``(n_outputs,)``.
        frozen: why learning has stopped; empty while it goes on. The weights are then the last good ones.

    Raises:
        TaskError: a number is out of its range.
    """

    def __init__(
        self, n_features: int, n_outputs: int, regularisation: float = 1.0, forgetting: float = 1.0, bound: float = 1e4
    ) -> None:
        if not 0 < regularisation < math.inf:
            raise TaskError(f"regularisation {regularisation:g}; give a finite number above 0")
        if not 0.9 <= forgetting <= 1:
            raise TaskError(f"forgetting {forgetting:g}; give a factor from 0.9 to 1, which forgets nothing")
        if not 0 < bound < math.inf:
            raise TaskError(f"a bound of weights of {bound:g}; give a finite number above 0")
        self._forgetting, self._bound = forgetting, bound
        self._p = np.eye(n_features + 1) / regularisation
        self._most_p = 1e6 / regularisation
        self._w = np.zeros((n_outputs, n_features + 1))
        self._x = np.ones(n_features + 1)
        self._gain = np.zeros(n_features + 1)
        self.frozen = ""

    @property
    def weights(self) -> np.ndarray:
        """Of the features, a copy."""
        return self._w[:, :-1].copy()

    @property
    def offset(self) -> np.ndarray:
        """Of the outputs, a copy."""
        return self._w[:, -1].copy()

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Outputs for features ``(n_features,)``, float64 ``(n_outputs,)``."""
        return self._w[:, :-1] @ features + self._w[:, -1]

    def learn(self, features: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Take a sample in.

        Args:
            features: ``(n_features,)``.
            target: ``(n_outputs,)``.

        Returns:
            The outputs as they were before it, float64 ``(n_outputs,)``.
        """
        before = self.predict(features)
        if self.frozen:
            return before
        if not (np.isfinite(features).all() and np.isfinite(target).all()):
            self.frozen = "a feature or a target is not finite"
            return before
        self._x[:-1] = features
        power = _update(self._p, self._x, self._gain, self._forgetting)
        changed = self._w + np.outer(target - before, self._gain)
        if not (power >= 0 and np.isfinite(self._gain).all() and np.trace(self._p) <= self._most_p * len(self._p)):
            self.frozen = "its inverse correlations run away; give more regularisation, or forgetting nearer to 1"
        elif np.abs(changed).max() > self._bound:
            self.frozen = f"a weight has reached its bound of {self._bound:g}; give more regularisation"
        else:
            self._w = changed
        return before
