# SPDX-License-Identifier: Apache-2.0
"""What every node of the graph does alike: parameters, lifecycle, subscriptions that measure, and the main
loop.

A stage says in :meth:`Stage.configure` which files it reads and which topics it hears and speaks on; an error
that the user can mend makes the transition fail with one line in the log. It acts on messages, never on a
timer.
"""

from __future__ import annotations

import gc
import inspect
import os
import time
import traceback
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterValueException, ParameterException
from rclpy.executors import Executor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile, QoSReliabilityPolicy

from ..errors import GraphError, LiquidSpikeError
from ..types import EPISODE_GAP_NS as EPISODE_GAP_NS
from . import graph
from .diagnostics import ERROR, Diagnostics

#: How long activation waits for the nodes that a stage hears and is heard by [s].
MATCH_TIMEOUT_S = 10.0
#: KeepLast depth: in lock-step one message a topic is under way; in real time late ones are of no use.
DEPTH = 10


class Receiver:
    """A subscription's callback: measures the hop and the work, and keeps an exception for the main loop.

    rclpy 7.1's EventsExecutor calls a callback that wants the MessageInfo with one tuple, the other executors
    with two arguments; this takes both.
    """

    __signature__ = inspect.Signature(
        [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in ("message", "info")]
    )

    def __init__(self, stage: Stage, topic: str, callback: Callable) -> None:
        self._stage, self._topic, self._callback = stage, topic, callback

    def __call__(self, *received) -> None:
        """Take (message, info), or one tuple of the two."""
        message, info = received if len(received) == 2 else received[0]
        stage = self._stage
        if not stage.active:
            return
        stage.diagnostics.latency(f"hop {self._topic}").add(time.time_ns() - info["source_timestamp"])
        began = time.perf_counter_ns()
        try:
            self._callback(message)
        except Exception as error:
            stage.fail(error)
        stage.diagnostics.latency(f"work {self._topic}").add(time.perf_counter_ns() - began)


