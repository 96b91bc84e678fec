# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM between two steps of a program, never in the middle of one."""

from __future__ import annotations

import signal
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Notes the signals that end a program, until :meth:`check`; a context manager of the main thread.

    An exception that a signal raises within a call of rclpy's C++ comes out as a TypeError or not at all.

    Attributes:
        came: whether there was one.
    """

    def __init__(self) -> None:
        self.came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: object) -> None:
        self.came = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if one came."""
        if self.came:
            raise KeyboardInterrupt
