# SPDX-License-Identifier: Apache-2.0
"""Phase code: a spike counts by its place in a period, each step half of the one before (weighted spikes)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import TaskError
from ...types import SpikeTrain
from .interval import Interval, check_steps


@dataclass(frozen=True)
class PhaseCode:
    """The binary digits of a number, the highest first, repeated in every period.

    A spike in step k of a period counts ``2^(period - 1 - k)`` of ``2^period - 1``. Kim et al. 2018, "Deep neural
    networks with weighted spikes", 10.1016/j.neucom.2018.05.087.

    Attributes:
        interval: of the numbers.
        period: steps of a period, which is the number of digits, 1 .. 30.
        periods: in a window; values are the mean over them.
    """

    interval: Interval
    period: int
    periods: int = 1

    def __post_init__(self) -> None:
        check_steps(self.period, 1, "phase")
        check_steps(self.periods, 1, "phase")
        if self.period > 30:
            raise TaskError(f"a phase code of {self.period} digits; give it 1 .. 30")

    @property
    def steps(self) -> int:
        """Of a window."""
        return self.period * self.periods

    @property
    def weights(self) -> np.ndarray:
        """Return the weight of a spike in each step of a window, in widths of the interval, float64 ``(steps,)``."""
        one = 2.0 ** np.arange(self.period - 1, -1, -1) / (2.0**self.period - 1)
        return np.tile(one, self.periods) / self.periods

    def encode(self, values: np.ndarray) -> SpikeTrain:
        """Spikes of one window, for values ``(n,)``.

        Raises:
            TaskError: a value is no number.
        """
        one = self.numbers(values) >> np.arange(self.period - 1, -1, -1)[:, None] & 1
        return SpikeTrain.from_dense(np.tile(one, (self.periods, 1)))

    def numbers(self, values: np.ndarray) -> np.ndarray:
        """Values as whole numbers of ``period`` binary digits, int64 in their shape.

        Raises:
            TaskError: a value is no number.
        """
        return np.rint(self.interval.fractions(values) * (2**self.period - 1)).astype(np.int64)

    def decode(self, spikes: SpikeTrain, n: int) -> np.ndarray:
        """The values of ``n`` neurons, float64 ``(n,)``."""
        weights = np.repeat(self.weights, np.diff(spikes.indptr))
        return self.interval.values(np.bincount(spikes.ids, weights, minlength=n))

    def error(self) -> float:
        """The largest error of a value that was encoded and decoded."""
        return self.interval.width / (2 * (2**self.period - 1))
