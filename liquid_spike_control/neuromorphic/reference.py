# SPDX-License-Identifier: Apache-2.0
"""The float64 reference: a :class:`~..spiking.graph.SpikingGraph` as it stands, without rounding.

Same connections, same delays, same interface as the emulator; plain loops, meant to be read. Where a neuron sends
several spikes in a step, they count inside; a spike train has one spike.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

import numpy as np
from numba import njit

from ..spiking.graph import INPUT, Correlation, SpikingGraph
from ..types import SpikeTrain
from .backend import BackendStats
from .trains import by_population, joined

# Rows of the table of what a neuron does.
INCLUSIVE, SUBTRACT, REFRACTORY, SPIKING, START, MOST, ADAPTS = range(7)
# Columns of the table of kernels: source population (-1 the input), first target neuron, shapes, stride, padding,
# order of the source's neurons, delay, and where the weights and their counts begin.
(
    K_SOURCE, K_TARGET, K_IN, K_H, K_W, K_ROWS, K_COLUMNS, K_OUT, K_H_OUT, K_W_OUT, K_DOWN, K_RIGHT, K_ABOVE, K_LEFT,
    K_FIRST, K_DELAY, K_WEIGHTS, K_COUNTS, N_KERNEL,
) = range(19)  # fmt: skip
# Output spikes that one compiled call has room for, unless one step alone needs more.
_ROOM = 1 << 20


@njit(cache=True)
def _several(v, vth, drop, inclusive, most):
    """How many spikes a voltage beyond the threshold sends."""
    whole = v / vth if drop == vth else 1 + (v - vth) / drop
    return min(most, max(1, int(np.floor(whole)) if inclusive else int(np.ceil(whole)) - 1))


@njit(cache=True)
def _spread(c, source, payload, kernels, counts, due, t):
    """Add what spikes of neuron ``source`` send over a kernel; returns the synaptic operations."""
    if c[K_FIRST]:
        channel, pixel = source // (c[K_H] * c[K_W]), source % (c[K_H] * c[K_W])
    else:
        channel, pixel = source % c[K_IN], source // c[K_IN]
    row, column = pixel // c[K_W] + c[K_ABOVE], pixel % c[K_W] + c[K_LEFT]
    slot, operations, out = due[(t + 1 + c[K_DELAY]) % len(due)], 0, c[K_OUT]
    for k in range(c[K_ROWS]):
        y = (row - k) // c[K_DOWN]
        if (row - k) % c[K_DOWN] != 0 or y < 0 or y >= c[K_H_OUT]:
            continue
        for m in range(c[K_COLUMNS]):
            x = (column - m) // c[K_RIGHT]
            if (column - m) % c[K_RIGHT] != 0 or x < 0 or x >= c[K_W_OUT]:
                continue
            tap = (channel * c[K_ROWS] + k) * c[K_COLUMNS] + m
            first, target = c[K_WEIGHTS] + tap * out, c[K_TARGET] + (y * c[K_W_OUT] + x) * out
            for o in range(out):
                slot[target + o] += payload * kernels[first + o]
            operations += counts[c[K_COUNTS] + tap]
    return operations


@njit(cache=True)
def _advance(
    t0, indptr, ids, rows, targets, weights, delays, n_inputs, du, dv, vth, bias, drop, lowest, rise, dh, rules, u, v,
    counter, h, due, fired, label, table, kernels, counts, edges, out_indptr, out, trace,
):  # fmt: skip
    """Run all steps. Returns spikes written, neuron spikes and synaptic operations."""
    written, spikes, operations = 0, 0, 0
    out_indptr[0] = 0
    for step in range(len(indptr) - 1):
        t = t0 + step
        a = due[t % len(due)]
        for i in range(len(u)):
            u[i] = (1 - du[i]) * u[i] + a[i]
            v[i] = (1 - dv[i]) * v[i] + u[i] + bias[i]
            if v[i] < lowest[i]:
                v[i] = lowest[i]
            a[i] = 0
            if counter[i] > 0:
                v[i] = 0
            if len(trace):
                trace[step, i] = v[i]
            threshold = vth[i]
            if rules[ADAPTS, i]:
                h[i] = (1 - dh[i]) * h[i]
                threshold += h[i]
            fired[i] = rules[SPIKING, i] and (v[i] > threshold or (rules[INCLUSIVE, i] and v[i] == threshold))
            if fired[i]:
                h[i] += rise[i]
                if rules[MOST, i] > 1:
                    fired[i] = _several(v[i], vth[i], drop[i], rules[INCLUSIVE, i], rules[MOST, i])
                v[i] = v[i] - fired[i] * drop[i] if rules[SUBTRACT, i] else 0.0
                counter[i] = rules[REFRACTORY, i]
            counter[i] = max(counter[i] - 1, 0)
        # A source at a time, in the order of their numbers: sums in floats depend on the order.
        for k in range(indptr[step], indptr[step + 1]):
            for s in range(rows[ids[k]], rows[ids[k] + 1]):
                due[(t + 1 + delays[s]) % len(due), targets[s]] += weights[s]
            operations += rows[ids[k] + 1] - rows[ids[k]]
            for q in range(len(table)):
                if table[q, K_SOURCE] < 0:
                    operations += _spread(table[q], ids[k], 1.0, kernels, counts, due, t)
        for p in range(len(edges) - 1):
            for i in range(edges[p], edges[p + 1]):
                if not fired[i]:
                    continue
                spikes += 1
                source = n_inputs + i
                for s in range(rows[source], rows[source + 1]):
                    due[(t + 1 + delays[s]) % len(due), targets[s]] += fired[i] * weights[s]
                operations += rows[source + 1] - rows[source]
                for q in range(len(table)):
                    if table[q, K_SOURCE] == p:
                        operations += _spread(table[q], i - edges[p], float(fired[i]), kernels, counts, due, t)
        for k in range(len(label)):
            if fired[label[k]]:
                out[written] = k
                written += 1
        out_indptr[step + 1] = written
    return written, spikes, operations


class _Kernels:
    """Convolutions as :func:`_advance` reads them: a row of numbers each, and their weights one after the other."""

    def __init__(self) -> None:
        self.rows: list[list[int]] = []
        self.weights: list[np.ndarray] = [np.zeros(0)]
        self.counts: list[np.ndarray] = [np.zeros(0, np.int64)]

    def add(self, c: Correlation, source: int, target: int) -> None:
        """Append a connection from a population, or -1, to neurons from ``target`` on."""
        laid = c.weight.transpose(1, 2, 3, 0)  # source channel, row, column, target channel
        starts = sum(w.size for w in self.weights), sum(n.size for n in self.counts)
        geometry = *c.input_shape, *c.weight.shape[2:], *c.output_shape, *c.stride, *c.padding
        self.rows.append([source, target, *geometry, c.channels_first, c.delay, *starts])
        self.weights.append(laid.ravel())
        self.counts.append((laid != 0).sum(-1).ravel())

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Table, weights, and how many weights of a tap are not 0."""
        table = np.array(self.rows, np.int64).reshape(-1, N_KERNEL)
        return table, np.concatenate(self.weights), np.concatenate(self.counts)


