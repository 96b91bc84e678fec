# SPDX-License-Identifier: Apache-2.0
"""The pencil's graph under the supervisor that brings lost nodes back, as a robot's graph is run; a program."""

from __future__ import annotations

import signal

from ...terminal import Console
from ..graph import describe
from ..supervisor import Supervisor
from .lost_nodes import GENTLE


def _interrupt(_signum, _frame) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Attend until SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Supervisor(describe(GENTLE), Console(stderr=True)) as supervisor:
            supervisor.attend()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
