# SPDX-License-Identifier: Apache-2.0
"""A robot with event cameras as a task: what a controller observes has the estimates in it.

So every training, episode and benchmark of tasks serves robots with cameras too, with the estimator in the loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..robot import names, scales, units
from .task import ControlTask, Expert
from .variation import NOMINAL, Variation

if TYPE_CHECKING:
    from ..loop import Estimator
    from ..sim.world import Sensing, World


class SensedTask:
    """See :class:`~.task.ControlTask`; its truth and its expert are those of the task in the world.

    Args:
        world: of the robot.
        estimator: of its estimates.
    """

    def __init__(self, world: World, estimator: Estimator) -> None:
        self.world, self._estimator = world, estimator
        self.task, robot = world.task, world.robot
        self.name, self.version = robot.name, self.task.version
        self.observation_names, self.observation_units = names(robot.observations), units(robot.observations)
        self.observation_scales = scales(robot.observations)
        self.command_names, self.command_units = names(robot.commands), units(robot.commands)
        self.command_limits = self.task.command_limits
        self.period_s, self.duration_s = robot.period_s, self.task.duration_s
        self.variable = self.task.variable
        self.data_files = self.task.data_files
        self.reset(0)

    def set_duration(self, duration_s: float) -> None:
        """Let episodes last so long [s], from the next reset on."""
        self.task.set_duration(duration_s)
        self.duration_s = self.task.duration_s

    def reset(self, seed: int, variation: Variation = NOMINAL) -> None:
        """Begin the episode of a seed; see :meth:`.task.ControlTask.reset`."""
        sensing = self.world.reset(seed, variation=variation)
        self._estimator.reset(0)
        self.reward = 0.0
        self._sense(sensing)

    def vary(self, variation: Variation) -> None:
        """Change the plant within an episode; see :meth:`.task.ControlTask.vary`."""
        self.task.vary(variation)

    def scale_thresholds(self, factor: float) -> None:
        """Multiply the contrast thresholds of the event cameras from now on, until the next reset."""
        self.world.scale_thresholds(factor)

    def _sense(self, sensing: Sensing) -> None:
        self._seen = np.concatenate([sensing.readings.values, self._estimator.estimate(sensing).values])

    def observe(self) -> np.ndarray:
        """Readings, setpoints and estimates, float64 ``(n,)``."""
        return self._seen.copy()

    def truth(self) -> np.ndarray:
        """The state for experts; its order is the task's own."""
        return self.task.truth()

    def advance(self, command: np.ndarray, duration_s: float) -> None:
        """Hold a command; see :meth:`.task.ControlTask.advance`. A task that draws its periods keeps its own."""
        own_s = None if duration_s == self.period_s else self._whole_frames(duration_s)
        self._sense(self.world.advance(command, own_s))
        self.reward = self.task.reward

    def _whole_frames(self, duration_s: float) -> float:
        """A time in whole pictures of the quickest camera [s], at least one."""
        frame_s = min(camera.frame_s for camera in self.world.robot.cameras)
        return max(1, round(duration_s / frame_s)) * frame_s

    @property
    def variation(self) -> Variation:
        """That of the present episode."""
        return self.task.variation

    @property
    def elapsed_s(self) -> float:
        """The world's time since the reset [s]."""
        return self.task.elapsed_s

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.task.over

    @property
    def success(self) -> bool:
        """Whether it has succeeded; known when over."""
        return self.task.success

    @property
    def kept(self) -> bool:
        """Whether it was never lost; known when over."""
        return self.task.kept

    def expert(self) -> Expert:
        """The expert of the task in the world."""
        return _InTheWorld(self.task.expert(), self.task)


class _InTheWorld:
    """An expert that always acts on the task in the world, ignoring the task of the call."""

    def __init__(self, expert: Expert, task: ControlTask) -> None:
        self._expert, self._task = expert, task

    def reset(self) -> None:
        """Begin an episode."""
        self._expert.reset()

    def act(self, _task: ControlTask) -> np.ndarray:
        """Command ``(m,)`` for the present state."""
        return self._expert.act(self._task)
