# SPDX-License-Identifier: Apache-2.0
"""A process that must not outlive the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int | None = None, how: signal.Signals = signal.SIGKILL) -> None:
    """Get a signal when the thread that started this process ends, however it does (Linux's prctl).

    Args:
        parent: pid of that process, if it is known: it may have ended before this was called.
        how: the signal.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, how)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), how)
