# SPDX-License-Identifier: Apache-2.0
"""Spiking policies: their code, their gradient, their file, and the same spikes in torch and on the backends."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from surrogate import Spike

from liquid_spike_control.checkpoint import check_fits
from liquid_spike_control.control.files import controller_of, read_controller_file
from liquid_spike_control.control.spiking import SpikingController, spiking_model
from liquid_spike_control.errors import ModelError, TaskError, WorkerError
from liquid_spike_control.liquid.architecture import ELAPSED_RANGE
from liquid_spike_control.liquid.controller import LiquidController
from liquid_spike_control.neuromorphic.model import read_model
from liquid_spike_control.neuromorphic.workers.oracles import find_oracle
from liquid_spike_control.resources import zoo
from liquid_spike_control.spiking import control_period, policy_file
from liquid_spike_control.spiking.nir_io import read_perception_model, write_perception_model
from liquid_spike_control.spiking.policy import SpikingPolicy
from liquid_spike_control.spiking.policy_file import (
    SpikingArchitecture,
    read_spiking_controller,
    write_spiking_controller,
)
from liquid_spike_control.spiking.population_coding import encode
from liquid_spike_control.tasks.catalogue import task_named
from liquid_spike_control.tasks.episode import run_episode
from liquid_spike_control.tasks.perturbations import perturbation_named
from liquid_spike_control.tasks.scale import score
from liquid_spike_control.tasks.trained import trained_controller

PERIOD = 0.02
SMALL = SpikingArchitecture(units=(24,), fields=8, steps=4)


def new_policy(architecture=SMALL, n_observations=3, n_commands=2, seed=5):
    scales, limits = np.linspace(0.5, 2, n_observations), np.linspace(1, 10, n_commands)
    return SpikingPolicy(architecture, scales, limits, PERIOD, seed)


def lively(policy):
    """The same policy with a readout that moves the commands, as a trained one's does."""
    with torch.no_grad():
        policy.network.w_in.mul_(2)
        policy.network.w_out.mul_(20)
        policy.network.bias.uniform_(-0.02, 0.2, generator=torch.Generator().manual_seed(1))
    return policy


def to_file(policy):
    n_observations, n_commands = len(policy.scales), len(policy.limits)
    return policy.to_file(
        observation_names=[f"x{k}" for k in range(n_observations)],
        observation_units=["m"] * n_observations,
        command_names=[f"f{k}" for k in range(n_commands)],
        command_units=["N"] * n_commands,
        task="none",
        training_command="none",
        training_seeds=(0, 9),
    )


def wandering(n_steps, n_observations=3, seed=0):
    """Observations on a random walk, and periods that vary by 90 percent."""
    rng = np.random.default_rng(seed)
    observations = np.cumsum(rng.normal(0, 0.1, (n_steps, n_observations)), 0).astype(np.float32).astype(float)
    return observations, PERIOD * (1 + 0.9 * rng.uniform(-1, 1, n_steps))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("spiking") / "policy.nir"
    write_spiking_controller(path, to_file(lively(new_policy())))
    return path


# The code


def spikes_of(x, n_fields, n_steps, charge):
    x = np.asarray(x, float)[None]
    indptr, ids = np.zeros((1, n_steps + 1), np.int64), np.zeros((1, x.size * n_fields * n_steps), np.int32)
    encode(x, n_fields, n_steps, charge, indptr, ids)
    dense = np.zeros((n_steps, x.size * n_fields), bool)
    for t in range(n_steps):
        dense[t, ids[0, indptr[0, t] : indptr[0, t + 1]]] = True
    return dense


@given(st.floats(-1e6, 1e6), st.integers(2, 20))
@settings(max_examples=60, deadline=None)
def test_rates_are_those_of_gaussian_fields(x, n_fields):
    n_steps = 100
    counts = spikes_of([x], n_fields, n_steps, np.zeros((1, n_fields))).sum(0)
    z, centres = x / (0.5 + abs(x)), np.linspace(-1, 1, n_fields)
    rates = np.exp(-0.5 * ((z - centres) * (n_fields - 1) / 2) ** 2)
    assert np.abs(counts - n_steps * rates).max() <= 0.5 + 1e-9, "regular spikes are never half a spike behind"


def test_a_quantity_can_be_read_from_its_spikes():
    centres = np.linspace(-1, 1, 16)
    for x in np.linspace(-2, 2, 41):
        counts = spikes_of([x], 16, 30, np.zeros((1, 16))).sum(0)
        assert abs((counts * centres).sum() / counts.sum() - x / (0.5 + abs(x))) < 0.02


