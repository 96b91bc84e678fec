# SPDX-License-Identifier: Apache-2.0
"""From a float graph to Loihi's integers, and how well their spikes agree.

All weights into a population add to the same current, which is compared with one threshold: they share one
scale. The stored integer times ``2^e`` is ``weight / weight_scale`` for a weight exponent e >= 0, which
reaches weights beyond 8 bits; for e < 0 the integer is ``weight / weight_scale`` and the sum is shifted
down, so that a high threshold fits its 17 bits. The integer current is ``S u`` with ``S = 64 * 2^min(e, 0) /
weight_scale``, the threshold ``vth * S / 64`` and the bias ``S * bias``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import ModelError
from ..spiking.graph import Connection, Correlation, CubaPopulation, Linear, SpikingGraph, Synapses
from ..types import SpikeTrain
from .loihi import LoihiEmulator
from .network import LoihiNetwork
from .neurons import Population
from .reference import FloatReference
from .synapses import Conv, Dense, Sparse


def weight_step(weight: np.ndarray, num_weight_bits: int) -> int:
    """Distance of neighbouring integer weights: 2 for 8-bit weights of both signs, 1 for those of one
    sign."""
    mixed = bool(weight.size) and bool(weight.min() < 0 < weight.max())
    return int(2 ** (8 - num_weight_bits + mixed))


def quantise(
    graph: SpikingGraph, weight_scale: Mapping[str, float] | None = None, num_weight_bits: int = 8
) -> LoihiNetwork:
    """The integer network of a float graph.

    Args:
        graph: float64.
        weight_scale: for each population the weight of one integer unit, on whose grid it was trained;
            weights, thresholds and decays that lie on it are taken without loss. For the others the largest
            weight is put at the end of the range.
        num_weight_bits: 1 .. 8, signs aside.

    Raises:
        ModelError: a threshold or bias does not fit beside the weights; the message names the population.
    """
    populations, scales, exponents = {}, {}, {}
    for name, p in graph.populations.items():
        incoming = [c for c in graph.connections if c.target == name]
        scale = float((weight_scale or {}).get(name) or _scale(incoming, num_weight_bits))
        if not (np.isfinite(scale) and scale > 0):
            raise ModelError(f"{name}: weight_scale must be positive, not {scale}")
        scales[name], exponents[name] = scale, _exponent(name, p, incoming, scale)
        populations[name] = _population(name, p, 2.0 ** min(exponents[name], 0) / scale)
    connections: list[Dense | Sparse | Conv] = []
    for c in graph.connections:
        exponent = exponents[c.target]
        integers = _integers(c.weight, scales[c.target] * 2.0 ** max(exponent, 0), num_weight_bits)
        if isinstance(c, Linear):
            connections.append(Dense(c.source, c.target, integers, num_weight_bits, exponent, c.delay))
        elif isinstance(c, Synapses):
            at = c.shape, c.targets, c.sources
            connections.append(Sparse(c.source, c.target, *at, integers, num_weight_bits, exponent, c.delay))
        else:
            connections.append(_conv(c, integers, exponent))
    return LoihiNetwork(graph.n_inputs, populations, connections, graph.outputs)


def _scale(incoming: list[Connection], bits: int) -> float:
    peaks = [np.abs(c.weight).max(initial=0) / (256 - weight_step(c.weight, bits)) for c in incoming]
    return max(peaks, default=0.0) or 1.0


def _exponent(name: str, p: CubaPopulation, incoming: list[Connection], scale: float) -> int:
    """0 unless the weights need shifting up to be reached, or the threshold down to fit 17 bits."""
    peak = max((np.abs(c.weight).max(initial=0) for c in incoming), default=0.0) / scale
    exponent = max(0, int(np.ceil(np.log2(max(peak, 1) / 256))))
    if exponent == 0:
        exponent = -max(0, int(np.ceil(np.log2(p.vth.max() / scale / (2**17 - 1)))))
    if not -8 <= exponent <= 7 or p.vth.max() * 2.0 ** min(exponent, 0) / scale > 2**17 - 1:
        raise ModelError(
            f"{name}: weights and threshold are too far apart for 8 and 17 bits; rescale the layer"
        )
    return exponent


def _integers(weight: np.ndarray, scale: float, bits: int) -> np.ndarray:
    step = weight_step(weight, bits)
    nearest = np.rint(weight / (scale * step)).astype(np.int64) * step
    low = -256 if weight.size and weight.min() < 0 < weight.max() else -(256 - step)
    return np.clip(nearest, low, 256 - step)


def _conv(c: Correlation, integers: np.ndarray, exponent: int) -> Conv:
    channels, height, width = c.input_shape
    flipped = integers[:, :, ::-1, ::-1].transpose(0, 2, 3, 1)  # Lava convolves; Correlation correlates
    shape = (height, width, channels)
    return Conv(c.source, c.target, flipped, shape, c.stride, c.padding, exponent, c.channels_first, c.delay)


def _population(name: str, p: CubaPopulation, gain: float) -> Population:
    bias = p.bias * 64 * gain
    needed = np.ceil(np.log2(np.maximum(np.abs(bias), 1) / 4095))
    exponent = np.clip(needed, 0, 7).astype(np.int64)
    mantissa = np.rint(bias / 2.0**exponent).astype(np.int64)
    if np.abs(mantissa).max() > 4095:
        raise ModelError(
            f"{name}: a bias is too large for 13 bits and exponent 7 beside the weights; rescale it"
        )

    def one_if_shared(values: np.ndarray):
        return int(values[0]) if (values == values[0]).all() else values

    return Population(
        p.n,
        du=one_if_shared(np.clip(np.rint(p.du * 4096).astype(np.int64) - 1, 0, 4095)),
        dv=one_if_shared(np.clip(np.rint(p.dv * 4096).astype(np.int64), 0, 4095)),
        vth=one_if_shared(np.clip(np.rint(p.vth * gain).astype(np.int64), 0, 2**17 - 1)),
        bias_mant=one_if_shared(mantissa),
        bias_exp=one_if_shared(exponent),
        refractory=p.refractory,
        start=p.start,
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """Spikes of one population, float against fixed point.

    Attributes:
        name: the population.
        float_rate, fixed_rate: spikes a neuron and step.
        rate_error: mean over the neurons of the absolute difference of their rates.
        count_difference: spikes of the fixed-point network less those of the float one.
        f1: spikes of the same neuron in the same step, ``2 both / (float + fixed)``; 1 if neither spikes.
    """

    name: str
    float_rate: float
    fixed_rate: float
    rate_error: float
    count_difference: int
    f1: float


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """Agreement of every population over one input."""

    n_steps: int
    populations: tuple[Agreement, ...]

    def __str__(self) -> str:
        heads = ("float rate", "fixed rate", "rate error", "difference")
        lines = [f"{'population':<16}{''.join(f'{head:>12}' for head in heads)}{'F1':>8}"]
        for a in self.populations:
            rates = f"{a.float_rate:>12.5f}{a.fixed_rate:>12.5f}{a.rate_error:>12.5f}"
            lines.append(f"{a.name:<16}{rates}{a.count_difference:>+12d}{a.f1:>8.3f}")
        return "\n".join(
            [f"float against fixed point, {self.n_steps} steps (rates in spikes a neuron and step)", *lines]
        )


def compare(graph: SpikingGraph, network: LoihiNetwork, spikes: SpikeTrain) -> AgreementReport:
    """Run both on the same input from rest. Exact steps diverge where recurrence amplifies rounding; rates
    last."""
    exact, fixed = FloatReference(graph).run_all(spikes), LoihiEmulator(network).run_all(spikes)
    rows = []
    for name, p in graph.populations.items():
        a, b = exact[name].to_dense(p.n), fixed[name].to_dense(p.n)
        total = int(a.sum() + b.sum())
        rows.append(
            Agreement(
                name,
                float(a.mean()),
                float(b.mean()),
                float(np.abs(a.mean(0) - b.mean(0)).mean()),
                int(b.sum()) - int(a.sum()),
                2 * int((a & b).sum()) / total if total else 1.0,
            )
        )
    return AgreementReport(spikes.n_steps, tuple(rows))
