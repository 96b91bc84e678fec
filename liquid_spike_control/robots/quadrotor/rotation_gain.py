# SPDX-License-Identifier: Apache-2.0
"""How much of the picture's motion a perception shows, measured in flight by the gyroscope.

A network that is trained to err little shows less of slow flow the less certain it is: over ground of little contrast,
high up, with thresholds that are too high. The part of the flow that the vehicle's own rotation makes is known, so that
quick changes of both give the gain g:

    g = <flow' rate'> / <rate' rate'>,  x' = x - (mean of x over the last moments)

As an efference copy calibrates a sense in animals (Webb, "Neural mechanisms for prediction: do insects have forward
models?", Trends in Neurosciences 2004).
"""

from __future__ import annotations

import math

import numpy as np

#: The means are over this time, and the products over that [s].
CHANGE_S, MEMORY_S = 0.2, 3.0
#: The gain to begin with, and how many squares of rates it is worth [rad^2/s].
FIRST, WORTH = 0.7, 0.003
#: It is held within these.
LEAST, MOST = 0.35, 1.1


class RotationGain:
    """The gain of flow with respect to rates, over the last seconds."""

    def __init__(self) -> None:
        self._means, self._products = np.zeros((2, 2)), np.zeros(2)

    def step(self, flow: np.ndarray, rates: np.ndarray, dt: float) -> float:
        """The gain, with a new sample.

        Args:
            flow: along two axes, ``(2,)`` [rad/s].
            rates: what rotation alone makes it, as late as it is, ``(2,)`` [rad/s].
            dt: since the one before [s].
        """
        sample = np.array([flow, rates])
        self._means += -math.expm1(-dt / CHANGE_S) * (sample - self._means)
        shown, known = sample - self._means
        self._products = math.exp(-dt / MEMORY_S) * self._products + dt * np.array([shown @ known, known @ known])
        gain = (float(self._products[0]) + WORTH * FIRST) / (float(self._products[1]) + WORTH)
        return min(max(gain, LEAST), MOST)
