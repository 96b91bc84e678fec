# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from numba import njit

from liquid_spike_control.checkpoint import ControllerFile
from liquid_spike_control.liquid import kernels, program
from liquid_spike_control.liquid.architecture import named
from liquid_spike_control.liquid.controller import LiquidController
from liquid_spike_control.liquid.policies import Policy, new_policy
from liquid_spike_control.liquid.program import Program
from liquid_spike_control.liquid.wiring import WiringPlan

PERIOD = 0.005
SCALES = [1.0, 3.0, 0.1, 0.5, 10.0]


def network_and_file(architecture, n_commands=1) -> tuple[Policy, ControllerFile]:
    network = new_policy(architecture, SCALES, [10.0] * n_commands, PERIOD, seed=0)
    return network, network.to_file(
        observation_names="abcde",
        observation_units="mnopq",
        command_names=[f"u{k}" for k in range(n_commands)],
        command_units=["N"] * n_commands,
        task="pencil",
        training_command="none",
        training_seeds=(0, 1),
    )


def irregular(n_steps, seed=0):
    rng = np.random.default_rng(seed)
    return 2 * rng.normal(size=(n_steps, 5)) * SCALES, PERIOD * rng.uniform(0.05, 3, n_steps)


ARCHITECTURES = {
    "the pencil's": named("cfc_mm", units=32, backbone_units=64),
    "cfc, three backbone layers": named("cfc", units=33, backbone_units=47, backbone_layers=3),
    "cfc 19 without backbone": named("cfc", units=19, backbone_units=0, mode="no_gate"),
    "cfc, pure, two layers": named("cfc_mm", units=11, mode="pure", layers=2, encoder_units=7),
    "ltc": named("ltc", units=20),
    "ncp": named("ncp", units=24, layers=2),
    "ncp, dense": named("ncp", wiring=WiringPlan("random", sparsity=0.05)),
    "ncp of cfc": named("ncp", cell="cfc", mixed_memory=True),
    "gru": named("gru", units=17, layers=2),
    "lstm": named("lstm", units=17, layers=2),
    "mlp": named("mlp", units=17, layers=3),
    "mlp, stacked": named("mlp", units=17, layers=1, stacked=5),
    "mlp, stacked and encoded": named("mlp", units=17, layers=1, stacked=2, encoder_units=6, elapsed_input=False),
    "s5": named("s5", units=17),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_matches_torch_over_2000_irregular_steps(architecture):
    network, file = network_and_file(architecture)
    observation, dt = irregular(2000)
    with torch.no_grad():
        expected, state = network(torch.tensor(observation)[None], torch.tensor(dt)[None])
    controller = LiquidController(file)
    command = np.array([controller.step(o, t) for o, t in zip(observation, dt, strict=True)])
    np.testing.assert_allclose(command / 10, expected[0].numpy() / 10, rtol=0, atol=1e-5)
    parts = len(state) // architecture.layers  # torch goes by layers, the controller by hidden states and memories
    order = [k * parts + part for part in range(parts) for k in range(architecture.layers)]
    for ours, k in zip(controller.state, order, strict=True):
        np.testing.assert_allclose(ours, state[k][0].numpy(), rtol=1e-5, atol=1e-5)
    assert np.abs(np.diff(command, axis=0)).max() > 0.01


@pytest.mark.parametrize("sparsity", [0.05, 0.5, 0.9])
def test_synapses_stored_one_by_one_give_what_the_full_matrix_gives(sparsity, monkeypatch):
    _, file = network_and_file(named("ncp", units=40, wiring=WiringPlan(sparsity=sparsity)))
    observation, dt = irregular(50)
    runs = []
    for cost in (0.0, 1e9):
        monkeypatch.setattr(program, "LOOKUP_COST", cost)
        assert Program(file).n_sparse == (cost == 0)
        controller = LiquidController(file)
        runs.append([controller.step(o, t) for o, t in zip(observation, dt, strict=True)])
    np.testing.assert_allclose(runs[0], runs[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_the_same_input_gives_the_same_bytes_and_a_state_that_is_restored_too(architecture):
    _, file = network_and_file(architecture)
    observation, dt = irregular(60)
    controller = LiquidController(file)

    def commands(first, last):
        return [controller.step(o, t).tobytes() for o, t in zip(observation[first:last], dt[first:last], strict=True)]

    begun = commands(0, 30)
    saved = controller.state
    ended = commands(30, 60)
    controller.state = saved
    assert commands(30, 60) == ended
    controller.reset()
    assert commands(0, 60) == begun + ended


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def test_nan_in_any_part_of_the_state_is_detected(architecture):
    _, file = network_and_file(architecture)
    controller = LiquidController(file)
    first = controller.step(np.ones(5), PERIOD)
    for k in range(len(controller.state)):
        state = controller.state
        state[k, -1] = np.nan
        controller.state = state
        assert np.isnan(controller.step(np.ones(5), PERIOD)).all()
        assert (controller.step(np.ones(5), PERIOD) == first).all()
    assert controller.poisoned == len(controller.state)


def test_tiny_and_large_observations_and_lists_are_taken():
    _, file = network_and_file(named("cfc"))
    controller = LiquidController(file)
    assert controller.step([0, 1, 2, 3, 4], PERIOD).shape == (1,)
    controller.reset()
    frozen = np.arange(5.0)
    frozen.flags.writeable = False
    first = controller.step(frozen, PERIOD)
    controller.reset()
    assert controller.step(np.arange(5, dtype=np.float32), PERIOD) == first


@njit
def _map(function, source, target):
    for k in range(len(source)):
        target[k] = function(source[k])


@pytest.mark.parametrize("ours, exact", [
    (kernels.tanh32, np.tanh),
    (kernels.short_tanh32, np.tanh),
    (kernels.sigmoid32, lambda x: 1 / (1 + np.exp(-x))),
])  # fmt: skip
def test_activations_are_right_to_rounding_everywhere(ours, exact):
    x = np.concatenate([np.linspace(-25, 25, 100_001), np.geomspace(1e-30, 80, 10_001)]).astype(np.float32)
    y = np.empty_like(x)
    _map(ours, x, y)
    np.testing.assert_allclose(y, exact(x.astype(float)), rtol=0, atol=5e-7)
    extremes = np.array([np.nan, np.inf, -np.inf], np.float32)
    _map(ours, extremes, y)
    assert np.isnan(y[0])
    np.testing.assert_allclose(y[1:3], exact(extremes[1:].astype(float)), atol=5e-7)
