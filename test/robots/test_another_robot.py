# SPDX-License-Identifier: Apache-2.0
"""Robots that the package has never seen: a folder each, in an empty place; and one that `liquid-spike new` writes."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from liquid_spike_control.liquid.architecture import named
from liquid_spike_control.liquid.policies import new_policy
from liquid_spike_control.records.replay import replay
from liquid_spike_control.robot import names, scales, units
from liquid_spike_control.robot_file import read_robot
from liquid_spike_control.training.controller_files import write_controller_file
from liquid_spike_control.training.random_features import RandomFeatures, train_random_features

HERE = Path(__file__).parent
sys.path += [str(HERE.with_name("nodes")), str(HERE.with_name("robot"))]  # processes.py, robots.py


def cli(*arguments: str, cwd: Path, timeout: float = 110) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "liquid_spike_control", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=cwd, env=os.environ)


def small_controller(folder: Path) -> None:
    """A network that nothing has trained yet: it commands something, which is all that a comparison of bytes needs."""
    robot = read_robot(folder)
    greatest = robot.greatest_commands.tolist()
    policy = new_policy(named("cfc", units=8), scales(robot.observations).tolist(), greatest, robot.period_s, 1)
    file = policy.to_file(
        observation_names=names(robot.observations), observation_units=units(robot.observations),
        command_names=names(robot.commands), command_units=units(robot.commands), task=robot.name,
        training_command="none", training_seeds=(0, 0),
    )  # fmt: skip
    write_controller_file(folder / "controller.safetensors", file)


@pytest.fixture(scope="module", params=["arm", pytest.param("car", marks=pytest.mark.slow)])
def folder(request, tmp_path_factory) -> Path:
    """A copy of a robot's folder with small models of its own."""
    folder = tmp_path_factory.mktemp("robots") / request.param
    shutil.copytree(HERE / request.param, folder)
    config = RandomFeatures(n_neurons=64, episodes=3, seconds=1.0)
    errors = train_random_features(read_robot(folder), config, folder / "perception.nir", "test")
    assert all(np.isfinite(rms) for rms, _ in errors.values()), errors
    small_controller(folder)
    return folder


def test_descriptions_are_short(folder):
    lines = [line for line in (folder / "robot.yaml").read_text().splitlines() if line.strip()]
    assert len(lines) <= 60
    assert len((folder / "task.py").read_text().splitlines()) <= 60


def test_over_ros_in_lockstep_it_is_the_loop_in_one_process(folder, ros_domain, tmp_path):
    episode = (f"./{folder.name}", "--seed", "5", "--duration", "1")
    alone = cli("run", *episode, "--in-process", "--json", str(tmp_path / "a.json"), cwd=folder.parent)
    assert alone.returncode in (0, 1), alone.stderr
    many = ("--mode", "lockstep", "--json", str(tmp_path / "b.json"), "--record", str(tmp_path / "out.mcap"))
    over_ros = cli("run", *episode, *many, cwd=folder.parent)
    assert over_ros.returncode == alone.returncode, over_ros.stderr
    a, b = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert a["ticks"] == b["ticks"] >= 50
    assert a["commands_sha256"] == b["commands_sha256"]
    assert a["rmse"] == b["rmse"] and a["rmse"]
    assert replay(tmp_path / "out.mcap").identical


def test_the_gate_may_publish_where_the_robot_takes_commands(folder):
    from liquid_spike_control.nodes.graph import GraphOptions, absolute, topics
    from liquid_spike_control.nodes.security.permissions import permissions

    options = GraphOptions(folder, simulated=False, mode="realtime", backend="in_process")
    robot = options.description
    wanted = {absolute(place.topic) for place in (*robot.command_places(), *robot.gated_places())}
    assert wanted <= set(permissions(options)["/gate"]["gate"].publish)
    assert wanted <= set(topics(options))  # and what is recorded has them


@pytest.mark.real_time
def test_on_a_real_robot_s_topics_it_is_driven(folder, ros_domain, tmp_path):
    """`run --real` against a stand-in that shares only the description: commands come, within the limits, and not only
    the safe ones; SIGTERM ends the graph cleanly.
    """
    from processes import Probe
    from robots import process
    from std_msgs.msg import String

    robot, probe = read_robot(folder), Probe()
    standin = [sys.executable, str(HERE.with_name("robot") / "described.py"), str(folder), "--seed", "3"]
    graph = [sys.executable, "-m", "liquid_spike_control", "run", str(folder), "--real", "--backend", "in_process"]
    try:
        heard = probe.hear(String, "/robot/state")
        with process(standin, tmp_path / "robot.log") as one, process(graph, tmp_path / "graph.log") as child:
            log = (tmp_path / "graph.log").read_text

            def driven() -> bool:
                assert one.poll() is None, (tmp_path / "robot.log").read_text()
                assert child.poll() is None, log()
                return bool(heard) and json.loads(heard[-1].data)["commands"] >= 200

            probe.spin_until(driven, 60, "200 commands")
            state = json.loads(heard[-1].data)
            least, most = np.array(state["least"]), np.array(state["most"])
            limits = robot.gate_limits()
            assert (least >= limits.lower).all() and (most <= limits.upper).all()
            assert (np.maximum(-least, most) > 0).all(), state
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 130, log()
            assert "Traceback" not in log()
    finally:
        probe.close()


def test_its_controller_is_tried_on_held_out_episodes(folder, tmp_path):
    out = tmp_path / "tried.json"
    arguments = ("--robot", f"./{folder.name}", "--perturbations", "clean", "--seeds", "20:22", "--json", str(out))
    done = cli("bench", "policy", *arguments, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    (controller,) = json.loads(out.read_text())["controllers"]
    assert controller["task"] == folder.name
    assert controller["figures"][0]["episodes"] == 2


def test_new_writes_a_package_whose_tests_pass(tmp_path):
    made = cli("new", "my_robot", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    own = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "my_robot"], cwd=tmp_path, capture_output=True,
        text=True, timeout=110,
    )  # fmt: skip
    assert own.returncode == 0, own.stdout
    again = cli("new", "my_robot", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (2, "liquid-spike: my_robot: exists; give another folder\n")
    wrong = cli("new", "My-Robot", cwd=tmp_path)
    assert wrong.returncode == 2 and "cannot be a Python package" in wrong.stderr
    small_controller(tmp_path / "my_robot" / "my_robot")
    ran = cli("run", "my_robot/my_robot", "--in-process", "--duration", "1", cwd=tmp_path)
    assert ran.returncode in (0, 1), ran.stderr
    assert "my_robot, seed 0, in one process" in ran.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_ball_is_seen_by_spikes(tmp_path):
    """Measured: 0.049 and 0.039 m, of 0.21 and 0.22 m by which the ball moves."""
    errors = train_random_features(read_robot(HERE / "arm"), RandomFeatures(), tmp_path / "p.nir", "test")
    assert all(rms < 0.4 * spread for rms, spread in errors.values()), errors


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_new_robot_learns_in_minutes(tmp_path):
    assert cli("new", "my_robot", cwd=tmp_path).returncode == 0
    inner = "my_robot/my_robot"
    trained = cli("train", "controller", inner, "--out", f"{inner}/controller.safetensors", "--controller", "cfc",
                  "--rounds", "3", cwd=tmp_path, timeout=800)  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    out = tmp_path / "tried.json"
    cli("bench", "policy", "--robot", inner, "--perturbations", "clean", "--json", str(out), cwd=tmp_path)
    assert json.loads(out.read_text())["controllers"][0]["figures"][0]["success"]["mean"] >= 0.9
