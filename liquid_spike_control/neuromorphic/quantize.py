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

import numpy as np

from ..errors import ModelError
from ..spiking.graph import Connection, Correlation, CubaPopulation, Linear, SpikingGraph, Synapses
from .grid import LARGEST_CURRENT, LARGEST_THRESHOLD, integer_population, on_grid, spacing, weight_step, worst_case
from .losses import QuantisationReport, population_losses
from .network import LoihiNetwork
from .synapses import Conv, Dense, Sparse

#: Thresholds are made about this fine, 2^18 in 64ths: beyond, blocks of neurons do not rest (:mod:`.membrane`).
FINE_THRESHOLD = 4096


def quantise(
    graph: SpikingGraph,
    weight_scale: Mapping[str, float] | None = None,
    num_weight_bits: int | Mapping[str, int] = 8,
    weight_exp: int | Mapping[str, int] | None = None,
) -> LoihiNetwork:
    """The integer network of a float graph; see :func:`quantise_reported`. Clipped weights give a warning."""
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
    """The integer network of a float graph, and what was lost on the way.

    Args:
        graph: float64.
        weight_scale: for each population the weight of one integer unit, on whose grid it was trained;
            weights, thresholds and decays that lie on it are taken without loss. For the others a grid on which
            all weights lie is used if there is one, else the largest weight is put at the end of the range.
        num_weight_bits: 1 .. 8, signs aside; one number, or by names: of a connection (``"input -> a"``), or
            of a population for all the weights into it (8 where neither is named).
        weight_exp: -8 .. 7, named alike. Where it is not given it is the one that makes the threshold fine
            and clips nothing.

    Raises:
        ModelError: a threshold or bias does not fit beside the weights, a reset subtracts, or 1-bit weights have
            both signs; the message names the population.
    """
    populations, losses, connections = {}, [], {}
    for name, p in graph.populations.items():
        if p.reset != "zero":
            raise ModelError(f"{name}: a spike subtracts the threshold, Loihi's resets to 0; train it with that reset")
        incoming = [c for c in graph.connections if c.target == name]
        bits = [_of(num_weight_bits, c, 8) for c in incoming]
        fixed = [_of(weight_exp, c, None) for c in incoming]
        _check(incoming, bits, fixed)
        unit, lowest = _unit(name, p, incoming, bits, fixed, (weight_scale or {}).get(name))
        exponents = [
            _exponent(c, unit, b, lowest) if e is None else e for c, b, e in zip(incoming, bits, fixed, strict=True)
        ]
        stored, clipped, gap = [], 0, 256
        for c, b, e in zip(incoming, bits, exponents, strict=True):
            integers, beyond = on_grid(c.weight, unit * 2.0**e, b)
            stored.append(integers * (unit * 2.0**e))
            clipped += beyond
            gap = min(gap, spacing(integers) << e if e >= 0 else 1)
            connections[id(c)] = _connection(c, integers, b, e)
        populations[name] = integer_population(name, p, unit, gap)
        weights = [c.weight for c in incoming], stored, clipped
        worst = worst_case(p, incoming)
        losses.append(population_losses(name, p, populations[name], unit, gap, bits, exponents, weights, worst))
    ordered = [connections[id(c)] for c in graph.connections]
    return LoihiNetwork(graph.n_inputs, populations, ordered, graph.outputs), QuantisationReport(tuple(losses))


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
    """What holds for a connection: by its name, else by its target's."""
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


def _peak(c: Connection) -> float:
    return float(np.abs(c.weight).max(initial=0))


