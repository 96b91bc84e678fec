# SPDX-License-Identifier: Apache-2.0
"""Cart-pole swing-up: the pole hangs, and is to stand.

From positions only a controller must find the rates from the samples it has had and the time between them.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np

from ..control.swing_up import SwingUpLaw
from ..resources import share
from .mujoco_task import MujocoTask
from .task import StateExpert, bounded
from .variation import NOMINAL, Variation

#: The cart falls off the rail beyond this position [m].
RAIL = 1.5
#: The pole stands within this angle of upright [rad].
UPRIGHT = 0.2
#: How long it must stand at the end of the episode [s].
STANDING_S = 3.0
#: The episode begins with the cart within +-START_POSITION [m], the pole within +-START_ANGLE [rad] of hanging and a
#: rate within +-START_RATE [rad/s].
START_POSITION, START_ANGLE, START_RATE = 0.3, 0.3, 0.5

_POSITIONS = (("cart_position", "m", 0.5), ("pole_sine", "1", 1.0), ("pole_cosine", "1", 1.0))
_RATES = (("cart_velocity", "m/s", 1.0), ("pole_rate", "rad/s", 5.0))


class SwingUp(MujocoTask):
    """Swing up the pole of ``sim/swing_up.xml`` and keep it upright; see :class:`~.task.ControlTask`.

    A cart of 1 kg on a rail of +-1.5 m is pushed with at most +-10 N every 20 ms; a rod of 0.2 kg and 0.6 m hangs
    from it. The episode ends after 10 s, or when the cart falls off the rail. It is a success when the pole stood
    within 0.2 rad at the end of every control period of its last 3 s. The reward is the integral of
    ``(1 + cos angle) / 2`` over time [s].

    The truth is cart position [m] and velocity [m/s], pole angle [rad] in -pi..pi, 0 upright, and rate [rad/s].

    Args:
        full: show the velocities too, not positions only.
    """

    version = 1
    command_names: tuple[str, ...] = ("cart_force",)
    command_units: tuple[str, ...] = ("N",)
    period_s = 0.02
    duration_s = 10.0
    variable: tuple[str, ...] = ("mass", "length", "friction", "actuator")

    def __init__(self, full: bool = False) -> None:
        self.data_files = (share("sim/swing_up.xml"),)
        model = mujoco.MjModel.from_xml_path(str(self.data_files[0]))
        seen = _POSITIONS + (_RATES if full else ())
        super().__init__("swing-up-full" if full else "swing-up", seen, model, mujoco.MjData(model), ("pole",))
        self._full = full
        self.command_limits = model.actuator_ctrlrange[:, 1].copy()
        self.reset(0)

    def reset(self, seed: int, variation: Variation = NOMINAL) -> None:
        """Begin the episode of a seed; see :meth:`.task.ControlTask.reset`."""
        self._begin(variation)
        rng = np.random.default_rng(seed)
        self.data.qpos[0] = rng.uniform(-START_POSITION, START_POSITION)
        self.data.qpos[1] = math.pi + rng.uniform(-START_ANGLE, START_ANGLE)
        self.data.qvel[1] = rng.uniform(-START_RATE, START_RATE)
        self._last_fallen_s = 0.0

    @property
    def success(self) -> bool:
        """Whether the pole stood for the last 3 s and the cart is on the rail."""
        return self.over and not self.failed and self._last_fallen_s <= self.duration_s - STANDING_S

    def observe(self) -> np.ndarray:
        """Cart position [m], sine and cosine of the pole's angle; if full, cart velocity [m/s], pole rate [rad/s]."""
        position, angle = self.data.qpos.tolist()
        seen = [position, math.sin(angle), math.cos(angle)]
        return np.array(seen + self.data.qvel.tolist() if self._full else seen)

    def truth(self) -> np.ndarray:
        """Cart position [m] and velocity [m/s], pole angle [rad] in -pi..pi and rate [rad/s]."""
        position, angle = self.data.qpos.tolist()
        velocity, rate = self.data.qvel.tolist()
        return np.array([position, velocity, math.remainder(angle, 2 * math.pi), rate])

    def advance(self, command: np.ndarray, duration_s: float) -> None:
        """Hold a force [N]; see :meth:`.task.ControlTask.advance`."""
        n_steps = self._whole_steps(duration_s)
        self.data.ctrl[:] = bounded(command, self.command_limits)
        mujoco.mj_step(self.model, self.data, n_steps)
        self._steps += n_steps
        self.failed = not abs(self.data.qpos[0]) <= RAIL  # so that NaN is off the rail
        angle = math.remainder(self.data.qpos[1], 2 * math.pi)
        if not abs(angle) <= UPRIGHT:
            self._last_fallen_s = self.elapsed_s
        self.reward = (1 + math.cos(angle)) / 2 * n_steps * self.model.opt.timestep

    def expert(self) -> StateExpert:
        """Energy shaping and a regulator, on the true state of the true plant."""
        return StateExpert(lambda task: SwingUpLaw(task.model, task.period_s))
