# SPDX-License-Identifier: Apache-2.0
"""Interface of every neuromorphic backend: spikes in, spikes out, and counts of the work done."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from ..types import SpikeTrain


@dataclass(frozen=True, slots=True)
class BackendStats:
    """Work since the last reset.

    Attributes:
        steps: time steps.
        input_spikes: spikes that came in.
        spikes: spikes of the network's neurons.
        synaptic_operations: one for each synapse that a spike was delivered over; zero weights are no
            synapses.
        neuron_updates: neurons that were not quiescent, summed over the steps.
        neuron_steps: all neurons times steps; less ``neuron_updates``, those that were quiescent.
    """

    steps: int = 0
    input_spikes: int = 0
    spikes: int = 0
    synaptic_operations: int = 0
    neuron_updates: int = 0
    neuron_steps: int = 0


class Backend(Protocol):
    """A spiking network that advances in steps. Every connection has a delay of one step.

    Attributes:
        n_inputs: number of input axons.
        n_outputs: number of output neurons.
    """

    n_inputs: int
    n_outputs: int

    @property
    def network_hash(self) -> str:
        """Hex SHA-256 of the network that runs."""
        ...

    def reset(self) -> None:
        """To the initial state; the counts restart too."""
        ...

    def step(self, ids: np.ndarray) -> np.ndarray:
        """Advance one step: int32 indices of axons that spike, ascending, to those of output neurons."""
        ...

    def run(self, spikes: SpikeTrain) -> SpikeTrain:
        """Advance ``spikes.n_steps`` steps."""
        ...

    def stats(self) -> BackendStats:
        """Work since the last reset."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