class Stage(LifecycleNode):
    """A lifecycle node of the graph.

    Attributes:
        active: whether the node is in the active state.
        finalized: whether it was shut down.
        diagnostics: what it tells about itself.
        failure: the exception that ended a callback, if any; the main loop then ends.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.active = self.finalized = False
        self.failure: Exception | None = None
        self.diagnostics = Diagnostics(name)
        self._listening: list[tuple] = []
        self._speaking: list[tuple] = []
        self._optional: list = []
        self._lasting: set = set()
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, graph.DIAGNOSTICS, 100)
        self.mode = self.parameter("mode", "realtime", "lockstep or realtime", choices=graph.MODES)
        period = self.parameter("diagnostics_period_s", 0.5, "time between two diagnostics [s]", 0.05, 60.0)
        self._priority = self.parameter(
            "priority", 0, "0: ordinary scheduling; 1 to 98: SCHED_RR, which needs permission", 0, 98
        )
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(period, self.report, clock=self._steady)

    def parameter(
        self,
        name: str,
        default,
        description: str,
        least=None,
        most=None,
        choices: tuple[str, ...] = (),
        fixed: bool = True,
    ):
        """Declare a parameter and return its value; it is set at the start and read-only after, unless it is not
        ``fixed``: then what is set later acts at the next configure.

        Raises:
            GraphError: the value is of the wrong type, out of range or not among the choices.
        """
        if not fixed:
            description += "; read at configure"
        descriptor = ParameterDescriptor(name=name, description=description, read_only=fixed)
        if choices:
            descriptor.additional_constraints = f"one of {', '.join(choices)}"
        if isinstance(default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=least, to_value=most)]
        elif isinstance(default, int) and not isinstance(default, bool):
            descriptor.integer_range = [IntegerRange(from_value=least, to_value=most)]
        try:
            value = self.declare_parameter(name, default, descriptor).value
        except (InvalidParameterValueException, ParameterException) as error:
            text = " ".join(str(error).split())
            raise GraphError(f"parameter {name}: {text}; {description}") from None
        if choices and value not in choices:
            raise GraphError(f"parameter {name}: {value!r}; give {descriptor.additional_constraints}")
        return value

    # what a stage adds

    def configure(self) -> None:
        """Read the files, warm the kernels, make publishers and subscriptions."""

    def activate(self) -> None:
        """Begin; runs when everybody that the stage hears and is heard by is matched."""

    def deactivate(self) -> None:
        """End; publishers still work."""

    def release(self) -> None:
        """Let go of what :meth:`configure` took, besides the topics; runs at cleanup and at shutdown."""

    def diagnose(self) -> None:
        """Put into :attr:`diagnostics` what is not counted as it happens."""

    def work(self, executor: Executor) -> None:
        """One turn of the main loop."""
        executor.spin_once(timeout_sec=0.1)

    # topics

    def speak(self, message_type, topic: str):
        """A publisher that is silent while the node is not active."""
        publisher = self.create_lifecycle_publisher(message_type, topic, DEPTH)
        self._speaking.append((topic, publisher))
        return publisher

    def listen(
        self, message_type, topic: str, callback: Callable, best_effort: bool = False, optional: bool = False
    ) -> None:
        """Call ``callback(message)`` while active; ``optional`` topics need no publisher."""
        qos = QoSProfile(depth=DEPTH)
        if best_effort:
            qos.reliability = QoSReliabilityPolicy.BEST_EFFORT
        receiver = Receiver(self, topic, callback)
        subscription = self.create_subscription(message_type, topic, receiver, qos)
        if optional:
            self._optional.append(subscription)
        else:
            self._listening.append((topic, subscription))

    def _unmatched(self) -> list[str]:
        missing = [topic for topic, subscription in self._listening if not subscription.get_publisher_count()]
        # as many as the graph knows of, so that a recorder does not pass for the node that is meant
        for topic, publisher in self._speaking:
            if publisher.get_subscription_count() < self.count_subscribers(topic):
                missing.append(topic)
        return missing

    # lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read and check the files; a FAILURE has its reason in the log."""
        began = time.monotonic()
        self._lasting = {*self.timers, *self.services}
        result = self._transition(self.configure, lambda: super(Stage, self).on_configure(state))
        if result == TransitionCallbackReturn.SUCCESS:
            self.get_logger().info(f"configured in {time.monotonic() - began:.2f} s")
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Wait for the neighbours and begin."""

        def begin() -> None:
            wait_until(
                lambda: not self._unmatched(),
                lambda: f"{', '.join(self._unmatched())}: nobody is at the other end; start the whole graph",
            )
            self.diagnostics.restart()
            self.activate()
            self._take_priority()
            gc.collect()
            gc.freeze()  # a full collection would walk all of numba and rclpy in the middle of a tick
            gc.disable()

        result = self._transition(begin, lambda: super(Stage, self).on_activate(state))
        self.active = result == TransitionCallbackReturn.SUCCESS
        return result

    def _take_priority(self) -> None:
        if not self._priority:
            return
        try:
            for thread in os.listdir("/proc/self/task"):
                os.sched_setscheduler(int(thread), os.SCHED_RR, os.sched_param(self._priority))
        except PermissionError:
            raise GraphError(
                f"priority {self._priority} is not permitted; give 0, or raise the user's rtprio limit"
            ) from None

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Send what must be sent last, then fall silent."""

        def end() -> None:
            self.active = False
            gc.enable()
            self.deactivate()
            self.report()

        return self._transition(end, lambda: super(Stage, self).on_deactivate(state))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of all that configure took, so that the node can be configured anew."""

        def forget() -> None:
            self.release()
            for subscription in [*(s for _, s in self._listening), *self._optional]:
                self.destroy_subscription(subscription)
            for _, publisher in self._speaking:
                self.destroy_lifecycle_publisher(publisher)
            for held in (self._listening, self._speaking, self._optional):
                held.clear()
            for timer in {*self.timers} - self._lasting:
                self.destroy_timer(timer)
            for service in {*self.services} - self._lasting:
                self.destroy_service(service)
            gc.unfreeze()
            gc.collect()

        return self._transition(forget, lambda: super(Stage, self).on_cleanup(state))

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
        except Exception as error:  # rclpy would swallow it
            self.get_logger().error(traceback.format_exc())
            self.fail(error)
            return TransitionCallbackReturn.ERROR
        return then()

    def fail(self, error: Exception) -> None:
        """End the process with a traceback: an error that nobody foresaw must not be survived half."""
        self.failure = self.failure or error
        self.diagnostics.complain(ERROR, f"{type(error).__name__}: {error}")

    def report(self) -> None:
        """Publish the diagnostics now."""
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
