# SPDX-License-Identifier: Apache-2.0
"""Lane keeping: one lap of a closed track that nobody has seen before, without leaving the lane."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np

from ...errors import TaskError
from ...events.camera import EventCameraModel
from ...robot import Camera, Robot
from ...tasks.mujoco_task import MujocoTask
from ..quadrotor.ground import KINDS
from .expert import AHEAD, WHEELBASE, steering
from .road import HALF_LANE, LIGHTS, LINES, SIZE, RoadLook, RoadPictures, draw_road
from .track import draw_track

#: An episode begins at the speed that is asked for, within +- these of the middle [m] and the lane's heading [rad].
START_OFFSET, START_HEADING = 0.12, 0.15
#: Force of an axle's tyres against slip [N s/m].
TYRES = 90.0
#: Standard deviations of the gyroscope's bias [rad/s] and of the angle by which the steering is off [rad].
RATE_BIAS, STEERING_BIAS = 0.02, 0.01
#: Thresholds of the camera are off by one factor of 1 +- this.
THRESHOLD = 0.15
#: The reward for the steering is full where the point so far ahead [m] is so far from the middle [m].
ASTRAY_AHEAD, ASTRAY = 0.5, 0.1
#: The camera gives nothing for so long in a blackout [s].
BLACKOUT_S = 0.3
#: A lap is not done by standing: this part of the distance at the target speed must be covered.
LEAST_PART = 0.5


class KeepLane(MujocoTask):
    """Drive a lap on the track of an episode; see :class:`~.task.ControlTask`.

    The track is a smooth closed curve of 17 to 22 m, driven clockwise or counterclockwise; its lane is 0.6 m wide. The
    car begins at its target speed near the middle. The episode ends after a lap, or after 20 s; or by a departure: the
    middle of the rear axle crosses a line, which is a failure. The reward is the distance along the lane [m].

    Args:
        robot: of ``robot.yaml``.
        texture, lines, lighting, contrast: see :class:`~.road.RoadLook`.
        noise: factor on the camera's noise: events of nothing, and of leaks.
        threshold: factor on the contrast that gives an event.
        mismatch: factor on how unlike the pixels' thresholds are, at most half of the threshold.
        blackouts: of 0.3 s without events, on average so many a second.

    Raises:
        TaskError: a kind is unknown, or a number is not finite or less than 0.
    """

    version = 1
    duration_s = 20.0

    def __init__(
        self, robot: Robot, texture: str = "fractal", lines: str = "edges", lighting: str = "even",
        contrast: float = 1.0, noise: float = 1.0, threshold: float = 1.0, mismatch: float = 1.0,
        blackouts: float = 0.0,
    ) -> None:  # fmt: skip
        for name, kind, known in (("texture", texture, KINDS), ("lines", lines, LINES), ("lighting", lighting, LIGHTS)):
            if kind not in known:
                raise TaskError(f"{robot.source}: {name}: '{kind}' is unknown; give {' or '.join(known)}")
        if not (math.isfinite(threshold) and 0.1 <= threshold <= 10):
            raise TaskError(f"{robot.source}: threshold: {threshold}; give a factor of 0.1 to 10")
        for name, value in (
            ("contrast", contrast), ("noise", noise), ("mismatch", mismatch), ("blackouts", blackouts),
        ):  # fmt: skip
            if not (math.isfinite(value) and value >= 0):
                raise TaskError(f"{robot.source}: {name}: {value}; give a finite number of at least 0")
        self._look = RoadLook(texture, lines, lighting, float(contrast))
        self._noise, self._blackouts = float(noise), float(blackouts)
        self._factor, self._mismatch = float(threshold), float(mismatch)
        super().__init__(robot)

    def load(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """The scene, and where its parts are."""
        model, data = super().load()
        self._image = model.texture("ground").id
        self._knuckles = [int(model.joint(name).qposadr[0]) for name in ("front_left", "front_right")]
        seen = [reading.name for reading in self.robot.seen]
        self._gyro = seen.index("yaw_rate") if "yaw_rate" in seen else None
        self._setpoint = [setpoint.name for setpoint in self.robot.setpoints].index("target_speed")
        return model, data

    def begin(self, rng: np.random.Generator) -> None:
        """Draw track, look, car and camera of the episode."""
        data = self.data
        self.track = draw_track(rng)
        self._road_seed = int(rng.integers(1 << 31))
        self._rate_bias, self._steering_bias = rng.standard_normal(2) * (RATE_BIAS, STEERING_BIAS)
        self._threshold = rng.uniform(1 - THRESHOLD, 1 + THRESHOLD)
        self._setpoints = [s.default for s in self.robot.setpoints]
        offset, turned = rng.uniform(-1, 1, 2) * (START_OFFSET, START_HEADING)
        number = int(rng.integers(len(self.track.points)))
        (x, y), heading = self.track.points[number].tolist(), float(self.track.heading[number])
        data.qpos[:3] = x - offset * math.sin(heading), y + offset * math.cos(heading), heading + turned
        speed = self._setpoints[self._setpoint]
        data.qvel[:2] = speed * math.cos(heading + turned), speed * math.sin(heading + turned)
        starts = np.cumsum(rng.exponential(1 / self._blackouts, 1000)) if self._blackouts else np.empty(0)
        self._dark_from = starts
        self._number, self._covered, self._asked = number, 0.0, 0.0
        self._place()

    def _place(self) -> None:
        x, y, yaw = self.data.qpos[:3].tolist()
        before = self._number
        self._number, self._ahead, self.offset = self.track.locate(x, y, before)
        n = len(self.track.points)
        self._moved = (self._number - before + n // 2) % n - n // 2
        lane = self.track.heading[self._number] + self.track.curvature[self._number] * self._ahead
        self.heading = float(math.remainder(yaw - lane, 2 * math.pi))

    @property
    def blind(self) -> bool:  # type: ignore[override]
        """Whether the camera is in a blackout."""
        k = int(np.searchsorted(self._dark_from, self.elapsed_s, side="right"))
        return bool(k and self.elapsed_s - self._dark_from[k - 1] < BLACKOUT_S)

    @property
    def covered_m(self) -> float:  # type: ignore[override]
        """Distance along the lane since the beginning [m]."""
        return self._covered

    @property
    def place_m(self) -> np.ndarray:  # type: ignore[override]
        """The middle of the rear axle, ``(2,)`` [m]."""
        return self.data.qpos[:2].copy()

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self._covered >= self.track.length or super().over

    @property
    def success(self) -> bool:
        """Whether it has driven a lap, or for the time given, and is still in the lane."""
        return self.over and not self.failed and self._covered >= min(self.track.length, LEAST_PART * self._asked)

    def before_step(self) -> None:
        """Forces of the tyres, which resist slip sideways: a bicycle."""
        data = self.data
        yaw, delta = data.qpos[2], data.qpos[self._knuckles[0]] + self._steering_bias
        v_x, v_y, rate = data.qvel[:3].tolist()
        c, s = math.cos(yaw), math.sin(yaw)
        forward, left = c * v_x + s * v_y, c * v_y - s * v_x
        tyres = TYRES * self.variation.friction
        rear = -tyres * left
        front = -tyres * (math.cos(delta) * (left + WHEELBASE * rate) - math.sin(delta) * forward)
        f_x, f_y = -math.sin(delta) * front, rear + math.cos(delta) * front
        data.qfrc_applied[:3] = c * f_x - s * f_y, s * f_x + c * f_y, WHEELBASE * math.cos(delta) * front

    def judge(self, passed_s: float) -> None:
        """Follow the car along the lane."""
        ahead = self._ahead
        self._place()
        self.reward = self._moved * self.track.spacing + self._ahead - ahead
        self._covered += self.reward
        self._asked += passed_s * self._setpoints[self._setpoint]
        self.failed = not abs(self.offset) <= HALF_LANE

    def observe(self) -> np.ndarray:
        """Readings with the gyroscope's bias, and the speed that is asked for."""
        values = super().observe()
        if self._gyro is not None:
            values[self._gyro] += self._rate_bias
        return values

    def estimates(self) -> np.ndarray:
        """Offset to the left of the middle [m], heading relative to the lane [rad], its curvature ahead [1/m]."""
        return np.array([self.offset, self.heading, self.track.curvature_at(self._number, AHEAD)])

    def truth(self) -> np.ndarray:
        """Offset, heading error, curvature ahead, target speed; float64 ``(4,)``."""
        return np.append(self.estimates(), self._setpoints[self._setpoint])

    def reinforcement(self) -> np.ndarray:
        """Reward for the steering, ``(2,)``: where the car will be off the middle, it should steer back."""
        astray = self.offset + ASTRAY_AHEAD * self.heading
        return np.array([-min(max(astray / ASTRAY, -1.0), 1.0), np.nan])

    def law(self, state: np.ndarray) -> np.ndarray:
        """Steering angle [rad] and speed [m/s], ``(2,)``, for a true state."""
        offset, heading, curvature, speed = state.tolist()
        return self.bounded(np.array([steering(offset, heading, curvature), speed]))

    # the event camera

    def camera_model(self, camera: Camera) -> EventCameraModel:
        """The camera with the episode's thresholds and the noise that is asked for."""
        model = camera.event_camera()
        threshold = model.contrast_threshold * self._factor
        return replace(
            model, contrast_threshold=threshold * self._threshold,
            threshold_mismatch=min(model.threshold_mismatch * self._mismatch, 0.5 * threshold),
            shot_noise_hz=model.shot_noise_hz * self._noise, leak_hz=model.leak_hz * self._noise,
        )  # fmt: skip

    def dress(self, renderer: Any) -> None:
        """Upload the road of the episode."""
        first = int(self.model.tex_adr[self._image])
        grey = draw_road(self.track, self._road_seed, self._look).ravel()
        self.model.tex_data[first : first + 3 * SIZE * SIZE] = np.repeat(grey, 3)
        renderer.upload_texture(self._image)

    def pictures(self, camera: Camera) -> RoadPictures:
        """The road without the renderer, which gives nearly the same."""
        eye, rotation = self.model.camera(camera.mujoco or camera.name), np.empty(9)
        mujoco.mju_quat2Mat(rotation, eye.quat)
        return RoadPictures(
            draw_road(self.track, self._road_seed, self._look), camera.width, camera.height, math.radians(eye.fovy[0]),
            eye.pos, rotation.reshape(3, 3),
        )  # fmt: skip

    def before_picture(self) -> None:
        """Bring bodies and the camera to where the joints are."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
