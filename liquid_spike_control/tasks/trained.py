# SPDX-License-Identifier: Apache-2.0
"""Trained controllers on tasks: the right file for the right task, and experts that are networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..checkpoint import check_fits
from ..control.files import controller_of, read_controller_file
from ..errors import ModelError
from ..liquid.controller import Controller
from .task import ControlTask


def trained_controller(path: str | Path, task: ControlTask, backend: str = "loihi") -> Controller:
    """The controller of a file, which must have been trained for the task.

    Args:
        path: of a controller file.
        task: that it is to do.
        backend: what runs a spiking one, see :class:`..control.spiking.SpikingController`.

    Raises:
        ModelError: the file is missing or damaged, or of another task, period or limits, or of other units.
    """
    file = read_controller_file(path)
    if file.task != task.name:
        raise ModelError(
            f"{file.source}: task: expected {task.name}, found {file.task}; give a controller trained for this task"
        )
    check_fits(
        file, observation_names=task.observation_names, observation_units=task.observation_units,
        command_names=task.command_names, command_units=task.command_units, period_s=task.period_s,
        command_limits=task.command_limits.tolist(),
    )  # fmt: skip
    return controller_of(file, backend)


class TrainedExpert:
    """A trained controller in an expert's place: it is given the true state.

    Args:
        controller: of what a task's :meth:`~.task.ControlTask.truth` gives.
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    @classmethod
    def from_file(cls, path: str | Path) -> TrainedExpert:
        """Read an expert.

        Args:
            path: of a controller file.

        Raises:
            ModelError: the file is missing or damaged.
        """
        return cls(controller_of(read_controller_file(path)))

    def reset(self) -> None:
        """Begin an episode."""
        self._controller.reset()

    def act(self, task: ControlTask) -> np.ndarray:
        """Command ``(m,)`` for the task's present state."""
        return self._controller.step(task.truth(), task.period_s)
