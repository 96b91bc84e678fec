# SPDX-License-Identifier: Apache-2.0
"""Compiled controllers against ncps itself, whose cells are called one step at a time with spans of shape (1, 1)."""

import ncps.wirings
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ncps.torch import LTC, CfC
from torch import nn

from liquid_spike_control.checkpoint import read_controller, write_controller
from liquid_spike_control.errors import ModelError
from liquid_spike_control.liquid.controller import new_controller
from liquid_spike_control.liquid.ncps_import import from_ncps
from liquid_spike_control.liquid.policies import read_policy

PERIOD = 0.02
N_OBSERVATIONS, N_COMMANDS = 3, 2


def run_ncps(modules, readout, inputs, spans):
    """Outputs of ncps: float32 ``(n_steps, n_outputs)``."""
    states = [(torch.zeros(1, m.state_size), torch.zeros(1, m.state_size)) for m in modules]
    outputs = []
    with torch.no_grad():
        for x, span in zip(inputs, spans, strict=True):
            for k, module in enumerate(modules):
                hidden, memory = states[k]
                if module.use_mixed:
                    hidden, memory = module.lstm(x, (hidden, memory))
                x_out, hidden = module.rnn_cell(x, hidden, span)
                states[k] = hidden, memory
                x = module.fc(x_out) if isinstance(module, CfC) else x_out
            outputs.append(readout(x)[0] if readout else x[0])
    return torch.stack(outputs).numpy()


def imported(modules, **options):
    described = {
        "observation_names": "abc", "observation_units": "mmm", "observation_scales": (1.0, 3.0, 0.1),
        "command_names": "uv", "command_units": "NN", "command_limits": (1e3, 1e3), "nominal_period_s": PERIOD,
    }  # fmt: skip
    return from_ncps(modules, **described | options)


def agreement(modules, file, readout, n_steps, seed=0):
    """Greatest difference between ncps and the compiled controller over irregular steps."""
    a = file.architecture
    rng = np.random.default_rng(seed)
    observation = 2 * rng.normal(size=(n_steps, N_OBSERVATIONS)) * file.observation_scales
    dt = PERIOD * rng.uniform(0.1, 3, n_steps)
    inputs = observation / file.observation_scales
    if a.elapsed_input:
        inputs = np.hstack([inputs, dt[:, None] / PERIOD])
    spans = dt / PERIOD * a.period_span if a.elapsed_span else np.ones(n_steps)
    x, span = torch.tensor(inputs).float()[:, None], torch.tensor(spans).float().view(-1, 1, 1)
    expected = run_ncps(modules, readout, x, span)
    controller = new_controller(file)
    ours = np.array([controller.step(o, t) for o, t in zip(observation, dt, strict=True)]) / file.command_limits
    if a.output == "clip":
        assert np.abs(expected).max() < 1e3
        ours = ours * file.command_limits[0]
        expected = expected * file.command_limits[0]
        return np.abs(ours - expected).max() / 1e3
    return np.abs(ours - np.tanh(expected)).max()


@st.composite
def networks(draw):
    """ncps modules of random architecture with random weights, a readout or none, and how they were trained."""
    n_inputs = N_OBSERVATIONS + (elapsed_input := draw(st.booleans()))
    kind, layers, mixed = draw(st.sampled_from(["cfc", "ltc"])), draw(st.integers(1, 2)), draw(st.booleans())
    units = draw(st.integers(6, 24))
    wiring = draw(st.sampled_from(["none", "auto", "ncp", "random", "full"]))
    mode = draw(st.sampled_from(["default", "pure", "no_gate"]))
    backbone = draw(st.integers(0, 4)), draw(st.integers(1, 30))
    activation = draw(st.sampled_from(["lecun_tanh", "relu", "tanh", "gelu", "silu"]))
    constraints, unfolds = draw(st.booleans()), draw(st.integers(1, 6))
    sparsity = draw(st.sampled_from([0.1, 0.5, 0.8]))
    torch.manual_seed(draw(st.integers(0, 2**31)))

    def new_wiring():  # one for each module: a shared one would grow
        if wiring == "auto":
            return ncps.wirings.AutoNCP(units, N_COMMANDS, sparsity_level=sparsity)
        if wiring == "ncp":
            return ncps.wirings.NCP(units - 4, 2, 2, 2, 1, 3, 1)
        if wiring == "random":
            return ncps.wirings.Random(units, sparsity_level=sparsity)
        return ncps.wirings.FullyConnected(units, self_connections=sparsity < 0.5)

    modules = []
    for _ in range(layers):
        if kind == "ltc":
            size = units if wiring == "none" else new_wiring()
            module = LTC(
                n_inputs, size, mixed_memory=mixed, implicit_param_constraints=constraints, ode_unfolds=unfolds
            )
        elif wiring == "none":
            module = CfC(n_inputs, units, mixed_memory=mixed, mode=mode, activation=activation,
                         backbone_layers=backbone[0], backbone_units=backbone[1] if backbone[0] else 1)  # fmt: skip
        else:
            module = CfC(n_inputs, new_wiring(), mixed_memory=mixed, mode=mode)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if parameter.requires_grad and name.rsplit(".", 1)[-1] in ("input_b", "output_b", "bias", "w_tau", "A"):
                    parameter += 0.2 * torch.randn_like(parameter)
        if kind == "ltc" and not constraints:
            module.rnn_cell.apply_weight_constraints()
        modules.append(module)
        n_inputs = module.output_size
    readout = nn.Linear(n_inputs, N_COMMANDS) if n_inputs != N_COMMANDS or draw(st.booleans()) else None
    span = draw(st.sampled_from([None, 1.0, 0.3]))
    options = {"elapsed_input": elapsed_input, "timespan_of_period": span, "readout": readout, "output": "tanh"}
    return modules, options


