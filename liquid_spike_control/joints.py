# SPDX-License-Identifier: Apache-2.0
"""Which field of a JointState holds which named quantity. Needs no ROS: a bag's messages are read with it too."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np

from .robots.pencil.episodes import ESTIMATE_NAMES
from .types import Quantities

SECOND_NS = 1_000_000_000
JOINT_STATE = "sensor_msgs/msg/JointState"
MULTI_ARRAY = "std_msgs/msg/Float64MultiArray"

#: Name of the quantity -> (joint, field).
JOINT_FIELDS = {
    "cart_position": ("cart_slide", "position"),
    "cart_velocity": ("cart_slide", "velocity"),
    "cart_force": ("cart_slide", "effort"),
    "pole_angle": ("pole_hinge", "position"),
    "pole_rate": ("pole_hinge", "velocity"),
}


def joint_field(name: str) -> tuple[str, str]:
    """Joint and field of a quantity; one that is of no known joint travels as the position of a joint of its name."""
    return JOINT_FIELDS.get(name, (name, "position"))


#: What the topics of the pencil's joints, estimate, command and truth carry.
JOINT_NAMES = ("cart_position", "cart_velocity")
COMMAND_NAMES = ("cart_force",)
TRUTH_NAMES = JOINT_NAMES + ESTIMATE_NAMES


def to_ns(stamp: Any) -> int:
    """A ROS time as nanoseconds."""
    return stamp.sec * SECOND_NS + stamp.nanosec


def from_joint_state(message: Any, names: tuple[str, ...]) -> Quantities:
    """Read the quantities ``names`` of a sensor_msgs/JointState; one that it does not carry comes out as NaN."""
    values = np.full(len(names), np.nan)
    index = {joint: i for i, joint in enumerate(message.name)}
    for k, name in enumerate(names):
        joint, field = joint_field(name)
        column = getattr(message, field)
        i = index.get(joint, len(column))
        if i < len(column):
            values[k] = column[i]
    return Quantities(to_ns(message.header.stamp), names, values)


class Readings:
    """Which number of a robot's message is which quantity.

    Args:
        kind: type of the message: a JointState, where each interface is ``joint/field``; a Float64MultiArray, whose
            values are in the order of the names; or another stamped message, where it is the path to a number, such as
            ``twist.linear.x``.
        names: of the quantities.
        interfaces: one for each name; a Float64MultiArray needs none.
    """

    def __init__(self, kind: str, names: tuple[str, ...], interfaces: tuple[str, ...]) -> None:
        self.kind, self.names = kind, names
        self._joints = [interface.rpartition("/")[::2] for interface in interfaces]
        self._numbers = [attrgetter(interface) for interface in interfaces]

    def read(self, message: Any) -> Quantities | None:
        """The quantities; NaN where a joint is missing, None where all of them are.

        A Float64MultiArray has no stamp: it comes out as 0.

        Raises:
            AttributeError: the message has no such number.
        """
        if self.kind == MULTI_ARRAY:
            return Quantities(0, self.names, np.array(message.data, float))
        if self.kind != JOINT_STATE:
            return Quantities(to_ns(message.header.stamp), self.names, np.array([n(message) for n in self._numbers]))
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
