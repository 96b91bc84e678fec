# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import replace

import numpy as np
import pytest

from liquid_spike_control.checkpoint import read_controller, write_controller
from liquid_spike_control.errors import ModelError, TaskError
from liquid_spike_control.liquid.architecture import named
from liquid_spike_control.liquid.commands import export_command, inspect_command, summary
from liquid_spike_control.liquid.controller import new_controller
from liquid_spike_control.liquid.policies import new_policy
from liquid_spike_control.liquid.wiring_figure import strengths
from liquid_spike_control.options import ControllerExportOptions, ControllerInspectOptions
from liquid_spike_control.resources import shipped_model


@pytest.fixture
def ncp(tmp_path):
    policy = new_policy(named("ncp"), (1.0, 0.1), (10.0,), 0.02, seed=1)
    file = policy.to_file(
        observation_names=("cart_position", "pole_angle"), observation_units=("m", "rad"),
        command_names=("cart_force",), command_units=("N",),
        task="balance", training_command="none", training_seeds=(0, 1),
    )  # fmt: skip
    write_controller(tmp_path / "ncp.safetensors", file)
    return tmp_path / "ncp.safetensors"


def test_inspect_prints_the_contents_of_a_file(ncp, tmp_path, capsys):
    assert inspect_command(ControllerInspectOptions(ncp, tmp_path / "w.png", tmp_path / "w.json")) == 0
    said = capsys.readouterr().out
    for word in ("balance, every 20 ms", "cart_position", "rad", "+-10", "19 ltc", "wiring auto_ncp"):
        assert word in said
    told = json.loads((tmp_path / "w.json").read_text())
    wiring = told["wirings"][0]
    assert sum(wiring["stages"]) == 19
    n = wiring["sensory_synapses"] + wiring["synapses"]
    assert wiring["drawn_excitatory"] + wiring["drawn_inhibitory"] == n
    assert told["weighted_connections"] == n + 1
    assert (tmp_path / "w.png").read_bytes()[:4] == b"\x89PNG"


def test_synapses_are_drawn_where_the_file_has_them(ncp):
    file = read_controller(ncp)
    wiring = named("ncp").wirings(2, 1)[0]
    sensory, inner = strengths(file, 0, wiring)
    assert ((sensory != 0) == (wiring.sensory != 0)).all()
    assert (np.sign(inner) == wiring.synapses).all()  # untrained, the signs are those that were drawn


def test_what_has_no_wiring_cannot_be_drawn(tmp_path):
    with pytest.raises(ModelError, match="wiring: expected one to draw, found cfc connected all to all"):
        inspect_command(ControllerInspectOptions(shipped_model("pencil/controller.safetensors"), tmp_path / "w.png"))
    assert not (tmp_path / "w.png").exists()


def test_a_picture_of_an_unknown_kind_is_refused(ncp, tmp_path):
    with pytest.raises(TaskError, match="w.xyz"):
        inspect_command(ControllerInspectOptions(ncp, tmp_path / "w.xyz"))


@pytest.mark.parametrize("command", ["inspect", "export"])
@pytest.mark.parametrize(("model", "says"), [
    ("swing_up/spiking.nir", "expected a liquid or gated controller, .safetensors, found HDF5, as"),
    ("arm/pd.yaml", "expected a network, .safetensors, found a text"),
])  # fmt: skip
def test_sound_files_of_other_controllers_are_named(tmp_path, command, model, says):
    with pytest.raises(ModelError, match=says) as refused:
        if command == "inspect":
            inspect_command(ControllerInspectOptions(shipped_model(model)))
        else:
            export_command(ControllerExportOptions(shipped_model(model), tmp_path / "c.onnx"))
    assert "again" not in str(refused.value)


def test_the_shipped_controller_is_exported(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    options = ControllerExportOptions(shipped_model("pencil/controller.safetensors"), tmp_path / "c.onnx")
    assert export_command(options) == 0
    assert "agrees" in capsys.readouterr().out
    with pytest.raises(TaskError, match="make it first"):
        export_command(ControllerExportOptions(options.model, tmp_path / "none" / "c.onnx"))


def test_synapses_without_effect_are_not_counted(tmp_path, capsys):
    """Neurons of one layer of a CfC see each other whatever is drawn: removing those synapses changes nothing."""
    policy = new_policy(named("ncp", cell="cfc"), (1.0, 0.1), (10.0,), 0.02, seed=1)
    names = {"observation_names": ("a", "b"), "observation_units": ("m", "m"), "command_names": ("u",),
             "command_units": ("N",)}  # fmt: skip
    file = policy.to_file(**names, task="balance", training_command="none", training_seeds=(0, 1))
    wiring = named("ncp").wirings(2, 1)[0]
    inter, command, _ = wiring.stages
    among = slice(inter, inter + command)
    n_among = int(np.count_nonzero(wiring.synapses[among, among]))
    told = summary(file)["wirings"][0]
    assert n_among > 0 and told["drawn_without_effect"] == n_among
    assert told["synapses"] == np.count_nonzero(wiring.synapses) - n_among
    without = dict(file.tensors)
    without["layers.0.cell.wiring_synapses"] = wiring.synapses.copy()
    without["layers.0.cell.wiring_synapses"][among, among] = 0
    a, b = new_controller(file), new_controller(replace(file, tensors=without))
    for k in range(5):
        observation = np.array([np.sin(k), np.cos(k)])
        assert (a.step(observation, 0.02) == b.step(observation, 0.02)).all()
    write_controller(tmp_path / "c.safetensors", file)
    inspect_command(ControllerInspectOptions(tmp_path / "c.safetensors"))
    assert f"{n_among} more are drawn within a layer" in capsys.readouterr().out
    assert summary(replace(file, tensors=without))["wirings"][0]["drawn_without_effect"] == 0


def test_every_synapse_of_an_ltc_counts(ncp):
    told = summary(read_controller(ncp))["wirings"][0]
    assert told["drawn_without_effect"] == 0
    assert told["synapses"] == np.count_nonzero(named("ncp").wirings(2, 1)[0].synapses)
