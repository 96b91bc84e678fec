# SPDX-License-Identifier: Apache-2.0
"""How far the picture of a camera has moved since the last one was taken, without taking another.

Points of the scene are remembered with their pixels: where rays through a grid of pixels meet the scene, and the
corners of what can move. Their places now, seen by the camera as it is now, say how far each has moved. What changes
without a motion, such as light or a texture, is not seen by this.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np

#: Rays along each side of the picture.
RAYS = 7
#: Points that are nearer to the camera's plane are not seen [m].
NEAREST = 1e-3
#: Points up to so much outside the picture count, as a part of its size: what comes in is seen in time.
MARGIN = 0.1
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


class ImageMotion:
    """The motion of a camera's picture.

    Args:
        model: of the scene.
        camera: name in the scene.
        width, height: of the picture [pixels].
    """

    def __init__(self, model: mujoco.MjModel, camera: str, width: int, height: int) -> None:
        self._model, self._camera = model, model.camera(camera).id
        half = math.tan(math.radians(float(model.cam_fovy[self._camera])) / 2)
        self._focal, self._half = height / 2 / half, np.array([width, height]) / 2
        across = (np.arange(RAYS) + 0.5) / RAYS * 2 - 1
        x, y = np.meshgrid(across * width / height * half, across * half)
        rays = np.stack([x.ravel(), y.ravel(), np.full(x.size, -1.0)], 1)
        self._rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        carried = model.body_mocapid[model.body_rootid[model.geom_bodyid]] >= 0
        moving = np.flatnonzero((model.body_weldid[model.geom_bodyid] != 0) | carried)
        boxes = model.geom_aabb[moving]
        self._movers = np.repeat(moving, len(_CORNERS))
        self._corners = (boxes[:, None, :3] + boxes[:, None, 3:] * _CORNERS).reshape(-1, 3)
        self._geoms, self._points = np.empty(0, int), np.empty((0, 3))
        self._sky = np.empty((0, 3))
        self._pixels, self._seen = np.empty((0, 2)), np.empty(0, bool)

    def mark(self, data: mujoco.MjData) -> None:
        """A picture has been taken of the scene as it is."""
        place, turn = data.cam_xpos[self._camera], data.cam_xmat[self._camera].reshape(3, 3)
        rays, geoms, points, sky = self._rays @ turn.T, [], [], []
        body, hit = int(self._model.cam_bodyid[self._camera]), np.zeros(1, np.int32)
        for ray in rays:
            far = mujoco.mj_ray(self._model, data, place, ray, None, 1, body, hit)
            if far < 0:
                sky.append(ray)
                continue
            geom = int(hit[0])
            geoms.append(geom)
            points.append((place + far * ray - data.geom_xpos[geom]) @ data.geom_xmat[geom].reshape(3, 3))
        self._geoms = np.concatenate([np.array(geoms, int), self._movers])
        self._points = np.concatenate([np.array(points).reshape(-1, 3), self._corners])
        self._sky = np.array(sky).reshape(-1, 3)
        self._pixels, self._seen = self._project(data)

    def moved(self, data: mujoco.MjData) -> float:
        """The largest distance that a point in the picture has gone since :meth:`mark` [pixels]; infinite where one has
        passed the camera's plane.
        """
        pixels, seen = self._project(data)
        if (seen != self._seen).any():
            return math.inf
        gone = np.hypot(*(pixels - self._pixels)[seen].T)
        inside = self._inside(self._pixels[seen]) | self._inside(pixels[seen])
        return float(gone[inside].max(initial=0.0))

    def _project(self, data: mujoco.MjData) -> tuple[np.ndarray, np.ndarray]:
        """Pixels from the middle of the picture ``(n, 2)``, and whether each point lies before the camera."""
        turn = data.cam_xmat[self._camera].reshape(3, 3)
        frames = data.geom_xmat[self._geoms].reshape(-1, 3, 3)
        world = data.geom_xpos[self._geoms] + np.einsum("nij,nj->ni", frames, self._points)
        seen = np.concatenate([world - data.cam_xpos[self._camera], self._sky]) @ turn
        depth = -seen[:, 2]
        return self._focal * seen[:, :2] / np.maximum(depth, NEAREST)[:, None], depth > NEAREST

    def _inside(self, pixels: np.ndarray) -> np.ndarray:
        return (np.abs(pixels) < (1 + MARGIN) * self._half).all(1)
