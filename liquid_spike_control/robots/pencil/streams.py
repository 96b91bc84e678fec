# SPDX-License-Identifier: Apache-2.0
"""Many pencils at once for training: MuJoCo's dynamics, and pictures from a table instead of the renderer.

The camera rides on the cart, so a picture depends on the pole's angle, its length and the lamp alone. A table of
pictures, rendered once for a few lengths and lamps and interpolated between angles, therefore gives the events of
true rendering at a tenth of its cost.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...events.binning import SpikeBinner
from ...events.camera import EventCamera, EventCameraModel
from ...events.words import from_words, to_words
from ...sim.renderer import Renderer
from ...types import MILLISECOND_NS
from .description import ROBOT
from .episodes import PencilEpisodes
from .pictures import interpolate
from .task import Pencil


class PictureTable:
    """Log intensity pictures by variant (length and lamp) and angle.

    Args:
        task: its spreads bound the variants.
        camera: whose pictures.
        n_variants: how many pairs of pole length and lamp brightness.
        seed: draws the variants.
        progress: called with the fraction done.
    """

    def __init__(
        self, task: PencilEpisodes, camera: EventCameraModel, n_variants: int, seed: int, progress=None
    ) -> None:
        import mujoco

        rng = np.random.default_rng(seed)
        self.length_scales = 1 + task.length_spread * np.linspace(-1, 1, n_variants)
        self.light_scales = 1 + task.lighting_spread * rng.permutation(np.linspace(-1, 1, n_variants))
        self.angles = np.linspace(-1.05 * task.fall_angle, 1.05 * task.fall_angle, 1301)
        shape = (n_variants, len(self.angles), camera.height, camera.width)
        self.log_intensity = np.empty(shape, np.float32)
        eye = EventCamera(camera)
        plant = Pencil(ROBOT)
        episode = task.draw(seed)
        sizes = camera.width, camera.height, ROBOT.cameras[0].supersample
        with Renderer(plant.model, "event_camera", *sizes) as renderer:
            for v in range(n_variants):
                scales = {"length_scale": self.length_scales[v], "light_scale": self.light_scales[v]}
                plant.begin_episode(replace(episode, **scales))
                for i, angle in enumerate(self.angles):
                    plant.data.qpos[1] = angle
                    mujoco.mj_kinematics(plant.model, plant.data)
                    mujoco.mj_camlight(plant.model, plant.data)
                    self.log_intensity[v, i] = eye.log_intensity(renderer.render(plant.data))
                if progress:
                    progress((v + 1) / n_variants)

    def picture(self, variant: int, angle: float, out: np.ndarray) -> np.ndarray:
        """Write the picture at an angle [rad] to ``out``, float32 (height, width), and return it."""
        interpolate(self.log_intensity[variant], self.angles[0], self.angles[1] - self.angles[0], angle, out)
        return out


class PencilStream:
    """One pencil that starts a new episode by itself when it falls or its time is over.

    Args:
        table: pictures.
        camera: the event camera's model.
        tasks: one is chosen at each reset (different pushes, tilts...).
        binner: events to axon spikes.
        seed: first training seed of the stream; each reset takes the next seed ``stride`` further on.
        stride: distance between two seeds of this stream.

    Attributes:
        task: of the running episode.
    """

    def __init__(self, table: PictureTable, camera: EventCameraModel, tasks: list[PencilEpisodes], binner: SpikeBinner,
                 seed: int, stride: int) -> None:  # fmt: skip
        self._table, self._tasks, self._binner, self._stride = table, tasks, binner, stride
        self._seed = seed - stride
        self.plant = Pencil(ROBOT)
        self._camera = EventCamera(camera)
        self._picture = np.empty((camera.height, camera.width), np.float32)
        self.reset()

    def reset(self) -> None:
        """Begin the next episode."""
        self._seed += self._stride
        rng = np.random.default_rng([self._seed, 1])
        self._variant = int(rng.integers(len(self._table.length_scales)))
        self.task = self.plant.episodes = self._tasks[int(rng.integers(len(self._tasks)))]
        episode = self.task.draw(self._seed)
        scales = {
            "length_scale": self._table.length_scales[self._variant],
            "light_scale": self._table.light_scales[self._variant],
        }
        self.plant.begin_episode(replace(episode, **scales))
        self._camera.reset_log(self._look(), 0, self._seed)

    @property
    def seed(self) -> int:
        """Seed of the running episode."""
        return self._seed

    @property
    def over(self) -> bool:
        """Whether the episode has come to its end."""
        return self.plant.fallen or self.plant.elapsed_s >= self.plant.episodes.duration_s

    def _look(self) -> np.ndarray:
        return self._table.picture(self._variant, self.plant.data.qpos[1], self._picture)

    def advance(self, force: float, n_steps: int):
        """Hold the force [N] for ``n_steps`` milliseconds.

        Returns:
            The axon spikes of each step as a SpikeTrain, and the truth after each step: angle [rad] and rate
            [rad/s], shape ``(n_steps, 2)``.
        """
        start_ns = self.plant.now_ns
        truth = np.empty((n_steps, 2), np.float32)
        pieces = []
        for k in range(n_steps):
            self.plant.step(force)
            truth[k] = self.plant.true_state()
            pieces.append(to_words(self._camera.step_log(self._look(), start_ns + (k + 1) * MILLISECOND_NS)))
        # numpy joins plain words ten times as fast as records
        return self._binner.bin(from_words(np.concatenate(pieces)), start_ns, n_steps), truth
