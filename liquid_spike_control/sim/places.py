# SPDX-License-Identifier: Apache-2.0
"""Where a robot's quantities are in a MuJoCo model: readings and truths out of it, commands into it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NoReturn

import mujoco
import numpy as np

from ..errors import RobotError
from ..robot import Command, Estimate, MujocoPlace, Reading, Robot

_KINDS = {
    "sensor": mujoco.mjtObj.mjOBJ_SENSOR,
    "joint": mujoco.mjtObj.mjOBJ_JOINT,
    "body": mujoco.mjtObj.mjOBJ_BODY,
    "site": mujoco.mjtObj.mjOBJ_SITE,
    "actuator": mujoco.mjtObj.mjOBJ_ACTUATOR,
    "camera": mujoco.mjtObj.mjOBJ_CAMERA,
}


class Places:
    """Reads quantities from a model's data and writes commands to it.

    Args:
        robot: whose quantities.
        model, data: of MuJoCo.

    Raises:
        RobotError: the scene has no such sensor, joint, body, site, actuator or camera; names those that it has.
    """

    def __init__(self, robot: Robot, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._robot, self._model, self._data = robot, model, data
        self._readings = [self._reader(f"readings ({r.name})", r) for r in robot.readings]
        self._truths = [self._reader(f"estimates ({e.name})", e) for e in robot.estimates]
        self._actuators = [self._actuator(command) for command in robot.commands]
        for camera in robot.cameras:
            self._find("camera", camera.mujoco or camera.name, f"cameras ({camera.name}).mujoco")

    def read(self) -> np.ndarray:
        """The readings, float64 ``(n,)``; NaN where MuJoCo has none, for the task or a camera to fill in."""
        return np.array([read() for read in self._readings], float)

    def truth(self) -> np.ndarray:
        """The true values of the estimates, float64 ``(n,)``; NaN where MuJoCo has none."""
        return np.array([read() for read in self._truths], float)

    def apply(self, command: np.ndarray) -> None:
        """Set the actuators' controls to a command ``(m,)``."""
        for actuator, value in zip(self._actuators, command.tolist(), strict=True):
            if actuator is not None:
                self._data.ctrl[actuator] = value

    def _refuse(self, where: str, found: object, remedy: str) -> NoReturn:
        raise RobotError(f"{self._robot.source}: {where}: {found}; {remedy}")

    def _find(self, kind: str, name: str, where: str) -> int:
        number = mujoco.mj_name2id(self._model, _KINDS[kind], name)
        if number < 0:
            self._refuse(where, f"the scene has no {kind} '{name}'", f"name one of {names_in(self._model, kind)}")
        return number

    def _actuator(self, command: Command) -> int | None:
        if command.mujoco is None:
            return None
        return self._find("actuator", command.mujoco.target, f"commands ({command.name}).mujoco")

    def _reader(self, where: str, entry: Reading | Estimate) -> Callable[[], float]:
        if entry.mujoco is None:
            return lambda: math.nan
        read = self._place(f"{where}.mujoco", entry.mujoco)
        resolution = getattr(entry, "resolution", None)
        if resolution is None:
            return read
        return lambda: float(np.round(read() / resolution) * resolution)

    def _place(self, where: str, place: MujocoPlace) -> Callable[[], float]:
        model, data = self._model, self._data
        found = self._find(place.kind, place.target, where)
        if place.kind == "sensor":
            if place.index >= model.sensor_dim[found]:
                self._refuse(f"{where}.index", place.index, f"give 0 to {model.sensor_dim[found] - 1}")
            at = int(model.sensor_adr[found]) + place.index
            return lambda: data.sensordata[at]
        if place.kind == "joint":
            return self._joint(where, place, found)
        if place.kind == "camera":
            return _CameraMotion(model, data, found, str(place.field)).read
        field = str(place.field)
        position, matrix = (data.xpos, data.xmat) if place.kind == "body" else (data.site_xpos, data.site_xmat)
        if field in "xyz":
            axis = "xyz".index(field)
            return lambda: position[found, axis]
        angle = ("roll", "pitch", "yaw").index(field)
        return lambda: euler_angles(matrix[found])[angle]

    def _joint(self, where: str, place: MujocoPlace, joint: int) -> Callable[[], float]:
        model, data = self._model, self._data
        if model.jnt_type[joint] not in (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)):
            self._refuse(where, f"'{place.target}' is a free or ball joint", "give a sensor, or a body's fields")
        position, velocity = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        if place.field == "velocity":
            return lambda: data.qvel[velocity]
        if place.field == "position":
            return lambda: data.qpos[position]
        of = math.sin if place.field == "sine" else math.cos
        return lambda: of(data.qpos[position])


class _CameraMotion:
    """Effect of a camera's own motion on the middle of its picture.

    A still point at distance Z on the axis is at (0, 0, -Z) in the camera's frame and moves there by -v - w x p, so
    that its direction turns by (-v_x / Z + w_y, -v_y / Z - w_x) and Z shrinks by -v_z (Longuet-Higgins and Prazdny,
    The interpretation of a moving retinal image, 1980).
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, camera: int, field: str) -> None:
        self._model, self._data, self._camera, self._field = model, data, camera, field
        self._body = int(model.cam_bodyid[camera])
        self._velocity, self._geom = np.empty(6), np.empty(1, np.int32)

    def read(self) -> float:
        """The field's value; NaN where the axis meets nothing."""
        model, data, camera = self._model, self._data, self._camera
        axis = -data.cam_xmat[camera].reshape(3, 3)[:, 2]
        distance = mujoco.mj_ray(model, data, data.cam_xpos[camera], axis, None, 1, self._body, self._geom)
        if distance <= 0:
            return math.nan
        if self._field == "distance":
            return distance
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_CAMERA, camera, self._velocity, 1)
        turn_x, turn_y, _, v_x, v_y, v_z = self._velocity.tolist()
        if self._field == "divergence":
            return -v_z / distance
        turn = {"flow_x": turn_y, "flow_y": -turn_x}.get(self._field, 0.0)
        return turn - (v_x if self._field.endswith("x") else v_y) / distance


def euler_angles(matrix: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Roll, pitch and yaw [rad] of a rotation matrix ``(9,)``, turned in the order yaw, pitch, roll."""
    m = [float(x) for x in matrix]
    return math.atan2(m[7], m[8]), math.asin(min(max(-m[6], -1.0), 1.0)), math.atan2(m[3], m[0])


def names_in(model: mujoco.MjModel, kind: str) -> str:
    """Names of a model's sensors, joints, ..., for messages."""
    count = {"sensor": model.nsensor, "joint": model.njnt, "body": model.nbody, "site": model.nsite,
             "actuator": model.nu, "camera": model.ncam}[kind]  # fmt: skip
    found = [mujoco.mj_id2name(model, _KINDS[kind], i) for i in range(count)]
    return ", ".join(name for name in found if name)[:200] or "none: it has none with a name"
