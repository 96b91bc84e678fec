# SPDX-License-Identifier: Apache-2.0
"""A node's topics: who must be at the other end, with which quality of service, and whether messages come.

Every topic's history, depth and reliability can be set by the parameters ``qos_overrides.<topic>.publisher.*`` and
``qos_overrides.<topic>.subscription.*``, as ROS does it everywhere.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.qos import QoSCompatibility, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy, qos_check_compatible
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions
from rclpy.subscription import Subscription

from ..errors import GraphError
from . import graph

if TYPE_CHECKING:
    from .graph_node import GraphNode

#: KeepLast depth: in lock-step one message a topic is under way; in real time late ones are of no use.
DEPTH = 10
#: A topic of the robot is live if its last message is no older than this [s].
LIVE_S = 0.5


class Receiver:
    """A subscription's callback: measures the hop and the work, and keeps an exception for the main loop.

    rclpy 7.1's EventsExecutor calls a callback that wants the MessageInfo with one tuple, the other executors
    with two arguments; this takes both.

    Attributes:
        received_s: when the last message came, by the steady clock [s]; None if none has.
    """

    __signature__ = inspect.Signature(
        [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in ("message", "info")]
    )

    def __init__(self, stage: GraphNode, topic: str, callback: Callable, always: bool) -> None:
        self._stage, self._topic, self._callback, self._always = stage, topic, callback, always
        self.received_s: float | None = None

    def __call__(self, *received) -> None:
        """Take (message, info), or one tuple of the two."""
        message, info = received if len(received) == 2 else received[0]
        stage = self._stage
        self.received_s = time.monotonic()
        if not (stage.active or self._always):
            return
        stage.hop_ns = time.time_ns() - info["source_timestamp"]
        stage.diagnostics.latency(f"hop {self._topic}").add(stage.hop_ns)
        began = time.perf_counter_ns()
        try:
            self._callback(message)
        except Exception as error:
            stage.fail(error)
        stage.diagnostics.latency(f"work {self._topic}").add(time.perf_counter_ns() - began)


class Connections:
    """The publishers and subscriptions that a node makes at configure.

    Args:
        stage: the node.
    """

    def __init__(self, stage: GraphNode) -> None:
        self._stage = stage
        self._speaking: list[tuple] = []
        self._subscribers: dict[str, tuple[str, ...]] = {}
        self._listening: list[tuple[Subscription, Receiver, bool, bool]] = []

    def add_publisher(self, message_type, topic: str, needed: bool, subscribers: tuple[str, ...] = ()):
        """Create a publisher that is silent while the node is not active; ``needed``: it must have a subscriber;
        ``subscribers``: nodes that must receive its first message, besides those of :data:`.graph.LISTENERS`.
        """
        qos = QoSProfile(depth=DEPTH)
        publisher = self._made(topic, self._stage.create_lifecycle_publisher, message_type, topic, qos)
        self._speaking.append((publisher, needed))
        self._subscribers[publisher.topic_name] = subscribers or graph.LISTENERS.get(graph.absolute(topic), ())
        return publisher

    def add_subscription(
        self,
        message_type,
        topic: str,
        callback: Callable,
        best_effort: bool,
        optional: bool,
        live: bool,
        always: bool = False,
    ) -> None:
        """Subscribe; see :meth:`GraphNode.add_subscription`."""
        qos = QoSProfile(depth=DEPTH)
        if best_effort:
            qos.reliability = QoSReliabilityPolicy.BEST_EFFORT
        receiver = Receiver(self._stage, graph.absolute(topic), callback, always)  # as without a namespace
        subscription = self._made(topic, self._stage.create_subscription, message_type, topic, receiver, qos)
        self._listening.append((subscription, receiver, optional, live))

    def _made(self, topic: str, make: Callable, *args):
        try:
            return make(*args, qos_overriding_options=QoSOverridingOptions.with_default_policies(callback=_bounded))
        except (InvalidQosOverridesError, ParameterException, RuntimeError, TypeError, ValueError) as error:
            raise GraphError(f"parameter qos_overrides.{topic}: {' '.join(str(error).split())}") from None

    def forget(self) -> None:
        """Destroy them all."""
        for subscription, *_ in self._listening:
            self._stage.destroy_subscription(subscription)
        for publisher, _ in self._speaking:
            self._stage.destroy_lifecycle_publisher(publisher)
        self._listening.clear()
        self._speaking.clear()

    def missing(self) -> list[str]:
        """Return the fault of each topic, as text; empty when every peer is connected."""
        complaints = []
        for subscription, receiver, optional, live in self._listening:
            if not subscription.get_publisher_count():
                if not optional:
                    complaints.append(self._why_unmatched(subscription))
            elif live and not _live(subscription, receiver):
                complaints.append(f"{subscription.topic_name}: no message in {LIVE_S} s; is the driver running?")
        for publisher, needed in self._speaking:
            topic = publisher.topic_name
            known, matched = self._stage.count_subscribers(topic), publisher.get_subscription_count()
            # as many as the graph knows of, so that a recorder does not pass for the node that is meant
            if absent := self._absent(topic):
                complaints.append(f"{topic}: {', '.join(absent)} does not subscribe; start the whole graph")
            elif matched < known:
                complaints.append(f"{topic}: {known - matched} of {known} subscribers request another QoS or type")
            elif needed and not known:
                complaints.append(f"{topic}: no subscriber; is the robot's controller running?")
        return complaints

    def _absent(self, topic: str) -> list[str]:
        """Return the nodes that must receive the first message and have not subscribed yet."""
        required = [name for name in self._subscribers.get(topic, ()) if name in self._stage.peers]
        if "recorder" in self._stage.peers:
            required.append(graph.CAPTURE)
        if not required:
            return []
        found = self._stage.get_subscriptions_info_by_topic(topic)
        known = {info.node_name for info in found if info.node_namespace == self._stage.get_namespace()}
        return [name for name in required if name not in known]

    def _why_unmatched(self, subscription: Subscription) -> str:
        topic, own = subscription.topic_name, getattr(subscription.msg_type, "__name__", "")
        for info in self._stage.get_publishers_info_by_topic(topic):
            if not info.topic_type.endswith(f"/{own}"):
                return f"{topic} is a {info.topic_type}, not a {own}"
            fits, reason = qos_check_compatible(info.qos_profile, subscription.qos_profile)
            if fits == QoSCompatibility.ERROR:
                return f"{topic}: {reason}; set qos_overrides.{topic}.subscription.*"
        return f"{topic}: no publisher; start the whole graph, and the robot"


def _bounded(qos: QoSProfile) -> SetParametersResult:
    """Old messages must go: KeepLast, and not many."""
    good = qos.history == QoSHistoryPolicy.KEEP_LAST and 1 <= qos.depth <= 1000
    return SetParametersResult(successful=good, reason="" if good else "history: keep_last; depth: 1 to 1000")


def _live(subscription: Subscription, receiver: Receiver) -> bool:
    """Whether a message came recently; nothing spins during a lifecycle transition, so this polls the topic itself."""
    with subscription.handle:
        if subscription.handle.take_message(subscription.msg_type, True) is not None:
            receiver.received_s = time.monotonic()
    return receiver.received_s is not None and time.monotonic() - receiver.received_s <= LIVE_S
