# SPDX-License-Identifier: Apache-2.0
"""The Gymnasium environment."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import liquid_spike_control.environment  # noqa: F401  registers the task
from liquid_spike_control.errors import TaskError


@pytest.fixture
def env():
    env = gymnasium.make("LiquidSpike/Pencil-v0", render_mode="rgb_array")
    yield env
    env.close()


def test_passes_the_env_checker(env):
    check_env(env.unwrapped)


def test_the_same_seed_gives_the_same_episode(env):
    def play():
        observation, _ = env.reset(seed=7)
        events = [observation["events"]]
        for k in range(30):
            observation, *_ = env.step(np.array([np.sin(k)], np.float32))
            events.append(observation["events"])
        return np.stack(events)

    first, second = play(), play()
    assert first.any()
    np.testing.assert_array_equal(first, second)


def test_an_unattended_pole_falls(env):
    env.reset(seed=3)
    for k in range(1000):  # noqa: B007
        _, reward, terminated, _, info = env.step(np.zeros(1, np.float32))
        if terminated:
            break
    assert terminated and reward == 0.0 and abs(info["pole_angle"]) > 0.6
    assert k > 20


def test_a_picture_shows_the_scene(env):
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (240, 320, 3) and picture.std() > 5


def test_bad_arguments_are_refused_by_name():
    with pytest.raises(TaskError, match="render_mode"):
        gymnasium.make("LiquidSpike/Pencil-v0", render_mode="ansi", disable_env_checker=True)
    with pytest.raises(TaskError, match="push"):
        gymnasium.make("LiquidSpike/Pencil-v0", push=-1.0)
