# SPDX-License-Identifier: Apache-2.0
"""The pencil's models on a robot of its own, in real time: real processes, real topics, MuJoCo behind them."""

import os
import signal
import subprocess
import time

import pytest
from processes import alive, children_of
from robots import balanced, configured, graph, node_pid
from std_msgs.msg import Float64MultiArray


@pytest.mark.real_time
def test_a_cart_of_ros2_control_is_balanced_and_left_with_the_safe_command(probe, tmp_path):
    """evt3 on the sensor's clock, Float64MultiArray; ten seconds; then SIGTERM."""
    sent = probe.hear(Float64MultiArray, "/effort_controller/commands")
    with balanced(probe, tmp_path, 10.0) as (standin, child):
        children = children_of(child.pid)
        assert len(children) == 5  # the nodes, and what they were forked from
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        child.wait(10)
        assert time.monotonic() - began < 5  # a promise to the robot, not a benchmark
        assert child.returncode == 130
        assert not [pid for pid in children if alive(pid)]
        state = standin.until(lambda state: state["silent_s"] > 0.3, 5, "silence")
        assert state["last_command"] == 0.0
        probe.spin_for(0.2)
        assert list(sent[-1].data) == [0.0]
        assert all(len(message.data) == 1 and abs(message.data[0]) <= 10.0 for message in sent)
    assert "Traceback" not in (tmp_path / "graph.log").read_text()


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("encoding", "how"),
    [
        pytest.param("libcaer_cmp", "joint_state", marks=pytest.mark.slow),
        pytest.param("libcaer", "array", marks=pytest.mark.slow),
        pytest.param("mono", "array", marks=pytest.mark.slow),
    ],
)
def test_other_messages_of_the_same_robot(probe, tmp_path, encoding, how):
    changes = {}
    if how == "joint_state":
        changes = {
            "/effort_controller/commands, type: std_msgs/msg/Float64MultiArray":
            "/robot_joint_command, type: sensor_msgs/msg/JointState, field: cart_slide/effort"
        }  # fmt: skip
    arguments = ("--encoding", encoding, "--command", how)
    with balanced(probe, tmp_path, 3.0, changes, arguments, ("--backend", "in_process")) as (_, child):
        assert len(children_of(child.pid)) == 4


@pytest.mark.real_time
@pytest.mark.slow
def test_a_node_that_is_killed_is_brought_back_and_meanwhile_the_robot_is_safe(probe, tmp_path):
    with balanced(probe, tmp_path, 1.0) as (standin, child):
        first = node_pid(child, "neuromorphic")
        os.kill(first, signal.SIGKILL)
        standin.until(lambda state: state["effort"] == 0.0, 3, "the safe command")
        before = standin.state["commands"]
        state = standin.until(lambda state: state["effort"] != 0.0 or state["tripped"], 20, "commands of the new node")
        assert child.poll() is None, (tmp_path / "graph.log").read_text()
        assert state["commands"] > before
        assert node_pid(child, "neuromorphic") != first
    assert "neuromorphic failed; it is brought up again" in (tmp_path / "graph.log").read_text()


@pytest.mark.real_time
@pytest.mark.slow
def test_a_hung_node_does_not_keep_the_robot_from_being_left_safe(probe, tmp_path):
    with balanced(probe, tmp_path, 1.0) as (standin, child):
        hung = node_pid(child, "controller")
        os.kill(hung, signal.SIGSTOP)
        began = time.monotonic()
        child.terminate()
        child.wait(10)
        assert time.monotonic() - began < 5
        assert not alive(hung)
        assert standin.until(lambda state: state["silent_s"] > 0.3, 5, "silence")["last_command"] == 0.0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"    rate: 4000.0 ": "    # "}, "commands[0].rate: missing; it has no default"),
        ({"width: 64": "width: 640"}, "input_encoding are (64, 64), the robot has (640, 64)"),
        ({"reliability: best_effort": "reliability: sometimes"}, "qos.reliability: 'sometimes'; give reliable or best"),
        ({"perception: pencil/perception.nir": "perception: none.nir"}, "none.nir is not there; train one"),
        ({"tolerance_s: 0.012": ""}, "tolerance_s: not set; give how far"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_before_anything_moves(ros_domain, tmp_path, changes, says):
    with graph(tmp_path, configured(changes, tmp_path)) as child:
        try:
            child.wait(40)
        except subprocess.TimeoutExpired:
            pytest.fail((tmp_path / "graph.log").read_text())
    log = (tmp_path / "graph.log").read_text()
    assert child.returncode == 2, log
    assert says in log
    assert log.count("\n") == 1, log
