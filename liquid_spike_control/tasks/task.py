# SPDX-License-Identifier: Apache-2.0
"""The control task: what a controller sees, what it may do, when it has succeeded; and the expert that can do it.

Tasks know nothing of sensors' faults and of late commands; :mod:`.perturbed` adds them. Time is the plant's own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .variation import NOMINAL, Variation


class ControlTask(Protocol):
    """A plant, an aim and an end.

    Attributes:
        name: in the catalogue, e.g. ``"swing-up"``.
        version: of the task: plant, observations, reward, success and expert. Raise it when one of them changes;
            results of different versions are never put together.
        data_files: paths of the files that decide an episode or the expert (scenes, trained models). They count by
            content wherever they lie.
        observation_names, observation_units: of what a controller sees, in order.
        observation_scales: float64 ``(n,)``, what is a large deviation of each observation, in its unit.
        command_names, command_units: of what a controller gives, in order. A command of zeros is the neutral one.
        command_limits: float64 ``(m,)``, greatest magnitude of each command, in its unit.
        period_s: nominal control period [s].
        duration_s: of an episode [s].
        variable: which factors of a :class:`Variation` apply to the plant.
        variation: that of the present episode.
        elapsed_s: the plant's time since the reset [s].
        over: the episode has ended.
        success: whether it has succeeded; known when over.
        kept: whether it was never lost, from when an episode of the task's own duration would begin to judge it;
            known when over. Of an episode of that duration, the same as ``success``.
        reward: of the last :meth:`advance`, its length taken into account: of a command held for two periods
            as much as of both.
    """

    name: str
    version: int
    observation_names: tuple[str, ...]
    observation_units: tuple[str, ...]
    observation_scales: np.ndarray
    command_names: tuple[str, ...]
    command_units: tuple[str, ...]
    command_limits: np.ndarray
    period_s: float
    duration_s: float
    variable: tuple[str, ...]
    reward: float

    @property
    def variation(self) -> Variation: ...  # noqa: D102  see above

    @property
    def data_files(self) -> tuple[Path, ...]: ...  # noqa: D102

    @property
    def elapsed_s(self) -> float: ...  # noqa: D102

    @property
    def over(self) -> bool: ...  # noqa: D102

    @property
    def success(self) -> bool: ...  # noqa: D102

    @property
    def kept(self) -> bool: ...  # noqa: D102

    def set_duration(self, duration_s: float) -> None:
        """Let episodes last so long [s], from the next reset on."""

    def reset(self, seed: int, variation: Variation = NOMINAL) -> None:
        """Begin the episode of a seed; the same seed and variation give the same bytes.

        Raises:
            TaskError: the variation does not apply to this plant.
        """

    def vary(self, variation: Variation) -> None:
        """Change the plant within an episode, from now on.

        Raises:
            TaskError: the variation does not apply to this plant.
        """

    def observe(self) -> np.ndarray:
        """Return the controller's observations, float64 ``(n,)``."""

    def truth(self) -> np.ndarray:
        """The plant's state for experts, float64; its order is the task's own."""

    def advance(self, command: np.ndarray, duration_s: float) -> None:
        """Hold a command; physics goes on for ``duration_s``, rounded to whole physics steps, at least one.

        Args:
            command: float64 ``(m,)``; taken to the limits. Values that are not finite count as neutral.
            duration_s: how long [s].
        """

    def expert(self) -> Expert:
        """The expert of this task.

        Raises:
            ModelError: the expert is a trained one, and its file is missing or does not fit.
        """


class Expert(Protocol):
    """Computes commands from the true state."""

    def reset(self) -> None:
        """Begin an episode."""

    def act(self, task: ControlTask) -> np.ndarray:
        """Command ``(m,)`` for the task's present state."""


def bounded(command: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """A command within its limits, neutral (zeros) where it is not finite; float64 ``(m,)``."""
    command = np.asarray(command, float)
    if not np.isfinite(command).all():
        command = np.where(np.isfinite(command), command, 0.0)
    return np.minimum(np.maximum(command, least), most)


class Law(Protocol):
    """A control law without memory."""

    def step(self, state: np.ndarray) -> np.ndarray:
        """Command ``(m,)`` for a true state."""


class StateExpert:
    """An expert that is a control law on the true state, redesigned when the plant has been varied.

    Args:
        design: the law for a task as it is.
    """

    def __init__(self, design: Callable[[Any], Law]) -> None:
        self._design = design
        self._designed: tuple[Variation, Law] | None = None

    def reset(self) -> None:
        """Nothing is remembered from step to step."""

    def law(self, task: ControlTask) -> Law:
        """The law for a task's plant as it is."""
        if self._designed is None or self._designed[0] != task.variation:
            self._designed = (task.variation, self._design(task))
        return self._designed[1]

    def act(self, task: ControlTask) -> np.ndarray:
        """Command ``(m,)`` for the task's present state."""
        return self.law(task).step(task.truth())
