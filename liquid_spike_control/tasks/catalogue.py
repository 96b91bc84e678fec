# SPDX-License-Identifier: Apache-2.0
"""The tasks by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..errors import TaskError
from .gymnasium_tasks import WALKERS, GymnasiumTask
from .hover import Hover
from .swing_up import SwingUp
from .task import ControlTask

#: What makes each task, in the order of tables.
TASKS: dict[str, Callable[[], ControlTask]] = {
    "swing-up": SwingUp,
    "swing-up-full": lambda: SwingUp(full=True),
    "hover": Hover,
    "hover-partial": lambda: Hover(full=False),
    **{name: partial(GymnasiumTask, name) for name in WALKERS},
    **{f"{name}-positions": partial(GymnasiumTask, name, velocities=False) for name in WALKERS},
}


def task_named(name: str) -> ControlTask:
    """A new task of a name, at the beginning of episode 0.

    Raises:
        TaskError: there is no such task.
    """
    if name not in TASKS:
        raise TaskError(f"unknown task '{name}'; known tasks: {', '.join(TASKS)}")
    return TASKS[name]()
