# SPDX-License-Identifier: Apache-2.0
"""The plain alternative to :mod:`.flow_law`: proportional and integral gains on flow and divergence, scheduled.

A force changes the flow by itself over the height h, so the gains are proportional to h. It is inferred as in
:mod:`.flow_law`, and the flow is freed of rotation in the same way; nothing else is known of the vehicle's motion.

    a = h (k_p e + k_i integral of e dt),  e: what is missing of the flow, or of the divergence
"""

from __future__ import annotations

import math

import numpy as np

from .flow_law import FlowControl

#: Gains k_p [1/s] and k_i [1/s^2], forward, to the left and downward, and how large the integral gets at most; the
#: gains are the best of six sets on seeds from 2000 on.
PROPORTIONAL, INTEGRAL, MOST = np.array([2.0, 2.0, 2.5]), np.array([0.5, 0.5, 1.0]), 1.0


class ScheduledPi(FlowControl):
    """Control of a quadrotor by proportional and integral gains; see :class:`.flow_law.FlowControl`."""

    def reset(self) -> None:
        """Begin an episode."""
        super().reset()
        self._sum = np.zeros(3)  # of what is missing: forward, to the left, downward

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """The command for an observation; see :meth:`.flow_law.FlowLaw.step`."""
        roll, pitch, asked, height, moving = self._sense(observation, dt)
        missing = asked - moving
        self._sum = np.clip(self._sum + dt * missing, -MOST, MOST)
        forward, left, down = height * (PROPORTIONAL * missing + INTEGRAL * self._sum)
        return self._bounded(math.cos(roll) * math.cos(pitch), forward, left, down)
