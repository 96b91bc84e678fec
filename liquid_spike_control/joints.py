# SPDX-License-Identifier: Apache-2.0
"""Which field of a JointState holds which named quantity. Needs no ROS: a bag's messages are read with it too."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np

from .types import Quantities

SECOND_NS = 1_000_000_000
JOINT_STATE = "sensor_msgs/msg/JointState"
MULTI_ARRAY = "std_msgs/msg/Float64MultiArray"

def to_ns(stamp: Any) -> int:
    """A ROS time as nanoseconds."""
    return stamp.sec * SECOND_NS + stamp.nanosec


def from_joint_state(message: Any, names: tuple[str, ...]) -> Quantities:
    """Read the quantities ``names`` of the graph's own sensor_msgs/JointState, where each is the position of a joint of
    its name, whatever its unit; one that is not there comes out as NaN.
    """
    found = dict(zip(message.name, message.position, strict=False))
    return Quantities(to_ns(message.header.stamp), names, np.array([found.get(name, np.nan) for name in names]))


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
