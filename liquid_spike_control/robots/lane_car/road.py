# SPDX-License-Identifier: Apache-2.0
"""The ground of an episode: asphalt with the lane's lines, textured surroundings, light; and the picture of it.

The surroundings are the fractal ground of the quadrotor. Everything is drawn into one square texture that repeats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np
from numba import njit

from ..quadrotor.ground import SIZE, ground_texture, pyramid, texel
from .track import EXTENT, Track

#: Length of the texture's side, as in scene.xml [m].
SIDE_M = 8.192
#: Half the lane's width to the middle of a line, half a line's, how far the asphalt goes beyond it [m].
HALF_LANE, HALF_LINE, VERGE = 0.3, 0.025, 0.08
#: A dash of the line in the middle and the gap after it [m].
DASH = 0.4
#: Grey levels of asphalt and lines that are drawn, and the part of the surroundings' contrast that asphalt has.
ASPHALT, LINE, GRAIN = (45.0, 90.0), (190.0, 245.0), 0.3
LINES, LIGHTS = ("edges", "centre"), ("even", "shadows", "dusk")


@dataclass(frozen=True, slots=True)
class RoadLook:
    """What a road looks like.

    Attributes:
        texture: of the surroundings, one of :data:`~..quadrotor.ground.KINDS`.
        lines: ``edges``, in half of the episodes with a dashed line in the middle, or ``centre``, only a line in the
            middle.
        lighting: ``even``; ``shadows``, which take 40 to 80 % of the light in patches; ``dusk``, a tenth of the light.
        contrast: factor on the logarithm of how much brighter lines are than asphalt.
    """

    texture: str = "fractal"
    lines: str = "edges"
    lighting: str = "even"
    contrast: float = 1.0


def draw_road(track: Track, seed: int, look: RoadLook) -> np.ndarray:
    """Grey levels of the ground, uint8 ``(SIZE, SIZE)``; row 0 is at the greatest y, column 0 at the least x."""
    rng = np.random.default_rng([seed, 3])
    ground = ground_texture(seed, look.texture).astype(np.float32)
    asphalt, line = rng.uniform(*ASPHALT), rng.uniform(*LINE)
    dashed = look.lines == "edges" and rng.random() < 0.5
    lateral, along = np.full((SIZE, SIZE), np.inf, np.float32), np.zeros((SIZE, SIZE), np.float32)
    _lay(track.points, track.heading, track.spacing, HALF_LANE + HALF_LINE + VERGE, lateral, along)
    off = np.abs(lateral)
    road = asphalt * (ground / ground.mean()) ** GRAIN
    painted = np.zeros(off.shape, bool)
    if look.lines == "edges":
        painted |= np.abs(off - HALF_LANE) < HALF_LINE
    if look.lines == "centre" or dashed:
        painted |= (off < HALF_LINE) & ((look.lines == "centre") | (along % (2 * DASH) < DASH))
    lines = asphalt * (line / asphalt) ** look.contrast * (ground / ground.mean()) ** (0.3 * GRAIN)
    picture = np.where(np.isfinite(off), np.where(painted, lines, road), ground)
    if look.lighting == "shadows":
        patches = ground_texture(seed + 1).astype(np.float32)
        coarse = np.fft.rfft2(np.log(patches))
        coarse[12:-12] = coarse[:, 12:] = 0
        low = np.fft.irfft2(coarse, s=patches.shape)
        shade = 1 / (1 + np.exp(-12 * (low - np.median(low)) / low.std()))
        picture = picture * (1 - rng.uniform(0.4, 0.8) * shade)
    elif look.lighting == "dusk":
        picture = picture * 0.1
    return np.clip(picture, 3, 255).astype(np.uint8)


@njit(cache=True, nogil=True)
def _lay(points, heading, spacing, width, lateral, along):
    """Offset from the middle, to the left, and distance along the lane of all texels that are near it."""
    texel, reach = SIDE_M / SIZE, int(width / (SIDE_M / SIZE)) + 2
    for n in range(len(points)):
        c, s = math.cos(heading[n]), math.sin(heading[n])
        column = int(math.floor((points[n, 0] + SIDE_M / 2) / texel))
        row = int(math.floor((SIDE_M / 2 - points[n, 1]) / texel))
        for i in range(max(0, row - reach), min(SIZE, row + reach + 1)):
            dy = SIDE_M / 2 - (i + 0.5) * texel - points[n, 1]
            for j in range(max(0, column - reach), min(SIZE, column + reach + 1)):
                dx = (j + 0.5) * texel - SIDE_M / 2 - points[n, 0]
                ahead, left = c * dx + s * dy, c * dy - s * dx
                if abs(ahead) <= 1.5 * spacing and abs(left) < width and abs(left) < abs(lateral[i, j]):
                    lateral[i, j], along[i, j] = left, n * spacing + ahead


assert EXTENT + HALF_LANE + HALF_LINE + VERGE < SIDE_M / 2


class RoadPictures:
    """What the camera sees of the ground, without the renderer.

    The camera keeps its height and pitch, so that each pixel sees the same place of the ground in the car's frame and
    the same size of it, from which the level of a pyramid of box averages follows (a trilinear mipmap). These are a
    table; a picture turns and shifts the places, and reads the texture there.

    Args:
        texture: grey levels, ``(SIZE, SIZE)``.
        width, height: of the picture [pixels].
        fovy: its vertical angle of view [rad].
        position, rotation: of the camera in the car, ``(3,)`` and ``(3, 3)``.
    """

    def __init__(
        self, texture: np.ndarray, width: int, height: int, fovy: float, position: np.ndarray, rotation: np.ndarray
    ) -> None:
        self._levels = pyramid(texture)
        half = math.tan(fovy / 2)
        pixel = 2 * half / height
        x = (np.arange(width) + 0.5 - width / 2) * pixel
        y = half - (np.arange(height) + 0.5) * pixel

        def places(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            rays = np.stack([*np.broadcast_arrays(x[None], y[:, None]), np.full((len(y), len(x)), -1.0)], -1)
            rays = rays @ rotation.T
            reach = position[2] / np.maximum(-rays[..., 2], 1e-3)
            return np.asarray(position[:2] + reach[..., None] * rays[..., :2])

        self._places = places(x, y)
        tiny = 1e-3 * pixel
        right, down = (np.hypot(*((p - self._places) / 1e-3).transpose(2, 0, 1))
                       for p in (places(x + tiny, y), places(x, y - tiny)))  # fmt: skip
        texels = np.maximum(right, down) * SIZE / SIDE_M
        self._depth = np.clip(np.log2(texels), 0, math.log2(SIZE) - 1e-3)

    def render(self, data: mujoco.MjData) -> np.ndarray:
        """The picture, float32 ``(height, width)``, 0 to 255."""
        picture = np.empty(self._depth.shape, np.float32)
        x, y, yaw = data.qpos[:3].tolist()
        _see(self._levels, self._places, self._depth, x, y, math.cos(yaw), math.sin(yaw), picture)
        return picture


@njit(cache=True, nogil=True, fastmath=True)
def _see(levels, places, depths, x, y, c, s, picture):
    height, width = picture.shape
    for i in range(height):
        for j in range(width):
            u = (x + c * places[i, j, 0] - s * places[i, j, 1]) / SIDE_M + 0.5
            v = 0.5 - (y + s * places[i, j, 0] + c * places[i, j, 1]) / SIDE_M
            level = int(depths[i, j])
            part = np.float32(depths[i, j] - level)
            near, far = texel(levels, level, u, v), texel(levels, level + 1, u, v)
            picture[i, j] = near + part * (far - near)
