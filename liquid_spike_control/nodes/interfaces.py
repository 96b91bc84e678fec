# SPDX-License-Identifier: Apache-2.0
"""Mapping of quantities to the numbers of a robot's message, in the terms of ros2_control.

An interface of a ``sensor_msgs/msg/JointState`` is ``joint/field``, such as ``cart_slide/effort``; of any other stamped
message it is the path to a number, such as ``twist.linear.x`` or ``thrust_body.2``, to an angle of a quaternion, such
as ``orientation.roll``, and may be scaled, as ``thrust * 0.05 + 0.3`` (:class:`..joints.NumberField`). The values of a
``std_msgs/msg/Float64MultiArray`` are in the order of the names, as a forward_command_controller takes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import GraphError
from ..joints import ANGLES, JOINT_STATE, MULTI_ARRAY, NumberField, Readings, write_quaternion
from ..types import Quantities
from .capture import get_message
from .convert import to_time

FIELDS = ("position", "velocity", "effort")


class Interfaces:
    """Reads and writes named quantities of one kind of message.

    Args:
        kind: type of the message, such as ``sensor_msgs/msg/JointState``.
        names: of the quantities, as the model calls them.
        interfaces: of each, see above; a Float64MultiArray needs none.
        parameter: what begins the names of the node's parameters, for error messages.
        constants: of messages that are written, numbers that are no quantity: ``type_mask=128``, several after each
            other; one text for each name, or none.

    Raises:
        GraphError: the type is unknown, or an interface does not fit it; names the parameter.
    """

    def __init__(
        self, kind: str, names: Sequence[str], interfaces: Sequence[str], parameter: str, constants: Sequence[str] = ()
    ) -> None:
        self.kind, self.names, self._parameter = kind, tuple(names), parameter
        try:
            self.message_type = get_message(kind)
        except (ImportError, AttributeError, ValueError):
            raise GraphError(f"parameter {parameter}_type: '{kind}' is not installed; e.g. {JOINT_STATE}") from None
        if not self.names or len(set(self.names)) < len(self.names):
            raise GraphError(f"parameter {parameter}_names: {list(names)}; give at least one name, none twice")
        self._constants: list[tuple[NumberField, int | float]] = []
        if any(constants) and kind in (MULTI_ARRAY, JOINT_STATE):
            raise GraphError(f"parameter command_constants: {list(constants)}; a {kind} has none, leave them out")
        if kind == MULTI_ARRAY and parameter in ("command", "robot"):
            return
        if len(interfaces) != len(self.names):
            raise GraphError(
                f"parameter {parameter}_interfaces: {list(interfaces)}; give one for each of {', '.join(self.names)}"
            )
        self._check(interfaces)
        self._constants = self._read_constants(constants)
        self._readings = Readings(kind, self.names, tuple(interfaces))

    def _check(self, interfaces: Sequence[str]) -> None:
        if self.kind == JOINT_STATE:
            self._joints = tuple(tuple(interface.rpartition("/")[::2]) for interface in interfaces)
            for interface, (joint, field) in zip(interfaces, self._joints, strict=True):
                if not joint or field not in FIELDS:
                    self._refuse(interface, "give joint/position, joint/velocity or joint/effort")
            return
        example = self.message_type()
        if not hasattr(example, "header") and not isinstance(getattr(example, "timestamp", None), int):
            raise GraphError(f"parameter {self._parameter}_type: {self.kind} carries no stamp; choose one that does")
        self._numbers: list[NumberField] = []
        for text in interfaces:
            try:
                found = NumberField(text)
                number = found.read(example)
            except (AttributeError, ValueError):
                number = None
            if not isinstance(number, float):
                self._refuse(text, f"give the path to a number of {self.kind}, e.g. twist.linear.x")
            self._numbers.append(found)
        paths = [place.path for place in self._numbers]
        if len(set(paths)) < len(paths):
            self._refuse(paths, "give each quantity a number of its own")
        #: Quaternions, each with the angle or None for roll, pitch and yaw.
        self._turns: dict[str, list[int | None]] = {}
        for i, place in enumerate(self._numbers):
            if place.is_angle(example):
                self._turns.setdefault(place.parent, [None] * 3)[ANGLES.index(place.leaf)] = i

    def _read_constants(self, given: Sequence[str]) -> list[tuple[NumberField, int | float]]:
        """Numbers of the message that are always the same."""
        found, example = [], self.message_type(check_fields=True)  # refuses what is out of range
        for text in dict.fromkeys(word for each in given for word in each.split()):
            path, _, value = text.partition("=")
            try:
                place = NumberField(path)
                kind = type(getattr(place.holder(example), place.leaf))
                if kind not in (bool, int, float):
                    raise ValueError
                constant = int(value) if kind is int else float(value) if kind is float else value == "true"
                setattr(place.holder(example), place.leaf, constant)
            except (AttributeError, ValueError, AssertionError):
                remedy = f"give numbers of {self.kind} as path=value, e.g. type_mask=128"
                raise GraphError(f"parameter command_constants: '{text}'; {remedy}") from None
            found.append((place, constant))
        return found

    def _refuse(self, interface: object, remedy: str) -> None:
        raise GraphError(f"parameter {self._parameter}_interfaces: '{interface}'; {remedy}")

    def read(self, message: Any) -> Quantities | None:
        """The quantities of a stamped message; NaN where a joint is missing, None where all of them are."""
        return self._readings.read(message)

    def write(self, stamp_ns: int, values: np.ndarray) -> Any:
        """A message with the quantities; joints' other fields are NaN, other angles of a quaternion 0, other numbers
        the constants, or as a new message has them, mostly 0.
        """
        message = self.message_type()
        if self.kind == MULTI_ARRAY:
            message.data = values.tolist()
            return message
        if hasattr(message, "header"):
            message.header.stamp = to_time(stamp_ns)
        else:
            message.timestamp = stamp_ns // 1000
        if self.kind != JOINT_STATE:
            for place, constant in self._constants:
                setattr(place.holder(message), place.leaf, constant)
            scaled = [place.scaled(value) for place, value in zip(self._numbers, values.tolist(), strict=True)]
            for place, value in zip(self._numbers, scaled, strict=True):
                if place.parent in self._turns:
                    continue
                if place.leaf.isdecimal():
                    place.holder(message)[int(place.leaf)] = value
                else:
                    setattr(place.holder(message), place.leaf, value)
            for parent, which in self._turns.items():
                holder = NumberField(f"{parent}.x").holder(message)
                write_quaternion(holder, *(0.0 if i is None else scaled[i] for i in which))
            return message
        message.name = list(dict.fromkeys(joint for joint, _ in self._joints))
        for field in dict.fromkeys(field for _, field in self._joints):
            column = [np.nan] * len(message.name)
            for (joint, own), value in zip(self._joints, values.tolist(), strict=True):
                if own == field:
                    column[message.name.index(joint)] = value
            setattr(message, field, column)
        return message


def rewards_of(commands: Sequence[str]) -> Interfaces:
    """Where the reward of each command is in the messages of the topic of rewards."""
    return Interfaces(JOINT_STATE, commands, [f"{name}/position" for name in commands], "reward")
