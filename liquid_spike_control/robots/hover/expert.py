# SPDX-License-Identifier: Apache-2.0
"""A quadrotor's rate loop, which belongs to the vehicle, and the expert that holds it in place in wind.

The rate loop turns a collective thrust T and rates of the body into the thrusts of four rotors at (x_i, y_i) with drag
torques s_i c f_i, as any flight controller does (Mahony, Kumar and Corke, "Multirotor aerial vehicles", IEEE Robotics
and Automation Magazine 2012):

    tau = J k (w_set - w)                                                   torque on the body
    f_i = T / 4 + y_i tau_x / (4 a^2) - x_i tau_y / (4 a^2) + s_i tau_z / (4 c)

The expert asks for the force that an oscillator about the setpoint and the wind need, and leans into it:

    F = m (g e_z - p / t^2 - 2 d v / t) - D (wind - v)                      t, d: time constant, damping ratio
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

#: Half the distance between neighbouring rotors, a [m], and drag torque for thrust, c [m]; as in scene.xml.
ARM, DRAG_TORQUE = 0.09, 0.016
#: Moments of inertia [kg m^2] and gain of the rate loop [1/s], about roll, pitch and yaw.
INERTIA = (0.0025, 0.0025, 0.0045)
RATE_GAIN = (14.0, 14.0, 6.0)
#: Greatest torque about the vertical, so that yaw leaves the rotors to roll and pitch [N m].
YAW_TORQUE = 0.03
#: Time constant [s] and damping ratio of the expert's approach; gains of its attitude and heading loops [1/s].
APPROACH_S, DAMPING = 0.5, 0.9
ATTITUDE_GAIN, HEADING_GAIN = 7.0, 2.0
#: The expert leans no further [rad].
LEAN = 0.5


@njit(cache=True)
def rotor_thrusts(thrust, rate_setpoint, rates, rotors):  # noqa: D103  see the module
    torque = np.empty(3)
    for axis in range(3):
        torque[axis] = INERTIA[axis] * RATE_GAIN[axis] * (rate_setpoint[axis] - rates[axis])
    roll = torque[0] / (4 * ARM)
    pitch = torque[1] / (4 * ARM)
    yaw = min(max(torque[2], -YAW_TORQUE), YAW_TORQUE) / (4 * DRAG_TORQUE)
    rotors[0] = thrust / 4 + roll - pitch - yaw  # front left
    rotors[1] = thrust / 4 + roll + pitch + yaw  # rear left
    rotors[2] = thrust / 4 - roll + pitch - yaw  # rear right
    rotors[3] = thrust / 4 - roll - pitch + yaw  # front right


@dataclass(frozen=True, slots=True)
class HoverLaw:
    """The expert's command for a state, without memory.

    Attributes:
        mass: of the vehicle [kg].
        drag: D [N s/m].
        nominal_weight: thrust of the neutral command [N].
        limits: greatest magnitude of each command, ``(4,)``.
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
            state: ``(16,)``: position from the setpoint [m] and velocity [m/s] in the world, roll, pitch and yaw [rad],
                rates of the body [rad/s], wind [m/s], thrust that the rotors give for the thrust commanded.

        Returns:
            ``(4,)``: thrust above the nominal weight [N], rates of roll, pitch and yaw [rad/s].
        """
        position, velocity, (roll, pitch, yaw), wind = state[:3], state[3:6], state[6:9].tolist(), state[12:15]
        acceleration = -position / APPROACH_S**2 - 2 * DAMPING / APPROACH_S * velocity
        x, y, z = (self.mass * acceleration - self.drag * (wind - velocity)).tolist()
        z = max(z + self.mass * self.gravity, 0.3 * self.mass * self.gravity)
        forward, left = math.cos(yaw) * x + math.sin(yaw) * y, math.cos(yaw) * y - math.sin(yaw) * x
        to_roll = min(max(math.atan2(-left, math.hypot(forward, z)), -LEAN), LEAN)
        to_pitch = min(max(math.atan2(forward, z), -LEAN), LEAN)
        lift = z / max(math.cos(roll) * math.cos(pitch), 0.5)
        command = (
            lift / state[15] - self.nominal_weight,
            ATTITUDE_GAIN * (to_roll - roll), ATTITUDE_GAIN * (to_pitch - pitch), -HEADING_GAIN * yaw,
        )  # fmt: skip
        return np.clip(command, -self.limits, self.limits)
