# SPDX-License-Identifier: Apache-2.0
"""From a float graph to Loihi's integers.

All weights into a population add to the same current, which is compared with one threshold: they share one
*unit*, the weight of one unit of the integer current. A stored weight is ``weight / (unit 2^e)`` with the
exponent e of its connection; the integer current is ``64 u / unit``, the threshold ``vth / unit`` and the
bias ``64 bias / unit``. A large e makes the unit fine, and with it the threshold; a negative one shifts the sum
down, so that a high threshold fits its 17 bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import ModelError
from ...spiking.graph import Connection, Correlation, Linear, SpikingGraph, Synapses
from ...spiking.loihi_limits import unsupported_on_loihi
from ..integers.network import LoihiNetwork
from ..integers.neurons import Population, ProgrammedPopulation
from ..integers.synapses import Conv, Dense, Sparse
from .equivalents import equalised, with_readouts
from .grid import integer_population, on_grid, spacing, weight_step, worst_case
from .report import PopulationError, QuantisationReport, population_errors
from .units import choose_unit, lowest_exponent


def quantise(
    graph: SpikingGraph,
    weight_scale: Mapping[str, float] | None = None,
    num_weight_bits: int | Mapping[str, int] = 8,
    weight_exp: int | Mapping[str, int] | None = None,
) -> LoihiNetwork:
    """Quantise a float graph to an integer network; see :func:`quantise_reported`. Clipped weights give a warning."""
    network, report = quantise_reported(graph, weight_scale, num_weight_bits, weight_exp)
    for p in report.populations:
        if p.clipped:
            warnings.warn(f"{p.name}: {p.clipped} of {p.n_weights} weights were clipped", stacklevel=2)
    return network


def quantise_reported(
    graph: SpikingGraph,
    weight_scale: Mapping[str, float] | None = None,
    num_weight_bits: int | Mapping[str, int] = 8,
    weight_exp: int | Mapping[str, int] | None = None,
) -> tuple[LoihiNetwork, QuantisationReport]:
    """Quantise a float graph to an integer network, and report the errors.

    Args:
        graph: float64.
        weight_scale: for each population the weight of one integer unit, on whose grid it was trained;
            weights, thresholds and decays that lie on it are taken without loss. For the others a grid on which
            all weights lie is used if there is one, else the largest weight is put at the end of the range; where
            that would lose the weights of some neurons, each is scaled by itself (:mod:`.equivalents`).
        num_weight_bits: 1 .. 8, signs aside; one number, or by names: of a connection (``"input -> a"``), or
            of a population for all the weights into it (8 where neither is named).
        weight_exp: -8 .. 7, named alike. Where it is not given it is the one that makes the threshold fine
            and clips nothing.

    Raises:
        ModelError: a threshold or bias does not fit beside the weights, 1-bit weights have both signs, or there is
            something that Loihi does not have (:func:`refuse_unsupported`); the message names the population.
    """
    refuse_unsupported(graph)
    for values in (weight_scale, num_weight_bits, weight_exp):
        _check_names(graph, values)
    graph = with_readouts(graph)
    into = {name: [c for c in graph.connections if c.target == name] for name in graph.populations}
    kept = {name for name in graph.populations if any(_of(weight_exp, c, None) is not None for c in into[name])}
    kept |= set(weight_scale or {})
    bits = {name: [_of(num_weight_bits, c, 8) for c in incoming] for name, incoming in into.items()}
    for name, incoming in into.items():
        _check(incoming, bits[name], [None] * len(incoming))
    graph, scales = equalised(graph, kept, bits)
    parts = {}
    for name in graph.populations:
        incoming = [c for c in graph.connections if c.target == name]
        parts[name] = quantise_population(
            graph,
            name,
            [_of(num_weight_bits, c, 8) for c in incoming],
            [_of(weight_exp, c, None) for c in incoming],
            (weight_scale or {}).get(name),
        )
    errors = tuple(part.error.scaled(scales.get(part.error.name)) for part in parts.values())
    return assemble(graph, parts), QuantisationReport(errors)


@dataclass(frozen=True, slots=True)
class QuantisedPopulation:
    """One population in integers, and the weights into it.

    Attributes:
        population: its neurons.
        connections: into it, in the graph's order.
        error: what quantisation changed.
        spacing: its integer currents are multiples of it.
    """

    population: Population | ProgrammedPopulation
    connections: tuple[Dense | Sparse | Conv, ...]
    error: PopulationError
    spacing: int


def refuse_unsupported(graph: SpikingGraph) -> None:
    """Refuse a graph that no choice of integers can represent.

    Raises:
        ModelError: the first line of :func:`~..spiking.loihi_limits.unsupported_on_loihi`.
    """
    for reason in unsupported_on_loihi(graph):
        raise ModelError(reason)


def _check_names(graph: SpikingGraph, values: object) -> None:
    """Refuse names that are neither populations nor connections."""
    known = [*graph.populations, *dict.fromkeys(f"{c.source} -> {c.target}" for c in graph.connections)]
    for name in values if isinstance(values, Mapping) else ():
        if name not in known:
            raise ModelError(f"{name} is no population and no connection; there are {known}")


def assemble(graph: SpikingGraph, parts: Mapping[str, QuantisedPopulation]) -> LoihiNetwork:
    """The network whose populations were quantised one by one."""
    connections = {name: iter(part.connections) for name, part in parts.items()}
    return LoihiNetwork(
        graph.n_inputs,
        {name: parts[name].population for name in graph.populations},
        [next(connections[c.target]) for c in graph.connections],
        graph.outputs,
    )


def quantise_population(
    graph: SpikingGraph,
    name: str,
    bits: Sequence[int],
    exponents: Sequence[int | None],
    scale: float | None = None,
    peaks: tuple[float, float] | None = None,
) -> QuantisedPopulation:
    """Quantise one population.

    Args:
        graph: float64.
        name: of the population.
        bits, exponents: of each connection into it, as in :func:`quantise_reported`.
        scale: the weight of one integer unit, if it was trained on a grid.
        peaks: largest current and voltage that must not overflow; by default what all sources together can bring
            about.

    Raises:
        ModelError: as :func:`quantise_reported`.
    """
    p, incoming = graph.populations[name], [c for c in graph.connections if c.target == name]
    _check(incoming, bits, exponents)
    worst = worst_case(p, incoming) if peaks is None else peaks
    unit, lowest = choose_unit(name, p, incoming, bits, exponents, scale, worst, peaks is not None)
    connections, weights, clipped, gap = [], [], 0, 256
    for c, b, given in zip(incoming, bits, exponents, strict=True):
        e = lowest_exponent(c, unit, b, lowest) if given is None else given
        integers, beyond = on_grid(c.weight, unit * 2.0**e, b)
        connections.append(_connection(c, integers, b, e))
        weights.append(integers * (unit * 2.0**e))
        clipped += beyond
        gap = min(gap, spacing(integers) << e if e >= 0 else 1)
    population = integer_population(name, p, unit, gap)
    forms = tuple((b, c.weight_exp) for c, b in zip(connections, bits, strict=True))
    before = [c.weight for c in incoming]
    error = population_errors(name, p, population, unit, gap, forms, before, weights, clipped, worst)
    return QuantisedPopulation(population, tuple(connections), error, gap)


def split_signs(graph: SpikingGraph) -> SpikingGraph:
    """The same graph with every linear connection of both signs as two, which gives its weights one bit more.

    1-bit weights of both signs are possible in no other way: they hold 0 and -256 only.
    """
    connections: list[Connection] = []
    for c in graph.connections:
        if not (c.weight.size and c.weight.min() < 0 < c.weight.max()):
            connections.append(c)
            continue
        for weight in (c.weight.clip(min=0), c.weight.clip(max=0)):
            if isinstance(c, Linear):
                connections.append(Linear(c.source, c.target, weight, c.delay))
            elif isinstance(c, Synapses):
                at = c.source, c.target, c.shape, c.sources, c.targets
                connections.append(Synapses(*at, weight, c.delay))
            else:
                geometry = c.input_shape, c.stride, c.padding, c.channels_first, c.delay
                connections.append(Correlation(c.source, c.target, weight, *geometry))
    return SpikingGraph(graph.n_inputs, graph.populations, connections, graph.outputs)


def _of(values, c: Connection, default):
    """Return the value for a connection: by its name, else by its target's."""
    if isinstance(values, Mapping):
        return values.get(f"{c.source} -> {c.target}", values.get(c.target, default))
    return default if values is None else values


