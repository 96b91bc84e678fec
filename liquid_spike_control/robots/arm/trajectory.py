# SPDX-License-Identifier: Apache-2.0
"""Trajectories of the arm: each joint swings with three periods that have no common multiple."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Middle and greatest swing of base, shoulder and elbow [rad].
MIDDLE, SWING = np.array([0.0, 0.5, -0.9]), np.array([1.0, 0.65, 0.8])
#: Shortest and longest period [s].
PERIODS_S = (3.0, 8.0)


@dataclass(frozen=True, eq=False)
class Trajectory:
    """``q_j(t) = middle_j + sum over k of a_jk sin(w_jk t + p_jk)``, and its derivatives.

    Attributes:
        amplitude, frequency, phase: float64 ``(3, 3)``, joint and sine; [rad], [rad/s], [rad].
    """

    amplitude: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator) -> Trajectory:
        """One whose amplitudes add up to :data:`SWING`."""
        amplitude = rng.dirichlet(np.ones(3), 3) * SWING[:, None]
        return cls(amplitude, 2 * np.pi / rng.uniform(*PERIODS_S, (3, 3)), rng.uniform(0, 2 * np.pi, (3, 3)))

    def at(self, time_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Angles [rad], rates [rad/s] and accelerations [rad/s^2] at a time, float64 ``(3,)`` each."""
        angle = self.frequency * time_s + self.phase
        sine, cosine = self.amplitude * np.sin(angle), self.amplitude * np.cos(angle)
        acceleration = -(self.frequency**2 * sine).sum(1)
        return MIDDLE + sine.sum(1), (self.frequency * cosine).sum(1), acceleration
