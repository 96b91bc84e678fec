# SPDX-License-Identifier: Apache-2.0
"""The plant: a MuJoCo model that a task perturbs. One step is one millisecond."""

from __future__ import annotations

import numpy as np

from ..resources import share
from .tasks import MILLISECOND_NS, PencilEpisode, PoleTask

#: Cart force limit of ``sim/pencil.xml`` [N].
FORCE_LIMIT = 10.0


class PencilPlant:
    """The pole on the cart, MuJoCo's dynamics, 1 ms steps.

    Args:
        task: perturbations and limits.

    Attributes:
        observation_names: what :meth:`observe` returns, from the joint encoders.
        observation_units: their units.
    """

    observation_names: tuple[str, ...] = ("cart_position", "cart_velocity")
    observation_units: tuple[str, ...] = ("m", "m/s")
    command_names = ("cart_force",)
    command_units = ("N",)
    model_file = "sim/pencil.xml"
    task: PoleTask
    episode: PencilEpisode

    def __init__(self, task: PoleTask) -> None:
        import mujoco  # takes 0.2 s; nodes that have no plant never pay it

        self._mujoco = mujoco
        self.task = task
        self.model = mujoco.MjModel.from_xml_path(str(share(self.model_file)))
        self.data = mujoco.MjData(self.model)
        self._pole = self.model.body("pole").id
        self._pole_geom = self.model.geom("pole").id
        self._nominal = {
            "mass": self.model.body_mass[self._pole],
            "length": 2 * self.model.body_ipos[self._pole][2],
            "radius": self.model.geom_size[self._pole_geom][0],
            "damping": self.model.dof_damping.copy(),
            "diffuse": self.model.light_diffuse.copy(),
            "ambient": self.model.light_ambient.copy(),
        }
        self.reset(0)

    @property
    def view(self) -> tuple[float, float]:
        """What the event camera sees of the plane in which the pole moves: height of the picture and height of its
        centre above the hinge [m]. The camera looks along y."""
        camera = self.model.camera("event_camera")
        height = 2 * abs(camera.pos[1]) * np.tan(np.radians(camera.fovy[0]) / 2)
        return float(height), float(camera.pos[2] - self.model.body_pos[self._pole][2])

    def reset(self, seed: int, start_ns: int = 0) -> None:
        """Begin the episode of ``seed`` at time ``start_ns``."""
        self.begin(self.task.draw(seed), start_ns)

    def begin(self, episode: PencilEpisode, start_ns: int = 0) -> None:
        """Begin a given episode at time ``start_ns``."""
        self.episode = episode
        self._start_ns = start_ns
        self._steps = 0
        self._push = 0
        self._mujoco.mj_resetData(self.model, self.data)
        self._apply_scales(episode)
        self.data.qpos[1] = episode.tilt
        self._mujoco.mj_forward(self.model, self.data)

    def _apply_scales(self, episode: PencilEpisode) -> None:
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
        self._mujoco.mj_setConst(self.model, self.data)

    def step(self, force: float) -> None:
        """One millisecond under a cart force [N], with the push that is due, if any."""
        self.data.ctrl[0] = force
        self.data.xfrc_applied[self._pole, 0] = self._push_force()
        self._mujoco.mj_step(self.model, self.data)
        self._steps += 1

    def _push_force(self) -> float:
        times = self.episode.push_times_s
        now, duration = self._steps * 1e-3, self.task.push_duration_s
        while self._push < len(times) and now >= times[self._push] + duration:
            self._push += 1
        if self._push < len(times) and now >= times[self._push]:
            return float(self.episode.push_impulses[self._push] / duration)
        return 0.0

    @property
    def now_ns(self) -> int:
        """The plant's time [ns]."""
        return self._start_ns + self._steps * MILLISECOND_NS

    @property
    def elapsed_s(self) -> float:
        """Time since the reset [s]."""
        return self._steps * 1e-3

    def observe(self) -> np.ndarray:
        """Cart position [m] and velocity [m/s] from the joint encoders."""
        return np.array([self.data.qpos[0], self.data.qvel[0]])

    @property
    def truth(self) -> np.ndarray:
        """Pole angle [rad] and rate [rad/s]; for experts and evaluation, never for the perception."""
        return np.array([self.data.qpos[1], self.data.qvel[1]])

    @property
    def fallen(self) -> bool:
        """Whether the pole fell or the cart left the rail."""
        position, angle = self.data.qpos
        # "not (a and b)" so that a diverged, non-finite state counts as fallen
        return not (abs(angle) <= self.task.fall_angle and abs(position) <= self.task.rail)
