# SPDX-License-Identifier: Apache-2.0
"""Import the NIR files of other frameworks: snnTorch, Norse, Sinabs, SpikingJelly, Nengo, Rockpool.

``read_nir(path, "snntorch").graph`` sends the spikes that snnTorch sends, later by ``latency`` (see :mod:`.latency`).
Neurons of an image-shaped population are numbered by row, column and channel, the input as NIR flattens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import sparse

from ..errors import ModelError
from . import latency as timing
from .discretisation import CURRENTS, INTEGRATORS, Discretisation
from .graph import INPUT, Connection, Correlation, CubaPopulation, Linear, SpikingGraph, Synapses
from .nir_file import JUNCTION, NirFile, read_nir_file
from .presets import Preset, preset_of
from .shapes import NEURONS, Shape, infer_shapes
from .signals import CONSTANT, Signals, Term
from .synapse_order import are_distinct


@dataclass(frozen=True, eq=False, slots=True)
class ImportedNetwork:
    """A network in discrete time and how it relates to its file.

    Attributes:
        graph: float64; its outputs are the nodes that feed Output, spiking or not.
        latency: steps by which each population is later than in the framework.
        shapes: of the input and of every population: ``(n,)``, ``(channels, length)`` or
            ``(channels, rows, columns)``.
        notes: what was assumed or changed on the way.
        source: the file.
        hash: hex SHA-256 of the file's nodes and edges.
    """

    graph: SpikingGraph
    latency: Mapping[str, int]
    shapes: Mapping[str, Shape]
    notes: tuple[str, ...]
    source: str
    hash: str


def read_nir(
    path: str | Path,
    preset: str | Preset = "euler",
    dt: float | None = None,
    input_shape: Shape | None = None,
) -> ImportedNetwork:
    """Read a NIR file.

    Args:
        path: the file.
        preset: who wrote it, a key of :data:`~.presets.PRESETS`, or as :func:`~.presets.preset_of` takes it.
        dt: step, in the unit of the file's time constants; by default the preset's.
        input_shape: without batch and time, if the file does not contain it.

    Raises:
        ModelError: the file is damaged or holds what cannot be run; one line that names file, node and remedy.
    """
    if isinstance(preset, str):
        try:
            preset = preset_of(preset)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
    step = preset.dt if dt is None else dt
    if step is None or not 0 < step < np.inf:
        raise ModelError(f"{path}: no time step; give dt, in the unit of the file's time constants")
    file = read_nir_file(path)
    try:
        return _Import(file, Discretisation(preset, float(step)), input_shape).network(str(path))
    except ModelError as error:
        raise ModelError(f"{path}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ModelError(f"{path}: too many nodes between neurons; compose its linear layers") from None


class _Import:
    """One pass over a file, from the outputs' populations to what feeds them."""

    def __init__(self, file: NirFile, rule: Discretisation, input_shape: Shape | None):
        self.file, self.rule = file, rule
        self.shapes = infer_shapes(file, input_shape)
        self.signals = Signals(file, self.shapes, rule)
        self.notes = [rule.preset.note] if rule.preset.note else []
        sizes = self.signals.inputs
        self.input_shape: Shape = self.shapes[next(iter(sizes))] if len(sizes) == 1 else (sum(sizes.values()),)
        if len(sizes) > 1:
            ends = np.cumsum(list(sizes.values()))
            where = (f"{m} {end - n} .. {end - 1}" for (m, n), end in zip(sizes.items(), ends, strict=True))
            self.notes.append(f"axons of its inputs, one input after the other: {', '.join(where)}")
        self.arriving: dict[str, list[Term]] = {}
        self.populations: dict[str, CubaPopulation] = {}

    def network(self, source: str) -> ImportedNetwork:
        outputs = self._outputs()
        feeding = {a for a, _ in self.file.edges}
        for name, node in self.file.nodes.items():
            if node.kind in NEURONS and name not in self.shapes:
                raise ModelError(f"node {name}: no path from the input reaches it; add the edge or remove it")
            if node.kind in INTEGRATORS and name not in feeding:
                self.notes.append(f"{name} feeds nothing and is left out")
        spiking = [m for m in self.shapes if self._kind(m) in NEURONS and self._kind(m) not in INTEGRATORS]
        names = [*spiking, *(m for m in outputs if m not in spiking)]
        if not any(self._kind(m) in NEURONS for m in names):
            raise ModelError("it has no neurons; there is nothing to run")
        if INPUT in names or CONSTANT in names:
            raise ModelError(f"a population is named {INPUT} or {CONSTANT}, reserved for sources; rename the node")
        for name in names:
            self._add(name)
        edges = [(t.source, name, t.delay) for name in names for t in self.arriving[name]]
        if self.rule.preset.layers == "same_step":
            late = timing.latencies(edges, names)
        else:
            late = dict.fromkeys(names, 0)
        connections = []
        for name in names:
            bias = self.populations[name].bias
            if np.any(bias) and late[name]:
                if late[name] > 63:
                    raise ModelError(f"node {name}: its bias waits {late[name]} steps, the limit is 63; remove layers")
                self.populations[name] = replace(self.populations[name], start=late[name])
            connections += self._connections(name, late)
        if any(t.source == CONSTANT for terms in self.arriving.values() for t in terms):
            ones = np.ones(1)
            self.populations = {CONSTANT: CubaPopulation(ones, ones, ones / 2, ones), **self.populations}
            late = {CONSTANT: 0, **late}
            self.notes.append(f"biases flow into synaptic currents: neuron {CONSTANT} spikes in every step for them")
        n_inputs = int(np.prod(self.input_shape))
        graph = SpikingGraph(n_inputs, self.populations, connections, tuple(outputs))
        shapes = {INPUT: self.input_shape, **{m: self._shape(m) for m in self.populations}}
        return ImportedNetwork(graph, late, shapes, tuple(self.notes), source, self.file.hash)

    def _kind(self, name: str) -> str:
        return self.file.nodes[name].kind

    def _shape(self, name: str) -> Shape:
        return (1,) if name == CONSTANT else self.shapes[name]

    def _outputs(self) -> list[str]:
        """The neurons that feed Output; an Output behind linear nodes becomes neurons that only add up."""
        ends = [m for m in self.file.nodes if self._kind(m) == "Output"]
        if not ends:
            raise ModelError("it has no Output node; join one to the last neurons")
        found: dict[str, None] = {}
        for end in ends:
            if end not in self.shapes:
                raise ModelError(f"node {end}: no path from the input reaches it; add the edge")
            sources, front = [], [end]
            while front:
                at = front.pop()
                if at != end and self._kind(at) not in (JUNCTION, "Flatten"):
                    sources.append(at)
                else:
                    front += self.signals.before[at]
            if any(self._kind(m) not in NEURONS for m in sources):
                sources = [end]
            found.update(dict.fromkeys(sorted(sources)))
        return list(found)

    def _add(self, name: str) -> None:
        """The population of a node, and what arrives there, with gains applied."""
        node, shape = self.file.nodes[name], self.shapes[name]
        adds_up = node.kind == "Output"
        terms = self.signals.received(name)
        if node.kind in CURRENTS:
            terms = [replace(t, delay=t.delay + self.rule.preset.current_delay) for t in terms]
        one = np.ones(shape)
        if adds_up:
            ones = one.ravel()
            population, gain = CubaPopulation(ones, ones, ones, 0 * ones, spiking=False), one
        else:
            neurons = self.rule.neurons(name, node, shape)
            population = self.rule.population(name, node, neurons, any(t.source == name for t in terms))
            gain = neurons.gain
            if np.any(node.values.get("v_reset", 0)):
                self.notes.append(f"voltages of {name} are counted from its v_reset")
            if self.rule.preset.starts_at_leak and np.any(neurons.bias):
                self.notes.append(f"{name} starts at its reset, not at v_leak: its first spikes may differ")
        direct: list[Term] = []
        rest: list[Term] = []
        for t in terms:
            is_bias = (t.source, t.delay, t.filtered_by) == (CONSTANT, 0, None) and node.kind not in CURRENTS
            (direct if is_bias else rest).append(replace(t, map=t.map.reshaped(shape).scaled(gain)))
        order = _order(shape)
        du = self._filter(name, rest, population)
        bias = sum((np.asarray(t.map.matrix)[:, 0] for t in direct), population.bias)
        more = {name: getattr(population, name) for name in ("drop", "rise", "dh")}
        more = {name: None if value is None else value[order] for name, value in more.items()}
        arrays = {"du": du[order], "dv": population.dv[order], "vth": population.vth[order], "bias": bias[order]}
        self.populations[name] = replace(population, **arrays, **more)
        # Recurrence takes a step of its own accord.
        floor = 1 if self.rule.preset.layers == "same_step" else 0
        self.arriving[name] = [replace(t, delay=max(t.delay, floor)) if t.source == name else t for t in rest]

    def _filter(self, name: str, terms: list[Term], population: CubaPopulation) -> np.ndarray:
        """Return the decay of the current in a step: its own, or that of the LI which all inputs pass."""
        filters = {t.filtered_by: t.lost for t in terms}
        if set(filters) <= {None}:
            return population.du
        losses = [x.ravel() for x in filters.values() if x is not None]
        if self._kind(name) in CURRENTS or None in filters:
            raise ModelError(f"node {name}: only some of its inputs pass an LI, or it has a current too; use CubaLIF")
        if len(losses) > 1 and len({float(x) for loss in losses for x in loss}) > 1:
            raise ModelError(f"node {name}: its inputs pass LI of different time constants; use CubaLIF neurons")
        self.notes.append(f"{', '.join(map(str, filters))} became the synaptic current of {name}")
        return losses[0] if len(losses[0]) == population.n else np.full(population.n, losses[0][0])

    def _connections(self, name: str, late: Mapping[str, int]) -> list[Connection]:
        made: list[Connection] = []
        scattered: dict[str, list[Synapses]] = {}
        for t in self.arriving[name]:
            delay = t.delay
            if self.rule.preset.layers == "same_step":
                delay = timing.delay((t.source, name, t.delay), late)
            alone = sum(other.source == t.source for other in self.arriving[name]) == 1
            c = self._connection(t, name, delay, alone)
            if isinstance(c, Synapses):
                scattered.setdefault(t.source, []).append(c)
            else:
                made.append(c)
        return made + [c for group in scattered.values() for c in _joined(group)]

    def _connection(self, t: Term, target: str, delay: int, alone: bool) -> Connection:
        c = t.map.convolution
        if c is not None and not c.depthwise and len(self.shapes[target]) == 3:
            first = t.source == INPUT
            return Correlation(t.source, target, c.weight, c.input_shape, c.stride, c.padding, first, delay)
        source_shape = self.input_shape if t.source == INPUT else self._shape(t.source)
        columns = np.arange(int(np.prod(source_shape))) if t.source == INPUT else _order(source_shape)
        rows, matrix = _order(self.shapes[target]), t.map.as_matrix()
        if alone and isinstance(matrix, np.ndarray) and 4 * np.count_nonzero(matrix) > matrix.size:
            return Linear(t.source, target, matrix[np.ix_(rows, columns)], delay)
        entries = sparse.coo_array(matrix)
        entries.eliminate_zeros()
        place_of_row, place_of_column = np.argsort(rows), np.argsort(columns)
        places = place_of_column[entries.col], place_of_row[entries.row]
        return Synapses(t.source, target, (len(rows), len(columns)), *places, entries.data, delay)


def _order(shape: Shape) -> np.ndarray:
    """For each of our neurons its place in NIR's order: images go by row, column and channel."""
    places = np.arange(int(np.prod(shape)))
    return places.reshape(shape).transpose(1, 2, 0).ravel() if len(shape) == 3 else places


def _joined(group: list[Synapses]) -> list[Synapses]:
    """Synapses of different delays between two populations as one connection, unless a pair has several."""
    if len(group) == 1:
        return group
    names = ("sources", "targets", "weight")
    sources, targets, weight = (np.concatenate([getattr(c, m) for c in group]) for m in names)
    if not are_distinct(sources, targets, group[0].shape):
        return group
    delay = np.repeat([int(np.max(c.delay)) for c in group], [len(c.weight) for c in group])
    return [replace(group[0], sources=sources, targets=targets, weight=weight, delay=delay)]
