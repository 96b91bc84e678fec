# SPDX-License-Identifier: Apache-2.0
"""Quadrotor landing: come down softly from a few metres on textured, sloping ground while the wind blows.

Neither height nor velocity is sensed: what there is, is an IMU and the flow in a downward event camera.
"""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import mujoco
import numpy as np

from ...errors import TaskError
from ...events.camera import EventCameraModel
from ...robot import Camera, Robot
from ...tasks.mujoco_task import MujocoTask
from ...tasks.task import StateExpert
from ...tasks.variation import NOMINAL, Variation
from ..hover.task import DRAG, LIFT, WIND_PERIOD_S, wind
from .expert import LOOP_STEPS, MOST_FLOW, LandingLaw, attitude, drive
from .ground import KINDS, SIZE, GroundPictures, ground_texture

#: Height at the beginning [m]; velocity within +- these along each horizontal axis and the vertical [m/s]; lean [rad].
START_HEIGHT, START_VELOCITY, START_CLIMB, START_LEAN = (2.0, 4.0), 0.5, 0.3, 0.1
#: The ground slopes by up to this [rad].
SLOPE = math.radians(8)
#: A landing is a success below this speed, vertical and horizontal [m/s], and below this lean [rad].
GENTLE, UPRIGHT = 0.5, math.radians(15)
#: Below this speed, both ways, it is soft [m/s].
SOFT = 0.3
#: It has crashed beyond this height [m], this far from where it began [m], or at this lean [rad].
CEILING, RANGE, CRASH_LEAN = 8.0, 9.0, 1.2
#: Hovering, and following velocities that change every LEG_S [s] and are within +- FOLLOWED along each horizontal axis
#: [m/s]: over the last HOLDING_S, and over the last SETTLED_S of each leg [s], the error of the velocity must be below
#: STEADY [m/s], rms.
STAY_S, HOLDING_S, LEG_S, SETTLED_S, FOLLOWED, STEADY = 12.0, 5.0, 4.0, 2.0, 0.5, 0.3
#: Standard deviations of the bias of roll and pitch [rad] and of the gyroscope's bias and noise [rad/s].
LEAN_BIAS, RATE_BIAS, RATE_NOISE = 0.01, 0.01, 0.02
#: The attitude loop lets the vehicle sway, round and round, by SWAY [rad] of its setpoint SWAY_HZ times a second: where
#: a picture hardly moves, an event camera sees little. A hovering vehicle is moved by 2 mm.
SWAY, SWAY_HZ = 0.03, 2.5
#: Radius of a foot [m].
FOOT = 0.008
#: Thresholds of the camera are off by one factor of 1 +- this.
THRESHOLD = 0.15
AIMS = ("land", "hover", "velocity", "mixed")
#: Shares of landing, hovering and velocities where they are mixed.
SHARES = (0.5, 0.25, 0.25)


