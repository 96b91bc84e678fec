# SPDX-License-Identifier: Apache-2.0
"""Mapping of named quantities to the fields of a JointState. Needs no ROS: a bag's messages are read with it too."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from .types import Quantities

SECOND_NS = 1_000_000_000
JOINT_STATE = "sensor_msgs/msg/JointState"
MULTI_ARRAY = "std_msgs/msg/Float64MultiArray"
#: Of a quaternion, in the place of its x, y, z and w: turned in the order yaw, pitch, roll [rad].
ANGLES = ("roll", "pitch", "yaw")
_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_FIELD = re.compile(
    r"(?P<path>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*(?:\.\d{1,3})?)"
    rf"(?: \* (?P<factor>{_NUMBER}))?(?: (?P<sign>[+-]) (?P<offset>{_NUMBER}))?"
)


class NumberField:
    """Where a quantity is in a message: the path to a number, or to an angle of a quaternion, and how it is scaled.

    ``twist.linear.x`` is a number, ``thrust_body.2`` the third of an array, ``orientation.roll`` an angle of the
    quaternion ``orientation``, which may also be an array of w, x, y and z, as PX4 has it; with
    ``thrust * 0.05 + 0.3`` the message holds 0.05 times the quantity and 0.3 more.

    Args:
        text: as a description has it.

    Raises:
        ValueError: it is not of this form, or the factor is 0 or not finite.
    """

    def __init__(self, text: str) -> None:
        found = _FIELD.fullmatch(text)
        if found is None:
            raise ValueError(f"'{text}' is no path to a number")
        self.path, self.factor = found["path"], float(found["factor"] or 1.0)
        self.offset = float(found["offset"] or 0.0) * (-1 if found["sign"] == "-" else 1)
        if not (math.isfinite(self.factor) and math.isfinite(self.offset) and self.factor):
            raise ValueError(f"'{text}' is scaled by 0 or by a number that is not finite")
        self.parent: str
        self.leaf: str
        self.parent, _, self.leaf = self.path.rpartition(".")
        self._parent = attrgetter(self.parent) if self.parent else None

    def holder(self, message: Any) -> Any:
        """The part of a message that has the number.

        Raises:
            AttributeError: there is none.
        """
        return self._parent(message) if self._parent else message

    def is_angle(self, message: Any) -> bool:
        """Whether it is an angle of a quaternion in messages of this type."""
        holder = self.holder(message)
        four = isinstance(holder, np.ndarray) and len(holder) == 4
        return self.leaf in ANGLES and (four or all(hasattr(holder, axis) for axis in "xyzw"))

    def read(self, message: Any) -> float:
        """The quantity.

        Raises:
            AttributeError: the message has no such number.
        """
        holder = self.holder(message)
        if self.is_angle(message):
            array = isinstance(holder, np.ndarray)
            turn = map(float, holder) if array else (getattr(holder, axis) for axis in "wxyz")
            value = angles_of(*turn)[ANGLES.index(self.leaf)]
        elif self.leaf.isdecimal():
            if not (isinstance(holder, np.ndarray) and len(holder) > int(self.leaf)):
                raise AttributeError(f"{self.parent} has no number {self.leaf}")
            value = holder[int(self.leaf)].item()
        else:
            value = getattr(holder, self.leaf)
        if self.factor == 1.0 and self.offset == 0.0:
            return value
        return (value - self.offset) / self.factor

    def scaled(self, value: float) -> float:
        """What a message holds for a quantity."""
        return value if self.factor == 1.0 and self.offset == 0.0 else value * self.factor + self.offset


def write_quaternion(holder: Any, roll: float, pitch: float, yaw: float) -> None:
    """Write angles [rad] into a quaternion of a message, or an array of w, x, y and z."""
    turned = quaternion_of(roll, pitch, yaw)
    if isinstance(holder, np.ndarray):
        holder[:] = turned
    else:
        holder.w, holder.x, holder.y, holder.z = turned


def angles_of(w: float, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Roll, pitch and yaw [rad] of a quaternion, turned in the order yaw, pitch, roll."""
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = math.asin(min(max(2 * (w * y - z * x), -1.0), 1.0))
    return roll, pitch, math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def quaternion_of(roll: float, pitch: float, yaw: float) -> tuple[float, float, float, float]:
    """Quaternion w, x, y, z of angles [rad]."""
    (a, b, c), (s, t, u) = ([f(angle / 2) for angle in (roll, pitch, yaw)] for f in (math.cos, math.sin))
    return a * b * c + s * t * u, s * b * c - a * t * u, a * t * c + s * b * u, a * b * u - s * t * c


def to_ns(stamp: Any) -> int:
    """A ROS time as nanoseconds."""
    return stamp.sec * SECOND_NS + stamp.nanosec


