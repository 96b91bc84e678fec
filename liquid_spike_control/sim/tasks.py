# SPDX-License-Identifier: Apache-2.0
"""What is to be achieved: the pencil task, its perturbations and its success.

A pole stands on a cart on a rail of +-1 m. The cart is pushed with at most +-10 N to keep the pole upright and
the cart on the rail, while the pole is struck at random. Mass, length, friction and lighting differ each episode.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from ..errors import TaskError

MILLISECOND_NS = 1_000_000
#: What a controller is told about the pole, in order.
ESTIMATE_NAMES = ("pole_angle", "pole_rate")
ESTIMATE_UNITS = ("rad", "rad/s")


@dataclass(frozen=True, slots=True)
class PencilTask:
    """The pencil task's numbers. Spreads are relative half-widths of uniform distributions.

    Attributes:
        duration_s: an episode that lasts so long is a success [s].
        period_s: nominal control period, a whole number of milliseconds [s].
        tilt: the pole starts within +- this angle [rad].
        push: impulse of one push at the pole's centre of mass, of either sign [N s].
        push_duration_s: how long the force of a push acts [s].
        push_interval_s: shortest and longest time between pushes [s].
        mass_spread: of the pole's mass.
        length_spread: of the pole's length.
        friction_spread: of the viscous friction in both joints.
        lighting_spread: of the lamp's brightness.
        fall_angle: the pole has fallen beyond this angle [rad].
        rail: the cart has left the rail beyond this position [m].

    Raises:
        TaskError: a number is out of range.
    """

    duration_s: float = 20.0
    period_s: float = 0.005
    tilt: float = math.radians(5.0)
    push: float = 0.06
    push_duration_s: float = 0.03
    push_interval_s: tuple[float, float] = (2.0, 4.0)
    mass_spread: float = 0.1
    length_spread: float = 0.05
    friction_spread: float = 0.5
    lighting_spread: float = 0.2
    fall_angle: float = 0.6
    rail: float = 0.97

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not np.all(np.isfinite(value)):
                raise TaskError(f"task pencil: {field.name} = {value} is not finite")
            if field.name.endswith("_spread") and not 0 <= value < 1:
                raise TaskError(f"task pencil: {field.name} = {value}; give at least 0 and less than 1")
        for name in ("duration_s", "push_duration_s", "fall_angle", "rail"):
            if getattr(self, name) <= 0:
                raise TaskError(f"task pencil: {name} = {getattr(self, name)}; give more than 0")
        if self.push < 0 or self.tilt < 0:
            raise TaskError("task pencil: push and tilt are magnitudes; give at least 0")
        if not self.push_duration_s < self.push_interval_s[0] <= self.push_interval_s[1]:
            raise TaskError(f"task pencil: push_interval_s = {self.push_interval_s}; give (shortest, longest) [s]")
        if self.period_s < 0.001 or abs(self.period_s * 1e3 - round(self.period_s * 1e3)) > 1e-9:
            raise TaskError(f"task pencil: period_s = {self.period_s}; give a whole number of milliseconds")

    @property
    def period_ns(self) -> int:
        """Nominal control period [ns]."""
        return round(self.period_s * 1e3) * MILLISECOND_NS


@dataclass(frozen=True, slots=True)
class PencilEpisode:
    """What chance decides for one episode; a pure function of task and seed.

    Attributes:
        tilt: initial angle [rad].
        mass_scale, length_scale, friction_scale, light_scale: factors on the nominal model.
        push_times_s: start of each push since the reset [s], shape ``(n,)``.
        push_impulses: signed impulse of each push [N s], shape ``(n,)``.
    """

    tilt: float
    mass_scale: float
    length_scale: float
    friction_scale: float
    light_scale: float
    push_times_s: np.ndarray
    push_impulses: np.ndarray

    @classmethod
    def draw(cls, task: PencilTask, seed: int) -> PencilEpisode:
        """Draw an episode; the same task and seed give the same episode."""
        rng = np.random.default_rng(seed)
        tilt = rng.uniform(-task.tilt, task.tilt)
        spreads = (task.mass_spread, task.length_spread, task.friction_spread, task.lighting_spread)
        scales = [1.0 + spread * rng.uniform(-1, 1) for spread in spreads]
        most = int(task.duration_s / task.push_interval_s[0]) + 1
        times = np.cumsum(rng.uniform(*task.push_interval_s, size=most))
        impulses = task.push * rng.choice([-1.0, 1.0], size=most)
        mass, length, friction, light = scales
        return cls(tilt, mass, length, friction, light, times, impulses)


def task_by_name(name: str, **changes) -> PencilTask:
    """The named task with some numbers changed.

    Raises:
        TaskError: the task is unknown, or a number is out of range.
    """
    if name != "pencil":
        raise TaskError(f"unknown task '{name}'; known tasks: pencil")
    return PencilTask(**changes)
