# SPDX-License-Identifier: Apache-2.0
"""The compiled LTC against the autograd graph of its readable form."""

import pytest
import torch

from liquid_spike_control.liquid.architecture import named
from liquid_spike_control.liquid.policies import new_policy

N_INPUTS, PERIOD = 5, 0.02


def cell_and_sequence(name, batch, time, **changes):
    """A cell with potentials and inputs of a few units and spans from a tenth of a period to three."""
    architecture = named(name, **changes)
    policy = new_policy(architecture, [1.0] * (N_INPUTS - 1), [1.0, 1.0], PERIOD, seed=3)
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(batch, time, N_INPUTS, generator=generator)
    span = 0.1 + 2.9 * torch.rand(batch, time, 1, generator=generator)
    potential = torch.randn(batch, architecture.units, generator=generator)
    weighting = torch.randn(batch, time, architecture.units, generator=generator)
    return policy.layers[0].cell, x, span, potential, weighting


def step_by_step(cell, x, span, potential):
    advance, states = cell.over(x, span), []
    for k in range(x.shape[1]):
        potential = advance(k, potential)
        states.append(potential)
    return torch.stack(states, 1)


def gradients(run, cell, x, span, potential, weighting):
    """What a run gives, and its gradients by everything it depends on, by name."""
    of = {"x": x.clone(), "span": span.clone(), "potential": potential.clone()}
    parts = {name: part.requires_grad_() for name, part in of.items()} | dict(cell.named_parameters())
    states = run(cell, **of)
    return states, dict(zip(parts, torch.autograd.grad((states * weighting).sum(), list(parts.values())), strict=True))


@pytest.mark.parametrize("batch, time", [(64, 25), (3, 7), (1, 1), (17, 4)])
@pytest.mark.parametrize("name, changes", [
    ("ltc", {"units": 33}), ("ltc", {"units": 5, "unfolds": 1}), ("ncp", {"units": 24}),
])  # fmt: skip
def test_states_and_gradients_are_those_of_the_graph(name, changes, batch, time):
    cell, *sequence = cell_and_sequence(name, batch, time, **changes)
    states, by_part = gradients(lambda cell, **given: cell.sequence(**given), cell, *sequence)
    expected, by_part_expected = gradients(step_by_step, cell, *sequence)
    torch.testing.assert_close(states, expected, rtol=0, atol=1e-5)
    for part, gradient in by_part_expected.items():
        assert (by_part[part] - gradient).abs().max() < 1e-4 * gradient.abs().max(), part


def test_a_layer_takes_it_with_the_state_carried_over():
    policy = new_policy(named("ncp", layers=2), [1.0] * 3, [1.0], PERIOD, seed=1)
    double = new_policy(named("ncp", layers=2), [1.0] * 3, [1.0], PERIOD, seed=1).double()  # step by step
    generator = torch.Generator().manual_seed(2)
    observation = torch.randn(6, 40, 3, generator=generator)
    elapsed = PERIOD * (0.3 + 2 * torch.rand(6, 40, generator=generator))
    commands, state = [], None
    for begin in (0, 13, 14):
        piece = slice(begin, {0: 13, 13: 14, 14: 40}[begin])
        command, state = policy(observation[:, piece], elapsed[:, piece], state)
        commands.append(command)
    expected, end = double(observation.double(), elapsed.double())
    torch.testing.assert_close(torch.cat(commands, 1).double(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close([part.double() for part in state], list(end), rtol=0, atol=1e-5)


def test_the_same_sequences_give_the_same_bytes():
    cell, *sequence = cell_and_sequence("ltc", 20, 12, units=19)
    runs = [gradients(lambda cell, **given: cell.sequence(**given), cell, *sequence) for _ in range(2)]
    assert torch.equal(runs[0][0], runs[1][0])
    assert all(torch.equal(runs[0][1][part], runs[1][1][part]) for part in runs[0][1])
