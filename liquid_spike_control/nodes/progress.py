# SPDX-License-Identifier: Apache-2.0
"""One live line about a run: simulated time, angle, estimate, force, event rate, real-time factor."""

from __future__ import annotations

import math
import time
from collections import deque

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .report import History

#: Drawing costs milliseconds of a core that the graph needs.
PERIOD_S = 0.25
#: The real-time factor is that of the last draws: about a second.
DRAWS = 5


class Progress:
    """A context manager; silent where the console is not a terminal.

    Args:
        console: where to draw.
        duration_s: simulated length of the run [s].
    """

    def __init__(self, console: Console, duration_s: float) -> None:
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )
        self._duration_s = duration_s
        self._drawn = time.monotonic()
        self._draws: deque[tuple[float, float]] = deque(maxlen=DRAWS)  # wall clock and simulated time [s]

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_) -> None:
        if self._live:
            self._live.stop()

    def show(self, history: History, events_per_s: float) -> None:
        """Draw the latest numbers, at most every :data:`PERIOD_S`."""
        now = time.monotonic()
        if self._live is None or now - self._drawn < PERIOD_S or not history.truth:
            return
        self._drawn = now
        first, last = next(iter(history.truth)), next(reversed(history.truth))
        simulated = (last - first) * 1e-9
        self._draws.append((now, simulated))
        began, simulated_then = self._draws[0]
        factor = (simulated - simulated_then) / (now - began) if now > began else math.nan
        angle = math.degrees(history.truth[last][2])
        estimate = math.degrees(next(reversed(history.estimates.values()), (math.nan,))[0])
        force = next(reversed(history.forces.values()), math.nan)
        line = Table.grid(padding=(0, 1))
        line.add_row(
            ProgressBar(self._duration_s, simulated, width=12),
            f"{simulated:.1f}/{self._duration_s:g} s",
            Text(f"pole {angle:+6.2f}", "green" if abs(angle) < 10 else "red"),
            f"est {estimate:+6.2f} deg",
            f"{force:+6.2f} N",
            f"{events_per_s / 1e3:5.1f} kev/s",
            f"{factor:.2f}x real time",
        )
        self._live.update(line, refresh=True)
