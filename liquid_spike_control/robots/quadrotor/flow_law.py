# SPDX-License-Identifier: Apache-2.0
"""A hand-made controller on flow and divergence, by the velocity and the height of a Kalman filter.

A force changes the flow by itself over the height, so that fixed gains on the flow are too slow high up and unstable
near the ground (de Croon, Monocular distance estimation with optical flow maneuvers and efference copies, 2016).
:mod:`.flow_observer` finds the height, the velocity and the acceleration that wind and rotors add.

The spiking perception shows less of the flow than there is; how much less is measured by the gyroscope
(:mod:`.rotation_gain`). The law follows a point that moves with the velocity asked for, from where the episode begins,
and flies back to it: what the velocity lacks, summed up, is how far it has been driven off before the wind was found.
"""

from __future__ import annotations

import math

import numpy as np

from ...robot import names
from ...tasks.mujoco_task import MujocoTask
from .expert import CLIMBING, MOST_FLOW
from .flow_observer import FlowObserver
from .rotation_gain import RotationGain

#: Gain on horizontal velocity [1/s].
BRAKING = 2.6
#: The point is taken to be at most this far off along each axis [m].
FARTHEST = 1.5
#: The descent is asked for gradually, in this time [s].
RAMP_S = 1.0
#: Below this height [m] the divergence asked for shrinks with the height, to no less than this part, as long as the
#: speed asked for is no less than that at the third height [m]: close to the ground divergence is seen late and too
#: small.
FLARE, LEAST_DESCENT, SLOWEST = 1.0, 0.5, 0.3
#: The gyroscope's bias is its mean less how far the vehicle has turned, over this time; it is 0 for this one [s].
BIAS_S, UNBIASED_S = 10.0, 0.5
#: Time constant of the rotors [s].
ROTORS_S = 0.03


class FlowControl:
    """What controllers by flow and divergence share: what moves, freed of rotation, and what is asked for.

    Args:
        task: the landing; of the vehicle its mass and the gravity are used.

    Attributes:
        observation_names, command_names, nominal_period_s, command_limits: see
            :class:`~...liquid.controller.Controller`.
        further_lag_s: by which the flow follows the true one later than the description says of its estimates [s]; the
            gyroscope's rates are held back to match.
        gauged: whether the flow is divided by its measured gain, see :mod:`.rotation_gain`.
    """

    further_lag_s = 0.0
    gauged = False

    def __init__(self, task: MujocoTask) -> None:
        robot = task.robot
        self.observation_names, self.command_names = names(robot.observations), names(robot.commands)
        self.command_limits, self.nominal_period_s = robot.greatest_commands, robot.period_s
        self._lag_s = max(robot.estimates[0].lag_s + self.further_lag_s, 0.001)  # 0 has no low-pass
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
        self._elapsed_s = 0.0
        self._rates, self._bias = np.zeros(2), GyroscopeBias()
        self._gauge, self._gain = RotationGain(), 1.0

    def _sense(self, observation: np.ndarray, dt: float) -> tuple[float, float, np.ndarray, np.ndarray]:
        """Roll, pitch, setpoints, and what moves: velocities over the height, forward, to the left and downward."""
        seen = observation[self._index].tolist()
        roll, pitch, roll_rate, pitch_rate, descent, forward, left, flow_x, flow_y, divergence = seen
        self._elapsed_s += dt
        descent *= min(1.0, self._elapsed_s / RAMP_S)
        follow = -math.expm1(-dt / self._lag_s)
        rates = np.array([roll_rate, pitch_rate])
        rates -= self._bias.step(rates, np.array([roll, pitch]), dt)
        self._rates += follow * (rates - self._rates)
        flow = np.array([flow_x, flow_y])
        if self.gauged:
            self._gain = self._gauge.step(flow, self._rates, dt)
        across, along = (flow / self._gain - self._rates).tolist()
        return roll, pitch, np.array([forward, left, descent]), np.array([-along, across, divergence])

    @staticmethod
    def _asked(setpoints: np.ndarray, height: float) -> np.ndarray:
        """Velocities over the height that are asked for at a height [1/s]."""
        forward, left, descent = setpoints.tolist()
        least = max(height, math.hypot(forward, left) / MOST_FLOW)
        return np.array([forward / least, left / least, descent])

    def _bounded(self, upright: float, forward: float, left: float, down: float) -> np.ndarray:
        """The command for accelerations [m/s^2], within the limits."""
        command = leaning(self._mass, self._gravity, upright, forward, left, down)
        return np.clip(command, -self.command_limits, self.command_limits)


