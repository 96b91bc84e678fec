# SPDX-License-Identifier: Apache-2.0
"""A camera's stream on the robot's clock, in windows of one length. Pure: stamps in, stamps out.

The drivers of event cameras (metavision_driver, libcaer_driver) send packets whenever they are full or old enough.
Events carry the time of the sensor's own clock; ``header.stamp`` is the robot's time of the first of them.
"""

from __future__ import annotations

import numpy as np

from ..types import EVENT

#: The sensor's clock is taken to have been set anew when it is off by more than this [ns].
STEP_NS = 50_000_000
#: Part of an offset's change that is followed with each packet; what is left is the jitter of the stamps.
FOLLOW = 64


class SensorClock:
    """Translates the sensor's time into the robot's, from the stamp of each packet's first event.

    Attributes:
        steps: how often the sensor's clock jumped against the robot's.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._offset_ns: int | None = None

    def translate(self, events: np.ndarray, stamp_ns: int) -> np.ndarray:
        """The events on the robot's clock.

        Args:
            events: EVENT, sorted, on the sensor's clock.
            stamp_ns: the robot's time of the first one [ns].
        """
        if not len(events):
            return events
        offset = stamp_ns - int(events["t"][0])
        if self._offset_ns is None:
            self._offset_ns = offset
        elif abs(offset - self._offset_ns) > STEP_NS:
            self._offset_ns = offset
            self.steps += 1
        else:
            self._offset_ns += (offset - self._offset_ns) // FOLLOW
        events = events.copy()
        events["t"] += self._offset_ns
        return events


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
            The events of all windows that are complete and the end of the last of them [ns], or None.
        """
        if len(events):
            self._pending.append(events)
        complete = (latest_ns - self._until_ns) // self.length_ns
        if complete < 1:
            return None
        start, end = self._until_ns, self._until_ns + complete * self.length_ns
        held = np.concatenate(self._pending) if self._pending else np.empty(0, EVENT)
        held["t"] = np.maximum(held["t"], start + 1)
        held = held[np.argsort(held["t"], kind="stable")]
        cut = int(np.searchsorted(held["t"], end, "right"))
        self._pending = [held[cut:]] if cut < len(held) else []
        self._until_ns = end
        return held[:cut], end
