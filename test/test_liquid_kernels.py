# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from numba import njit

from liquid_spike_control.checkpoint import ControllerFile
from liquid_spike_control.liquid import kernels
from liquid_spike_control.liquid.architecture import named
from liquid_spike_control.liquid.controller import LiquidController
from liquid_spike_control.liquid.policies import Policy, new_policy

PERIOD = 0.005
SCALES = [1.0, 3.0, 0.1, 0.5, 10.0]


def network_and_file(units, backbone_units, layers, n_commands=1) -> tuple[Policy, ControllerFile]:
    architecture = named("cfc_mm", units=units, backbone_units=backbone_units, backbone_layers=layers)
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


@pytest.mark.parametrize("shape", [(19, 24, 1, 1), (32, 64, 1, 2), (33, 47, 3, 1), (64, 128, 1, 1)])
def test_matches_ncps_over_2000_irregular_steps(shape):
    network, file = network_and_file(*shape)
    observation, dt = irregular(2000)
    with torch.no_grad():
        expected, (h, c) = network(torch.tensor(observation)[None], torch.tensor(dt)[None])
    controller = LiquidController(file)
    command = np.array([controller.step(o, t) for o, t in zip(observation, dt, strict=True)])
    np.testing.assert_allclose(command / 10, expected[0].numpy() / 10, rtol=0, atol=1e-5)
    np.testing.assert_allclose(controller.state, torch.cat([h, c]).numpy(), rtol=1e-5, atol=1e-5)
    assert np.abs(np.diff(command, axis=0)).max() > 0.1


def test_the_same_input_gives_the_same_bytes():
    _, file = network_and_file(32, 64, 1)
    observation, dt = irregular(200)
    runs = []
    for _ in range(2):
        controller = LiquidController(file)
        runs.append(b"".join(controller.step(o, t).tobytes() for o, t in zip(observation, dt, strict=True)))
    assert runs[0] == runs[1]


@njit
def _map(function, source, target):
    for k in range(len(source)):
        target[k] = function(source[k])


@pytest.mark.parametrize("ours, exact", [
    (kernels.tanh32, np.tanh),
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
