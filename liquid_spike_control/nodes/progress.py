# SPDX-License-Identifier: Apache-2.0
"""One live line about a run: simulated time, an estimate or reading, a command, event rate, real-time factor."""

from __future__ import annotations

import math
import time
from collections import deque

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..history import History
from ..terminal import Console
from .report import in_degrees

#: Drawing costs milliseconds of a core that the graph needs.
PERIOD_S = 0.25
#: The real-time factor is that of the last draws: about a second.
DRAWS = 5


class Progress:
    """A context manager; silent where the console is not a terminal.

    Args:
        console: where to draw.
        duration_s: simulated length of the run, if it is known [s].
    """

    def __init__(self, console: Console, duration_s: float | None = None) -> None:
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

    def message(self, text: str) -> None:
        """Draw a line of text, until there are numbers."""
        if self._live:
            self._live.update(Text(text), refresh=True)

    def _bar(self, simulated_s: float) -> tuple[ProgressBar | str, ...]:
        if self._duration_s is None:
            return (f"{simulated_s:.1f} s",)
        return ProgressBar(self._duration_s, simulated_s, width=12), f"{simulated_s:.1f}/{self._duration_s:g} s"

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
        robot = history.robot
        shown = robot.estimates[0] if robot.estimates else robot.seen[0]
        true, unit = in_degrees(history.truth[last][history.n_seen if robot.estimates else 0], shown.unit)
        quantity = f"{shown.name} {true:+.2f}"
        if robot.estimates:
            estimate = next(reversed(history.estimates.values()), (math.nan,))[0]
            quantity += f", estimated {in_degrees(estimate, shown.unit)[0]:+.2f}"
        command, own = next(reversed(history.commands.values()), (math.nan,))[0], robot.commands[0]
        line = Table.grid(padding=(0, 1))
        line.add_row(
            *self._bar(simulated),
            Text(f"{quantity} {unit}"),
            f"{own.name} {command:+.2f} {own.unit}",
            *([f"{events_per_s / 1e3:.1f} kev/s"] if robot.cameras else []),
            f"{factor:.2f}x real time",
        )
        self._live.update(line, refresh=True)
