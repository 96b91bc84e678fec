# SPDX-License-Identifier: Apache-2.0
"""An emulator of every neuron model of :mod:`.neurons`, with graded spikes, bit-exact with Intel's Lava.

It is general and plain; a network of CUBA-LIF neurons alone runs many times faster in
:class:`~.loihi.LoihiEmulator`, with the same spikes. :func:`~.emulator.emulate` chooses.

>>> network = LoihiNetwork(
...     n_inputs=2,
...     populations={"changes": SigmaDelta(2, vth=3)},
...     connections=[Dense("input", "changes", [[2, 0], [0, -2]])],
... )
>>> emulator = Loihi2Emulator(network)
>>> emulator.run_graded(GradedTrain.from_dense([[5, 5], [-1, 0], [-2, 0]])).to_dense(2)  # one step later
array([[ 0,  0],
       [10,  0],
       [ 0,  0]], dtype=int32)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ...types import SpikeTrain
from ..backend import BackendStats
from ..integers.network import INPUT, LoihiNetwork
from ..integers.neurons import (
    AdaptivePopulation,
    AdExPopulation,
    AlifPopulation,
    Delta,
    IzhikevichPopulation,
    Neurons,
    Population,
    ProgrammedPopulation,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
    check,
)
from ..integers.synapses import Conv, Dense, Sparse
from . import loihi2_kernels as k
from . import loihi2_models as m
from .graded import GradedTrain

__all__ = ["Dense", "GradedTrain", "Loihi2Emulator", "LoihiNetwork", "SigmaDelta", "Trace"]

# Output spikes that one compiled call has room for, unless one step alone needs more.
_ROOM = 1 << 20

# What the rows of the state are called, by model.
_NAMES = {
    m.CUBA: ("u", "v", "counter"),
    m.PROGRAMMED: ("u", "v", "counter"),
    m.ALIF: ("u", "v", "counter", "h"),
    m.ADAPTIVE: ("u", "v", "theta", "r"),
    m.SIGMA_DELTA: ("sigma", "activation", "residue", "error"),
    m.DELTA: ("", "activation", "residue", "error"),
    m.SIGMA: ("sigma",),
    m.RESONATOR: ("real", "imag"),
    m.IZHIKEVICH: ("s", "v", "u"),
    m.ADEX: ("s", "v", "w"),
}


@dataclass(frozen=True, slots=True)
class Trace:
    """What a population did.

    Attributes:
        states: int32 ``(n_steps, n)`` by name, after each step: u, v, counter (and h); u, v, theta, r; sigma,
            activation, residue, error; real, imag; s, v and u (Izhikevich) or w (AdEx).
        payloads: int32 ``(n_steps, n)``, 0 where there is no spike.
    """

    states: dict[str, np.ndarray]
    payloads: np.ndarray


def _parameters(p: Neurons) -> tuple[int, list]:
    """Model of a population, and the rows that its kernel reads."""
    if isinstance(p, Population):
        return m.CUBA, [4096 - (p.du + 1), 4096 - p.dv, p.vth << 6, p.bias, p.refractory]
    if isinstance(p, ProgrammedPopulation):
        leak = [4096 - (p.du + 1), 4096 - p.dv, p.threshold, p.bias, p.refractory]
        rows = [*leak, -1 if p.reset == "zero" else p.drop, -p.depth, p.most_spikes]
        if isinstance(p, AlifPopulation):
            return m.ALIF, [*rows, p.rise, 4096 - p.dh]
        return m.PROGRAMMED, rows
    if isinstance(p, AdaptivePopulation):
        leak = [4096 - (p.du + 1), 4096 - p.dv, p.vth << 6, p.bias]
        return m.ADAPTIVE, [*leak, p.vth_step << 6, 4096 - p.dtheta, 4096 - p.dr]
    if isinstance(p, SigmaDelta):
        relu = p.activation == "relu"
        return m.SIGMA_DELTA, [p.theta, p.offset, p.state_exp, 0, relu, p.cumulative_error]
    if isinstance(p, Delta):
        return m.DELTA, [p.theta, 0, p.state_exp, p.spike_exp + p.state_exp, 0, p.cumulative_error]
    if isinstance(p, ResonateAndFire):
        return m.RESONATOR, [p.sin, p.cos, p.vth << p.state_exp, p.state_exp, p.rule == "izhikevich"]
    if isinstance(p, IzhikevichPopulation):
        return m.IZHIKEVICH, [4096 - (p.du + 1), p.bias, p.substeps_exp, p.peak, p.c, p.d, p.a, p.b]
    if isinstance(p, AdExPopulation):
        moving = [4096 - (p.du + 1), p.bias, p.substeps_exp, p.peak, p.reset, p.jump, p.leak, p.rest]
        return m.ADEX, [*moving, p.threshold, p.slope, p.steepness, p.coupling, p.rate]
    assert isinstance(p, Sigma)
    return m.SIGMA, []


class _Wiring:
    """The connections as the flat arrays that :func:`.loihi2_kernels.advance` reads."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.index: list[np.ndarray] = []
        self.synapses: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # targets, weights, which delay
        self.kernels: list[np.ndarray] = []
        self.n_sums = 0
        self.slots = 1

    def add(self, c: Dense | Sparse | Conv, source: int, target: int) -> None:
        """Lay a connection out; ``source`` is a population or -1, ``target`` the first input."""
        row = np.zeros(k.C_COLUMNS, np.int64)
        row[[k.C_SOURCE, k.C_TARGET, k.C_SIZE, k.C_SHIFT]] = source, target, c.shape[0], c.shift
        row[k.C_SUMS] = self.n_sums
        delays = self._conv(c, row) if isinstance(c, Conv) else self._single(c, row)
        row[[k.C_DELAYS, k.C_N_DELAYS]] = self._append(self.index, delays), len(delays)
        self.n_sums += len(delays) * c.shape[0]
        self.slots = max(self.slots, 1 + int(delays.max(initial=0)))
        self.rows.append(row)

    @staticmethod
    def _append(parts: list[np.ndarray], array: np.ndarray) -> int:
        start = sum(part.size for part in parts)
        parts.append(np.ravel(array).astype(np.int64))
        return start

    def _single(self, c: Dense | Sparse, row: np.ndarray) -> np.ndarray:
        weights, delays = c.synapses, np.broadcast_to(c.delays, c.synapses.shape)
        used = np.nonzero(weights)
        target, source = used if isinstance(c, Dense) else (c.targets[used], c.sources[used])
        order = np.lexsort((target, source))
        distinct, which = np.unique(delays[used], return_inverse=True)
        counts = np.bincount(source, minlength=c.shape[1])
        row[k.C_BITS] = 32
        row[k.C_ROWS] = self._append(self.index, np.concatenate([[0], np.cumsum(counts)]))
        row[k.C_SYNAPSES] = sum(len(part[0]) for part in self.synapses)
        self.synapses.append((target[order], weights[used][order], which[order]))
        return distinct

    def _conv(self, c: Conv, row: np.ndarray) -> np.ndarray:
        kernel = c.weights[:, ::-1, ::-1].transpose(3, 1, 2, 0)
        row[[k.C_CONV, k.C_BITS, k.C_FIRST]] = 1, 24, c.channels_first
        row[[k.C_X, k.C_Y, k.C_IN]] = c.input_shape
        row[[k.C_K, k.C_L]] = kernel.shape[1:3]
        row[[k.C_X_OUT, k.C_Y_OUT, k.C_OUT]] = c.output_shape
        row[[k.C_STRIDE_X, k.C_STRIDE_Y, k.C_PAD_X, k.C_PAD_Y]] = *c.strides, *c.paddings
        row[k.C_WEIGHTS] = self._append(self.kernels, kernel)
        return np.array([c.delay])

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Connections, index, targets, weights, which delay, kernels."""
        parts = zip(*self.synapses, strict=True) if self.synapses else ((), (), ())
        single = (np.concatenate([np.zeros(0), *part]).astype(np.int32) for part in parts)
        rows = np.array(self.rows, np.int64).reshape(-1, k.C_COLUMNS)
        return (
            rows,
            np.concatenate([np.zeros(0, np.int64), *self.index]),
            *single,
            np.concatenate([np.zeros(0, np.int64), *self.kernels]).astype(np.int32),
        )


class Loihi2Emulator:
    """A :class:`~.backend.Backend` that runs any :class:`~.network.LoihiNetwork`, optionally with payloads.

    Attributes:
        network: what runs.
        n_inputs, n_outputs: as in ``Backend``.
    """

    def __init__(self, network: LoihiNetwork):
        check(not network.learns, "the network learns, which needs CUBA-LIF neurons and spikes without payloads")
        self.network = network
        self.n_inputs = network.n_inputs
        self.n_outputs = network.n_outputs
        names = list(network.populations)
        populations = np.zeros((len(names), m.P_COLUMNS), np.int64)
        parameters = np.zeros((m.N_PARAMETERS, network.n_neurons), np.int64)
        self._at_reset = np.zeros((m.N_STATE, network.n_neurons), np.int64)
        first, start = 0, 0
        for row, p in zip(populations, network.populations.values(), strict=True):
            model, values = _parameters(p)
            row[:] = model, p.n, first, start
            for to, value in zip(parameters, values, strict=False):
                to[first : first + p.n] = value
            if isinstance(p, Population | ProgrammedPopulation):
                self._at_reset[m.COUNTER, first : first + p.n] = p.start
            elif isinstance(p, AdaptivePopulation | SigmaDelta):
                parameters[m.SLEEP, first : first + p.n] = p.start
            if isinstance(p, AdaptivePopulation):
                self._at_reset[m.THRESHOLD, first : first + p.n] = p.vth << 6
            if isinstance(p, IzhikevichPopulation):
                self._at_reset[m.V, first : first + p.n] = p.c
                self._at_reset[m.RECOVERY, first : first + p.n] = (p.b * p.c) >> 16
            if isinstance(p, AdExPopulation):
                self._at_reset[m.V, first : first + p.n] = p.rest
            first += p.n
            start += p.ports * p.n
        wiring = _Wiring()
        for c in network.connections:
            source = -1 if c.source == INPUT else names.index(c.source)
            wiring.add(c, source, populations[names.index(c.target), m.P_INPUT])
        connections, index, targets, weights, which, kernels = wiring.arrays()
        self._populations = populations
        self._state = np.zeros_like(self._at_reset)
        self._due = np.zeros((wiring.slots, start), np.int64)
        self._sent = np.zeros(network.n_neurons, np.int64)
        self._counters = np.zeros(m.N_COUNTERS, np.int64)
        sums = np.zeros(wiring.n_sums, np.int64)
        self._arrays = (
            populations, connections, parameters, self._state, self._due, sums, self._sent, index, targets, weights,
            which, kernels, self._counters,
        )  # fmt: skip
        self._outputs = network.numbered(network.outputs)
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
        """Return to the initial states, without spikes in transit."""
        self._state[:] = self._at_reset
        self._due[:] = 0
        self._counters[:] = 0

    def step(self, ids: np.ndarray) -> np.ndarray:
        """Advance one step; see :meth:`.backend.Backend.step`.

        Raises:
            ValueError: an index is not that of an axon; nothing has then changed.
        """
        return self.run(SpikeTrain.from_steps([np.asarray(ids)])).ids

    def run(self, spikes: SpikeTrain) -> SpikeTrain:
        """Advance ``spikes.n_steps`` steps; input spikes have the payload 1, those of the output are dropped.

        Raises:
            ValueError: an index is not that of an axon.
        """
        return self.run_graded(GradedTrain.from_spikes(spikes)).spikes

    def run_graded(self, spikes: GradedTrain) -> GradedTrain:
        """Advance ``spikes.n_steps`` steps with payloads. Spikes of models that have none carry 1.

        Raises:
            ValueError: an index is not that of an axon.
        """
        return self._run(spikes, self._outputs, self.n_outputs)

    def run_all(self, spikes: SpikeTrain | GradedTrain) -> dict[str, GradedTrain]:
        """As :meth:`run_graded`, but return the spikes of every population."""
        if isinstance(spikes, SpikeTrain):
            spikes = GradedTrain.from_spikes(spikes)
        names = list(self.network.populations)
        dense = self._run(spikes, self.network.numbered(names), self.network.n_neurons).to_dense(self.network.n_neurons)
        edges = np.cumsum([p.n for p in self.network.populations.values()])[:-1]
        parts = np.split(dense, edges, axis=1)
        return {name: GradedTrain.from_dense(part) for name, part in zip(names, parts, strict=True)}

    def probe(self, spikes: SpikeTrain | GradedTrain) -> dict[str, Trace]:
        """As :meth:`run_graded`, but return all states and payloads of every neuron and step (much slower)."""
        if isinstance(spikes, SpikeTrain):
            spikes = GradedTrain.from_spikes(spikes)
        states = np.zeros((spikes.n_steps, *self._state.shape), np.int32)
        payloads = np.zeros((spikes.n_steps, self.network.n_neurons), np.int32)
        for t in range(spikes.n_steps):
            a, b = spikes.indptr[t], spikes.indptr[t + 1]
            one = GradedTrain(np.array([0, b - a]), spikes.ids[a:b], spikes.payloads[a:b])
            self._run(one, self._outputs, self.n_outputs)
            states[t], payloads[t] = self._state, self._sent
        traces = {}
        for row, name in zip(self._populations, self.network.populations, strict=True):
            mine = slice(row[m.P_FIRST], row[m.P_FIRST] + row[m.P_N])
            rows = enumerate(_NAMES[int(row[m.P_MODEL])])
            named = {state: states[:, i, mine] for i, state in rows if state}
            traces[name] = Trace(named, payloads[:, mine])
        return traces

    def stats(self) -> BackendStats:
        """Work since the last reset."""
        steps, n_in, spikes, operations, updates = (int(n) for n in self._counters)
        return BackendStats(steps, n_in, spikes, operations, updates, steps * self.network.n_neurons)

    def _run(self, spikes: GradedTrain, outputs: np.ndarray, n_outputs: int) -> GradedTrain:
        indptr, ids = np.asarray(spikes.indptr, np.int64), np.asarray(spikes.ids, np.int64)
        mine = ids[indptr[0] : indptr[-1]]
        if len(mine) and (mine.min() < 0 or mine.max() >= self.n_inputs):
            raise ValueError(f"input spikes must have indices in 0 .. {self.n_inputs - 1}")
        payloads = np.asarray(spikes.payloads, np.int32).astype(np.int64)
        most = max(1, _ROOM // n_outputs)
        parts = []
        for t in range(0, max(spikes.n_steps, 1), most):
            part = indptr[t : t + most + 1]
            room = (len(part) - 1) * n_outputs
            out_indptr, out_ids, out = np.empty(len(part), np.int64), np.empty(room, np.int32), np.empty(room, np.int32)
            n = k.advance(*self._arrays, outputs, part, ids, payloads, out_indptr, out_ids, out)
            parts.append((np.diff(out_indptr), out_ids[:n].copy(), out[:n].copy()))
        counts, out_ids, out = (np.concatenate(p) for p in zip(*parts, strict=True))
        return GradedTrain(np.concatenate([[0], np.cumsum(counts)]), out_ids, out)
