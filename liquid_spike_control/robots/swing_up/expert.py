# SPDX-License-Identifier: Apache-2.0
"""The expert of the cart-pole swing-up: energy shaping that gives way to a regulator as the pole comes near.

With x the cart's position, theta the pole's angle from upright, m its mass, l the distance of its centre of mass from
the hinge, J its moment of inertia about the hinge, M the cart's mass, and b, c the viscous friction of rail and hinge:

    J theta'' = m g l sin theta - m l cos theta x'' - c theta'
    (M + m) x'' + m l cos theta theta'' - m l sin theta theta'^2 = F - b x'
    E = J theta'^2 / 2 + m g l (cos theta - 1)                        0 when it stands upright
    dE/dt = -m l cos theta theta' x'' - c theta'^2

so that ``x'' = k E theta' cos theta`` brings the energy to that of the upright pole, and the force follows from x''
(Astrom and Furuta, "Swinging up a pendulum by energy control", Automatica 2000; with the cart's force by partial
feedback linearisation, Spong 1994). A spring towards mid-rail keeps the cart on it. Weights that depend on the state
smoothly join the two laws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from ...control.lqr import Lqr, linearise

#: Costs of 1 m, 1 m/s, 1 rad and 1 rad/s of deviation, against that of 1 N.
STATE_WEIGHTS = (10.0, 3.0, 20.0, 2.0)
COMMAND_WEIGHTS = (1.0,)
#: The regulator takes over as the cosine of the angle grows from the first to the second of these ...
CATCH = (0.85, 0.97)
#: ... and the less, the further the energy is from that aimed at.
CATCH_ENERGY = 0.5
#: Energy aimed at, above that of the upright pole and in units of m g l: the pole that comes up too slowly to be
#: caught, and too near to be swung, leads the cart off its rail.
SURPLUS = 0.2
#: Greatest acceleration that energy shaping asks for [m/s^2], and how soon it does: k, for an energy in units of m g l
#: and a rate in units of sqrt(g / l).
SWING_ACCELERATION, ENERGY_GAIN = 5.0, 4.0
#: Spring and damper that keep the cart about mid-rail [1/s^2], [1/s].
CENTRING = (6.0, 2.0)


@dataclass(frozen=True, slots=True)
class CartPole:
    """The numbers of a cart-pole, in SI units; the symbols are those of the module.

    Attributes:
        cart_mass: M [kg].
        pole_mass: m [kg].
        com: l [m].
        inertia: J, about the hinge [kg m^2].
        cart_friction, pole_friction: b [N s/m], c [N m s].
        gravity: g [m/s^2].
        gain: force for a command of 1.
    """

    cart_mass: float
    pole_mass: float
    com: float
    inertia: float
    cart_friction: float
    pole_friction: float
    gravity: float
    gain: float

    @classmethod
    def of(cls, model: mujoco.MjModel) -> CartPole:
        """Read from a MuJoCo model with bodies ``cart`` and ``pole`` and one motor."""
        cart, pole = model.body("cart").id, model.body("pole").id
        mass, com = model.body_mass[pole], model.body_ipos[pole][2]
        gain = model.actuator_gainprm[0, 0]
        numbers = (
            model.body_mass[cart], mass, com, model.body_inertia[pole][1] + mass * com**2, model.dof_damping[0],
            model.dof_damping[1], -model.opt.gravity[2], gain,
        )  # fmt: skip
        return cls(*map(float, numbers))

    def energy(self, angle: float, rate: float) -> float:
        """E of the pole [J]."""
        return self.inertia * rate**2 / 2 + self.pole_mass * self.gravity * self.com * (math.cos(angle) - 1)

    def force(self, acceleration: float, velocity: float, angle: float, rate: float) -> float:
        """The force F [N] that gives the cart an acceleration [m/s^2] in a state."""
        moment = self.pole_mass * self.com
        coupling = moment * math.cos(angle)
        free = (moment * self.gravity * math.sin(angle) - self.pole_friction * rate) / self.inertia
        effective = self.cart_mass + self.pole_mass - coupling**2 / self.inertia
        drag = self.cart_friction * velocity - moment * math.sin(angle) * rate**2
        return effective * acceleration + coupling * free + drag


class SwingUpLaw:
    """The command for a state, without memory and without jumps: what learns from it can follow it.

    Args:
        model: of the cart-pole, upright at its reference pose.
        period_s: control period [s], a whole number of physics steps.
    """

    def __init__(self, model: mujoco.MjModel, period_s: float) -> None:
        self.plant = CartPole.of(model)
        a, b = linearise(model, period_s)
        lower, upper = model.actuator_ctrlrange.T
        regulator = Lqr.design(a, b, (0, 2, 1, 3), STATE_WEIGHTS, COMMAND_WEIGHTS, lower, upper)
        self._gain, self._limit = regulator.gain[0], float(upper[0])

    def step(self, state: np.ndarray) -> np.ndarray:
        """Command ``(1,)`` for cart position [m] and velocity [m/s], pole angle from upright [rad] and rate [rad/s]."""
        position, velocity, angle, rate = state.tolist()
        plant, cosine = self.plant, math.cos(angle)
        excess = plant.energy(angle, rate) / (plant.pole_mass * plant.gravity * plant.com) - SURPLUS
        swing = ENERGY_GAIN * excess * rate * cosine / math.sqrt(plant.gravity / plant.com)
        spring, damper = CENTRING
        acceleration = SWING_ACCELERATION * math.tanh(swing) - spring * position - damper * velocity
        force = plant.force(acceleration, velocity, angle, rate) / plant.gain
        near = min(max((cosine - CATCH[0]) / (CATCH[1] - CATCH[0]), 0.0), 1.0)
        catch = near**2 * (3 - 2 * near) * math.exp(-((excess / CATCH_ENERGY) ** 2))
        command = (1 - catch) * force - catch * float(self._gain @ state)
        return np.array([min(max(command, -self._limit), self._limit)])
