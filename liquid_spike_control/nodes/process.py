# SPDX-License-Identifier: Apache-2.0
"""A node as a process: its executor, its signals, and the supervisor that it must not outlive."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from ..errors import GraphError, LiquidSpikeError
from ..parent_death import end_with_parent
from .graph import PARENT
from .graph_node import GraphNode
from .shared_memory import remove_stale_segments
from .transport import profile_variables


class Claim:
    """A name on a ROS domain of this machine, held by one process at a time, however that process ends.

    Discovery may take seconds to show a node of the same name; this shows it at once.

    Raises:
        GraphError: another process holds it.
    """

    def __init__(self, domain: int, name: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.bind(f"\0liquid_spike_control.{domain}.{name}")
        except OSError:
            self._socket.close()
            raise GraphError(
                f"ROS domain {domain} is in use: another {name} is on it; wait for its end, or set"
                " ROS_DOMAIN_ID to another number"
            ) from None

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()


def new_executor() -> Executor:
    """The EventsExecutor where rclpy has it: half the CPU time and latency of the SingleThreadedExecutor.

    It must be driven by ``spin_once``: a bare ``spin()`` of the wheels' build burns a core and runs nothing.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def ignore_interrupts() -> None:
    """Ignore signals: this process is about to exit with a status of its own. At its end Python removes its handlers,
    and a second Ctrl-C would kill it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _bind_to_parent() -> int | None:
    """Get SIGTERM when the supervisor's main thread dies, however it dies; returns the supervisor's pid."""
    parent = os.environ.get(PARENT)
    if parent is None:
        return None
    end_with_parent(how=signal.SIGTERM)
    return int(parent)


def run(stage: Callable[[], GraphNode]) -> None:
    """Main program of a node: spin until SIGINT, SIGTERM or the end of the supervisor, then shut down in
    order.
    """
    stopping = False
    node: GraphNode | None = None

    def idle() -> bool:
        return node is None or node.configuring

    def stop(_signum, _frame) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            if idle():
                os._exit(0)  # in the middle of imports or of compiling, where nothing depends on it yet
            signal.alarm(3)  # a callback that never returns must not make an orphan; SIGALRM kills

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    parent = _bind_to_parent()
    remove_stale_segments()
    os.environ.update(profile_variables(os.environ))  # `ros2 run` and launch files do not set it
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = stage()
        claim = Claim(node.context.get_domain_id(), node.get_fully_qualified_name())
    except LiquidSpikeError as error:
        print(f"[ERROR] {error}", file=sys.stderr)
        sys.exit(2)
    executor = new_executor()
    executor.add_node(node)
    while not stopping and parent in (None, os.getppid()):
        try:
            node.work(executor)
        except ExternalShutdownException:
            break
        except Exception as error:  # of a timer or a service; those of subscriptions are kept by the node
            node.fail(error)
        if node.diagnostics.urgent:
            node.report()
        if node.failure is not None:
            node.recover()
        if node.failure is not None:
            break  # it could not
    ignore_interrupts()  # Ctrl-C comes from the terminal and from ros2 launch
    if node.failure is not None:
        traceback.print_exception(node.failure)
    if not node.finalized:
        node.trigger_shutdown()
    node.destroy_node()
    rclpy.shutdown()
    claim.close()
    sys.exit(0 if node.failure is None else 1)
