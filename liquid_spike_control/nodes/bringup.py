# SPDX-License-Identifier: Apache-2.0
"""Takes the nodes of a graph through their lifecycle: all configured, then activated in order; down in
reverse; up again after an error.

As a program it does so for nodes that a launch file started: ``python -m ...bringup gate controller ...`` brings them
up and ends; with ``--stay`` it is their lifecycle manager until Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import rclpy
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.client import Client
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import remove_ros_args

from ..errors import GraphError, LiquidSpikeError
from .graph import ENCLAVE
from .heartbeat import Heartbeat
from .interrupts import Interrupts
from .process import Claim, ignore_interrupts

#: Compiling the kernels of a new machine takes a minute; with the kernels cached, configuring takes a second.
CONFIGURE_TIMEOUT_S = 300.0
ACTIVATE_TIMEOUT_S = 15.0
#: The whole graph is down within this time, even if nodes do not answer [s].
DOWN_S = 2.0
#: Between two requests to a node that does not react to the first [s]: to one that discovery has shown, whose request
#: or answer can still be lost, and to one in the place of a process that was killed, for which discovery takes it for
#: 20 s.
INSIST_S, INSIST_AFTER_LOSS_S = 3.0, 0.5
#: Where a transition leads, or what is beyond it: nothing is left to do.
GOALS = {
    Transition.TRANSITION_CONFIGURE: (State.PRIMARY_STATE_INACTIVE, State.PRIMARY_STATE_ACTIVE),
    Transition.TRANSITION_ACTIVATE: (State.PRIMARY_STATE_ACTIVE,),
    Transition.TRANSITION_DEACTIVATE: (State.PRIMARY_STATE_INACTIVE, State.PRIMARY_STATE_UNCONFIGURED),
}
#: States in which a node stays.
PRIMARY = (
    State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_INACTIVE, State.PRIMARY_STATE_ACTIVE,
    State.PRIMARY_STATE_FINALIZED,
)  # fmt: skip
#: A node that fails more often than ATTEMPTS times in a while [s] is not brought up again.
ATTEMPTS, WHILE_S = 3, 60.0
#: Between two attempts to activate a node whose robot is not there yet [s].
RETRY_S = 1.0
#: Name of the manager's node.
NAME = "liquid_spike_bringup"


class Refusal(GraphError):
    """A node did not make a transition; its log has the reason."""


class Request:
    """A transition of one node: requested until the node is known to have made or refused it.

    An answer can be lost: a node that is asked again refuses, because it is there already. What counts is its state.

    Args:
        change, read: clients of the node's change_state and get_state.
        transition: id of the transition.
        insist_s: time between two requests [s].
        reached: the state that the node published last, or None.
    """

    def __init__(
        self, change: Client, read: Client, transition: int, insist_s: float, reached: Callable[[], int | None]
    ) -> None:
        self._change, self._read, self._reached, self._insist_s = change, read, reached, insist_s
        self._request = ChangeState.Request(transition=Transition(id=transition))
        self._goals = GOALS[transition]
        self._asked: list[Future] = []
        self._looked: list[Future] = []
        self._began = self._answered_s = time.monotonic()

    def poll(self) -> None:
        """Ask where it is time to."""
        if self.made:
            return
        now = time.monotonic()
        if any(future.done() for future in self._asked):
            self._look(now, 0.0)
        elif self._reached() is not None:  # it works on it, and its answer may be lost
            self._look(now, self._insist_s)
        elif len(self._asked) * self._insist_s <= now - self._began:
            self._asked.append(self._change.call_async(self._request))
            self._answered_s = now

    def _look(self, now: float, after_s: float) -> None:
        if len(self._looked) * self._insist_s <= now - self._answered_s - after_s:
            self._looked.append(self._read.call_async(GetState.Request()))

    @property
    def made(self) -> bool:
        """Whether the node is known to be where the transition leads."""
        answers = (future.result().success for future in self._asked if future.done())
        return any(answers) or any(state in self._goals for state in (self._reached(), *self._states()))

    @property
    def refused(self) -> bool:
        """Whether the node is known to be elsewhere."""
        return not self.made and bool(self._states())

    def _states(self) -> list[int]:
        states = [future.result().current_state.id for future in self._looked if future.done()]
        return [state for state in states if state in PRIMARY]


class Bringup:
    """Lifecycle transitions of several nodes, in the namespace of the node that asks for them.

    Args:
        node: makes the service clients.
        executor: spins ``node``.
        names: of the nodes, in the order of activation.
        check: called while waiting; may raise to give up.
        report: is given what the user should know meanwhile; the node's log if None.
    """

    def __init__(
        self,
        node: Node,
        executor: Executor,
        names: Sequence[str],
        check: Callable[[], None],
        report: Callable[[str], object] | None = None,
    ) -> None:
        self._executor, self._check, self._names = executor, check, tuple(names)
        self._report = report or node.get_logger().warning
        self._clients = {name: node.create_client(ChangeState, f"{name}/change_state") for name in names}
        self._readers = {name: node.create_client(GetState, f"{name}/get_state") for name in names}
        self._failed: deque[str] = deque()
        self._states: dict[str, int] = {}  # what nodes published on the way of the latest transition
        self._failures: dict[str, deque[float]] = {name: deque() for name in names}
        self._activated: set[str] = set()  # by this manager, which takes down nothing else
        for name in names:
            node.create_subscription(TransitionEvent, f"{name}/transition_event", self._hear(name), 10)

    def _hear(self, name: str) -> Callable[[TransitionEvent], None]:
        def on_event(event: TransitionEvent) -> None:
            self._states[name] = event.goal_state.id
            if event.start_state.id == State.TRANSITION_STATE_ERRORPROCESSING:
                self._failed.append(name)

        return on_event

    def up(
        self, ready: Callable[[], bool] = lambda: True, wait_s: float = 0.0, ready_s: float = ACTIVATE_TIMEOUT_S
    ) -> None:
        """Configure all at once, then activate one after the other. A node that is configured or active is left so.

        Args:
            ready: whether the monitor of the topics has found their publishers; waited for in between.
            wait_s: how long activation is retried until the robot is there [s].
            ready_s: how long `ready` may take [s].

        Raises:
            GraphError: a node refused or did not answer; its log has the reason.
        """
        clients = [*self._clients.values(), *self._readers.values()]
        self._wait(lambda: all(client.service_is_ready() for client in clients), 30.0, "start")
        states = self.states()
        if gone := [name for name, state in states.items() if state == State.PRIMARY_STATE_FINALIZED]:
            raise GraphError(f"{gone[0]} is finalized; restart its process")
        fresh = [name for name in self._names if states[name] == State.PRIMARY_STATE_UNCONFIGURED]
        self._change(fresh, Transition.TRANSITION_CONFIGURE, "configure", CONFIGURE_TIMEOUT_S)
        self._wait(ready, ready_s, "find each other")
        deadline = time.monotonic() + wait_s
        for name in self._names:
            if states[name] != State.PRIMARY_STATE_ACTIVE:
                self._activate(name, deadline)

    def states(self) -> dict[str, int]:
        """Request the state of each node.

        Raises:
            GraphError: one did not answer.
        """
        futures: dict[str, list[Future]] = {name: [] for name in self._names}
        began = time.monotonic()

        def all_answered() -> bool:
            for name, asked in futures.items():
                if not any(f.done() for f in asked) and len(asked) * INSIST_S <= time.monotonic() - began:
                    asked.append(self._readers[name].call_async(GetState.Request()))
            return all(any(future.done() for future in asked) for asked in futures.values())

        self._wait(all_answered, 30.0, "report their state")
        return {
            name: next(future.result().current_state.id for future in asked if future.done())
            for name, asked in futures.items()
        }

    def failed(self) -> str | None:
        """A node that went through ErrorProcessing and is unconfigured now, if one did."""
        self._executor.spin_once(timeout_sec=0.0)
        return self._failed.popleft() if self._failed else None

    def again(self, name: str, wait_s: float = 0.0) -> None:
        """Configure and activate one node, after an error or in a new process; the others continue.

        Raises:
            GraphError: it refuses, or has failed too often.
        """
        now, failures = time.monotonic(), self._failures[name]
        failures.append(now)
        while now - failures[0] > WHILE_S:
            failures.popleft()
        if len(failures) > ATTEMPTS:
            raise GraphError(f"{name} failed {len(failures)} times in {WHILE_S:.0f} s; see its log for the reason")
        self._activated.discard(name)
        self._change(
            (name,), Transition.TRANSITION_CONFIGURE, "configure", CONFIGURE_TIMEOUT_S, insist_s=INSIST_AFTER_LOSS_S
        )
        self._activate(name, time.monotonic() + wait_s)
        self._failed = deque(failed for failed in self._failed if failed != name)

    def _activate(self, name: str, deadline: float) -> None:
        while True:
            try:
                self._change((name,), Transition.TRANSITION_ACTIVATE, "activate", ACTIVATE_TIMEOUT_S)
            except Refusal:
                if time.monotonic() >= deadline:
                    raise
                left = deadline - time.monotonic()
                self._report(f"{name} could not activate; it is tried for {left:.0f} s more")
                again = time.monotonic() + RETRY_S
                self._wait(partial(_is_past, again), 2 * RETRY_S, "wait")
            else:
                self._activated.add(name)
                return

    def down(self) -> None:
        """Deactivate what this manager activated, in reverse order, the gate last: the robot's last command is the
        safe one. Nodes that do not answer are passed over, and all of it takes no longer than :data:`DOWN_S`.
        """
        deadline = time.monotonic() + DOWN_S
        for left, name in reversed([*enumerate((n for n in self._names if n in self._activated), 1)]):
            share = max(0.0, deadline - time.monotonic()) / left
            try:
                self._change((name,), Transition.TRANSITION_DEACTIVATE, "deactivate", share, lambda: None)
            except GraphError:
                continue
            finally:
                self._activated.discard(name)

    def _change(
        self,
        names: Sequence[str],
        transition: int,
        verb: str,
        timeout_s: float,
        check: Callable[[], None] | None = None,
        insist_s: float = INSIST_S,
    ) -> None:
        """Take some nodes through a transition.

        Raises:
            Refusal: one of them refused it.
            GraphError: one of them gave no answer.
        """
        for name in names:
            self._states.pop(name, None)
        requests = {
            name: Request(
                self._clients[name], self._readers[name], transition, insist_s,
                partial(self._states.get, name),
            )
            for name in names
        }  # fmt: skip

        def settled() -> bool:
            for request in requests.values():
                request.poll()
            return all(r.made for r in requests.values()) or any(r.refused for r in requests.values())

        self._wait(settled, timeout_s, verb, check)
        for name, request in requests.items():
            if request.refused:
                raise Refusal(f"{name} could not {verb}")

    def _wait(
        self, done: Callable[[], bool], timeout_s: float, verb: str, check: Callable[[], None] | None = None
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            (check or self._check)()
            if time.monotonic() > deadline:
                raise GraphError(f"the nodes did not {verb} in {timeout_s:.0f} s")
            self._executor.spin_once(timeout_sec=0.02)


def attend(bringup: Bringup, heartbeat: Heartbeat, node: Node, check: Callable[[], None], wait_s: float) -> None:
    """Bring nodes back until ``check`` raises: one that failed, one that a launch file restarted after its process
    ended, and one that hangs, whose process is killed so that the launch file restarts it.

    Raises:
        GraphError: a node fails again and again, or refuses.
    """
    while True:
        check()
        name = bringup.failed() or heartbeat.restarted()
        for hung in heartbeat.hung():
            pid = heartbeat.pid(hung)
            heartbeat.forget_process(hung)
            if pid is not None and _runs(pid, hung):
                node.get_logger().warning(f"{hung} hangs; its process {pid} is killed")
                os.kill(pid, signal.SIGKILL)
        if name is not None:
            node.get_logger().warning(f"{name} failed; it is brought up again")
            heartbeat.forget(name)
            bringup.again(name, wait_s)
            heartbeat.forget(name)
        time.sleep(0.05)


def _runs(pid: int, name: str) -> bool:
    """Whether a process of this machine is that of a node: its program is called so."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return any(argument.rpartition("/")[2].rpartition(".")[2] == name for argument in arguments)


