# SPDX-License-Identifier: Apache-2.0
"""The expert of the lane car: follow the lane's curvature, less what brings offset and heading back.

Along the lane the offset e changes by e' = h with the distance, and the heading error h by h' = k - K, K being the
curvature of the lane and k that of the car's path. With k = K - w^2 e - 2 w h the offset dies out within about 1 / w,
whatever the speed; the steering angle of a bicycle of wheelbase L that gives it is atan(L k) (Snider 2009).
"""

from __future__ import annotations

import math

import numpy as np

from ...robot import names
from ...tasks.mujoco_task import MujocoTask

#: Between the axles, as in scene.xml [m].
WHEELBASE = 0.33
#: How fast offsets die out along the lane, w [1/m].
RECOVERY = 2.0
#: The curvature is taken so far ahead of the rear axle, for the time that the steering takes [m].
AHEAD = 0.3


def steering(offset: float, heading: float, curvature: float) -> float:
    """Steering angle [rad], positive to the left.

    Args:
        offset: of the rear axle to the left of the middle [m].
        heading: of the car relative to the lane, to the left [rad].
        curvature: of the lane :data:`AHEAD`, positive to the left [1/m].
    """
    return math.atan(WHEELBASE * (curvature - RECOVERY**2 * offset - 2 * RECOVERY * heading))


class LaneKeeper:
    """The expert as a controller, on whatever estimates it is given.

    Args:
        task: the lane car.

    Attributes:
        observation_names, command_names, nominal_period_s, command_limits: see
            :class:`~..liquid.controller.Controller`.
    """

    def __init__(self, task: MujocoTask) -> None:
        robot = task.robot
        self.observation_names, self.command_names = names(robot.observations), names(robot.commands)
        self.command_limits, self.nominal_period_s = robot.greatest_commands, robot.period_s
        self._seen = [
            self.observation_names.index(name)
            for name in ("lateral_offset", "heading_error", "curvature", "target_speed")
        ]

    def reset(self) -> None:
        """It has no state."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Steering angle [rad] and speed [m/s], ``(2,)``; the time step does not matter to it."""
        offset, heading, curvature, speed = observation[self._seen].tolist()
        return np.array([steering(offset, heading, curvature), speed])
