# SPDX-License-Identifier: Apache-2.0
"""A progress bar for what takes longer than people like to wait without one."""

from __future__ import annotations

import threading
import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..terminal import Console

#: No bar before this [s].
AFTER_S = 2.0
#: Between two drawings [s].
PERIOD_S = 0.2


class ProgressBar:
    """A context manager; silent on what is short, and where the console is not a terminal.

    Args:
        doing: what is done, e.g. ``replaying``.
        unit: of what is counted, in the plural.
    """

    def __init__(self, doing: str, unit: str) -> None:
        columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
        self._task = self._progress.add_task(doing, total=None)
        self._drawn = 0.0
        self._began = time.monotonic()
        # Kernels that are compiled and files that are opened come before the first count.
        self._waiting = threading.Timer(AFTER_S, self._show_waiting)
        self._waiting.daemon = True

    def __enter__(self) -> ProgressBar:
        self._began = time.monotonic()
        if self._progress.console.is_terminal:
            self._waiting.start()
        return self

    def __exit__(self, *_) -> None:
        self._waiting.cancel()
        if self._drawn:
            self._progress.stop()

    def _show_waiting(self) -> None:
        if not self._drawn:
            self.show(0, None)

    def show(self, done: int, total: int | None) -> None:
        """So much is done, of so much where that is known."""
        now = time.monotonic()
        if now - self._began < AFTER_S or now - self._drawn < PERIOD_S or not self._progress.console.is_terminal:
            return
        self._drawn = now
        self._progress.start()
        self._progress.update(self._task, completed=done, total=total, refresh=True)
