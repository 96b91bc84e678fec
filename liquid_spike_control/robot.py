# SPDX-License-Identifier: Apache-2.0
"""The description of a robot: what it senses, what is estimated from its event cameras, and what it takes.

One :class:`Robot` comes from a ``robot.yaml`` (:mod:`.robot_file`) or from Python. Everything else is derived from it:
the MuJoCo world, the loop in one process, the ROS graph with its parameters and permissions, the gate's limits, the
Gymnasium spaces, trainings, tables and plots. Needs neither MuJoCo nor ROS nor torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .control.gate import GateLimits
from .errors import RobotError, TaskError
from .events.front_end import FrontEndSettings, Sensor
from .joints import JOINT_STATE
from .resources import PACKAGE_FOLDER, shipped_model
from .robot_checks import Checks
from .robot_entries import (
    COMMANDS_TOPIC,
    ESTIMATORS,
    GATE_TOPIC,
    READINGS_TOPIC,
    SETPOINTS_TOPIC,
    Camera,
    Command,
    Entry,
    Estimate,
    MujocoPlace,
    Optics,
    Qos,
    Reading,
    RosPlace,
    SafeStage,
    Setpoint,
    Variant,
    names,
    scales,
    units,
)

__all__ = [
    "Camera", "Command", "ESTIMATORS", "Estimate", "MujocoPlace", "Optics", "Qos", "Reading", "Robot", "RosPlace",
    "SafeStage", "Setpoint", "Variant", "names", "scales", "units",
]  # fmt: skip


class Robot(Entry, frozen=True):
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
        perception_training: file and class of the robot's own way to train its perception; the general one by default,
            see :class:`~.training.own_training.OwnTraining`.
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
    perception_training: str | None = None
    variants: dict[str, Variant] = {}
    folder: str = "."
    source: str = "robot"

    def __post_init__(self) -> None:
        Checks(self).check()

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
            raise RobotError(f"{self.source}: {field}: not set; give a model file, or --{field}-model")
        path = self.file(name)
        if not path.is_file():
            path = shipped_model(name)
        if not path.is_file():
            at = self.name if Path(self.folder).is_relative_to(PACKAGE_FOLDER) else self.source
            remedy = f"train one: liquid-spike train {field} {at}"
            raise RobotError(f"{self.source}: {field}: {self.file(name)} is not there; {remedy}")
        return path
