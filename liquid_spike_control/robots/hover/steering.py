# SPDX-License-Identifier: Apache-2.0
"""What the commands of the quadrotor steer against, for networks that adapt while they control."""

from __future__ import annotations

import numpy as np

#: A rate of climb counts as much as a height over so much time [s].
CLIMB_S = 0.5


class HoverSteering:
    """Thrust for height [m] and climb, rate of yaw for yaw [rad]; where the vehicle leans is left to the network."""

    def __call__(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Error ``(4,)`` for the twelve readings; see :mod:`...control.output_adaptation`."""
        height, yaw = float(observation[2] + CLIMB_S * observation[8]), float(observation[5])
        return np.array([min(max(-height, -1.0), 1.0), 0.0, 0.0, min(max(-yaw, -1.0), 1.0)])
