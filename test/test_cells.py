# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from ncps.torch import CfC

from liquid_spike_control.liquid.cells import CfCMixedMemory

PERIOD = 0.005


@pytest.fixture
def network():
    torch.manual_seed(0)
    scales, limits = [1.0, 2.0, 0.1], [10.0, 0.5]
    return CfCMixedMemory(scales, limits, PERIOD, units=12, backbone_units=20, backbone_layers=2)


def sequence(batch, time, seed=1):
    generator = torch.Generator().manual_seed(seed)
    observation = torch.randn(batch, time, 3, generator=generator)
    return observation, PERIOD * (0.3 + 2 * torch.rand(batch, time, generator=generator))


def test_equals_mixed_memory_of_ncps_at_batch_1(network):
    theirs = CfC(4, 12, mixed_memory=True, backbone_units=20, backbone_layers=2)
    theirs.lstm.load_state_dict(network.lstm.state_dict())
    theirs.rnn_cell.load_state_dict(network.cell.state_dict())
    observation, elapsed = sequence(1, 50)
    inputs = torch.cat([observation / torch.tensor([1.0, 2.0, 0.1]), elapsed[..., None] / PERIOD], -1)
    hidden, (h, c) = theirs(inputs, timespans=elapsed / PERIOD)
    expected = torch.tanh(network.project(hidden)) * torch.tensor([10.0, 0.5])
    command, state = network(observation, elapsed)
    torch.testing.assert_close(command, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(state, (h, c), rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 8, 12])  # 12 = units, where ncps is silently wrong
def test_a_batch_equals_its_rows(network, batch):
    observation, elapsed = sequence(batch, 30)
    together, _ = network(observation, elapsed)
    for k in range(batch):
        alone, _ = network(observation[k : k + 1], elapsed[k : k + 1])
        torch.testing.assert_close(together[k] / network.limits, alone[0] / network.limits, rtol=0, atol=1e-6)


def test_steps_and_pieces_equal_the_whole(network):
    observation, elapsed = sequence(3, 20)
    whole, end = network(observation, elapsed)
    first, state = network(observation[:, :7], elapsed[:, :7])
    second, state = network(observation[:, 7:], elapsed[:, 7:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(state, end)
    state = None
    for k in range(20):
        command, state = network.step(observation[:, k], elapsed[:, k], state)
        torch.testing.assert_close(command, whole[:, k])


def test_elapsed_time_matters_and_is_bounded(network):
    observation, elapsed = sequence(2, 10)
    assert not torch.equal(network(observation, elapsed)[0], network(observation, 2 * elapsed)[0])
    assert torch.equal(network(observation, elapsed * 0 - 1)[0], network(observation, elapsed * 0)[0])
    assert torch.equal(network(observation, elapsed * 0 + 5)[0], network(observation, elapsed * 0 + 50)[0])


def test_every_parameter_learns(network):
    observation, elapsed = sequence(4, 10)
    network(observation, elapsed)[0].square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_commands_stay_within_their_limits(network):
    observation, elapsed = sequence(4, 20)
    command, _ = network(1e3 * observation, elapsed)
    assert (command.abs() <= torch.tensor([10.0, 0.5])).all()
