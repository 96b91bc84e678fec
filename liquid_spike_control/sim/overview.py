# SPDX-License-Identifier: Apache-2.0
"""Colour pictures of a whole scene, for people: through its camera ``overview`` or ``track``, or the free camera."""

from __future__ import annotations

import mujoco
import numpy as np

from .renderer import OffScreen

#: Cameras of a scene that show the whole robot, the best first.
CAMERAS = ("overview", "track")
#: Behind a scene without a sky: colours at the top and at the bottom.
SKY = np.array([[44, 54, 70], [84, 96, 114]], float)
#: A scene that leaves the headlight off for its event camera is lit at least so much.
_AMBIENT, _DIFFUSE = 0.35, 0.4
#: Room around what is framed.
_MARGIN = 1.08


class Overview(OffScreen):
    """Pictures of a scene as people see it; a context manager.

    A camera ``overview`` is zoomed in as far as everything stays in sight that the joints can turn, unless the robot is
    free to leave; without a camera the same is framed from the front.

    Args:
        model: its lights, cameras and render settings are changed: give it a model that no event camera looks at.
        data: with positions computed, at the beginning of the episode.
        width, height: of the pictures [pixels].

    Raises:
        TaskError: a size is less than 1.
        RenderingError: there is no off-screen GL.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, width: int, height: int) -> None:
        known = {model.camera(i).name for i in range(model.ncam)}
        camera = next((c for c in CAMERAS if c in known), None)
        light = model.vis.headlight
        light.ambient[:] = np.maximum(light.ambient, _AMBIENT)
        light.diffuse[:] = np.maximum(light.diffuse, _DIFFUSE)
        points = None if mujoco.mjtJoint.mjJNT_FREE in model.jnt_type else _reach(model, data)
        if camera == "overview" and points is not None:
            _zoom(model, data, model.camera(camera).id, points, width / height)
        super().__init__(model, camera, width, height, samples=4)
        if camera is None and points is not None:
            half = (points.max(0) - points.min(0)) / 2
            high = max(half[2], max(half[0], half[1]) * height / width)
            self._camera.lookat[:] = (points.max(0) + points.min(0)) / 2
            self._camera.distance = _MARGIN * high / np.tan(np.radians(model.vis.global_.fovy) / 2) + half[1]
            self._camera.azimuth, self._camera.elevation = 90, -8
        self._rgb = np.empty((height, width, 3), np.uint8)
        self._depth = np.empty((height, width), np.float32)
        has_sky = any(kind == mujoco.mjtTexture.mjTEXTURE_SKYBOX for kind in model.tex_type)
        # rows from the bottom, as OpenGL has them
        rows = np.linspace(1.0, 0.0, height)[:, None]
        self._sky = None if has_sky else (SKY[0] * (1 - rows) + SKY[1] * rows).astype(np.uint8)[:, None, :]

    def look(self, data: mujoco.MjData) -> np.ndarray:
        """The picture.

        Args:
            data: with positions computed, see :meth:`.Renderer.render`.

        Returns:
            uint8, shape ``(height, width, 3)``, row 0 at the top.

        Raises:
            RenderingError: the renderer is closed.
        """
        self._draw(data)
        mujoco.mjr_readPixels(self._rgb, self._depth, self._viewport, self._context)
        if self._sky is not None:
            np.copyto(self._rgb, self._sky, where=(self._depth >= 1.0)[..., None])
        return self._rgb[::-1].copy()


def _reach(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray | None:
    """Return points around the visible scene, float64 ``(n, 3)`` [m]: boxes of fixed geoms, balls of geoms that a hinge
    turns; planes are background. None if there is nothing else.
    """
    found = []
    signs = np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, 8).T
    for geom in range(model.ngeom):
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE:
            continue
        local = model.geom_aabb[geom, :3] + signs * model.geom_aabb[geom, 3:]
        corners = data.geom_xpos[geom] + local @ data.geom_xmat[geom].reshape(3, 3).T
        hinge = _first_hinge(model, model.geom_bodyid[geom])
        if hinge is not None:
            anchor = data.xanchor[hinge]
            radius = np.linalg.norm(corners - anchor, axis=1).max()
            corners = anchor + radius * np.vstack([np.eye(3), -np.eye(3)])
        found.append(corners)
    return np.vstack(found) if found else None


def _first_hinge(model: mujoco.MjModel, body: int) -> int | None:
    """The hinge nearest to the world that turns a body."""
    found = None
    while body:
        first = model.body_jntadr[body]
        for joint in range(first, first + model.body_jntnum[body]):
            if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE:
                found = joint
        body = model.body_parentid[body]
    return found


def _zoom(model: mujoco.MjModel, data: mujoco.MjData, camera: int, points: np.ndarray, aspect: float) -> None:
    """Narrow a camera's angle to the points."""
    seen = (points - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
    depth = -seen[:, 2]
    if (depth <= 0).any():
        return  # something is behind it
    high = max(np.abs(seen[:, 1] / depth).max(), np.abs(seen[:, 0] / depth).max() / aspect)
    model.cam_fovy[camera] = min(model.cam_fovy[camera], 2 * np.degrees(np.arctan(_MARGIN * high)))
