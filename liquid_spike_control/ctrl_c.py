# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C ends a command wherever it comes, also where Python or a library drops the exception."""

from __future__ import annotations

import signal
import sys
import threading
from typing import NoReturn

#: Time from an interrupt that was dropped until it is sent again, in s: the code that dropped it has ended by then.
AGAIN_S = 0.05


def note_interrupts() -> list[int]:
    """Note each interrupt that comes from now on, and send again those that are dropped.

    Where a weak reference's callback, a ``__del__`` or a C callback runs when it comes, as often while numba compiles,
    Python prints the :class:`KeyboardInterrupt` as "Exception ignored" and goes on.

    Returns:
        The signals that have come; it grows. Empty for good where SIGINT is ignored or handled by other code, as in the
        background jobs of a script.
    """
    came: list[int] = []
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return came

    def interrupt(number: int, _frame: object) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    before = sys.unraisablehook

    def dropped(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            before(unraisable)
            return
        again = threading.Timer(AGAIN_S, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        again.daemon = True
        again.start()

    signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook = dropped
    return came
