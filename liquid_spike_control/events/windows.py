# SPDX-License-Identifier: Apache-2.0
"""A camera's stream on the robot's clock, in windows of one length. Pure: stamps in, stamps out.

The drivers of event cameras (metavision_driver, libcaer_driver) send packets whenever they are full or old enough.
"""

from __future__ import annotations

import numpy as np

from ..types import EVENT
from .words import count_until, joined, to_words


class Windows:
    """Cuts a stream of events into windows, each a whole number of ``length_ns``, one after the other.

    Args:
        length_ns: of a window [ns].
    """

    def __init__(self, length_ns: int) -> None:
        self.length_ns = length_ns
        self.reset(0)

    def reset(self, start_ns: int) -> None:
        """Forget all; the next window begins at ``start_ns``."""
        self._until_ns = start_ns
        self._pending: list[np.ndarray] = []

    def add(self, events: np.ndarray, latest_ns: int) -> tuple[np.ndarray, int] | None:
        """Add what a packet holds.

        Args:
            events: EVENT, sorted. One that should have come in an earlier window counts at the start of the next.
            latest_ns: nothing will come from before this time [ns].

        Returns:
            The events of all windows that are complete, packet by packet, and the end of the last window [ns]; or None.
        """
        if len(events):
            self._pending.append(events)
        complete = (latest_ns - self._until_ns) // self.length_ns
        if complete < 1:
            return None
        start, end = self._until_ns, self._until_ns + complete * self.length_ns
        within, beyond = [], []
        for part in self._pending:
            cut = count_until(to_words(part), end)
            if cut < len(part):
                beyond.append(part[cut:])
            if cut:
                within.append(_not_before(part[:cut], start + 1))
        self._until_ns, self._pending = end, beyond
        if len(within) == 1:
            return within[0], end
        return joined(within) if within else np.empty(0, EVENT), end


def _not_before(events: np.ndarray, earliest_ns: int) -> np.ndarray:
    if events["t"][0] >= earliest_ns:
        return events
    events = events.copy()
    events["t"] = np.maximum(events["t"], earliest_ns)
    return events
