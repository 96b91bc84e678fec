# SPDX-License-Identifier: Apache-2.0
"""Two processes as rclpy's tutorial has them, and nothing else: what a hop costs without us.

``python -m ...bare talker`` publishes a JointState every 5 ms; ``python -m ...bare listener SECONDS`` prints how
long each was under way, median and 99th percentile, as JSON.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState

TOPIC = "/bare"
PERIOD_S = 0.005
DEPTH = 10


class Talker(Node):
    """Publishes by a timer."""

    def __init__(self) -> None:
        super().__init__("bare_talker")
        self._publisher = self.create_publisher(JointState, TOPIC, QoSProfile(depth=DEPTH))
        self._message = JointState(name=["joint"], position=[0.0], velocity=[0.0])
        self.create_timer(PERIOD_S, self._talk)

    def _talk(self) -> None:
        self._publisher.publish(self._message)


class Listener(Node):
    """Keeps the time from publishing to the callback of each message."""

    def __init__(self) -> None:
        super().__init__("bare_listener")
        self.hops_ns: list[int] = []
        # rclpy's types know of one argument only
        self.create_subscription(JointState, TOPIC, self._hear, QoSProfile(depth=DEPTH))  # type: ignore[arg-type]

    def _hear(self, message: JointState, info: dict) -> None:
        self.hops_ns.append(time.time_ns() - info["source_timestamp"])


def main() -> None:
    """Run one of the two, the talker until it is ended."""
    role = sys.argv[1]
    rclpy.init(args=[])
    if role == "talker":
        rclpy.spin(Talker())
        return
    listener = Listener()
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        rclpy.spin_once(listener, timeout_sec=0.1)
    p50, p99 = np.percentile(listener.hops_ns, (50, 99)) / 1e3 if listener.hops_ns else (None, None)
    print(json.dumps({"messages": len(listener.hops_ns), "p50_us": p50, "p99_us": p99}))


if __name__ == "__main__":
    main()
