# SPDX-License-Identifier: Apache-2.0
"""A process that the others need the processor more than."""

from __future__ import annotations

import os
from contextlib import suppress

NICENESS = 10


def give_way() -> None:
    """Give all threads of this process a niceness, which a thread otherwise has for itself alone."""
    for thread in os.listdir("/proc/self/task"):
        with suppress(OSError):  # the thread has ended
            os.setpriority(os.PRIO_PROCESS, int(thread), NICENESS)
