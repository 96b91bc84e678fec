# SPDX-License-Identifier: Apache-2.0
"""The simulated robot: a task's physics, its readings and its event cameras. The only simulator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import TaskError
from ..events.camera import EventCamera
from ..events.words import from_words
from ..robot import names
from ..types import EVENT, Quantities
from .image_motion import ImageMotion

if TYPE_CHECKING:
    from ..robot import Camera
    from ..tasks.mujoco_task import MujocoTask
    from ..tasks.variation import Variation


@dataclass(frozen=True, slots=True)
class Sensing:
    """Readings and events of a robot at one stamp.

    Attributes:
        readings: readings and setpoints, in the description's order.
        events: an EVENT array of each camera, of the time since the last sensing.
    """

    readings: Quantities
    events: tuple[np.ndarray, ...] = field(default=())

    @property
    def stamp_ns(self) -> int:
        """Stamp of the readings [ns]."""
        return self.readings.stamp_ns


class World:
    """A task in simulation, with stamps and event cameras; a context manager.

    Args:
        task: robot, physics and objective.
        rendered: render every picture; if not, the task's faster pictures are used where it has them.
        sighted: whether the cameras are simulated; without them there are no events, e.g. to control by true values.
        frame_s: in place of the cameras' time between pictures [s], of all alike; the last picture of a control period
            comes at its end. Fewer pictures cost less, and the events lie at the crossings between them all the same.

    Attributes:
        task, robot: of the world.
        watchers: called with the stamp [ns] after each :meth:`step`, e.g. a frame camera beside the event cameras.

    Raises:
        RenderingError: off-screen GL is not available.
    """

    def __init__(
        self, task: MujocoTask, rendered: bool = True, sighted: bool = True, frame_s: float | None = None
    ) -> None:
        self.task, self.robot = task, task.robot
        cameras = self.robot.cameras if sighted else ()
        self._given_frame_s = frame_s if cameras else None
        self._eyes = [_Eye(task, camera, rendered) for camera in cameras]
        self._silent = tuple(np.empty(0, EVENT) for _ in self.robot.cameras)
        self._names = names(self.robot.seen)
        known = [camera.name for camera in self.robot.cameras]
        self._rates = [(i, known.index(r.camera)) for i, r in enumerate(self.robot.readings) if r.camera is not None]
        self._start_ns = 0
        self.watchers: list[Callable[[int], None]] = []

    def reset(self, seed: int, start_ns: int = 0, variation: Variation | None = None) -> Sensing:
        """Begin the episode of ``seed`` at ``start_ns`` and return its first sensing, without events.

        Args:
            seed: of the episode.
            start_ns: stamp of its beginning [ns].
            variation: of the plant; default: none.
        """
        if variation is None:
            self.task.reset(seed)
        else:
            self.task.reset(seed, variation)
        self._start_ns, self._duration_s = start_ns, self.robot.period_s
        for number, eye in enumerate(self._eyes):
            eye.open(start_ns, seed if number == 0 else (seed + 1) * 1_000_003 + number)
        return self._sense(self._silent, self.robot.period_s)

    def scale_thresholds(self, factor: float) -> None:
        """Multiply the contrast thresholds of all event cameras from now on, until the next reset. Nothing changes
        where they are not simulated, since nobody looks through them.

        Raises:
            TaskError: the robot has none.
        """
        if not self.robot.cameras:
            raise TaskError(f"task '{self.task.name}' has no event camera whose thresholds could change")
        for eye in self._eyes:
            eye.scale_thresholds(factor)

    def advance(self, command: np.ndarray, duration_s: float | None = None) -> Sensing:
        """Hold a command for one control period, and return the sensing at its end.

        Args:
            command: float64 ``(m,)``.
            duration_s: length of the period [s]; default: the task's.
        """
        for _ in range(self.begin_period(duration_s)):
            self.step(command)
        return self.sense()

    def begin_period(self, duration_s: float | None = None, step_s: float | None = None) -> int:
        """Begin a control period, and return its number of calls of :meth:`step`.

        Args:
            duration_s: length of the period [s]; default: the task's.
            step_s: without a camera, length of a step [s], rounded to whole physics steps; the period by default.
        """
        self._duration_s = self.task.next_period_s() if duration_s is None else duration_s
        self._frame, self._reward = 0, 0.0
        self._n_frames = self._frames(step_s)
        return self._n_frames

    def _frames(self, step_s: float | None) -> int:
        """Set the time between calls of :meth:`step`, and count them in the period."""
        if self._given_frame_s is not None:
            self._frame_s = self._given_frame_s
            return max(1, math.ceil(self._duration_s / self._frame_s - 1e-6))
        if self._eyes:
            self._frame_s = min(eye.frame_s for eye in self._eyes)
        elif step_s is None:
            self._frame_s = self._duration_s
        else:
            physics_s = self.task.model.opt.timestep
            self._frame_s = max(1, round(step_s / physics_s)) * physics_s
        return max(1, round(self._duration_s / self._frame_s))

    def step(self, command: np.ndarray) -> None:
        """Hold a command until the next picture, or for the whole period without a camera."""
        task = self.task
        if self._given_frame_s is None:
            task.advance(command, self._frame_s)
        else:
            task.advance(command, min(self._frame_s, self._duration_s - self._frame * self._frame_s))
        self._reward += task.reward
        self._frame += 1
        for eye in self._eyes:
            every = 1 if self._given_frame_s is not None else round(eye.frame_s / self._frame_s)
            if self._frame % every == 0:
                eye.look(self.now_ns, task.blind, self._frame + every > self._n_frames)
        for watch in self.watchers:
            watch(self.now_ns)

    def sense(self) -> Sensing:
        """Return the sensing at the end of the period."""
        self.task.reward = self._reward
        return self._sense(tuple(eye.events() for eye in self._eyes) or self._silent, self._duration_s)

    @property
    def last_period_ns(self) -> int:
        """Length of the present control period, or of the last one between two [ns]."""
        return round(self._duration_s * 1e9)

    @property
    def now_ns(self) -> int:
        """The world's time [ns]."""
        return self._start_ns + round(self.task.elapsed_s * 1e9)

    @property
    def n_pictures(self) -> int:
        """Pictures that were taken since the world was made."""
        return sum(eye.n_pictures for eye in self._eyes)

    @property
    def truth(self) -> np.ndarray:
        """The true values of the estimates, float64 ``(n,)``; for training and evaluation, never for the perception."""
        return self.task.estimates()

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.task.over

    def picture(self, camera: int = 0) -> np.ndarray:
        """Return the present picture of a camera, float32 ``(height, width)``, 0 to 255."""
        return self._eyes[camera].picture()

    def _sense(self, events: tuple[np.ndarray, ...], elapsed_s: float) -> Sensing:
        values = self.task.observe()
        for reading, camera in self._rates:
            values[reading] = len(events[camera]) * 1e-3 / elapsed_s
        return Sensing(Quantities(self.now_ns, self._names, values), events)

    def close(self) -> None:
        """Release the GL contexts."""
        for eye in self._eyes:
            eye.close()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_) -> None:
        self.close()


