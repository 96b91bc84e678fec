# SPDX-License-Identifier: Apache-2.0
"""The ground's texture, drawn for each episode: fractal from metres down to millimetres, or patches of even grey.

A fractal's amplitude falls with spatial frequency as f^-b, b about 1, as that of natural pictures does (Field 1987). It
repeats after 1.6 m without a seam.
"""

from __future__ import annotations

import math
from functools import cache

import mujoco
import numpy as np
from numba import njit

#: Texels along a side.
SIZE = 1024
#: Length after which the texture repeats, as in scene.xml [m].
REPEAT_M = 1.6
#: Kinds by name; perceptions are trained on the first.
KINDS = ("fractal", "patches")
#: Exponents, contrasts (standard deviation of log intensity) and mean grey levels that are drawn.
EXPONENT, CONTRAST, GREY = (0.8, 1.3), (0.35, 0.7), (70.0, 130.0)


@cache
def _frequencies() -> np.ndarray:
    side = np.fft.fftfreq(SIZE, 1 / SIZE)
    radius = np.hypot(side[:, None], np.fft.rfftfreq(SIZE, 1 / SIZE)[None]).astype(np.float32)
    radius[0, 0] = np.inf
    return radius


def ground_texture(seed: int, kind: str = "fractal") -> np.ndarray:
    """Grey levels of the ground of an episode, uint8 ``(SIZE, SIZE)``.

    Args:
        seed: of the episode.
        kind: of :data:`KINDS`.
    """
    rng = np.random.default_rng([seed, 7])
    exponent, contrast, grey = rng.uniform(*EXPONENT), rng.uniform(*CONTRAST), rng.uniform(*GREY)
    field = _fractal(rng, exponent)
    if kind == "patches":  # plateaus of two fractals, with edges between them and a little grain on them
        levels = np.round(1.5 * field) + np.round(1.5 * _fractal(rng, 1.0))
        field = levels / levels.std() + 0.15 * rng.standard_normal(field.shape, np.float32)
    return np.clip(grey * np.exp(contrast * field), 3, 255).astype(np.uint8)


def _fractal(rng: np.random.Generator, exponent: float) -> np.ndarray:
    """A field with mean 0 and standard deviation 1."""
    white = np.fft.rfft2(rng.standard_normal((SIZE, SIZE), np.float32))
    field = np.fft.irfft2(white * _frequencies() ** -exponent, s=(SIZE, SIZE))
    return (field / field.std()).astype(np.float32)


class GroundPictures:
    """What a camera sees of a textured plane, at a tenth of the renderer's time on a CPU.

    Every pixel's ray meets the plane at a texel, which is read between two levels of a pyramid of box averages (a
    trilinear mipmap); above the horizon there is the sky.

    Args:
        texture: grey levels, ``(SIZE, SIZE)``.
        width, height: of the picture [pixels].
        fovy: its vertical angle of view [rad].
        position, rotation: of the camera in the body, ``(3,)`` and ``(3, 3)``.
        plane: rotation of the ground, which passes through the origin, ``(3, 3)``.
    """

    def __init__(
        self, texture: np.ndarray, width: int, height: int, fovy: float, position: np.ndarray, rotation: np.ndarray,
        plane: np.ndarray,
    ) -> None:  # fmt: skip
        self._levels = pyramid(texture)
        self._size, self._half = (height, width), math.tan(fovy / 2)
        self._position, self._rotation, self._plane = position.copy(), rotation.copy(), plane.copy()
        self._body = np.empty(9)

    def render(self, data: mujoco.MjData) -> np.ndarray:
        """The picture, float32 ``(height, width)``, 0 to 255."""
        mujoco.mju_quat2Mat(self._body, data.qpos[3:7])
        body = self._body.reshape(3, 3)
        position = self._plane.T @ (data.qpos[:3] + body @ self._position)
        picture = np.empty(self._size, np.float32)
        _see(self._levels, position, self._plane.T @ (body @ self._rotation), self._half, picture)
        return picture


def pyramid(texture: np.ndarray) -> np.ndarray:
    """All levels of a texture of side :data:`SIZE`, float32, for :func:`texel`.

    They follow one another: that of side n begins at the sum of the squares of the larger ones.
    """
    level: np.ndarray = texture.astype(np.float32)
    levels = [level.ravel()]
    while len(level) > 1:
        level = (level[::2, ::2] + level[1::2, ::2] + level[::2, 1::2] + level[1::2, 1::2]) / 4
        levels.append(level.ravel())
    return np.concatenate(levels)


@njit(cache=True, nogil=True, fastmath=True)
def _see(levels, position, rotation, half, picture):
    height, width = picture.shape
    n_levels = 0
    while (SIZE >> n_levels) > 1:
        n_levels += 1
    pixel = 2 * half / height
    for i in range(height):
        y = half - (i + 0.5) * pixel
        for j in range(width):
            x = (j + 0.5 - width / 2) * pixel
            down = -(rotation[2, 0] * x + rotation[2, 1] * y - rotation[2, 2])
            if down < 0.02:  # at the horizon, or above it
                picture[i, j] = 200
                continue
            reach = position[2] / down
            # Where the ray meets the plane, and how that moves from pixel to pixel
            u = position[0] + reach * (rotation[0, 0] * x + rotation[0, 1] * y - rotation[0, 2])
            v = position[1] + reach * (rotation[1, 0] * x + rotation[1, 1] * y - rotation[1, 2])
            along, across = reach * pixel / down, reach * pixel / down
            u_x = rotation[0, 0] * down + rotation[2, 0] * (u - position[0]) / reach
            v_x = rotation[1, 0] * down + rotation[2, 0] * (v - position[1]) / reach
            u_y = rotation[0, 1] * down + rotation[2, 1] * (u - position[0]) / reach
            v_y = rotation[1, 1] * down + rotation[2, 1] * (v - position[1]) / reach
            step = max(along * math.sqrt(u_x * u_x + v_x * v_x), across * math.sqrt(u_y * u_y + v_y * v_y))
            depth = min(max(math.log2(step * SIZE / REPEAT_M), 0.0), n_levels - 1.001)
            level = int(depth)
            part = np.float32(depth - level)
            s, t = u / REPEAT_M + 0.5, 0.5 - v / REPEAT_M  # as MuJoCo lays a texture on a plane
            near, far = texel(levels, level, s, t), texel(levels, level + 1, s, t)
            picture[i, j] = near + part * (far - near)


@njit(cache=True, nogil=True, fastmath=True, inline="always")
def texel(levels, level, s, t):
    """Bilinear within a level; ``s`` and ``t`` in sides of the texture."""
    side, first = SIZE >> level, 0
    for k in range(level):
        first += (SIZE >> k) * (SIZE >> k)
    column, row = s * side - 0.5, t * side - 0.5
    left, top = math.floor(column), math.floor(row)
    a, b = np.float32(column - left), np.float32(row - top)
    mask = side - 1
    x0, y0 = int(left) & mask, int(top) & mask
    x1, y1 = (x0 + 1) & mask, (y0 + 1) & mask
    upper, lower = first + y0 * side, first + y1 * side
    one = np.float32(1)
    return (one - b) * ((one - a) * levels[upper + x0] + a * levels[upper + x1]) + b * (
        (one - a) * levels[lower + x0] + a * levels[lower + x1]
    )
