# SPDX-License-Identifier: Apache-2.0
"""The pace of the wall clock, for a loop in one process."""

from __future__ import annotations

import time

#: What a loop makes up when it is late; beyond that the world slows down [s].
_CATCH_UP_S = 0.05


class Pace:
    """Rests until a tick is due, and counts deadlines that were missed.

    Args:
        period_s: of the control loop.

    Attributes:
        missed: commands that came later than one period after their tick was due, as the simulator node counts them.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s, self.missed = period_s, 0
        self._due: float | None = None

    def begin(self) -> None:
        """Make the next tick due when it comes, e.g. after a pause."""
        self._due = None

    def rest(self, now_s: float) -> None:
        """Wait, after the command of a tick at a simulated time [s], until that tick is due."""
        wall = time.monotonic()
        if self._due is None:
            self._due = wall - now_s
        rest = self._due + now_s - wall
        if rest > 0:
            time.sleep(rest)
            return
        self.missed += -rest > self._period_s
        self._due += max(0.0, -rest - _CATCH_UP_S)
