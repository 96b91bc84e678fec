# SPDX-License-Identifier: Apache-2.0
"""Real-time scheduling of a process, which other programs of the machine then do not delay."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..errors import GraphError

#: Of a run in real time, where it is permitted: below the interrupts of a real-time kernel (50).
REALTIME_PRIORITY = 20


def take_priority(priority: int) -> None:
    """Schedule all threads of this process by SCHED_RR; 0 changes nothing.

    Args:
        priority: 1 to 98.

    Raises:
        GraphError: it is not permitted.
    """
    try:
        if priority:
            _schedule_threads(os.SCHED_RR, priority)
    except PermissionError:
        raise GraphError(f"priority {priority} is not permitted; give 0, or raise the user's rtprio limit") from None


def _schedule_threads(policy: int, priority: int) -> None:
    for thread in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # it has ended since
            os.sched_setscheduler(int(thread), policy, os.sched_param(priority))


def priority_permitted(priority: int = REALTIME_PRIORITY) -> bool:
    """Whether this process may have a real-time priority."""
    before, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
    except PermissionError:
        return False
    os.sched_setscheduler(0, before, parameter)
    return True


def default_priority(mode: str) -> int:
    """The priority of a run in ``mode`` for which none is given: 0 in lock-step, which has no deadlines."""
    return REALTIME_PRIORITY if mode == "realtime" and priority_permitted() else 0


@contextmanager
def at_priority(priority: int) -> Iterator[None]:
    """The same for a block; ordinary scheduling after it.

    Raises:
        GraphError: it is not permitted.
    """
    take_priority(priority)
    try:
        yield
    finally:
        if priority:
            _schedule_threads(os.SCHED_OTHER, 0)
