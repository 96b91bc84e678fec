# SPDX-License-Identifier: Apache-2.0
"""The things of a MuJoCo scene as triangles, for a page that draws them; and where they are."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

#: Around and along a round thing.
_AROUND, _ALONG = 20, 10
#: Half the size of a plane without an end, or with one that is farther [m]; the page moves it with the robot.
_FAR = 30.0
_GEOM = mujoco.mjtGeom


def solids(model: mujoco.MjModel) -> list[dict[str, Any]]:
    """Each visible geom in its own frame.

    Returns:
        A dict a geom: ``geom`` (its number), ``name``, ``body`` (name), ``rgba`` (4 numbers, 0 to 1), ``triangles`` and
        ``normals``, float32 ``(n, 3, 3)`` [m].
    """
    found = []
    for geom in range(model.ngeom):
        rgba = _rgba(model, geom)
        triangles = _triangles(model, geom)
        if rgba[3] <= 0 or triangles is None:
            continue
        edges = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        lengths = np.linalg.norm(edges, axis=1)
        triangles, edges, lengths = triangles[lengths > 0], edges[lengths > 0], lengths[lengths > 0]
        normals = np.repeat((edges / lengths[:, None])[:, None], 3, axis=1)
        found.append({
            "geom": geom, "name": model.geom(geom).name, "body": model.body(model.geom_bodyid[geom]).name,
            "rgba": rgba.tolist(), "triangles": triangles.astype(np.float32), "normals": normals.astype(np.float32),
        })  # fmt: skip
    return found


def places(data: mujoco.MjData, geoms: list[int]) -> np.ndarray:
    """Where geoms are, float32 ``(n, 12)``: position [m], then the rotation row by row."""
    return np.concatenate([data.geom_xpos[geoms], data.geom_xmat[geoms]], axis=1).astype(np.float32)


def _rgba(model: mujoco.MjModel, geom: int) -> np.ndarray:
    material = model.geom_matid[geom]
    own = np.array(model.geom_rgba[geom], float)
    # a geom's own colour wins where it has one; 0.5 is what MuJoCo gives the others
    return np.array(model.mat_rgba[material], float) if material >= 0 and (own[:3] == 0.5).all() else own


def _triangles(model: mujoco.MjModel, geom: int) -> np.ndarray | None:
    kind, size = model.geom_type[geom], np.array(model.geom_size[geom], float)
    if kind == _GEOM.mjGEOM_PLANE:
        x, y = (s if 0 < s < _FAR else _FAR for s in size[:2])
        corners = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]], float)
        return corners[[[0, 1, 2], [0, 2, 3]]]
    if kind == _GEOM.mjGEOM_SPHERE:
        return _turned(*_arc(size[0], 0.0))
    if kind == _GEOM.mjGEOM_ELLIPSOID:
        return _turned(*_arc(1.0, 0.0)) * size
    if kind == _GEOM.mjGEOM_CAPSULE:
        return _turned(*_arc(size[0], size[1]))
    if kind == _GEOM.mjGEOM_CYLINDER:
        radius, half = size[:2]
        return _turned(np.array([0, radius, radius, 0.0]), np.array([-half, -half, half, half]))
    if kind == _GEOM.mjGEOM_BOX:
        return _box(size)
    if kind == _GEOM.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        first, n = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
        face, m = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
        return np.array(model.mesh_vert[first : first + n], float)[model.mesh_face[face : face + m]]
    return None


def _arc(radius: float, half: float) -> tuple[np.ndarray, np.ndarray]:
    """Half of the outline of a ball that is drawn out by ``half`` both ways along z: radii and heights."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 2 * _ALONG + 1)
    heights = radius * np.sin(angles)
    lower, upper = heights[: _ALONG + 1] - half, heights[_ALONG:] + half
    radii = radius * np.cos(angles)
    return np.concatenate([radii[: _ALONG + 1], radii[_ALONG:]]), np.concatenate([lower, upper])


def _turned(radii: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """The surface of an outline turned around z."""
    turn = np.linspace(0, 2 * np.pi, _AROUND + 1)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    points = np.concatenate(
        [radii[:, None, None] * ring, np.broadcast_to(heights[:, None, None], (len(radii), len(turn), 1))], axis=2
    )
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]
    return np.concatenate([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)]).reshape(-1, 3, 3)


def _box(half: np.ndarray) -> np.ndarray:
    found = []
    for axis in range(3):
        u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        for sign in (-1, 1):
            middle = sign * np.eye(3)[axis]
            corners = np.array([middle - u - v, middle + u - v, middle + u + v, middle - u + v]) * half
            order = [[0, 1, 2], [0, 2, 3]] if sign > 0 else [[0, 2, 1], [0, 3, 2]]
            found.append(corners[order])
    return np.concatenate(found)
