# SPDX-License-Identifier: Apache-2.0
"""The joint positions of a scene, from what a robot reports of itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import mujoco
import numpy as np

from ..robot import MujocoPlace, Robot

#: What a number says about a joint: its position [m, rad], or the sine or cosine of it.
_POSITION, _SINE, _COSINE = "position", "sine", "cosine"


class JointPositions:
    """Finds the position of every joint of a scene among a robot's readings and estimates.

    Args:
        robot: whose readings and estimates name joints, or sensors of joints, of the scene.
        model: the scene.

    Attributes:
        missing: names of the joints whose positions are in no reading and no estimate; free and ball joints always are.
    """

    def __init__(self, robot: Robot, model: mujoco.MjModel) -> None:
        found: dict[int, dict[str, str]] = {}
        entries = [(r.name, r.mujoco) for r in robot.readings] + [(e.name, e.mujoco) for e in robot.estimates]
        for name, place in entries:
            if place is not None and (about := _joint(model, place)) is not None:
                joint, what = about
                found.setdefault(joint, {}).setdefault(what, name)
        self._read: list[tuple[int, Callable[[Mapping[str, float]], float]]] = []
        self.missing = []
        for joint in range(model.njnt):
            read = _reader(found.get(joint, {}))
            if read is None:
                self.missing.append(model.joint(joint).name or f"joint {joint}")
            else:
                self._read.append((int(model.jnt_qposadr[joint]), read))

    def write(self, values: Mapping[str, float], qpos: np.ndarray) -> bool:
        """Write the joints' positions.

        Args:
            values: of readings and estimates, by name.
            qpos: of MuJoCo, ``(nq,)``; changed.

        Returns:
            Whether each of them is a finite number; otherwise nothing is written.
        """
        positions = [(at, read(values)) for at, read in self._read]
        if not all(math.isfinite(position) for _, position in positions):
            return False
        for at, position in positions:
            qpos[at] = position
        return True


def _joint(model: mujoco.MjModel, place: MujocoPlace) -> tuple[int, str] | None:
    """The joint that a place is about, and what it says of it; None of another thing."""
    if place.kind == "joint" and place.field in (_POSITION, _SINE, _COSINE):
        joint = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, place.target)
        return None if joint < 0 else (joint, str(place.field))
    if place.kind == "sensor":
        sensor = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, place.target)
        if sensor >= 0 and model.sensor_type[sensor] == mujoco.mjtSensor.mjSENS_JOINTPOS:
            return int(model.sensor_objid[sensor]), _POSITION
    return None


def _reader(names: Mapping[str, str]) -> Callable[[Mapping[str, float]], float] | None:
    if _POSITION in names:
        name = names[_POSITION]
        return lambda values: values.get(name, math.nan)
    if _SINE in names and _COSINE in names:
        sine, cosine = names[_SINE], names[_COSINE]
        return lambda values: math.atan2(values.get(sine, math.nan), values.get(cosine, math.nan))
    return None
