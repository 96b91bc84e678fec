# SPDX-License-Identifier: Apache-2.0
"""The pencil: a pole stands on a cart on a rail of +-1 m and is struck at random. One physics step is a millisecond."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np

from ...robot import Camera, Robot
from ...tasks.mujoco_task import MujocoTask
from ...tasks.task import Expert, StateExpert
from ...tasks.variation import NOMINAL, Variation
from ...types import MILLISECOND_NS
from .episodes import PencilEpisode, PencilEpisodes, PoleEpisodes
from .expert import cart_pole_lqr


class Pencil(MujocoTask):
    """Balance the pole; see :class:`~...tasks.task.ControlTask`.

    The episode ends when the pole falls or the cart leaves the rail, or after its duration, which is a success. The
    reward is the time that the pole stands [s].

    Args:
        robot: the pencil.
        settings: changes to :class:`~.episodes.PencilEpisodes`, e.g. ``push=0.02``.

    Attributes:
        episodes: what episodes are drawn from.
        episode: the present one.
    """

    variable: tuple[str, ...] = ("mass", "length", "friction", "actuator")
    episodes: PoleEpisodes
    episode: PencilEpisode

    def __init__(self, robot: Robot, **settings: Any) -> None:
        self.episodes = self.draw_from(robot, settings)
        self.duration_s = self.episodes.duration_s
        super().__init__(robot)
        self._force_range = float(self.least[0]), float(self.most[0])

    def draw_from(self, robot: Robot, settings: dict[str, Any]) -> PoleEpisodes:
        """What episodes are drawn from."""
        return PencilEpisodes(**settings)

    def load(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """The scene, and the nominal numbers that episodes scale."""
        model, data = super().load()
        self._pole, self._pole_geom = model.body("pole").id, model.geom("pole").id
        self._nominal = {
            "mass": model.body_mass[self._pole],
            "length": 2 * model.body_ipos[self._pole][2],
            "radius": model.geom_size[self._pole_geom][0],
            "damping": model.dof_damping.copy(),
            "diffuse": model.light_diffuse.copy(),
            "ambient": model.light_ambient.copy(),
        }
        return model, data

    def set_duration(self, duration_s: float) -> None:
        """Let episodes last so long [s], from the next reset on: pushes are drawn for all of it."""
        self.episodes = replace(self.episodes, duration_s=duration_s)
        self.duration_s = duration_s

    @property
    def view(self) -> tuple[float, float]:
        """What the event camera sees of the plane in which the pole moves: height of the picture and height of its
        centre above the hinge [m]. The camera looks along y."""
        camera = self.model.camera("event_camera")
        height = 2 * abs(camera.pos[1]) * np.tan(np.radians(camera.fovy[0]) / 2)
        return float(height), float(camera.pos[2] - self.model.body_pos[self._pole][2])

    @property
    def lamp(self) -> tuple[np.ndarray, np.ndarray]:
        """The nominal lamp's diffuse and ambient light, as of MuJoCo's model."""
        return self._nominal["diffuse"], self._nominal["ambient"]

    def reset(self, seed: int, variation: Variation = NOMINAL) -> None:
        """Begin the episode of a seed; see :meth:`.task.ControlTask.reset`."""
        variation.check_applies(self.name, self.variable)
        self.begin_episode(self.episodes.draw(seed), variation)

    def begin_episode(self, episode: PencilEpisode, variation: Variation = NOMINAL, start_ns: int = 0) -> None:
        """Begin a given episode.

        Args:
            episode: what chance decided.
            variation: factors on its pole, friction and motor.
            start_ns: what :attr:`now_ns` begins at.
        """
        self.variation = variation
        if variation != NOMINAL:
            episode = replace(
                episode, mass_scale=episode.mass_scale * variation.mass,
                length_scale=episode.length_scale * variation.length,
                friction_scale=episode.friction_scale * variation.friction,
            )  # fmt: skip
        self.episode = episode
        self._start_ns = start_ns
        self._steps = 0
        self._push = 0
        self.failed, self.reward = False, 0.0
        mujoco.mj_resetData(self.model, self.data)
        self._apply_scales(episode, self.data)
        self.data.qpos[1] = episode.tilt
        mujoco.mj_forward(self.model, self.data)

    def vary(self, variation: Variation) -> None:
        """Change the plant within an episode; see :meth:`.task.ControlTask.vary`."""
        variation.check_applies(self.name, self.variable)
        before, episode, self.variation = self.variation, self.episode, variation
        self.episode = replace(
            episode, mass_scale=episode.mass_scale * variation.mass / before.mass,
            length_scale=episode.length_scale * variation.length / before.length,
            friction_scale=episode.friction_scale * variation.friction / before.friction,
        )  # fmt: skip
        self._apply_scales(self.episode, mujoco.MjData(self.model))  # the state of the episode is left alone

    def _apply_scales(self, episode: PencilEpisode, data: mujoco.MjData) -> None:
        mass = self._nominal["mass"] * episode.mass_scale
        length = self._nominal["length"] * episode.length_scale
        radius = self._nominal["radius"]
        self.model.body_mass[self._pole] = mass
        self.model.body_ipos[self._pole] = (0, 0, length / 2)
        self.model.body_inertia[self._pole] = (mass * length**2 / 12,) * 2 + (mass * radius**2 / 2,)
        self.model.geom_pos[self._pole_geom] = (0, 0, length / 2)
        self.model.geom_size[self._pole_geom][1] = length / 2
        self.model.dof_damping[:] = self._nominal["damping"] * episode.friction_scale
        self.model.light_diffuse[:] = self._nominal["diffuse"] * episode.light_scale
        self.model.light_ambient[:] = self._nominal["ambient"] * episode.light_scale
        mujoco.mj_setConst(self.model, data)

    def step(self, force: float) -> None:
        """One millisecond under a cart force [N], with the push that is due, if any."""
        self.data.ctrl[0] = force * self.variation.actuator
        self.data.xfrc_applied[self._pole, 0] = self._push_force()
        mujoco.mj_step(self.model, self.data)
        self._steps += 1

    def _push_force(self) -> float:
        times = self.episode.push_times_s
        now, duration = self._steps * 1e-3, self.episodes.push_duration_s
        while self._push < len(times) and now >= times[self._push] + duration:
            self._push += 1
        if self._push < len(times) and now >= times[self._push]:
            return float(self.episode.push_impulses[self._push] / duration)
        return 0.0

    def advance(self, command: np.ndarray, duration_s: float) -> None:
        """Hold a cart force [N]; see :meth:`.task.ControlTask.advance`."""
        # As :meth:`bounded`, which takes as long as a physics step
        force = float(command[0])
        force = min(max(force, self._force_range[0]), self._force_range[1]) if math.isfinite(force) else 0.0
        standing, fallen = 0, False
        for _ in range(self._whole_steps(duration_s)):
            self.step(force)
            fallen = self.fallen
            standing += not fallen
        self.failed = fallen
        self.reward = standing * 1e-3

    @property
    def now_ns(self) -> int:
        """The plant's time [ns]."""
        return self._start_ns + self._steps * MILLISECOND_NS

    def true_state(self) -> np.ndarray:
        """Pole angle [rad] and rate [rad/s]; for experts and evaluation, never for the perception."""
        return np.array([self.data.qpos[1], self.data.qvel[1]])

    def truth(self) -> np.ndarray:
        """Cart position [m] and velocity [m/s], pole angle [rad] and rate [rad/s]; for experts only."""
        (x, angle), (v, rate) = self.data.qpos, self.data.qvel
        return np.array([x, v, angle, rate])

    @property
    def fallen(self) -> bool:
        """Whether the pole fell or the cart left the rail."""
        position, angle = self.data.qpos
        # "not (a and b)" so that a diverged, non-finite state counts as fallen
        return not (abs(angle) <= self.episodes.fall_angle and abs(position) <= self.episodes.rail)

    def pictures(self, camera: Camera) -> Any:
        """The pole out of a table of its angles, which is ten times as fast as rendering each picture."""
        from .pictures import PolePictures

        return PolePictures(self, camera)

    def expert(self) -> Expert:
        """The regulator of the nominal pole, on the true state."""
        return StateExpert(lambda task: cart_pole_lqr(task.robot, task.period_s))
