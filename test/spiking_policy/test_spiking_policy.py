# SPDX-License-Identifier: Apache-2.0
"""The trainable spiking policy: its equations, its gradient, its size, and that it learns."""

import dataclasses

import pytest
import torch
from small_policies import PERIOD, SLOW, SMALL, lively, new_policy, sinking, wandering
from surrogate import Spike

from liquid_spike_control.spiking.policy_file import SpikingArchitecture


def by_autograd(policy, observation, elapsed, state):
    """The policy's equations, in plain torch."""
    effective, architecture = policy.effective(), policy.architecture
    charge, u, v, s, r = (part.clone() for part in state)
    commands, lowest = [], architecture.lowest_potential / policy.thresholds
    centres = torch.arange(architecture.fields, dtype=observation.dtype)
    for x in policy.inputs(observation, elapsed).unbind(1):
        z = (x / (0.5 + x.abs()) + 1) * (architecture.fields - 1) / 2
        rate = torch.exp(-0.5 * (z[..., None] - centres) ** 2).flatten(1)
        axons = torch.zeros_like(rate)
        for t in range(architecture.steps):
            arriving = s @ effective["w_rec"] + axons @ effective["w_in"]
            if t + 1 < architecture.steps:
                charge = charge + rate
                axons = (charge >= 0.5).to(x.dtype)
                charge = charge - axons
            u = (1 - effective["du"]) * u + arriving
            v = (1 - effective["dv"]) * v * (1 - s.detach()) + u + effective["bias"]
            v = torch.clamp(v, min=lowest)
            s = Spike.apply(v)
            r = (1 - effective["dr"]) * r + s @ effective["w_out"]
        commands.append(torch.tanh(policy.network.read(r)) * policy.limits)
    return torch.stack(commands, 1), (charge, u, v, s, r)


@pytest.mark.parametrize("units, batch, sunk", [((20,), 2, 0), ((12, 9), 3, 0), ((20,), 1, 0), ((20,), 3, 0.9999)])
def test_commands_and_gradients_equal_autograd(units, batch, sunk):
    """Also of neurons near their lowest potential, some of which then reach it."""
    policy, at_bottom = sinking(lively(new_policy(dataclasses.replace(SLOW if sunk else SMALL, units=units)).double()))
    charge, u, v, s, r = policy.initial_state(batch)
    slow = policy.network.group > 0
    v[:, slow] = (sunk * policy.architecture.lowest_potential / policy.thresholds)[slow]
    observations, elapsed = wandering(6 * batch)
    observation = torch.tensor(observations).reshape(batch, 6, 3)
    elapsed = torch.tensor(elapsed).reshape(batch, 6)
    target = torch.linspace(-1, 1, 12 * batch, dtype=torch.float64).reshape(batch, 6, 2)
    gradients, commands = [], []
    for run in (policy, lambda *args: by_autograd(policy, *args)):
        policy.zero_grad()
        first, state = run(observation[:, :4], elapsed[:, :4], (charge, u, v, s, r))
        bottom = at_bottom(state[2])
        second, state = run(observation[:, 4:], elapsed[:, 4:], state)  # the gradient goes through the state
        loss = ((second - target[:, 4:]) ** 2).sum() + state[2].sum() + state[1].sum() + (first[:, :1] ** 2).sum()
        loss.backward()
        commands.append(torch.cat([first, second], 1).detach())
        gradients.append({name: p.grad.clone() for name, p in policy.named_parameters()})
    assert (state[4] != 0).all(), "the case must have spikes to mean anything"
    assert (bottom > 0) == (sunk > 0), "and neurons at the bottom, or none"
    torch.testing.assert_close(*commands, rtol=1e-9, atol=1e-9)
    for name, gradient in gradients[0].items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-7, atol=1e-9, msg=name)


def test_pieces_equal_the_whole_and_rows_are_independent():
    policy = lively(new_policy())
    observations, elapsed = wandering(40)
    observation = torch.tensor(observations, dtype=torch.float32).reshape(2, 20, 3)
    elapsed = torch.tensor(elapsed, dtype=torch.float32).reshape(2, 20)
    whole, end = policy(observation, elapsed)
    first, state = policy(observation[:, :7], elapsed[:, :7])
    second, state = policy(observation[:, 7:], elapsed[:, 7:], state)
    assert torch.equal(torch.cat([first, second], 1), whole)
    assert all(torch.equal(a, b) for a, b in zip(state, end, strict=True))
    alone, _ = policy(observation[1:], elapsed[1:])
    assert torch.equal(alone, whole[1:])
    state = None
    for k in range(20):
        command, state = policy.step(observation[:, k], elapsed[:, k], state)
        assert torch.equal(command, whole[:, k])
    assert whole.std() > 0.01


def test_the_same_seed_gives_the_same_policy():
    one, same, other = (new_policy(seed=seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(one[k], same[k]) for k in one)
    assert not torch.equal(one["network.w_in"], other["network.w_in"])


def test_parameters_are_counted_truly():
    for architecture in (SMALL, SpikingArchitecture(units=(10, 7), recurrent=False, elapsed_input=False)):
        net = new_policy(architecture).network
        masked = net.mask_in.sum() + net.mask_rec.sum()
        others = [p.numel() for name, p in net.named_parameters() if name not in ("w_in", "w_rec")]
        assert architecture.n_parameters(3, 2) == int(masked) + sum(others)


def test_it_learns():
    """Of two observations, the difference of the first from where it was two periods ago: it needs a memory."""
    policy = new_policy(dataclasses.replace(SMALL, units=(48,)), 2, 1)
    observation = torch.randn(48, 20, 2, generator=torch.Generator().manual_seed(0))
    target = torch.tanh(observation[:, 2:, :1] - observation[:, :-2, :1])
    elapsed = torch.full((48, 20), PERIOD)
    optimiser, losses = torch.optim.Adam(policy.parameters(), lr=1e-2), []
    for _ in range(60):
        command, _ = policy(observation, elapsed)
        loss = ((command[:, 2:] - target) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]