class Landing(MujocoTask):
    """Land the quadrotor of ``scene.xml``; see :class:`~.task.ControlTask`.

    A vehicle of 0.6 kg begins 2 to 4 m above ground that slopes by up to 8 degrees, with up to 0.5 m/s along each axis,
    in wind of 0 to 2 m/s with gusts; rotors give 0.9 to 1.1 of what they should. Its attitude loop follows roll and
    pitch setpoints at 500 Hz from a noisy IMU. The episode ends as a foot touches the ground, which is a success if
    vertical and horizontal speed are below 0.5 m/s and the lean is below 15 degrees; or after 16 s, or with a crash.
    The reward is 1 less the greater speed at the touch over 0.5 m/s, once.

    Args:
        robot: of ``robot.yaml``.
        aim: ``"land"``; ``"hover"``: for 12 s, a success if the speed's rms over the last 5 s is below 0.3 m/s;
            ``"velocity"``: for 12 s, horizontal velocities of up to 0.5 m/s along each axis, new ones every 4 s, a
            success if the velocity's error over the last 2 s of each is below 0.3 m/s, rms; ``"mixed"``: one of these,
            by the seed, for trainings.
        wind_factor: on wind and gusts.
        sway: by how much the vehicle's attitude loop lets it sway, as its setpoints have it [rad].
        texture: of the ground, one of :data:`~.ground.KINDS`.

    Raises:
        TaskError: an aim or a texture is unknown, or the factor or the sway is not a finite number of at least 0.
    """

    version = 3
    duration_s = 16.0
    #: The last round is kept: successes in 32 episodes of several aims hardly rank good rounds.
    imitation = MappingProxyType({"n_validations": 0})

    def __init__(
        self, robot: Robot, aim: str = "land", wind_factor: float = 1.0, texture: str = "fractal", sway: float = SWAY
    ) -> None:
        for name, value, known in (("aim", aim, AIMS), ("texture", texture, KINDS)):
            if value not in known:
                raise TaskError(f"{robot.source}: {name}: '{value}' is unknown; give {' or '.join(known)}")
        for name, number in (("wind_factor", wind_factor), ("sway", sway)):
            if not (math.isfinite(number) and number >= 0):
                raise TaskError(f"{robot.source}: {name}: {number}; give a finite number of at least 0")
        self._sway = float(sway)
        self._aim, self._wind_factor, self._texture = aim, float(wind_factor), texture
        if aim in ("hover", "velocity"):
            self.duration_s = STAY_S
        super().__init__(robot)

    def load(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """The scene, what the vehicle weighs, and where its parts are."""
        model, data = super().load()
        self._body = model.body("quadrotor").id
        self._weight = float(model.body_mass[self._body] * -model.opt.gravity[2])
        self._ground, self._image = model.geom("ground").id, model.texture("ground").id
        self._feet = [i for i in range(model.ngeom) if model.geom(i).name.endswith("_foot")]
        self._wind_steps = round(WIND_PERIOD_S / model.opt.timestep)
        return model, data

    def reset(self, seed: int, variation: Variation = NOMINAL) -> None:
        """Begin the episode of a seed; see :meth:`.task.ControlTask.reset`."""
        self._touched_at: tuple[float, float, float] | None = None
        self._begin(variation)
        self._seed, self._drag = seed, DRAG * variation.friction
        rng = np.random.default_rng(seed)
        lift = rng.uniform(1 - LIFT, 1 + LIFT)
        self.model.actuator_gainprm[:, 0] *= lift
        self._wind = self._wind_factor * wind(rng, self.duration_s)
        slope, towards = rng.uniform(0, SLOPE), rng.uniform(-math.pi, math.pi)
        self._normal = np.array(
            [math.sin(slope) * math.cos(towards), math.sin(slope) * math.sin(towards), math.cos(slope)]
        )
        mujoco.mju_quatZ2Vec(self.model.geom_quat[self._ground], self._normal)
        roll, pitch = rng.uniform(-START_LEAN, START_LEAN, 2)
        data = self.data
        data.qpos[:3] = 0, 0, rng.uniform(*START_HEIGHT)
        mujoco.mju_euler2Quat(data.qpos[3:7], np.array([rng.uniform(-math.pi, math.pi), pitch, roll]), "zyx")
        data.qvel[:3] = rng.uniform(-1, 1, 3) * (START_VELOCITY, START_VELOCITY, START_CLIMB)
        data.act[:] = self._weight / 4  # lags hold commands, not thrusts
        self._bias = rng.standard_normal(5) * (LEAN_BIAS, LEAN_BIAS, RATE_BIAS, RATE_BIAS, RATE_BIAS)
        n_loops = math.ceil(self.duration_s / self.model.opt.timestep / LOOP_STEPS) + 1
        self._noise = RATE_NOISE * rng.standard_normal((n_loops, 3))
        self._threshold = rng.uniform(1 - THRESHOLD, 1 + THRESHOLD)
        mujoco.mj_forward(self.model, data)
        self._sensed = np.concatenate([self.attitude()[:2], data.qvel[3:]]) + self._bias
        self._setpoints = [s.default for s in self.robot.setpoints]
        asked = np.random.default_rng([seed, 11])
        self.aim = AIMS[int(asked.choice(3, p=SHARES))] if self._aim == "mixed" else self._aim
        self._legs = asked.uniform(-FOLLOWED, FOLLOWED, (math.ceil(self.duration_s / LEG_S), 2))
        if self.aim != "land":
            self.give_setpoint("descent", 0.0)
        self._leg, self._point = -1, np.zeros(2)
        self._ask()
        # Square of the velocity's error times time, all and where it counts [m^2/s], and that time [s]
        self._missed_m2_s = self._late_m2_s = self._late_s = 0.0

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self._touched_at is not None or super().over

    @property
    def success(self) -> bool:
        """Whether it has touched the ground gently and upright; or has held its velocity."""
        if self.aim != "land":
            return self.over and not self.failed and self._late_m2_s < STEADY**2 * self._late_s
        return self._touched_at is not None and not self.failed

    @property
    def touch(self) -> tuple[float, float, float] | None:
        """Vertical and horizontal speed [m/s] and lean [rad] at which it touched the ground, once it has."""
        return self._touched_at

    def figures(self) -> dict[str, float | bool]:
        """Speeds of a landing [m/s] and whether they are soft, or errors of the velocity held, rms [m/s]; and how far
        it has drifted from its point [m].
        """
        drift = math.hypot(*(self.data.qpos[:2] - self._point).tolist())
        if self.aim == "land":
            vertical, horizontal, _ = self._touched_at or self.motion()
            soft = self.success and max(vertical, horizontal) < SOFT
            return {"soft": soft, "vertical, m/s": vertical, "horizontal, m/s": horizontal,
                    "drift, m": drift}  # fmt: skip
        whole = math.sqrt(self._missed_m2_s / max(self.elapsed_s, 1e-9))
        settled = math.sqrt(self._late_m2_s / self._late_s) if self._late_s else whole
        return {"velocity error, m/s": whole, "once settled, m/s": settled, "drift, m": drift}

    def motion(self) -> tuple[float, float, float]:
        """Vertical and horizontal speed [m/s] and lean [rad] at present."""
        v_x, v_y, v_z = self.data.qvel[:3].tolist()
        roll, pitch, _ = self.attitude()
        return abs(v_z), math.hypot(v_x, v_y), math.acos(min(max(math.cos(roll) * math.cos(pitch), -1.0), 1.0))

    def attitude(self) -> tuple[float, float, float]:
        """Roll, pitch and yaw [rad], turned in the order yaw, pitch, roll."""
        return attitude(self.data.qpos[3:7])

    def height(self) -> float:
        """Distance from the camera's place straight down to the ground [m]."""
        return float(self._normal @ self.data.qpos[:3] / self._normal[2])

    def observe(self) -> np.ndarray:
        """Roll, pitch and rates as the IMU has them, and the setpoints."""
        return np.concatenate([self._sensed, self._setpoints])

    def truth(self) -> np.ndarray:
        """Height, velocity, attitude, wind, lift; divergence and velocity to be held, where the point to be followed is
        from the vehicle, and bias of roll and pitch; float64 ``(18,)``, see :meth:`.expert.LandingLaw.step`.
        """
        data, lift = self.data, self.model.actuator_gainprm[0, 0]
        return np.concatenate([
            [self.height()], data.qvel[:3], self.attitude(), self._wind_now(), [lift, self._setpoints[0]],
            self._velocity_asked(), self._point - data.qpos[:2], self._bias[:2],
        ])  # fmt: skip

    def _ask(self) -> None:
        """Give the setpoints of a leg as it begins."""
        leg = int((self.elapsed_s + 1e-9) / LEG_S)
        if self.aim == "velocity" and self._leg < leg < len(self._legs):
            self._leg = leg
            for name, value in zip(("forward", "left"), self._legs[leg].tolist(), strict=True):
                self.give_setpoint(name, value)

    def _velocity_asked(self) -> np.ndarray:
        """Horizontal velocity to be held, in the world, ``(2,)`` [m/s]."""
        forward, left = self._setpoints[1:]
        _, _, yaw = self.attitude()
        speed, most = math.hypot(forward, left), MOST_FLOW * max(self.height(), 0.0)
        if speed > most:
            forward, left = forward * most / speed, left * most / speed
        return np.array([
            math.cos(yaw) * forward - math.sin(yaw) * left, math.sin(yaw) * forward + math.cos(yaw) * left,
        ])  # fmt: skip

    def _wind_now(self) -> np.ndarray:
        return self._wind[min(self._steps // self._wind_steps, len(self._wind) - 1)]

    def advance(self, command: np.ndarray, duration_s: float) -> None:
        """Hold a thrust and a lean; see :meth:`.task.ControlTask.advance`."""
        model, data = self.model, self.data
        n_steps, done = self._whole_steps(duration_s), 0
        self._ask()
        asked, command = self._velocity_asked(), self.bounded(command)
        force, swaying = data.xfrc_applied[self._body], command.copy()
        while done < n_steps and self._touched_at is None:
            turn, loop = self._steps % LOOP_STEPS == 0, min(self._steps // LOOP_STEPS, len(self._noise) - 1)
            phase = 2 * math.pi * SWAY_HZ * self._steps * model.opt.timestep
            swaying[1] = command[1] + self._sway * math.cos(phase)
            swaying[2] = command[2] + self._sway * math.sin(phase)
            drive(
                swaying, self._weight, data.qpos[3:7], data.qvel, self._noise[loop], self._bias, self._sensed,
                self._wind_now(), self._drag, turn, data.ctrl, force,
            )  # fmt: skip
            mujoco.mj_step(model, data)
            self._steps += 1
            done += 1
            if (data.geom_xpos[self._feet] @ self._normal).min() < FOOT:
                self._touched_at = self.motion()
        self._judge(done * model.opt.timestep, asked)
        if self._touched_at is not None and done:  # it stands; time goes on to the end of the period
            data.qvel[:] = 0
            mujoco.mj_forward(model, data)
        self._steps += n_steps - done

    def _judge(self, passed_s: float, asked: np.ndarray) -> None:
        self.reward = 0.0
        if not passed_s:  # it has touched the ground earlier in the period
            return
        x, y, _ = self.data.qpos[:3].tolist()
        vertical, horizontal, lean = self.motion()
        touched = self._touched_at is not None
        # "not (a and b)" so that a state that is not finite counts as a crash
        self.failed = not (max(abs(x), abs(y)) <= RANGE and self.height() <= CEILING and lean <= CRASH_LEAN)
        self._point += asked * passed_s
        if self.aim != "land":
            self.failed |= touched
            missed = math.hypot(vertical, *(self.data.qvel[:2] - asked).tolist())
            if self.aim == "hover":
                late_s = min(passed_s, max(0.0, self.elapsed_s - (self.duration_s - HOLDING_S)))
            else:
                late_s = passed_s if (self.elapsed_s - 1e-9) % LEG_S > LEG_S - SETTLED_S else 0.0
            self._missed_m2_s += missed**2 * passed_s
            self._late_m2_s += missed**2 * late_s
            self._late_s += late_s
            self.reward = math.exp(-missed / STEADY) * passed_s
        elif touched:
            self.failed |= not (max(vertical, horizontal) < GENTLE and lean < UPRIGHT)
            self.reward = max(0.0, 1 - max(vertical, horizontal) / GENTLE)

    def expert(self) -> StateExpert:
        """A law that knows height, velocity, wind and the true vehicle."""
        return StateExpert(_law)

    # the event camera

    def camera_model(self, camera: Camera) -> EventCameraModel:
        """The camera with the episode's thresholds."""
        model = camera.event_camera()
        return replace(model, contrast_threshold=model.contrast_threshold * self._threshold)

    def dress(self, renderer: Any) -> None:
        """Upload the ground of the episode."""
        first = int(self.model.tex_adr[self._image])
        grey = ground_texture(self._seed, self._texture).ravel()
        self.model.tex_data[first : first + 3 * SIZE * SIZE] = np.repeat(grey, 3)
        renderer.upload_texture(self._image)

    def pictures(self, camera: Camera) -> GroundPictures:
        """The ground without the renderer, which gives nearly the same in a tenth of the time."""
        model, name = self.model, camera.mujoco or camera.name
        eye = model.camera(name)
        rotation, plane = np.empty(9), np.empty(9)
        mujoco.mju_quat2Mat(rotation, eye.quat)
        mujoco.mju_quat2Mat(plane, model.geom_quat[self._ground])
        return GroundPictures(
            ground_texture(self._seed, self._texture), camera.width, camera.height, math.radians(eye.fovy[0]), eye.pos,
            rotation.reshape(3, 3), plane.reshape(3, 3),
        )  # fmt: skip

    def before_picture(self) -> None:
        """Bring bodies and the camera to where the joints are."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)


def _law(task: Landing) -> LandingLaw:
    return LandingLaw(
        mass=float(task.model.body_mass[task._body]), drag=DRAG * task.variation.friction, nominal_weight=task._weight,
        limits=task.command_limits, gravity=float(-task.model.opt.gravity[2]),
    )  # fmt: skip
