# SPDX-License-Identifier: Apache-2.0
"""Liquid controllers at run time: observation and elapsed time in, command out. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from ..checkpoint import ControllerFile, read_controller
from .architecture import ELAPSED_RANGE
from .kernels import controller_step, pack


class Controller(Protocol):
    """Whatever turns observations into commands.

    Attributes:
        observation_names, command_names: order of the values.
        nominal_period_s: the control period [s] it was made for.
    """

    observation_names: tuple[str, ...]
    command_names: tuple[str, ...]
    nominal_period_s: float

    def reset(self) -> None:
        """Begin an episode."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command for an observation, ``dt`` seconds after the one before, measured from stamps."""


class LiquidController:
    """A mixed-memory CfC from a controller file, run by compiled kernels.

    Attributes:
        observation_names, command_names, nominal_period_s: see :class:`Controller`.
        command_limits: float64 ``(n_commands,)``, greatest magnitude of each command, in its unit.
        clamped: steps whose ``dt`` was outside 0.1 to 10 nominal periods, or not a number.
        poisoned: steps that ended in a reset because a number was not finite.
    """

    def __init__(self, file: ControllerFile):
        self.observation_names = file.observation_names
        self.command_names = file.command_names
        self.nominal_period_s = file.nominal_period_s
        self.command_limits = np.array(file.command_limits, float)
        self.clamped = 0
        self.poisoned = 0
        self._scales = np.array(file.observation_scales, float)
        a = file.architecture
        self._weights = pack(file.tensors, a.backbone_layers)
        self._layers, self._backbone_units = a.backbone_layers, a.backbone_units
        self._state = np.zeros((2, a.units), np.float32)
        self._shortest, self._longest = (r * file.nominal_period_s for r in ELAPSED_RANGE)

    @classmethod
    def from_file(cls, path: str | Path) -> LiquidController:
        """Read a controller file.

        Raises:
            ModelError: it is missing, damaged or not fit for use.
        """
        return cls(read_controller(path))

    def warm(self) -> None:
        """Compile the kernels, or load them from the cache; the state does not change."""
        observation, command = np.zeros(len(self._scales)), np.empty(len(self.command_limits))
        self._run(np.zeros_like(self._state), observation, 1.0, command)

    def reset(self) -> None:
        """Begin an episode: the state is zero. The counts stay."""
        self._state[:] = 0

    @property
    def state(self) -> np.ndarray:
        """Copy of the hidden state and the memory cell, float32 ``(2, units)``; assign it to restore."""
        return self._state.copy()

    @state.setter
    def state(self, state: np.ndarray) -> None:
        if np.shape(state) != self._state.shape:
            raise ValueError(f"a state has shape {self._state.shape}, not {np.shape(state)}")
        self._state[:] = state

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command for an observation.

        A ``dt`` outside 0.1 to 10 nominal periods, as after a clock jump or an equal stamp, is held at the
        nearer bound; NaN counts as one nominal period. A number in the observation or in the state that is
        not finite never spreads: the state is reset and the command is NaN, which the gate answers with the
        safe command.

        Args:
            observation: float64 ``(n_observations,)``, in the units of the file.
            dt: seconds since the observation before, measured from stamps.

        Returns:
            float64 ``(n_commands,)``, within ``command_limits``, or all NaN.

        Raises:
            ValueError: the observation has the wrong shape.
        """
        observation = np.ascontiguousarray(observation, float)
        if observation.shape != self._scales.shape:
            raise ValueError(f"an observation has shape {self._scales.shape}, not {observation.shape}")
        if not self._shortest <= dt <= self._longest:
            self.clamped += 1
            dt = self.nominal_period_s if dt != dt else min(max(dt, self._shortest), self._longest)
        command = np.empty(len(self.command_limits))
        if not self._run(self._state, observation, dt / self.nominal_period_s, command):
            self.poisoned += 1
            self._state[:] = 0
            command[:] = np.nan
        return command

    def _run(self, state: np.ndarray, observation: np.ndarray, tau: float, command: np.ndarray) -> bool:
        return controller_step(
            self._weights,
            self._layers,
            self._backbone_units,
            self._scales,
            self.command_limits,
            state,
            observation,
            tau,
            command,
        )


def new_controller(file: ControllerFile) -> LiquidController:
    """The controller of a file, whatever its architecture."""
    return LiquidController(file)
