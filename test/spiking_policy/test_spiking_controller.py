# SPDX-License-Identifier: Apache-2.0
"""Spiking controllers at work: the spikes of torch on every backend, resets, and inputs that are out of order."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_policies import PERIOD, SLOW, SMALL, lively, new_policy, sinking, to_file, wandering

from liquid_spike_control.control.spiking import SpikingController
from liquid_spike_control.errors import TaskError, WorkerError
from liquid_spike_control.neuromorphic.workers.oracles import find_oracle
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.spiking import control_period
from liquid_spike_control.spiking.policy_file import SpikingArchitecture, read_spiking_controller
from liquid_spike_control.tasks.episode import run_episode
from liquid_spike_control.tasks.perturbations import perturbation_named
from liquid_spike_control.tasks.scale import score
from liquid_spike_control.tasks.trained import trained_controller


@given(
    st.lists(st.integers(3, 20), min_size=1, max_size=2),
    st.booleans(),
    st.integers(3, 9),
    st.integers(2, 10),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 1000),
)
@settings(max_examples=12, deadline=None)
def test_float_backend_has_torchs_spikes(units, recurrent, steps, fields, n_observations, elapsed_input, seed):
    architecture = SpikingArchitecture(
        units=tuple(units), recurrent=recurrent, steps=steps, fields=fields, elapsed_input=elapsed_input
    )
    policy = lively(new_policy(architecture, n_observations, seed=seed).double())
    controller = SpikingController(to_file(policy), "float")
    spikes, state = 0, None
    for observation, dt in zip(*wandering(150, n_observations, seed), strict=True):
        command, state = policy.step(torch.tensor(observation)[None], torch.tensor([dt]), state)
        np.testing.assert_allclose(controller.step(observation, dt), command[0].detach().numpy(), rtol=0, atol=1e-11)
        spikes += int(state[3].sum())
    assert controller.stats().steps == 150 * steps
    assert spikes <= controller.stats().spikes


@pytest.mark.parametrize("base, recurrent, n_periods", [(SMALL, False, 400), (SMALL, True, 40), (SLOW, False, 400)])
def test_the_chip_does_as_torch_does(base, recurrent, n_periods):
    """In an untrained recurrent network one spike more or less soon changes all the others: there, for a while."""
    policy, at_bottom = sinking(lively(new_policy(dataclasses.replace(base, recurrent=recurrent))))
    controllers = {kind: SpikingController(to_file(policy), kind) for kind in ("float", "loihi")}
    observations, elapsed = wandering(n_periods)
    commands, state = policy(torch.tensor(observations)[None].float(), torch.tensor(elapsed)[None].float())
    assert (at_bottom(state[2]) > 0) == (base is SLOW)
    wanted = (commands[0].detach() / policy.limits).numpy()
    assert wanted.std(0).min() > 0.05, "the commands must move to mean anything"
    for kind, controller in controllers.items():
        got = np.array([controller.step(x, dt) for x, dt in zip(observations, elapsed, strict=True)])
        assert np.sqrt(((got / controller.command_limits - wanted) ** 2).mean()) < 0.05, kind
    assert controllers["loihi"].stats().synaptic_operations > 0


@pytest.fixture(params=["loihi", "float"])
def controller(saved, request):
    return SpikingController.from_file(saved, request.param)


def test_reset_and_restore(controller):
    observations, elapsed = wandering(60)
    first = [controller.step(x, dt) for x, dt in zip(observations[:30], elapsed, strict=False)]
    saved = controller.state
    second = [controller.step(x, 0.02) for x in observations[30:]]
    work = controller.stats()
    controller.state = saved
    np.testing.assert_array_equal([controller.step(x, 0.02) for x in observations[30:]], second)
    assert controller.stats() == work
    controller.reset()
    again = [controller.step(x, dt) for x, dt in zip(observations[:30], elapsed, strict=False)]
    np.testing.assert_array_equal(again, first)
    with pytest.raises(ValueError, match="shape"):
        controller.state = saved[1:]


def test_warming_changes_nothing(controller):
    controller.step(np.ones(3), PERIOD)
    before = controller.state
    controller.warm()
    np.testing.assert_array_equal(controller.state, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_spreads(controller, bad):
    first = controller.step(np.ones(3), PERIOD)
    assert np.isnan(controller.step(np.array([0.1, bad, 0.1]), PERIOD)).all()
    assert controller.poisoned == 1
    np.testing.assert_array_equal(controller.step(np.ones(3), PERIOD), first)


@pytest.mark.parametrize("dt, as_if", [(0.0, 0.1), (-1.0, 0.1), (10.0, 10), (np.inf, 10), (np.nan, 1)])
def test_impossible_periods_are_held_at_the_bound(controller, dt, as_if):
    held = controller.step(np.ones(3), dt)
    assert controller.clamped == 1
    controller.reset()
    np.testing.assert_array_equal(held, controller.step(np.ones(3), as_if * PERIOD))


def test_shapes_and_backends_are_checked(saved, controller):
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        controller.step(np.zeros(2), PERIOD)
    with pytest.raises(TaskError, match="unknown backend 'brain'; known backends: loihi"):
        SpikingController.from_file(saved, "brain")


@pytest.mark.slow
def test_another_simulator_gives_the_same_commands(saved):
    try:
        find_oracle("nengo_loihi")
    except WorkerError as error:
        pytest.skip(str(error))
    file = read_spiking_controller(saved)
    ours = SpikingController(file, "loihi")
    with SpikingController(file, "nengo_loihi") as theirs:
        for observation, dt in zip(*wandering(60), strict=True):
            np.testing.assert_array_equal(theirs.step(observation, dt), ours.step(observation, dt))
        assert theirs.stats() == ours.stats()


def test_two_controllers_of_one_file_are_apart(saved):
    file = read_spiking_controller(saved)
    one, two = SpikingController(file), SpikingController(file)
    fresh = one.step(np.ones(3), PERIOD)
    one.step(-np.ones(3), PERIOD)
    np.testing.assert_array_equal(two.step(np.ones(3), PERIOD), fresh)


@pytest.mark.slow
def test_it_runs_without_torch(saved):
    code = (
        "import sys; sys.modules['torch'] = sys.modules['ncps'] = None\n"
        "import numpy as np\n"
        "from liquid_spike_control.control.spiking import SpikingController\n"
        f"command = SpikingController.from_file({str(saved)!r}).step(np.ones(3), {PERIOD})\n"
        "assert command.shape == (2,) and np.isfinite(command).all()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_kernel_adds_in_the_order_of_the_reference():
    """Were the sums of another order, float64 would still agree to 1e-12 and a spike would one day differ."""
    rng = np.random.default_rng(0)
    policy, at_bottom = sinking(lively(new_policy(SLOW).double()))
    file = to_file(policy)
    controller = SpikingController(file, "float")
    state, bottom = policy.initial_state(1), []
    for _ in range(300):
        observation = rng.normal(size=3)
        _, state = policy.step(torch.tensor(observation)[None], torch.tensor([PERIOD]), state)
        controller.step(observation, PERIOD)
        bottom.append(at_bottom(state[2]))
        for ours, theirs in (
            (state[1], controller.backend._u),
            (state[2] * (1 - state[3]), controller.backend._v),
        ):
            np.testing.assert_array_equal((ours * policy.thresholds)[0].detach().numpy(), theirs)
    assert control_period.forward.signatures
    assert max(bottom) > 0, "the lowest potential must have been reached to mean anything"


SPIKING = {
    "double-pendulum": "double_pendulum/spiking.nir",
    "half-cheetah": "half_cheetah/spiking.nir",
    "hopper": "hopper/spiking.nir",
    "hover": "hover/spiking.nir",
    "swing-up": "swing_up/spiking.nir",
    "swing-up-full": "swing_up/spiking_full.nir",
}


@pytest.mark.parametrize("name", SPIKING)
def test_shipped_ones_do_nearly_as_their_experts_on_the_chip(name):
    task = task_named(name)
    controller = trained_controller(shipped_model(SPIKING[name]), task)
    results = [run_episode(task, controller, perturbation_named("clean"), seed) for seed in range(10)]
    assert sum(r.success for r in results) >= 5 and not any(r.n_unsafe for r in results)  # a hopper falls now and then
    assert np.mean([score(name, r.total_reward) for r in results]) > 85
    assert controller.stats().steps == 6 * results[-1].n_steps
