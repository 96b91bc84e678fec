# SPDX-License-Identifier: Apache-2.0
"""Real processes to break, and an observer that stamps what it hears with the time at which it arrived."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Self

import rclpy
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions

from ...errors import GraphError
from ...terminal import Console
from ..bringup import Bringup
from ..graph import GraphOptions, NodeSpec, describe, domain_id, environment
from ..process import Claim
from ..processes import Processes


@dataclass(frozen=True, slots=True)
class Received:
    """A message, and when it arrived [ns since the epoch, as ``time.time_ns``]."""

    arrived_ns: int
    message: Any


class Observer:
    """A ROS node of this process, spun by a thread of its own; a context manager.

    Attributes:
        node: to publish with.
    """

    def __enter__(self) -> Self:
        self._closing = ExitStack()
        context = rclpy.Context()
        rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
        self._closing.callback(rclpy.shutdown, context=context)
        self.node = Node("liquid_spike_faults", context=context, enable_rosout=False, start_parameter_services=False)
        self._closing.callback(self.node.destroy_node)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._spinning = True
        self._thread.start()
        self._closing.callback(self._stop)
        return self

    def _spin(self) -> None:
        while self._spinning:
            self.executor.spin_once(timeout_sec=0.05)

    def _stop(self) -> None:
        self._spinning = False
        self._thread.join(5)

    def __exit__(self, *_) -> None:
        self._closing.close()

    def subscribe(self, message_type, topic: str, qos: QoSProfile | int = 1000) -> list[Received]:
        """Subscribe to a topic; the returned list fills with its messages."""
        received: list[Received] = []

        def keep(message, info) -> None:
            received.append(Received(info["received_timestamp"], message))

        self.node.create_subscription(message_type, topic, keep, qos)  # type: ignore[arg-type]
        return received

    def change(self, node: str, transition: int, timeout_s: float = 30.0) -> bool:
        """Take a node through a transition; whether it agreed."""
        request = ChangeState.Request()
        request.transition.id = transition
        return self.call(ChangeState, f"/{node}/change_state", request, timeout_s).success

    def call(self, service_type, name: str, request, timeout_s: float = 10.0):
        """The answer of a service."""
        client = self.node.create_client(service_type, name)
        wait_for(client.service_is_ready, timeout_s, name)
        future = client.call_async(request)
        wait_for(future.done, timeout_s, name)
        return future.result()


def wait_for(holds: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """Poll until ``holds()`` is true, and return it.

    Raises:
        GraphError: it took longer than ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := holds()):
        if time.monotonic() > deadline:
            raise GraphError(f"{what}: not within {timeout_s:g} s; is the machine too busy?")
        time.sleep(0.002)
    return value


def _completed(spec: NodeSpec) -> NodeSpec:
    """A node with the names, units and limits of the shipped pencil where it has none of its own."""
    derived = {own.name: own.parameters for own in describe(GraphOptions(mode="realtime"))}.get(spec.name, {})
    own = ("perception_model", "controller_model", "sheds", "priority")
    completed = {key: value for key, value in derived.items() if key not in own} | spec.parameters
    return replace(spec, parameters=completed)


class Rig:
    """Processes of some nodes, active, and an observer; a context manager that leaves nothing behind.

    Args:
        specs: of the nodes, in the order of activation.
        up: whether to configure and activate them.

    Raises:
        GraphError: the ROS domain is in use, or a node refuses.
    """

    def __init__(self, specs: tuple[NodeSpec, ...], up: bool = True) -> None:
        self._specs, self._up = tuple(_completed(spec) for spec in specs), up

    def __enter__(self) -> Self:
        self._closing = ExitStack()
        env = environment()
        os.environ.update(env)
        try:
            self._closing.callback(Claim(domain_id(env), "run").close)
            self.observer = self._closing.enter_context(Observer())
            self._processes = Processes(Console(stderr=True, quiet=True))
            self._closing.callback(self._stop)
            self._processes.start(self._specs)
            if self._up:
                self.bring_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def bring_up(self, *names: str) -> None:
        """Configure and activate some nodes, or all, by a node of its own: the observer's is spun elsewhere."""
        names = names or tuple(spec.name for spec in self._specs)
        node = Node("liquid_spike_bringup", context=self.observer.node.context, enable_rosout=False)
        executor = SingleThreadedExecutor(context=self.observer.node.context)
        executor.add_node(node)
        try:
            Bringup(node, executor, names, self._processes.check).up()
        except GraphError as error:
            raise GraphError(self._processes.why(str(error))) from None
        finally:
            executor.shutdown()
            node.destroy_node()

    def restart(self, name: str) -> None:
        """Restart a node that has ended, and bring it to the active state."""
        (spec,) = (spec for spec in self._specs if spec.name == name)
        wait_for(lambda: self.ended(name) is not None, 10, f"end of {name}")
        self._processes.start((spec,))
        self.bring_up(name)

    def _stop(self) -> None:
        for name in self._processes.children:
            self.send(name, signal.SIGCONT)
        self._processes.stop()

    def __exit__(self, *_) -> None:
        self._closing.close()

    def pid(self, name: str) -> int:
        """Process of a node."""
        return self._processes.children[name].pid

    def ended(self, name: str) -> int | None:
        """Exit status of a node's process, or None."""
        return self._processes.children[name].poll()

    def why(self) -> str:
        """Return the errors that the nodes reported."""
        return self._processes.why("no complaint")

    def send(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a node's process; gives the time just before [ns since the epoch]."""
        now = time.time_ns()
        if self.ended(name) is None:
            os.kill(self.pid(name), number)
        return now
