# SPDX-License-Identifier: Apache-2.0
"""When spikes arrive: networks whose layers act within one step, on hardware where every connection takes one.

A population that a framework steps at t is stepped here at t plus its latency, the longest path to it. Its spikes
are those of the framework, later by the latency, to the spike. Recurrence takes one step in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..errors import ModelError

#: Source, target and least delay [steps] of a connection.
Edge = tuple[str, str, int]


def latencies(edges: Sequence[Edge], names: Iterable[str]) -> dict[str, int]:
    """Latency of every population [steps] such that a spike may act ``delay`` steps after it, in the target's time.

    Args:
        edges: connections between populations and from sources that are none, whose latency is 0.
        names: the populations.

    Raises:
        ModelError: populations feed each other without delays that cover the steps between them.
    """
    found = dict.fromkeys(names, 0)
    for _ in range(len(found) + 1):
        moved = [b for a, b, delay in edges if found.get(a, 0) + 1 - delay > found[b]]
        for a, b, delay in edges:
            found[b] = max(found[b], found.get(a, 0) + 1 - delay)
        if not moved:
            return found
    circle = _circle(edges, moved[0])
    raise ModelError(
        f"node {moved[0]}: {' -> '.join(circle)} feed each other within one step; put a Delay of a step into every "
        'connection between them, or read it with preset "loihi", where a connection takes a step'
    )


def delay(edge: Edge, latency: Mapping[str, int]) -> int:
    """Extra steps of a connection, so that a spike acts ``edge[2]`` steps after it in the target's time."""
    source, target, steps = edge
    return latency[target] - latency.get(source, 0) - 1 + steps


def _circle(edges: Sequence[Edge], start: str) -> list[str]:
    """A way from a population that feeds a circle back to itself, or as far as it is found."""
    paths = [[start]]
    seen = {start}
    while paths:
        path = paths.pop(0)
        for a, b, _ in edges:
            if a == path[-1] and a != b:
                if b == start:
                    return [*path, b]
                if b not in seen:
                    seen.add(b)
                    paths.append([*path, b])
    return [start]
