# SPDX-License-Identifier: Apache-2.0
"""A quadrotor's attitude loop, which belongs to the vehicle, and the expert that lands it.

The attitude loop turns a thrust and a lean into rates and these into thrusts of rotors (:mod:`..hover.expert`). The
expert knows position, velocity, wind, what the rotors give and how the attitude filter is off. It follows a point p
that moves with the horizontal velocity that is asked for, from where the episode begins, and descends at the divergence
D that is asked for, which makes the distance to the ground fall exponentially (van Breugel, Morgansen and Dickinson
2014):

    F = m (g e_z + k_v (dp/dt - v)_xy + k_p (p - x)_xy + (k_z (-D h - v_z) - D v_z) e_z) - drag (wind - v)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from ..hover.expert import rotor_thrusts

#: Gain of the attitude loop [1/s], and that on the rate about the vertical, which is kept at 0.
ATTITUDE_GAIN = 8.0
#: The attitude loop runs every so many physics steps: 500 Hz.
LOOP_STEPS = 2
#: The velocity asked for counts up to so much of the height [1/s], so that it is gentle where it touches the ground.
MOST_FLOW = 0.5
#: Gains of the expert on horizontal and vertical velocity [1/s], and on the way back to its point [1/s^2].
BRAKING, CLIMBING, RETURN = 1.8, 3.0, 0.7


@njit(cache=True)
def attitude(quaternion):  # noqa: D103  roll, pitch and yaw, turned in the order yaw, pitch, roll
    w, x, y, z = quaternion[0], quaternion[1], quaternion[2], quaternion[3]
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    pitch = math.asin(min(max(2 * (w * y - z * x), -1.0), 1.0))
    return roll, pitch, math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


@njit(cache=True)
def drive(command, weight, quaternion, velocity, noise, bias, sensed, wind, drag, turn, rotors, force):
    """One physics step of the vehicle: its IMU and attitude loop where ``turn`` says so, and the wind.

    Args:
        command: thrust above the weight [N], roll and pitch [rad].
        weight: thrust of the neutral command [N].
        quaternion, velocity: of the free joint.
        noise: of the gyroscope in this step, ``(3,)`` [rad/s].
        bias: of roll and pitch [rad] and of the gyroscope [rad/s], ``(5,)``.
        sensed: roll, pitch and rates as the IMU has them, ``(5,)``; overwritten.
        wind: ``(3,)`` [m/s].
        drag: [N s/m].
        turn: whether the attitude loop runs now.
        rotors: thrusts, overwritten.
        force: on the body, overwritten ``(3,)`` [N].
    """
    if turn:
        roll, pitch, _ = attitude(quaternion)
        sensed[0], sensed[1] = roll + bias[0], pitch + bias[1]
        for axis in range(3):
            sensed[2 + axis] = velocity[3 + axis] + bias[2 + axis] + noise[axis]
        rates = np.zeros(3)
        rates[0] = ATTITUDE_GAIN * (command[1] - sensed[0])
        rates[1] = ATTITUDE_GAIN * (command[2] - sensed[1])
        rotor_thrusts(weight + command[0], rates, sensed[2:], rotors)
    for axis in range(3):
        force[axis] = drag * (wind[axis] - velocity[axis])


@dataclass(frozen=True, slots=True)
class LandingLaw:
    """The expert's command for a state, without memory.

    Attributes:
        mass: of the vehicle [kg].
        drag: [N s/m].
        nominal_weight: thrust of the neutral command [N].
        limits: greatest magnitude of each command, ``(3,)``.
        gravity: [m/s^2].
    """

    mass: float
    drag: float
    nominal_weight: float
    limits: np.ndarray
    gravity: float

    def step(self, state: np.ndarray) -> np.ndarray:
        """The command of a state.

        Args:
            state: ``(18,)``: distance to the ground below [m], velocity in the world [m/s], roll, pitch and yaw [rad],
                wind [m/s], thrust that the rotors give for the thrust commanded, the divergence to be held [1/s], and
                horizontally in the world the velocity to be held [m/s] and the point's place from the vehicle [m]; bias
                of roll and pitch [rad].

        Returns:
            ``(3,)``: thrust above the nominal weight [N], roll and pitch [rad].
        """
        height, v_z, (roll, pitch, yaw) = state[0], float(state[3]), state[4:7].tolist()
        wind, lift, descent = state[7:10], state[10], state[11]
        push = BRAKING * (state[12:14] - state[1:3]) + RETURN * state[14:16]
        brake = self.mass * push - self.drag * (wind[:2] - state[1:3])
        climb = CLIMBING * (-descent * height - v_z) - descent * v_z  # the speed to be held falls as the height does
        x, y = brake.tolist()
        z = self.mass * (self.gravity + climb) - self.drag * (wind[2] - v_z)
        z = max(z, 0.3 * self.mass * self.gravity)
        forward, left = math.cos(yaw) * x + math.sin(yaw) * y, math.cos(yaw) * y - math.sin(yaw) * x
        command = (
            z / max(math.cos(roll) * math.cos(pitch), 0.5) / lift - self.nominal_weight,
            math.atan2(-left, math.hypot(forward, z)) + state[16], math.atan2(forward, z) + state[17],
        )  # fmt: skip
        return np.clip(command, -self.limits, self.limits)
