# SPDX-License-Identifier: Apache-2.0
"""The description of a robot: what it senses, what is estimated from its event cameras, and what it takes.

One :class:`Robot` comes from a ``robot.yaml`` (:mod:`.robot_file`) or from Python. Everything else is derived from it:
the MuJoCo world, the loop in one process, the ROS graph with its parameters and permissions, the gate's limits, the
Gymnasium spaces, trainings, tables and plots. Needs neither MuJoCo nor ROS nor torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec
import numpy as np

from .control.gate import GateLimits
from .errors import RobotError, TaskError
from .events.front_end import FrontEndSettings, Sensor
from .joints import JOINT_STATE, MULTI_ARRAY, NumberField
from .resources import PACKAGE_FOLDER, shipped_model

if TYPE_CHECKING:
    from .events.camera import EventCameraModel

#: Fields of a joint, and of a body or a site.
JOINT_FIELDS = ("position", "velocity", "sine", "cosine")
FRAME_FIELDS = ("x", "y", "z", "roll", "pitch", "yaw")
#: Fields of a camera: what its own motion does to the middle of its picture.
CAMERA_FIELDS = ("flow_x", "flow_y", "translation_x", "translation_y", "divergence", "distance")
#: What a :class:`MujocoPlace` may name.
PLACE_KINDS = ("sensor", "joint", "body", "site", "camera", "actuator")
#: Encodings of events that the simulator publishes.
EVENT_ENCODINGS = ("mono", "evt3")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_QUANTITY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOPIC = re.compile(r"(~/|/)?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
_TYPE = re.compile(r"[a-z][a-z0-9_]*/msg/[A-Z][A-Za-z0-9]*")
#: Of a class of the folder, or of an installed module.
_CLASS = re.compile(r"[A-Za-z0-9_./-]+:[A-Za-z_][A-Za-z0-9_]*")


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry of a description; unknown fields are refused."""


class MujocoPlace(_Entry, frozen=True):
    """Where a quantity is in a MuJoCo model: exactly one of sensor, joint, body, site, camera and actuator.

    Attributes:
        sensor: name of a sensor, read from ``sensordata`` as MuJoCo leaves it after a step.
        index: which number of the sensor.
        joint: name of a hinge or slide joint.
        body, site: name of a body or site, in the world's frame.
        camera: name of a camera, which looks at a surface.
        actuator: name of an actuator; for commands.
        field: of a joint: position, velocity, sine or cosine; of a body or site: x, y, z [m], roll, pitch or yaw [rad];
            of a camera: ``flow_x``, ``flow_y``, the velocity of the picture's middle to the right and upwards [rad/s],
            ``translation_x``, ``translation_y``, the same without the camera's rotation, ``divergence``, its speed
            towards the surface that its axis meets over the ``distance`` to it [1/s] [m].
    """

    sensor: str | None = None
    index: int = 0
    joint: str | None = None
    body: str | None = None
    site: str | None = None
    camera: str | None = None
    actuator: str | None = None
    field: str | None = None

    @property
    def kind(self) -> str:
        """The one that is given."""
        return next((k for k in PLACE_KINDS if getattr(self, k) is not None), "")

    @property
    def target(self) -> str:
        """Name of the sensor, joint, body, site, camera or actuator."""
        return getattr(self, self.kind)


class Qos(_Entry, frozen=True):
    """Quality of service of a real robot's topic; what is not given is the node's own: reliable, and a depth of 10.

    Attributes:
        reliability: best_effort, as many sensors publish, or reliable.
        depth: messages that wait at most.
    """

    reliability: str | None = None
    depth: int | None = None


#: Of event packets: drivers publish best effort, up to 1000 packets a second, and 10 would hold those of 10 ms.
EVENTS_QOS = Qos(reliability="best_effort", depth=1000)


class RosPlace(_Entry, frozen=True):
    """Where a quantity is on ROS.

    Attributes:
        topic: a relative name is resolved in the node's namespace.
        type: of the message, e.g. ``sensor_msgs/msg/JointState``.
        field: ``joint/position``, ``joint/velocity`` or ``joint/effort`` of a JointState, the path to a number of
            another stamped message, scaled if need be (:class:`.joints.NumberField`), or nothing for a
            Float64MultiArray.
        qos: on the real robot; quantities of one topic have the same.
    """

    topic: str
    type: str
    field: str = ""
    qos: Qos = Qos()


