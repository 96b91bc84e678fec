# SPDX-License-Identifier: Apache-2.0
"""Checks of a robot's description; each error names the file, the field and the remedy."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from .errors import RobotError, TaskError
from .joints import JOINT_STATE, MULTI_ARRAY, NumberField
from .robot_entries import (
    BACKENDS,
    CAMERA_FIELDS,
    ESTIMATORS,
    EVENT_ENCODINGS,
    FRAME_FIELDS,
    GATE_TOPIC,
    JOINT_FIELDS,
    LAST_STAGE_S,
    PLACE_KINDS,
    Camera,
    Command,
    Estimate,
    MujocoPlace,
    Qos,
    Reading,
    RosPlace,
    Setpoint,
    Variant,
    names,
)

if TYPE_CHECKING:
    from .robot import Robot

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_QUANTITY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOPIC = re.compile(r"(~/|/)?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
_TYPE = re.compile(r"[a-z][a-z0-9_]*/msg/[A-Z][A-Za-z0-9]*")
#: Of a class of the folder, or of an installed module.
_CLASS = re.compile(r"[A-Za-z0-9_./-]+:[A-Za-z_][A-Za-z0-9_]*")


class Checks:
    """Checks of one robot.

    Args:
        robot: as described.
    """

    def __init__(self, robot: Robot) -> None:
        self.robot = robot

    def check(self) -> None:
        """Check all of it.

        Raises:
            RobotError: an entry is wrong, or two do not go together.
        """
        robot = self.robot
        if not _NAME.fullmatch(robot.name):
            self._refuse("name", f"'{robot.name}'", "give lower-case letters, digits, - and _, beginning with a letter")
        self._positive("period_s", robot.period_s)
        self._positive("max_age_s", robot.max_age_s)
        if robot.tolerance_s is not None and not (math.isfinite(robot.tolerance_s) and robot.tolerance_s >= 0):
            self._refuse("tolerance_s", robot.tolerance_s, "give a finite number of at least 0")
        if robot.max_age_s > 1:
            self._refuse("max_age_s", robot.max_age_s, "give at most 1 s: a longer age would mean that commands last")
        if not robot.commands:
            self._refuse("commands", "none", "give at least one; a robot without commands cannot be controlled")
        if not (robot.readings or robot.setpoints or robot.estimates):
            self._refuse("readings", "none", "give a reading, setpoint or estimate for the controller to observe")
        if robot.estimates and not robot.cameras:
            self._refuse("estimates", f"{len(robot.estimates)}", "add cameras: estimates come from event cameras")
        if robot.perception_training is not None and not _CLASS.fullmatch(robot.perception_training):
            self._refuse("perception_training", f"'{robot.perception_training}'", "give file.py:Class")
        self._check_names()
        for field in ("readings", "setpoints", "estimates"):
            for i, entry in enumerate(getattr(robot, field)):
                self._check_quantity(f"{field}[{i}] ({entry.name})", entry)
        for i, estimate in enumerate(robot.estimates):
            if not (math.isfinite(estimate.lag_s) and estimate.lag_s >= 0):
                where = f"estimates[{i}] ({estimate.name}).lag_s"
                self._refuse(where, estimate.lag_s, "give a finite time of at least 0 s")
        for i, camera in enumerate(robot.cameras):
            self._check_camera(f"cameras[{i}] ({camera.name})", camera)
        quickest_s = min((camera.frame_s for camera in robot.cameras), default=0.0)
        for i, camera in enumerate(robot.cameras):
            frames = camera.frame_s / quickest_s
            if abs(frames - round(frames)) > 1e-9:
                remedy = f"give a whole multiple of the quickest camera's, {quickest_s} s"
                self._refuse(f"cameras[{i}] ({camera.name}).frame_s", camera.frame_s, remedy)
        for i, command in enumerate(robot.commands):
            self._check_command(f"commands[{i}] ({command.name})", command)
        for name, variant in robot.variants.items():
            self._check_variant(f"variants.{name}", variant)
        self._check_command_places()
        self._check_setpoint_topics()
        for field, places in (
            ("readings and setpoints", robot.reading_places()), ("commands", robot.command_places())
        ):  # fmt: skip
            self._check_one_for_each_topic(field, "type", places)
            self._check_one_for_each_topic(field, "qos", places)

    def _refuse(self, field: str, found: object, remedy: str) -> NoReturn:
        raise RobotError(f"{self.robot.source}: {field}: {found}; {remedy}")

    def _positive(self, field: str, value: float) -> None:
        if not (math.isfinite(value) and value > 0):
            self._refuse(field, value, "give a finite number above 0")

    def _check_names(self) -> None:
        seen: dict[str, str] = {}
        for field in ("readings", "setpoints", "estimates", "commands", "cameras"):
            for i, entry in enumerate(getattr(self.robot, field)):
                where = f"{field}[{i}].name"
                if not _QUANTITY.fullmatch(entry.name):
                    self._refuse(where, f"'{entry.name}'", "give letters, digits and _")
                if entry.name in seen and {field, seen[entry.name]} != {"commands", "readings"}:
                    self._refuse(where, f"'{entry.name}' is in {seen[entry.name]} too", "give each a name of its own")
                seen[entry.name] = field

    def _check_one_for_each_topic(self, field: str, what: str, places: Sequence[RosPlace]) -> None:
        first: dict[str, object] = {}
        for place in places:
            if first.setdefault(place.topic, getattr(place, what)) != getattr(place, what):
                remedy = "give all quantities of a topic the same"
                self._refuse(f"{field}.ros.{what}", f"'{place.topic}' has two", remedy)

    def _check_command_places(self) -> None:
        """No two commands have one place, nor any the gate's own."""
        taken: dict[tuple[str, str], str] = {}
        given: dict[tuple[str, str], float] = {}
        for i, (command, place) in enumerate(zip(self.robot.commands, self.robot.command_places(), strict=True)):
            where = f"commands[{i}] ({command.name}).ros"
            if place.topic.lstrip("/") == GATE_TOPIC:
                self._refuse(f"{where}.topic", f"'{place.topic}' is the gate's own", "give the robot's")
            for path, value in place.constants.items():
                if not _is_number(path) or not math.isfinite(value):
                    self._refuse(f"{where}.constants", f"{path}: {value}", "give a path and a number, as type_mask: 7")
                if given.setdefault((place.topic, path), value) != value:
                    self._refuse(f"{where}.constants", f"'{path}' of '{place.topic}' has two values", "give one")
            other = taken.setdefault((place.topic, place.field), command.name)
            if other != command.name and place.type != MULTI_ARRAY:
                self._refuse(f"{where}.field", f"'{place.field}' of '{place.topic}' is {other}'s", "give another one")

    def _check_setpoint_topics(self) -> None:
        sensed = {place.topic for place in self.robot.reading_places()[: len(self.robot.readings)]}
        for i, place in enumerate(self.robot.reading_places()[len(self.robot.readings) :]):
            if place.topic in sensed:
                where = f"setpoints[{i}] ({self.robot.setpoints[i].name}).ros.topic"
                self._refuse(where, f"'{place.topic}' has readings too", "give setpoints a topic of their own")

    def _check_quantity(self, where: str, entry: Reading | Setpoint | Estimate) -> None:
        if not entry.unit:
            self._refuse(f"{where}.unit", "empty", "give the unit, 1 for a number without one")
        self._positive(f"{where}.scale", entry.scale)
        if not isinstance(entry, Estimate) and entry.ros is not None:
            self._check_ros(f"{where}.ros", entry.ros)
            if entry.ros.constants:
                self._refuse(f"{where}.ros.constants", entry.ros.constants, "leave them out: they are for commands")
        if isinstance(entry, Setpoint):
            if not math.isfinite(entry.default):
                self._refuse(f"{where}.default", entry.default, "give a finite number")
            return
        if entry.mujoco is not None:
            self._check_place(f"{where}.mujoco", entry.mujoco, PLACE_KINDS[:-1])
        if isinstance(entry, Reading):
            if entry.resolution is not None:
                self._positive(f"{where}.resolution", entry.resolution)
            if entry.camera is not None and entry.camera not in names(self.robot.cameras):
                known = ", ".join(names(self.robot.cameras)) or "none"
                self._refuse(f"{where}.camera", f"'{entry.camera}'", f"name one of the cameras: {known}")
            if entry.camera is not None and entry.mujoco is not None:
                self._refuse(f"{where}.camera", "given beside mujoco", "give one of them")

    def _check_place(self, where: str, place: MujocoPlace, kinds: tuple[str, ...]) -> None:
        given = [k for k in PLACE_KINDS if getattr(place, k) is not None]
        if len(given) != 1 or given[0] not in kinds:
            one = "exactly one of " if len(kinds) > 1 else ""
            self._refuse(where, ", ".join(given) or "empty", f"give {one}{', '.join(kinds)}")
        fields = {"joint": JOINT_FIELDS, "body": FRAME_FIELDS, "site": FRAME_FIELDS, "camera": CAMERA_FIELDS}
        known = fields.get(place.kind, ())
        if place.field not in (known or (None,)):
            remedy = f"give {', '.join(known)}" if known else "leave it out"
            self._refuse(f"{where}.field", place.field or "not set", remedy)
        if place.index < 0:
            self._refuse(f"{where}.index", place.index, "give at least 0")

    def _check_ros(self, where: str, place: RosPlace) -> None:
        self._check_topic(f"{where}.topic", place.topic)
        if not _TYPE.fullmatch(place.type):
            self._refuse(f"{where}.type", f"'{place.type}'", "give package/msg/Name, e.g. sensor_msgs/msg/JointState")
        joint, slash, field = place.field.rpartition("/")
        if place.type == JOINT_STATE:
            fits = bool(joint and slash) and field in ("position", "velocity", "effort")
            remedy = "give joint/position, joint/velocity or joint/effort"
        elif place.type == MULTI_ARRAY:
            fits, remedy = not place.field, "leave it out: the numbers are in the description's order"
        else:
            fits, remedy = _is_number(place.field), "give the path to a number, e.g. twist.linear.x"
        if not fits:
            self._refuse(f"{where}.field", f"'{place.field}'", remedy)

        self._check_qos(f"{where}.qos", place.qos)

    def _check_qos(self, where: str, qos: Qos) -> None:
        if qos.reliability not in (None, "reliable", "best_effort"):
            self._refuse(f"{where}.reliability", f"'{qos.reliability}'", "give reliable or best_effort")
        if qos.depth is not None and not 1 <= qos.depth <= 100_000:
            self._refuse(f"{where}.depth", qos.depth, "give 1 to 100000 messages")

    def _check_topic(self, where: str, topic: str) -> None:
        if not _TOPIC.fullmatch(topic):
            self._refuse(where, f"'{topic}'", "give a topic's name, e.g. imu/data")

    def _check_camera(self, where: str, camera: Camera) -> None:
        for field in ("width", "height"):
            if not 1 <= getattr(camera, field) <= 65535:
                self._refuse(f"{where}.{field}", getattr(camera, field), "give 1 to 65535 pixels")
        self._positive(f"{where}.frame_s", camera.frame_s)
        periods = self.robot.period_s / camera.frame_s
        if not 0.5 < periods < 1e6 or abs(periods - round(periods)) > 1e-9:
            self._refuse(f"{where}.frame_s", camera.frame_s, f"give a whole part of period_s, {self.robot.period_s} s")
        if camera.topic is not None:
            self._check_topic(f"{where}.topic", camera.topic)
        self._check_qos(f"{where}.qos", camera.qos)
        if camera.motion_px is not None:
            self._positive(f"{where}.motion_px", camera.motion_px)
        if min(camera.supersample) < 1:
            self._refuse(f"{where}.supersample", list(camera.supersample), "give whole numbers of at least 1")
        try:
            camera.front_end.check(camera.width, camera.height)
        except TaskError as error:
            raise RobotError(f"{self.robot.source}: {where}.front_end.{error}") from None
        for field, known in (("encoding", EVENT_ENCODINGS), ("clock", ("sensor", "stamp"))):
            if getattr(camera, field) not in known:
                self._refuse(f"{where}.{field}", f"'{getattr(camera, field)}'", f"give {' or '.join(known)}")
        try:
            camera.event_camera()
        except Exception as error:
            raise RobotError(f"{self.robot.source}: {where}.model: {error}") from None

    def _check_command(self, where: str, command: Command) -> None:
        if not command.unit:
            self._refuse(f"{where}.unit", "empty", "give the unit, 1 for a number without one")
        for field in ("least", "most", "rate", "safe"):
            if not math.isfinite(getattr(command, field)):
                self._refuse(f"{where}.{field}", getattr(command, field), "give a finite number; limits are never off")
        self._positive(f"{where}.rate", command.rate)
        if command.ros is not None:
            self._check_ros(f"{where}.ros", command.ros)
        if not command.least < command.most:
            self._refuse(f"{where}.least", command.least, f"give a number below most, {command.most}")
        if not command.least <= command.safe <= command.most:
            self._refuse(f"{where}.safe", command.safe, f"give a number from {command.least} to {command.most}")
        before_s = 0.0
        for k, stage in enumerate(command.safe_then):
            if not before_s < stage.after_s <= LAST_STAGE_S:
                remedy = f"give a time above {before_s} and up to {LAST_STAGE_S:g} s"
                self._refuse(f"{where}.safe_then[{k}].after_s", stage.after_s, remedy)
            if not math.isfinite(stage.value):
                self._refuse(f"{where}.safe_then[{k}].value", stage.value, "give a finite number")
            before_s = stage.after_s
        if command.mujoco is not None:
            self._check_place(f"{where}.mujoco", command.mujoco, ("actuator",))

    def _check_variant(self, where: str, variant: Variant) -> None:
        if not _QUANTITY.fullmatch(where.partition(".")[2]):
            self._refuse(where, "not a name", "give letters, digits and _")
        if variant.estimates not in ESTIMATORS and not _CLASS.fullmatch(variant.estimates):
            self._refuse(f"{where}.estimates", f"'{variant.estimates}'", "give perception, truth or file.py:Class")
        if variant.backend not in BACKENDS:
            self._refuse(f"{where}.backend", f"'{variant.backend}'", f"give {' or '.join(BACKENDS)}")
        if ":" in variant.controller and not _CLASS.fullmatch(variant.controller):
            self._refuse(f"{where}.controller", f"'{variant.controller}'", "give expert, a model file or file.py:Class")


def _is_number(field: str) -> bool:
    try:
        NumberField(field)
    except ValueError:
        return False
    return True
