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

#: A node is hung when it has published no diagnostics for so long [s], and for so many of its own periods.
LEAST_S, PERIODS = 1.0, 3.0


class Heartbeat:
    """Watches the diagnostics of some nodes.

    Args:
        node: subscribes to them; the caller spins it.
        names: of the nodes that are watched.
    """

    def __init__(self, node: Node, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._last_s: dict[str, float] = {}
        self._pids: dict[str, int] = {}
        self._active: set[str] = set()
        self._restarted: list[str] = []
        self._period: dict[str, float] = {}
        node.create_subscription(DiagnosticArray, graph.relative(graph.DIAGNOSTICS), self._on_diagnostics, 100)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now = time.monotonic()
        statuses = read_status(message)
        for name in self._names & statuses.keys():
            self._look(name, statuses[name])
            if name in self._last_s:
                self._period[name] = max(now - self._last_s[name], 0.5 * self._period.get(name, 0.0))
            self._last_s[name] = now

    def _look(self, name: str, values: dict[str, str]) -> None:
        if values.get("pid", "").isdecimal():
            self._pids[name] = int(values["pid"])
        state = values.get("state")
        if state == "active":
            self._active.add(name)
        elif state == "unconfigured" and name in self._active:
            self._active.discard(name)
            self._restarted.append(name)

    def forget_process(self, name: str) -> None:
        """Forget when a node was heard and its process, not that it was active: a new process of it is a restart."""
        for known in (self._last_s, self._period, self._pids):
            known.pop(name, None)

    def forget(self, name: str) -> None:
        """Forget a node, which was restarted."""
        self.forget_process(name)
        self._active.discard(name)
        self._restarted = [restarted for restarted in self._restarted if restarted != name]

    def restarted(self) -> str | None:
        """A node that was active and is unconfigured now, as one in a new process is."""
        return self._restarted.pop(0) if self._restarted else None

    def pid(self, name: str) -> int | None:
        """Return the process id that a node reports."""
        return self._pids.get(name)

    def hung(self) -> list[str]:
        """Return the nodes that have published diagnostics, and then none for too long."""
        now = time.monotonic()
        return [n for n, at in self._last_s.items() if now - at > max(LEAST_S, PERIODS * self._period.get(n, 0.0))]
