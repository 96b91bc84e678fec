# SPDX-License-Identifier: Apache-2.0
"""The simulated robot: the plant with its joint encoders and the event camera on its cart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .events.camera import EventCamera, EventCameraModel
from .events.words import from_words, to_words
from .sim.plant import PencilPlant
from .sim.renderer import Renderer
from .sim.tasks import MILLISECOND_NS, PencilTask
from .types import EVENT, Quantities

#: The camera of the pencil task: 64x64, v2e's noise, and stray light that leaves about a dozen events a pixel crossing.
PENCIL_CAMERA = EventCameraModel(width=64, height=64, shot_noise_hz=0.1, stray_light=18.0)
#: Pictures are rendered eight times as wide, so that the edges of a nearly vertical pole move in steps of an eighth
SUPERSAMPLE = (8, 1)


@dataclass(frozen=True, slots=True)
class Sensing:
    """What the robot senses at one stamp.

    Attributes:
        joints: cart position [m] and velocity [m/s].
        events: EVENT array of the time since the last sensing.
    """

    joints: Quantities
    events: np.ndarray


class PencilSimulation:
    """Plant, renderer and event camera of the pencil task; a context manager.

    Args:
        task: perturbations and limits.
        camera: the event camera's model.

    Raises:
        RenderingError: there is no off-screen GL.
    """

    def __init__(self, task: PencilTask, camera: EventCameraModel = PENCIL_CAMERA) -> None:
        self.task = task
        self.plant = PencilPlant(task)
        self._renderer = Renderer(self.plant.model, "event_camera", camera.width, camera.height, SUPERSAMPLE)
        self._camera = EventCamera(camera)
        self._pieces: list[np.ndarray] = []  # events of the pictures since the last sensing

    def reset(self, seed: int, start_ns: int = 0) -> Sensing:
        """Begin the episode of ``seed`` at ``start_ns`` and return what is sensed there (no events yet)."""
        self.plant.reset(seed, start_ns)
        self._camera.reset(self.picture(), start_ns, seed)
        self._pieces.clear()
        return self.sense()

    def advance(self, force: float) -> Sensing:
        """Hold the cart force [N] for one control period, with a picture a millisecond."""
        for _ in range(self.task.period_ns // MILLISECOND_NS):
            self.step(force)
        return self.sense()

    def step(self, force: float) -> None:
        """Hold the cart force [N] for one millisecond, and take the picture at its end."""
        self.plant.step(force)
        self._pieces.append(to_words(self._camera.step(self.picture(), self.plant.now_ns)))

    def sense(self) -> Sensing:
        """Return what is sensed now: the joints, and the events since the last call."""
        # numpy joins plain words ten times as fast as records
        events = from_words(np.concatenate(self._pieces)) if self._pieces else np.empty(0, EVENT)
        self._pieces.clear()
        return Sensing(Quantities(self.plant.now_ns, self.plant.observation_names, self.plant.observe()), events)

    def picture(self) -> np.ndarray:
        """The picture now, float32 (height, width), 0 to 255."""
        return self._renderer.render(self.plant.data)

    def close(self) -> None:
        """Release the GL context."""
        self._renderer.close()

    def __enter__(self) -> PencilSimulation:
        return self

    def __exit__(self, *_) -> None:
        self.close()