class FloatReference:
    """A :class:`~.backend.Backend` that runs a graph in float64.

    Args:
        graph: what runs.
        lowest: membrane potential that no neuron falls below, by population; without one there is no such end.

    Attributes:
        graph: as given.
        n_inputs, n_outputs, network_hash: as in ``Backend``.
    """

    def __init__(self, graph: SpikingGraph, lowest: Mapping[str, float] = MappingProxyType({})):
        self.graph = graph
        self.n_inputs = graph.n_inputs
        self.n_outputs = graph.n_outputs
        self.network_hash = graph.hash
        first, self._n = {}, 0
        for name, p in graph.populations.items():
            first[name] = self._n
            self._n += p.n
        self._first = first
        none = np.zeros(0, np.int64)
        synapses: list[tuple[np.ndarray, ...]] = [(none, none, np.zeros(0), none)]
        convolutions, names = _Kernels(), list(graph.populations)
        longest = 0
        for c in graph.connections:
            longest = max(longest, int(np.max(c.delay, initial=0)))
            if isinstance(c, Correlation):
                convolutions.add(c, -1 if c.source == INPUT else names.index(c.source), first[c.target])
                continue
            source, target, weight = c.synapses()
            delay = np.broadcast_to(c.delay, weight.shape)
            offset = 0 if c.source == INPUT else graph.n_inputs + first[c.source]
            synapses.append((source + offset, target + first[c.target], weight, delay))
        source, target, weight, delay = (np.concatenate(part) for part in zip(*synapses, strict=True))
        order = np.lexsort((target, source))
        counts = np.bincount(source, minlength=graph.n_inputs + self._n)
        self._rows = np.concatenate([[0], np.cumsum(counts)])
        self._targets, self._weights = target[order].astype(np.int32), weight[order]
        self._delays = delay[order].astype(np.int64)
        populations = graph.populations.values()
        self._parameters = tuple(
            np.concatenate([getattr(p, name) for p in populations]) for name in ("du", "dv", "vth", "bias")
        ) + (
            np.concatenate([p.vth if p.drop is None else p.drop for p in populations]),
            np.concatenate([np.full(p.n, max(lowest.get(m, -np.inf), p.lowest)) for m, p in graph.populations.items()]),
            np.concatenate([np.zeros(p.n) if p.rise is None else p.rise for p in populations]),
            np.concatenate([np.ones(p.n) if p.dh is None else p.dh for p in populations]),
        )
        rules = [
            (p.inclusive, p.reset == "subtract", p.refractory, p.spiking, p.start, p.most_spikes, p.adapts)
            for p in populations
        ]
        self._rules = np.repeat(np.array(rules, np.int64).T, [p.n for p in populations], axis=1)
        self._u, self._v, self._h = np.zeros(self._n), np.zeros(self._n), np.zeros(self._n)
        self._counter = np.zeros(self._n, np.int64)
        self._kernels = (*convolutions.arrays(), np.array([*first.values(), self._n], np.int64))
        self._due = np.zeros((1 + longest, self._n))
        self._fired = np.zeros(self._n, np.int64)  # spikes of the step
        self._labels = self._numbered(graph.outputs)
        self.reset()

    def _numbered(self, names) -> np.ndarray:
        return np.concatenate([self._first[m] + np.arange(self.graph.size(m)) for m in names]).astype(
            np.int64
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def reset(self) -> None:
        """Zero currents, voltages and counts."""
        for array in (self._u, self._v, self._h, self._due):
            array[:] = 0
        self._counter[:] = self._rules[START]
        self._steps = self._in = self._spikes = self._operations = 0

    @property
    def state(self) -> tuple[np.ndarray, ...]:
        """Copies of all that the next step depends on, and of the counts; assign it to restore."""
        counts = np.array([self._steps, self._in, self._spikes, self._operations])
        return (*(array.copy() for array in self._moving), counts)

    @state.setter
    def state(self, state: tuple[np.ndarray, ...]) -> None:
        *arrays, counts = state
        for array, value in zip(self._moving, arrays, strict=True):
            array[:] = value
        self._steps, self._in, self._spikes, self._operations = counts.tolist()

    @property
    def _moving(self) -> tuple[np.ndarray, ...]:
        adapting = (self._h,) if self._rules[ADAPTS].any() else ()
        return self._u, self._v, self._counter, self._due, *adapting

    def step(self, ids: np.ndarray) -> np.ndarray:
        """Advance one step; see :meth:`.backend.Backend.step`."""
        return self.run(SpikeTrain.from_steps([np.asarray(ids)])).ids

    def run(self, spikes: SpikeTrain) -> SpikeTrain:
        """Advance ``spikes.n_steps`` steps.

        Raises:
            ValueError: an index is not that of an axon.
        """
        return self._run(spikes, self._labels)

    def run_all(self, spikes: SpikeTrain) -> dict[str, SpikeTrain]:
        """As :meth:`run`, but return the spikes of every population."""
        sizes = {name: p.n for name, p in self.graph.populations.items()}
        return by_population(self._run(spikes, np.arange(self._n)), sizes)

    def voltages(self, spikes: SpikeTrain) -> dict[str, np.ndarray]:
        """As :meth:`run`, but return the voltage of every population before spikes reset it, float64
        ``(n_steps, n)``."""
        trace = np.zeros((spikes.n_steps, self._n))
        self._run(spikes, self._labels, trace)
        return {m: trace[:, i : i + self.graph.size(m)] for m, i in self._first.items()}

    def _run(self, spikes: SpikeTrain, labels: np.ndarray, trace: np.ndarray | None = None) -> SpikeTrain:
        indptr, ids = spikes.indptr.astype(np.int64), spikes.ids.astype(np.int32)
        mine = ids[indptr[0] : indptr[-1]]
        if len(mine) and (mine.min() < 0 or mine.max() >= self.n_inputs):
            raise ValueError(f"input spikes must have indices in 0 .. {self.n_inputs - 1}")
        most = max(1, _ROOM // max(len(labels), 1))
        firsts = range(0, max(spikes.n_steps, 1), most)
        parts = [self._piece(indptr[t : t + most + 1], ids, labels, trace, t) for t in firsts]
        self._in += len(mine)
        return joined(parts)

    def _piece(
        self, indptr: np.ndarray, ids: np.ndarray, labels: np.ndarray, trace: np.ndarray | None, first: int
    ) -> SpikeTrain:
        """One compiled call, whose first step is number ``first`` of the trace."""
        n_steps = len(indptr) - 1
        out_indptr, out = np.empty(len(indptr), np.int64), np.empty(n_steps * len(labels), np.int32)
        written, n_spikes, operations = _advance(  # type: ignore[call-arg]
            self._steps,
            indptr,
            ids,
            self._rows,
            self._targets,
            self._weights,
            self._delays,
            self.n_inputs,
            *self._parameters,
            self._rules,
            self._u,
            self._v,
            self._counter,
            self._h,
            self._due,
            self._fired,
            labels,
            *self._kernels,
            out_indptr,
            out,
            np.zeros((0, 0)) if trace is None else trace[first : first + n_steps],
        )
        self._steps += n_steps
        self._spikes += n_spikes
        self._operations += operations
        return SpikeTrain(out_indptr, out[:written].copy())

    def stats(self) -> BackendStats:
        """Work since the last reset; it skips no neuron."""
        every = self._steps * self._n
        return BackendStats(self._steps, self._in, self._spikes, self._operations, every, every)
