# SPDX-License-Identifier: Apache-2.0
"""Three of Gymnasium's MuJoCo tasks (v5) as control tasks, with or without velocities in sight.

Physics, observations, rewards and falls are Gymnasium's own. Periods may vary here, which theirs do not: a reward is
what Gymnasium gives for the period times its length in nominal periods.

Gymnasium imports imageio and glfw for these, whether anything is drawn or not: the extra [gym].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from ..errors import TaskError
from ..resources import zoo
from .mujoco_task import MujocoTask, Seen
from .task import Expert, bounded
from .variation import NOMINAL, Variation


@dataclass(frozen=True, slots=True)
class Walker:
    """What Gymnasium does not tell about one of its tasks.

    Attributes:
        environment: Gymnasium's name.
        positions, velocities: what it observes, in its order.
        joints: what it commands: torques, as fractions of the greatest.
        least_speed: an episode is a success when it lasts to its end at a mean speed of at least so much [m/s].
    """

    environment: str
    positions: tuple[Seen, ...]
    velocities: tuple[Seen, ...]
    joints: tuple[str, ...]
    least_speed: float = 0.0


def _angles(names: tuple[str, ...], scale: float) -> tuple[Seen, ...]:
    return tuple((f"{name}_angle", "rad", scale) for name in names)


def _rates(names: tuple[str, ...], scale: float) -> tuple[Seen, ...]:
    return tuple((f"{name}_rate", "rad/s", scale) for name in names)


_LEG = ("thigh", "leg", "foot")
_LEGS = ("back_thigh", "back_shin", "back_foot", "front_thigh", "front_shin", "front_foot")
WALKERS: dict[str, Walker] = {
    "double-pendulum": Walker(
        "InvertedDoublePendulum-v5",
        positions=(
            ("cart_position", "m", 0.5), ("lower_sine", "1", 0.3), ("upper_sine", "1", 0.3), ("lower_cosine", "1", 0.3),
            ("upper_cosine", "1", 0.3),
        ),
        velocities=(
            ("cart_velocity", "m/s", 1.0), *_rates(("lower", "upper"), 3.0), ("rail_force", "N", 1.0),
        ),
        joints=("cart",),
    ),
    "hopper": Walker(
        "Hopper-v5",
        positions=(("torso_height", "m", 0.3), *_angles(("torso", *_LEG), 0.3)),
        velocities=(("forward_velocity", "m/s", 2.0), ("upward_velocity", "m/s", 1.5), *_rates(("torso", *_LEG), 3.0)),
        joints=_LEG,
        least_speed=0.5,
    ),
    "half-cheetah": Walker(
        "HalfCheetah-v5",
        positions=(("torso_height", "m", 0.2), *_angles(("torso", *_LEGS), 0.5)),
        velocities=(("forward_velocity", "m/s", 3.0), ("upward_velocity", "m/s", 1.0), *_rates(("torso", *_LEGS), 8.0)),
        joints=_LEGS,
        least_speed=1.0,
    ),
}  # fmt: skip


class GymnasiumTask(MujocoTask):
    """One of :data:`WALKERS`; see :class:`~.task.ControlTask`.

    An episode lasts 1000 of Gymnasium's steps. The truth is Gymnasium's whole observation.

    Args:
        walker: its name, e.g. ``"hopper"``.
        velocities: show them too, not positions only.

    Raises:
        TaskError: something that Gymnasium needs is not installed.
    """

    version = 1

    def __init__(self, walker: str, velocities: bool = True) -> None:
        self._walker = walker
        about, name = WALKERS[walker], walker if velocities else f"{walker}-positions"
        seen = about.positions + (about.velocities if velocities else ())
        self._env = _environment(name, about.environment)
        super().__init__(name, seen, self._env.model, self._env.data)
        self.data_files = (Path(self._env.fullpath), zoo(f"{walker.replace('-', '_')}_expert.safetensors"))
        self.command_names = tuple(f"{joint}_torque" for joint in about.joints)
        self.command_units = ("1",) * len(self.command_names)
        self.command_limits = np.ones(len(self.command_names))
        self._frames = self._env.frame_skip
        self.period_s = float(self._env.dt)
        self.duration_s = 1000 * self.period_s
        self._least_distance = about.least_speed * self.duration_s
        self.reset(0)

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
        return self.over and not self.failed and (self._least_distance == 0 or distance >= self._least_distance)

    def observe(self) -> np.ndarray:
        """Gymnasium's observation, or the positions of it; float64 ``(n,)``."""
        return self._sight[: len(self.observation_names)].copy()

    def truth(self) -> np.ndarray:
        """Gymnasium's observation; float64."""
        return self._sight.copy()

    def advance(self, command: np.ndarray, duration_s: float) -> None:
        """Hold torques; see :meth:`.task.ControlTask.advance`."""
        self._env.frame_skip = frames = self._whole_steps(duration_s)
        self._sight, reward, fallen, _, _ = self._env.step(bounded(command, self.command_limits))
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

        full = GymnasiumTask(self._walker)
        return TrainedExpert.from_file(self.data_files[1], full)


def _environment(name: str, environment: str):
    import gymnasium

    # The half-cheetah's file has an attribute of an older MuJoCo, which would say so in a file wherever one works
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