#: Where readings, setpoints and commands are on ROS unless the description says otherwise.
READINGS_TOPIC, SETPOINTS_TOPIC, COMMANDS_TOPIC = "joint_states", "setpoints", "robot_joint_command"
#: Where the gate publishes all commands at once, if the robot takes them on several topics.
GATE_TOPIC = "gate/output"


class Reading(_Entry, frozen=True):
    """A number that the robot senses.

    Attributes:
        name, unit: as the controller file has them.
        scale: a large deviation, in the unit; a controller's input is the reading divided by it.
        mujoco: its place in MuJoCo; without one the task provides it.
        camera: name of an event camera instead: the reading is its event rate [kHz].
        resolution: the reading is rounded to whole multiples of it.
        ros: its place on ROS.
    """

    name: str
    unit: str
    scale: float
    mujoco: MujocoPlace | None = None
    camera: str | None = None
    resolution: float | None = None
    ros: RosPlace | None = None


class Setpoint(_Entry, frozen=True):
    """A number that an operator or a planner gives.

    Attributes:
        name, unit, scale: as of a :class:`Reading`.
        default: its value until one is given.
        ros: where it is given.
    """

    name: str
    unit: str
    scale: float
    default: float
    ros: RosPlace | None = None


class Optics(_Entry, frozen=True):
    """What the simulated event camera is like; see :class:`~.events.camera.EventCameraModel`."""

    contrast_threshold: float = 0.2
    threshold_mismatch: float = 0.02
    refractory_ns: int = 500_000
    shot_noise_hz: float = 0.1
    leak_hz: float = 0.01
    cutoff_hz: float | None = None
    hot_pixel_fraction: float = 0.0
    hot_pixel_hz: float = 10.0
    stray_light: float = 0.0
    lin_log_threshold: float = 20.0


class Camera(_Entry, frozen=True):
    """An event camera.

    Attributes:
        name: of the camera; its topic is ``<name>/events`` unless ``topic`` says otherwise.
        width, height: columns and rows [pixels].
        mujoco: name of the camera in the scene; by default ``name``.
        frame_s: time between two rendered pictures [s].
        motion_px: a picture is left out until something in it has moved so far since the last one [pixels]; by default
            none is. ``frame_s`` is then how often that is looked at.
        supersample: pixels rendered for one of the picture, horizontally and vertically.
        model: of the simulated camera.
        topic: of its event packets.
        encoding: of the packets that the simulator publishes: mono (exact to the nanosecond) or evt3 (microseconds).
        clock: of a real camera's packets: sensor, as drivers have it, or stamp.
        qos: of a real camera's topic.
        front_end: between the camera and the network, simulated or real.
    """

    name: str
    width: int
    height: int
    mujoco: str | None = None
    frame_s: float = 0.001
    motion_px: float | None = None
    supersample: tuple[int, int] = (1, 1)
    model: Optics = Optics()
    topic: str | None = None
    encoding: str = "evt3"
    clock: str = "sensor"
    qos: Qos = EVENTS_QOS
    front_end: FrontEndSettings = FrontEndSettings()

    @property
    def events_topic(self) -> str:
        """Where its packets are."""
        return self.topic or f"{self.name}/events"

    def event_camera(self) -> EventCameraModel:
        """The model of the simulated camera."""
        from .events.camera import EventCameraModel  # its kernels take half a second to import

        return EventCameraModel(self.width, self.height, **msgspec.structs.asdict(self.model))


class Estimate(_Entry, frozen=True):
    """A number that is estimated from events.

    Attributes:
        name, unit: as the perception model has them.
        scale: as of a :class:`Reading`.
        mujoco: the truth, on which estimates are trained and judged; without one the task provides it.
    """

    name: str
    unit: str
    scale: float
    mujoco: MujocoPlace | None = None


class SafeStage(_Entry, frozen=True):
    """What follows the safe value of a command.

    Attributes:
        after_s: since the safe command set in [s].
        value: in the command's unit; it may lie outside the command's range.
    """

    after_s: float
    value: float


#: A stage of the safe command sets in within an hour [s].
LAST_STAGE_S = 3600.0


class Command(_Entry, frozen=True):
    """A number that the robot takes. Limits have no default.

    Attributes:
        name, unit: as the controller file has them.
        least, most: the range that leaves the gate, in the unit.
        rate: greatest change, in the unit per second.
        safe: what the robot gets when no command stands; within the range.
        safe_then: what follows it, by time, such as no thrust after a slow descent.
        mujoco: its actuator; without one the task applies the command.
        ros: its place on ROS.
    """

    name: str
    unit: str
    least: float
    most: float
    rate: float
    safe: float
    safe_then: tuple[SafeStage, ...] = ()
    mujoco: MujocoPlace | None = None
    ros: RosPlace | None = None


