# SPDX-License-Identifier: Apache-2.0
"""The benchmark commands: what they write, and what they refuse."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from liquid_spike_control.assembly import read_robot_controller, read_robot_perception
from liquid_spike_control.checkpoint import read_controller, write_controller
from liquid_spike_control.errors import ModelError
from liquid_spike_control.resources import zoo
from liquid_spike_control.robots.pencil.description import ROBOT
from liquid_spike_control.robots.pencil.push import largest_push
from liquid_spike_control.spiking.nir_io import read_perception_model, write_perception_model

PERCEPTION, CONTROLLER = zoo("pencil_perception.nir"), zoo("pencil_controller.safetensors")


def bench(*arguments):
    command = [sys.executable, "-m", "liquid_spike_control", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=110)


def test_all_variants_in_one_json(tmp_path):
    out = tmp_path / "out.json"
    done = bench("pencil", "--seeds", "1000:1002", "--duration", "1.5", "--json", out)
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())["results"]
    assert set(results) == {"lqr_true", "lqr_spiking", "cfc_float", "cfc_loihi", "cfc_frames"}
    for name, figures in results.items():
        assert figures["episodes"] == 2 and figures["success_rate"] == 1.0, name
        assert figures["latency_p99_us"] >= figures["latency_p50_us"] > 0
    assert results["lqr_true"]["angle_rmse_deg"] == 0.0
    assert results["cfc_loihi"]["synaptic_operations_per_s"] > 10_000
    assert "davies2018" in results["cfc_loihi"]["energy_model"]
    assert results["cfc_frames"]["synaptic_operations_per_s"] is None
    assert "angle RMSE, deg" in done.stdout and "estimate by davies2018" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_energy_of_what_the_loop_saw(tmp_path):
    out, picture = tmp_path / "out.json", tmp_path / "energy.png"
    done = bench("energy", "--seeds", "1000:1001", "--duration", "1", "--json", out, "--plot", picture)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    pencil, image = json.loads(out.read_text())["results"]
    assert image["neurons"] == 49224 and image["inference_steps"] == 1
    assert pencil["inference_steps"] == 5 and pencil["work"]["steps"] >= 990
    assert pencil["work"]["input_spikes"] > 1000 and pencil["work"]["spikes"] > 100
    assert pencil["devices"][0]["model"] == "davies2018" and "estimates by published prices" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "5:5"], "is empty"),
        (["--seeds", "7"], "first:last+1"),
        (["--seeds", "1200000000:1200000002"], "training seeds"),
        (["--seeds", "1600000000:1600000002"], "training seeds"),
        (["--variants", "pid"], "known variants: lqr_true"),
        (["--push", "-1"], "push"),
        (["--jobs", "0"], "job"),
        (["--json", "nowhere/at/all.json"], "make it first"),
        (["--perception-model", "none.nir"], "none.nir: no such file"),
        (["--controller-model", "none.safetensors"], "none.safetensors"),
    ],
)
def test_bad_options_are_one_line_and_status_2(arguments, says):
    done = bench("pencil", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and says in done.stderr, done.stderr


def test_the_largest_push_is_interpolated():
    pushes = np.array([0.08, 0.09, 0.10, 0.11])
    assert largest_push(pushes, np.array([1.0, 1.0, 0.8, 0.0])) == pytest.approx(0.095)
    assert largest_push(pushes, np.ones(4)) == 0.11
    assert np.isnan(largest_push(pushes, np.array([0.5, 0, 0, 0])))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"observation_names": ("cart_position", "cart_velocity", "knee_angle", "knee_rate")}, "observation_names"),
        ({"observation_units": ("mm", "m/s", "rad", "rad/s")}, "observation_units"),
        ({"command_names": ("wheel_torque",)}, "command_names"),
        ({"command_limits": (25.0,)}, "command_limits"),
        ({"nominal_period_s": 0.01}, "nominal_period_s"),
    ],
)
def test_a_controller_for_another_robot_is_refused_by_name(tmp_path, change, named):
    path = tmp_path / "other.safetensors"
    write_controller(path, replace(read_controller(CONTROLLER), **change))
    with pytest.raises(ModelError, match=f"other.safetensors.*{named}"):
        read_robot_controller(ROBOT, path)
    done = bench("pencil", "--controller-model", path)
    assert done.returncode == 2 and named in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"feature_names": ["knee_angle", "knee_rate"]}, "feature_names"),
        ({"feature_units": ["deg", "deg/s"]}, "feature_units"),
        ({"input_encoding": {"width": 32, "height": 128, "row_group": 4}}, "input_encoding"),
        ({"input_encoding": {"width": 64, "height": 64, "row_group": 8}}, "input_encoding"),
        ({"input_encoding": None}, "metadata"),
    ],
)
def test_a_perception_for_another_robot_is_refused_by_name(tmp_path, change, named):
    model = read_perception_model(PERCEPTION)
    path = tmp_path / "other.nir"
    write_perception_model(path, model.graph, model.readout, model.metadata | change, dt=model.metadata["dt"])
    with pytest.raises(ModelError, match=f"other.nir.*{named}"):
        read_robot_perception(ROBOT, path)


def test_files_that_were_changed_after_training_are_refused(tmp_path):
    """One flipped bit in the weights, in either file."""
    for source, read in ((PERCEPTION, read_perception_model), (CONTROLLER, read_controller)):
        data = bytearray(source.read_bytes())
        data[int(len(data) * 0.7)] ^= 0x10
        path = tmp_path / source.name
        path.write_bytes(data)
        with pytest.raises(ModelError, match=source.name):
            read(path)


def test_the_shipped_models_say_how_they_were_made():
    assert read_perception_model(PERCEPTION).metadata["training_command"] == "liquid-spike train perception pencil"
    assert read_controller(CONTROLLER).training_command == "liquid-spike train controller pencil"
