# SPDX-License-Identifier: Apache-2.0
"""The weight of one unit of a population's integer current, and the exponents that reach its weights with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import ModelError
from ...spiking.graph import Connection, CubaPopulation
from .grid import LARGEST_BIAS, LARGEST_CURRENT, LARGEST_THRESHOLD, on_grid, weight_step

#: Thresholds are made about this fine, 2^18 in 64ths: beyond, blocks of neurons do not rest (:mod:`.membrane`).
FINE_THRESHOLD = 4096
#: Where thresholds differ much, the lowest one is at least about so fine.
LEAST_THRESHOLD = 64


def _peak(c: Connection) -> float:
    return float(np.abs(c.weight).max(initial=0))


def choose_unit(
    name: str,
    p: CubaPopulation,
    incoming: Sequence[Connection],
    bits: Sequence[int],
    fixed: Sequence[int | None],
    scale: float | None,
    worst: tuple[float, float],
    measured: bool,
) -> tuple[float, int]:
    """The weight of one unit of the current, and the lowest exponent that its connections may have.

    Args:
        name: of the population.
        p: its neurons.
        incoming: connections into it.
        bits: of their weights.
        fixed: their exponents, where they are given.
        scale: the weight of one integer unit, if it is known.
        worst: largest current and voltage that may come about.
        measured: whether those are from samples, and not a bound.

    Raises:
        ModelError: no unit suits weights and threshold.
    """
    highest = _thresholds(p)[1]
    if scale is not None:
        if not (np.isfinite(scale) and scale > 0):
            raise ModelError(f"{name}: weight_scale must be positive, not {scale}")
        given = min((e for e in fixed if e is not None), default=None)
        if given is not None:
            shift = min(given, 0)
        elif any(lowest_exponent(c, scale, b, 0) for c, b in zip(incoming, bits, strict=True)):
            shift = 0
        else:
            shift = -max(0, int(np.ceil(np.log2(highest / scale / LARGEST_THRESHOLD)))) if highest else 0
        return _checked(name, p, scale * 2.0**-shift, shift)
    if not any(_peak(c) for c in incoming):
        return _checked(name, p, max(highest / FINE_THRESHOLD, float(np.abs(p.bias).max()) / LARGEST_BIAS) or 1.0, 0)
    c, b, exponent = max(zip(incoming, bits, fixed, strict=True), key=lambda x: _peak(x[0]))
    exact = exact_unit(incoming, bits) if all(e is None for e in fixed) else None
    if exact is not None and _counts(p):
        unit = _coarsest(p, incoming, bits, exact[0])
        if unit is not None:
            return _checked(name, p, unit, 0)
    finest, spread = exact or (_peak(c) / (256 - weight_step(c.weight, b)), 0)
    if exponent is None:
        exponent = min(_automatic(p, worst, measured, finest), 7 - spread)
    return _checked(name, p, finest / 2.0**exponent, min(exponent, 0))  # below -8 weights lose bits


def exact_unit(incoming: Sequence[Connection], bits: Sequence[int]) -> tuple[float, int] | None:
    """The unit in which all weights are integers that can be stored with exponents from 0 on, and the largest of these
    exponents; None if there is none."""
    used = [(c, b, _peak(c)) for c, b in zip(incoming, bits, strict=True) if _peak(c)]
    if not used:
        return None
    steps = [_common_step(np.abs(c.weight) / peak, 256 // weight_step(c.weight, b)) * peak for c, b, peak in used]
    if not min(steps):
        return None
    unit, exponents = min(steps) / 256, []
    for c, b, peak in used:
        for e in range(16):
            integers, clipped = on_grid(c.weight, unit * 2.0**e, b)
            if not clipped:
                break
        if clipped or np.abs(integers * (unit * 2.0**e) - c.weight).max() > 1e-6 * peak:
            return None
        exponents.append(e)
    spread = max(exponents) - min(exponents)
    return (unit * 2.0 ** min(exponents), spread) if spread <= 7 else None


def _thresholds(p: CubaPopulation) -> tuple[float, float]:
    """The lowest and the highest threshold that a neuron can reach; 0 if there is none."""
    reached = p.vth[np.isfinite(p.vth)] if p.spiking else p.vth[:0]
    return float(reached.min(initial=np.inf)) if len(reached) else 0.0, float(reached.max(initial=0))


def _counts(p: CubaPopulation) -> bool:
    """Whether the voltage only adds up, so that far below zero it saturates long before it would in floats."""
    return p.spiking and bool((p.dv == 0).all() and (p.du == 1).all())


def _coarsest(p: CubaPopulation, incoming: Sequence[Connection], bits: Sequence[int], finest: float) -> float | None:
    """The largest unit in which all weights are integers of the chip and biases whole 64ths; None if there is none.

    The voltage is then a sum of weights, between whose values a threshold lies however coarse the unit is.
    """
    for doublings in range(16, -1, -1):
        unit = finest * 2.0**doublings
        kept = True
        for c, b in zip(incoming, bits, strict=True):
            integers, clipped = on_grid(c.weight, unit, b)
            kept = kept and not clipped and bool(np.abs(integers * unit - c.weight).max(initial=0) <= 1e-6 * _peak(c))
        # Biases must keep the values at whole units apart, else the threshold is rounded to one.
        steps = [p.bias / unit]
        steps += [p.drop / unit] if p.reset == "subtract" and p.drop is not None else []
        steps += [np.where(np.isfinite(p.vth), p.vth, 0) / unit] if p.reset == "subtract" else []
        if kept and all(np.abs(x - np.rint(x)).max() <= 1e-6 * max(1.0, np.abs(x).max()) for x in steps):
            return unit
    return None


def _distinct(values: np.ndarray) -> np.ndarray:
    """The different values, ascending; ``np.unique`` takes a hash table for it, which is far slower on many."""
    values = np.sort(values, axis=None)
    return values[np.concatenate([[True], np.diff(values) > 0])[: len(values)]]


def _common_step(magnitudes: np.ndarray, most: int) -> float:
    """The largest number 1 / m with m at most ``most`` of which all magnitudes are multiples; 0 if there is none."""
    values = _distinct(magnitudes)
    if len(_distinct(np.rint(values * 2**20))) > 2 * most + 1:  # values of a grid may straddle two bins
        return 0.0
    for m in range(1, most + 1):
        if np.abs(values * m - np.rint(values * m)).max() < 1e-6 * m:
            return 1 / m
    return 0.0


def _automatic(p: CubaPopulation, worst: tuple[float, float], measured: bool, unit: float) -> int:
    """The exponent that makes the threshold fine without an overflow.

    What all sources at once would bring about only keeps the unit from becoming finer; what was measured counts.
    """
    lowest, highest = _thresholds(p)
    fine = min(highest / FINE_THRESHOLD, lowest / LEAST_THRESHOLD)
    least = max(highest / LARGEST_THRESHOLD, np.abs(p.bias).max() / LARGEST_BIAS)
    overflow = max(worst) / LARGEST_CURRENT
    least = max(least, overflow if measured else min(overflow, unit), min(fine, unit), unit * 2.0**-7)
    return int(np.floor(np.log2(unit / least) + 1e-9))


def lowest_exponent(c: Connection, unit: float, bits: int, lowest: int) -> int:
    """The lowest exponent, from ``lowest`` on, at which no weight is clipped.

    Raises:
        ModelError: there is none.
    """
    for exponent in range(lowest, 8):
        if not on_grid(c.weight, unit * 2.0**exponent, bits)[1]:
            return exponent
    raise ModelError(
        f"{c.target}: weights and threshold are too far apart for 8 and 17 bits (weights from {c.source}); "
        "rescale the layer"
    )


def _checked(name: str, p: CubaPopulation, unit: float, lowest: int) -> tuple[float, int]:
    if lowest < -12 or _thresholds(p)[1] / unit > LARGEST_THRESHOLD + 0.5:
        raise ModelError(f"{name}: weights and threshold are too far apart for 8 and 17 bits; rescale the layer")
    return unit, max(lowest, -8)
