# SPDX-License-Identifier: Apache-2.0
"""Joints that follow a trajectory: PD or PID for each, and a term that spiking neurons learn while it runs.

    f = stiffness (target - position) + damping (target rate - rate)
    command = f + integral of (integral gain * (target - position)) + learnt term of the inputs, whose error is f

The integral is held within the command's limit (clamping), and goes no further while the command is at it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..controller_description import ControllerDescription
from ..errors import ModelError, TaskError
from ..neuromorphic.backend import BackendStats
from .adaptation import Adaptation, SpikingAdaptation
from .state import packed, unpacked

#: Elapsed times are held to this range, in nominal periods.
ELAPSED_RANGE = (0.1, 10.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class TrackingFile(ControllerDescription):
    """The gains of a tracking controller, checked when made; see :mod:`.tracking_file`.

    Attributes:
        places: int ``(n_commands, 4)``: position, rate, target and target rate of each axis among the observations.
        stiffness, damping, integral: float64 ``(n_commands,)``, in the command's unit per that of the position, of the
            rate, and of the position times s.
        adaptation: what is learnt; None if nothing is.
        inputs: of the adaptation, places among the observations.
        weights: int ``(n_outputs, neurons)`` that were learnt before, or None.

    Raises:
        ModelError: a gain is not finite or below 0.
    """

    places: np.ndarray
    stiffness: np.ndarray
    damping: np.ndarray
    integral: np.ndarray
    adaptation: Adaptation | None = None
    inputs: tuple[int, ...] = ()
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("stiffness", "damping", "integral"):
            gains = getattr(self, field)
            if gains.shape != (len(self.command_names),) or not (np.isfinite(gains) & (gains >= 0)).all():
                remedy = f"give {len(self.command_names)} finite numbers of at least 0"
                raise ModelError(f"{self.source}: {field}: {gains.tolist()}; {remedy}")


class TrackingController:
    """A :class:`~..liquid.controller.Controller` of a tracking file.

    Args:
        file: the gains, and what is learnt.
        backend: that runs the spiking neurons; only the Loihi emulator learns.

    Attributes:
        observation_names, command_names, nominal_period_s, command_limits: see ``Controller``.
        clamped: steps whose ``dt`` was outside 0.1 to 10 nominal periods, or not a number.
        poisoned: steps whose observation was not finite; what was learnt stays, the rest is reset.
        adaptation: what learns, or None.

    Raises:
        TaskError: the backend cannot learn.
        ModelError: weights that were learnt before do not fit.
    """

    def __init__(self, file: TrackingFile, backend: str = "loihi") -> None:
        self.observation_names, self.command_names = file.observation_names, file.command_names
        self.nominal_period_s = file.nominal_period_s
        self.command_limits = np.array(file.command_limits, float)
        self.clamped = self.poisoned = 0
        if file.adaptation is not None and backend != "loihi":
            raise TaskError(f"{file.source}: adaptation: backend '{backend}' cannot learn; give loihi")
        self.adaptation = None if file.adaptation is None else SpikingAdaptation(file.adaptation, file.weights)
        self._file, self._inputs = file, np.array(file.inputs, int)
        self._position, self._rate, self._target, self._target_rate = file.places.T
        self._integral = np.zeros(len(self.command_names))
        self._shortest, self._longest = (r * file.nominal_period_s for r in ELAPSED_RANGE)

    def reset(self) -> None:
        """Begin an episode: no integral, and nothing learnt but what the file has."""
        self._integral[:] = 0
        if self.adaptation is not None:
            self.adaptation.reset()

    @property
    def learning(self) -> bool:
        """Whether it learns; set it to turn learning on and off.

        Raises:
            TaskError: on setting it: nothing in this controller learns.
        """
        return self.adaptation is not None and self.adaptation.learning

    @learning.setter
    def learning(self, on: bool) -> None:
        if self.adaptation is None:
            raise TaskError(f"{self._file.source}: adaptation: none, so nothing learns; give a controller that has one")
        self.adaptation.learning = on

    def account(self) -> dict[str, object]:
        """How learning stands, for diagnostics; nothing where nothing learns."""
        return {} if self.adaptation is None else self.adaptation.account()

    def stats(self) -> BackendStats | None:
        """Work of the spiking network since the last reset; None without one."""
        return None if self.adaptation is None else self.adaptation.stats()

    def warm(self) -> None:
        """Compile the kernels, or load them from the cache; the state does not change."""
        state = self.state
        self.step(np.zeros(len(self.observation_names)), self.nominal_period_s)
        self.state = state

    @property
    def state(self) -> np.ndarray:
        """All that it remembers, uint8 ``(n_bytes,)``, what was learnt included; assign it to restore."""
        return packed(self._parts())

    @state.setter
    def state(self, state: np.ndarray) -> None:
        read = unpacked(state, self._parts())
        self._integral[:] = read[0]
        if self.adaptation is not None:
            self.adaptation.parts = tuple(read[1:])

    def _parts(self) -> tuple[np.ndarray, ...]:
        return (self._integral, *(() if self.adaptation is None else self.adaptation.parts))

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command for an observation.

        Args:
            observation: float64 ``(n_observations,)``, in the units of the file.
            dt: seconds since the observation before, measured from stamps; held to 0.1 .. 10 nominal periods.

        Returns:
            float64 ``(n_commands,)``, within ``command_limits``, or all NaN where the observation is not finite.

        Raises:
            ValueError: the observation has the wrong shape.
        """
        observation = np.asarray(observation, float)
        if observation.shape != (len(self.observation_names),):
            raise ValueError(f"an observation has shape ({len(self.observation_names)},), not {observation.shape}")
        if not self._shortest <= dt <= self._longest:
            self.clamped += 1
            dt = self.nominal_period_s if dt != dt else min(max(dt, self._shortest), self._longest)
        if not np.isfinite(observation).all():
            self.poisoned += 1
            self._integral[:] = 0
            if self.adaptation is not None:
                self.adaptation.rest()
            return np.full(len(self.command_limits), np.nan)
        file, limits = self._file, self.command_limits
        apart = observation[self._target] - observation[self._position]
        feedback = file.stiffness * apart + file.damping * (observation[self._target_rate] - observation[self._rate])
        command = feedback + self._integral
        if self.adaptation is not None:
            command += self.adaptation.step(observation[self._inputs], feedback)
        bounded = np.minimum(np.maximum(command, -limits), limits)
        further = self._integral + file.integral * apart * dt
        winding = (command != bounded) & (np.abs(further) > np.abs(self._integral))
        self._integral[:] = np.where(winding, self._integral, np.minimum(np.maximum(further, -limits), limits))
        return bounded
