# SPDX-License-Identifier: Apache-2.0
"""The integers nearest to float weights, thresholds, decays and biases, once the unit of the current is chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import ModelError
from ...spiking.graph import Connection, CubaPopulation, Linear, Synapses
from ...spiking.loihi_limits import needs_program
from ..integers.neurons import AlifPopulation, Population, ProgrammedPopulation

LARGEST_THRESHOLD = 2**17 - 1
#: The current wraps and the voltage saturates at 2^23, in 64ths of a unit.
LARGEST_CURRENT = 2**17
#: 13 bits, shifted by 7, in units of 64ths.
LARGEST_BIAS = (4095 << 7) / 64


def weight_step(weight: np.ndarray, num_weight_bits: int) -> int:
    """Distance of neighbouring integer weights: 2 for 8-bit weights of both signs, 1 for those of one
    sign."""
    mixed = bool(weight.size) and bool(weight.min() < 0 < weight.max())
    return int(2 ** (8 - num_weight_bits + mixed))


def on_grid(weight: np.ndarray, unit: float, num_weight_bits: int) -> tuple[np.ndarray, int]:
    """The nearest integers that Loihi can store, and how many were clipped.

    Args:
        weight: float64, any shape.
        unit: weight of the integer 1.
        num_weight_bits: 1 .. 8.
    """
    step = weight_step(weight, num_weight_bits)
    nearest = np.rint(weight / (unit * step)).astype(np.int64) * step
    mixed = bool(weight.size) and bool(weight.min() < 0 < weight.max())
    integers = np.clip(nearest, -256 if mixed else step - 256, 256 - step)
    if mixed and not integers.min() < 0 < integers.max():
        # One sign has vanished: the other is stored without its sign, twice as fine, and ends at 255.
        kept = np.where(np.sign(weight) == np.sign(integers.sum()), weight, 0)
        return on_grid(kept, unit, num_weight_bits)
    return integers, int((integers != nearest).sum())


def spacing(integers: np.ndarray) -> int:
    """The largest power of two, at most 256, of which all are multiples."""
    bits = int(np.bitwise_or.reduce(np.abs(integers), axis=None)) | 256
    return bits & -bits


def integer_population(name: str, p: CubaPopulation, unit: float, gap: int) -> Population | ProgrammedPopulation:
    """The neurons in integers.

    Args:
        name: of the population, for messages.
        p: what they are in float64.
        unit: weight of one unit of the integer current.
        gap: the integer currents are multiples of it.

    Raises:
        ModelError: a threshold or a bias does not fit.
    """
    bias = p.bias * 64 / unit
    exponent = np.clip(np.ceil(np.log2(np.maximum(np.abs(bias), 1) / 4095)), 0, 7).astype(np.int64)
    mantissa = np.rint(bias / 2.0**exponent)
    if np.abs(mantissa).max() > 4095:
        raise ModelError(f"{name}: a bias is too large for 13 bits and exponent 7 beside the weights; rescale it")
    du = np.clip(np.rint(p.du * 4096).astype(np.int64) - 1, 0, 4095)
    dv = np.clip(np.rint(p.dv * 4096).astype(np.int64), 0, 4095)
    mantissa = mantissa.astype(np.int64)
    shared = {
        "du": one_if_shared(du),
        "dv": one_if_shared(dv),
        "bias_mant": one_if_shared(mantissa),
        "bias_exp": one_if_shared(exponent),
        "refractory": p.refractory,
        "start": p.start,
    }
    if needs_program(p):
        return _programmed(p, unit, shared)
    values = np.gcd(64 * gap, mantissa << exponent)
    vth = _thresholds(p, unit, values, stepwise(du, dv))
    if vth.max() > LARGEST_THRESHOLD:
        raise ModelError(f"{name}: weights and threshold are too far apart for 8 and 17 bits; rescale the layer")

    return Population(p.n, vth=one_if_shared(vth), **shared)


def one_if_shared(values: np.ndarray) -> int | np.ndarray:
    """Integers of each neuron, or the one that they share."""
    return int(values[0]) if (values == values[0]).all() else values


def _programmed(p: CubaPopulation, unit: float, shared: dict) -> ProgrammedPopulation:
    """Neurons for a program: thresholds and what a spike subtracts are rounded to 64ths of a unit only."""
    exact = p.vth * 64 / unit
    exact = np.where(np.abs(exact - np.rint(exact)) < 1e-6 * exact, np.rint(exact), exact)
    threshold = np.where(np.isinf(exact), 2**23 - 1, np.ceil(exact) - 1 if p.inclusive else np.floor(exact))
    drop = np.zeros(p.n)
    if p.reset == "subtract":
        drop = np.rint((p.vth if p.drop is None else p.drop) * 64 / unit)
        drop = np.clip(np.where(np.isinf(drop), 1, drop), p.most_spikes > 1, 2**24 - 1)
    depth = min(2**23 - 1, int(np.rint(-p.lowest * 64 / unit))) if np.isfinite(p.lowest) else 2**23 - 1
    program = {
        "threshold": one_if_shared(np.clip(threshold, 0, 2**23 - 1).astype(np.int64)),
        "drop": one_if_shared(drop.astype(np.int64)),
        "depth": depth,
        "reset": p.reset,
        **shared,
    }
    if not p.adapts or p.rise is None or p.dh is None:
        return ProgrammedPopulation(p.n, most_spikes=min(p.most_spikes, 2**23 - 1), **program)
    rise = np.clip(np.rint(p.rise * 64 / unit), 0, 2**23 - 1).astype(np.int64)
    dh = np.clip(np.rint(p.dh * 4096), 1, 4096).astype(np.int64)
    return AlifPopulation(p.n, rise=one_if_shared(rise), dh=one_if_shared(dh), **program)


def stepwise(du: int | np.ndarray, dv: int | np.ndarray) -> np.ndarray:
    """Where the voltage is a sum of whole weights: no memory of the current, and none or all of the voltage.

    Loihi's du = 4095 forgets the current, dv = 4095 all of the voltage but ``v / 4096``.
    """
    du, dv = np.asarray(du), np.asarray(dv)
    return (du == 4095) & ((dv == 0) | (dv == 4095))


def _thresholds(p: CubaPopulation, unit: float, values: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Integers T such that ``v > 64 T`` where the float neuron spikes.

    Args:
        p: the neurons.
        unit: of the current.
        values: where ``whole`` holds, voltages are multiples of these 64ths of a unit.
        whole: see :func:`stepwise`.

    A voltage in steps has a highest value that is silent; T lies between it and the next one, in the middle, where
    what ``dv = 4095`` leaves behind does not matter. Else T is the nearest, just below an inclusive threshold.
    """
    if not p.spiking:
        return np.full(p.n, LARGEST_THRESHOLD)
    reached = np.isfinite(p.vth)
    exact = np.where(reached, p.vth, unit) / unit
    exact = np.where(np.abs(exact - np.rint(exact)) < 1e-6 * exact, np.rint(exact), exact)
    nearest = np.ceil(exact) - 1 if p.inclusive else np.rint(exact)
    steps = exact * 64 / values
    steps = np.where(np.abs(steps - np.rint(steps)) < 1e-6 * steps, np.rint(steps), steps)
    silent = (np.ceil(steps) - 1 if p.inclusive else np.floor(steps)) * values
    between = np.maximum(np.ceil(silent / 64), np.floor((silent + values // 2) / 64))
    found = np.maximum(np.where(whole & (values >= 64), between, nearest), 0).astype(np.int64)
    return np.where(reached, found, LARGEST_THRESHOLD)


def worst_case(p: CubaPopulation, incoming: Sequence[Connection]) -> tuple[float, float]:
    """Largest current and voltage, were all sources of one sign to spike at every step.

    The voltage counts where neurons never spike: else a threshold bounds it above, and far below it does little.
    """
    current, voltage = bounds(p, incoming)
    silent = np.isinf(p.vth) if p.spiking else np.ones(p.n, bool)
    return float(current.max(initial=0)), float(voltage[silent].max(initial=0))


def bounds(p: CubaPopulation, incoming: Sequence[Connection]) -> tuple[np.ndarray, np.ndarray]:
    """The largest current and voltage of each neuron, of either sign, as :func:`worst_case`: float64 ``(n,)``."""
    currents, voltages = np.zeros(p.n), np.zeros(p.n)
    for sign in (1, -1):
        drive = sum((_drive(c, sign) for c in incoming), np.zeros(p.n))
        with np.errstate(divide="ignore", invalid="ignore"):
            current = drive / np.maximum(p.du, 1 / 4096)
            total = np.maximum(current + sign * p.bias, 0)
            voltage = np.where(total > 0, total / p.dv, 0)
        currents, voltages = np.maximum(currents, current), np.maximum(voltages, voltage)
    return currents, voltages


def _drive(c: Connection, sign: int) -> np.ndarray:
    """Sum of the weights of one sign on each target neuron (for a kernel, on one away from the edge)."""
    part = np.maximum(sign * c.weight, 0)
    if isinstance(c, Linear):
        return part.sum(1)
    if isinstance(c, Synapses):
        return np.bincount(c.targets, part, c.shape[0])
    return np.tile(part.sum((1, 2, 3)), c.shape[0] // len(part))
