# SPDX-License-Identifier: Apache-2.0
"""Robots as Gymnasium environments."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from liquid_spike_control.environments import RobotEnv, environment_id
from liquid_spike_control.errors import RobotError, TaskError
from liquid_spike_control.robots.catalogue import descriptions, robot_named, task_named

IDS = ("LiquidSpike/SwingUp-v0", "LiquidSpike/Hover-v0")
PENCIL = "LiquidSpike/Pencil-v0"


def test_every_robot_of_the_catalogue_is_registered():
    names = {"SwingUp", "SwingUpFull", "Hover", "HoverPartial", "Pencil", "PencilHard", "HopperPositions"}
    assert {f"LiquidSpike/{name}-v0" for name in names} <= set(map(environment_id, descriptions()))
    assert set(map(environment_id, descriptions())) <= gymnasium.registry.keys()


@pytest.mark.parametrize("name", [*IDS, PENCIL])
@pytest.mark.filterwarnings("ignore:.*A Box observation space (minimum|maximum) value")
def test_passes_the_env_checker(name):
    env = gymnasium.make(name, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.reset(seed=1)
    picture = env.render()
    assert picture.shape == (240, 320, 3) and picture.std() > 5
    env.close()


@pytest.mark.parametrize("name", descriptions())
def test_spaces_are_the_robot_s(name):
    robot = robot_named(name)
    env = gymnasium.make(environment_id(name), rendered=False, render_mode="rgb_array").unwrapped
    observation, info = env.reset(seed=2)
    assert env.observation_space.contains(observation) and info["success"] is False
    readings = observation["readings"] if robot.cameras else observation
    assert readings.shape == (len(robot.seen),) and env.action_space.shape == (len(robot.commands),)
    assert env.metadata["render_fps"] == round(1 / robot.period_s)
    step = env.step(env.action_space.sample())
    assert env.observation_space.contains(step[0]) and np.isfinite(step[1])
    assert env.render().std() > 5
    env.close()


def test_steps_are_the_tasks():
    env, task = gymnasium.make(IDS[0]), task_named("swing-up")
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
    assert gymnasium.make("LiquidSpike/SwingUpFull-v0").observation_space.shape == (5,)
    assert gymnasium.make("LiquidSpike/HoverPartial-v0").observation_space.shape == (6,)


def test_an_action_runs_from_least_to_most(tmp_path):
    """Limits need not be symmetric: the valve takes 0.5 to 2.5."""
    (tmp_path / "scene.xml").write_text(
        '<mujoco><worldbody><body><joint name="slide" type="slide"/><geom size="0.1" mass="1"/></body></worldbody>'
        '<actuator><motor name="valve" joint="slide" gear="1"/></actuator></mujoco>'
    )
    (tmp_path / "robot.yaml").write_text("""
name: valve
period_s: 0.01
max_age_s: 0.1
scene: scene.xml
readings: [{name: place, unit: m, scale: 1.0, mujoco: {joint: slide, field: position}}]
setpoints: [{name: target, unit: m, scale: 1.0, default: 0.75}]
commands: [{name: opening, unit: "1", least: 0.5, most: 2.5, rate: 10.0, safe: 0.5, mujoco: {actuator: valve}}]
""")
    env = RobotEnv(tmp_path)
    assert env.reset(seed=0)[0].tolist() == [0.0, 0.75]
    for action, command in ((-1, 0.5), (0, 1.5), (1, 2.5), (-0.5, 1.0), (9, 2.5)):
        env.step(np.array([action], np.float32))
        assert env.task.data.ctrl[0] == command


def test_the_same_seed_gives_the_same_episode():
    env = gymnasium.make(PENCIL)

    def play():
        observation, _ = env.reset(seed=7)
        events = [observation["events"]]
        for k in range(30):
            observation, *_ = env.step(np.array([np.sin(k)], np.float32))
            events.append(observation["events"])
        return np.stack(events)

    first, second = play(), play()
    assert first.any() and first.shape == (31, 2, 64, 64)
    np.testing.assert_array_equal(first, second)
    env.close()


def test_an_unattended_pole_falls():
    env = gymnasium.make(PENCIL)
    env.reset(seed=3)
    rewards = []
    for k in range(1000):  # noqa: B007
        _, reward, terminated, _, info = env.step(np.zeros(1, np.float32))
        rewards.append(reward)
        if terminated:
            break
    assert terminated and abs(info["pole_angle"]) > 0.6 and not info["success"]
    assert k > 20
    # The reward is the time for which it stood: whole periods before the last, a part of that one
    assert rewards[:-1] == pytest.approx([0.005] * k) and 0.0 <= rewards[-1] < 0.0045
    assert env.unwrapped.step(np.zeros(1, np.float32))[1] == 0.0
    env.close()


def test_bad_arguments_are_refused_by_name():
    with pytest.raises(RobotError, match="unknown robot 'fly'; known: .*hover, .*swing-up"):
        RobotEnv("fly")
    for name in ("swing-up", "pencil"):
        with pytest.raises(TaskError, match="render_mode 'ansi'"):
            RobotEnv(name, render_mode="ansi")
    with pytest.raises(TaskError, match="render_mode"):
        gymnasium.make(PENCIL, render_mode="ansi", disable_env_checker=True)
    with pytest.raises(TaskError, match="push"):
        gymnasium.make(PENCIL, push=-1.0)
    with pytest.raises(RobotError, match=r"robot\.yaml: task: .* has no setting 'pull'; known settings: .*push"):
        gymnasium.make(PENCIL, pull=1.0)
