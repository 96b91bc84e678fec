# SPDX-License-Identifier: Apache-2.0
"""Controllers at run time: observation and elapsed time in, command out. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from ..checkpoint import ControllerFile, read_controller
from .interpreter import CLAMPED, NOT_FINITE, run
from .program import Program


class Controller(Protocol):
    """Interface of everything that turns observations into commands.

    Attributes:
        observation_names, command_names: order of the values.
        nominal_period_s: the control period [s] it was made for.
        command_limits: float64 ``(n_commands,)``, greatest magnitude of each command, in its unit.
        state: copy of all that it remembers; assign it to restore.
    """

    observation_names: tuple[str, ...]
    command_names: tuple[str, ...]
    nominal_period_s: float
    command_limits: np.ndarray
    state: np.ndarray

    def reset(self) -> None:
        """Begin an episode."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command for an observation, ``dt`` seconds after the one before, measured from stamps."""


class LiquidController:
    """A network of any architecture from a controller file, run by compiled kernels.

    Attributes:
        observation_names, command_names, nominal_period_s, command_limits: see :class:`Controller`.
        architecture: of the network.
        saturates: commands approach their limits as tanh does; if not, they are cut off there.
        clamped: steps whose ``dt`` was outside 0.1 to 10 nominal periods, or not a number.
        poisoned: steps that ended in a reset because a number was not finite.
    """

    def __init__(self, file: ControllerFile):
        self.observation_names = file.observation_names
        self.command_names = file.command_names
        self.nominal_period_s = file.nominal_period_s
        self.command_limits = np.array(file.command_limits, float)
        self.saturates = file.architecture.output == "tanh"
        self.architecture = file.architecture
        self.clamped = 0
        self.poisoned = 0
        self._program = program = Program(file)
        self._observation, self._block = program.observation, program.block
        self._n_observations, self._copied = len(program.observation), program.command.copy
        self._shape = (self._n_observations,)

    @classmethod
    def from_file(cls, path: str | Path) -> LiquidController:
        """Read a controller file.

        Raises:
            ModelError: it is missing, damaged or not fit for use.
        """
        return cls(read_controller(path))

    def warm(self) -> None:
        """Compile the kernels, or load them from the cache; the state does not change."""
        before = self.state
        run(self._block, self.nominal_period_s)
        self.state = before

    def reset(self) -> None:
        """Begin an episode: the state is zero. The counts stay."""
        self._program.state[:] = 0

    @property
    def state(self) -> np.ndarray:
        """Copy of the hidden states of all layers, then of their memory cells, float32 ``(parts, units)``; assign it to
        restore.
        """
        return self._program.state.copy()

    @state.setter
    def state(self, state: np.ndarray) -> None:
        if np.shape(state) != self._program.state.shape:
            raise ValueError(f"a state has shape {self._program.state.shape}, not {np.shape(state)}")
        self._program.state[:] = state

    @property
    def features(self) -> np.ndarray:
        """The last layer's output in the last step, float32 ``(n,)``; a view that the next step overwrites."""
        return self._program.features

    @property
    def outputs(self) -> np.ndarray:
        """What the last step gave before it was limited, in units of the limits, float32 ``(n_commands,)``; a view."""
        return self._program.outputs

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
        if np.shape(observation) != self._shape:
            raise ValueError(f"an observation has shape ({self._n_observations},), not {np.shape(observation)}")
        self._observation[...] = observation
        faults = run(self._block, dt)
        if not faults:
            return self._copied()
        self.clamped += faults & CLAMPED
        if not faults & NOT_FINITE:
            return self._copied()
        self.poisoned += 1
        self._program.state[:] = 0
        return np.full(len(self.command_limits), np.nan)


def new_controller(file: ControllerFile | str | Path) -> LiquidController:
    """Build the controller of a file, given as path or already read, for any architecture.

    Raises:
        ModelError: the file is missing, damaged or not fit for use.
    """
    return LiquidController(file if isinstance(file, ControllerFile) else read_controller(file))
