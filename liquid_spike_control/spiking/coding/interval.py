# SPDX-License-Identifier: Apache-2.0
"""The interval of numbers that a code carries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...errors import TaskError


@dataclass(frozen=True, slots=True)
class Interval:
    """From ``low`` to ``high``; what lies beyond is carried as the nearer end.

    Raises:
        TaskError: the ends are not finite, or not in order.
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise TaskError(f"a code from {self.low:g} to {self.high:g}; give finite ends, the lower one first")

    @property
    def width(self) -> float:
        """High less low."""
        return self.high - self.low

    def fractions(self, values: np.ndarray) -> np.ndarray:
        """Return the position of values in the interval, 0 .. 1, float64 in their shape.

        Raises:
            TaskError: a value is no number.
        """
        values = np.asarray(values, np.float64)
        if np.isnan(values).any():
            raise TaskError("a value to be encoded is no number; hold the last one in its place")
        return (np.clip(values, self.low, self.high) - self.low) / self.width

    def values(self, fractions: np.ndarray) -> np.ndarray:
        """The values at fractions, float64."""
        return self.low + self.width * np.asarray(fractions, np.float64)


def check_steps(steps: int, least: int, code: str) -> None:
    """Refuse a window that is too short for a code.

    Raises:
        TaskError: fewer steps than ``least``.
    """
    if steps < least:
        raise TaskError(f"a {code} code of {steps} steps; give it {least} or more")
