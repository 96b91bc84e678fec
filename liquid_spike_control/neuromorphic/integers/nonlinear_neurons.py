# SPDX-License-Identifier: Apache-2.0
"""Izhikevich's neuron and AdEx in integers: programs for Loihi 2's programmable neuron; Loihi 1 has none.

They are our own rules, after the equations of :mod:`...spiking.nonlinear_neurons`, which is their float64 counterpart;
they were compared with that, not with a chip. States are 24-bit numbers and saturate: voltages in 2^-12 mV, u, currents
and biases in 2^-12 mV/ms; w, which is slow, has 32 bits, in 2^-20 mV/ms. A step is 1 ms of ``2^substeps_exp``
substeps. A weight of 1 adds ``2^-6 mV/ms``, as everywhere 64ths of a unit of current:
``s <- tz(s (4096 - (du + 1)) / 4096) + (a << 6)``.
``x >> k`` below rounds to the nearest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ...spiking import nonlinear_neurons as floats
from .checks import check, check_integers

#: Binary places of voltages and currents; of fractions; of the rate 1 / T.
PLACES, FRACTION, RATE = 12, 16, 20
_STATE = 2**23 - 1


def _fixed(value: float, places: int = PLACES) -> int:
    return round(value * 2**places)


@dataclass(frozen=True, eq=False)
class IzhikevichPopulation:
    """Izhikevich's neurons. With ``I = s + bias``, in each substep

    ``v += ((41943 (v v >> 12) >> 20) + 5 v + (140 << 12) - u + I) >> substeps_exp``, to the end where ``v >= peak``;
    then ``u += a ((b min(v, peak) >> 16) - u) >> 16``, and a neuron that has reached its peak spikes:
    ``v = c``, ``u += d``.

    Attributes:
        n: number of neurons.
        a, b: in 2^-16, 1 .. 65536 and -2^20 .. 2^20.
        c, d, peak: in 2^-12 mV, 24 bits.
        du: decay of the current in 1/4096 a step; 4095 forgets.
        bias: current, in 2^-12 mV/ms, 24 bits.
        substeps_exp: 0 .. 6.
    """

    n: int
    a: int | np.ndarray
    b: int | np.ndarray
    c: int | np.ndarray
    d: int | np.ndarray
    peak: int | np.ndarray
    du: int | np.ndarray = 4095
    bias: int | np.ndarray = 0
    substeps_exp: int | np.ndarray = 1

    _ranges: ClassVar[tuple[tuple[str, int, int], ...]] = (
        ("a", 1, 2**FRACTION),
        ("b", -(2**20), 2**20),
        ("c", -_STATE, _STATE),
        ("d", -_STATE, _STATE),
        ("peak", -_STATE, _STATE),
        ("du", 0, 4095),
        ("bias", -_STATE, _STATE),
        ("substeps_exp", 0, 6),
    )
    graded: ClassVar[bool] = False
    ports: ClassVar[int] = 1
    identity: ClassVar[tuple[str, ...]] = tuple(name for name, *_ in _ranges)

    def __post_init__(self) -> None:
        check_integers(self)

    @classmethod
    def of(cls, n: int, p: floats.Izhikevich, du: int = 4095, bias: float | np.ndarray = 0.0) -> Self:
        """Neurons of given parameters.

        Args:
            n: how many.
            p: their parameters.
            du: decay of the current in 1/4096.
            bias: a current that is always there [mV/ms], one number or one a neuron.

        Raises:
            ModelError: a number does not fit.
        """
        bits = p.substeps.bit_length() - 1
        given = np.rint(np.asarray(bias) * 2**PLACES).astype(np.int64)
        c, d, peak = (_fixed(x) for x in (p.c, p.d, p.peak))
        return cls(n, _fixed(p.a, FRACTION), _fixed(p.b, FRACTION), c, d, peak, du, given, bits)


@dataclass(frozen=True, eq=False)
class AdExPopulation:
    """Adaptive exponential neurons. With ``I = s + bias``, in each substep

    ``e = 2^((v - threshold) steepness)`` in 2^-12, at most 2^14, from a table of 257 numbers with linear interpolation,
    ``v += ((leak (rest - v + (slope e >> 12)) >> 16) - (w >> 8) + I) >> substeps_exp`` and, from the old v,
    ``w += rate ((coupling (v - rest) >> 8) - w) >> (20 + substeps_exp)``; where then ``v >= peak`` the neuron spikes:
    ``v = reset``, ``w += jump << 8``. A step has one spike at most.

    Attributes:
        n: number of neurons.
        leak, coupling: g / C and a / C, in 2^-16 per ms.
        rest, threshold, slope, reset, peak: in 2^-12 mV, 24 bits.
        steepness: ``log2(e) / slope``, in 2^-12 per mV.
        rate: 1 / T, in 2^-20 per ms.
        jump: b / C, in 2^-12 mV/ms.
        du, bias, substeps_exp: as in :class:`IzhikevichPopulation`.
    """

    n: int
    leak: int | np.ndarray
    rest: int | np.ndarray
    threshold: int | np.ndarray
    slope: int | np.ndarray
    steepness: int | np.ndarray
    coupling: int | np.ndarray
    rate: int | np.ndarray
    jump: int | np.ndarray
    reset: int | np.ndarray
    peak: int | np.ndarray
    du: int | np.ndarray = 4095
    bias: int | np.ndarray = 0
    substeps_exp: int | np.ndarray = 3

    _ranges: ClassVar[tuple[tuple[str, int, int], ...]] = (
        ("leak", 1, 2**FRACTION),
        ("rest", -_STATE, _STATE),
        ("threshold", -_STATE, _STATE),
        ("slope", 1, 2**17),
        ("steepness", 1, 2**17),
        ("coupling", -(2**FRACTION), 2**FRACTION),
        ("rate", 1, 2**RATE),
        ("jump", -_STATE, _STATE),
        ("reset", -_STATE, _STATE),
        ("peak", -_STATE, _STATE),
        ("du", 0, 4095),
        ("bias", -_STATE, _STATE),
        ("substeps_exp", 0, 6),
    )
    graded: ClassVar[bool] = False
    ports: ClassVar[int] = 1
    identity: ClassVar[tuple[str, ...]] = tuple(name for name, *_ in _ranges)

    def __post_init__(self) -> None:
        check_integers(self)
        check(bool(np.all(np.maximum(self.reset, self.threshold) < self.peak)), "peak must exceed reset and threshold")

    @classmethod
    def of(cls, n: int, p: floats.AdEx, du: int = 4095, bias: float | np.ndarray = 0.0) -> Self:
        """Neurons of given parameters; the bias in pA, see :meth:`IzhikevichPopulation.of`."""
        capacitance = p.capacitance
        given = np.rint(np.asarray(bias) / capacitance * 2**PLACES).astype(np.int64)
        return cls(
            n,
            leak=_fixed(p.conductance / capacitance, FRACTION),
            rest=_fixed(p.rest),
            threshold=_fixed(p.threshold),
            slope=_fixed(p.slope),
            steepness=_fixed(float(np.log2(np.e)) / p.slope),
            coupling=_fixed(p.coupling / capacitance, FRACTION),
            rate=_fixed(1 / p.tau, RATE),
            jump=_fixed(p.jump / capacitance),
            reset=_fixed(p.reset),
            peak=_fixed(p.peak),
            du=du,
            bias=given,
            substeps_exp=p.substeps.bit_length() - 1,
        )


def nonlinear_population(
    n: int, p: floats.Izhikevich | floats.AdEx, du: int = 4095, bias: float | np.ndarray = 0.0
) -> IzhikevichPopulation | AdExPopulation:
    """Neurons of given parameters, in integers; the bias in mV/ms, of AdEx in pA.

    Raises:
        ModelError: a number does not fit.
    """
    if isinstance(p, floats.AdEx):
        return AdExPopulation.of(n, p, du, bias)
    return IzhikevichPopulation.of(n, p, du, bias)
