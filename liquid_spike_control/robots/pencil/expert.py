# SPDX-License-Identifier: Apache-2.0
"""The expert of the pencil: a regulator on the true state, which a learned controller imitates and is compared with."""

from __future__ import annotations

import numpy as np

from ...control.lqr import Lqr, linearise
from ...robot import Robot, names
from ...tasks.mujoco_task import MujocoTask, load_scene

#: Costs of 1 m, 1 m/s, 1 rad and 1 rad/s of deviation, against that of 1 N. On the pencil task with its spreads all
#: of 16 episodes survive pushes of 0.11 N s and 10 those of 0.115. Ten times these costs make that 15, but double the
#: gain on the rate, and with it the noise of an estimate in the force and the motion that the noise causes.
STATE_WEIGHTS = (100.0, 1.0, 1000.0, 10.0)
COMMAND_WEIGHTS = (1.0,)


def cart_pole_lqr(robot: Robot, period_s: float) -> Lqr:
    """The regulator about upright and mid-rail, for the nominal pole.

    It takes cart position [m], cart velocity [m/s], pole angle [rad] and pole rate [rad/s], and gives the
    force on the cart [N], ``(1,)``.

    Args:
        robot: the pencil.
        period_s: control period [s].

    Raises:
        TaskError: the period is not a whole number of physics steps.
    """
    model = load_scene(robot)
    a, b = linearise(model, period_s)
    lower, upper = model.actuator_ctrlrange.T
    # MuJoCo's order is cart and pole position, then cart and pole velocity.
    return Lqr.design(a, b, (0, 2, 1, 3), STATE_WEIGHTS, COMMAND_WEIGHTS, lower, upper)


class PencilLqr:
    """The expert as a controller, on whatever estimates it is given.

    Args:
        task: the pencil.

    Attributes:
        observation_names, command_names, nominal_period_s, command_limits: see
            :class:`~..liquid.controller.Controller`.
    """

    def __init__(self, task: MujocoTask) -> None:
        robot = task.robot
        self.observation_names, self.command_names = names(robot.observations), names(robot.commands)
        self.command_limits, self.nominal_period_s = robot.greatest_commands, robot.period_s
        self._lqr = cart_pole_lqr(robot, robot.period_s)

    def reset(self) -> None:
        """It has no state."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Force [N], ``(1,)``, for the observation; the time step does not matter to it."""
        return self._lqr.step(observation)