#: A picture that has moved less is the same [pixels].
STILL = 0.01


class _Eye:
    """One event camera in the world."""

    def __init__(self, task: MujocoTask, camera: Camera, rendered: bool) -> None:
        self._task, self._camera = task, camera
        self.frame_s = camera.frame_s
        self._model = EventCamera(camera.event_camera())
        self._renderer: Any = None
        self._rendered, self._still_px = rendered, camera.motion_px
        self._motion: ImageMotion | None = None
        self.n_pictures = 0
        self._pieces: list[np.ndarray] = []

    def open(self, stamp_ns: int, seed: int) -> None:
        """Begin an episode."""
        self._pictures = None if self._rendered else self._task.pictures(self._camera)
        if self._pictures is None:
            self._task.dress(self._gl())
        self._model.model = self._task.camera_model(self._camera)
        self._last = self.picture().copy()
        self._model.reset(self._last, stamp_ns, seed)
        self._pieces = []
        self._motion = None
        if self._still_px is not None and self._pictures is None:
            camera, data = self._camera, self._task.data
            self._motion = ImageMotion(self._task.model, camera.mujoco or camera.name, camera.width, camera.height)
            self._motion.mark(data)

    def scale_thresholds(self, factor: float) -> None:
        """Multiply the camera's contrast thresholds from now on."""
        self._model.scale_thresholds(factor)

    def _gl(self) -> Any:
        if self._renderer is None:
            from .renderer import Renderer

            camera = self._camera
            name = camera.mujoco or camera.name
            self._renderer = Renderer(self._task.model, name, camera.width, camera.height, camera.supersample)
        return self._renderer

    def picture(self) -> np.ndarray:
        self.n_pictures += 1
        if self._pictures is not None:
            return self._pictures.render(self._task.data)
        self._task.before_picture()
        return self._gl().render(self._task.data)

    def look(self, stamp_ns: int, blind: bool, last: bool) -> None:
        """Take a picture; or none, where it would show nothing new and is not the last one of the control period, by
        whose end the events are asked for.
        """
        picture = self.picture() if self._motion is None else self._moved_picture(self._motion, last)
        if picture is None:
            return
        words = self._model.step_words(picture, stamp_ns)
        if not blind:
            self._pieces.append(words)

    def _moved_picture(self, motion: ImageMotion, last: bool) -> np.ndarray | None:
        """A picture if enough has moved, or the last one again at the end of a period in which nothing has."""
        self._task.before_picture()
        moved = motion.moved(self._task.data)
        if not last and self._still_px is not None and moved < self._still_px:
            return None
        if moved > STILL:
            self._last = self.picture().copy()
            motion.mark(self._task.data)
        return self._last

    def events(self) -> np.ndarray:
        """All since the last call."""
        pieces, self._pieces = self._pieces, []
        # numpy joins plain words ten times as fast as records
        return from_words(np.concatenate(pieces)) if pieces else np.empty(0, EVENT)

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()


def picture_size(cameras: Sequence[Camera]) -> tuple[int, int]:
    """Width and height of the picture of :func:`side_by_side` [pixels]."""
    return sum(camera.width for camera in cameras), max(camera.height for camera in cameras)