def test_charge_goes_on_from_period_to_period():
    whole, parts = np.zeros((1, 16)), np.zeros((1, 16))
    x = [0.3, -1.2]
    together = spikes_of(x, 8, 20, whole)
    pieces = [spikes_of(x, 8, 5, parts) for _ in range(4)]
    np.testing.assert_array_equal(np.concatenate(pieces), together)
    np.testing.assert_array_equal(parts, whole)


# The gradient


def by_autograd(policy, observation, elapsed, state):
    """The policy's equations, in plain torch."""
    effective, architecture = policy.effective(), policy.architecture
    charge, u, v, s, r = (part.clone() for part in state)
    commands = []
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
            s = Spike.apply(v)
            r = (1 - effective["dr"]) * r + s @ effective["w_out"]
        commands.append(torch.tanh(policy.network.read(r)) * policy.limits)
    return torch.stack(commands, 1), (charge, u, v, s, r)


@pytest.mark.parametrize("units", [(20,), (12, 9)])
def test_commands_and_gradients_equal_autograd(units):
    policy = lively(new_policy(dataclasses.replace(SMALL, units=units)).double())
    observations, elapsed = wandering(12)
    observation = torch.tensor(observations).reshape(2, 6, 3)
    elapsed = torch.tensor(elapsed).reshape(2, 6)
    target = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(2, 6, 2)
    gradients, commands = [], []
    for run in (policy, lambda *args: by_autograd(policy, *args)):
        policy.zero_grad()
        first, state = run(observation[:, :4], elapsed[:, :4], policy.initial_state(2))
        second, state = run(observation[:, 4:], elapsed[:, 4:], state)  # the gradient goes through the state
        loss = ((second - target[:, 4:]) ** 2).sum() + state[2].sum() + state[1].sum() + (first[:, :1] ** 2).sum()
        loss.backward()
        commands.append(torch.cat([first, second], 1).detach())
        gradients.append({name: p.grad.clone() for name, p in policy.named_parameters()})
    assert (state[4] != 0).all(), "the case must have spikes to mean anything"
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


# The file


def test_a_file_reads_back_to_the_bit(saved):
    wanted, read = to_file(lively(new_policy())), read_spiking_controller(saved)
    for field in dataclasses.fields(wanted):
        if field.name not in ("graph", "readout", "hash", "source"):
            assert getattr(read, field.name) == getattr(wanted, field.name), field.name
    ours, theirs = wanted.graph.populations["hidden"], read.graph.populations["hidden"]
    for part in ("du", "dv", "vth"):
        np.testing.assert_array_equal(getattr(theirs, part), getattr(ours, part))
    np.testing.assert_allclose(theirs.bias, ours.bias, rtol=1e-15)  # as a leak, it is divided by dv
    for ours, theirs in zip(wanted.graph.connections, read.graph.connections, strict=True):
        np.testing.assert_array_equal(theirs.weight, ours.weight)
    for part in ("weight", "decay", "mix", "offset"):
        np.testing.assert_array_equal(getattr(read.readout, part), getattr(wanted.readout, part))
    assert len(read.hash) == 64 and read.source == str(saved)


def test_the_same_policy_gives_the_same_content(tmp_path, saved):
    assert write_spiking_controller(tmp_path / "again.nir", to_file(lively(new_policy()))) == (
        read_spiking_controller(saved).hash
    )


def test_the_tools_for_networks_take_the_file(saved):
    model = read_model(saved)
    ours = spiking_model(read_spiking_controller(saved))
    assert model.network().hash == ours.network().hash
    assert model.step_s == ours.step_s == pytest.approx(PERIOD / 4)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="pencil_perception.nir: kind: expected spiking_controller"):
        read_spiking_controller(zoo("pencil_perception.nir"))
    with pytest.raises(ModelError, match="no such file"):
        read_spiking_controller(tmp_path / "none.nir")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"observation_names": ("a", "a", "b")}, "observation_names: expected at least one name, none twice"),
        ({"command_limits": (1.0, -1.0)}, "command_limits: expected finite numbers above 0"),
        ({"command_units": ("N",)}, "command_units: expected one for each of 2 names"),
        ({"nominal_period_s": float("nan")}, "nominal_period_s"),
        ({"training_seeds": (3, 2)}, "training_seeds"),
        ({"architecture": dataclasses.replace(SMALL, fields=9)}, "input: expected 36, found 32"),
        ({"architecture": dataclasses.replace(SMALL, units=(25,))}, "populations"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, words):
    with pytest.raises(ModelError, match=words):
        dataclasses.replace(to_file(new_policy()), **change)


