# SPDX-License-Identifier: Apache-2.0
"""Which field of a JointState holds which named quantity. Needs no ROS: a bag's messages are read with it too."""

from __future__ import annotations

from typing import Any

import numpy as np

from .sim.tasks import ESTIMATE_NAMES
from .types import Quantities

SECOND_NS = 1_000_000_000

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
