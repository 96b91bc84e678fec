# SPDX-License-Identifier: Apache-2.0
"""Estimates that err as those of the shipped perception do, at a hundredth of its time: to train controllers on.

By what it showed in 30 flights of the law (seeds 2000 to 2029, all aims): a gain for each episode, lower above ground
of little contrast and with more noise there; an error of a tenth of a second, which grows with what is to be seen; and
one of some seconds.
"""

from __future__ import annotations

import numpy as np

from ...loop import TruthEstimator
from ...robot import scales
from ...sim.world import Sensing, World
from ...types import Quantities

#: Mean and standard deviation of an episode's gain; of a single estimate's beside; and its range.
GAIN, GAIN_SPREAD, OWN_SPREAD, GAINS = np.array([0.95, 0.95, 0.93]), 0.12, np.array([0.04, 0.04, 0.12]), (0.45, 1.2)
#: Below this gain the errors grow by so much for each unit.
CLEAR, GROWTH = 0.95, 3.0
#: Standard deviations of quick errors [1/s], their parts of the truth, and how long they last [s].
QUICK, QUICK_FRACTION, QUICK_S = np.array([0.05, 0.05, 0.055]), np.array([0.07, 0.07, 0.12]), 0.07
#: The same of slow ones.
SLOW, SLOW_FRACTION, SLOW_S = np.array([0.02, 0.02, 0.025]), np.array([0.05, 0.05, 0.12]), 3.0


class SeenFlow(TruthEstimator):
    """Flow and divergence, lagging, with such errors; an episode's first truths decide them.

    Args:
        world: whose truth.

    Attributes:
        sighted: the cameras need not be simulated.
    """

    sighted = False

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._n = len(scales(world.robot.estimates))
        self._kept = np.exp(-world.robot.period_s / np.array([[QUICK_S], [SLOW_S]]))

    def reset(self, stamp_ns: int) -> None:
        """Draw the errors of an episode."""
        super().reset(stamp_ns)
        first = np.concatenate([self._world.truth, self._world.task.truth()])
        self._rng = np.random.default_rng(np.frombuffer(first.tobytes(), np.uint32))
        common = GAIN_SPREAD * self._rng.standard_normal()
        self._gain = np.clip(GAIN + common + OWN_SPREAD * self._rng.standard_normal(self._n), *GAINS)
        self._growth = 1 + GROWTH * max(0.0, CLEAR - float(self._gain[:2].mean()))
        self._errors = self._rng.standard_normal((2, self._n))

    def estimate(self, sensing: Sensing) -> Quantities:
        """The truth at the sensing's stamp, as it would be seen."""
        truth = self._lag.step(self._world.truth)
        fresh = self._rng.standard_normal(self._errors.shape)
        self._errors = self._kept * self._errors + np.sqrt(1 - self._kept**2) * fresh
        quick, slow = self._errors
        size = np.abs(truth)
        error = (QUICK + QUICK_FRACTION * size) * quick + (SLOW + SLOW_FRACTION * size) * slow
        return Quantities(sensing.stamp_ns, self._names, self._gain * truth + self._growth * error)