#: What estimates in a :class:`Variant`, beside a class of the folder; and what runs a perception's network in process.
ESTIMATORS, BACKENDS = ("perception", "truth"), ("loihi", "float")


class Variant(_Entry, frozen=True):
    """One of the ways to drive the robot that ``liquid-spike bench robot`` compares.

    Attributes:
        estimates: ``perception``, ``truth``, or ``file.py:Class`` of an estimator in the folder, made with the world.
        backend: what runs the perception's network, ``loihi`` or ``float``.
        controller: ``expert``, a model file, or ``file.py:Class`` of a controller in the folder, made with the task; by
            default the description's controller.
    """

    estimates: str = "perception"
    backend: str = "loihi"
    controller: str = ""


class Robot(_Entry, frozen=True):
    """A robot. Checked when made.

    Attributes:
        name: in commands and tables, e.g. ``"swing-up"``.
        description: one line.
        period_s: nominal control period [s].
        max_age_s: an older command no longer stands, and the safe one goes out [s]; at most 1.
        scene: MJCF file of the simulation, in the folder.
        readings, setpoints, cameras, estimates, commands: see above; a controller observes readings, setpoints and
            estimates, in this order.
        perception, controller: model files, in the folder; several controllers may exist, this is the default one.
        tolerance_s: how far the stamp of a reading may be from that of the events, or of the first reading, that it
            goes with on the real robot [s]; in simulation they are the same.
        success, failure: what an episode that ends so is called, for tables.
        task: file and class of the task, e.g. ``"task.py:SwingUp"``; see :class:`~.tasks.task.ControlTask`.
        settings: keyword arguments of the task.
        variants: by name, the ways to drive it that a benchmark compares.
        folder: where the files are.
        source: file that it was read from, for messages.

    Raises:
        RobotError: a field is wrong; names the source, the field and the remedy.
    """

    name: str
    period_s: float
    max_age_s: float
    commands: tuple[Command, ...]
    description: str = ""
    scene: str | None = None
    readings: tuple[Reading, ...] = ()
    setpoints: tuple[Setpoint, ...] = ()
    cameras: tuple[Camera, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    perception: str | None = None
    controller: str | None = None
    tolerance_s: float | None = None
    success: str = "succeeded"
    failure: str = "failed"
    task: str | None = None
    settings: dict[str, bool | int | float | str] = {}
    variants: dict[str, Variant] = {}
    folder: str = "."
    source: str = "robot"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            self._refuse("name", f"'{self.name}'", "give lower-case letters, digits, - and _, beginning with a letter")
        self._positive("period_s", self.period_s)
        self._positive("max_age_s", self.max_age_s)
        if self.tolerance_s is not None and not (math.isfinite(self.tolerance_s) and self.tolerance_s >= 0):
            self._refuse("tolerance_s", self.tolerance_s, "give a finite number of at least 0")
        if self.max_age_s > 1:
            self._refuse("max_age_s", self.max_age_s, "give at most 1 s: a longer age would mean that commands last")
        if not self.commands:
            self._refuse("commands", "none", "give at least one; a robot without commands cannot be controlled")
        if not (self.readings or self.setpoints or self.estimates):
            self._refuse("readings", "none", "give a reading, setpoint or estimate for the controller to observe")
        if self.estimates and not self.cameras:
            self._refuse("estimates", f"{len(self.estimates)}", "add cameras: estimates come from event cameras")
        self._check_names()
        for field in ("readings", "setpoints", "estimates"):
            for i, entry in enumerate(getattr(self, field)):
                self._check_quantity(f"{field}[{i}] ({entry.name})", entry)
        for i, camera in enumerate(self.cameras):
            self._check_camera(f"cameras[{i}] ({camera.name})", camera)
        quickest_s = min((camera.frame_s for camera in self.cameras), default=0.0)
        for i, camera in enumerate(self.cameras):
            frames = camera.frame_s / quickest_s
            if abs(frames - round(frames)) > 1e-9:
                remedy = f"give a whole multiple of the quickest camera's, {quickest_s} s"
                self._refuse(f"cameras[{i}] ({camera.name}).frame_s", camera.frame_s, remedy)
        for i, command in enumerate(self.commands):
            self._check_command(f"commands[{i}] ({command.name})", command)
        for name, variant in self.variants.items():
            self._check_variant(f"variants.{name}", variant)
        self._check_command_places()
        self._check_setpoint_topics()
        for field, places in (
            ("readings and setpoints", self.reading_places()), ("commands", self.command_places())
        ):  # fmt: skip
            self._check_one_for_each_topic(field, "type", places)
            self._check_one_for_each_topic(field, "qos", places)

    def _refuse(self, field: str, found: object, remedy: str) -> NoReturn:
        raise RobotError(f"{self.source}: {field}: {found}; {remedy}")

    def _positive(self, field: str, value: float) -> None:
        if not (math.isfinite(value) and value > 0):
            self._refuse(field, value, "give a finite number above 0")

    def _check_names(self) -> None:
        seen: dict[str, str] = {}
        for field in ("readings", "setpoints", "estimates", "commands", "cameras"):
            for i, entry in enumerate(getattr(self, field)):
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
        for i, (command, place) in enumerate(zip(self.commands, self.command_places(), strict=True)):
            where = f"commands[{i}] ({command.name}).ros"
            if place.topic.lstrip("/") == GATE_TOPIC:
                self._refuse(f"{where}.topic", f"'{place.topic}' is the gate's own", "give the robot's")
            other = taken.setdefault((place.topic, place.field), command.name)
            if other != command.name and place.type != MULTI_ARRAY:
                self._refuse(f"{where}.field", f"'{place.field}' of '{place.topic}' is {other}'s", "give another one")

    def _check_setpoint_topics(self) -> None:
        sensed = {place.topic for place in self.reading_places()[: len(self.readings)]}
        for i, place in enumerate(self.reading_places()[len(self.readings) :]):
            if place.topic in sensed:
                where = f"setpoints[{i}] ({self.setpoints[i].name}).ros.topic"
                self._refuse(where, f"'{place.topic}' has readings too", "give setpoints a topic of their own")

    def _check_quantity(self, where: str, entry: Reading | Setpoint | Estimate) -> None:
        if not entry.unit:
            self._refuse(f"{where}.unit", "empty", "give the unit, 1 for a number without one")
        self._positive(f"{where}.scale", entry.scale)
        if not isinstance(entry, Estimate) and entry.ros is not None:
            self._check_ros(f"{where}.ros", entry.ros)
        if isinstance(entry, Setpoint):
            if not math.isfinite(entry.default):
                self._refuse(f"{where}.default", entry.default, "give a finite number")
            return
        if entry.mujoco is not None:
            self._check_place(f"{where}.mujoco", entry.mujoco, PLACE_KINDS[:-1])
        if isinstance(entry, Reading):
            if entry.resolution is not None:
                self._positive(f"{where}.resolution", entry.resolution)
            if entry.camera is not None and entry.camera not in names(self.cameras):
                known = ", ".join(names(self.cameras)) or "none"
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
        periods = self.period_s / camera.frame_s
        if not 0.5 < periods < 1e6 or abs(periods - round(periods)) > 1e-9:
            self._refuse(f"{where}.frame_s", camera.frame_s, f"give a whole part of period_s, {self.period_s} s")
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
            raise RobotError(f"{self.source}: {where}.front_end.{error}") from None
        for field, known in (("encoding", EVENT_ENCODINGS), ("clock", ("sensor", "stamp"))):
            if getattr(camera, field) not in known:
                self._refuse(f"{where}.{field}", f"'{getattr(camera, field)}'", f"give {' or '.join(known)}")
        try:
            camera.event_camera()
        except Exception as error:
            raise RobotError(f"{self.source}: {where}.model: {error}") from None

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

    # what is derived

    @property
    def observations(self) -> tuple[Reading | Setpoint | Estimate, ...]:
        """What a controller observes, in order."""
        return (*self.readings, *self.setpoints, *self.estimates)

    @property
    def greatest_commands(self) -> np.ndarray:
        """Greatest magnitude of each command, float64 ``(m,)``."""
        return np.array([max(abs(c.least), abs(c.most)) for c in self.commands])

    def gate_limits(self, tighter: Sequence[float] | np.ndarray | None = None) -> GateLimits:
        """The gate's limits.

        Args:
            tighter: greatest magnitudes of a controller's commands ``(m,)``, which count where they are lower.
        """
        least = np.array([c.least for c in self.commands])
        most = np.array([c.most for c in self.commands])
        if tighter is not None:
            least, most = np.maximum(least, -np.asarray(tighter)), np.minimum(most, tighter)
        rate, safe = np.array([c.rate for c in self.commands]), np.array([c.safe for c in self.commands])
        stages = tuple((round(after_s * 1e9), np.array(values)) for after_s, values in self.safe_stages())
        return GateLimits(names(self.commands), least, most, rate, round(self.max_age_s * 1e9), safe, stages)

    def safe_stages(self) -> tuple[tuple[float, tuple[float, ...]], ...]:
        """Times at which the safe command changes [s], and the values of all commands from then on."""
        times = sorted({stage.after_s for command in self.commands for stage in command.safe_then})
        return tuple(
            (t, tuple([c.safe, *(s.value for s in c.safe_then if s.after_s <= t)][-1] for c in self.commands))
            for t in times
        )

    def reading_places(self) -> tuple[RosPlace, ...]:
        """Where each reading and setpoint is on ROS; by default the position of a joint of its name."""
        topics = [READINGS_TOPIC] * len(self.readings) + [SETPOINTS_TOPIC] * len(self.setpoints)
        default = (
            RosPlace(topic=topic, type=JOINT_STATE, field=f"{r.name}/position")
            for topic, r in zip(topics, self.seen, strict=True)
        )
        return tuple(r.ros or place for r, place in zip(self.seen, default, strict=True))

    def command_places(self) -> tuple[RosPlace, ...]:
        """Where each command is on ROS; by default the position of a joint of its name."""
        default = (RosPlace(topic=COMMANDS_TOPIC, type=JOINT_STATE, field=f"{c.name}/position") for c in self.commands)
        return tuple(c.ros or place for c, place in zip(self.commands, default, strict=True))

    def gated_places(self) -> tuple[RosPlace, ...]:
        """Where all gated commands are in one message: as :meth:`command_places`, or on a topic of the gate's own where
        the robot takes them on several.
        """
        places = self.command_places()
        if len({place.topic for place in places}) == 1:
            return places
        return tuple(RosPlace(topic=GATE_TOPIC, type=JOINT_STATE, field=f"{c.name}/position") for c in self.commands)

    @property
    def seen(self) -> tuple[Reading | Setpoint, ...]:
        """What is known without a perception, in order."""
        return (*self.readings, *self.setpoints)

    def sensors(self) -> tuple[Sensor, ...]:
        """The cameras with their front ends, whose files are read; empty where no camera has one.

        Raises:
            RobotError: a file is missing, damaged, or of a sensor of another size.
        """
        found = []
        for i, camera in enumerate(self.cameras):
            try:
                settings = camera.front_end.with_contents(Path(self.folder), camera.width, camera.height)
            except TaskError as error:
                raise RobotError(f"{self.source}: cameras[{i}] ({camera.name}).front_end.{error}") from None
            found.append(Sensor(camera.width, camera.height, settings))
        return tuple(found) if any(sensor.settings != FrontEndSettings() for sensor in found) else ()

    def file(self, name: str) -> Path:
        """Path of a file of the folder; an absolute name stays as it is."""
        return Path(self.folder) / name

    def model(self, field: str) -> Path:
        """Path of the ``perception`` or ``controller`` model: in the folder, or one that ships with a robot of this
        package, e.g. ``pencil/perception.nir``.

        Raises:
            RobotError: the description names none, or the file is not there.
        """
        name = getattr(self, field)
        if not name:
            self._refuse(field, "not set", f"give a model file, or --{field}-model")
        path = self.file(name)
        if not path.is_file():
            path = shipped_model(name)
        if not path.is_file():
            at = self.name if Path(self.folder).is_relative_to(PACKAGE_FOLDER) else self.source
            self._refuse(field, f"{self.file(name)} is not there", f"train one: liquid-spike train {field} {at}")
        return path


def _is_number(field: str) -> bool:
    try:
        NumberField(field)
    except ValueError:
        return False
    return True


def names(entries: Iterable[Reading | Setpoint | Camera | Estimate | Command]) -> tuple[str, ...]:
    """Their names, in order."""
    return tuple(entry.name for entry in entries)


def units(entries: Iterable[Reading | Setpoint | Estimate | Command]) -> tuple[str, ...]:
    """Their units, in order."""
    return tuple(entry.unit for entry in entries)


def scales(entries: Iterable[Reading | Setpoint | Estimate]) -> np.ndarray:
    """Their scales, float64 ``(n,)``."""
    return np.array([entry.scale for entry in entries])
