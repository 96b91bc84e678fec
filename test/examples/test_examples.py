# SPDX-License-Identifier: Apache-2.0
"""Each example runs, does what its first line says, and stays short."""

import importlib.util
import os
import subprocess
import sys
import time
from types import ModuleType

import numpy as np
import pytest
from sources import ROOT

from liquid_spike_control.events.files import open_events
from liquid_spike_control.neuromorphic import read_network

sys.path.insert(0, str(ROOT / "test/records"))
from bags import TICKS, TOPICS, changed, described, episode, write

EXAMPLES = ROOT / "examples"
LONGEST = 60  # lines

pytestmark = pytest.mark.timeout(400)  # where no kernel is compiled yet


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_is_short_listed_and_has_a_test():
    files = sorted(EXAMPLES.glob("*.py"))
    assert files
    listed, tests = (EXAMPLES / "README.md").read_text(), globals()
    for file in files:
        assert len(file.read_text().splitlines()) < LONGEST, file
        assert f"[{file.name}]({file.name})" in listed
        assert f"test_{file.stem}" in tests


def test_balance_pole(capsys):
    assert example("balance_pole").main(duration_s=2.0)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("balanced for 2.0 s") and printed[1].startswith("pole_angle: rms error 0.0")


def test_mjcf_event_camera(tmp_path, monkeypatch):
    """Its own scene, and a shipped robot's."""
    monkeypatch.chdir(tmp_path)
    module = example("mjcf_event_camera")
    n_events = module.main(duration_s=0.2)
    events = np.concatenate(list(open_events(tmp_path / "events.csv", size=(128, 96)).pieces()))
    assert len(events) == n_events > 500
    assert np.ptp(events["x"]) > 10 and 0 < events["p"].mean() < 1
    assert 0.19e9 < events["t"].max() <= 0.2e9
    pencil = ROOT / "liquid_spike_control/robots/pencil/scene.xml"
    assert module.main(str(pencil), "event_camera", "pencil.csv", duration_s=0.2) > 0


def test_nir_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    agreement = example("nir_network").main(str(ROOT / "test/data/nir/norse_dense.nir"), "norse")
    busy = [layer for layer in agreement.populations if 0 < layer.float_rate < 1]
    assert len(busy) == 2
    assert all(layer.rate_error < 0.01 for layer in agreement.populations)
    assert read_network(tmp_path / "network.safetensors").network.n_inputs > 0


def test_learn_online():
    module = example("learn_online")
    rates = module.main()
    for phase in ("learnt", "learnt again"):
        np.testing.assert_allclose(rates[phase], module.WANTED, rtol=0.15)
    for phase in ("before learning", "input faded"):
        assert (np.abs(rates[phase] / module.WANTED - 1) > 0.3).all()


@pytest.mark.slow
def test_replay_bag(tmp_path):
    """As a command: status and output for a bag as it was recorded, and for one with a changed command."""
    whole = write(tmp_path / "whole.mcap", episode(), described())
    other = write(tmp_path / "other.mcap", changed(episode(), TOPICS.command, 70, lambda v: v + 0.5), described())
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def run(bag):
        program = [sys.executable, EXAMPLES / "replay_bag.py", bag]
        return subprocess.run(program, capture_output=True, text=True, timeout=300, env=environment)

    same = run(whole)
    assert same.returncode == 0, same.stderr
    assert "first difference" not in same.stdout and f"{TICKS} identical      0 different" in same.stdout
    different = run(other)
    assert different.returncode == 1, different.stderr
    assert "first difference: /controller/command at 0.350 s" in different.stdout
    missing = run(tmp_path / "missing.mcap")
    assert missing.returncode == 1 and len(missing.stderr.splitlines()) == 1


def test_ncps_ros_node(ros_domain):
    """Over real DDS: the node's commands are those of the module."""
    rclpy = pytest.importorskip("rclpy")
    import torch
    from ncps.torch import CfC
    from ncps.wirings import AutoNCP
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import JointState

    module = example("ncps_ros_node")
    torch.set_num_threads(1)
    torch.manual_seed(3)
    network = CfC(2, AutoNCP(19, 1))
    context = rclpy.Context()
    rclpy.init(context=context)
    node = module.ControllerNode(module.convert(network), context=context)
    robot = rclpy.create_node("robot", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    executor.add_node(robot)
    try:
        answers: list[JointState] = []
        robot.create_subscription(JointState, "joint_command", answers.append, 10)
        publisher = robot.create_publisher(JointState, "joint_states", 10)

        def spin_until(holds):
            deadline = time.monotonic() + 20
            while not holds():
                assert time.monotonic() < deadline, "no answer within 20 s"
                executor.spin_once(timeout_sec=0.01)

        spin_until(lambda: publisher.get_subscription_count() and node.publisher.get_subscription_count())
        states = np.random.default_rng(0).normal(size=(10, 2))
        for k, (angle, rate) in enumerate(states):
            message = JointState(name=["cart_slide", "pole_hinge"], position=[0.0, angle], velocity=[0.0, rate])
            message.header.stamp.nanosec = k * 20_000_000
            publisher.publish(message)
            spin_until(lambda k=k: len(answers) > k)
    finally:
        executor.shutdown()
        node.destroy_node()
        robot.destroy_node()
        rclpy.shutdown(context=context)
    with torch.no_grad():
        wanted, _ = network(torch.tensor(states[None], dtype=torch.float32), timespans=torch.ones(1, 10, 1))
    wanted = np.clip(wanted[0, :, 0].numpy(), -1, 1)
    assert np.ptp(wanted) > 0.01
    np.testing.assert_allclose([answer.effort[0] for answer in answers], wanted, atol=1e-5)
    assert [answer.header.stamp.nanosec for answer in answers] == [k * 20_000_000 for k in range(10)]
