# SPDX-License-Identifier: Apache-2.0
"""Quadrotor hover: come back to the setpoint and stay there while the wind blows.

Wind and lift are seen only by what they do over time; in the partial task velocities are, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import mujoco
import numpy as np
from numba import njit

from ...robot import Robot
from ...tasks.mujoco_task import MujocoTask
from ...tasks.task import StateExpert
from ...tasks.variation import NOMINAL, Variation
from .expert import HoverLaw, rotor_thrusts
from .steering import HoverSteering

#: The vehicle begins within +- these of the setpoint: position [m], velocity [m/s], roll and pitch, yaw [rad].
START_POSITION, START_VELOCITY, START_LEAN, START_YAW = 1.0, 0.5, 0.3, 0.3
#: Mean wind, of any horizontal direction, up to MEAN_WIND [m/s]; gusts of standard deviation GUST horizontally and
#: half of it vertically [m/s], with a correlation time of GUST_S [s].
MEAN_WIND, GUST, GUST_S = 2.0, 0.4, 1.0
#: How often the wind changes [s].
WIND_PERIOD_S = 0.02
#: Drag of the vehicle in the air that passes it [N s/m].
DRAG = 0.3
#: The rotors of an episode give 1 +- LIFT of the thrust that the vehicle commands: battery, air and payload.
LIFT = 0.1
#: It has crashed beyond this distance along any axis [m], the ground among them, or this lean [rad].
SPACE, CRASH_LEAN = 2.0, 1.2
#: Success is a mean distance below NEAR [m] over the last HOLDING_S [s].
NEAR, HOLDING_S = 0.3, 5.0
#: The reward's distance [m].
REWARD_DISTANCE = 0.5


class Hover(MujocoTask):
    """Hold the quadrotor of ``scene.xml`` at a setpoint in wind; see :class:`~.task.ControlTask`.

    A vehicle of 0.6 kg takes a collective thrust and rates of its body every 20 ms; its own rate loop gives them to
    rotors that lag by 30 ms and give 0.9 to 1.1 of what they should. Wind of 0 to 2 m/s with gusts pushes it by a drag
    of 0.3 N s/m. The episode ends after 10 s, or with a crash: 2 m from the setpoint along an axis, or leaning beyond
    1.2 rad. It is a success when the mean distance over its last 5 s is below 0.3 m. The reward is the integral of
    ``exp(-distance / 0.5 m)`` over time [s].

    The truth is position and velocity in the world, roll, pitch and yaw, rates of the body and the wind, three each,
    and the factor on the rotors' thrust.
    """

    version = 1
    duration_s = 10.0

    def __init__(self, robot: Robot) -> None:
        self._full = len(robot.readings) > 6
        super().__init__(robot)

    def load(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """The scene, and what the vehicle weighs."""
        model, data = super().load()
        self._weight = float(model.body_mass[1] * -model.opt.gravity[2])
        self._wind_steps = round(WIND_PERIOD_S / model.opt.timestep)
        return model, data

    def reset(self, seed: int, variation: Variation = NOMINAL) -> None:
        """Begin the episode of a seed; see :meth:`.task.ControlTask.reset`."""
        self._begin(variation)
        self._drag = DRAG * variation.friction
        rng = np.random.default_rng(seed)
        lift = rng.uniform(1 - LIFT, 1 + LIFT)
        self.model.actuator_gainprm[:, 0] *= lift
        self._wind = wind(rng, self.duration_s)
        roll, pitch = rng.uniform(-START_LEAN, START_LEAN, 2)
        yaw = rng.uniform(-START_YAW, START_YAW)
        data = self.data
        data.qpos[:3] = rng.uniform(-START_POSITION, START_POSITION, 3)
        mujoco.mju_euler2Quat(data.qpos[3:7], np.array([yaw, pitch, roll]), "zyx")
        data.qvel[:3] = rng.uniform(-START_VELOCITY, START_VELOCITY, 3)
        data.act[:] = self._weight / 4  # lags hold commands, not thrusts
        mujoco.mj_forward(self.model, data)
        self._holding_m_s = self._lately_m_s = self._lately_s = 0.0
        self._lost = False

    def vary(self, variation: Variation) -> None:
        """Change the plant within an episode; see :meth:`.task.ControlTask.vary`."""
        super().vary(variation)
        self._drag = DRAG * variation.friction

    @property
    def success(self) -> bool:
        """Whether it stayed near the setpoint for the last 5 s."""
        held_s = self.elapsed_s - (self.duration_s - HOLDING_S)
        return self.over and not self.failed and self._holding_m_s < NEAR * held_s

    @property
    def kept(self) -> bool:
        """Whether it stayed near the setpoint, on average over each 5 s since 5 s after the reset."""
        return self.over and not self.failed and not self._lost

    def attitude(self) -> tuple[float, float, float]:
        """Roll, pitch and yaw [rad], turned in the order yaw, pitch, roll."""
        w, x, y, z = self.data.qpos[3:7].tolist()
        roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
        pitch = math.asin(min(max(2 * (w * y - z * x), -1.0), 1.0))
        return roll, pitch, math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))

    def observe(self) -> np.ndarray:
        """Position from the setpoint and attitude; if full, velocity in the world and rates of the body."""
        seen = [*self.data.qpos[:3].tolist(), *self.attitude()]
        return np.array(seen + self.data.qvel.tolist() if self._full else seen)

    def truth(self) -> np.ndarray:
        """Position, velocity, attitude, rates, wind, lift; float64 ``(16,)``."""
        data, lift = self.data, self.model.actuator_gainprm[0, :1]
        return np.concatenate([data.qpos[:3], data.qvel[:3], self.attitude(), data.qvel[3:], self._wind_now(), lift])

    def _wind_now(self) -> np.ndarray:
        return self._wind[min(self._steps // self._wind_steps, len(self._wind) - 1)]

    def advance(self, command: np.ndarray, duration_s: float) -> None:
        """Hold a thrust and rates of the body; see :meth:`.task.ControlTask.advance`."""
        model, data = self.model, self.data
        n_steps = self._whole_steps(duration_s)
        command = self.bounded(command)
        thrust, rates = self._weight + float(command[0]), command[1:]
        velocity, rotors, force = data.qvel, data.ctrl, data.xfrc_applied[1]
        for step in range(n_steps):
            if step == 0 or self._steps % self._wind_steps == 0:
                wind_now = self._wind_now()
            drive(thrust, rates, velocity, wind_now, self._drag, rotors, force)
            mujoco.mj_step(model, data)
            self._steps += 1
        self._judge(n_steps * model.opt.timestep)

    def _judge(self, passed_s: float) -> None:
        x, y, z = self.data.qpos[:3].tolist()
        roll, pitch, _ = self.attitude()
        # "not (a and b)" so that a state that is not finite counts as a crash
        within = max(abs(x), abs(y), abs(z)) <= SPACE and math.cos(roll) * math.cos(pitch) >= math.cos(CRASH_LEAN)
        self.failed = not within
        distance = math.hypot(x, y, z)
        late_s = min(passed_s, max(0.0, self.elapsed_s - (self.duration_s - HOLDING_S)))
        self._holding_m_s += distance * late_s
        if self.elapsed_s > Hover.duration_s - HOLDING_S + 1e-9:
            self._lately_m_s, self._lately_s = self._lately_m_s + distance * passed_s, self._lately_s + passed_s
            if self._lately_s > HOLDING_S - 1e-9:
                self._lost |= self._lately_m_s >= NEAR * self._lately_s
                self._lately_m_s = self._lately_s = 0.0
        self.reward = math.exp(-distance / REWARD_DISTANCE) * passed_s

    def steering(self) -> Callable[[np.ndarray, float], np.ndarray]:
        """Height, climb and yaw, of a vehicle that sees its velocity."""
        return HoverSteering() if self._full else super().steering()

    def expert(self) -> StateExpert:
        """A cascade of position and attitude loops that knows the wind and the true vehicle."""
        return StateExpert(_law)


@njit(cache=True)
def drive(thrust, rate_setpoint, velocity, wind, drag, rotors, force):  # noqa: D103
    rotor_thrusts(thrust, rate_setpoint, velocity[3:], rotors)
    for axis in range(3):
        force[axis] = drag * (wind[axis] - velocity[axis])


def _law(task: Hover) -> HoverLaw:
    return HoverLaw(
        mass=float(task.model.body_mass[1]), drag=DRAG * task.variation.friction, nominal_weight=task._weight,
        limits=task.command_limits, gravity=float(-task.model.opt.gravity[2]),
    )  # fmt: skip


def wind(rng: np.random.Generator, duration_s: float) -> np.ndarray:
    """Wind of one episode: a constant mean and gusts, an Ornstein-Uhlenbeck process along each axis.

    A process with one correlation time is what the Dryden spectrum of the longitudinal gust is at a vehicle that
    stands still against its mean wind (MIL-F-8785C).

    Args:
        rng: of the episode.
        duration_s: of the episode [s].

    Returns:
        float64 ``(n, 3)``, a velocity [m/s] for each 20 ms.
    """
    n = math.ceil(duration_s / WIND_PERIOD_S) + 1
    speed, heading = rng.uniform(0, MEAN_WIND), rng.uniform(-math.pi, math.pi)
    kept = math.exp(-WIND_PERIOD_S / GUST_S)
    gusts = rng.standard_normal((n, 3)) * (GUST, GUST, GUST / 2)
    gusts[1:] *= math.sqrt(1 - kept**2)
    for k in range(1, n):
        gusts[k] += kept * gusts[k - 1]
    return gusts + (speed * math.cos(heading), speed * math.sin(heading), 0.0)
