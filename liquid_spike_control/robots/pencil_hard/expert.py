# SPDX-License-Identifier: Apache-2.0
"""LQR when commands act late: regulate the state that will be when the command arrives.

With ``e`` the deviation from the equilibrium, ``d`` the latency in milliseconds and ``f_i`` the forces that are on
their way, the deviation at the time when a command of now begins to act is

    e(d) = A^d e + sum over i of A^(d - 1 - i) B (f_i - u0),     u = u0 - K e(d)

(Smith predictor in state space; Artstein, "Linear systems with delayed controls: A reduction", 1982).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...control.lqr import Lqr, linearise
from ...tasks.mujoco_task import MujocoTask
from .task import GRAVITY, POLE_LENGTH_M, POLE_MASS_KG, PencilHard

#: Costs of 1 m, 1 m/s, 1 rad and 1 rad/s of deviation, against that of 1 N.
STATE_WEIGHTS = (30.0, 1.0, 300.0, 10.0)
#: Control period for which the gain is made: the mean of pencil-hard's [s].
HOLD_S = 0.013
#: State of MuJoCo (both positions, both velocities) in our order.
_ORDER = (0, 2, 1, 3)


class LatePencilLqr:
    """The regulator of one pole on its cart, for a constant latency and wind.

    Args:
        plant: whose present mass, length and friction are used.
        latency_ms: between command and force [ms], at least 1.
        wind: constant force on the pole's centre of mass [N].
    """

    def __init__(self, plant: PencilHard, latency_ms: int, wind: float) -> None:
        a, b = linearise(plant.model, 0.001)
        a, b = a[np.ix_(_ORDER, _ORDER)], b[list(_ORDER)]
        held_a, held_b = np.eye(4), np.zeros((4, 1))
        for _ in range(round(HOLD_S * 1e3)):
            held_a, held_b = a @ held_a, a @ held_b + b
        self._least, self._most = float(plant.least[0]), float(plant.most[0])
        lqr = Lqr.design(held_a, held_b, range(4), STATE_WEIGHTS, (1.0,), [self._least], [self._most])
        self._gain = lqr.gain[0]
        powers = [np.eye(4)]
        for _ in range(latency_ms):
            powers.append(a @ powers[-1])
        self._free = powers[latency_ms]
        self._forced = np.stack([(powers[latency_ms - 1 - i] @ b)[:, 0] for i in range(latency_ms)], 1)
        mass = POLE_MASS_KG * plant.episode.mass_scale
        self._equilibrium = np.array([0.0, 0.0, -math.atan(wind / (mass * GRAVITY)), 0.0])
        self._force = -wind

    def step(self, state: np.ndarray, forces_on_the_way: np.ndarray) -> float:
        """Force [N].

        Args:
            state: cart position [m] and velocity [m/s], pole angle [rad] and rate [rad/s].
            forces_on_the_way: commanded and not yet acting, the next one first [N], ``(latency_ms,)``.
        """
        deviation = self._free @ (state - self._equilibrium) + self._forced @ (forces_on_the_way - self._force)
        return float(np.clip(self._force - self._gain @ deviation, self._least, self._most))


class PencilHardExpert:
    """The expert: it knows the true state, the pole, the latency, the wind, and the forces on their way.

    Args:
        plant: which it drives; call :meth:`reset` after each reset of it.
    """

    def __init__(self, plant: PencilHard) -> None:
        self._plant = plant
        self.reset()

    def reset(self) -> None:
        """Take over the pole, latency and wind of the plant's episode."""
        episode = self._plant.episode
        self._lqr = LatePencilLqr(self._plant, max(1, episode.latency_ms), episode.wind)

    def act(self, task: Any) -> np.ndarray:
        """Force to be commanded now [N], ``(1,)``."""
        return np.array([self._lqr.step(task.truth(), task.forces_on_the_way)])


class EstimateLatePencilLqr:
    """The same regulator under the Controller protocol: on estimates, for the nominal pole, 15 ms and no wind.

    The cart's velocity is its displacement by the elapsed time, low-pass filtered; the forces on their way are those
    that it commanded itself.

    Args:
        task: pencil-hard; only its robot counts.

    Attributes:
        observation_names, command_names, nominal_period_s, command_limits: see
            :class:`~..liquid.controller.Controller`.
    """

    observation_names: tuple[str, ...] = ("cart_position", "cart_displacement", "pole_angle", "pole_rate")
    #: Assumed latency [ms], and time constant of the velocity's low-pass [s].
    LATENCY_MS, VELOCITY_TAU_S = 15, 0.03

    def __init__(self, task: MujocoTask) -> None:
        mass, length = (POLE_MASS_KG,) * 2, (POLE_LENGTH_M,) * 2
        plant = PencilHard(task.robot, pole_mass_kg=mass, pole_length_m=length, friction_spread=0)
        self.nominal_period_s, self.command_names = plant.period_s, plant.command_names
        self.command_limits = plant.command_limits
        self._lqr = LatePencilLqr(plant, self.LATENCY_MS, 0.0)
        self.reset()

    def reset(self) -> None:
        """Begin an episode."""
        self._velocity, self._force = 0.0, 0.0
        self._forces = np.zeros(self.LATENCY_MS)

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Force [N], ``(1,)``, for an observation ``dt`` seconds after the one before."""
        held = min(round(dt * 1e3), self.LATENCY_MS)
        self._forces = np.append(self._forces[held:], np.full(held, self._force))
        position, displacement, angle, rate = observation
        self._velocity += -math.expm1(-dt / self.VELOCITY_TAU_S) * (displacement / dt - self._velocity)
        self._force = self._lqr.step(np.array([position, self._velocity, angle, rate]), self._forces)
        return np.array([self._force])
