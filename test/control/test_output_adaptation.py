# SPDX-License-Identifier: Apache-2.0
"""An output layer that goes on learning: what it does to commands, and on a robot that gets heavier."""

import numpy as np
import pytest

from liquid_spike_control.bench.closed_loop.candidates import CANDIDATES
from liquid_spike_control.bench.closed_loop.procedure import procedure_named
from liquid_spike_control.control.output_adaptation import MOST, AdaptationRule, OutputAdaptation
from liquid_spike_control.errors import RobotError, TaskError
from liquid_spike_control.liquid.controller import new_controller
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.robots.hover.steering import HoverSteering
from liquid_spike_control.robots.pencil_hard.expert import EstimateLatePencilLqr
from liquid_spike_control.robots.swing_up.steering import SwingUpSteering
from liquid_spike_control.tasks.episode import run_episode
from liquid_spike_control.tasks.perturbations import perturbation_named

NCP = shipped_model("hover/ncp.safetensors")


FOREVER = AdaptationRule(rate=1.0, leak=0.0)


def adapting(error, rule=FOREVER):
    return OutputAdaptation(new_controller(NCP), lambda: lambda observation, dt: np.asarray(error, float), rule)


def test_without_an_error_it_is_the_network():
    ours, theirs = adapting(np.zeros(4)), new_controller(NCP)
    for seen in np.random.default_rng(0).normal(size=(30, 12)):
        np.testing.assert_allclose(ours.step(seen, 0.02), theirs.step(seen, 0.02), rtol=1e-6, atol=1e-6)


def test_a_correction_integrates_the_error_on_the_features_of_the_moment_and_leaks():
    ours, theirs = adapting([0.5, 0.0, -0.5, 0.0]), new_controller(NCP)
    seen = np.linspace(-0.3, 0.3, 12)
    for _ in range(50):  # 1 s: the features hardly change any more, so that the correction is rate * error * time
        command = ours.step(seen, 0.02)
        theirs.step(seen, 0.02)
    apart = np.arctanh(command / theirs.command_limits) - theirs.outputs
    np.testing.assert_allclose(apart, [0.5, 0.0, -0.5, 0.0], atol=0.1)
    inputs = np.append(ours._controller.features, 1.0)
    np.testing.assert_allclose(ours.correction @ inputs, apart, atol=1e-5)
    ours.reset()
    assert not ours.correction.any()
    leaking = adapting([1.0, 0, 0, 0], AdaptationRule(1.0, 2.0))
    for _ in range(500):
        leaking.step(seen, 0.02)
    assert leaking.correction[0] @ inputs == pytest.approx(0.5, abs=0.03)  # error * rate / leak


def test_a_correction_is_bounded_and_what_is_not_finite_teaches_nothing():
    ours, theirs = adapting([1.0, 1.0, 1.0, 1.0]), new_controller(NCP)
    seen = np.zeros(12)
    for _ in range(500):
        command = ours.step(seen, 0.02)
        theirs.step(seen, 0.02)
    np.testing.assert_allclose(np.arctanh(command / theirs.command_limits) - theirs.outputs, MOST, atol=1e-3)
    before = ours.correction.copy()
    assert np.isnan(ours.step(np.full(12, np.nan), 0.02)).all()
    np.testing.assert_array_equal(ours.correction, before)


def test_it_holds_a_quadrotor_that_gets_heavier_where_the_network_alone_sinks():
    task, drift = task_named("hover"), perturbation_named("mass_drift")
    alone = new_controller(NCP)
    with_it = OutputAdaptation(new_controller(NCP), task.steering)
    seeds = range(5100, 5106)
    assert sum(run_episode(task, alone, drift, seed).success for seed in seeds) <= 1
    assert sum(run_episode(task, with_it, drift, seed).success for seed in seeds) >= 5


def test_what_commands_steer_against_has_the_sign_of_what_they_do():
    seen = np.zeros(12)
    seen[[2, 5]] = -0.4, 0.2  # too low, turned to the left
    np.testing.assert_allclose(HoverSteering()(seen, 0.02), [0.4, 0, 0, -0.2])
    lean = np.array([0.0, np.sin(0.05), np.cos(0.05)])
    assert SwingUpSteering()(lean, 0.02)[0] > 0  # the cart goes to where the pole leans
    assert SwingUpSteering()(np.array([0.0, 0.05, -1.0]), 0.02)[0] == 0  # not while it hangs
    plant = task_named("pencil-hard")
    law = EstimateLatePencilLqr(plant)
    for seen in np.delete(np.diag([0.3, 0.002, 9.0, 0.05, 0.2]), 2, 0):
        for sign in (1, -1):
            law.reset()
            force = law.step(np.delete(sign * seen, 2), 0.008)
            assert force * plant.steering()(sign * seen, 0.008) > 0


def test_refusals_name_what_is_wrong():
    with pytest.raises(TaskError, match="rate = -1"):
        AdaptationRule(rate=-1.0)
    with pytest.raises(TaskError, match="leak = nan"):
        AdaptationRule(leak=np.nan)
    with pytest.raises(RobotError, match="does not say what its commands steer against; add a method steering"):
        procedure_named("hopper").admit(CANDIDATES["gru_adapting"])
