# SPDX-License-Identifier: Apache-2.0
"""Rate code: a number is how often a neuron spikes in a window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...errors import TaskError
from ...types import SpikeTrain
from .interval import Interval, check_steps


@dataclass(frozen=True)
class RateCode:
    """``n = z steps`` spikes for the fraction z of the interval, evenly spaced or at random.

    Regular spikes are those of a charge that gains z a step, begins at a half, and loses 1 with each spike:
    ``floor(z t + 1/2)`` of them up to step t. Random ones fall by themselves in every step, with probability z.

    Attributes:
        interval: of the numbers.
        steps: of a window.
        seed: of random spikes; None makes them regular.
    """

    interval: Interval
    steps: int
    seed: int | None = None

    def __post_init__(self) -> None:
        check_steps(self.steps, 1, "rate")

    def encode(self, values: np.ndarray, window: int = 0) -> SpikeTrain:
        """Spikes of one window.

        Args:
            values: ``(n,)``.
            window: number of the window, of which random spikes depend.

        Raises:
            TaskError: a value is no number.
        """
        z = self.interval.fractions(values)
        if self.seed is None:
            total = np.floor(np.arange(self.steps + 1)[:, None] * z + 0.5)
            return SpikeTrain.from_dense(np.diff(total, axis=0) > 0)
        return SpikeTrain.from_dense(np.random.default_rng((self.seed, window)).random((self.steps, len(z))) < z)

    def decode(self, spikes: SpikeTrain, n: int) -> np.ndarray:
        """The values of ``n`` neurons out of a window, float64 ``(n,)``."""
        return self.interval.values(np.bincount(spikes.ids, minlength=n) / self.steps)

    def error(self, confidence: float | None = None) -> float:
        """The largest error of a value that was encoded and decoded.

        Args:
            confidence: for random spikes: the probability that the error is not larger (Hoeffding 1963).

        Raises:
            TaskError: random spikes have no largest error.
        """
        if self.seed is None:
            return self.interval.width / (2 * self.steps)
        if confidence is None or not 0 < confidence < 1:
            raise TaskError("random spikes have an error by chance only; give a confidence between 0 and 1")
        return self.interval.width * math.sqrt(math.log(2 / (1 - confidence)) / (2 * self.steps))
