# SPDX-License-Identifier: Apache-2.0
"""What an estimate follows: the truth, low-passed by the time constant that the description gives it.

A perception that is to show a quantity at once has no time to look; what it may follow more slowly it shows with less
error, and less of a slow change is lost. Readouts are fitted to the low-passed truth, and errors are judged against it;
the gradients of a training aim at the truth itself, so that spikes are timely.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .robot import Robot


class EstimateLag:
    """First-order low-passes of a robot's true estimates; the first sample of an episode is taken as it is.

    Args:
        robot: whose ``lag_s`` and control period count.
    """

    def __init__(self, robot: Robot) -> None:
        lags_s = np.array([estimate.lag_s for estimate in robot.estimates])
        self._kept = np.where(lags_s > 0, np.exp(-robot.period_s / np.where(lags_s > 0, lags_s, 1.0)), 0.0)
        self._value: np.ndarray | None = None

    def reset(self) -> None:
        """Begin an episode."""
        self._value = None

    def step(self, truth: np.ndarray) -> np.ndarray:
        """What the estimates should be, float64 ``(n,)``.

        Args:
            truth: ``(n,)``, one control period after the last one.
        """
        last = truth if self._value is None else self._value
        self._value = truth + self._kept * (last - truth)
        return self._value

    def of_episode(self, truths: Iterable[np.ndarray]) -> np.ndarray:
        """What the estimates should be throughout an episode, float64 ``(n_ticks, n)``."""
        self.reset()
        steps = [self.step(truth) for truth in truths]
        return np.array(steps).reshape(len(steps), len(self._kept))
