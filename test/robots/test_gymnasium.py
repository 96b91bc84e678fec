# SPDX-License-Identifier: Apache-2.0
"""Gymnasium's MuJoCo tasks as control tasks."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from liquid_spike_control.robot import units
from liquid_spike_control.robots.catalogue import robot_named, task_named
from liquid_spike_control.tasks.episode import RandomController, run_episode
from liquid_spike_control.tasks.perturbations import perturbation_named
from liquid_spike_control.tasks.variation import Variation

NAMES = ("double-pendulum", "hopper", "half-cheetah")


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_gymnasiums_own(name):
    task, env = task_named(name), gymnasium.make(robot_named(name).settings["environment"])
    task.reset(3, Variation(mass=1.5, friction=2.0, actuator=0.5))  # leaves nothing behind
    task.reset(3)
    observation, _ = env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(60):
        np.testing.assert_array_equal(task.observe(), observation)
        action = rng.uniform(-1, 1, len(task.command_names))
        task.advance(action, task.period_s)
        observation, reward, terminated, _, _ = env.step(action)
        assert task.reward == pytest.approx(reward, abs=1e-12) and task.over == terminated
        if terminated:
            assert not task.success
            break
    np.testing.assert_array_equal(task.truth(), observation)


def test_an_episode_lasts_a_thousand_of_its_steps():
    task = task_named("half-cheetah")
    result = run_episode(task, RandomController(task, 0), perturbation_named("clean"), 1)
    assert result.n_steps == 1000 and result.elapsed_s == pytest.approx(50.0)
    assert not result.success  # it has not come far enough


@pytest.mark.parametrize("name", NAMES)
def test_positions_are_the_first_part_of_what_there_is(name):
    full, masked = task_named(name), task_named(f"{name}-positions")
    for task in (full, masked):
        task.reset(1)
        task.advance(np.full(len(task.command_names), 0.1), task.period_s)
    n = len(masked.observation_names)
    assert full.observation_names[:n] == masked.observation_names and n < len(full.observation_names)
    np.testing.assert_array_equal(masked.observe(), full.observe()[:n])
    np.testing.assert_array_equal(masked.truth(), full.observe())
    assert not set(units(robot_named(f"{name}-positions").readings)) & {"m/s", "rad/s"}


def test_names_are_in_the_order_of_the_model():
    task = task_named("half-cheetah")
    task.reset(0)
    joints = [task.model.joint(k).name for k in range(3, task.model.njnt)]
    motors = [task.model.actuator(k).name for k in range(task.model.nu)]
    short = {"back_thigh": "bthigh", "back_shin": "bshin", "back_foot": "bfoot"}
    short |= {name.replace("back", "front"): s.replace("b", "f", 1) for name, s in short.items()}
    assert [short[n.removesuffix("_angle")] for n in task.observation_names[2:8]] == joints
    assert [short[n.removesuffix("_torque")] for n in task.command_names] == motors
    np.testing.assert_array_equal(task.observe()[:8], task.data.qpos[1:])


def test_a_longer_period_earns_in_proportion():
    task = task_named("double-pendulum")
    rewards = []
    for periods in (1, 2):
        task.reset(0)
        task.advance(np.zeros(1), periods * task.period_s)
        rewards.append(task.reward)
    assert task.elapsed_s == pytest.approx(2 * task.period_s)
    assert rewards[1] == pytest.approx(2 * rewards[0], rel=0.05)


@pytest.mark.parametrize("factor", ["mass", "friction", "actuator"])
def test_factors_act_on_the_model(factor):
    task = task_named("hopper")
    ends = []
    for value in (1.0, 1.3):
        task.reset(0, Variation(**{factor: value}))
        mass, gain, damping = task.model.body_mass.sum(), task.model.actuator_gainprm[0, 0], task.model.dof_damping[-1]
        for _ in range(5):
            task.advance(np.array([0.5, -0.5, 0.5]), task.period_s)
        ends.append((task.truth(), {"mass": mass, "actuator": gain, "friction": damping}[factor]))
    assert ends[1][1] == pytest.approx(1.3 * ends[0][1])
    assert np.abs(ends[1][0] - ends[0][0]).max() > 1e-4


def test_what_gymnasium_lacks_is_named_with_the_remedy():
    code = (
        "import sys; sys.modules['glfw'] = None\n"
        "from liquid_spike_control.robots.catalogue import task_named\n"
        "from liquid_spike_control.errors import TaskError\n"
        "try: task_named('hopper')\n"
        "except TaskError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout
    assert said.startswith("task 'hopper': ") and "glfw" in said and "liquid_spike_control[gym]" in said
    assert said.count("\n") == 1
