# SPDX-License-Identifier: Apache-2.0
"""Base of every node of the graph: parameters, lifecycle, subscriptions that measure latency, and the main loop.

A stage declares in :meth:`GraphNode.configure` which files it reads and which topics it subscribes to and publishes; an
error that the user can correct makes the transition fail with one line in the log. It acts on messages, never on a
timer.
"""

from __future__ import annotations

import gc
import os
import time
import traceback
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from ..errors import GraphError, LiquidSpikeError
from ..types import EPISODE_GAP_NS as EPISODE_GAP_NS
from . import graph
from .connections import Connections
from .diagnostics import ERROR, Diagnostics
from .parameter_node import ParameterNode
from .scheduling import take_priority

#: How long activation waits for a stage's publishers and subscribers, and for the robot's messages [s].
MATCH_TIMEOUT_S = 10.0
#: A node that rested within this time will soon do so again [s].
BUSY_S = 0.05


class GraphNode(ParameterNode):
    """A lifecycle node of the graph.

    Attributes:
        active: whether the node is in the active state.
        finalized: whether it was shut down.
        configuring: whether it reads files and compiles kernels now.
        diagnostics: of the node.
        hop_ns: latency of the message of the running callback, by the system's clock [ns].
        failure: the exception that ended a callback, if any; the main loop then calls :meth:`recover`.
        live_inputs: whether activation waits for the robot's messages, and for a subscriber of the commands.
        peers: nodes that activation waits for wherever they listen, see :data:`.graph.LISTENERS`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.active = self.finalized = self.configuring = False
        self.hop_ns = 0
        self.failure: Exception | None = None
        self.diagnostics = Diagnostics(name)
        self._connections = Connections(self)
        self._configured = False
        self._lasting: set = set()
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, graph.relative(graph.DIAGNOSTICS), 100)
        self.mode = self.parameter("mode", "realtime", "lockstep or realtime", choices=graph.MODES)
        period = self.parameter("diagnostics_period_s", 0.5, "time between two diagnostics [s]", 0.05, 60.0)
        self._priority = self.parameter(
            "priority", 0, "0: ordinary scheduling; 1 to 98: SCHED_RR, which needs permission", 0, 98
        )
        self.live_inputs = self.parameter(
            "live_inputs", True, "activate only when the robot's messages come; false: the graph has its own robot"
        )
        # not without a value: `ros2 param dump` would print nothing
        peers = self.parameter("peers", [""], "the graph's nodes, none of which may miss a first message")
        self.peers: frozenset[str] = frozenset(peer for peer in peers if peer)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(period, self._on_period, clock=self._steady)
        self._report_due = False
        self._rested = 0.0
        (service,) = (service for service in self.services if service.srv_name.endswith("/change_state"))
        service.callback = self._guarded(service.callback)

    def _guarded(self, change: Callable) -> Callable:
        """Refuse a transition that the state does not have: rclpy raises, and leaves the caller without an answer."""

        def on_change_state(request, response):
            possible = {transition_id for transition_id, *_ in self._state_machine.available_transitions}
            if not request.transition.label and request.transition.id not in possible:
                self.get_logger().warning(f"no transition {request.transition.id} from the present state")
                response.success = False
                return response
            return change(request, response)

        return on_change_state

    # what a stage adds

    def configure(self) -> None:
        """Read the files, warm the kernels, make publishers and subscriptions."""

    def activate(self) -> None:
        """Begin; runs when all publishers and subscribers of the stage are matched."""

    def deactivate(self) -> None:
        """End; publishers still work."""

    def release(self) -> None:
        """Release the resources of :meth:`configure`, besides the topics; runs at cleanup and at shutdown."""

    def diagnose(self) -> None:
        """Put into :attr:`diagnostics` what is not counted as it happens."""

    def work(self, executor: Executor) -> None:
        """One turn of the main loop."""
        executor.spin_once(timeout_sec=0.1)

    # topics

    def add_publisher(self, message_type, topic: str, to_robot: bool = False, subscribers: tuple[str, ...] = ()):
        """Create a publisher that is silent while the node is not active.

        Args:
            message_type, topic: type of the messages, and name of the topic.
            to_robot: activation waits for a subscriber, if ``live_inputs`` is set.
            subscribers: nodes of the graph that must receive the first message.
        """
        return self._connections.add_publisher(message_type, topic, to_robot and self.live_inputs, subscribers)

    def add_subscription(
        self,
        message_type,
        topic: str,
        callback: Callable,
        best_effort: bool = False,
        optional: bool = False,
        from_robot: bool = False,
        always: bool = False,
    ) -> None:
        """Call ``callback(message)`` while active.

        Args:
            message_type, topic: type of the messages, and name of the topic.
            callback: called with each message.
            best_effort: the default quality of service, as of sensors.
            optional: activation does not wait for a publisher.
            from_robot: activation waits for a message, if ``live_inputs`` is set.
            always: call it while the node is configured, active or not.
        """
        live = from_robot and self.live_inputs
        self._connections.add_subscription(message_type, topic, callback, best_effort, optional, live, always)

    # lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read and check the files; a FAILURE has its reason in the log."""
        began = time.monotonic()
        self._lasting = {*self.timers, *self.services}

        def configure() -> None:
            self.refuse_unknown()
            self.configuring = True
            try:
                self.configure()
            finally:
                self.configuring = False

        result = self._transition(configure, lambda: super(GraphNode, self).on_configure(state))
        self._configured = result == TransitionCallbackReturn.SUCCESS
        if self._configured:
            self.get_logger().info(f"configured in {time.monotonic() - began:.2f} s")
        elif result == TransitionCallbackReturn.FAILURE:
            self._forget()  # what was made before the refusal
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Wait for the neighbours and begin."""

        def begin() -> None:
            wait_until(
                lambda: not self._connections.missing(),
                lambda: "; ".join(self._connections.missing()),
            )
            self.diagnostics.restart()
            self.activate()
            take_priority(self._priority)
            gc.collect()
            gc.freeze()  # a full collection would walk all of numba and rclpy in the middle of a tick
            gc.disable()

        result = self._transition(begin, lambda: super(GraphNode, self).on_activate(state))
        self.active = result == TransitionCallbackReturn.SUCCESS
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Send what must be sent last, then fall silent."""

        def end() -> None:
            self.active = False
            gc.enable()
            self.deactivate()
            self.report()
            self._raise_failure()

        return self._transition(end, lambda: super(GraphNode, self).on_deactivate(state))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release all resources of configure, so that the node can be configured again."""
        return self._transition(self._forget, lambda: super(GraphNode, self).on_cleanup(state))

    def _forget(self) -> None:
        self._configured = False
        self.release()
        self._connections.forget()
        for timer in {*self.timers} - self._lasting:
            self.destroy_timer(timer)
        for service in {*self.services} - self._lasting:
            self.destroy_service(service)
        gc.unfreeze()
        gc.collect()
        self._raise_failure()

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As on_deactivate where the node was active."""
        if self.active:
            self.active = False
            self.deactivate()
            self.report()
        self.release()
        self.finalized = True
        return super().on_shutdown(state)

    def _transition(self, action: Callable[[], None], then: Callable) -> TransitionCallbackReturn:
        try:
            action()
        except LiquidSpikeError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:  # rclpy would swallow it
            self._log_error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        return then()

    # unexpected errors

    def fail(self, error: Exception) -> None:
        """Keep an exception of a callback for the main loop, which then calls :meth:`recover`."""
        self.failure = self.failure or error
        self.diagnostics.complain(ERROR, f"{type(error).__name__}: {error}")

    def recover(self) -> None:
        """Leave by ErrorProcessing for the unconfigured state: a node must not continue with half of its state.

        The gate's safe command goes out during the transition. The supervisor or the user may configure it again.
        """
        if self.active:
            self.trigger_deactivate()
        elif self._configured:
            self.trigger_cleanup()
        else:
            self._log_error("".join(traceback.format_exception(self.failure)))
            self.failure = None

    def _raise_failure(self) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    def _log_error(self, text: str) -> None:
        lines = text.rstrip().splitlines()
        self.get_logger().error(f"{lines[-1]}; the node is unconfigured now; configure it again")
        self.get_logger().info(text)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop publishing and release all resources; a node that fails to do so is finalized, and ends."""
        self.active, self.failure = False, None
        gc.enable()
        try:
            self._forget()
        except Exception as error:
            self.get_logger().error(traceback.format_exc())
            self.failure, self.finalized = error, True
            return TransitionCallbackReturn.FAILURE
        return super().on_error(state)

    # diagnostics

    def answered(self, stamp_ns: int) -> None:
        """Note that what this node makes of a stamp is out."""
        self.diagnostics.values["answered_ns"] = stamp_ns
        self.rest()

    def rest(self) -> None:
        """Mark a moment without pending work: a report that is due delays no message."""
        self._rested = time.monotonic()
        if self._report_due:
            self.report()

    def _on_period(self) -> None:
        """Report at the next rest, or now if none is expected."""
        if self.active and time.monotonic() - self._rested < BUSY_S:
            self._report_due = True
        else:
            self.report()

    def report(self) -> None:
        """Publish the diagnostics now."""
        self._report_due = False
        state = "active" if self.active else "inactive" if self._configured else "unconfigured"
        self.diagnostics.values |= {"state": state, "pid": os.getpid()}
        self.diagnose()
        if self.active:
            gc.collect()  # short: everything older than the activation is frozen
        self._diagnostics_publisher.publish(self.diagnostics.report(self.get_clock().now().to_msg()))


def wait_until(holds: Callable[[], bool], complaint: Callable[[], str]) -> None:
    """Wait for the middleware to connect the graph.

    Raises:
        GraphError: it took longer than :data:`MATCH_TIMEOUT_S`.
    """
    deadline = time.monotonic() + MATCH_TIMEOUT_S
    while not holds():
        if time.monotonic() > deadline:
            raise GraphError(complaint())
        time.sleep(0.005)
