# SPDX-License-Identifier: Apache-2.0
"""Neurons whose voltage follows a nonlinear equation, in float64: Izhikevich's and the adaptive exponential one (AdEx).

Izhikevich: "Simple model of spiking neurons", IEEE Trans. Neural Networks 14(6), 2003, 10.1109/TNN.2003.820440:

    v' = 0.04 v^2 + 5 v + 140 - u + I,   u' = a (b v - u);   where v >= 30: v = c, u = u + d

Brette, Gerstner: "Adaptive exponential integrate-and-fire model", J. Neurophysiol. 94, 2005, 10.1152/jn.00686.2005:

    C v' = -g (v - E) + g D exp((v - V) / D) - w + I,   T w' = a (v - E) - w;   where v >= peak: v = r, w = w + b

A step lasts 1 ms and is divided into ``substeps`` of Euler's method; Izhikevich's u moves once a step, as in his
program. A step has one spike at most. Voltages are in mV, times in ms; Izhikevich's currents are in mV/ms, those of
AdEx in pA. NIR has none of these neurons; integers for Loihi 2's programmable neuron:
:mod:`..neuromorphic.integers.nonlinear_neurons`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from ..errors import ModelError

#: The exponential of AdEx is cut here: in the upstroke it would overflow, and the voltage is reset in any case.
MOST_EXPONENTIAL = 2.0**14


def _check(p: Izhikevich | AdEx, positive: tuple[str, ...]) -> None:
    name = type(p).__name__
    for field in fields(p):
        value = getattr(p, field.name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ModelError(f"{name}: {field.name} {value!r}; give a finite number")
        if field.name in positive and value <= 0:
            raise ModelError(f"{name}: {field.name} {value:g}; give a number above 0")
    if p.substeps not in (1, 2, 4, 8, 16, 32, 64):
        raise ModelError(f"{name}: substeps {p.substeps}; give a power of 2 from 1 to 64")


@dataclass(frozen=True)
class Izhikevich:
    """Parameters of Izhikevich's neuron, as in the module's equation; the defaults are regular spiking.

    Raises:
        ModelError: a number is not finite or out of range; names it.
    """

    a: float = 0.02
    b: float = 0.2
    c: float = -65.0
    d: float = 8.0
    peak: float = 30.0
    substeps: int = 2

    def __post_init__(self) -> None:
        _check(self, ("a",))

    def run(self, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spikes and voltages under a current.

        Args:
            current: of each step, ``(n_steps,)`` [mV/ms].

        Returns:
            Bool ``(n_steps,)``, and float64 ``(n_steps,)`` [mV], after the reset.
        """
        v, u = self.c, self.b * self.c
        spikes, voltages = np.zeros(len(current), bool), np.zeros(len(current))
        for t, i in enumerate(np.asarray(current, float)):
            for _ in range(self.substeps):
                v += (0.04 * v * v + 5 * v + 140 - u + i) / self.substeps
                if v >= self.peak:
                    break
            u += self.a * (self.b * min(v, self.peak) - u)
            if v >= self.peak:
                v, u, spikes[t] = self.c, u + self.d, True
            voltages[t] = v
        return spikes, voltages


@dataclass(frozen=True)
class AdEx:
    """Parameters of the adaptive exponential neuron; the defaults are tonic spiking.

    Attributes:
        capacitance, conductance: C [pF], g [nS].
        rest, threshold, slope: E, V, D [mV].
        coupling, tau, jump: a [nS], T [ms], b [pA].
        reset, peak: r and the voltage that counts as a spike [mV].
        substeps: of a step of 1 ms.

    Raises:
        ModelError: a number is not finite or out of range; names it.
    """

    capacitance: float = 200.0
    conductance: float = 10.0
    rest: float = -70.0
    threshold: float = -50.0
    slope: float = 2.0
    coupling: float = 2.0
    tau: float = 30.0
    jump: float = 0.0
    reset: float = -58.0
    peak: float = 0.0
    substeps: int = 8

    def __post_init__(self) -> None:
        _check(self, ("capacitance", "conductance", "slope", "tau"))
        if not max(self.reset, self.threshold) < self.peak:
            raise ModelError(f"AdEx: peak {self.peak:g}; give a voltage above the reset and the threshold")

    def run(self, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spikes and voltages under a current of each step [pA]; see :meth:`Izhikevich.run`."""
        leak, h = self.conductance / self.capacitance, 1 / self.substeps
        most = self.slope * math.log(MOST_EXPONENTIAL)
        v, w = self.rest, 0.0
        spikes, voltages = np.zeros(len(current), bool), np.zeros(len(current))
        for t, i in enumerate(np.asarray(current, float) / self.capacitance):
            for _ in range(self.substeps):
                upstroke = self.slope * math.exp(min(v - self.threshold, most) / self.slope)
                change = leak * (self.rest - v + upstroke) - w + i
                w += h * (self.coupling / self.capacitance * (v - self.rest) - w) / self.tau
                v += h * change
                if v >= self.peak:
                    v, w, spikes[t] = self.reset, w + self.jump / self.capacitance, True
            voltages[t] = v
        return spikes, voltages


#: Regimes by name, with the current that shows them: Izhikevich 2003, figure 2 [mV/ms]; Naud, Marcille, Clopath,
#: Gerstner: "Firing patterns in the adaptive exponential integrate-and-fire model", Biol. Cybern. 99, 2008, table 1
#: [pA].
REGIMES: dict[str, tuple[Izhikevich | AdEx, float]] = {
    "izhikevich regular spiking": (Izhikevich(), 10.0),
    "izhikevich intrinsic bursting": (Izhikevich(c=-55.0, d=4.0), 10.0),
    "izhikevich chattering": (Izhikevich(c=-50.0, d=2.0), 10.0),
    "izhikevich fast spiking": (Izhikevich(a=0.1, d=2.0), 10.0),
    "izhikevich low threshold": (Izhikevich(b=0.25, d=2.0), 10.0),
    "adex tonic": (AdEx(), 500.0),
    "adex adapting": (AdEx(conductance=12.0, tau=300.0, jump=60.0), 500.0),
    "adex initial burst": (AdEx(130.0, 18.0, -58.0, coupling=4.0, tau=150.0, jump=120.0, reset=-50.0), 400.0),
    "adex bursting": (AdEx(rest=-58.0, tau=120.0, jump=100.0, reset=-46.0), 210.0),
    "adex accelerating": (AdEx(conductance=12.0, coupling=-10.0, tau=300.0), 300.0),
}
