# SPDX-License-Identifier: Apache-2.0
"""A hand-made controller on flow and divergence: an observer of the velocity, scheduled by the height that it infers.

A force changes the flow by itself over the height, so that fixed gains on the flow are too slow high up and unstable
near the ground (de Croon, Monocular distance estimation with optical flow maneuvers and efference copies, 2016). The
height is not sensed, but its logarithm falls by the divergence D:

    h(t) = h(0) exp(-integral of D dt),  h(0): the middle of the heights at which episodes begin

Flow and divergence times h measure the velocity v, late and noisily; the vehicle's own lean and thrust give the
acceleration a at once. A Luenberger observer joins them, and finds the acceleration d that wind and rotors add:

    dv/dt = a + d + k_v (h flow - v),  dd/dt = k_d (h flow - v)

The spiking perception shows less of the flow than there is; how much less is measured by the gyroscope
(:mod:`.rotation_gain`). The law follows a point that moves with the velocity asked for, from where the episode begins,
and flies back to it: what the velocity lacks, summed up, is how far it has been driven off before d was found.
"""

from __future__ import annotations

import math

import numpy as np

from ...robot import names
from ...tasks.mujoco_task import MujocoTask
from .expert import CLIMBING, MOST_FLOW
from .rotation_gain import RotationGain

#: Height that is assumed at the beginning, and the range in which it is held [m].
HEIGHT, LOWEST, HIGHEST = 3.0, 0.15, 6.0
#: Gains of the observer on velocity [1/s] and, forward, to the left and downward, on the added acceleration [1/s^2],
#: which is held within +- MOST [m/s^2]: above featureless ground nothing seems to move, and no trim must answer that.
TRUST, TRIM, MOST = 4.0, np.array([4.0, 4.0, 2.0]), np.array([1.5, 1.5, 1.2])
#: Gain on horizontal velocity [1/s]. The gains are the best of nine sets on seeds from 2000 on.
BRAKING = 1.8
#: The point is taken to be at most this far off along each axis [m].
FARTHEST = 1.5
#: The descent is asked for gradually, in this time [s].
RAMP_S = 1.0


class FlowControl:
    """What controllers by flow and divergence share: the flow freed of rotation, the height, and the asked descent.

    Args:
        task: the landing; of the vehicle its mass and the gravity are used.

    Attributes:
        observation_names, command_names, nominal_period_s, command_limits: see
            :class:`~...liquid.controller.Controller`.
        lag_s: time by which the perception's flow follows the true one; the gyroscope's rates are held back to match.
        gauged: whether the flow is divided by its measured gain, see :mod:`.rotation_gain`.
    """

    lag_s = 0.045
    gauged = False

    def __init__(self, task: MujocoTask) -> None:
        robot = task.robot
        self.observation_names, self.command_names = names(robot.observations), names(robot.commands)
        self.command_limits, self.nominal_period_s = robot.greatest_commands, robot.period_s
        self._mass = float(task.model.body_mass[task.model.body("quadrotor").id])
        self._gravity = float(-task.model.opt.gravity[2])
        self._index = [
            self.observation_names.index(name)
            for name in ("roll", "pitch", "roll_rate", "pitch_rate", "descent", "forward", "left",
                         "flow_x", "flow_y", "divergence")
        ]
        self.reset()

    def reset(self) -> None:
        """Begin an episode."""
        self._log_height, self._elapsed_s = math.log(HEIGHT), 0.0
        self._rates = np.zeros(2)
        self._gauge, self._gain = RotationGain(), 1.0

    def _sense(self, observation: np.ndarray, dt: float) -> tuple[float, float, np.ndarray, float, np.ndarray]:
        """Roll, pitch, what is asked for, height, and what moves: velocities over the height.

        They are forward, to the left and downward.
        """
        seen = observation[self._index].tolist()
        roll, pitch, roll_rate, pitch_rate, descent, forward, left, flow_x, flow_y, divergence = seen
        self._elapsed_s += dt
        descent *= min(1.0, self._elapsed_s / RAMP_S)
        self._rates += -math.expm1(-dt / self.lag_s) * (np.array([roll_rate, pitch_rate]) - self._rates)
        self._log_height -= divergence * dt
        self._log_height = min(max(self._log_height, math.log(LOWEST)), math.log(HIGHEST))
        height = math.exp(self._log_height)
        least = max(height, math.hypot(forward, left) / MOST_FLOW)
        asked = np.array([forward / least, left / least, descent])
        flow = np.array([flow_x, flow_y])
        if self.gauged:
            self._gain = self._gauge.step(flow, self._rates, dt)
        across, along = (flow / self._gain - self._rates).tolist()
        return roll, pitch, asked, height, np.array([-along, across, divergence])

    def _bounded(self, upright: float, forward: float, left: float, down: float) -> np.ndarray:
        """The command for accelerations [m/s^2], within the limits."""
        command = leaning(self._mass, self._gravity, upright, forward, left, down)
        return np.clip(command, -self.command_limits, self.command_limits)


