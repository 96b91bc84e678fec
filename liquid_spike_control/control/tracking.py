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
from .adaptation import Adaptation, SpikingAdaptation
from .learning_controller import LearningController


@dataclass(frozen=True, eq=False, kw_only=True)
class TrackingFile(ControllerDescription):
    """The gains of a tracking controller, checked when made; see :mod:`.tracking_file`.

    Attributes:
        places: int ``(n_commands, 4)``: position, rate, target and target rate of each axis among the observations.
        stiffness, damping, integral: float64 ``(n_commands,)``, in the command's unit per that of the position, of the
            rate, and of the position times s.
        adaptation: what is learnt; None if nothing is.
        rate_weight: of the rate's part of the PD in the error that teaches; more of it damps what learning does.
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
    rate_weight: float = 1.0
    inputs: tuple[int, ...] = ()
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("stiffness", "damping", "integral"):
            gains = getattr(self, field)
            if gains.shape != (len(self.command_names),) or not (np.isfinite(gains) & (gains >= 0)).all():
                remedy = f"give {len(self.command_names)} finite numbers of at least 0"
                raise ModelError(f"{self.source}: {field}: {gains.tolist()}; {remedy}")


class TrackingController(LearningController):
    """A controller of a tracking file.

    Args:
        file: the gains, and what is learnt.
        backend: that runs the spiking neurons; only the Loihi emulator learns.

    Raises:
        TaskError: the backend cannot learn.
        ModelError: weights that were learnt before do not fit.
    """

    still = "adaptation: none, so nothing learns; give a controller that has one"

    def __init__(self, file: TrackingFile, backend: str = "loihi") -> None:
        if file.adaptation is not None and backend != "loihi":
            raise TaskError(f"{file.source}: adaptation: backend '{backend}' cannot learn; give loihi")
        super().__init__(
            file, None if file.adaptation is None else SpikingAdaptation(file.adaptation, file.weights), learns=True
        )
        self._file, self._inputs = file, np.array(file.inputs, int)
        self._position, self._rate, self._target, self._target_rate = file.places.T
        self._integral = np.zeros(len(self.command_names))

    @property
    def own(self) -> tuple[np.ndarray, ...]:
        """The integral."""
        return (self._integral,)

    def reset(self) -> None:
        """Begin an episode: no integral, and nothing learnt but what the file has."""
        self._integral[:] = 0
        if self.adaptation is not None:
            self.adaptation.reset()

    def rest(self) -> None:
        """Forget the integral, spikes and currents; what was learnt stays."""
        self._integral[:] = 0
        super().rest()

    def command(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command for a finite observation, ``dt`` seconds after the one before."""
        file, limits = self._file, self.command_limits
        apart = observation[self._target] - observation[self._position]
        by_rate = file.damping * (observation[self._target_rate] - observation[self._rate])
        feedback = file.stiffness * apart + by_rate
        command = feedback + self._integral
        if self.adaptation is not None:
            command += self.adaptation.step(observation[self._inputs], feedback + (file.rate_weight - 1.0) * by_rate)
        bounded = np.minimum(np.maximum(command, -limits), limits)
        further = self._integral + file.integral * apart * dt
        winding = (command != bounded) & (np.abs(further) > np.abs(self._integral))
        self._integral[:] = np.where(winding, self._integral, np.minimum(np.maximum(further, -limits), limits))
        return bounded
