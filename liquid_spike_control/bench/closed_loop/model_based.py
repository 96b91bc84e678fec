# SPDX-License-Identifier: Apache-2.0
"""Control by a model, without learning: the expert's law on what a controller may see.

Where only positions are seen, rates are their differences over the time that has passed: what an engineer tries first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...errors import TaskError
from ...tasks.task import ControlTask, Expert


class SeenState:
    """A task as an expert may use it, whose truth is an estimate.

    Args:
        task: whose names, limits and numbers these are; its truth is never looked at.
    """

    def __init__(self, task: ControlTask) -> None:
        self._task = task
        self.state = np.zeros(0)

    def truth(self) -> np.ndarray:
        """The estimate, in the order of the task's truth."""
        return self.state

    def __getattr__(self, name: str):
        return getattr(self._task, name)


class ModelBasedController:
    """The expert of a task on an estimate of its state.

    Args:
        task: one that :func:`has_law`; it is not the one that is driven.

    Raises:
        TaskError: no estimate is written for this task.
    """

    def __init__(self, task: ControlTask) -> None:
        if not has_law(task.name):
            known = ", ".join(_ESTIMATES)
            raise TaskError(f"controller 'model_based' has no law for task '{task.name}'; it has for {known}")
        self._estimate = _ESTIMATES[task.name]
        self._seen = SeenState(task)
        self._expert: Expert = task.expert()
        self.reset()

    def reset(self) -> None:
        """Forget the last observation."""
        self._last: np.ndarray | None = None
        self._expert.reset()

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command ``(m,)`` for an observation ``(n,)``, ``dt`` seconds after the one before."""
        last = observation if self._last is None else self._last
        self._seen.state = self._estimate(observation, last, dt)
        self._last = observation.copy()
        return self._expert.act(self._seen)


def has_law(task_name: str) -> bool:
    """Whether a state can be estimated from what this task shows."""
    return task_name in _ESTIMATES


def _swing_up(now: np.ndarray, last: np.ndarray, dt: float) -> np.ndarray:
    angle = math.atan2(now[1], now[2])
    turn = math.remainder(angle - math.atan2(last[1], last[2]), 2 * math.pi)
    return np.array([now[0], (now[0] - last[0]) / dt, angle, turn / dt])


def _swing_up_full(now: np.ndarray, last: np.ndarray, dt: float) -> np.ndarray:
    return np.array([now[0], now[3], math.atan2(now[1], now[2]), now[4]])


#: Present and last observation and the time between them [s] -> the task's truth.
_ESTIMATES: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "swing-up": _swing_up,
    "swing-up-full": _swing_up_full,
}
