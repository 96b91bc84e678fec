# SPDX-License-Identifier: Apache-2.0
"""Whether nodes are still at work: a process can be alive, and its node on the graph, while its callback hangs.

A node's diagnostics come from the loop that runs its callbacks. Where they stop, so has the node.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from . import graph
from .diagnostics import read_status

#: A node is hung when it has told nothing for so long [s], and for so many of its own periods.
LEAST_S, PERIODS = 1.0, 3.0


class Pulse:
    """Watches the diagnostics of some nodes.

    Args:
        node: hears them; somebody must spin it.
        names: of the nodes that are watched.
    """

    def __init__(self, node: Node, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._heard: dict[str, float] = {}
        self._period: dict[str, float] = {}
        node.create_subscription(DiagnosticArray, graph.DIAGNOSTICS, self._on_diagnostics, 100)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now = time.monotonic()
        for name in self._names & read_status(message).keys():
            if name in self._heard:
                self._period[name] = max(now - self._heard[name], 0.5 * self._period.get(name, 0.0))
            self._heard[name] = now

    def forget(self, name: str) -> None:
        """Begin anew with a node, which was started again."""
        self._heard.pop(name, None)
        self._period.pop(name, None)

    def hung(self) -> list[str]:
        """The nodes that have told something, and then nothing for too long."""
        now = time.monotonic()
        return [n for n, at in self._heard.items() if now - at > max(LEAST_S, PERIODS * self._period.get(n, 0.0))]
