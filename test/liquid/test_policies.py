# SPDX-License-Identifier: Apache-2.0
import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from liquid_spike_control.checkpoint import write_controller
from liquid_spike_control.liquid.architecture import named
from liquid_spike_control.liquid.controller import LiquidController
from liquid_spike_control.liquid.policies import new_policy, read_policy
from liquid_spike_control.liquid.wiring import WiringPlan

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
    "mlp, stacked": named("mlp_stacked", units=12, stacked=3),
    "s5": named("s5", units=12),
}


@pytest.fixture(params=ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
def policy(request):
    return new_policy(request.param, SCALES, LIMITS, PERIOD, seed=1)


def sequence(batch, time, seed=1):
    generator = torch.Generator().manual_seed(seed)
    observation = torch.randn(batch, time, 3, generator=generator)
    return observation, PERIOD * (0.3 + 2 * torch.rand(batch, time, generator=generator))


def steps_of(controller, observation, elapsed):
    return [controller.step(o.numpy().astype(float), float(t)) for o, t in zip(observation, elapsed, strict=True)]


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


def test_an_s5_solves_its_modes_exactly_whatever_the_steps_are():
    """Of an input that is held, one long step is as many short ones; a whole number of turns of a mode without a loss
    leaves it where it was."""
    layer = new_policy(named("s5", units=12), SCALES, LIMITS, PERIOD, seed=1).layers[0]
    x, state = torch.randn(4, 1, 12), (torch.randn(4, 12), torch.randn(4, 12))
    spans = torch.tensor([0.3, 0.5, 1.7]).expand(4, 3).unsqueeze(-1)
    _, short = layer(x.expand(4, 3, 12), spans, state)
    _, long = layer(x, spans.sum(1, keepdim=True), state)
    for a, b in zip(short, long, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        layer.log_rate.fill_(-20.0)
        layer.log_step.fill_(0.0)
        layer.frequency[:] = 2 * torch.pi * torch.arange(1, 13)
        _, turned = layer(0 * x, torch.ones(4, 1, 1), state)
    torch.testing.assert_close(turned, state, rtol=1e-3, atol=1e-4)


def test_constraints_hold_after_a_step_of_the_optimiser():
    policy = new_policy(named("ltc", units=8), SCALES, LIMITS, PERIOD, seed=1)
    cell = policy.layers[0].cell
    with torch.no_grad():
        cell.w -= 0.5
    policy.constrain()
    assert cell.w.min() == 0 and cell.w.max() > 0


@pytest.mark.parametrize("cell", ["cfc", "ltc"])
@pytest.mark.parametrize("kind, sparsity", [("random", 0.95), ("auto_ncp", 0.5)])
def test_a_wiring_without_synapses_between_neurons_can_be_trained_written_and_run(tmp_path, cell, kind, sparsity):
    architecture = named("ncp", cell=cell, units=3 if kind == "random" else 8, wiring=WiringPlan(kind, sparsity))
    policy = new_policy(architecture, SCALES, LIMITS, PERIOD, seed=1)
    for layer in policy.layers:
        layer.cell.wiring_synapses.zero_()
    policy.load_state_dict(policy.state_dict())
    observation, elapsed = sequence(2, 6)
    commands, _ = policy(observation, elapsed)
    commands.square().sum().backward()
    names = {"observation_names": "abc", "observation_units": "mmm", "command_names": "uv", "command_units": "NN"}
    write_controller(tmp_path / "c.safetensors", policy.to_file(
        **names, task="none", training_command="none", training_seeds=(0, 1)))  # fmt: skip
    controller = LiquidController.from_file(tmp_path / "c.safetensors")
    steps = steps_of(controller, observation[0], elapsed[0])
    torch.testing.assert_close(torch.tensor(np.array(steps)).float(), commands[0].detach(), rtol=0, atol=2e-5)
    assert controller.poisoned == 0 and np.ptp(steps, axis=0).min() > 0


@pytest.mark.parametrize("architecture", ["ncp of cfc", "ncp of cfc, mixed memory", "ncp"])
def test_weights_of_another_wiring_bring_their_synapses(architecture, tmp_path):
    """In torch, in the file, and in what was copied for a moving average."""
    ours = ARCHITECTURES[architecture]
    other = replace(ours, wiring=replace(ours.wiring, seed=ours.wiring.seed + 1))
    policy, donor = (new_policy(a, SCALES, LIMITS, PERIOD, seed=k) for k, a in enumerate((ours, other)))
    observation, elapsed = sequence(3, 5)
    assert not torch.equal(policy.layers[0].cell.wiring_synapses, donor.layers[0].cell.wiring_synapses)
    copied = copy.deepcopy(policy)
    for network in (policy, copied):
        network.load_state_dict(donor.state_dict())
        torch.testing.assert_close(network(observation, elapsed)[0], donor(observation, elapsed)[0], rtol=0, atol=0)
    names = {"observation_names": "abc", "observation_units": "mmm", "command_names": "uv", "command_units": "NN"}
    file = policy.to_file(**names, task="none", training_command="none", training_seeds=(0, 1))
    controller, expected = LiquidController(file), policy(observation[:1], elapsed[:1])[0][0]
    steps = steps_of(controller, observation[0], elapsed[0])
    torch.testing.assert_close(torch.tensor(np.array(steps)).float(), expected.detach(), rtol=0, atol=2e-5)
    assert not any("mask" in name for name in file.tensors)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda p, o, t: p(o[..., :2], t), "observation has shape .batch, time, 3., not .2, 4, 2."),
        (lambda p, o, t: p(o[0], t[0]), "observation has shape .batch, time, 3., not .4, 3."),
        (lambda p, o, t: p(o[:, :0], t[:, :0]), "observation has shape .batch, time, 3., not .2, 0, 3."),
        (lambda p, o, t: p(o, t[:, :3]), "elapsed has shape .2, 4., not .2, 3."),
        (lambda p, o, t: p(o, t[..., None]), "elapsed has shape .2, 4., not .2, 4, 1."),
        (lambda p, o, t: p.step(o[:, 0], t[:, 0, None]), "have shapes .batch, 3. and .batch,., not .2, 3. and .2, 1."),
        (lambda p, o, t: p.step(o[0, 0], t[0, 0]), "have shapes .batch, 3. and"),
        (lambda p, o, t: p(o, t, p.initial_state(3)), "state has parts of shapes .*2, 12.*, not .*3, 12"),
        (lambda p, o, t: p(o, t, ()), "state has parts of shapes"),
    ],
)
def test_wrong_shapes_are_named(call, says):
    policy = new_policy(ARCHITECTURES["lstm"], SCALES, LIMITS, PERIOD, seed=1)
    with pytest.raises(ValueError, match=says):
        call(policy, *sequence(2, 4))
