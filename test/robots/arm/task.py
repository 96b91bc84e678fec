# SPDX-License-Identifier: Apache-2.0
import numpy as np

from liquid_spike_control.tasks.mujoco_task import MujocoTask


class Follow(MujocoTask):
    """The tip of the arm follows a ball on a circle."""

    duration_s = 4.0

    def begin(self, rng):
        self.phase, self.turn = rng.uniform(-np.pi, np.pi), rng.choice([-1.0, 1.0]) * rng.uniform(1.0, 2.0)
        self.data.qpos[:] = rng.uniform(-0.5, 0.5, 2)
        self.before_step()

    def before_step(self):
        angle = self.phase + self.turn * self.elapsed_s
        self.data.mocap_pos[0] = 0.3 * np.cos(angle), 0.3 * np.sin(angle), 0.05

    def judge(self, passed_s):
        self.distance = float(np.hypot(*(self.data.site("tip").xpos - self.data.mocap_pos[0])[:2]))
        self.reward = float(np.exp(-self.distance / 0.1)) * passed_s

    @property
    def success(self):
        return self.over and self.distance < 0.1

    def truth(self):
        return np.concatenate([self.data.qpos, self.data.qvel, self.data.mocap_pos[0, :2]])

    def law(self, state):
        q, rates, (x, y) = state[:2], state[2:4], state[4:]
        bend = np.arccos(np.clip((x * x + y * y - 0.25**2 - 0.2**2) / (2 * 0.25 * 0.2), -1, 1))
        turn = np.arctan2(y, x) - np.arctan2(0.2 * np.sin(bend), 0.25 + 0.2 * np.cos(bend))
        error = np.array([(turn - q[0] + np.pi) % (2 * np.pi) - np.pi, bend - q[1]])
        return np.array([2.0, 1.0]) * error - np.array([0.25, 0.08]) * rates
