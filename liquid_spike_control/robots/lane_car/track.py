# SPDX-License-Identifier: Apache-2.0
"""Closed tracks, drawn at random: the middle of a lane, with bounded curvature and no two parts close to each other.

In polar coordinates the curve is r(a) = 1 + sum of c_k cos(k a + p_k), k = 2 to 5, scaled to a length; a curve that
bends too sharply, leaves the ground or comes near itself is drawn again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

#: Shortest and longest lap [m], greatest curvature [1/m], half a side of the square that holds the middle [m].
LENGTH, SHARPEST, EXTENT = (17.0, 22.0), 1.0, 3.6
#: Middles of two parts of the lane are at least so far apart [m], if they are farther than NEIGHBOURS along it [m].
APART, NEIGHBOURS = 1.0, 2.0
#: Distance between two samples of the middle [m], about.
SPACING = 0.02
_WAVES = np.arange(2, 6)


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Samples of the middle of a lane at equal distances, counterclockwise or clockwise.

    Attributes:
        points: float64 ``(n, 2)`` [m].
        heading: of the lane, unwrapped, float64 ``(n,)`` [rad].
        curvature: positive to the left, float64 ``(n,)`` [1/m].
        spacing: between samples [m].
    """

    points: np.ndarray
    heading: np.ndarray
    curvature: np.ndarray
    spacing: float

    @property
    def length(self) -> float:
        """Of a lap [m]."""
        return len(self.points) * self.spacing

    def locate(self, x: float, y: float, near: int, window: int = 25) -> tuple[int, float, float]:
        """The sample that is nearest to a point, among those near another one.

        Args:
            x, y: point [m].
            near: number of a sample.
            window: samples that are searched in each direction.

        Returns:
            Its number, and how far the point is ahead of it and left of it [m].
        """
        numbers = (near + np.arange(-window, window + 1)) % len(self.points)
        apart = np.array([x, y]) - self.points[numbers]
        best = int(np.argmin((apart**2).sum(1)))
        number = int(numbers[best])
        c, s = math.cos(self.heading[number]), math.sin(self.heading[number])
        dx, dy = apart[best].tolist()
        return number, c * dx + s * dy, c * dy - s * dx

    def curvature_at(self, number: int, ahead: float) -> float:
        """Curvature so many metres ahead of a sample [1/m]."""
        return float(self.curvature[(number + round(ahead / self.spacing)) % len(self.points)])


def draw_track(rng: np.random.Generator) -> Track:
    """A track of at least :data:`LENGTH` [m], the direction of travel drawn too."""
    while True:
        found = _sampled(rng)
        if found is not None:
            return found


def _sampled(rng: np.random.Generator) -> Track | None:
    length, turn = rng.uniform(*LENGTH), rng.choice([-1.0, 1.0])
    size = rng.normal(0, 0.3, len(_WAVES)) / _WAVES
    phase = rng.uniform(0, 2 * math.pi, len(_WAVES))
    angle = np.linspace(0, 2 * math.pi, 2001)
    waves = _WAVES[:, None] * angle + phase[:, None]
    r = 1 + size @ np.cos(waves)
    r_1, r_2 = -(size * _WAVES) @ np.sin(waves), -(size * _WAVES**2) @ np.cos(waves)
    speed = np.hypot(r, r_1)
    arc = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2) * (angle[1] - angle[0])])
    scale = length / arc[-1]
    curvature = (r**2 + 2 * r_1**2 - r * r_2) / speed**3 / scale
    points = scale * r * np.array([np.cos(angle), np.sin(angle)])
    middle = (points.max(1) + points.min(1)) / 2
    points -= middle[:, None]
    if r.min() < 0.2 or np.abs(curvature).max() > SHARPEST or np.abs(points).max() > EXTENT:
        return None
    heading = np.unwrap(angle + math.pi / 2 - np.arctan2(r_1, r))
    n = round(length / SPACING)
    at = np.arange(n) * arc[-1] / n
    columns = [np.interp(at, arc, values) for values in (*points, heading, curvature)]
    if turn < 0:  # clockwise
        columns = [column[::-1] for column in columns]
        columns[2], columns[3] = columns[2] + math.pi, -columns[3]
    track = Track(np.array(columns[:2]).T.copy(), columns[2].copy(), columns[3].copy(), length / n)
    return track if _keeps_apart(track) else None


def _keeps_apart(track: Track) -> bool:
    every = 10
    points, n = track.points[::every], len(track.points[::every])
    apart = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    steps = np.abs(np.arange(n)[:, None] - np.arange(n)[None])
    along = np.minimum(steps, n - steps) * every * track.spacing
    return bool(apart[along > NEIGHBOURS].min() > APART)
