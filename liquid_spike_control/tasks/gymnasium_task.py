# SPDX-License-Identifier: Apache-2.0
"""Gymnasium's MuJoCo tasks (v5) as control tasks, with or without velocities in sight.

Physics, observations, rewards and falls are Gymnasium's own. Periods may vary here, which theirs do not: a reward is
what Gymnasium gives for the period times its length in nominal periods.

Gymnasium imports imageio and glfw for these, whether anything is drawn or not: the extra [gym].
"""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np

from ..errors import TaskError
from ..resources import shipped_model
from ..robot import Robot
from .mujoco_task import MujocoTask
from .task import Expert
from .variation import NOMINAL, Variation


class GymnasiumTask(MujocoTask):
    """A task of Gymnasium; see :class:`~.task.ControlTask`.

    An episode lasts 1000 of Gymnasium's steps. The truth is Gymnasium's whole observation, of which the robot's
    readings are the first.

    Args:
        robot: whose readings and commands are in Gymnasium's order.
        environment: Gymnasium's name, e.g. ``"Hopper-v5"``.
        least_speed: an episode is a success when it lasts to its end at a mean speed of at least so much [m/s].

    Raises:
        TaskError: something that Gymnasium needs is not installed.
    """

    version = 1

    def __init__(self, robot: Robot, environment: str, least_speed: float = 0.0) -> None:
        self._env = _environment(robot.name, environment)
        self._frames = self._env.frame_skip
        self.duration_s = 1000 * float(self._env.dt)
        self._least_distance = least_speed * self.duration_s
        super().__init__(robot)

    @property
    def data_files(self) -> tuple[Path, ...]:
        """Gymnasium's scene, and the trained expert."""
        name = self.name.removesuffix("-positions").replace("-", "_")
        return Path(self._env.fullpath), shipped_model(f"{name}/expert.safetensors")

    def load(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """Gymnasium's model and data."""
        return self._env.model, self._env.data

    def reset(self, seed: int, variation: Variation = NOMINAL) -> None:
        """Begin the episode of a seed; see :meth:`.task.ControlTask.reset`."""
        self._begin(variation)
        self._sight, _ = self._env.reset(seed=seed)
        self._start = float(self.data.qpos[0])

    @property
    def success(self) -> bool:
        """Whether it lasted to its end, and came far enough."""
        distance = self.data.qpos[0] - self._start
        # A pendulum may move either way
        far = self._least_distance == 0 or bool(distance >= self._least_distance)
        return self.over and not self.failed and far

    def observe(self) -> np.ndarray:
        """Gymnasium's observation, or the positions of it; float64 ``(n,)``."""
        return self._sight[: len(self.observation_names)].copy()

    def truth(self) -> np.ndarray:
        """Gymnasium's observation; float64."""
        return self._sight.copy()

    def advance(self, command: np.ndarray, duration_s: float) -> None:
        """Hold torques; see :meth:`.task.ControlTask.advance`."""
        self._env.frame_skip = frames = self._whole_steps(duration_s)
        self._sight, reward, fallen, _, _ = self._env.step(self.bounded(command))
        # "not finite" counts as a fall: the half-cheetah has no other
        self.failed = bool(fallen) or not np.isfinite(self._sight).all()
        self._steps += frames
        self.reward = float(reward) * frames / self._frames

    def expert(self) -> Expert:
        """The trained expert that ships with the package.

        Raises:
            ModelError: its file is missing or does not fit.
        """
        from .trained import TrainedExpert  # compiled kernels, which nothing else here needs

        return TrainedExpert.from_file(self.data_files[1])


def _environment(name: str, environment: str):
    import gymnasium

    # The half-cheetah's file has an attribute of an older MuJoCo, which would log a warning into the working directory
    handler = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        return gymnasium.make(environment, disable_env_checker=True).unwrapped
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise TaskError(
            f"task '{name}': Gymnasium needs what is not installed ({error}); pip install 'liquid_spike_control[gym]'"
        ) from None
    finally:
        mujoco.set_mju_user_warning(handler)
