# SPDX-License-Identifier: Apache-2.0
"""The plain alternative to :mod:`.flow_law`: proportional and integral gains on flow and divergence, scheduled.

A force changes the flow by itself over the height h, so the gains are proportional to h. It is inferred as in
:mod:`.flow_law`, and the flow is freed of rotation in the same way; nothing else is known of the vehicle's motion.

    a = h (k_p e + k_i integral of e dt),  e: what is missing of the flow, or of the divergence
"""

from __future__ import annotations

import math

import numpy as np

from ...robot import names
from ...tasks.mujoco_task import MujocoTask
from .flow_law import HEIGHT, HIGHEST, LOWEST, RAMP_S, FlowLaw, leaning

#: Gains k_p [1/s] and k_i [1/s^2], forward, to the left and downward, and how large the integral gets at most; the
#: gains are the best of six sets on seeds from 2000 on.
PROPORTIONAL, INTEGRAL, MOST = np.array([2.0, 2.0, 2.5]), np.array([0.5, 0.5, 1.0]), 1.0


class ScheduledPi:
    """Control of a quadrotor by proportional and integral gains; see :class:`.flow_law.FlowLaw`.

    Args:
        task: the landing; of the vehicle its mass and the gravity are used.

    Attributes:
        observation_names, command_names, nominal_period_s, command_limits: see
            :class:`~...liquid.controller.Controller`.
        lag_s: see :class:`.flow_law.FlowLaw`.
    """

    lag_s = FlowLaw.lag_s

    def __init__(self, task: MujocoTask) -> None:
        robot = task.robot
        self.observation_names, self.command_names = names(robot.observations), names(robot.commands)
        self.command_limits, self.nominal_period_s = robot.greatest_commands, robot.period_s
        self._mass = float(task.model.body_mass[task.model.body("quadrotor").id])
        self._gravity = float(-task.model.opt.gravity[2])
        self._index = [
            self.observation_names.index(name)
            for name in ("roll", "pitch", "roll_rate", "pitch_rate", "descent", "flow_x", "flow_y", "divergence")
        ]
        self.reset()

    def reset(self) -> None:
        """Begin an episode."""
        self._log_height, self._elapsed_s = math.log(HEIGHT), 0.0
        self._rates, self._sum = np.zeros(2), np.zeros(3)  # of what is missing: forward, to the left, downward

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """The command for an observation; see :meth:`.flow_law.FlowLaw.step`."""
        roll, pitch, roll_rate, pitch_rate, descent, flow_x, flow_y, divergence = observation[self._index].tolist()
        self._elapsed_s += dt
        descent *= min(1.0, self._elapsed_s / RAMP_S)
        self._rates += -math.expm1(-dt / self.lag_s) * (np.array([roll_rate, pitch_rate]) - self._rates)
        self._log_height -= divergence * dt
        self._log_height = min(max(self._log_height, math.log(LOWEST)), math.log(HIGHEST))
        missing = np.array([flow_y - self._rates[1], self._rates[0] - flow_x, descent - divergence])
        self._sum = np.clip(self._sum + dt * missing, -MOST, MOST)
        forward, left, down = math.exp(self._log_height) * (PROPORTIONAL * missing + INTEGRAL * self._sum)
        upright = math.cos(roll) * math.cos(pitch)
        command = leaning(self._mass, self._gravity, upright, forward, left, down)
        return np.clip(command, -self.command_limits, self.command_limits)
