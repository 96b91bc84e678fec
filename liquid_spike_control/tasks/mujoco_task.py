# SPDX-License-Identifier: Apache-2.0
"""A robot's scene as a task: MuJoCo's physics, the readings and commands that the description places, no aim.

A task of its own is a subclass that overrides what it needs::

    class Reach(MujocoTask):
        def begin(self, rng):                       # the state at the beginning of an episode
            self.data.qpos[:2] = rng.uniform(-1, 1, 2)

        def judge(self, passed_s):                  # after each advance
            self.reward = -self.distance() * passed_s

        @property
        def success(self):
            return self.over and self.distance() < 0.02

        def law(self, state):                       # the expert, on the true state
            return self.target_angles() - state[:2]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import mujoco
import numpy as np

from ..errors import RobotError, TaskError
from ..events.camera import EventCameraModel
from ..robot import Camera, Robot, names, scales, units
from ..sim.places import Places
from .task import Expert, StateExpert, bounded
from .variation import NOMINAL, Variation, VariedModel

#: What of MuJoCo's state moves the things in a picture.
POSE = mujoco.mjtState.mjSTATE_QPOS | mujoco.mjtState.mjSTATE_MOCAP_POS | mujoco.mjtState.mjSTATE_MOCAP_QUAT


class MujocoTask:
    """A robot in its scene; see :class:`~.task.ControlTask`.

    Args:
        robot: whose scene.
        bodies: that vary, see :class:`~.variation.VariedModel`.

    Attributes:
        robot: as given.
        model: of MuJoCo, varied.
        data: its state.
        failed: the robot has got where it must not be, and the episode is over.
        blind: the event cameras give no events at present.

    Raises:
        RobotError: the scene is missing, not MJCF, or lacks what the description names.
    """

    version = 1
    variable: tuple[str, ...] = ("mass", "friction", "actuator")
    duration_s: float = 10.0
    #: The events of a picture do not reach the robot while this holds.
    blind: bool = False
    #: Distance covered since the reset [m], by which benchmarks count failures; None where it says nothing.
    covered_m: float | None = None
    #: Where the robot is, seen from above, ``(2,)`` [m], for pictures of its way; None where it does not travel.
    place_m: np.ndarray | None = None
    #: Its episodes bring faults of sensing and timing of their own, so that none are added in comparisons, except to
    #: the contrast thresholds of its cameras.
    own_faults: bool = False
    #: How imitation of its expert differs from other tasks': fields of :class:`~..training.dagger.DaggerTraining`.
    imitation: Mapping[str, Any] = MappingProxyType({})
    #: How often the task renders nothing of its own: names of faster pictures, see :meth:`pictures`.
    model: Any
    data: Any

    def __init__(self, robot: Robot, bodies: Sequence[str] = ()) -> None:
        self.robot = robot
        self.name = robot.name
        self.model, self.data = self.load()
        self.observation_names, self.observation_units = names(robot.seen), units(robot.seen)
        self.observation_scales = scales(robot.seen)
        self.command_names, self.command_units = names(robot.commands), units(robot.commands)
        self.command_limits = robot.greatest_commands
        self.least = np.array([command.least for command in robot.commands])
        self.most = np.array([command.most for command in robot.commands])
        self.period_s = robot.period_s
        self._setpoints = [setpoint.default for setpoint in robot.setpoints]
        self.places = Places(robot, self.model, self.data)
        self._varied = VariedModel(self.model, bodies)
        self._check_steps()
        self.reset(0)

    def _check_steps(self) -> None:
        step_s = self.model.opt.timestep
        for field, time_s in (("period_s", self.period_s), *((f"cameras ({c.name}).frame_s", c.frame_s)
                              for c in self.robot.cameras)):  # fmt: skip
            steps = time_s / step_s
            if not 0.5 < steps < 1e9 or abs(steps - round(steps)) > 1e-6:
                remedy = f"give a whole multiple of the scene's timestep, {step_s} s"
                raise RobotError(f"{self.robot.source}: {field}: {time_s}; {remedy}")

    @property
    def data_files(self) -> tuple[Path, ...]:
        """Files that decide an episode, for the keys of results: the scene. The description of a robot outside this
        package counts there anyway, that of one of this package has a version.
        """
        return (self.robot.file(self.robot.scene),) if self.robot.scene else ()

    # what a task overrides

    def reinforcement(self) -> np.ndarray:
        """Reward of the present state for each command, float64 ``(m,)``, -1 .. 1: positive where the command should be
        larger; NaN for commands that are not judged. For learning by reward.

        Raises:
            RobotError: the task has none.
        """
        raise RobotError(f"{self.robot.source}: task: gives no reward; add a method reinforcement() to it")

    def steering(self) -> Callable[[np.ndarray, float], np.ndarray]:
        """What the commands steer against, for networks that adapt while they control.

        Made anew for each episode, it gives the error ``(m,)`` of the commands for an observation ``(n,)``, ``dt``
        seconds after the one before: 1 where it is large, positive where the command should be greater.

        Raises:
            RobotError: the task does not say.
        """
        raise RobotError(f"{self.robot.source}: task: does not say what its commands steer against; "
                         "add a method steering() to it")  # fmt: skip

    def load(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """The model of the robot's scene, and its data.

        Raises:
            RobotError: there is no scene, or it is not MJCF.
        """
        model = load_scene(self.robot)
        return model, mujoco.MjData(model)

    def begin(self, rng: np.random.Generator) -> None:
        """Set the state at the beginning of an episode; by default the scene's first keyframe, if it has one."""
        if self.model.nkey:
            mujoco.mj_resetDataKeyframe(self.model, self.data, 0)

    def before_step(self) -> None:
        """Act before each physics step: disturbances, motors' lags; by default nothing."""

    def judge(self, passed_s: float) -> None:
        """Set :attr:`failed` and :attr:`reward` after an advance of ``passed_s``; by default neither."""

    def law(self, state: np.ndarray) -> np.ndarray:
        """The expert's command ``(m,)`` for a true state; see :meth:`truth`.

        Raises:
            RobotError: the task has no expert, by default.
        """
        raise RobotError(f"{self.robot.source}: task: no expert; give the task a method law(state), to learn from")

    # what the core calls

    def reset(self, seed: int, variation: Variation = NOMINAL) -> None:
        """Begin the episode of a seed; see :meth:`.task.ControlTask.reset`."""
        self._begin(variation)
        self.begin(np.random.default_rng(seed))
        mujoco.mj_forward(self.model, self.data)

    def set_duration(self, duration_s: float) -> None:
        """Let episodes last so long [s], from the next reset on."""
        self.duration_s = duration_s

    def _begin(self, variation: Variation) -> None:
        """A varied plant at rest, at the beginning of an episode.

        Raises:
            TaskError: the variation does not apply to this plant.
        """
        variation.check_applies(self.name, self.variable)
        self.variation = variation
        self._varied.apply(variation, self.data)
        mujoco.mj_resetData(self.model, self.data)
        self._steps = 0
        self.failed = False
        self.reward = 0.0

    def vary(self, variation: Variation) -> None:
        """Change the plant within an episode; see :meth:`.task.ControlTask.vary`."""
        variation.check_applies(self.name, self.variable)
        self._varied.change(self.variation, variation)
        self.variation = variation

    def observe(self) -> np.ndarray:
        """Readings and setpoints, float64 ``(n,)``; NaN where only a camera knows."""
        return np.concatenate([self.places.read(), self._setpoints])

    def truth(self) -> np.ndarray:
        """Positions and velocities of all joints, float64 ``(nq + nv,)``."""
        return np.concatenate([self.data.qpos, self.data.qvel])

    def estimates(self) -> np.ndarray:
        """The true values of the robot's estimates, float64 ``(n,)``."""
        return self.places.truth()

    def bounded(self, command: np.ndarray) -> np.ndarray:
        """A command within the robot's limits, neutral where it is not finite; float64 ``(m,)``."""
        return bounded(command, self.least, self.most)

    def advance(self, command: np.ndarray, duration_s: float) -> None:
        """Hold a command; see :meth:`.task.ControlTask.advance`."""
        n_steps = self._whole_steps(duration_s)
        self.places.apply(self.bounded(command))
        if type(self).before_step is MujocoTask.before_step:
            mujoco.mj_step(self.model, self.data, n_steps)
            self._steps += n_steps
        else:
            for _ in range(n_steps):
                self.before_step()
                mujoco.mj_step(self.model, self.data)
                self._steps += 1
        self.reward = 0.0
        self.judge(n_steps * self.model.opt.timestep)

    def next_period_s(self) -> float:
        """Length of the control period that begins now [s]; asked once a period."""
        return self.period_s

    def _whole_steps(self, duration_s: float) -> int:
        """Physics steps in a time [s], at least one."""
        return max(1, round(duration_s / self.model.opt.timestep))

    @property
    def elapsed_s(self) -> float:
        """Time since the reset [s]."""
        return self._steps * self.model.opt.timestep

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.failed or self.elapsed_s > self.duration_s - 1e-9

    @property
    def success(self) -> bool:
        """Whether it has come to its end; without an aim, not failing is all."""
        return self.over and not self.failed

    @property
    def kept(self) -> bool:
        """Whether the aim was never lost since it had to be reached; by default :attr:`success`."""
        return self.success

    def figures(self) -> dict[str, float | bool]:
        """What an episode came to beside success, when over, by name with the unit, e.g. ``"drift, m"``; of numbers a
        benchmark shows median and 95th percentile, of what is true or false the share of episodes.
        """
        return {}

    def expert(self) -> Expert:
        """The expert: :meth:`law` on the true state."""
        return StateExpert(_OwnLaw)

    # event cameras

    def camera_model(self, camera: Camera) -> EventCameraModel:
        """The camera in the present episode; by default as described."""
        return camera.event_camera()

    def dress(self, renderer: Any) -> None:
        """Bring what an episode changes in textures to a renderer; by default nothing changes."""

    def before_picture(self) -> None:
        """Bring what is drawn to where the joints are, before each picture.

        MuJoCo leaves bodies where they were at the beginning of the last step; that is what is drawn by default.
        """

    def pictures(self, camera: Camera) -> Any:
        """Something quicker than the renderer, with a method ``render(data)``; None if there is nothing."""
        return None

    # what people do to it

    def push(self, body: str, impulse: Sequence[float]) -> None:
        """Strike a body at its centre of mass.

        Args:
            body: its name in the scene.
            impulse: in the world's frame, 3 numbers [N s].

        Raises:
            TaskError: there is no such body, or the impulse is not finite.
        """
        number = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, body)
        if number < 1 or not np.isfinite(impulse).all():
            known = ", ".join(self.model.body(b).name for b in range(1, self.model.nbody))
            raise TaskError(f"a push of {list(impulse)} N s on '{body}'; give finite numbers, and one of {known}")
        jacobian, change = np.zeros((3, self.model.nv)), np.zeros((1, self.model.nv))
        mujoco.mj_jacBodyCom(self.model, self.data, jacobian, None, number)
        mujoco.mj_solveM(self.model, self.data, change, (jacobian.T @ np.asarray(impulse, float))[None])
        self.data.qvel += change[0]

    def give_setpoint(self, name: str, value: float) -> None:
        """Give a setpoint another value, in its unit.

        Raises:
            TaskError: there is no such setpoint, or the value is not finite.
        """
        known = names(self.robot.setpoints)
        if name not in known or not np.isfinite(value):
            remedy = f"give a finite number, and one of {', '.join(known) or 'none'}"
            raise TaskError(f"setpoint '{name}' = {value}; {remedy}")
        self._setpoints[known.index(name)] = float(value)

    # what is shown to people

    def pose(self) -> np.ndarray:
        """What a picture of the scene needs beside the episode's seed, float64 ``(1 + nq + 7 nmocap,)``: time since the
        reset [s], joint positions, and positions and quaternions of mocap bodies.
        """
        pose = np.empty(1 + mujoco.mj_stateSize(self.model, POSE))
        pose[0] = self.elapsed_s
        mujoco.mj_getState(self.model, self.data, pose[1:], POSE)
        return pose

    def take_pose(self, pose: np.ndarray) -> None:
        """Bring the scene to a pose of the same episode, for a picture; the physics does not go on from there.

        Args:
            pose: see :meth:`pose`.

        Raises:
            TaskError: it is of another scene.
        """
        if pose.shape != (1 + mujoco.mj_stateSize(self.model, POSE),) or not np.isfinite(pose).all():
            raise TaskError(f"a pose of {pose.size} numbers is not of the scene of '{self.name}'; give the run's robot")
        self._steps = round(pose[0] / self.model.opt.timestep)
        mujoco.mj_setState(self.model, self.data, pose[1:], POSE)
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
        self.before_picture()


class _OwnLaw:
    """A task's own :meth:`MujocoTask.law` as a law."""

    def __init__(self, task: MujocoTask) -> None:
        self._task = task

    def step(self, state: np.ndarray) -> np.ndarray:
        """Command ``(m,)`` for a true state."""
        return np.asarray(self._task.law(state), float)


def load_scene(robot: Robot) -> mujoco.MjModel:
    """The model of a robot's scene.

    Raises:
        RobotError: there is no scene, or it is not MJCF.
    """
    if robot.scene is None:
        raise RobotError(f"{robot.source}: scene: not set; give the MJCF file of its simulation")
    path = robot.file(robot.scene)
    if not path.is_file():
        raise RobotError(f"{robot.source}: scene: {path} is not there; give an MJCF file in the robot's folder")
    try:
        return mujoco.MjModel.from_xml_path(str(path))
    except ValueError as error:
        raise RobotError(f"{robot.source}: scene: {path}: {' '.join(str(error).split())[:200]}; correct it") from None
