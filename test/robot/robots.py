# SPDX-License-Identifier: Apache-2.0
"""The stand-in robot and `liquid-spike run ROBOT --real` as processes, and the state that the robot publishes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import Probe, alive, children_of, command
from std_msgs.msg import String

from liquid_spike_control.nodes.graph import GraphOptions, describe
from liquid_spike_control.resources import share

CONFIG = share("config/robot_cart.yaml")


def parameters_file(folder: Path, without: str = "") -> Path:
    """The ROS parameters of the cart's graph as a yaml file; ``without`` one that ROS must then miss."""
    blocks = {
        spec.name: {"ros__parameters": {k: v for k, v in spec.parameters.items() if k != without}}
        for spec in describe(GraphOptions(CONFIG, simulated=False, mode="realtime"))
    }
    path = folder / "params.yaml"
    path.write_text(json.dumps(blocks))  # which is yaml, without the aliases that rcl does not take
    return path


@contextmanager
def process(arguments: list[str], log: Path) -> Iterator[subprocess.Popen]:
    """A process and its children, none of which outlives the test."""
    with open(log, "w") as out:
        child = subprocess.Popen(arguments, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        grandchildren: list[int] = []
        try:
            yield child
        finally:
            if child.poll() is None:
                grandchildren = children_of(child.pid)
                child.terminate()
            try:
                child.wait(8)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            for pid in grandchildren:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)


class Robot:
    """The stand-in, and what it says."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self._heard = probe.hear(String, "/robot/state")

    @property
    def state(self) -> dict:
        self.probe.spin_until(lambda: self._heard, 20, "the robot")
        return json.loads(self._heard[-1].data)

    def until(self, holds, timeout: float, what: str) -> dict:
        """The first state for which ``holds`` is true."""
        deadline = time.monotonic() + timeout
        while not holds(state := self.state):
            assert time.monotonic() < deadline, f"{what}: not within {timeout} s; the robot: {state}"
            self.probe.spin_for(0.1)
        return state


@contextmanager
def robot(probe: Probe, folder: Path, *arguments: str) -> Iterator[Robot]:
    """A robot that is switched on."""
    program = str(Path(__file__).with_name("standin.py"))
    with process([sys.executable, program, *arguments], folder / "robot.log") as child:
        standin = Robot(probe)
        standin.until(lambda state: True, 20, "the robot")
        yield standin
        assert child.poll() is None, (folder / "robot.log").read_text()


@contextmanager
def graph(folder: Path, description: Path = CONFIG, *arguments: str) -> Iterator[subprocess.Popen]:
    """`liquid-spike run ROBOT --real`; its log is graph.log."""
    arguments = [*command(str(description), "--real"), *arguments]
    with process(arguments, folder / "graph.log") as child:
        yield child


#: For a machine that does other things besides: ages that a robot would not be given.
PATIENT = {"max_age_s: 0.03": "max_age_s: 0.1", "tolerance_s: 0.012": "tolerance_s: 0.05"}


@contextmanager
def balanced(probe: Probe, folder: Path, seconds: float, changes=(), arguments=(), options=()) -> Iterator[tuple]:
    """The robot, with arguments of its own, and the graph, with options, after they have balanced the pole for so long.

    Seven processes share the machine in real time, so a pole that falls is set up again, twice; a graph that cannot
    balance falls every time.
    """
    config = configured(PATIENT | dict(changes), folder)
    for last in (False, False, True):
        with robot(probe, folder, "--seed", "3", *arguments) as standin, graph(folder, config, *options) as child:
            state = standin.until(
                lambda state, child=child: state["driven_s"] >= seconds or child.poll() is not None or state["fallen"],
                60, "balance",
            )  # fmt: skip
            assert child.poll() is None, (folder / "graph.log").read_text()
            if state["fallen"] and not last:
                continue
            assert not state["fallen"] and not state["tripped"], state
            assert state["refused"] == 0
            assert 0 < state["greatest_effort"] <= 10.0
            yield standin, child
            return


def node_pid(child: subprocess.Popen, name: str) -> int:
    """The process of one of the graph's nodes."""
    found = [
        pid for pid in children_of(child.pid) if f"nodes.{name}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert len(found) == 1, (name, found)
    return found[0]


def configured(changes: dict[str, str], folder: Path) -> Path:
    """The cart's yaml file with some text replaced."""
    text = CONFIG.read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "robot.yaml"
    path.write_text(text)
    return path
