# SPDX-License-Identifier: Apache-2.0
"""Cart-pole swing-up and its expert."""

import math

import mujoco
import numpy as np
import pytest

from liquid_spike_control.errors import TaskError
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.robots.swing_up.expert import CartPole
from liquid_spike_control.robots.swing_up.task import RAIL
from liquid_spike_control.tasks.episode import ExpertController, run_episode
from liquid_spike_control.tasks.perturbations import Perturbation
from liquid_spike_control.tasks.variation import Variation


def test_an_episode_begins_hanging_near_mid_rail():
    task = task_named("swing-up")
    starts = []
    for seed in range(20):
        task.reset(seed)
        starts.append(task.truth())
        assert abs(task.truth()[0]) <= 0.3 and abs(task.truth()[2]) > math.pi - 0.3
        assert not task.over and not task.success and task.elapsed_s == 0
    assert len(np.unique(starts, axis=0)) == 20


def test_positions_only_or_all_that_there_is():
    task, full = task_named("swing-up"), task_named("swing-up-full")
    for t in (task, full):
        t.reset(4)
        t.advance(np.array([3.0]), 0.1)
        assert len(t.observe()) == len(t.observation_names) == len(t.observation_units) == len(t.observation_scales)
    position, velocity, angle, rate = task.truth()
    np.testing.assert_allclose(task.observe(), [position, math.sin(angle), math.cos(angle)], atol=1e-12)
    np.testing.assert_allclose(full.observe(), [*task.observe(), velocity, rate], atol=1e-12)


@pytest.mark.parametrize(
    "plant", [{}, {"mass": 0.9}, {"mass": 1.1}, {"length": 0.9}, {"length": 1.1}, {"friction": 1.1}, {"actuator": 0.9}]
)
def test_the_expert_swings_up_whatever_the_plant_and_the_timing(plant):
    task = task_named("swing-up")
    for seed in range(2):
        result = run_episode(task, ExpertController(task.expert(), task), Perturbation("p", jitter=0.4, **plant), seed)
        assert result.success, (plant, seed)


def test_standing_at_the_end_alone_is_no_success():
    task = task_named("swing-up")
    expert = task.expert()
    task.reset(0)
    while not task.over:
        # It swings up at leisure, but is let go for a moment at 8.5 s
        pushed = 8.5 < task.elapsed_s < 8.8
        task.advance(np.array([10.0]) if pushed else expert.act(task), task.period_s)
    assert not task.success


def test_off_the_rail_is_the_end():
    task = task_named("swing-up")
    task.reset(0)
    while not task.over:
        task.advance(np.array([10.0]), task.period_s)
    assert not task.success and task.elapsed_s < 2 and abs(task.truth()[0]) > RAIL


def test_what_is_not_finite_is_neutral_and_what_is_too_much_is_limited():
    rests, pushes = task_named("swing-up"), task_named("swing-up")
    rests.advance(np.array([np.nan]), 0.1)
    pushes.advance(np.array([1e9]), 0.1)
    neutral, most = task_named("swing-up"), task_named("swing-up")
    neutral.advance(np.array([0.0]), 0.1)
    most.advance(np.array([10.0]), 0.1)
    np.testing.assert_array_equal(rests.truth(), neutral.truth())
    np.testing.assert_array_equal(pushes.truth(), most.truth())


def test_reward_is_the_integral_of_standing():
    task = task_named("swing-up")
    task.reset(0)
    task.data.qpos[:] = task.data.qvel[:] = 0
    task.advance(np.array([0.0]), 0.1)
    assert task.reward == pytest.approx(0.1, rel=1e-6) and task.elapsed_s == pytest.approx(0.1)
    task.reset(0)
    task.data.qpos[1], task.data.qvel[:] = math.pi, 0
    task.advance(np.array([0.0]), 0.1)
    assert task.reward == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("variation", [Variation(), Variation(mass=1.3, length=1.2, friction=2.0, actuator=0.7)])
def test_the_equations_are_those_of_the_plant(variation):
    """The force that the expert computes for an acceleration gives MuJoCo's cart that acceleration."""
    task = task_named("swing-up")
    task.reset(0, variation)
    plant = CartPole.of(task.model)
    rng = np.random.default_rng(0)
    for _ in range(20):
        position, velocity, angle, rate, wanted = rng.uniform(-1, 1, 5) * (1, 2, 3, 6, 4)
        task.data.qpos[:], task.data.qvel[:] = (position, angle), (velocity, rate)
        task.data.ctrl[0] = plant.force(wanted, velocity, angle, rate) / plant.gain
        if abs(task.data.ctrl[0]) > 10:
            continue
        mujoco.mj_forward(task.model, task.data)
        assert task.data.qacc[0] == pytest.approx(wanted, abs=1e-6)


def test_energy_is_kept_without_friction_and_force():
    task = task_named("swing-up")
    task.reset(3, Variation(friction=1e-9))
    plant = CartPole.of(task.model)
    task.model.body_mass[task.model.body("cart").id] = 1e6  # a cart that stands still
    mujoco.mj_setConst(task.model, mujoco.MjData(task.model))
    before = plant.energy(*task.truth()[2:])
    task.advance(np.array([0.0]), 2.0)
    assert plant.energy(*task.truth()[2:]) == pytest.approx(before, abs=0.01 * abs(before))


def test_a_heavier_longer_pole_is_still_a_rod():
    task = task_named("swing-up")
    task.reset(0, Variation(mass=1.5, length=0.8))
    pole = task.model.body("pole")
    mass, length = 0.2 * 1.5, 0.6 * 0.8
    assert pole.mass[0] == pytest.approx(mass) and pole.ipos[2] == pytest.approx(length / 2)
    assert pole.inertia[0] == pytest.approx(mass * length**2 / 12)


def test_the_expert_knows_of_a_variation():
    task = task_named("swing-up")
    expert = task.expert()
    for mass in (1.0, 1.5, 1.0):
        task.reset(0, Variation(mass=mass))
        assert expert.law(task).plant.pole_mass == pytest.approx(0.2 * mass)


def test_a_factor_of_nothing_is_refused():
    with pytest.raises(TaskError, match="mass = 0"):
        Variation(mass=0.0)
    with pytest.raises(TaskError, match="friction = nan"):
        Variation(friction=math.nan)
