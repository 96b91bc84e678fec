# SPDX-License-Identifier: Apache-2.0
"""Real ``ros2 launch``, ``ros2 lifecycle`` and ``ros2 param``: what ``make ros-tools`` or a system ROS has."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import alive, wait_for

from liquid_spike_control.nodes.transport import profile_variables

ROOT = Path(__file__).parents[2]
TOOLS = Path(os.environ.get("ROS_TOOLS", ROOT / ".ros-tools"))
#: Found where the tools are, or on the path of a system ROS.
SETUP = TOOLS / "setup.sh"

pytestmark = [
    pytest.mark.ros_tools,
    pytest.mark.timeout(400),  # ros2 takes seconds of a core for each command
    pytest.mark.skipif(not SETUP.is_file() and not shutil.which("ros2"), reason="no ros2: make ros-tools"),
]


def tools_environment() -> dict[str, str]:
    """The environment in which ``ros2`` is on the path."""
    given = os.environ | profile_variables({}) | {"PYTHONUNBUFFERED": "1", "RCUTILS_COLORIZED_OUTPUT": "0"}
    if not SETUP.is_file():
        return given
    text = subprocess.run(["sh", "-c", f". {SETUP} && env -0"], env=given, capture_output=True, text=True, check=True)
    found = dict(line.split("=", 1) for line in text.stdout.split("\0") if line)
    return found | {"PYTHONPATH": f"{ROOT}:{found['PYTHONPATH']}"}


@pytest.fixture
def tools(ros_domain):
    return tools_environment()


def ros2(tools, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess:
    if arguments[0] != "launch":
        arguments = (*arguments, "--no-daemon", "--spin-time", "4")  # the daemon would outlive the test
    return subprocess.run(["ros2", *arguments], env=tools, capture_output=True, text=True, timeout=timeout)


class Launch:
    """A ``ros2 launch`` that runs, and what it prints."""

    def __init__(self, process: subprocess.Popen, log: Path) -> None:
        self.process, self.log = process, log

    def text(self) -> str:
        return self.log.read_text()

    def says(self, text: str, timeout: float = 120) -> None:
        wait_for(lambda: text in self.text() or self.process.poll() is not None, timeout, text)
        assert text in self.text(), self.text()[-3000:]

    def pids(self) -> list[int]:
        return [int(pid) for pid in re.findall(r"process started with pid \[(\d+)\]", self.text())]

    def pid(self, name: str) -> int:
        """Of the latest process of a node."""
        return int(re.findall(rf"\[{name}-\d+\]: process started with pid \[(\d+)\]", self.text())[-1])

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@contextmanager
def launched(tools, log: Path, *arguments: str):
    with open(log, "w") as out:
        process = subprocess.Popen(
            ["ros2", "launch", "liquid_spike_control", *arguments], env=tools, stdout=out, stderr=subprocess.STDOUT
        )
    launch = Launch(process, log)
    try:
        yield launch
    finally:
        if process.poll() is None:
            launch.interrupt()
        assert not [pid for pid in launch.pids() if alive(pid)]


ACTIVE = "all nodes are active"


@pytest.mark.real_time
def test_a_launch_reports_its_outcome_a_second_one_leaves_it_alone_and_ctrl_c_ends_it_cleanly(tools, tmp_path):
    with launched(tools, tmp_path / "first", "robot.launch.py", "duration:=600") as first:
        first.says(ACTIVE)
        assert "the first time kernels are compiled" in first.text()
        with launched(tools, tmp_path / "second", "robot.launch.py") as second:
            assert second.process.wait(60) == 1
            assert "another /" in second.text()
        for node in ("gate", "simulator"):
            assert ros2(tools, "lifecycle", "get", f"/{node}").stdout.startswith("active"), first.text()[-2000:]
        assert first.interrupt() == 0
        assert "has died" not in first.text()
        assert "exit code" not in first.text()


@pytest.mark.real_time
def test_the_outcome_is_printed(tools, tmp_path):
    arguments = ("robot.launch.py", "mode:=lockstep", "duration:=2", "settings:=push=0.02", "seed:=1")
    with launched(tools, tmp_path / "log", *arguments) as launch:
        launch.says("success after 2.00 simulated seconds")


@pytest.mark.real_time
def test_parameters_are_dumped_described_and_protected(tools, tmp_path):
    with launched(tools, tmp_path / "log", "robot.launch.py", "duration:=600") as launch:
        launch.says(ACTIVE)
        for node in ("gate", "controller", "perception", "neuromorphic", "simulator"):
            dumped = ros2(tools, "param", "dump", f"/{node}").stdout
            assert "diagnostics_period_s: 0.5" in dumped, dumped
        assert "max_age_s: 0.03" in ros2(tools, "param", "dump", "/gate").stdout
        for name, value in (("backend", "nonsense"), ("max_steps", "3")):
            done = ros2(tools, "param", "set", "/neuromorphic", name, value)
            assert "Set parameter successful" not in done.stdout
            assert "failed" in (done.stdout + done.stderr).lower()
        assert "loihi" in ros2(tools, "param", "get", "/neuromorphic", "backend").stdout


@pytest.mark.real_time
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_node_that_dies_or_hangs_is_started_again_and_brought_up(tools, tmp_path, how):
    with launched(tools, tmp_path / "log", "robot.launch.py", "duration:=600", "settings:=push=0.0") as launch:
        launch.says(ACTIVE)
        time.sleep(2.0)  # the manager has heard of it
        before = launch.pid("controller")
        os.kill(before, how)
        wait_for(lambda: launch.pid("controller") != before, 30, "a new process")
        launch.says("controller failed; it is brought up again", 30)
        wait_for(
            lambda: ros2(tools, "lifecycle", "get", "/controller").stdout.startswith("active"), 60, "active again"
        )
        assert launch.process.poll() is None


@pytest.mark.real_time
def test_without_respawn_a_node_that_dies_ends_the_launch_with_an_error(tools, tmp_path):
    with launched(tools, tmp_path / "log", "robot.launch.py", "duration:=600", "use_respawn:=false") as launch:
        launch.says(ACTIVE)
        os.kill(launch.pid("controller"), signal.SIGKILL)
        assert launch.process.wait(60) == 1
        assert "controller ended with status -9" in launch.text()


@pytest.mark.real_time
def test_a_robot_that_does_not_come_is_waited_for_and_then_given_up_with_an_error(tools, tmp_path):
    config = ROOT / "config" / "robot_cart.yaml"
    with launched(tools, tmp_path / "log", "robot.launch.py", f"robot:={config}", "sim:=false", "wait:=12") as launch:
        assert launch.process.wait(120) == 1
        assert "gate could not activate; it is tried for" in launch.text()
        assert "no subscriber; is the robot's controller running?" in launch.text()


@pytest.mark.real_time
def test_two_robots_on_one_domain_have_a_namespace_each(tools, tmp_path):
    same = ("robot.launch.py", "mode:=lockstep", "duration:=1", "settings:=push=0.02")
    with (
        launched(tools, tmp_path / "1", *same, "namespace:=robot1", "seed:=1") as one,
        launched(tools, tmp_path / "2", *same, "namespace:=robot2", "seed:=2") as two,
    ):
        for launch in (one, two):
            launch.says("success after 1.00 simulated seconds")
        nodes = ros2(tools, "node", "list").stdout.split()
        assert {f"/robot{i}/{name}" for i in (1, 2) for name in ("gate", "controller", "simulator")} <= set(nodes)
        topics = ros2(tools, "topic", "list").stdout.split()
        assert {"/robot1/controller/command", "/robot2/robot_joint_command", "/robot1/diagnostics"} <= set(topics)
        assert not {"/controller/command", "/joint_states", "/diagnostics"} & set(topics)


@pytest.mark.real_time
def test_a_wrong_argument_is_reported_in_the_terms_of_ros2_launch(tools, tmp_path):
    for arguments, says in (
        (("robot.launch.py", "seed:=x"), "seed:=x; give a whole number"),
        (("robot.launch.py", "duration:=-1"), "duration:=-1.0; give simulated seconds"),
        (("robot.launch.py", "sim:=maybe"), "['true', 'false']"),
        (("robot.launch.py", "mode:=warp"), "['lockstep', 'realtime']"),
        (("robot.launch.py", "namespace:=1st"), "namespace:=1st; give letters"),
        (("robot.launch.py", "robot:=none.yaml"), "none.yaml"),
        (("robot.launch.py", "params_file:=mine.yaml"), "no such argument; did you mean params:=?"),
    ):
        done = ros2(tools, "launch", "liquid_spike_control", *arguments)
        assert done.returncode == 1
        assert says in done.stdout + done.stderr


def test_the_tools_are_those_of_the_sources(tmp_path):
    """A tree that lacks a package is refused by name."""
    program = [sys.executable, str(ROOT / "ros_tools" / "build.py"), str(tmp_path), str(tmp_path / "out")]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no package.xml of osrf_pycommon, launch" in done.stderr
