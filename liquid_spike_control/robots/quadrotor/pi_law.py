# SPDX-License-Identifier: Apache-2.0
"""The plain alternative to :mod:`.flow_law`: proportional and integral gains on flow and divergence, scheduled.

A force changes the flow by itself over the height h, so the gains are proportional to h, whose logarithm falls by the
divergence D. The flow is freed of rotation as in :mod:`.flow_law`; nothing else is known of the vehicle's motion.

    a = h (k_p e + k_i integral of e dt),  e: what is missing of the flow, or of the divergence
    h = h(0) exp(-integral of D dt),  h(0): the middle of the heights at which episodes begin
"""

from __future__ import annotations

import math

import numpy as np

from .flow_law import FlowControl
from .flow_observer import HEIGHT, HIGHEST, LOWEST

#: Gains k_p [1/s] and k_i [1/s^2], forward, to the left and downward, and how large the integral gets at most; the
#: gains are the best of six sets on seeds from 2000 on.
PROPORTIONAL, INTEGRAL, MOST = np.array([2.0, 2.0, 2.5]), np.array([0.5, 0.5, 1.0]), 1.0


class ScheduledPi(FlowControl):
    """Control of a quadrotor by proportional and integral gains; see :class:`.flow_law.FlowControl`."""

    def reset(self) -> None:
        """Begin an episode."""
        super().reset()
        self._log_height = math.log(HEIGHT)
        self._sum = np.zeros(3)  # of what is missing: forward, to the left, downward

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """The command for an observation; see :meth:`.flow_law.FlowLaw.step`."""
        roll, pitch, setpoints, moving = self._sense(observation, dt)
        self._log_height = min(max(self._log_height - moving[2] * dt, math.log(LOWEST)), math.log(HIGHEST))
        height = math.exp(self._log_height)
        missing = self._asked(setpoints, height) - moving
        self._sum = np.clip(self._sum + dt * missing, -MOST, MOST)
        forward, left, down = height * (PROPORTIONAL * missing + INTEGRAL * self._sum)
        return self._bounded(math.cos(roll) * math.cos(pitch), forward, left, down)
