# SPDX-License-Identifier: Apache-2.0
"""Perturbations, and a task as a controller meets it under them."""

import numpy as np
import pytest

from liquid_spike_control.errors import RobotError, TaskError
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.tasks.perturbations import PERTURBATIONS, Perturbation, perturbation_named
from liquid_spike_control.tasks.perturbed import PerturbedTask


def samples(perturbation, n=400, command=0.0):
    """Elapsed times of the samples that arrived, their noise, and all states."""
    loop = PerturbedTask(task_named("swing-up"), perturbation, seed=5)
    elapsed, noise, states, calls = [], [], [], 0
    for _ in range(n):
        states.append(loop.task.truth())
        if loop.received:
            elapsed.append(loop.elapsed_s)
            noise.append(loop.observation - loop.task.observe())
            calls += 1
            loop.decide(np.array([command]))
        loop.advance()
    return np.array(elapsed), np.array(noise), np.array(states)


def test_clean_is_clean():
    elapsed, noise, _ = samples(perturbation_named("clean"))
    np.testing.assert_allclose(elapsed, 0.02, rtol=1e-9)
    assert len(elapsed) == 400 and not noise.any()


def test_noise_is_in_units_of_the_scales():
    _, noise, _ = samples(Perturbation("n", noise=0.1))
    np.testing.assert_allclose(noise.std(0), 0.1 * task_named("swing-up").observation_scales, rtol=0.15)


def test_dropped_samples_lengthen_the_next_elapsed_time():
    elapsed, _, _ = samples(perturbation_named("drop30"))
    assert 0.6 < len(elapsed) / 400 < 0.8
    periods = elapsed / 0.02
    np.testing.assert_allclose(periods, periods.round(), atol=1e-9)
    assert periods.max() > 2.5 and elapsed.sum() > 0.02 * 390


def test_a_command_is_held_while_samples_are_lost():
    rng = np.random.default_rng(1)
    loop = PerturbedTask(task_named("swing-up"), Perturbation("d", drop=0.5), seed=1)
    given = np.zeros(1)
    for _ in range(60):
        if loop.received:
            given = rng.uniform(-1, 1, 1)
            loop.decide(given)
        loop.advance()
        assert loop.task.data.ctrl == given


def test_periods_vary_evenly_within_the_jitter():
    elapsed, _, _ = samples(perturbation_named("jitter40"))
    assert elapsed[1:].min() >= 0.012 - 1e-9 and elapsed[1:].max() <= 0.028 + 1e-9
    assert elapsed[1:].mean() == pytest.approx(0.02, rel=0.03)
    assert elapsed[1:].std() == pytest.approx(0.4 * 0.02 / np.sqrt(3), rel=0.1)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_commands_come_late(steps):
    loop = PerturbedTask(task_named("swing-up"), Perturbation("l", latency_steps=steps), seed=1)
    given, acted = [], []
    for k in range(10):
        given.append(0.1 * (k + 1))
        loop.decide(np.array([given[-1]]))
        loop.advance()
        acted.append(float(loop.task.data.ctrl[0]))
    assert acted == [0.0] * steps + given[: 10 - steps]


def test_the_same_seed_gives_the_same_samples():
    one, other = (samples(Perturbation("all", noise=0.1, drop=0.2, jitter=0.3, mass=1.1), command=1.0) for _ in "ab")
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_perturbation_at_a_reset():
    loop = PerturbedTask(task_named("swing-up"), perturbation_named("clean"))
    loop.reset(3, perturbation_named("mass"))
    assert loop.task.variation.mass == perturbation_named("mass").mass
    loop.reset(3, perturbation_named("clean"))
    assert not loop.task.variation.varied


def test_unknown_names_list_the_known():
    with pytest.raises(TaskError, match="unknown perturbation 'fog'; known perturbations: clean, noise, drop30"):
        perturbation_named("fog")
    known = "hover, hover-partial, .*swing-up, swing-up-full"
    with pytest.raises(RobotError, match=f"unknown robot 'fog'; known: .*{known}"):
        task_named("fog")


@pytest.mark.parametrize("name", ["hover", "hopper", "double-pendulum-positions"])
def test_what_cannot_apply_is_refused_by_name(name):
    with pytest.raises(TaskError, match=f"perturbation 'length' cannot apply: task '{name}'"):
        PerturbedTask(task_named(name), perturbation_named("length"))


@pytest.mark.parametrize(
    "numbers, message",
    [
        ({"noise": -1.0}, "noise = -1"), ({"noise": np.nan}, "noise = nan"), ({"drop": 1.0}, "drop = 1"),
        ({"jitter": 1.5}, "jitter = 1.5"), ({"latency_steps": -1}, "latency_steps = -1"),
        ({"latency_steps": 0.5}, "latency_steps = 0.5"), ({"mass": -1.0}, "mass = -1"),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(numbers, message):
    with pytest.raises(TaskError, match=f"perturbation 'p': .*{message}"):
        Perturbation("p", **numbers)


def test_each_is_listed_under_its_name():
    assert all(name == p.name for name, p in PERTURBATIONS.items())
    assert len(PERTURBATIONS) == 11 and len({tuple(str(p).split("', ")[1:]) for p in PERTURBATIONS.values()}) == 11
