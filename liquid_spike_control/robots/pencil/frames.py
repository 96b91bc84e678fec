# SPDX-License-Identifier: Apache-2.0
"""An ordinary camera in the event camera's place, to compare with the spiking perception."""

from __future__ import annotations

import numpy as np

from ...robot import names
from ...sim.world import Sensing, World
from ...types import Quantities


class FrameEstimator:
    """A frame camera in the event camera's place: angle by a line fit to the bright pixels, rate by difference.

    Between two frames the last estimate stands. Exposure and readout take no time, which favours the frames.

    Args:
        world: whose pictures.
        rate_hz: frames a second.
    """

    def __init__(self, world: World, rate_hz: float = 30.0) -> None:
        self._world, self._names = world, names(world.robot.estimates)
        self._interval_ns = round(1e9 / rate_hz)
        self._view_m, self._above_hinge = world.task.view  # type: ignore[attr-defined]  # a pencil

    def reset(self, stamp_ns: int) -> None:
        """The first frame is taken at ``stamp_ns``."""
        self._next_ns = stamp_ns
        self._angle: float | None = None
        self._values = np.zeros(2)

    def estimate(self, sensing: Sensing) -> Quantities:
        """Angle [rad] and rate [rad/s] from the last two frames."""
        stamp = sensing.stamp_ns
        if stamp >= self._next_ns:
            self._next_ns += self._interval_ns
            angle = self._fit(self._world.picture())
            rate = 0.0 if self._angle is None else (angle - self._angle) / (self._interval_ns * 1e-9)
            self._angle = angle
            self._values = np.array([angle, rate])
        return Quantities(stamp, self._names, self._values)

    def _fit(self, picture: np.ndarray) -> float:
        """Angle of the line through the hinge that fits the brightness best, by least squares."""
        height, width = picture.shape
        pixel = self._view_m / height
        z = self._above_hinge + (height / 2 - np.arange(height) - 0.5) * pixel
        x = (np.arange(width) + 0.5 - width / 2) * pixel
        weights = np.where(picture > 0.3 * picture.max(), picture, 0.0)
        return float(np.arctan2((weights * np.outer(z, x)).sum(), (weights * (z**2)[:, None]).sum()))