class FlowLaw(FlowControl):
    """The observer and its law; see :class:`FlowControl`.

    Attributes:
        returning: gain on the way back [1/s^2].
    """

    returning = 0.6
    gauged = True

    def reset(self) -> None:
        """Begin an episode."""
        super().reset()
        self._lift = self._gravity
        self._velocity, self._added = np.zeros(3), np.zeros(3)  # forward, to the left, downward
        self._behind = np.zeros(2)  # the point, forward and to the left

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """The command for an observation.

        Args:
            observation: float64 ``(n,)``, readings, setpoints and estimates of ``robot.yaml``.
            dt: since the one before [s].

        Returns:
            ``(3,)``: thrust above the weight [N], roll and pitch [rad].
        """
        roll, pitch, asked, height, moving = self._sense(observation, dt)
        gravity, upright = self._gravity, math.cos(roll) * math.cos(pitch)
        measured = height * moving
        own = np.array([gravity * math.tan(pitch), -gravity * math.tan(roll), gravity - self._lift])
        wrong = measured - self._velocity
        self._velocity += dt * (own + self._added + TRUST * wrong)
        self._added = np.clip(self._added + dt * TRIM * wrong, -MOST, MOST)
        missing = height * asked - self._velocity
        self._behind = np.clip(self._behind + dt * missing[:2], -FARTHEST, FARTHEST)
        forward, left = BRAKING * missing[:2] + self.returning * self._behind - self._added[:2]
        down = CLIMBING * missing[2] - asked[2] * self._velocity[2] - self._added[2]
        command = self._bounded(upright, forward, left, down)
        self._lift = (command[0] / self._mass + gravity) * upright
        return command


class TrueFlowLaw(FlowLaw):
    """The law on the true flow, which has no lag."""

    lag_s = 0.001
    returning = 1.0
    gauged = False


class FrameFlowLaw(FlowLaw):
    """The law on the flow of 60 frames a second: half an interval between them, and half until the next one."""

    lag_s = 1 / 60
    returning = 1.0
    gauged = False


class FrameFlowLaw30(FrameFlowLaw):
    """The same of 30 frames a second."""

    lag_s = 1 / 30


def leaning(mass: float, gravity: float, upright: float, forward: float, left: float, down: float) -> np.ndarray:
    """Thrust above the weight [N], roll and pitch [rad] that accelerate a vehicle.

    Args:
        mass: of the vehicle [kg].
        gravity: [m/s^2].
        upright: cosine of its lean.
        forward, left, down: accelerations asked for [m/s^2].
    """
    lift = max(gravity - down, 0.3 * gravity)
    return np.array([
        mass * (lift / max(upright, 0.5) - gravity), math.atan2(-left, math.hypot(forward, lift)),
        math.atan2(forward, lift),
    ])  # fmt: skip
