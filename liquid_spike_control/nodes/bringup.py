# SPDX-License-Identifier: Apache-2.0
"""Takes the nodes of a graph through their lifecycle: all configured, then activated in order; down in
reverse.

As a program it does so once for nodes that a launch file started: ``python -m ...bringup gate controller
...``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import Executor
from rclpy.node import Node

from ..errors import GraphError

#: Compiling the kernels of a new machine takes a minute; with the kernels cached, configuring takes a second.
CONFIGURE_TIMEOUT_S = 300.0
ACTIVATE_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 1.5


class Bringup:
    """Lifecycle transitions of several nodes.

    Args:
        node: makes the service clients.
        executor: spins ``node``.
        names: of the nodes, in the order of activation.
        check: called while waiting; may raise to give up.
    """

    def __init__(
        self, node: Node, executor: Executor, names: Sequence[str], check: Callable[[], None]
    ) -> None:
        self._executor, self._check, self._names = executor, check, tuple(names)
        self._clients = {name: node.create_client(ChangeState, f"/{name}/change_state") for name in names}

    def up(self, ready: Callable[[], bool] = lambda: True) -> None:
        """Configure all at once, then activate one after the other.

        Args:
            ready: whether whoever watches the topics has found their publishers; waited for in between.

        Raises:
            GraphError: a node refused or did not answer; its log says why.
        """
        self._wait(lambda: all(client.service_is_ready() for client in self._clients.values()), 30.0, "start")
        self._change(self._names, Transition.TRANSITION_CONFIGURE, "configure", CONFIGURE_TIMEOUT_S)
        self._wait(ready, ACTIVATE_TIMEOUT_S, "find each other")
        for name in self._names:
            self._change((name,), Transition.TRANSITION_ACTIVATE, "activate", ACTIVATE_TIMEOUT_S)

    def down(self) -> None:
        """Deactivate in reverse order; nodes that do not answer are passed over."""
        for name in reversed(self._names):
            try:
                self._change((name,), Transition.TRANSITION_DEACTIVATE, "deactivate", STOP_TIMEOUT_S)
            except GraphError:
                continue

    def _change(self, names: Sequence[str], transition: int, verb: str, timeout_s: float) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        futures = {name: self._clients[name].call_async(request) for name in names}
        self._wait(
            lambda: (
                all(future.done() for future in futures.values())
                or any(future.done() and not future.result().success for future in futures.values())
            ),
            timeout_s,
            verb,
        )
        for name, future in futures.items():
            if future.done() and not future.result().success:
                raise GraphError(f"{name} could not {verb}")

    def _wait(self, done: Callable[[], bool], timeout_s: float, verb: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            self._check()
            if time.monotonic() > deadline:
                raise GraphError(f"the nodes did not {verb} in {timeout_s:.0f} s")
            self._executor.spin_once(timeout_sec=0.02)


def main() -> None:
    """Bring the nodes named on the command line up."""
    from rclpy.executors import SingleThreadedExecutor

    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    rclpy.init()
    node = Node("liquid_spike_bringup")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        Bringup(node, executor, names, lambda: None).up()
    except GraphError as error:
        sys.exit(f"{error}; the log of that node says why")


if __name__ == "__main__":
    main()
