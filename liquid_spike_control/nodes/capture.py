# SPDX-License-Identifier: Apache-2.0
"""Takes serialised messages off topics in batches, without waking for each of them.

The subscriptions belong to a node that no executor spins: the middleware keeps the messages until
:meth:`drain` takes them, so watching a graph costs it next to nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.subscription import Subscription

from . import graph

#: Messages a topic that may wait for the next :meth:`Capture.drain`.
DEPTH = 2000
#: rclpy's raw messages come with when they were published.
STAMP = "source_timestamp"


class Capture:
    """Subscriptions to some topics of the graph.

    Args:
        name: of the node.
        topics: their names.
        types: of each, if not in :data:`graph.TOPICS`.
        lossy: whether messages may be lost; publishers then need not look after this subscriber.
    """

    def __init__(self, name: str, topics: Sequence[str] = (), types: Sequence[str] = (), lossy: bool = False) -> None:
        self._lossy = lossy
        self.node = Node(name, enable_rosout=False, start_parameter_services=False)
        self.types: dict[str, type] = {}
        self._names: dict[str, str] = {}
        self._subscriptions: dict[str, Subscription] = {}
        known = graph.TOPICS | dict(zip(topics, types, strict=False))
        for topic in topics:
            self.add(topic, known[topic], graph.relative(topic))

    def add(self, topic: str, kind: str, name: str = "") -> None:
        """Subscribe to a topic of type ``kind``, with the quality of service that its present publishers offer.

        Args:
            topic: its name in :meth:`drain`.
            kind: type of its messages.
            name: of the topic as the node names it, below its namespace; ``topic`` if empty.

        Raises:
            ImportError, AttributeError: the type is not installed.
        """
        self.types[topic] = get_message(kind)
        self._names[topic] = name or topic
        self._subscribe(topic)

    def resubscribe(self) -> None:
        """Resubscribe to topics whose publishers offer less than was requested, as a camera's best effort."""
        for topic, subscription in self._subscriptions.items():
            name = self._names[topic]
            if subscription.get_publisher_count() < self.node.count_publishers(name):
                offered = self._quality(name)
                if offered.reliability != subscription.qos_profile.reliability:
                    self.node.destroy_subscription(subscription)
                    self._subscribe(topic)

    def _subscribe(self, topic: str) -> None:
        name = self._names[topic]
        self._subscriptions[topic] = self.node.create_subscription(
            self.types[topic], name, _never, self._quality(name), raw=True
        )

    def _quality(self, name: str) -> QoSProfile:
        """The quality of service of the subscription to a topic."""
        qos = _offered(self.node, name)
        if self._lossy and qos.durability != QoSDurabilityPolicy.TRANSIENT_LOCAL:
            qos.reliability = QoSReliabilityPolicy.BEST_EFFORT
        return qos

    def drain(self) -> Iterator[tuple[str, int, bytes]]:
        """Topic, time of publication [ns] and serialised message, of everything that came since the last
        call.
        """
        for topic, subscription in self._subscriptions.items():
            with subscription.handle:
                while (taken := subscription.handle.take_message(self.types[topic], True)) is not None:
                    data, info = taken
                    yield topic, info[STAMP], data

    def matched(self) -> bool:
        """Whether every topic that has a publisher in a quiet graph is connected to it."""
        return all(
            s.get_publisher_count() for topic, s in self._subscriptions.items() if topic != graph.E_STOP
        )

    def close(self) -> None:
        """Unsubscribe."""
        self.node.destroy_node()


def get_message(name: str):
    """The class of a message type such as ``sensor_msgs/msg/JointState``."""
    package, _, kind = name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), kind)


def _offered(node: Node, topic: str) -> QoSProfile:
    """Return the quality that every publisher of a topic offers: reliable and latched only if all of them are."""
    offers = [info.qos_profile for info in node.get_publishers_info_by_topic(topic)]
    qos = QoSProfile(depth=DEPTH)
    if any(offer.reliability == QoSReliabilityPolicy.BEST_EFFORT for offer in offers):
        qos.reliability = QoSReliabilityPolicy.BEST_EFFORT
    if offers and all(offer.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL for offer in offers):
        qos.durability = QoSDurabilityPolicy.TRANSIENT_LOCAL
    return qos


def _never(_message) -> None:
    raise AssertionError("the node of a capture must not be spun")
