# SPDX-License-Identifier: Apache-2.0
"""Float graphs with the same spikes that integers hold better.

- A neuron whose threshold lies beyond any voltage it can reach never spikes: a population of them becomes leaky
  integrators, whose voltage is read (snnTorch's membrane readout has a threshold of 1e9 for it).
- A neuron keeps its spikes where its weights, bias and threshold are multiplied by one number. All weights into a
  population share a unit; where those of some neurons are so much smaller that they would vanish beside the others,
  each neuron, or each channel of a convolution, is scaled up to the range.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...spiking.graph import Connection, Correlation, CubaPopulation, Linear, SpikingGraph, Synapses
from .grid import LARGEST_BIAS, LARGEST_THRESHOLD, bounds, on_grid, weight_step
from .units import exact_unit

#: A threshold so many times the largest voltage that can come about is never reached, rounding included.
OUT_OF_REACH = 2.0
#: RMS error of a neuron's weights by their RMS from which on each neuron is scaled by itself.
COARSE_WEIGHTS = 0.05
#: By what that error must shrink to be worth thresholds of different neurons that differ.
GAIN = 4.0
#: By what the largest of these errors may be larger where all thresholds are one then.
ALIKE = 2.0


def with_readouts(graph: SpikingGraph) -> SpikingGraph:
    """The graph with neurons that cannot spike as what they are: thresholds infinite, populations leaky integrators."""
    populations = {}
    for name, p in graph.populations.items():
        populations[name] = p
        if not p.spiking:
            continue
        voltage = bounds(p, [c for c in graph.connections if c.target == name])[1]
        silent = np.isinf(p.vth) | (p.vth > OUT_OF_REACH * voltage)
        if silent.all():
            populations[name] = CubaPopulation(p.du, p.dv, np.ones(p.n), p.bias, start=p.start, spiking=False)
        elif silent.any():
            populations[name] = replace(p, vth=np.where(silent, np.inf, p.vth))
    if all(populations[name] is p for name, p in graph.populations.items()):
        return graph
    return SpikingGraph(graph.n_inputs, populations, graph.connections, graph.outputs)


def equalised(
    graph: SpikingGraph, kept: Collection[str], bits: Mapping[str, Sequence[int]]
) -> tuple[SpikingGraph, dict[str, np.ndarray]]:
    """The graph with populations scaled neuron by neuron where one unit for all would lose weights.

    Args:
        graph: float64.
        kept: populations to leave as they are: their unit is given.
        bits: of the weights of each connection into a population, by its name.

    Returns:
        The graph, and by what each neuron was multiplied, float64 ``(n,)``, of the populations that changed.
    """
    scales: dict[str, np.ndarray] = {}
    populations, changed = dict(graph.populations), dict[int, Connection]()
    for name, p in graph.populations.items():
        incoming = [c for c in graph.connections if c.target == name]
        if name in kept or not p.spiking or np.isfinite(p.lowest) or not incoming:
            continue
        scale = _scale(p, incoming, bits[name])
        if scale is None:
            continue
        scales[name] = scale
        drop, rise = (None if x is None else x * scale for x in (p.drop, p.rise))
        populations[name] = replace(p, vth=p.vth * scale, bias=p.bias * scale, drop=drop, rise=rise)
        changed |= {id(c): _scaled(c, scale) for c in incoming}
    if not scales:
        return graph, scales
    connections = [changed.get(id(c), c) for c in graph.connections]
    return SpikingGraph(graph.n_inputs, populations, connections, graph.outputs), scales


def _scale(p: CubaPopulation, incoming: Sequence[Connection], bits: Sequence[int]) -> np.ndarray | None:
    """Return the factor of each neuron; None if that gains nothing."""
    if exact_unit(incoming, bits) is not None:
        return None
    before = _errors(p.n, incoming, bits)
    if before.max() <= COARSE_WEIGHTS:
        return None
    channels = min((len(c.weight) for c in incoming if isinstance(c, Correlation)), default=p.n)
    if any(isinstance(c, Correlation) and len(c.weight) != channels for c in incoming):
        return None
    largest = np.max([_largest(c, p.n) for c in incoming], axis=0)
    by_channel = largest.reshape(-1, channels).max(0)
    peak = by_channel.max()
    finite = np.where(np.isfinite(p.vth), p.vth, 0).reshape(-1, channels).max(0)
    drive = np.abs(p.bias).reshape(-1, channels).max(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        limits = [
            peak / by_channel, LARGEST_THRESHOLD * peak / 256 / finite, LARGEST_BIAS * peak / 256 / drive
        ]  # fmt: skip
    scale = np.min([np.where(np.isfinite(x), x, np.inf) for x in limits], axis=0)
    scale = np.where(np.isfinite(scale) & (by_channel > 0), np.maximum(scale, 1.0), 1.0)
    # A core of Loihi 1 has eight thresholds: let there be one, or few.
    scale = np.tile(2.0 ** np.floor(np.log2(scale)), p.n // channels)
    after = _errors(p.n, [_scaled(c, scale) for c in incoming], bits)
    if (finite > 0).all():
        alike = np.tile(finite.max() / finite, p.n // channels)
        errors = _errors(p.n, [_scaled(c, alike) for c in incoming], bits)
        if errors.max() <= max(ALIKE * after.max(), COARSE_WEIGHTS):
            scale, after = alike, errors
    return scale if (before > np.maximum(COARSE_WEIGHTS, GAIN * after)).any() else None


def _rows(c: Connection, values: np.ndarray, n: int, join: np.ufunc) -> np.ndarray:
    """Values of a connection's weights joined for each target neuron, ``(n,)``."""
    if isinstance(c, Linear):
        return join.reduce(values, axis=1, initial=0)
    if isinstance(c, Synapses):
        rows = np.zeros(n)
        join.at(rows, c.targets, values)
        return rows
    return np.tile(join.reduce(values, axis=(1, 2, 3), initial=0), n // len(values))


def _largest(c: Connection, n: int) -> np.ndarray:
    return _rows(c, np.abs(c.weight), n, np.maximum)


def _errors(n: int, incoming: Sequence[Connection], bits: Sequence[int]) -> np.ndarray:
    """RMS error of each neuron's weights by their RMS, on the grids of the connections' largest weights."""
    lost, whole = np.zeros(n), np.zeros(n)
    for c, b in zip(incoming, bits, strict=True):
        peak = float(np.abs(c.weight).max(initial=0))
        if peak and weight_step(c.weight, b) < 256:  # 1-bit weights of both signs are refused by name later
            unit = peak / (256 - weight_step(c.weight, b))
            stored = on_grid(c.weight, unit, b)[0] * unit
            lost += _rows(c, (stored - c.weight) ** 2, n, np.add)
            whole += _rows(c, c.weight**2, n, np.add)
    return np.sqrt(lost / np.where(whole > 0, whole, 1))


def _scaled(c: Connection, scale: np.ndarray) -> Connection:
    if isinstance(c, Linear):
        return replace(c, weight=c.weight * scale[:, None])
    if isinstance(c, Synapses):
        return replace(c, weight=c.weight * scale[c.targets])
    return replace(c, weight=c.weight * scale[: len(c.weight), None, None, None])
