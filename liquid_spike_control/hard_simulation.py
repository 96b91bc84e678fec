# SPDX-License-Identifier: Apache-2.0
"""The simulated robot of ``pencil-hard``: plant, cart encoder and the event camera before the textured wall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .events.camera import EventCamera, EventCameraModel
from .events.words import from_words, to_words
from .sim.pencil_hard import PencilHardEpisode, PencilHardPlant, PencilHardTask
from .sim.renderer import Renderer
from .sim.sprites import SUPERSAMPLE, PoleSprites
from .sim.wall import TEXEL_M, TEXELS, wall_texture
from .simulation import Sensing
from .types import EVENT, Quantities

#: The camera: the pencil's with ten times its noise.
HARD_CAMERA = EventCameraModel(width=64, height=64, shot_noise_hz=1.0, stray_light=18.0)


def hard_camera(camera: EventCameraModel, episode: PencilHardEpisode) -> EventCameraModel:
    """The camera in an episode: all thresholds are off by one factor."""
    return replace(camera, contrast_threshold=camera.contrast_threshold * episode.threshold_scale)


class Onboard:
    """What the robot knows beside its events: where the cart is, how far it came, and how much the camera saw.

    Args:
        plant: whose encoder.
    """

    names = ("cart_position", "cart_displacement", "event_rate")
    units = ("m", "m", "kHz")
    #: What one unit of a controller's input is.
    scales = (0.3, 0.002, 10.0)

    def __init__(self, plant: PencilHardPlant) -> None:
        self._plant = plant
        self.reset()

    def reset(self) -> None:
        """Begin an episode."""
        self._position = self._plant.observe()[0]

    def sense(self, n_events: int, elapsed_s: float) -> np.ndarray:
        """Cart position [m], its change since the last sensing [m] and events since then by time [kHz], ``(3,)``."""
        last, self._position = self._position, self._plant.observe()[0]
        return np.array([self._position, self._position - last, n_events * 1e-3 / elapsed_s])


class PencilHardSimulation:
    """Plant, pictures and event camera; a context manager.

    Args:
        task: what episodes are drawn from.
        camera: the event camera's model.
        rendered: every picture is rendered; if not, the pole is rendered anew for each episode, at all angles, and
            laid over the wall, which takes a twentieth of the time and gives the same to a grey level or two.
        sighted: whether there is a camera at all; without one there are no events, for those who see the truth.

    Raises:
        RenderingError: there is no off-screen GL.
    """

    def __init__(
        self, task: PencilHardTask | None = None, camera: EventCameraModel = HARD_CAMERA, rendered: bool = False,
        sighted: bool = True,
    ) -> None:  # fmt: skip
        self._sighted = sighted
        self.plant = PencilHardPlant(task)
        self.task = self.plant.task
        self._model, self._camera = camera, EventCamera(camera)
        self._onboard = Onboard(self.plant)
        self._picture = np.empty((camera.height, camera.width), np.float32)
        self._renderer = None
        if rendered:
            model = self.plant.model
            self._wall = model.geom("wall").id
            self._renderer = Renderer(model, "event_camera", camera.width, camera.height, SUPERSAMPLE)

    def reset(self, seed: int, start_ns: int = 0) -> Sensing:
        """Begin the episode of ``seed`` at ``start_ns`` and return what is sensed there (no events yet)."""
        self.plant.reset(seed, start_ns)
        self._onboard.reset()
        self._tick = 0
        if self._sighted:
            self._open_eye(seed, start_ns)
        return self._sense(np.empty(0, EVENT), self.task.period_s)

    def _open_eye(self, seed: int, start_ns: int) -> None:
        texture = wall_texture(seed)
        if self._renderer:
            self.plant.model.tex_data[:] = np.repeat(texture.ravel(), 3)
            self._renderer.upload_texture(0)
        else:
            self._sprites = PoleSprites(self.plant, self._model.width, self._model.height)
            self._panorama = self._sprites.panorama(texture)
        self._camera.model = hard_camera(self._model, self.plant.episode)
        self._camera.reset(self.picture(), start_ns, seed)

    def advance(self, force: float) -> Sensing:
        """Hold the commanded cart force [N] for the next control period, with a picture a millisecond."""
        pieces = [np.empty(0, np.int64)]
        plant = self.plant
        first, period_ms = round(plant.elapsed_s * 1e3), int(plant.episode.periods_ms[self._tick])
        for k in range(period_ms):
            plant.step(force)
            if not self._sighted:
                continue
            events = self._camera.step(self.picture(), plant.now_ns)
            if not plant.blind(first + k):
                pieces.append(to_words(events))
        self._tick += 1
        return self._sense(from_words(np.concatenate(pieces)), period_ms * 1e-3)

    def picture(self) -> np.ndarray:
        """The picture now, float32 (height, width), 0 to 255."""
        plant = self.plant
        if self._renderer is None:
            position, angle = plant.data.qpos
            shift, light = position - plant.wall_m, plant.episode.light_scale
            return self._sprites.picture(self._panorama, angle, shift, light, self._picture)
        plant.model.geom_pos[self._wall, 0] = plant.wall_m % (TEXELS[1] * TEXEL_M)
        plant.forward_kinematics()
        return self._renderer.render(plant.data)

    def _sense(self, events: np.ndarray, elapsed_s: float) -> Sensing:
        onboard = self._onboard.sense(len(events), elapsed_s)
        return Sensing(Quantities(self.plant.now_ns, self._onboard.names, onboard), events)

    def close(self) -> None:
        """Release the GL context."""
        if self._renderer:
            self._renderer.close()

    def __enter__(self) -> PencilHardSimulation:
        return self

    def __exit__(self, *_) -> None:
        self.close()
