# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from liquid_spike_control.checkpoint import read_controller, write_controller
from liquid_spike_control.errors import ModelError, TaskError
from liquid_spike_control.liquid.architecture import named
from liquid_spike_control.liquid.commands import export_command, inspect_command
from liquid_spike_control.liquid.policies import new_policy
from liquid_spike_control.liquid.wiring_figure import strengths
from liquid_spike_control.options import ControllerExportOptions, ControllerInspectOptions
from liquid_spike_control.resources import zoo


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


def test_inspect_tells_what_is_in_a_file(ncp, tmp_path, capsys):
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
        inspect_command(ControllerInspectOptions(zoo("pencil_controller.safetensors"), tmp_path / "w.png"))
    assert not (tmp_path / "w.png").exists()


def test_a_picture_of_an_unknown_kind_is_refused(ncp, tmp_path):
    with pytest.raises(TaskError, match="w.xyz"):
        inspect_command(ControllerInspectOptions(ncp, tmp_path / "w.xyz"))


def test_the_shipped_controller_is_exported(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    options = ControllerExportOptions(zoo("pencil_controller.safetensors"), tmp_path / "c.onnx")
    assert export_command(options) == 0
    assert "agrees" in capsys.readouterr().out
    with pytest.raises(TaskError, match="make it first"):
        export_command(ControllerExportOptions(options.model, tmp_path / "none" / "c.onnx"))
