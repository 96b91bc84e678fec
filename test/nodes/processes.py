# SPDX-License-Identifier: Apache-2.0
"""Real processes, real Fast-DDS, bounded waits."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from liquid_spike_control.nodes.graph import GraphOptions, describe
from liquid_spike_control.resources import shipped_model

CONFIGURE, ACTIVATE = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
DEACTIVATE = Transition.TRANSITION_DEACTIVATE


def models() -> list[str]:
    """Command-line arguments that name the shipped models."""
    names = (shipped_model("pencil/perception.nir"), shipped_model("pencil/controller.safetensors"))
    return ["--perception-model", str(names[0]), "--controller-model", str(names[1])]


def perception_model() -> str:
    return models()[1]


def controller_model() -> str:
    return models()[3]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "liquid_spike_control", "run", *arguments]


def run(*arguments: str, timeout: float = 100, **environment: str) -> subprocess.CompletedProcess:
    """``liquid-spike run``, to its end."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=timeout, env=os.environ | environment
    )


def wait_for(holds: Callable[[], object], timeout: float, what: str) -> object:
    """Poll until ``holds()`` is true; returns it."""
    deadline = time.monotonic() + timeout
    while not (value := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.005)
    return value


def children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Probe:
    """A ROS node of the test: publishers, subscriptions, lifecycle transitions, all with bounded waits."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node("probe", context=self.context, enable_rosout=False)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def spin_until(self, holds: Callable[[], object], timeout: float, what: str) -> object:
        deadline = time.monotonic() + timeout
        while not (value := holds()):
            assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
            self.executor.spin_once(timeout_sec=0.01)
        return value

    def spin_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (rest := deadline - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=rest)

    def hear(self, message_type, topic: str) -> list:
        """A list that fills with what is said on a topic."""
        heard: list = []
        self.node.create_subscription(message_type, topic, heard.append, 100)
        return heard

    def call(self, service_type, name: str, request, timeout: float = 20):
        client = self.node.create_client(service_type, name)
        self.spin_until(client.service_is_ready, timeout, name)
        future = client.call_async(request)
        self.spin_until(future.done, timeout, name)
        return future.result()

    def change(self, node: str, transition: int, timeout: float = 20) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.call(ChangeState, f"/{node}/change_state", request, timeout).success


@contextmanager
def started(name: str, **parameters) -> Iterator[subprocess.Popen]:
    """One node's process."""
    (derived,) = (spec.parameters for spec in describe(GraphOptions(mode="realtime")) if spec.name == name)
    models = ("perception_model", "controller_model")  # a test gives them, or does without
    own = {key: value for key, value in derived.items() if key not in ("mode", "sheds", *models)}
    arguments = ["--ros-args"]
    for key, value in (own | parameters).items():
        text = str(value) if isinstance(value, (str, Path)) and key in parameters else json.dumps(value)
        arguments += ["-p", f"{name}:{key}:={text}"]
    module = f"liquid_spike_control.nodes.{name}"
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stderr.close()
