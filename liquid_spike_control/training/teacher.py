# SPDX-License-Identifier: Apache-2.0
"""A controller of the robot in the place of the expert that a policy imitates.

An expert that knows the true state does what cannot be found out from observations. A controller that has the policy's
own observations, with a memory of its own, does only what can (policy distillation: Rusu et al., ICLR 2016; by DAgger,
so that it is asked where the policy leads).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..assembly import read_robot_controller
from ..errors import RobotError
from ..robots.catalogue import robot_named, robot_of
from ..tasks.mujoco_task import MujocoTask
from ..tasks.of_robot import of_class
from ..tasks.sensed import SensedTask
from ..tasks.task import ControlTask

#: What a message calls it.
FIELD = "teacher"


class Teacher:
    """One teacher beside one policy, episode by episode.

    Args:
        task_name: of the catalogue.
        place: ``file.py:Class`` in the robot's folder or ``package.module:Class``, made with the task as in a robot's
            variants; or a controller file.
        task: whose observations it gets.

    Raises:
        LiquidSpikeError: it cannot be loaded, is no controller, or does not fit the robot.
    """

    def __init__(self, task_name: str, place: str, task: ControlTask) -> None:
        robot = robot_named(robot_of(task_name))
        self._source, self._limits = f"{robot.source}: {FIELD}: {place}", np.asarray(task.command_limits)
        controller: Any
        if ":" in place:
            inner = task.task if isinstance(task, SensedTask) else cast(MujocoTask, task)
            controller = of_class(robot, FIELD, place, inner)
        else:
            controller = read_robot_controller(robot, Path(place))
        missing = [name for name in ("observation_names", "reset", "step") if not hasattr(controller, name)]
        if missing:
            raise RobotError(f"{self._source}: has no {missing[0]}; give a controller, see loop.Decider")
        known = list(task.observation_names)
        foreign = [name for name in controller.observation_names if name not in known]
        if foreign:
            raise RobotError(f"{self._source}: needs '{foreign[0]}'; the policy observes {', '.join(known)}")
        self._order = [known.index(name) for name in controller.observation_names]
        self._controller = controller
        self._given: Callable[[np.ndarray], None] | None = getattr(controller, "given", None)

    def reset(self) -> None:
        """Begin an episode."""
        self._controller.reset()

    def answer(self, observation: np.ndarray, elapsed_s: float) -> np.ndarray:
        """Its command ``(m,)`` for a sample; call it once for each sample that arrives.

        Args:
            observation: float64 ``(n,)``, the policy's.
            elapsed_s: since the sample before [s].

        Raises:
            RobotError: what it gives is no command.
        """
        command = np.asarray(self._controller.step(observation[self._order], elapsed_s), float)
        if command.shape != self._limits.shape or not np.isfinite(command).all():
            expected = f"{len(self._limits)} finite numbers"
            raise RobotError(f"{self._source}: step returned {command}, not {expected}; correct the controller")
        return command

    def given(self, command: np.ndarray) -> None:
        """Pass on the command ``(m,)`` that was really given, if the controller has a method ``given``."""
        if self._given is not None:
            self._given(np.clip(command, -self._limits, self._limits))
