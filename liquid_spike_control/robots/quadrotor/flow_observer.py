# SPDX-License-Identifier: Apache-2.0
"""An extended Kalman filter that finds height and velocity from flow, divergence and the vehicle's own accelerations.

Neither is sensed. Flow and divergence show velocities over the height, low-passed by the estimates' lag; lean and
thrust show the acceleration a at once. What is seen of it is divided by the height, so that something of the height
comes out of how the flow answers (an efference copy; Ho, de Croon and Chu, "Distance and velocity estimation using
optical flow from a monocular camera", 2017). The state has the logarithm s of the height, velocities v, the
accelerations d that wind, rotors and a wrong upright add beside the air's drag c, and what is seen, l, of which a
perception shows the part g:

    ds/dt = -v_down exp(-s),  dv/dt = a + d - c v,  dd/dt = 0,  dl/dt = (v exp(-s) - l) / lag,  measured: g l
"""

from __future__ import annotations

import math

import numpy as np

#: The height that is assumed at the beginning [m], and the standard deviation of its logarithm; its range [m].
HEIGHT, HEIGHT_SPREAD, LOWEST, HIGHEST = 3.0, 0.15, 0.1, 6.0
#: Standard deviations at the beginning of velocity [m/s], added acceleration [m/s^2] and what is seen [1/s].
VELOCITY_SPREAD, ADDED_SPREAD, SEEN_SPREAD = 0.6, 0.6, 0.1
#: The added acceleration is held within +- this [m/s^2]: where nothing is seen, none must grow.
MOST = np.array([1.5, 1.5, 1.2])
#: The air's drag over the mass [1/s].
DRAG = 0.5
#: Spectral densities of what the model leaves out: of the height's logarithm [1/s], velocity [m^2/s^3] and added
#: acceleration [m^2/s^5].
HEIGHT_NOISE, VELOCITY_NOISE, ADDED_NOISE = 0.003, 0.08, np.array([0.06, 0.06, 0.015])
#: Standard deviations of the errors of what is seen [1/s], their parts of it, and how long they last [s].
SEEN_NOISE, SEEN_FRACTION, NOISE_S = np.array([0.05, 0.05, 0.15]), np.array([0.3, 0.3, 0.08]), 0.1


class FlowObserver:
    """The filter; axes are forward, to the left and downward.

    Args:
        lag_s: of what is seen behind the truth [s], above 0.
        shown: part of it that the perception shows, ``(3,)``.

    Attributes:
        height: [m].
        velocity: float64 ``(3,)`` [m/s].
        added: float64 ``(3,)`` [m/s^2].
    """

    def __init__(self, lag_s: float, shown: np.ndarray) -> None:
        self._lag_s, self._shown = lag_s, shown
        self._state = np.zeros(10)
        self._state[0] = math.log(HEIGHT)
        spreads = [HEIGHT_SPREAD, *[VELOCITY_SPREAD] * 3, *[ADDED_SPREAD] * 3, *[SEEN_SPREAD] * 3]
        self._covariance = np.diag(np.square(spreads))
        self._noise = np.diag([HEIGHT_NOISE, *[VELOCITY_NOISE] * 3, *ADDED_NOISE, 0.0, 0.0, 0.0])

    @property
    def height(self) -> float:
        """Height [m]."""
        return math.exp(self._state[0])

    @property
    def velocity(self) -> np.ndarray:
        """Velocity, ``(3,)`` [m/s]."""
        return self._state[1:4]

    @property
    def added(self) -> np.ndarray:
        """What is added to the own acceleration, drag included, ``(3,)`` [m/s^2]."""
        return self._state[4:7] - DRAG * self._state[1:4]

    def step(self, seen: np.ndarray, own: np.ndarray, dt: float) -> None:
        """Take what is seen after some time.

        Args:
            seen: velocities over the height, ``(3,)`` [1/s].
            own: accelerations by lean and thrust since the last one, ``(3,)`` [m/s^2].
            dt: that time [s].
        """
        self._predict(own, dt)
        state, covariance = self._state, self._covariance
        error = SEEN_NOISE**2 + (SEEN_FRACTION * seen) ** 2
        seen_covariance = self._shown[:, None] * covariance[7:]
        innovation_covariance = seen_covariance[:, 7:] * self._shown + np.diag(error * max(1.0, 2 * NOISE_S / dt))
        gain = np.linalg.solve(innovation_covariance, seen_covariance).T
        state += gain @ (seen - self._shown * state[7:])
        covariance -= gain @ seen_covariance
        self._covariance = (covariance + covariance.T) / 2
        state[0] = min(max(state[0], math.log(LOWEST)), math.log(HIGHEST))
        state[4:7] = np.clip(state[4:7], -MOST, MOST)

    def _predict(self, own: np.ndarray, dt: float) -> None:
        state = self._state
        velocity, inverse = state[1:4], math.exp(-state[0])
        follow = -math.expm1(-dt / self._lag_s)
        matrix = np.eye(10)
        matrix[0, 0] += dt * velocity[2] * inverse
        matrix[0, 3] = -dt * inverse
        for axis in range(3):
            matrix[1 + axis, 1 + axis] = 1 - dt * DRAG
            matrix[1 + axis, 4 + axis] = dt
            matrix[7 + axis, 7 + axis] = 1 - follow
            matrix[7 + axis, 1 + axis] = follow * inverse
            matrix[7 + axis, 0] = -follow * velocity[axis] * inverse
        state[7:] += follow * (velocity * inverse - state[7:])
        state[0] -= dt * velocity[2] * inverse
        state[1:4] += dt * (own + self.added)
        self._covariance = matrix @ self._covariance @ matrix.T + dt * self._noise