def _unit(
    name: str,
    p: CubaPopulation,
    incoming: Sequence[Connection],
    bits: Sequence[int],
    fixed: Sequence[int | None],
    scale: float | None,
) -> tuple[float, int]:
    """The weight of one unit of the current, and the lowest exponent that its connections may have."""
    highest = float(p.vth.max()) if p.spiking else 0.0
    if scale is not None:
        if not (np.isfinite(scale) and scale > 0):
            raise ModelError(f"{name}: weight_scale must be positive, not {scale}")
        given = min((e for e in fixed if e is not None), default=None)
        reached = max((_exponent(c, scale, b, 0) for c, b in zip(incoming, bits, strict=True)), default=0)
        shift = min(given or 0, 0) if given is not None or reached else -_halvings(highest / scale)
        return _checked(name, p, scale * 2.0**-shift, shift)
    strongest = max(range(len(incoming)), key=lambda i: _peak(incoming[i]), default=None)
    if strongest is None or _peak(incoming[strongest]) == 0:
        unit = (highest or float(np.abs(p.bias).max()) or 1.0) / FINE_THRESHOLD
        return _checked(name, p, unit, 0)
    peak, exponent = _peak(incoming[strongest]), fixed[strongest]
    top = _top(incoming, bits, peak, highest)
    if exponent is None:
        exponent = _automatic(p, incoming, peak / top)
    return _checked(name, p, peak / top / 2.0**exponent, min(exponent, 0))


def _top(incoming: Sequence[Connection], bits: Sequence[int], peak: float, threshold: float) -> int:
    """The integer of the largest weight: one for which all weights are integers if there is one, else the
    largest."""
    step = max(weight_step(c.weight, b) for c, b in zip(incoming, bits, strict=True) if _peak(c))
    largest = 256 // step - 1
    magnitudes = np.unique(np.concatenate([np.abs(c.weight).ravel() for c in incoming])) / peak
    distinct = magnitudes[np.concatenate([[True], np.diff(magnitudes) > 1e-6])]
    if len(distinct) <= largest + 1:
        for m in range(1, largest + 1):
            if np.abs(distinct * m - np.rint(distinct * m)).max() < 1e-6 * m:
                while 2 * m <= largest and 2 * m * step * threshold <= peak * LARGEST_THRESHOLD:
                    m *= 2
                return m * step
    strongest = max(zip(incoming, bits, strict=True), key=lambda pair: _peak(pair[0]))
    return 256 - weight_step(strongest[0].weight, strongest[1])


def _halvings(threshold: float) -> int:
    return max(0, int(np.ceil(np.log2(threshold / LARGEST_THRESHOLD)))) if threshold > 0 else 0


def _automatic(p: CubaPopulation, incoming: Sequence[Connection], unit: float) -> int:
    """The exponent that makes the threshold fine without an overflow, were all sources to spike at once."""
    if p.spiking and p.vth.max() > FINE_THRESHOLD * unit:
        return -_halvings(float(p.vth.max()) / unit)
    current, voltage = worst_case(p, incoming)
    needed = [current / LARGEST_CURRENT, np.abs(p.bias).max() * 64 / (4095 << 7)]
    needed.append(p.vth.max() / FINE_THRESHOLD if p.spiking else voltage / LARGEST_CURRENT)
    room = unit / max(max(needed), unit * 2.0**-7)
    return max(0, int(np.floor(np.log2(room) + 1e-9)))


def _exponent(c: Connection, unit: float, bits: int, lowest: int) -> int:
    """The lowest exponent at which nothing is clipped."""
    for exponent in range(lowest, 8):
        if not on_grid(c.weight, unit * 2.0**exponent, bits)[1]:
            return exponent
    raise ModelError(
        f"{c.target}: weights and threshold are too far apart for 8 and 17 bits (weights from {c.source}); "
        "rescale the layer"
    )


def _checked(name: str, p: CubaPopulation, unit: float, lowest: int) -> tuple[float, int]:
    if lowest < -8 or p.spiking and p.vth.max() / unit > LARGEST_THRESHOLD + 0.5:
        raise ModelError(f"{name}: weights and threshold are too far apart for 8 and 17 bits; rescale the layer")
    return unit, lowest


def _connection(c: Connection, integers: np.ndarray, bits: int, exponent: int) -> Dense | Sparse | Conv:
    if isinstance(c, Linear):
        return Dense(c.source, c.target, integers, bits, exponent, c.delay)
    if isinstance(c, Synapses):
        return Sparse(c.source, c.target, c.shape, c.targets, c.sources, integers, bits, exponent, c.delay)
    flipped = integers[:, :, ::-1, ::-1].transpose(0, 2, 3, 1)  # Lava convolves; Correlation correlates
    channels, height, width = c.input_shape
    shape = (height, width, channels)
    return Conv(c.source, c.target, flipped, shape, c.stride, c.padding, exponent, c.channels_first, c.delay)
