# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from liquid_spike_control.liquid.architecture import named
from liquid_spike_control.liquid.policies import new_policy, read_policy

PERIOD = 0.005
SCALES, LIMITS = [1.0, 2.0, 0.1], [10.0, 0.5]
ARCHITECTURES = {
    "cfc": named("cfc", units=12, backbone_units=20, backbone_layers=2),
    "cfc without backbone, pure": named("cfc", units=9, backbone_units=0, mode="pure", layers=2),
    "cfc_mm": named("cfc_mm", units=12, mode="no_gate", encoder_units=5),
    "ltc": named("ltc", units=7),
    "ncp": named("ncp"),
    "ncp of cfc": named("ncp", cell="cfc", layers=2),
    "ncp of cfc, mixed memory": named("ncp", cell="cfc", mixed_memory=True),
    "gru": named("gru", units=12),
    "lstm": named("lstm", units=12, layers=2),
    "mlp": named("mlp", units=12),
}


@pytest.fixture(params=ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def policy(request):
    return new_policy(request.param, SCALES, LIMITS, PERIOD, seed=1)


def sequence(batch, time, seed=1):
    generator = torch.Generator().manual_seed(seed)
    observation = torch.randn(batch, time, 3, generator=generator)
    return observation, PERIOD * (0.3 + 2 * torch.rand(batch, time, generator=generator))


@pytest.mark.parametrize("batch", [12, 19])  # as many as units, where ncps is silently wrong
def test_a_batch_equals_its_rows(policy, batch):
    observation, elapsed = sequence(batch, 12)
    together, _ = policy(observation, elapsed)
    for k in range(0, batch, 5):
        alone, _ = policy(observation[k : k + 1], elapsed[k : k + 1])
        torch.testing.assert_close(together[k] / policy.limits, alone[0] / policy.limits, rtol=0, atol=2e-6)


def test_steps_and_pieces_equal_the_whole(policy):
    observation, elapsed = sequence(3, 20)
    whole, end = policy(observation, elapsed)
    first, state = policy(observation[:, :7], elapsed[:, :7])
    second, state = policy(observation[:, 7:], elapsed[:, 7:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(state, end)
    state = None
    for k in range(20):
        command, state = policy.step(observation[:, k], elapsed[:, k], state)
        torch.testing.assert_close(command, whole[:, k])


def test_rows_can_be_reset(policy):
    observation, elapsed = sequence(2, 6)
    _, state = policy(observation, elapsed)
    assert len(state) == len(policy.initial_state(2))
    state = tuple(part * torch.tensor([1.0, 0.0])[:, None] for part in state)
    again, _ = policy(observation, elapsed, state)
    torch.testing.assert_close(again[1], policy(observation, elapsed)[0][1])


def test_elapsed_time_matters_and_is_bounded(policy):
    observation, elapsed = sequence(2, 10)
    assert not torch.equal(policy(observation, elapsed)[0], policy(observation, 2 * elapsed)[0])
    assert torch.equal(policy(observation, elapsed * 0 - 1)[0], policy(observation, elapsed * 0)[0])
    assert torch.equal(policy(observation, elapsed * 0 + 5)[0], policy(observation, elapsed * 0 + 50)[0])


@pytest.mark.parametrize("name", ["cfc", "ltc", "gru", "mlp"])
def test_elapsed_time_can_be_hidden(name):
    observation, elapsed = sequence(2, 10)
    for hidden_input in (True, False):
        architecture = named(name, units=8, elapsed_input=not hidden_input, elapsed_span=False)
        policy = new_policy(architecture, SCALES, LIMITS, PERIOD, seed=1)
        same = torch.equal(policy(observation, elapsed)[0], policy(observation, 2 * elapsed)[0])
        assert same == hidden_input


def test_every_parameter_that_counts_learns(policy):
    observation, elapsed = sequence(8, 20)
    policy(observation, elapsed)[0].square().mean().backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_commands_stay_within_their_limits(policy):
    observation, elapsed = sequence(4, 20)
    command, _ = policy(1e3 * observation, elapsed)
    assert (command.abs() <= torch.tensor(LIMITS)).all()


def test_the_same_seed_gives_the_same_weights_and_leaves_torch_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    weights = [new_policy(named("cfc_mm"), SCALES, LIMITS, PERIOD, seed).project.weight for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(before, torch.get_rng_state())


def test_a_file_and_back(policy):
    file = policy.to_file(
        observation_names="abc", observation_units="mmm", command_names="uv", command_units="NN",
        task="none", training_command="none", training_seeds=(0, 1),
    )  # fmt: skip
    observation, elapsed = sequence(2, 10)
    assert torch.equal(read_policy(file)(observation, elapsed)[0], policy(observation, elapsed)[0])


def test_constraints_hold_after_a_step_of_the_optimiser():
    policy = new_policy(named("ltc", units=8), SCALES, LIMITS, PERIOD, seed=1)
    cell = policy.layers[0].cell
    with torch.no_grad():
        cell.w -= 0.5
    policy.constrain()
    assert cell.w.min() == 0 and cell.w.max() > 0
