# SPDX-License-Identifier: Apache-2.0
"""What the episodes of the pencil are drawn from.

A pole stands on a cart on a rail of +-1 m. The cart is pushed with at most +-10 N to keep the pole upright and
the cart on the rail, while the pole is struck at random. Mass, length, friction and lighting differ each episode.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from ...errors import TaskError


@dataclass(frozen=True, slots=True)
class PencilEpisode:
    """What chance decides for one episode.

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


@dataclass(frozen=True, kw_only=True)
class PoleEpisodes(ABC):
    """Numbers of the episodes of a pole on a cart. Spreads are relative half-widths of uniform distributions.

    Attributes:
        name: in the catalogue.
        duration_s: an episode that lasts so long is a success [s].
        tilt: the pole starts within +- this angle [rad].
        push_duration_s: how long the force of a push, or of a gust, acts [s].
        push_interval_s: shortest and longest time between pushes [s].
        friction_spread: of the viscous friction in both joints.
        lighting_spread: of the lamp's brightness.
        fall_angle: the pole has fallen beyond this angle [rad].
        rail: the cart has left the rail beyond this position [m].

    Raises:
        TaskError: a number is out of range.
    """

    name: ClassVar[str]
    duration_s: float = 20.0
    tilt: float = math.radians(5.0)
    push_duration_s: float = 0.03
    push_interval_s: tuple[float, float] = (2.0, 4.0)
    friction_spread: float = 0.5
    lighting_spread: float = 0.2
    fall_angle: float = 0.6
    rail: float = 0.97

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not np.all(np.isfinite(value)):
                raise TaskError(f"task {self.name}: {field.name} = {value} is not finite")
            if isinstance(value, tuple) and not 0 <= value[0] <= value[1]:
                raise TaskError(f"task {self.name}: {field.name} = {value}; give (least, greatest), at least 0")
            if field.name.endswith("_spread") and not 0 <= value < 1:
                raise TaskError(f"task {self.name}: {field.name} = {value}; give at least 0 and less than 1")
        for name in ("duration_s", "push_duration_s", "fall_angle", "rail"):
            if getattr(self, name) <= 0:
                raise TaskError(f"task {self.name}: {name} = {getattr(self, name)}; give more than 0")
        if self.tilt < 0:
            raise TaskError(f"task {self.name}: tilt = {self.tilt} is a magnitude; give at least 0")
        if self.push_interval_s[0] <= self.push_duration_s:
            raise TaskError(
                f"task {self.name}: push_interval_s = {self.push_interval_s}; give more than push_duration_s"
            )

    @abstractmethod
    def draw(self, seed: int) -> PencilEpisode:
        """Draw an episode; the same task and seed give the same episode."""

    def _draw_pushes(self, rng: np.random.Generator, impulse: float) -> tuple[np.ndarray, np.ndarray]:
        """Times [s] and signed impulses [N s] for more than an episode, ``(n,)`` each."""
        most = int(self.duration_s / self.push_interval_s[0]) + 1
        times = np.cumsum(rng.uniform(*self.push_interval_s, size=most))
        return times, impulse * rng.choice([-1.0, 1.0], size=most)


def draw_scales(rng: np.random.Generator, *spreads: float) -> list[float]:
    """A factor about 1 for each relative half-width."""
    return [1.0 + spread * rng.uniform(-1, 1) for spread in spreads]


@dataclass(frozen=True, kw_only=True)
class PencilEpisodes(PoleEpisodes):
    """Numbers of the pencil's episodes.

    Attributes:
        push: impulse of one push at the pole's centre of mass, of either sign [N s].
        mass_spread: of the pole's mass.
        length_spread: of the pole's length.

    Raises:
        TaskError: a number is out of range.
    """

    name = "pencil"
    push: float = 0.06
    mass_spread: float = 0.1
    length_spread: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.push < 0:
            raise TaskError(f"task pencil: push = {self.push} is a magnitude; give at least 0")

    def draw(self, seed: int) -> PencilEpisode:
        """Draw an episode; the same task and seed give the same episode."""
        rng = np.random.default_rng(seed)
        tilt = rng.uniform(-self.tilt, self.tilt)
        mass, length, friction, light = draw_scales(
            rng, self.mass_spread, self.length_spread, self.friction_spread, self.lighting_spread
        )
        return PencilEpisode(tilt, mass, length, friction, light, *self._draw_pushes(rng, self.push))