def stamp_of(message: Any) -> int:
    """The stamp of a message [ns]: its header's, or the microseconds ``timestamp`` that PX4's messages have.

    Raises:
        AttributeError: it has neither.
    """
    header = getattr(message, "header", None)
    return int(message.timestamp) * 1000 if header is None else to_ns(header.stamp)


def from_joint_state(message: Any, names: tuple[str, ...]) -> Quantities:
    """Read the quantities ``names`` of the graph's own sensor_msgs/JointState, where each is the position of a joint of
    its name, in its own unit; a missing one becomes NaN.
    """
    found = dict(zip(message.name, message.position, strict=False))
    return Quantities(to_ns(message.header.stamp), names, np.array([found.get(name, np.nan) for name in names]))


def by_topic(topics: Sequence[str], types: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    """Group quantities by topic and type of the message that carries them: the numbers of the quantities, in order.

    Raises:
        ValueError: there is not one type for each topic.
    """
    grouped: dict[tuple[str, str], list[int]] = {}
    for i, place in enumerate(zip(topics, types, strict=True)):
        grouped.setdefault(place, []).append(i)
    return grouped


def setpoints_of(names: Sequence[str], setpoint_names: Sequence[str], defaults: Sequence[float]) -> Quantities | None:
    """The quantities of a topic as they are before one is given; None where it has readings, too.

    Args:
        names: of the topic's quantities.
        setpoint_names, defaults: all setpoints, and their values until others are given; without defaults a setpoint
            comes with every reading, as from a simulator.

    Raises:
        ValueError: there are defaults, but not one for each setpoint.
    """
    if not len(defaults):
        return None
    known = dict(zip(setpoint_names, defaults, strict=True))
    if not all(name in known for name in names):
        return None
    return Quantities(0, tuple(names), np.array([known[name] for name in names]))


class Merger:
    """Joins readings of which each holds some of the quantities, NaN for the others, as several publishers on one topic
    send them: each quantity is the latest that came, and the whole is as old as its oldest part.

    Args:
        initial: what holds until something comes; nothing by default.
    """

    def __init__(self, initial: Quantities | None = None) -> None:
        self._values: np.ndarray | None = None
        self._stamps: np.ndarray = np.empty(0, np.int64)
        if initial is not None:
            self._values = initial.values.copy()
            self._stamps = np.full(len(initial.values), initial.stamp_ns)

    def add(self, reading: Quantities) -> Quantities | None:
        """The reading itself where nothing lacks; else what has come so far, or None while something has not."""
        have = ~np.isnan(reading.values)
        if have.all() and self._values is None:
            return reading
        if self._values is None:
            self._values = np.full(len(reading.values), np.nan)
            self._stamps = np.zeros(len(reading.values), np.int64)
        self._values[have] = reading.values[have]
        self._stamps[have] = reading.stamp_ns
        if np.isnan(self._values).any():
            return None
        return Quantities(int(self._stamps.min()), reading.names, self._values.copy())

    def missing(self, names: tuple[str, ...]) -> list[str]:
        """Those of the quantities that no reading held yet."""
        values = np.full(len(names), np.nan) if self._values is None else self._values
        return [name for name, value in zip(names, values, strict=True) if np.isnan(value)]


class Readings:
    """Mapping of named quantities to the numbers of a robot's message.

    Args:
        kind: type of the message: a JointState, where each interface is ``joint/field``; a Float64MultiArray, whose
            values are in the order of the names; or another stamped message, where it is the path to a number, such as
            ``twist.linear.x``; see :class:`NumberField` and :func:`stamp_of`.
        names: of the quantities.
        interfaces: one for each name; a Float64MultiArray needs none.
    """

    def __init__(self, kind: str, names: tuple[str, ...], interfaces: tuple[str, ...]) -> None:
        self.kind, self.names = kind, names
        self._joints = [interface.rpartition("/")[::2] for interface in interfaces]
        self._numbers = [] if kind in (JOINT_STATE, MULTI_ARRAY) else [NumberField(text) for text in interfaces]

    def read(self, message: Any) -> Quantities | None:
        """The quantities; NaN where a joint is missing, None where all of them are.

        A Float64MultiArray has no stamp: it comes out as 0.

        Raises:
            AttributeError: the message has no such number.
        """
        if self.kind == MULTI_ARRAY:
            return Quantities(0, self.names, np.array(message.data, float))
        if self.kind != JOINT_STATE:
            values = np.array([number.read(message) for number in self._numbers])
            return Quantities(stamp_of(message), self.names, values)
        index = {joint: i for i, joint in enumerate(message.name)}
        if not any(joint in index for joint, _ in self._joints):
            return None
        values = np.full(len(self.names), np.nan)
        for k, (joint, field) in enumerate(self._joints):
            column = getattr(message, field)
            i = index.get(joint, len(column))
            if i < len(column):
                values[k] = column[i]
        return Quantities(to_ns(message.header.stamp), self.names, values)
