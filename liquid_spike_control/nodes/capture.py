# SPDX-License-Identifier: Apache-2.0
"""Takes serialised messages off topics in batches, without waking for each of them.

The subscriptions belong to a node that no executor spins: the middleware keeps the messages until
:meth:`drain` takes them, so whoever watches a graph costs it next to nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from rclpy.node import Node
from rclpy.qos import QoSProfile

from . import graph

#: Messages a topic that may wait for the next :meth:`Capture.drain`.
DEPTH = 2000


class Capture:
    """Subscriptions to some topics of the graph.

    Args:
        name: of the node.
        topics: names from :data:`graph.TOPICS`.
    """

    def __init__(self, name: str, topics: tuple[str, ...]) -> None:
        self.node = Node(name, enable_rosout=False, start_parameter_services=False)
        self.types = {topic: get_message(graph.TOPICS[topic]) for topic in topics}
        self._subscriptions = {
            topic: self.node.create_subscription(
                message_type, topic, _never, QoSProfile(depth=DEPTH), raw=True
            )
            for topic, message_type in self.types.items()
        }

    def drain(self) -> Iterator[tuple[str, int, bytes]]:
        """Topic, time of publication [ns] and serialised message, of everything that came since the last
        call.
        """
        for topic, subscription in self._subscriptions.items():
            with subscription.handle:
                while (taken := subscription.handle.take_message(self.types[topic], True)) is not None:
                    data, info = taken
                    yield topic, info["source_timestamp"], data

    def matched(self) -> bool:
        """Whether every topic that somebody publishes in a quiet graph is connected to its publisher."""
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


def _never(_message) -> None:
    raise AssertionError("nobody spins the node of a capture")
