# SPDX-License-Identifier: Apache-2.0
"""Many poles of ``pencil-hard`` at once for training: MuJoCo's dynamics, and pictures that are composed.

Poles have one of a few lengths, whose sprites are rendered once; the wall is drawn for each episode.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...events.binning import SpikeBinner
from ...events.camera import EventCamera, EventCameraModel
from ...events.words import from_words
from ...types import MILLISECOND_NS
from .description import ROBOT
from .expert import LatePencilLqr
from .sprites import PoleSprites
from .task import POLE_LENGTH_M, PencilHard, PencilHardEpisodes, with_threshold
from .wall import wall_texture

#: Milliseconds from picture to picture; the camera's events lie at the crossings between them all the same.
FRAME_STEPS = 4


class PoleTable:
    """Sprites of poles of several lengths.

    Args:
        camera: whose pictures.
        n_lengths: over the task's range.
        progress: called with the fraction done.

    Attributes:
        lengths: factors on the nominal length, ``(n_lengths,)``.
        sprites: one of each length.
    """

    def __init__(self, camera: EventCameraModel, n_lengths: int, progress=None) -> None:
        task = PencilHardEpisodes()
        plant = PencilHard(ROBOT)
        self.lengths = np.linspace(*task.pole_length_m, n_lengths) / POLE_LENGTH_M
        self.sprites = []
        for k, length in enumerate(self.lengths):
            plant.begin_episode(replace(plant.episode, length_scale=length))
            self.sprites.append(PoleSprites(plant, camera.width, camera.height))
            if progress:
                progress((k + 1) / n_lengths)


class HardStream:
    """One pole that starts a new episode by itself when it falls or its time is over.

    Args:
        table: pictures of the pole.
        camera: the event camera's model, for the nominal threshold.
        tasks: one is chosen at each reset (different gusts, tilts...).
        binner: events to axon spikes.
        seed: first training seed of the stream; each reset takes the next seed ``stride`` further on.
        stride: distance between two seeds of this stream.

    Attributes:
        expert: the regulator of the running episode, see :class:`~.expert.LatePencilLqr`.
    """

    def __init__(self, table: PoleTable, camera: EventCameraModel, tasks: list[PencilHardEpisodes], binner: SpikeBinner,
                 seed: int, stride: int) -> None:  # fmt: skip
        self._table, self._tasks, self._binner, self._stride = table, tasks, binner, stride
        self._seed = seed - stride
        self.plant = PencilHard(ROBOT)
        self._model, self._camera = camera, EventCamera(camera)
        self._picture = np.empty((camera.height, camera.width), np.float32)
        self.reset()

    def reset(self) -> None:
        """Begin the next episode."""
        self._seed += self._stride
        rng = np.random.default_rng([self._seed, 1])
        variant = int(rng.integers(len(self._table.lengths)))
        self.plant.episodes = self._tasks[int(rng.integers(len(self._tasks)))]
        episode = self.plant.episodes.draw(self._seed)
        self.plant.begin_episode(replace(episode, length_scale=self._table.lengths[variant]))
        self.expert = LatePencilLqr(self.plant, episode.latency_ms, episode.wind)
        self._sprites = self._table.sprites[variant]
        self._panorama = self._sprites.panorama(wall_texture(self._seed))
        self._camera.model = with_threshold(self._model, episode)
        self._camera.reset(self._look(), 0, self._seed)

    @property
    def over(self) -> bool:
        """Whether the episode has come to its end."""
        return self.plant.fallen or self.plant.elapsed_s >= self.plant.episodes.duration_s

    def _look(self) -> np.ndarray:
        plant = self.plant
        position, angle = plant.data.qpos
        light = plant.episode.light_scale
        return self._sprites.picture(self._panorama, angle, position - plant.wall_m, light, self._picture)

    def advance(self, force: float, n_steps: int):
        """Hold the force [N] for ``n_steps`` milliseconds.

        Returns:
            The axon spikes of each step as a SpikeTrain, and the truth after each step: angle [rad] and rate
            [rad/s], shape ``(n_steps, 2)``.
        """
        plant = self.plant
        start_ns, first = plant.now_ns, round(plant.elapsed_s * 1e3)
        truth = np.empty((n_steps, 2), np.float32)
        pieces = [np.empty(0, np.int64)]
        position, velocity = plant.data.qpos, plant.data.qvel
        for k in range(n_steps):
            plant.step(force)
            truth[k, 0], truth[k, 1] = position[1], velocity[1]
            if k % FRAME_STEPS < FRAME_STEPS - 1 and k < n_steps - 1:
                continue
            words = self._camera.step_words(self._look(), start_ns + (k + 1) * MILLISECOND_NS)
            if not plant.blacked_out(first + k):
                pieces.append(words)
        # numpy joins plain words ten times as fast as records
        events = from_words(np.concatenate(pieces))
        return self._binner.bin(events, start_ns, n_steps), truth
