# SPDX-License-Identifier: Apache-2.0
"""The state-based tasks as Gymnasium environments."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from liquid_spike_control.errors import TaskError
from liquid_spike_control.robots.swing_up.task import SwingUp
from liquid_spike_control.tasks import environments

IDS = ("LiquidSpike/SwingUp-v0", "LiquidSpike/Hover-v0")


@pytest.mark.parametrize("name", IDS)
@pytest.mark.filterwarnings("ignore:.*A Box observation space (minimum|maximum) value")
def test_passes_the_env_checker(name):
    env = gymnasium.make(name, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.reset(seed=1)
    picture = env.render()
    assert picture.shape == (240, 320, 3) and picture.std() > 5
    env.close()


def test_steps_are_the_tasks():
    env, task = gymnasium.make(IDS[0]), SwingUp()
    observation, _ = env.reset(seed=9)
    task.reset(9)
    for k in range(1000):
        np.testing.assert_array_equal(observation, task.observe().astype(np.float32))
        action = np.array([0.4 * np.sin(k / 10)], np.float32)
        observation, reward, terminated, truncated, info = env.step(action)
        task.advance(action.astype(float) * 10, 0.02)
        assert reward == task.reward and (terminated or truncated) == task.over
        if task.over:
            break
    assert info == {"success": False, "elapsed_s": task.elapsed_s}
    assert truncated == (task.elapsed_s >= 10)


def test_the_end_of_its_time_truncates():
    env = gymnasium.make(IDS[0])
    env.reset(seed=1)
    for k in range(500):
        *_, terminated, truncated, _ = env.step(np.zeros(1, np.float32))
        assert not terminated and truncated == (k == 499)


def test_a_crash_terminates():
    env = gymnasium.make(IDS[1])
    env.reset(seed=0)
    for _ in range(500):
        *_, terminated, truncated, info = env.step(np.array([-1, 0, 0, 0], np.float32))
        if terminated or truncated:
            break
    assert terminated and not truncated and not info["success"]


def test_velocities_if_asked_for():
    assert gymnasium.make(IDS[0]).observation_space.shape == (3,)
    assert gymnasium.make(IDS[0], full=True).observation_space.shape == (5,)
    assert gymnasium.make(IDS[1], full=False).observation_space.shape == (6,)


def test_unknown_modes_and_tasks_are_refused():
    with pytest.raises(TaskError, match="unknown task 'Fly'; known tasks: SwingUp, Hover"):
        environments.TaskEnv("Fly")
    with pytest.raises(TaskError, match="render_mode 'ansi'"):
        environments.TaskEnv("SwingUp", render_mode="ansi")
