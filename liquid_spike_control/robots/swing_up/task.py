# SPDX-License-Identifier: Apache-2.0
"""Cart-pole swing-up: the pole hangs, and is to stand.

From positions only a controller must find the rates from the samples it has had and the time between them.
"""

from __future__ import annotations

import math

import numpy as np

from ...robot import Robot
from ...tasks.mujoco_task import MujocoTask
from ...tasks.task import StateExpert
from .expert import SwingUpLaw
from .steering import SwingUpSteering

#: The cart falls off the rail beyond this position [m].
RAIL = 1.5
#: The pole stands within this angle of upright [rad].
UPRIGHT = 0.2
#: How long it must stand at the end of the episode [s].
STANDING_S = 3.0
#: The episode begins with the cart within +-START_POSITION [m], the pole within +-START_ANGLE [rad] of hanging and a
#: rate within +-START_RATE [rad/s].
START_POSITION, START_ANGLE, START_RATE = 0.3, 0.3, 0.5


class SwingUp(MujocoTask):
    """Swing up the pole of ``scene.xml`` and keep it upright; see :class:`~.task.ControlTask`.

    A cart of 1 kg on a rail of +-1.5 m is pushed with at most +-10 N every 20 ms; a rod of 0.2 kg and 0.6 m hangs
    from it. The episode ends after 10 s, or when the cart falls off the rail. It is a success when the pole stood
    within 0.2 rad at the end of every control period of its last 3 s. The reward is the integral of
    ``(1 + cos angle) / 2`` over time [s].

    The truth is cart position [m] and velocity [m/s], pole angle [rad] in -pi..pi, 0 upright, and rate [rad/s].
    """

    version = 1
    duration_s = 10.0
    variable: tuple[str, ...] = ("mass", "length", "friction", "actuator")

    def __init__(self, robot: Robot) -> None:
        super().__init__(robot, bodies=("pole",))

    def begin(self, rng: np.random.Generator) -> None:
        """Let the pole hang, nearly at rest."""
        self.data.qpos[0] = rng.uniform(-START_POSITION, START_POSITION)
        self.data.qpos[1] = math.pi + rng.uniform(-START_ANGLE, START_ANGLE)
        self.data.qvel[1] = rng.uniform(-START_RATE, START_RATE)
        self._last_fallen_s = 0.0

    @property
    def success(self) -> bool:
        """Whether the pole stood for the last 3 s and the cart is on the rail."""
        return self.over and not self.failed and self._last_fallen_s <= self.duration_s - STANDING_S

    @property
    def kept(self) -> bool:
        """Whether the pole has stood since 7 s after the reset, and the cart is on the rail."""
        return self.over and not self.failed and self._last_fallen_s <= SwingUp.duration_s - STANDING_S

    def truth(self) -> np.ndarray:
        """Cart position [m] and velocity [m/s], pole angle [rad] in -pi..pi and rate [rad/s]."""
        position, angle = self.data.qpos.tolist()
        velocity, rate = self.data.qvel.tolist()
        return np.array([position, velocity, math.remainder(angle, 2 * math.pi), rate])

    def judge(self, passed_s: float) -> None:
        """Reward the pole for standing."""
        self.failed = not abs(self.data.qpos[0]) <= RAIL  # so that NaN is off the rail
        angle = math.remainder(self.data.qpos[1], 2 * math.pi)
        if not abs(angle) <= UPRIGHT:
            self._last_fallen_s = self.elapsed_s
        n_steps, step_s = round(passed_s / self.model.opt.timestep), self.model.opt.timestep
        self.reward = (1 + math.cos(angle)) / 2 * n_steps * step_s  # in this order: figures are pinned to the bit

    def steering(self) -> SwingUpSteering:
        """Angle and rate of the pole, from its sine and cosine."""
        return SwingUpSteering()

    def expert(self) -> StateExpert:
        """Energy shaping and a regulator, on the true state of the true plant."""
        return StateExpert(lambda task: SwingUpLaw(task.model, task.period_s))
