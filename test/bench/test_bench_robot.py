# SPDX-License-Identifier: Apache-2.0
"""The benchmark commands: what they write, and what they refuse."""

import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from cli_here import cli

from liquid_spike_control.assembly import read_robot_controller, read_robot_perception
from liquid_spike_control.bench.episodes import run_episode
from liquid_spike_control.bench.sweep import largest_survived, sweep_of
from liquid_spike_control.bench.variants import loop_of_variant, variants_of
from liquid_spike_control.checkpoint import read_controller, write_controller
from liquid_spike_control.errors import ModelError, RobotError
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.robot import Variant
from liquid_spike_control.robots.catalogue import robot_named
from liquid_spike_control.robots.pencil.description import ROBOT
from liquid_spike_control.spiking.nir_io import read_perception_model, write_perception_model

PERCEPTION, CONTROLLER = shipped_model("pencil/perception.nir"), shipped_model("pencil/controller.safetensors")


def bench(*arguments):
    return cli("bench", *arguments)


def test_all_variants_in_one_json(tmp_path):
    out = tmp_path / "out.json"
    done = bench("robot", "--seeds", "1000:1002", "--duration", "0.5", "--json", out)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    results = report["results"]
    assert set(results) == {"lqr_true", "lqr_spiking", "cfc_float", "cfc_loihi", "cfc_frames"}
    assert report["units"] == {"pole_angle": "rad", "pole_rate": "rad/s"} and report["duration_s"] == 0.5
    for name, figures in results.items():
        assert figures["episodes"] == 2 and figures["success_rate"] == 1.0, name
        assert figures["latency_p99_us"] >= figures["latency_p50_us"] > 0
        assert set(figures["truth_rms"]) == {"pole_angle", "pole_rate"}
    assert results["lqr_true"]["estimate_rmse"] == {"pole_angle": 0.0, "pole_rate": 0.0}
    assert 0 < results["cfc_loihi"]["estimate_rmse"]["pole_angle"] < 0.05
    assert results["cfc_loihi"]["synaptic_operations_per_s"] > 10_000
    assert "davies2018" in results["cfc_loihi"]["energy_model"]
    assert results["cfc_frames"]["synaptic_operations_per_s"] is None
    assert "pole_angle, deg" in done.stdout and "estimate by davies2018" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_robot_without_variants_has_its_expert_and_its_controller(tmp_path):
    out = tmp_path / "out.json"
    arguments = ("--seeds", "1000:1002", "--duration", "1", "--jobs", "1", "--json", out)
    done = bench("robot", "hover", *arguments)
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())["results"]
    assert list(results) == ["expert", "controller"] and all(r["episodes"] == 2 for r in results.values())
    assert results["expert"]["estimate_rmse"] == {} and results["expert"]["events_per_s"] == 0
    assert results["expert"]["reward_mean"] != results["controller"]["reward_mean"]
    assert "events" not in done.stdout and "reward" in done.stdout


def test_what_every_robot_can_be_driven_by():
    assert set(variants_of(robot_named("hover-partial"))) == {"expert"}
    pencil = robot_named("pencil")
    bare = msgspec.structs.replace(pencil, variants={})
    assert list(variants_of(bare)) == ["expert", "controller", "controller_float", "controller_true"]
    assert variants_of(pencil)["cfc_frames"].estimates == "frames.py:FrameEstimator"


@pytest.mark.slow
def test_a_sweep_of_a_setting(tmp_path):
    out, picture = tmp_path / "out.json", tmp_path / "push.png"
    arguments = ("--seeds", "1000:1002", "--duration", "4", "--variants", "lqr_true", "--sweep", "push=0:1:1")
    done = bench("robot", *arguments, "--json", out, "--plot", picture)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert report["values"] == [0.0, 1.0] and report["setting"] == "push"
    assert report["results"]["lqr_true"]["success_rates"] == [1.0, 0.0]
    assert report["results"]["lqr_true"]["largest"] == pytest.approx(0.1)
    assert "of lqr_true" in done.stdout and picture.read_bytes().startswith(b"\x89PNG")


