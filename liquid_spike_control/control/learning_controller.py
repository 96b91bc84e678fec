# SPDX-License-Identifier: Apache-2.0
"""What controllers share whose spiking neurons learn while they run: what they check, keep, restore and report."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..controller_description import ControllerDescription
from ..errors import TaskError
from ..neuromorphic.backend import BackendStats
from .adaptation import SpikingAdaptation
from .state import packed, unpacked

#: Elapsed times are held to this range, in nominal periods.
ELAPSED_RANGE = (0.1, 10.0)


class LearningController:
    """A :class:`~..liquid.controller.Controller`; a subclass gives its :meth:`command`.

    Args:
        file: what it sees and gives.
        network: the spiking neurons; None where there are none.
        learns: whether they learn in this controller.

    Attributes:
        observation_names, command_names, nominal_period_s, command_limits: see ``Controller``.
        adaptation: what learns, or None.
        clamped: steps whose ``dt`` was outside 0.1 to 10 nominal periods, or not a number.
        poisoned: steps whose observation was not finite; what was learnt stays, the rest is reset.
    """

    #: Why nothing learns, and the remedy.
    still: ClassVar[str]

    def __init__(self, file: ControllerDescription, network: SpikingAdaptation | None, learns: bool) -> None:
        self.observation_names, self.command_names = file.observation_names, file.command_names
        self.nominal_period_s = file.nominal_period_s
        self.command_limits = np.array(file.command_limits, float)
        self.clamped = self.poisoned = 0
        self.adaptation = network if learns else None
        self._network, self._source = network, file.source
        self._shortest, self._longest = (r * file.nominal_period_s for r in ELAPSED_RANGE)

    def reset(self) -> None:
        """Begin an episode."""
        raise NotImplementedError

    def command(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command for a finite observation, ``dt`` seconds after the one before; see :meth:`step`."""
        raise NotImplementedError

    def rest(self) -> None:
        """Forget all but what was learnt."""
        if self._network is not None:
            self._network.rest()

    @property
    def own(self) -> tuple[np.ndarray, ...]:
        """What it remembers besides its network; arrays that are restored in place."""
        return ()

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
            raise TaskError(f"{self._source}: {self.still}")
        self.adaptation.learning = on

    def account(self) -> dict[str, object]:
        """How learning stands, for diagnostics; nothing where nothing learns."""
        return {} if self.adaptation is None else self.adaptation.account()

    def stats(self) -> BackendStats | None:
        """Work of the spiking network since the last reset; None without one."""
        return None if self._network is None else self._network.stats()

    def warm(self) -> None:
        """Compile the kernels, or load them from the cache; the state does not change."""
        state = self.state
        self.step(np.zeros(len(self.observation_names)), self.nominal_period_s)
        self.state = state

    @property
    def state(self) -> np.ndarray:
        """All that it remembers, uint8 ``(n_bytes,)``, what was learnt included; assign it to restore."""
        return packed((*self.own, *self._parts()))

    @state.setter
    def state(self, state: np.ndarray) -> None:
        own = self.own
        read = unpacked(state, (*own, *self._parts()))
        for array, value in zip(own, read[: len(own)], strict=True):
            array[:] = value
        if self._network is not None:
            self._network.parts = tuple(read[len(own) :])

    def _parts(self) -> tuple[np.ndarray, ...]:
        return () if self._network is None else self._network.parts

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
            self.rest()
            return np.full(len(self.command_names), np.nan)
        return self.command(observation, dt)