class FlowLaw(FlowControl):
    """The law; see :class:`FlowControl`.

    Attributes:
        returning: gain on the way back [1/s^2].
        shown: parts of the flow, once it is divided by its measured gain, and of the divergence that are seen.
    """

    returning = 0.8
    gauged = True
    shown = np.array([0.7, 0.7, 1.0])

    def reset(self) -> None:
        """Begin an episode."""
        super().reset()
        self._observer = FlowObserver(self._lag_s, self.shown)
        self._thrust = self._lift = self._gravity
        self._behind = np.zeros(2)  # the point, forward and to the left

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """The command for an observation.

        Args:
            observation: float64 ``(n,)``, readings, setpoints and estimates of ``robot.yaml``.
            dt: since the one before [s].

        Returns:
            ``(3,)``: thrust above the weight [N], roll and pitch [rad].
        """
        roll, pitch, setpoints, moving = self._sense(observation, dt)
        gravity, upright = self._gravity, math.cos(roll) * math.cos(pitch)
        self._lift -= math.expm1(-dt / ROTORS_S) * (self._thrust - self._lift)
        lift = self._lift * upright
        own = np.array([lift * math.tan(pitch), -lift * math.tan(roll), gravity - lift])
        observer = self._observer
        observer.step(moving, own, dt)
        setpoints[2] *= min(1.0, max(observer.height / FLARE, LEAST_DESCENT, SLOWEST / observer.height))
        asked = self._asked(setpoints, observer.height)
        missing = observer.height * asked - observer.velocity
        self._behind = np.clip(self._behind + dt * missing[:2], -FARTHEST, FARTHEST)
        forward, left = BRAKING * missing[:2] + self.returning * self._behind - observer.added[:2]
        down = CLIMBING * missing[2] - asked[2] * observer.velocity[2] - observer.added[2]
        command = self._bounded(upright, forward, left, down)
        self.given(command)
        return command

    def given(self, command: np.ndarray) -> None:
        """Take over that another command ``(3,)`` was given than the last step's."""
        self._thrust = command[0] / self._mass + self._gravity


class TrueFlowLaw(FlowLaw):
    """The law on the true flow."""

    gauged = False
    shown = np.ones(3)


class FrameFlowLaw(TrueFlowLaw):
    """The law on the flow of 60 frames a second: half an interval between them, and half until the next one."""

    further_lag_s = 1 / 60


class FrameFlowLaw30(FrameFlowLaw):
    """The same of 30 frames a second."""

    further_lag_s = 1 / 30


class GyroscopeBias:
    """The bias of rates, from the angles that they add up to: these have an offset, but do not drift."""

    def __init__(self) -> None:
        self._sum, self._time_s = np.zeros(2), 0.0
        self._last: np.ndarray | None = None

    def step(self, rates: np.ndarray, angles: np.ndarray, dt: float) -> np.ndarray:
        """The bias, with a new sample, ``(2,)`` [rad/s].

        Args:
            rates: sensed ones of roll and pitch, ``(2,)`` [rad/s].
            angles: roll and pitch, ``(2,)`` [rad].
            dt: since the one before [s].
        """
        if self._last is not None:
            kept = math.exp(-dt / BIAS_S)
            self._sum = kept * self._sum + dt * rates - (angles - self._last)
            self._time_s = kept * self._time_s + dt
        self._last = angles
        return self._sum / (self._time_s + UNBIASED_S)


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