@settings(max_examples=20, deadline=None, derandomize=True)
@given(networks())
def test_any_ncps_network_compiled_equals_ncps(network):
    modules, options = network
    assert agreement(modules, imported(modules, **options), options["readout"], 60) < 1e-5


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(networks(), st.integers(0, 2**31))
def test_any_ncps_network_compiled_equals_ncps_over_2000_irregular_steps(network, seed):
    modules, options = network
    assert agreement(modules, imported(modules, **options), options["readout"], 2000, seed) < 1e-5


NETWORKS = {
    "CfC, mixed memory": lambda: CfC(3, 19, proj_size=2, mixed_memory=True, backbone_layers=2),
    "NCP of CfC": lambda: CfC(3, ncps.wirings.AutoNCP(19, 2)),
    "NCP of LTC": lambda: LTC(3, ncps.wirings.AutoNCP(19, 2)),
}


@pytest.mark.parametrize("new", NETWORKS.values(), ids=NETWORKS.keys())
def test_equals_ncps_over_2000_irregular_steps(new):
    torch.manual_seed(0)
    module = new()
    assert agreement([module], imported(module, output="tanh"), None, 2000) < 1e-5


def test_through_a_file_and_back_into_torch(tmp_path):
    torch.manual_seed(0)
    module = LTC(4, ncps.wirings.AutoNCP(19, 2), mixed_memory=True)
    file = imported(module, elapsed_input=True, output="tanh")
    write_controller(tmp_path / "c.safetensors", file)
    read = read_controller(tmp_path / "c.safetensors")
    assert agreement([module], read, None, 100) < 1e-5
    rng = np.random.default_rng(0)
    observation, dt = rng.normal(size=(50, 3)), PERIOD * rng.uniform(0.3, 3, 50)
    command, _ = read_policy(read)(torch.tensor(observation)[None], torch.tensor(dt)[None])
    controller = new_controller(read)
    ours = [controller.step(o, t) for o, t in zip(observation, dt, strict=True)]
    np.testing.assert_allclose(ours, command[0].detach().numpy(), atol=1e-2)  # of 1000


def test_two_layers_with_a_projection_between_them():
    torch.manual_seed(0)
    modules = [CfC(3, 16, proj_size=5), CfC(5, 16, proj_size=2)]
    assert agreement(modules, imported(modules, output="tanh"), None, 200) < 1e-5


def test_an_output_beyond_its_limit_is_held_there():
    torch.manual_seed(0)
    module = CfC(3, 8, proj_size=2)
    with torch.no_grad():
        module.fc.bias += 5
    controller = new_controller(imported(module, output="clip"))
    assert (controller.step(np.zeros(3), PERIOD) == 1e3).all()


@pytest.mark.parametrize(
    "modules, options, words",
    [
        (nn.GRU(3, 2), {}, "ncps.torch.CfC"),
        ([], {}, "at least one"),
        ([CfC(3, 8), CfC(8, 9)], {}, "same kind and size"),
        ([CfC(3, 8), LTC(8, 8)], {}, "same kind and size"),
        (CfC(3, 8), {}, "2, one for each command"),
        (CfC(3, 8, proj_size=2), {"readout": nn.Linear(3, 2)}, "2 inputs"),
        (CfC(4, 8, proj_size=2), {}, "inputs: expected 3, 3 observations, found 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_by_name(modules, options, words):
    with pytest.raises(ModelError, match=words) as error:
        imported(modules, **options)
    assert "\n" not in str(error.value)
