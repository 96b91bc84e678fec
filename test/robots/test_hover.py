# SPDX-License-Identifier: Apache-2.0
"""Quadrotor hover in wind, its rate loop and its expert."""

import mujoco
import numpy as np
import pytest

from liquid_spike_control.errors import TaskError
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.robots.hover.expert import ARM, DRAG_TORQUE, INERTIA, RATE_GAIN, rotor_thrusts
from liquid_spike_control.robots.hover.task import GUST, GUST_S, MEAN_WIND, WIND_PERIOD_S, wind
from liquid_spike_control.tasks.episode import ExpertController, run_episode
from liquid_spike_control.tasks.perturbations import Perturbation
from liquid_spike_control.tasks.variation import Variation


def test_rotors_give_the_thrust_and_torque_asked_for():
    """Through MuJoCo's own rotors, to the end of their lag."""
    task = task_named("hover")
    model, data = task.model, mujoco.MjData(task.model)
    rates, setpoint, rotors = np.array([0.1, -0.2, 0.05]), np.array([0.4, 0.3, -0.1]), np.empty(4)
    rotor_thrusts(6.5, setpoint, rates, rotors)
    mujoco.mj_resetData(model, data)
    data.act[:] = rotors / model.actuator_gainprm[:, 0]
    mujoco.mj_forward(model, data)
    torque = np.array(INERTIA) * RATE_GAIN * (setpoint - rates)
    # Level and at the origin, the world's forces are the body's
    np.testing.assert_allclose(data.qfrc_actuator, [0, 0, 6.5, *torque], atol=1e-9)
    assert abs(model.site("front_left").pos[:2]).tolist() == [ARM, ARM]
    assert abs(model.actuator_gear[0, 5]) == DRAG_TORQUE


def test_rotors_lag_by_30_ms():
    task = task_named("hover")
    task.reset(0)
    start = task.data.act.copy()
    task.advance(np.array([4.0, 0, 0, 0]), 0.002 * 15)
    step = (task.data.act - start).sum() / 4.0
    assert step == pytest.approx(1 - np.exp(-1), abs=0.03)


def test_attitude_is_what_the_quaternion_says():
    task = task_named("hover")
    for angles in ([0.3, -0.5, 0.9], [-1.0, 1.2, -2.0]):
        roll, pitch, yaw = angles
        mujoco.mju_euler2Quat(task.data.qpos[3:7], np.array([yaw, pitch, roll]), "zyx")
        np.testing.assert_allclose(task.attitude(), angles, atol=1e-12)


def test_wind_has_the_spectrum_it_says():
    series = np.stack([wind(np.random.default_rng(seed), 60.0) for seed in range(60)])
    means = np.hypot(series[:, :, 0].mean(1), series[:, :, 1].mean(1))
    assert means.max() < MEAN_WIND + 0.5 and means.max() > 1.5 and means.min() < 0.5
    gusts = series - series.mean(1, keepdims=True)
    np.testing.assert_allclose(gusts.std((0, 1)), [GUST, GUST, GUST / 2], rtol=0.07)
    lag = round(GUST_S / WIND_PERIOD_S)
    correlation = (gusts[:, lag:] * gusts[:, :-lag]).mean() / (gusts**2).mean()
    assert correlation == pytest.approx(np.exp(-1), abs=0.06)


@pytest.mark.parametrize("plant", [{}, {"mass": 1.2}, {"friction": 1.5}, {"actuator": 0.85}])
def test_the_expert_holds_whatever_the_plant(plant):
    task = task_named("hover")
    result = run_episode(task, ExpertController(task.expert(), task), Perturbation("p", jitter=0.4, **plant), 7)
    assert result.success and result.total_reward > 8


def test_wind_and_lift_must_be_compensated():
    """An expert that knows neither ends further away: this is what memory is for."""
    task = task_named("hover")
    distances = {}
    for blind in (False, True):
        task.reset(11, Variation(actuator=0.85))
        law = task.expert().law(task)
        while not task.over:
            state = task.truth()
            if blind:
                state[12:] = 0, 0, 0, 1
            task.advance(law.step(state), task.period_s)
        distances[blind] = np.linalg.norm(task.observe()[:3])
        assert task.success is not blind
    assert distances[True] > 10 * distances[False]


def test_a_crash_is_the_end():
    task = task_named("hover")
    task.reset(0)
    while not task.over:
        task.advance(np.array([-4.0, 0, 0, 0]), task.period_s)
    assert not task.success and task.elapsed_s < 2
    task.reset(0)
    while not task.over:
        task.advance(np.array([0, 3.0, 0, 0]), task.period_s)
    assert not task.success and task.elapsed_s < 2


def test_velocities_are_seen_in_full_only():
    partial, full = task_named("hover-partial"), task_named("hover")
    for task in (partial, full):
        task.reset(2)
        task.advance(np.zeros(4), 0.05)
        assert len(task.observe()) == len(task.observation_names) == len(task.observation_scales)
    np.testing.assert_array_equal(partial.observe(), full.observe()[:6])
    truth = full.truth()
    np.testing.assert_array_equal(full.observe()[6:], [*truth[3:6], *truth[9:12]])


def test_a_length_is_refused_by_name():
    with pytest.raises(TaskError, match="'hover-partial': its length cannot be varied"):
        task_named("hover-partial").reset(0, Variation(length=1.1))
