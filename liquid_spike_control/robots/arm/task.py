# SPDX-License-Identifier: Apache-2.0
"""An arm follows a trajectory while its payload, or one of its motors, changes.

A controller sees angles, rates and where they should be; payload, friction and motors it sees only by what they do.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np

from ...errors import TaskError
from ...robot import Robot
from ...tasks.mujoco_task import MujocoTask
from .trajectory import Trajectory

#: Payloads of an episode lie in 0 .. PAYLOAD [kg].
PAYLOAD = 2.0
#: When something changes [s].
CHANGES_S = (20.0, 40.0)
#: What a weakened motor gives of what it should.
WEAKENED = 0.5
#: A joint that is further from its target than this is lost, and the episode is over [rad].
LOST = 1.0
#: Success is an error below NEAR (root mean square, all joints together) over the last JUDGED_S [rad], [s].
NEAR, JUDGED_S = 0.03, 10.0
#: The expert's stiffness [1/s^2] and damping [1/s].
EXPERT_GAINS = (100.0, 20.0)


class Track(MujocoTask):
    """Follow a trajectory with the arm of ``scene.xml``; see :class:`~.task.ControlTask`.

    Three joints with dry and viscous friction take a torque every 10 ms. The payload of 0 to 2 kg is drawn anew after
    20 and 40 s, or one motor gives half of its torque from 20 s on. The episode ends after 60 s, or when a joint is
    1 rad from its target. It is a success when the tracking error, the root of the mean of the squared distance of all
    joints together, was below 0.03 rad over its last 10 s. The reward is the integral of ``exp(-error / 0.05)``.

    Args:
        robot: the arm.
        change: ``"payload"``, ``"motor"`` (a weakened one, with a payload that stays) or ``"none"``.
        latency_s: between sensing and torque [s], in whole physics steps of 1 ms; no torque acts before the first.

    Attributes:
        payloads: before 20 s, before 40 s, and after [kg]; a payload that stays is the first.
        weak: number of the motor that is weakened.
        error: distance of the joints from the trajectory, all together [rad].

    Raises:
        TaskError: there is no such change, or the latency is no whole number of physics steps.
    """

    version = 2
    duration_s = 60.0
    variable: tuple[str, ...] = ("friction", "actuator")

    def __init__(self, robot: Robot, change: str = "payload", latency_s: float = 0.0) -> None:
        if change not in ("payload", "motor", "none"):
            raise TaskError(f"{robot.source}: settings.change: '{change}'; give payload, motor or none")
        if not 0 <= latency_s <= robot.period_s or abs(1e3 * latency_s - round(1e3 * latency_s)) > 1e-6:
            given = f"{robot.source}: settings.latency_s: {latency_s:g}"
            raise TaskError(f"{given}; give a multiple of 0.001 s, 0 to {robot.period_s:g} s")
        self.change, self._latency_s = change, latency_s
        super().__init__(robot)

    def load(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """The scene, and room for computations on it."""
        model, data = super().load()
        self._body, self._geom = model.body("payload").id, model.geom("payload").id
        self._scratch = mujoco.MjData(model)
        return model, data

    def begin(self, rng: np.random.Generator) -> None:
        """Begin on the trajectory, at its velocity."""
        self.payloads = rng.uniform(0.0, PAYLOAD, 3)
        self.weak = int(rng.integers(3))
        self.trajectory = Trajectory.random(rng)
        self._gains = self.model.actuator_gainprm[:, 0].copy()
        self._stage, self._square_s = -1, 0.0
        self._wanted_at, self._wanted_now = 0, self.trajectory.at(0.0)
        self.error = 0.0
        n_late = round(self._latency_s / self.model.opt.timestep)
        self._on_the_way = [(np.zeros(len(self.command_names)), n_late)] if n_late else []  # torque, for so many steps
        self._enter(0)
        self.data.qpos[:], self.data.qvel[:], _ = self._wanted_now

    def _enter(self, stage: int) -> None:
        """The payload and the motors of a part of the episode."""
        if stage == self._stage:
            return
        self._stage, model = stage, self.model
        mass = float(self.payloads[stage if self.change == "payload" else 0])
        model.body_mass[self._body] = max(mass, 1e-6)
        model.body_inertia[self._body] = 0.4 * max(mass, 1e-6) * model.geom_size[self._geom, 0] ** 2  # of a sphere
        mujoco.mj_setConst(model, self._scratch)
        model.actuator_gainprm[:, 0] = self._gains
        if self.change == "motor" and stage > 0:
            model.actuator_gainprm[self.weak, 0] *= WEAKENED

    def advance(self, command: np.ndarray, duration_s: float) -> None:
        """Hold a command; payload and motors change between two of them. See :meth:`.task.ControlTask.advance`."""
        self._enter(sum(self.elapsed_s > at - 1e-9 for at in CHANGES_S))
        reward, left = 0.0, self._whole_steps(duration_s)
        self._on_the_way.append((np.array(command, float), left))
        while left and not self.failed:
            acts, n_steps = self._on_the_way.pop(0)
            if n_steps > left:
                self._on_the_way.insert(0, (acts, n_steps - left))
                n_steps = left
            super().advance(acts, n_steps * self.model.opt.timestep)
            reward, left = reward + self.reward, left - n_steps
        self.reward = reward

    def observe(self) -> np.ndarray:
        """Angles, rates, and both as they should be, float64 ``(12,)``."""
        wanted, rates, _ = self._wanted()
        return np.concatenate([self.data.qpos, self.data.qvel, wanted, rates])

    def _wanted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the joints should be now."""
        if self._wanted_at != self._steps:
            self._wanted_at, self._wanted_now = self._steps, self.trajectory.at(self.elapsed_s)
        return self._wanted_now

    @property
    def success(self) -> bool:
        """Whether the error was small over the last 10 s."""
        judged_s = self.elapsed_s - max(0.0, self.duration_s - JUDGED_S)
        return self.over and not self.failed and self._square_s < NEAR**2 * judged_s

    def judge(self, passed_s: float) -> None:
        """Reward the joints for being where they should be."""
        a, b, c = (self._wanted()[0] - self.data.qpos).tolist()
        self.failed = not max(abs(a), abs(b), abs(c)) <= LOST  # so that NaN is lost
        self.error = error = math.sqrt(a * a + b * b + c * c)
        late_s = min(passed_s, max(0.0, self.elapsed_s - (self.duration_s - JUDGED_S)))
        self._square_s += error**2 * late_s
        self.reward = math.exp(-error / 0.05) * passed_s

    def law(self, state: np.ndarray) -> np.ndarray:
        """Computed torque (Craig, "Introduction to Robotics", ch. 10) with the true payload, friction and motors."""
        q, rates = state[:3], state[3:]
        wanted, wanted_rates, accelerations = self._wanted()
        stiffness, damping = EXPERT_GAINS
        data = self._scratch
        data.qpos[:], data.qvel[:] = q, rates
        data.qacc[:] = accelerations + stiffness * (wanted - q) + damping * (wanted_rates - rates)
        mujoco.mj_inverse(self.model, data)
        return self.bounded(data.qfrc_inverse / self.model.actuator_gainprm[:, 0])