JUNK = (None, 7, "text", ["a"], [[1.0]], {"a": 1})


@pytest.mark.parametrize("field", ["kind", "architecture", "observation_scales", "command_names", "nominal_period_s",
                                   "task", "training_seeds"])  # fmt: skip
def test_spoilt_metadata_are_refused_in_one_line(tmp_path, saved, field):
    """Whatever stands there is refused with one line, or it is what may stand there."""
    model, path = read_perception_model(saved), tmp_path / "spoilt.nir"
    for junk in JUNK:
        metadata = model.metadata | {field: junk}
        write_perception_model(path, model.graph, model.readout, metadata, model.metadata["dt"])
        if (field, junk) in (("nominal_period_s", 7), ("task", "text")):
            read_spiking_controller(path)
            continue
        with pytest.raises(ModelError, match="spoilt.nir") as caught:
            read_spiking_controller(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"units": ()}, "units"),
        ({"units": (5000,)}, "units"),
        ({"fields": 1}, "fields: expected 2 to 256"),
        ({"steps": 1}, "steps: expected 2 to 64"),
        ({"fields": 2.5}, "fields: expected an integer"),
        ({"membrane_taus": (1.0,)}, "membrane_taus"),
        ({"readout_taus": (0.0,)}, "readout_taus"),
    ],
)
def test_impossible_architectures_are_refused_by_name(change, words):
    with pytest.raises(ModelError, match=words):
        SpikingArchitecture(**change)


def test_a_robot_refuses_what_was_made_for_another(saved):
    file = read_spiking_controller(saved)
    robot = {
        "observation_names": file.observation_names,
        "observation_units": file.observation_units,
        "command_names": file.command_names,
        "command_units": file.command_units,
    }
    check_fits(file, **robot, period_s=PERIOD)
    with pytest.raises(ModelError, match="nominal_period_s"):
        check_fits(file, **robot, period_s=0.01)
    with pytest.raises(ModelError, match="command_units"):
        check_fits(file, **robot | {"command_units": ("Nm", "N")}, period_s=PERIOD)


# The controller


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


@pytest.mark.parametrize("recurrent, n_periods", [(False, 400), (True, 40)])
def test_the_chip_does_as_torch_does(recurrent, n_periods):
    """In an untrained recurrent network one spike more or less soon changes all the others: there, for a while."""
    policy = lively(new_policy(dataclasses.replace(SMALL, recurrent=recurrent)))
    controllers = {kind: SpikingController(to_file(policy), kind) for kind in ("float", "loihi")}
    observations, elapsed = wandering(n_periods)
    commands, _ = policy(torch.tensor(observations)[None].float(), torch.tensor(elapsed)[None].float())
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
    policy = lively(new_policy().double())
    file = to_file(policy)
    controller = SpikingController(file, "float")
    state = policy.initial_state(1)
    for _ in range(300):
        observation = rng.normal(size=3)
        _, state = policy.step(torch.tensor(observation)[None], torch.tensor([PERIOD]), state)
        controller.step(observation, PERIOD)
        for ours, theirs in (
            (state[1], controller.backend._u),
            (state[2] * (1 - state[3]), controller.backend._v),
        ):
            np.testing.assert_array_equal((ours * policy.thresholds)[0].detach().numpy(), theirs)
    assert control_period.forward.signatures


# Among other controllers


def test_a_file_of_any_kind_gives_its_controller(saved):
    file = read_controller_file(saved)
    assert isinstance(controller_of(file), SpikingController)
    liquid = read_controller_file(zoo("pencil_controller.safetensors"))
    assert isinstance(controller_of(liquid), LiquidController)
    with pytest.raises(ModelError, match="no such file"):
        read_controller_file("none.nir")


def test_elapsed_time_is_held_as_for_liquid_networks():
    assert policy_file.ELAPSED_RANGE == ELAPSED_RANGE


def test_another_tasks_controller_is_refused_by_name(saved):
    task = task_named("swing-up")
    with pytest.raises(ModelError, match="policy.nir: task: expected swing-up, found none"):
        trained_controller(saved, task)


@pytest.mark.parametrize("name", ["double-pendulum", "hover", "swing-up-full"])
def test_shipped_ones_do_nearly_as_their_experts_on_the_chip(name):
    task = task_named(name)
    controller = trained_controller(zoo(f"{name.replace('-', '_')}_spiking.nir"), task)
    result = run_episode(task, controller, perturbation_named("clean"), seed=3)
    assert result.success and result.n_unsafe == 0
    assert score(name, result.total_reward) > 85
    assert controller.stats().steps == 6 * result.n_steps
