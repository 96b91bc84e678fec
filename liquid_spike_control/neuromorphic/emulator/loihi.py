# SPDX-License-Identifier: Apache-2.0
"""An emulator of Loihi's integer CUBA-LIF networks, bit-exact with Intel's Lava.

>>> network = LoihiNetwork(
...     n_inputs=3,
...     populations={"hidden": Population(4, du=409, dv=205, vth=10, bias_mant=3, bias_exp=6)},
...     connections=[Dense("input", "hidden", [[40, -36, 120], [-7, 64, 2], [255, -255, 5], [9, 9, 9]])],
... )
>>> with LoihiEmulator(network) as emulator:
...     emulator.step([0, 2])  # the input acts in the next step; the bias is at work already
array([], dtype=int32)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...types import SpikeTrain
from ..backend import BackendStats
from ..integers.network import LoihiNetwork
from ..integers.neurons import Population, check
from ..integers.synapses import Conv, Dense, Sparse, quantise_weights
from ..trains import by_population, joined
from . import block_schedule as schedule
from . import kernels, membrane, vectors
from . import two_threads as halves
from .layout import aligned_zeros, lay_out

__all__ = [
    "Conv",
    "Dense",
    "LoihiEmulator",
    "LoihiNetwork",
    "Population",
    "Probe",
    "Sparse",
    "quantise_weights",
]

# Output spikes that one compiled call has room for, unless one step alone needs more.
_ROOM = 1 << 20


@dataclass(frozen=True, slots=True)
class Probe:
    """What a population did.

    Attributes:
        u, v: int32 ``(n_steps, n)``, current and voltage after each step (0 where a spike reset the voltage).
        spikes: bool ``(n_steps, n)``.
    """

    u: np.ndarray
    v: np.ndarray
    spikes: np.ndarray


class LoihiEmulator:
    """A :class:`~.backend.Backend` that runs a :class:`~.network.LoihiNetwork` on the processor.

    Cost follows events: zero weights and neurons that only decay cost next to nothing; the result is the same
    to the bit. It lets other Python threads run meanwhile.

    Args:
        network: what runs.
        threads: 1, or 2, which networks whose synapses are all stored one by one can use; by default 2 for those of
            millions of synapses. The result is the same.

    Attributes:
        network: as given.
        n_inputs, n_outputs: as in ``Backend``.
    """

    #: Whether plastic connections learn here.
    _learns = False

    def __init__(self, network: LoihiNetwork, threads: int | None = None):
        check(self._learns or not network.learns, "the network learns; emulate(network) or PlasticEmulator runs it")
        self.network = network
        self.n_inputs = network.n_inputs
        self.n_outputs = network.n_outputs
        self._layout = lay_out(network)
        layout, names = self._layout, list(network.populations)
        self._outputs = network.numbered(network.outputs)
        self._every = network.numbered(names)
        self._state = aligned_zeros((membrane.N_STATE, layout.n), np.int32)
        self._acc = aligned_zeros((layout.slots, layout.n), np.int32)
        self._active, self._resting = np.zeros((2, layout.n // schedule.WORD), np.uint64)
        self._done = np.zeros(layout.n // vectors.BLOCK, np.int64)
        self._touched = aligned_zeros((layout.slots, layout.n // vectors.BLOCK), np.uint8)
        self._counters = np.zeros(kernels.N_COUNTERS, np.int64)
        self._changing: tuple[np.ndarray, ...] = (
            self._state, self._acc, self._active, self._touched, self._resting, self._done, self._counters
        )  # fmt: skip
        largest = max(p.n for p in network.populations.values())
        self._arrays = {
            kernels.POPULATIONS: layout.populations,
            kernels.FOLDS: layout.folds,
            kernels.CONNECTIONS: layout.connections,
            kernels.WEIGHTS: layout.weights,
            kernels.INDEX: layout.index,
            kernels.PARAMETERS: layout.parameters,
            kernels.STATE: self._state,
            kernels.INPUTS: self._acc,
            kernels.TOUCHED: self._touched,
            kernels.ACTIVE: self._active,
            kernels.RESTING: self._resting,
            kernels.DONE: self._done,
            kernels.COUNTERS: self._counters,
            kernels.SPIKES: np.zeros(network.n_neurons + 3, np.int32),
            kernels.COUNTS: np.zeros(len(names), np.int64),
            kernels.MASKS: np.zeros(-(-largest // vectors.BLOCK) + 1, np.int64),
        }
        self._memory = kernels.memory_of(self._arrays)
        if threads is None:
            threads = 2 if len(layout.weights) >= halves.LARGE and len(os.sched_getaffinity(0)) > 1 else 1
        divided = threads > 1 and halves.can_divide(layout)
        self._halves = halves.Halves(layout, self._arrays, self._memory) if divided else None
        self._one_step = np.zeros(2, np.int64), np.zeros(2, np.int64), np.zeros(self.n_outputs, np.int32)
        self.reset()

    @property
    def network_hash(self) -> str:
        """Hex SHA-256 of the network."""
        return self.network.hash

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def reset(self) -> None:
        """Zero currents, voltages, counters and spikes that are not delivered yet."""
        for array in (self._state, self._acc, self._touched, self._resting, self._done, self._counters):
            array[:] = 0
        self._state[membrane.COUNTER] = self._layout.start
        self._active[:] = self._layout.active_at_start

    @property
    def state(self) -> tuple[np.ndarray, ...]:
        """Copies of all that the next step depends on, and of the counts; assign it to restore."""
        return tuple(array.copy() for array in self._changing)

    @state.setter
    def state(self, state: tuple[np.ndarray, ...]) -> None:
        for array, value in zip(self._changing, state, strict=True):
            array[:] = value

    def step(self, ids: np.ndarray) -> np.ndarray:
        """Advance one step.

        Args:
            ids: int32 indices of the input axons that spike, ascending, shape ``(n,)``.

        Returns:
            int32 indices of the output neurons that spike in this step, ascending.

        Raises:
            ValueError: an index is not that of an axon; nothing has then changed.
        """
        ids = np.ascontiguousarray(ids, np.int32)
        indptr, out_indptr, out_ids = self._one_step
        indptr[1] = len(ids)
        self._call(self._outputs, indptr, ids, out_indptr, out_ids)
        return out_ids[: out_indptr[1]].copy()

    def run(self, spikes: SpikeTrain) -> SpikeTrain:
        """Advance ``spikes.n_steps`` steps, in one compiled call unless they are very many.

        Raises:
            ValueError: an index is not that of an axon.
        """
        return self._run(spikes, self._outputs, self.n_outputs)

    def run_all(self, spikes: SpikeTrain) -> dict[str, SpikeTrain]:
        """As :meth:`run`, but return the spikes of every population, for rasters."""
        sizes = {name: p.n for name, p in self.network.populations.items()}
        return by_population(self._run(spikes, self._every, self.network.n_neurons), sizes)

    def run_watched(self, spikes: SpikeTrain, neurons: np.ndarray) -> tuple[dict[str, SpikeTrain], np.ndarray]:
        """As :meth:`run_all`, and the voltages of some neurons after each step (slower: a call a step).

        Args:
            spikes: of the input axons.
            neurons: integers ``(k,)``, numbered one population after the other.

        Returns:
            The spikes of every population, and int32 ``(n_steps, k)``, 0 where a spike reset the voltage.
        """
        if not len(neurons) or not spikes.n_steps:
            return self.run_all(spikes), np.zeros((spikes.n_steps, len(neurons)), np.int32)
        where, v = self._places()[neurons], np.zeros((spikes.n_steps, len(neurons)), np.int32)
        trains = []
        for k, train in enumerate(self._stepwise(spikes)):
            trains.append(train)
            v[k] = self._state[membrane.V, where]
        sizes = {name: p.n for name, p in self.network.populations.items()}
        return by_population(joined(trains), sizes), v

    def probe(self, spikes: SpikeTrain) -> dict[str, Probe]:
        """As :meth:`run`, but return current, voltage and spikes of every neuron and step (much slower)."""
        shape = spikes.n_steps, self.network.n_neurons
        u, v, fired = np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, bool)
        where = self._places()
        for k, train in enumerate(self._stepwise(spikes)):
            fired[k, train.ids] = True
            u[k], v[k] = self._state[membrane.U, where], self._state[membrane.V, where]
        edges = np.cumsum([p.n for p in self.network.populations.values()])[:-1]
        parts = (np.split(x, edges, axis=1) for x in (u, v, fired))
        return {name: Probe(*p) for name, *p in zip(self.network.populations, *parts, strict=True)}

    def _places(self) -> np.ndarray:
        """Where in the state each neuron is, one population after the other."""
        starts = self._layout.populations[:, schedule.P_START]
        sizes = [p.n for p in self.network.populations.values()]
        return np.concatenate([start + np.arange(n) for start, n in zip(starts, sizes, strict=True)])

    def _stepwise(self, spikes: SpikeTrain) -> Iterator[SpikeTrain]:
        """The spikes of all populations step by step; after each the state is up to date."""
        for k in range(spikes.n_steps):
            ids = np.ascontiguousarray(spikes.step(k), np.int32)
            train = self._advance(np.array([0, len(ids)], np.int64), ids, self._every, self.network.n_neurons)
            kernels.settle(self._memory)
            yield train

    def stats(self) -> BackendStats:
        """Work since the last reset."""
        kernels.settle(self._memory)
        c = self._counters
        return BackendStats(
            steps=int(c[kernels.N_STEPS]),
            input_spikes=int(c[kernels.N_INPUT_SPIKES]),
            spikes=int(c[kernels.N_SPIKES]),
            synaptic_operations=int(c[kernels.N_SYNOPS]),
            neuron_updates=int(c[kernels.N_UPDATES]),
            neuron_steps=int(c[kernels.N_STEPS]) * self.network.n_neurons,
        )

    def _run(self, spikes: SpikeTrain, outputs: np.ndarray, n_outputs: int) -> SpikeTrain:
        indptr = np.ascontiguousarray(spikes.indptr, np.int64)
        ids = np.ascontiguousarray(spikes.ids, np.int32)
        most = max(1, _ROOM // n_outputs)
        firsts = range(0, max(spikes.n_steps, 1), most)
        return joined([self._advance(indptr[k : k + most + 1], ids, outputs, n_outputs) for k in firsts])

    def _advance(
        self, indptr: np.ndarray, ids: np.ndarray, outputs: np.ndarray, n_outputs: int
    ) -> SpikeTrain:
        n_steps = len(indptr) - 1
        out_indptr, out_ids = np.empty(n_steps + 1, np.int64), np.empty(n_steps * n_outputs, np.int32)
        self._call(outputs, indptr, ids, out_indptr, out_ids)
        return SpikeTrain(out_indptr, out_ids[: out_indptr[-1]].copy())

    def _call(self, outputs, indptr, ids, out_indptr, out_ids) -> None:
        arguments = outputs, indptr, ids, self.n_inputs, out_indptr, out_ids
        if self._halves.advance(*arguments) if self._halves else kernels.advance(self._memory, *arguments):
            raise ValueError(f"input spikes must have indices in 0 .. {self.n_inputs - 1}")
