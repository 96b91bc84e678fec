# SPDX-License-Identifier: Apache-2.0
"""Pictures of the pencil out of a table, in the renderer's place.

The camera rides on the cart, so a picture depends on the pole's angle, its length and the lamp alone. The pole of an
episode is rendered once at many angles; between two of them pictures are interpolated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numba import njit

from ...sim.renderer import Renderer

if TYPE_CHECKING:
    from ...robot import Camera
    from .task import Pencil

#: Angles of a table, over +-1.05 of the angle at which the pole has fallen: at its tip half a pixel apart.
N_ANGLES = 201


class PolePictures:
    """Pictures of one episode.

    Args:
        task: whose pole, as long as it is now, under its lamp; its joints are left as they were.
        camera: whose picture.
    """

    def __init__(self, task: Pencil, camera: Camera) -> None:
        model, data = task.model, task.data
        pose, largest = data.qpos.copy(), 1.05 * task.episodes.fall_angle
        self._angles = np.linspace(-largest, largest, N_ANGLES)
        self._table = np.empty((N_ANGLES, camera.height, camera.width), np.float32)
        self._picture = np.empty((camera.height, camera.width), np.float32)
        sizes = camera.width, camera.height, camera.supersample
        with Renderer(model, camera.mujoco or camera.name, *sizes) as renderer:
            for i, angle in enumerate(self._angles):
                data.qpos[:] = 0, angle
                mujoco.mj_kinematics(model, data)
                mujoco.mj_camlight(model, data)
                self._table[i] = renderer.render(data)
        data.qpos[:] = pose
        mujoco.mj_forward(model, data)

    def render(self, data: mujoco.MjData) -> np.ndarray:
        """The picture now, float32 ``(height, width)``, 0 to 255; overwritten by the next."""
        first, spacing = self._angles[0], self._angles[1] - self._angles[0]
        interpolate(self._table, first, spacing, data.qpos[1], self._picture)
        return self._picture


@njit(cache=True, nogil=True, fastmath=True)
def interpolate(pictures, first, spacing, angle, out):
    """The picture at an angle [rad].

    Args:
        pictures: float32 ``(n, height, width)``.
        first, spacing: angle of the first, and from one to the next [rad].
        angle: which is taken to the nearest of them outside.
        out: float32 ``(height, width)``, overwritten.
    """
    place = min(max((angle - first) / spacing, 0.0), pictures.shape[0] - 1.001)
    i = int(place)
    weight = np.float32(place - i)
    low, high = pictures[i], pictures[i + 1]
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = low[y, x] + weight * (high[y, x] - low[y, x])
