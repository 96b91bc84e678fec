# SPDX-License-Identifier: Apache-2.0
"""A reservoir at run time: numbers of a sample in, spikes through a backend, the readout's numbers out. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from ..neuromorphic.backend import BackendStats
from ..neuromorphic.model import SpikingModel, new_backend
from ..spiking.leaky_features import LeakyFeatures
from ..spiking.reservoir_file import ReservoirFile, Signal, read_reservoir


class OnLineRule(Protocol):
    """What changes a readout sample by sample: recursive least squares, or prescribed error sensitivity.

    Attributes:
        frozen: why learning has stopped; empty while it goes on.
    """

    frozen: str

    @property
    def weights(self) -> np.ndarray: ...  # noqa: D102  float64 (n_outputs, n_features)

    @property
    def offset(self) -> np.ndarray: ...  # noqa: D102  float64 (n_outputs,)

    def learn(self, features: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Take a sample in; returns the outputs as they were before it."""


class Reservoir:
    """A reservoir from a file on any backend, sample by sample. A context manager, for backends in other processes.

    >>> with Reservoir.from_file("reservoir.nir") as reservoir:  # doctest: +SKIP
    ...     for sample in samples:
    ...         output = reservoir.step(sample)

    Args:
        file: from :func:`~liquid_spike_control.spiking.reservoir_file.read_reservoir`.
        backend: one of :data:`~liquid_spike_control.neuromorphic.model.BACKENDS`.

    Attributes:
        weights: float64 ``(n_outputs, n_features)``, of the readout; may be set.
        offset: float64 ``(n_outputs,)``.
        features: float64 ``(n_features,)``, of the sample before.
        output: float64 ``(n_outputs,)``, of the sample before.

    Raises:
        TaskError: there is no such backend.
        ModelError: the network does not fit it.
    """

    def __init__(self, file: ReservoirFile, backend: str = "loihi") -> None:
        self.file = file
        self.backend: Any = new_backend(reservoir_model(file), backend)
        self._code = file.new_code()
        self._leaky, self.weights, self.offset = LeakyFeatures.of_readout(file.readout)
        self._middle, self._half = _ranges(file.heard)
        self.reset()

    @classmethod
    def from_file(cls, path: str | Path, backend: str = "loihi") -> Reservoir:
        """Read a reservoir.

        Raises:
            ModelError: it is missing, damaged or not fit for use.
            TaskError: there is no such backend.
        """
        return cls(read_reservoir(path), backend)

    def reset(self) -> None:
        """Code, network, features and output at rest."""
        self._code.reset()
        self.backend.reset()
        self._leaky.reset()
        self.features = np.zeros(self._leaky.n)
        self.output = self.offset.copy()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        """End the backend; one in another process ends its process."""
        self.backend.__exit__(*error)

    def stats(self) -> BackendStats:
        """Work of the network since the last reset."""
        return self.backend.stats()

    def step(self, values: np.ndarray) -> np.ndarray:
        """Outputs for the inputs of a sample; fed back are those of the sample before.

        Args:
            values: float64 ``(n_inputs,)``, in their units.

        Returns:
            float64 ``(n_outputs,)``.

        Raises:
            TaskError: a value is not finite; nothing has then changed.
            ValueError: there are more or fewer values than inputs.
        """
        values = np.asarray(values, float)
        if values.shape != (len(self.file.inputs),):
            raise ValueError(f"a sample has {len(self.file.inputs)} inputs, not shape {values.shape}")
        heard = np.concatenate([values, self.output]) if self.file.feedback else values
        spikes = self._code.encode((heard - self._middle) / self._half)
        self.features = self._leaky.step(self.backend.run(spikes))
        self.output = self.weights @ self.features + self.offset
        return self.output

    def learn(self, target: np.ndarray, rule: OnLineRule) -> None:
        """Change the readout by what the sample before should have given.

        Args:
            target: float64 ``(n_outputs,)``.
            rule: keeps what it knows; its weights become the readout's. One that has frozen changes nothing.
        """
        rule.learn(self.features, target)
        self.weights, self.offset = rule.weights, rule.offset


def reservoir_model(file: ReservoirFile) -> SpikingModel:
    """The network of a reservoir, for the tools of :mod:`liquid_spike_control.neuromorphic`."""
    return SpikingModel(
        graph=file.graph,
        compiled=None,
        hash=file.hash,
        step_s=file.step_s,
        weight_scale=file.weight_scale,
        source=file.source,
    )


def _ranges(signals: tuple[Signal, ...]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s.middle for s in signals]), np.array([s.half for s in signals])
