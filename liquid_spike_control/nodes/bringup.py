# SPDX-License-Identifier: Apache-2.0
"""Takes the nodes of a graph through their lifecycle: all configured, then activated in order; down in
reverse; up again after an error.

As a program it does so for nodes that a launch file started: ``python -m ...bringup gate controller ...`` brings them
up and ends; with ``--stay`` it is their lifecycle manager until Ctrl-C.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

import rclpy
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from ..errors import GraphError
from .graph import ENCLAVE
from .interrupts import Interrupts

#: Compiling the kernels of a new machine takes a minute; with the kernels cached, configuring takes a second.
CONFIGURE_TIMEOUT_S = 300.0
ACTIVATE_TIMEOUT_S = 15.0
#: The whole graph is down within this, whatever its nodes do [s].
DOWN_S = 2.0
#: Between two requests to a node that gives no sign of having heard the first [s]: to one that discovery has shown,
#: whose request or answer can still be lost, and to one in the place of a process that was killed, for which discovery
#: takes it for 20 s.
INSIST_S, INSIST_AFTER_LOSS_S = 3.0, 0.5
#: Where a transition leads.
GOALS = {
    Transition.TRANSITION_CONFIGURE: State.PRIMARY_STATE_INACTIVE,
    Transition.TRANSITION_ACTIVATE: State.PRIMARY_STATE_ACTIVE,
    Transition.TRANSITION_DEACTIVATE: State.PRIMARY_STATE_INACTIVE,
}
#: A node that fails more often than ATTEMPTS times in a while [s] is not brought up again.
ATTEMPTS, WHILE_S = 3, 60.0


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
        self._failed: deque[str] = deque()
        self._states: dict[str, int] = {}  # what nodes told on the way of the latest transition
        self._failures: dict[str, deque[float]] = {name: deque() for name in names}
        for name in names:
            node.create_subscription(TransitionEvent, f"/{name}/transition_event", self._hear(name), 10)

    def _hear(self, name: str) -> Callable[[TransitionEvent], None]:
        def on_event(event: TransitionEvent) -> None:
            self._states[name] = event.goal_state.id
            if event.start_state.id == State.TRANSITION_STATE_ERRORPROCESSING:
                self._failed.append(name)

        return on_event

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

    def failed(self) -> str | None:
        """A node that went through ErrorProcessing and is unconfigured now, if one did."""
        self._executor.spin_once(timeout_sec=0.0)
        return self._failed.popleft() if self._failed else None

    def again(self, name: str) -> None:
        """Configure and activate one node, after an error or in a new process; the others go on.

        Raises:
            GraphError: it refuses, or has failed too often.
        """
        now, failures = time.monotonic(), self._failures[name]
        failures.append(now)
        while now - failures[0] > WHILE_S:
            failures.popleft()
        if len(failures) > ATTEMPTS:
            raise GraphError(f"{name} failed {len(failures)} times in {WHILE_S:.0f} s; its log says why")
        self._change(
            (name,), Transition.TRANSITION_CONFIGURE, "configure", CONFIGURE_TIMEOUT_S, insist_s=INSIST_AFTER_LOSS_S
        )
        self._change((name,), Transition.TRANSITION_ACTIVATE, "activate", ACTIVATE_TIMEOUT_S)

    def down(self) -> None:
        """Deactivate in reverse order, the gate last: the robot's last command is the safe one. Nodes that do not
        answer are passed over, and all of it takes no longer than :data:`DOWN_S`.
        """
        deadline = time.monotonic() + DOWN_S
        for left, name in reversed([*enumerate(self._names, 1)]):
            share = max(0.0, deadline - time.monotonic()) / left
            try:
                self._change((name,), Transition.TRANSITION_DEACTIVATE, "deactivate", share, lambda: None)
            except GraphError:
                continue

    def _change(
        self,
        names: Sequence[str],
        transition: int,
        verb: str,
        timeout_s: float,
        check: Callable[[], None] | None = None,
        insist_s: float = INSIST_S,
    ) -> None:
        """Ask each of some nodes for a transition, and again where it gives no sign of having heard."""
        request = ChangeState.Request(transition=Transition(id=transition))
        futures: dict[str, list[Future]] = {name: [] for name in names}
        for name in names:
            self._states.pop(name, None)
        began = time.monotonic()

        def changed(name: str) -> bool:
            told = [future.result().success for future in futures[name] if future.done()]
            return any(told) or self._states.get(name) == GOALS[transition]

        def refused() -> list[str]:
            return [name for name in names if not changed(name) and any(f.done() for f in futures[name])]

        def settled() -> bool:
            for name, asked in futures.items():
                silent = name not in self._states and not any(future.done() for future in asked)
                if silent and len(asked) * insist_s <= time.monotonic() - began:
                    asked.append(self._clients[name].call_async(request))
            return all(changed(name) for name in names) or bool(refused())

        self._wait(settled, timeout_s, verb, check)
        for name in refused():
            raise GraphError(f"{name} could not {verb}")

    def _wait(
        self, done: Callable[[], bool], timeout_s: float, verb: str, check: Callable[[], None] | None = None
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            (check or self._check)()
            if time.monotonic() > deadline:
                raise GraphError(f"the nodes did not {verb} in {timeout_s:.0f} s")
            self._executor.spin_once(timeout_sec=0.02)


def main() -> None:
    """Bring the nodes named on the command line up."""
    from rclpy.executors import SingleThreadedExecutor

    stay = "--stay" in sys.argv
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    with Interrupts() as interrupts:  # a second Ctrl-C does not keep the nodes from being brought down
        rclpy.init(args=[*ENCLAVE], signal_handler_options=SignalHandlerOptions.NO)
        node = Node("liquid_spike_bringup")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        bringup = Bringup(node, executor, names, interrupts.check)
        try:
            bringup.up()
            while stay:
                interrupts.check()
                if (name := bringup.failed()) is not None:
                    node.get_logger().warning(f"{name} failed; it is brought up again")
                    bringup.again(name)
                time.sleep(0.05)
        except KeyboardInterrupt:
            bringup.down()
        except GraphError as error:
            bringup.down()
            sys.exit(f"{error}; the log of that node says why")


if __name__ == "__main__":
    main()
