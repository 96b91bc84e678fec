# SPDX-License-Identifier: Apache-2.0
"""Entries of a robot's description: quantities and commands with their places in MuJoCo and on ROS, event cameras, and
ways to drive. :class:`~.robot.Robot` holds and checks them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from .events.front_end import FrontEndSettings

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


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry of a description; unknown fields are refused."""


class MujocoPlace(Entry, frozen=True):
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


class Qos(Entry, frozen=True):
    """Quality of service of a real robot's topic; what is not given is the node's own: reliable, and a depth of 10.

    Attributes:
        reliability: best_effort, as many sensors publish, or reliable.
        depth: messages that wait at most.
    """

    reliability: str | None = None
    depth: int | None = None


#: Of event packets: drivers publish best effort, up to 1000 packets a second, and 10 would hold those of 10 ms.
EVENTS_QOS = Qos(reliability="best_effort", depth=1000)


class RosPlace(Entry, frozen=True):
    """Where a quantity is on ROS.

    Attributes:
        topic: a relative name is resolved in the node's namespace.
        type: of the message, e.g. ``sensor_msgs/msg/JointState``.
        field: ``joint/position``, ``joint/velocity`` or ``joint/effort`` of a JointState, the path to a number of
            another stamped message, scaled if need be (:class:`.joints.NumberField`), or nothing for a
            Float64MultiArray.
        qos: on the real robot; quantities of one topic have the same.
        constants: of commands, numbers of the message that are no quantity, by their path, such as ``type_mask``.
    """

    topic: str
    type: str
    field: str = ""
    qos: Qos = Qos()
    constants: dict[str, bool | int | float] = {}

    def told_constants(self) -> str:
        """The constants as a node's parameter has them."""
        told = {path: str(v).lower() if isinstance(v, bool) else v for path, v in self.constants.items()}
        return " ".join(f"{path}={value}" for path, value in told.items())


#: Where readings, setpoints and commands are on ROS unless the description says otherwise.
READINGS_TOPIC, SETPOINTS_TOPIC, COMMANDS_TOPIC = "joint_states", "setpoints", "robot_joint_command"
#: Where the gate publishes all commands at once, if the robot takes them on several topics.
GATE_TOPIC = "gate/output"


class Reading(Entry, frozen=True):
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


class Setpoint(Entry, frozen=True):
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


class Optics(Entry, frozen=True):
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


class Camera(Entry, frozen=True):
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


class Estimate(Entry, frozen=True):
    """A number that is estimated from events.

    Attributes:
        name, unit: as the perception model has them.
        scale: as of a :class:`Reading`.
        mujoco: the truth, on which estimates are trained and judged; without one the task provides it.
        lag_s: time constant with which it is to follow the truth [s], see :mod:`.estimate_lag`; 0: at once.
    """

    name: str
    unit: str
    scale: float
    mujoco: MujocoPlace | None = None
    lag_s: float = 0.0


class SafeStage(Entry, frozen=True):
    """What follows the safe value of a command.

    Attributes:
        after_s: since the safe command set in [s].
        value: in the command's unit; it may lie outside the command's range.
    """

    after_s: float
    value: float


#: A stage of the safe command sets in within an hour [s].
LAST_STAGE_S = 3600.0


class Command(Entry, frozen=True):
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


class Variant(Entry, frozen=True):
    """One of the ways to drive the robot that ``liquid-spike bench robot`` compares.

    Attributes:
        estimates: ``perception``, ``truth``, or ``file.py:Class`` of an estimator in the folder, made with the world.
        backend: what runs the perception's network, ``loihi`` or ``float``.
        controller: ``expert``, a model file, or ``file.py:Class`` of a controller in the folder, made with the task; by
            default the description's controller.
        rewards: the controller goes on learning by the task's rewards; each episode begins with its file's weights.
    """

    estimates: str = "perception"
    backend: str = "loihi"
    controller: str = ""
    rewards: bool = False


def names(entries: Iterable[Reading | Setpoint | Camera | Estimate | Command]) -> tuple[str, ...]:
    """Their names, in order."""
    return tuple(entry.name for entry in entries)


def units(entries: Iterable[Reading | Setpoint | Estimate | Command]) -> tuple[str, ...]:
    """Their units, in order."""
    return tuple(entry.unit for entry in entries)


def scales(entries: Iterable[Reading | Setpoint | Estimate]) -> np.ndarray:
    """Their scales, float64 ``(n,)``."""
    return np.array([entry.scale for entry in entries])
