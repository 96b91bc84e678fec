# SPDX-License-Identifier: Apache-2.0
"""Spiking controllers at run time: observation and elapsed time in, spikes through a backend, command out. No torch."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..neuromorphic.backend import BackendStats
from ..neuromorphic.model import SpikingModel, new_backend
from ..neuromorphic.reference import FloatReference
from ..spiking.policy_file import ELAPSED_RANGE, POPULATION, SpikingControllerFile, read_spiking_controller
from ..spiking.population_coding import encode
from ..types import SpikeTrain
from .state import packed, unpacked


class SpikingController:
    """A population-coded CUBA-LIF network from a file, on any backend, as a
    :class:`~liquid_spike_control.liquid.controller.Controller`. A context manager, for backends in other processes.

    Args:
        file: from :func:`~liquid_spike_control.spiking.policy_file.read_spiking_controller`.
        backend: ``"loihi"`` (integers, as the chip computes), ``"float"`` (float64, with the chip's lowest membrane
            potential) or another of :data:`~liquid_spike_control.neuromorphic.model.BACKENDS`.

    Attributes:
        observation_names, command_names, nominal_period_s: see ``Controller``.
        command_limits: float64 ``(n_commands,)``, greatest magnitude of each command, in its unit.
        clamped: steps whose ``dt`` was outside 0.1 to 10 nominal periods, or not a number.
        poisoned: steps that ended in a reset because an observation was not finite.
        backend: the :class:`~liquid_spike_control.neuromorphic.backend.Backend` that runs the network.

    Raises:
        TaskError: there is no such backend.
        ModelError: the network does not fit it.
    """

    def __init__(self, file: SpikingControllerFile, backend: str = "loihi"):
        self.observation_names = file.observation_names
        self.command_names = file.command_names
        self.nominal_period_s = file.nominal_period_s
        self.command_limits = np.array(file.command_limits, float)
        self.clamped = 0
        self.poisoned = 0
        # Any, as not every backend has a readable state
        self.backend: Any = _floats(file) if backend == "float" else new_backend(spiking_model(file), backend)
        self._architecture = file.architecture
        self._scales = np.array(file.observation_scales, float)
        self._readout = copy.deepcopy(file.readout)
        self._shortest, self._longest = (r * file.nominal_period_s for r in ELAPSED_RANGE)
        n_steps, n_axons = file.architecture.steps, file.graph.n_inputs
        self._x = np.zeros((1, n_axons // file.architecture.fields))
        self._charge = np.zeros((1, n_axons))
        # No axon spikes in the last step of a period: its row is as long as the one before
        self._indptr = np.zeros((1, n_steps + 1), np.int64)
        self._ids = np.zeros((1, n_axons * n_steps), np.int32)
        self.reset()

    @classmethod
    def from_file(cls, path: str | Path, backend: str = "loihi") -> SpikingController:
        """Read a spiking controller.

        Raises:
            ModelError: it is missing, damaged or not fit for use.
            TaskError: there is no such backend.
        """
        return cls(read_spiking_controller(path), backend)

    def reset(self) -> None:
        """Begin an episode: encoders, network and readout at rest. Clamped and poisoned steps stay counted."""
        self._charge[:] = 0
        self.backend.reset()
        self._readout.reset()

    @property
    def state(self) -> np.ndarray:
        """All that it remembers, and the backend's counts, uint8 ``(n_bytes,)``; assign it to restore.

        Raises:
            AttributeError: the backend runs in another process and keeps its state there.
        """
        return packed(self._parts())

    @state.setter
    def state(self, state: np.ndarray) -> None:
        read = unpacked(state, self._parts())
        self._charge[:], self._readout.state, self.backend.state = read[0], read[1], tuple(read[2:])

    def _parts(self) -> tuple[np.ndarray, ...]:
        return self._charge, self._readout.state, *self.backend.state

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        """End the backend; one in another process ends its process."""
        self.backend.__exit__(*error)

    def warm(self) -> None:
        """Compile the kernels, or load them from the cache; the state does not change.

        Raises:
            AttributeError: as of :attr:`state`; such a backend is warm once it is there.
        """
        state = self.state
        self.step(np.zeros(len(self._scales)), self.nominal_period_s)
        self.state = state

    def stats(self) -> BackendStats:
        """Work of the network since the last reset; ``stats().steps`` are SNN steps."""
        return self.backend.stats()

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command for an observation.

        What is out of range or not finite is treated as by
        :meth:`~liquid_spike_control.liquid.controller.LiquidController.step`; the state is always finite.

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
        if not np.isfinite(observation).all():
            self.poisoned += 1
            self.reset()
            return np.full(len(self.command_limits), np.nan)
        self._x[0, : len(observation)] = observation / self._scales
        if self._architecture.elapsed_input:
            self._x[0, -1] = 2 * np.log(dt / self.nominal_period_s)
        n_steps = self._architecture.steps - 1
        encode(self._x, self._architecture.fields, n_steps, self._charge, self._indptr, self._ids)
        self._indptr[0, -1] = self._indptr[0, n_steps]
        output = self.backend.run(SpikeTrain(self._indptr[0], self._ids[0, : self._indptr[0, -1]]))
        return np.tanh(self._readout.step(output)) * self.command_limits


def _floats(file: SpikingControllerFile) -> FloatReference:
    return FloatReference(file.graph, {POPULATION: file.architecture.lowest_potential})


def spiking_model(file: SpikingControllerFile) -> SpikingModel:
    """The network of a spiking controller, for the tools of :mod:`liquid_spike_control.neuromorphic`."""
    return SpikingModel(
        graph=file.graph,
        compiled=None,
        hash=file.hash,
        step_s=file.step_s,
        weight_scale=file.weight_scale,
        source=file.source,
    )