def _is_past(moment_s: float) -> bool:
    """Whether the steady clock is past a moment [s]."""
    return time.monotonic() >= moment_s


def main() -> None:
    """Bring the nodes named on the command line up."""
    from rclpy.executors import SingleThreadedExecutor

    parser = argparse.ArgumentParser(prog="bringup", description=__doc__)
    parser.add_argument("names", nargs="+", help="nodes, in the order of activation")
    parser.add_argument("--stay", action="store_true", help="manage them until Ctrl-C")
    parser.add_argument("--wait", type=float, default=0.0, help="how long to wait for the robot [s]")
    options = parser.parse_args(remove_ros_args(sys.argv)[1:])
    with Interrupts() as interrupts:  # a second Ctrl-C does not keep the nodes from being brought down
        rclpy.init(args=[*sys.argv, *ENCLAVE], signal_handler_options=SignalHandlerOptions.NO)
        node = Node(NAME)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        status, bringup = 0, None
        try:
            claim = Claim(node.context.get_domain_id(), node.get_fully_qualified_name())
            bringup = Bringup(node, executor, options.names, interrupts.check)
            heartbeat = Heartbeat(node, options.names)
            node.get_logger().info(
                f"bringing {', '.join(options.names)} up; the first time kernels are compiled, which takes a minute"
            )
            began = time.monotonic()
            bringup.up(wait_s=options.wait)
            node.get_logger().info(f"all nodes are active after {time.monotonic() - began:.1f} s")
            if options.stay:
                attend(bringup, heartbeat, node, interrupts.check, options.wait)
            claim.close()
        except KeyboardInterrupt:
            pass
        except LiquidSpikeError as error:
            reason = str(error) if bringup is None else f"{error}; see that node's log for the reason"
            node.get_logger().error(reason)
            status = 1
        if bringup is not None and (status or options.stay or interrupts.came):
            bringup.down()
        node.destroy_node()
        rclpy.shutdown()
    ignore_interrupts()
    sys.exit(status)


if __name__ == "__main__":
    main()