def test_energy_of_what_the_loop_saw(tmp_path):
    out, picture = tmp_path / "out.json", tmp_path / "energy.png"
    done = bench("energy", "--seed", "1000", "--duration", "1", "--json", out, "--plot", picture)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    pencil, image = json.loads(out.read_text())["results"]
    assert image["neurons"] == 49224 and image["inference_steps"] == 1
    assert pencil["inference_steps"] == 5 and pencil["work"]["steps"] >= 990
    assert pencil["work"]["input_spikes"] > 1000 and pencil["work"]["spikes"] > 100
    assert pencil["devices"][0]["model"] == "davies2018" and "estimates by published prices" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def refused(arguments):
    """What the command line prints of arguments that it refuses, in one line."""
    done = cli("bench", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "5:5"], "is empty"),
        (["--seeds", "7"], "first:last+1"),
        (["--seeds", "1200000000:1200000002"], "training seeds"),
        (["--seeds", "1600000000:1600000002"], "training seeds"),
        (["--variants", "pid"], "known variants: lqr_true"),
        (["--set", "push=-1"], "push = -1 is a magnitude"),
        (["--set", "push=inf"], "--set push=inf; give a finite number"),
        (["--set", "push"], "--set push; give name=value"),
        (["--set", "gain=1"], "has no setting 'gain'; known settings: duration_s, tilt, push"),
        (["--sweep", "push=1:0:0.1"], "--sweep push=1:0:0.1; give a setting, a step above 0"),
        (["--sweep", "push=0:1"], "give setting=first:last:step"),
        (["--video", "a.gif"], "--video shows one variant; give --variants with one of "),
        (["--video", "a.gif", "--sweep", "push=0:1:0.5"], "--video shows one episode; leave --sweep out"),
        (["--plot", "a.png"], "--plot belongs to --sweep"),
        (["--jobs", "0"], "job"),
        (["--json", "nowhere/at/all.json"], "make it first"),
        (["--perception-model", "none.nir"], "none.nir: no such file"),
        (["--controller-model", "none.safetensors"], "none.safetensors"),
    ],
)
def test_bad_options_are_one_line_and_status_2(arguments, says):
    assert says in refused(["robot", "pencil", *arguments])


def test_energy_of_a_robot_without_a_perception_is_refused():
    assert "--robot hover: it has no perception" in refused(["energy", "--robot", "hover"])


@pytest.mark.parametrize(
    ("place", "code", "says"),
    [
        ("law.py:Law", None, "law.py is not there; give a file in the robot's folder"),
        ("law.py:Law", "class Pid: ...", "law.py has no variants: controller Law; give one of its classes: Pid"),
        ("law.py:Law", "1 / 0", "law.py, line 1: ZeroDivisionError"),
        ("law.py:Law", "class Law: ...", "law.py:Law: TypeError: Law() takes no arguments; correct the class"),
    ],
)
def test_a_controller_of_a_variant_that_cannot_be_used(tmp_path, place, code, says):
    scene = Path(robot_named("hover").folder, "scene.xml")
    robot = msgspec.structs.replace(robot_named("hover"), variants={"mine": Variant(controller=place)})
    copied = tmp_path / f"hover_{len(says)}"
    copied.mkdir()
    if code is not None:
        (copied / "law.py").write_text(code + "\n")
    (copied / "scene.xml").write_text(scene.read_text())
    robot = msgspec.structs.replace(robot, folder=str(copied), task="liquid_spike_control.robots.hover.task:Hover")
    with pytest.raises(RobotError, match=re.escape(says)):
        loop_of_variant(robot, robot.variants["mine"])


def test_the_largest_value_is_interpolated():
    pushes = np.array([0.08, 0.09, 0.10, 0.11])
    assert largest_survived(pushes, np.array([1.0, 1.0, 0.8, 0.0])) == pytest.approx(0.095)
    assert largest_survived(pushes, np.ones(4)) == 0.11
    assert np.isnan(largest_survived(pushes, np.array([0.5, 0, 0, 0])))
    assert sweep_of("push=0.09:0.1:0.0025") == ("push", (0.09, 0.0925, 0.095, 0.0975, 0.1))


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
    assert named in refused(["robot", "pencil", "--controller-model", path])


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


def test_a_variant_that_learns_by_reward_begins_each_episode_anew():
    robot, rewards = robot_named("lane_car"), []
    for learns, seeds in ((True, (1000, 1001)), (True, (1001,)), (False, (1001,))):
        variant = Variant(estimates="truth", controller="rstdp.yaml", rewards=learns)
        with (loop := loop_of_variant(robot, variant, duration_s=3.0)).world:
            rewards.append([run_episode(loop, seed).reward for seed in seeds][-1])
            assert (loop.controller.account() != {}) == learns
    after_another, alone, still = rewards
    assert after_another == alone != still
    for controller, error in (("expert", RobotError), ("ncp.safetensors", ModelError)):
        with pytest.raises(error, match="does not learn by reward; give "):
            loop_of_variant(robot, Variant(estimates="truth", controller=controller, rewards=True))