def _check(incoming: Sequence[Connection], bits: Sequence[int], fixed: Sequence[int | None]) -> None:
    for c, b, e in zip(incoming, bits, fixed, strict=True):
        where = f"{c.source} -> {c.target}"
        if not 1 <= b <= 8:
            raise ModelError(f"{where}: num_weight_bits must lie in 1 .. 8, not {b}")
        if e is not None and not -8 <= e <= 7:
            raise ModelError(f"{where}: weight_exp must lie in -8 .. 7, not {e}")
        if weight_step(c.weight, b) == 256:
            raise ModelError(
                f"{where}: 1-bit weights of both signs hold only 0 and -256; use 2 bits, or split_signs(graph)"
            )


def _connection(c: Connection, integers: np.ndarray, bits: int, exponent: int) -> Dense | Sparse | Conv:
    if isinstance(c, Linear):
        return Dense(c.source, c.target, integers, bits, exponent, c.delay)
    if isinstance(c, Synapses):
        return Sparse(c.source, c.target, c.shape, c.targets, c.sources, integers, bits, exponent, c.delay)
    flipped = integers[:, :, ::-1, ::-1].transpose(0, 2, 3, 1)  # Lava convolves; Correlation correlates
    channels, height, width = c.input_shape
    shape = (height, width, channels)
    return Conv(c.source, c.target, flipped, shape, c.stride, c.padding, exponent, c.channels_first, c.delay)
