# SPDX-License-Identifier: Apache-2.0
import numpy as np

from liquid_spike_control.tasks.mujoco_task import MujocoTask


class Keep(MujocoTask):
    """The car stays within 0.3 m of the middle of its lane."""

    duration_s = 4.0

    def begin(self, rng):
        self.data.qpos[1:3] = rng.uniform(-0.1, 0.1, 2)

    def judge(self, passed_s):
        self.failed = not abs(self.data.qpos[1]) < 0.3
        self.reward = (1 - abs(float(self.data.qpos[1])) / 0.3) * passed_s

    def law(self, state):
        (_, y, yaw), (speed, _, rate) = state[:3], state[3:]
        forward, turn = 2.0 * (0.4 - speed) + 0.2, -2.0 * y - 1.5 * yaw - 0.4 * rate
        return np.array([forward - turn, forward + turn])
