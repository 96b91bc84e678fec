# SPDX-License-Identifier: Apache-2.0
"""Latency code: a number is when a neuron first spikes in a window, large ones early (Thorpe et al. 2001)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...types import SpikeTrain
from .interval import Interval, check_steps


@dataclass(frozen=True)
class LatencyCode:
    """One spike a window, in step ``round((1 - z) (steps - 1))`` for the fraction z of the interval.

    Thorpe, Delorme, Van Rullen: "Spike-based strategies for rapid processing", 10.1016/S0893-6080(01)00083-1.

    Attributes:
        interval: of the numbers.
        steps: of a window, 2 or more.
    """

    interval: Interval
    steps: int

    def __post_init__(self) -> None:
        check_steps(self.steps, 2, "latency")

    def encode(self, values: np.ndarray) -> SpikeTrain:
        """Spikes of one window, for values ``(n,)``.

        Raises:
            TaskError: a value is no number.
        """
        return SpikeTrain.from_dense(np.arange(self.steps)[:, None] == self.first_spikes(values))

    def first_spikes(self, values: np.ndarray) -> np.ndarray:
        """The step of each value's spike in its window, int64 in their shape.

        Raises:
            TaskError: a value is no number.
        """
        return np.rint((1 - self.interval.fractions(values)) * (self.steps - 1)).astype(np.int64)

    def decode(self, spikes: SpikeTrain, n: int) -> np.ndarray:
        """The values of ``n`` neurons by their first spikes, float64 ``(n,)``; the lowest one where there is none."""
        first = np.full(n, self.steps - 1)
        steps = np.repeat(np.arange(spikes.n_steps), np.diff(spikes.indptr))
        np.minimum.at(first, spikes.ids, steps)
        return self.interval.values(1 - first / (self.steps - 1))

    def error(self) -> float:
        """The largest error of a value that was encoded and decoded."""
        return self.interval.width / (2 * (self.steps - 1))
