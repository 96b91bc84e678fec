# SPDX-License-Identifier: Apache-2.0
"""Estimates that follow the truth with a lag: what they should be, and all that aims at it."""

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from liquid_spike_control.assembly import read_robot_perception
from liquid_spike_control.bench.episodes import run_episode
from liquid_spike_control.errors import RobotError
from liquid_spike_control.estimate_lag import EstimateLag
from liquid_spike_control.history import History
from liquid_spike_control.loop import DisturbedEstimator, Loop, TruthEstimator
from liquid_spike_control.robots.catalogue import robot_named
from liquid_spike_control.sim.world import World
from liquid_spike_control.spiking.layers import Training
from liquid_spike_control.tasks.episode import ExpertController
from liquid_spike_control.tasks.of_robot import task_of
from liquid_spike_control.training.readout_fit import accuracy_of, solve_readout
from liquid_spike_control.training.recorded_episodes import Recording, recorded


def _robot(lag_s):
    robot = robot_named("quadrotor")
    late = tuple(msgspec.structs.replace(e, lag_s=lag_s) for e in robot.estimates)
    return msgspec.structs.replace(robot, estimates=late)


def test_a_step_is_followed_as_a_first_order_low_pass_does_and_no_lag_is_the_truth():
    robot = _robot(0.1)
    steps = np.r_[np.zeros((1, 3)), np.ones((20, 3))]
    times = np.arange(21) * robot.period_s
    assert EstimateLag(robot).of_episode(steps) == pytest.approx(np.repeat(1 - np.exp(-times / 0.1)[:, None], 3, 1))
    truth = np.random.default_rng(0).standard_normal((50, 3))
    assert np.array_equal(EstimateLag(_robot(0.0)).of_episode(truth), truth)
    lag = EstimateLag(robot)
    for _ in range(2):  # each episode begins at its own first truth
        lag.reset()
        assert np.array_equal(lag.step(truth[3]), truth[3]) and not np.array_equal(lag.step(truth[4]), truth[4])


def test_an_episode_without_ticks_and_a_robot_without_estimates_have_none():
    assert EstimateLag(_robot(0.1)).of_episode([]).shape == (0, 3)
    assert EstimateLag(robot_named("hover")).of_episode([np.empty(0)] * 2).shape == (2, 0)


@pytest.mark.parametrize("lag_s", [-0.1, math.inf, math.nan])
def test_a_lag_that_is_no_time_is_named(lag_s):
    with pytest.raises(RobotError, match=r"robot.yaml: estimates\[0\] \(flow_x\).lag_s: .*; give a finite time"):
        _robot(lag_s)


def test_the_truth_in_the_estimates_place_has_the_lag_and_errors_are_judged_against_it():
    robot = _robot(0.1)
    with World(task_of(robot), sighted=False) as world:
        expert = ExpertController(world.task.expert(), world.task)
        history = History(robot)
        figures = run_episode(Loop(world, TruthEstimator(world), expert, robot.gate_limits()), 3, history)
        assert (figures.error_square == 0).all() and (history.errors() == 0).all() and len(history.errors()) > 100
        truth = np.array([row[history.n_seen :] for row in history.truth.values()])
        seen = np.array(list(history.estimates.values()))
        assert np.abs(seen - truth).max() > 0.05
        # Disturbed estimates have that lag, not their own beside it
        late = DisturbedEstimator(world)
        world.reset(3)
        late.reset(0)
        assert late._follow == pytest.approx(-np.expm1(-robot.period_s / 0.1))


def test_readouts_are_fitted_to_what_the_estimates_should_be(tmp_path):
    robot, training = robot_named("quadrotor"), Training()
    model = read_robot_perception(robot)
    recording = Recording(step_s=0.004, row_group=1, seconds=1.0)
    episodes = recorded(robot, recording, [5, 6], tmp_path, 1)
    late = [replace(e, truth=EstimateLag(_robot(0.1)).of_episode(e.truth)) for e in episodes]
    found = solve_readout(model, _robot(0.1), training, episodes)
    assert np.array_equal(found.weight, solve_readout(model, _robot(0.0), training, late).weight)
    assert not np.array_equal(found.weight, solve_readout(model, _robot(0.0), training, episodes).weight)
    errors = accuracy_of(model, _robot(0.1), episodes).integers, accuracy_of(model, _robot(0.0), late).integers
    assert errors[0] == errors[1] != accuracy_of(model, _robot(0.0), episodes).integers
