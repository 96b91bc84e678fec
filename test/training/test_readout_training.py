# SPDX-License-Identifier: Apache-2.0
"""Random networks as controllers: their neurons, the regression that reads them, and their files."""

import numpy as np
import pytest
import torch

from liquid_spike_control.control.files import controller_of
from liquid_spike_control.errors import TaskError
from liquid_spike_control.liquid.echo_state import EchoStateNetwork
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.training import random_networks
from liquid_spike_control.training.dagger import DaggerTraining, train
from liquid_spike_control.training.random_networks import KINDS, RandomNetwork
from liquid_spike_control.training.readout import ReadoutTrainer
from liquid_spike_control.training.ridge import Moments, chosen_ridge, ridge_regression

SCALES, LIMITS, PERIOD_S = (2.0, 0.5, 1.0), (3.0, 10.0), 0.02
SMALL = DaggerTraining(n_rounds=2, n_episodes=5, n_samples=50, n_validations=2, latency_steps=0)


def stream(n: int = 40, rows: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Observations of :data:`SCALES`, and elapsed times [s]."""
    rng = np.random.default_rng(3)
    seen = np.cumsum(rng.normal(size=(rows, n, 3)), 1) * np.array(SCALES) / 4
    elapsed = PERIOD_S * rng.uniform(0.6, 1.5, (rows, n))
    return torch.tensor(seen, dtype=torch.float32), torch.tensor(elapsed, dtype=torch.float32)


def test_moments_are_the_regression_of_all_samples():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 3
    y = x[:, :2] * [1, -2] + rng.normal(size=(300, 2)) + 5
    fit, held_out = Moments(), Moments()
    for part in (slice(0, 100), slice(100, 240)):
        fit.add(x[part], y[part])
    held_out.add(x[240:], y[240:])
    weights, offset = ridge_regression(x, y, 1e-2)
    np.testing.assert_allclose((fit + held_out).solve(1e-2)[0], weights, rtol=1e-8)
    np.testing.assert_allclose((fit + held_out).solve(1e-2)[1], offset, rtol=1e-8)
    weights, offset = ridge_regression(x[:240], y[:240], 0.3)
    error = ((x[240:] @ weights.T + offset - y[240:]) ** 2).mean()
    assert held_out.error(weights, offset) == pytest.approx(error, rel=1e-9)
    ridge, least = fit.chosen_ridge(held_out)
    assert ridge == chosen_ridge(x, y)  # whose last fifth is what is held out here
    assert least <= error


def test_an_echo_state_network_is_a_cfc_of_equal_candidates():
    policy = RandomNetwork("esn", 50).new_policy(SCALES, LIMITS, PERIOD_S, seed=7)
    network = EchoStateNetwork(50, 4, random_networks.RADIUS, random_networks.INPUT_SCALE, random_networks.BIAS, seed=7)
    seen, elapsed = stream()
    found, _ = policy.features(seen, elapsed)
    inputs = np.concatenate([seen[0].numpy() / SCALES, elapsed[0, :, None].numpy() / PERIOD_S], 1)
    np.testing.assert_allclose(found[0].detach(), network.states(inputs), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_commands_are_the_readout_of_the_features_in_one_piece_or_several(kind):
    policy = RandomNetwork(kind, 60).new_policy(SCALES, LIMITS, PERIOD_S, seed=2)
    seen, elapsed = stream()
    features, _ = policy.features(seen, elapsed)
    assert features.std(1).mean() > 0.01  # the network answers to its input
    first, state = policy.features(seen[:, :15], elapsed[:, :15], policy.feature_state(2))
    second, _ = policy.features(seen[:, 15:], elapsed[:, 15:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), features)
    rng = np.random.default_rng(5)
    weights, offset = torch.tensor(rng.normal(size=(2, features.shape[-1])) / 10), torch.tensor([0.1, -0.2])
    policy.set_readout(weights, offset)
    commands, _ = policy(seen, elapsed)
    expected = torch.tanh(features.double() @ weights.T + offset) * torch.tensor(LIMITS)
    torch.testing.assert_close(commands.double(), expected.double(), atol=1e-4, rtol=1e-4)


def test_a_reservoir_obeys_dale_s_law():
    policy = RandomNetwork("reservoir", 100).new_policy(SCALES, LIMITS, PERIOD_S, seed=2)
    weights = policy.effective()["w_rec"].detach().numpy()  # rows are presynaptic
    excites, inhibits = (weights > 0).any(1), (weights < 0).any(1)
    assert not (excites & inhibits).any()
    assert 15 <= inhibits.sum() <= 20  # a fifth; rounding may leave one without a synapse
    gain = weights.T / policy.effective()["du"].detach().numpy()[:, None]
    assert np.abs(np.linalg.eigvals(gain)).max() == pytest.approx(random_networks.GAIN, rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_readout_learns_the_expert_and_the_file_runs(kind):
    task = task_named("hover")
    numbers = task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s
    policy = RandomNetwork(kind, 80).new_policy(*numbers, seed=1)
    neurons = {k: v.clone() for k, v in policy.state_dict().items()}
    figures = []
    train("hover", policy, SMALL, lambda _, found: figures.append(found), trainer_class=ReadoutTrainer)
    changed = {k for k, v in policy.state_dict().items() if not torch.equal(v, neurons[k])}
    assert changed == ({"project.weight", "project.bias"} if kind == "esn" else {"network.w_out", "network.offset"})
    assert 0 < figures[0]["loss"] < 0.2  # the commands' variance is about 0.4
    file = policy.to_file(
        observation_names=task.observation_names, observation_units=task.observation_units,
        command_names=task.command_names, command_units=task.command_units, task=task.name, training_command="test",
        training_seeds=(1, 2),
    )  # fmt: skip
    controller = controller_of(file, "float")
    task.reset(1)
    state = None
    for _ in range(20):
        seen = task.observe()
        args = torch.tensor(seen, dtype=torch.float32)[None], torch.tensor([task.period_s], dtype=torch.float32)
        by_torch, state = policy.step(*args, state)
        command = controller.step(seen, task.period_s)
        np.testing.assert_allclose(command, by_torch[0].detach(), atol=2e-3)
        task.advance(command, task.period_s)


def test_an_interrupted_training_goes_on_with_the_same_weights(tmp_path):
    task = task_named("hover")
    numbers = task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s
    whole, halted = (RandomNetwork("esn", 30).new_policy(*numbers, seed=1) for _ in range(2))
    train("hover", whole, SMALL, trainer_class=ReadoutTrainer)

    class Halt(Exception):
        pass

    def halt(done: int, figures: dict) -> None:
        raise Halt

    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(Halt):
        train("hover", halted, SMALL, halt, checkpoint, ReadoutTrainer)
    halted = RandomNetwork("esn", 30).new_policy(*numbers, seed=1)
    train("hover", halted, SMALL, None, checkpoint, ReadoutTrainer)
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, halted.state_dict()[name]), name


def test_an_unknown_kind_is_refused():
    with pytest.raises(TaskError, match="unknown random network 'liquid'; give reservoir or esn"):
        RandomNetwork("liquid")
