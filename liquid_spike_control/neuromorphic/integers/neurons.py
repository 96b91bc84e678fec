# SPDX-License-Identifier: Apache-2.0
"""Populations of neurons in Loihi's integers, one class a neuron model.

Every class defines how many neurons it has (``n``), whether its spikes carry a payload (``graded``), how many inputs
a neuron has (``ports``), and which attributes decide its spikes (``identity``). Parameters are one integer, or one
a neuron. ``tz`` rounds toward zero; ``a`` is the synaptic input of a step; states are int32, as in Intel's Lava
(0.10.0, ``fixed_pt``), and where they overflow they wrap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np

from .checks import check, check_integers
from .nonlinear_neurons import AdExPopulation, IzhikevichPopulation


@dataclass(frozen=True, eq=False)
class Population:
    """CUBA-LIF neurons (Davies et al. 2018, eq. 1-3; Lava ``LIF`` fixed point).

    ``u <- tz(u (4096 - (du + 1)) / 4096) + (a << 6)``, ``v <- tz(v (4096 - dv) / 4096) + u + bias``,
    spike where ``v > vth << 6``, then ``v = 0``. Each parameter is one integer or one a neuron.

    Attributes:
        n: number of neurons.
        du, dv: decays of current and voltage in 1/4096 a step, 0 .. 4095; du acts as du + 1. A dv of 4096 forgets
            (the chip's 4095 with its bit dm_offset).
        vth: threshold mantissa, 0 .. 131071.
        bias_mant, bias_exp: bias ``bias_mant << bias_exp``, -4096 .. 4095 and 0 .. 7.
        refractory: a spike sets a counter to this, which counts down at the end of every step, that one too;
            v stays 0 while it runs (nengo-loihi's rule): 0 and 1 do nothing, r silences r - 1 steps. 0 .. 63.
        start: what that counter holds at the reset: v stays 0 in the first ``start`` steps. 0 .. 63. A layer
            whose input needs that long to arrive does not begin to integrate its bias before.
    """

    n: int
    du: int | np.ndarray
    dv: int | np.ndarray
    vth: int | np.ndarray
    bias_mant: int | np.ndarray = 0
    bias_exp: int | np.ndarray = 0
    refractory: int | np.ndarray = 0
    start: int | np.ndarray = 0

    _ranges = (
        ("du", 0, 4095),
        ("dv", 0, 4096),
        ("vth", 0, 2**17 - 1),
        ("bias_mant", -4096, 4095),
        ("bias_exp", 0, 7),
        ("refractory", 0, 63),
        ("start", 0, 63),
    )

    graded: ClassVar[bool] = False
    ports: ClassVar[int] = 1
    identity: ClassVar[tuple[str, ...]] = ("du", "dv", "vth", "bias", "refractory", "start")

    def __post_init__(self) -> None:
        check_integers(self)

    @property
    def bias(self) -> np.ndarray:
        """The bias that is added to v every step, int64."""
        return np.asarray(self.bias_mant << self.bias_exp)


@dataclass(frozen=True, eq=False)
class ProgrammedPopulation:
    """CUBA-LIF neurons whose spikes subtract, a program for Loihi 2's programmable neuron; Loihi 1 has none.

    ``u`` and ``v`` as in :class:`Population`, then ``v = max(v, -depth)``; where ``v > threshold``,
    ``n = min(most_spikes, 1 + (v - threshold - 1) // drop)`` spikes are sent (one where drop is 0) and
    ``v -= n drop``, or ``v = 0`` if the reset is to zero. They travel as one graded spike with the payload n.
    Threshold, drop and depth are numbers of 24 bits, in 64ths of a unit of current as ``v`` is, so that a float
    threshold is rounded no more than the voltage is.

    These are our own rules, after Orchard et al. 2021 (SiPS, arXiv:2111.03746): neurons as programs on 24 bits, graded
    spikes. They were compared with the float reference, not with a chip.

    Attributes:
        n: number of neurons.
        du, dv: as in ``Population``.
        threshold: 0 .. 2^23 - 1; a voltage of 2^23 - 1 at most never exceeds the last.
        drop: what a spike subtracts, 0 .. 2^24 - 1; 0 resets nothing.
        reset: ``subtract`` or ``zero``.
        depth: how far the voltage falls below 0, 0 .. 2^23 - 1; the last is where it saturates anyway.
        most_spikes: the most spikes of a step, 1 .. 2^23 - 1.
        bias_mant, bias_exp, refractory, start: as in ``Population``.
    """

    n: int
    du: int | np.ndarray
    dv: int | np.ndarray
    threshold: int | np.ndarray
    drop: int | np.ndarray
    depth: int | np.ndarray = 2**23 - 1
    most_spikes: int | np.ndarray = 1
    reset: Literal["subtract", "zero"] = "subtract"
    bias_mant: int | np.ndarray = 0
    bias_exp: int | np.ndarray = 0
    refractory: int | np.ndarray = 0
    start: int | np.ndarray = 0

    _ranges: ClassVar[tuple[tuple[str, int, int], ...]] = (
        ("du", 0, 4095),
        ("dv", 0, 4096),
        ("threshold", 0, 2**23 - 1),
        ("drop", 0, 2**24 - 1),
        ("depth", 0, 2**23 - 1),
        ("most_spikes", 1, 2**23 - 1),
        ("bias_mant", -4096, 4095),
        ("bias_exp", 0, 7),
        ("refractory", 0, 63),
        ("start", 0, 63),
    )
    ports: ClassVar[int] = 1
    identity: ClassVar[tuple[str, ...]] = (
        "du", "dv", "threshold", "drop", "depth", "most_spikes", "reset", "bias", "refractory", "start",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_integers(self)
        check(self.reset in ("subtract", "zero"), f"reset must be subtract or zero, not {self.reset}")
        one = (self.drop > 0) & (self.reset == "subtract") | (np.asarray(self.most_spikes) == 1)
        check(bool(np.all(one)), "several spikes a step need a reset that subtracts and a drop above 0")

    @property
    def graded(self) -> bool:
        """Whether a spike may count for several."""
        return bool(np.max(self.most_spikes) > 1)

    @property
    def bias(self) -> np.ndarray:
        """The bias that is added to v every step, int64."""
        return np.asarray(self.bias_mant << self.bias_exp)


@dataclass(frozen=True, eq=False)
class AlifPopulation(ProgrammedPopulation):
    """Neurons of a program as above whose threshold rises with each spike (ALIF; Bellec et al. 2018, arXiv:1803.09574).

    Every step ``h <- tz(h (4096 - dh) / 4096)``; spike where ``v > threshold + h``, then
    ``h = min(h + rise, 2^23 - 1)``.
    The reset is that of :class:`ProgrammedPopulation`; one spike a step. Unlike :class:`AdaptivePopulation`, which is
    Lava's, a spike resets the voltage and nothing else holds the neuron back.

    Attributes:
        rise: what a spike adds to the threshold, in 64ths of a unit of current, 0 .. 2^23 - 1.
        dh: decay of that in 1/4096 a step, 1 .. 4096.
    """

    rise: int | np.ndarray = 0
    dh: int | np.ndarray = 4096

    _ranges = (*ProgrammedPopulation._ranges, ("rise", 0, 2**23 - 1), ("dh", 1, 4096))
    identity: ClassVar[tuple[str, ...]] = (*ProgrammedPopulation.identity, "rise", "dh")

    def __post_init__(self) -> None:
        super().__post_init__()
        check(bool(np.max(self.most_spikes) == 1), "neurons that adapt send one spike a step; give most_spikes 1")


@dataclass(frozen=True, eq=False)
class AdaptivePopulation:
    """Leaky integrate-and-fire with an adaptive threshold and a refractory state (Lava's ``ATRLIF``).

    ``u`` and ``v`` as in :class:`Population`, but a spike leaves them as they are. Every step
    ``theta <- theta_0 + tz((theta - theta_0) (4096 - dtheta) / 4096)``, ``r <- tz(r (4096 - dr) / 4096)`` with
    ``theta_0 = vth << 6``; spike where ``v - r >= theta``, then ``r += 2 theta`` and ``theta += vth_step << 6``.

    Lava takes the decays as fractions: ours are 4096 times as much.

    Attributes:
        n: number of neurons.
        du, dv: as in ``Population``.
        vth: threshold at rest, mantissa, 0 .. 131071; also the threshold at the reset.
        vth_step: what a spike adds to it, mantissa, 0 .. 131071.
        dtheta, dr: decays of threshold and refractory state, 0 .. 4096.
        bias_mant, bias_exp: as in ``Population``.
        start: the neuron sleeps in the first ``start`` steps and ignores its inputs, 0 .. 63.
    """

    n: int
    du: int | np.ndarray
    dv: int | np.ndarray
    vth: int | np.ndarray
    vth_step: int | np.ndarray
    dtheta: int | np.ndarray
    dr: int | np.ndarray
    bias_mant: int | np.ndarray = 0
    bias_exp: int | np.ndarray = 0
    start: int | np.ndarray = 0

    _ranges = (
        ("du", 0, 4095),
        ("dv", 0, 4096),
        ("vth", 0, 2**17 - 1),
        ("vth_step", 0, 2**17 - 1),
        ("dtheta", 0, 4096),
        ("dr", 0, 4096),
        ("bias_mant", -4096, 4095),
        ("bias_exp", 0, 7),
        ("start", 0, 63),
    )
    graded: ClassVar[bool] = False
    ports: ClassVar[int] = 1
    identity: ClassVar[tuple[str, ...]] = ("du", "dv", "vth", "vth_step", "dtheta", "dr", "bias", "start")

    def __post_init__(self) -> None:
        check_integers(self)

    @property
    def bias(self) -> np.ndarray:
        """The bias that is added to v every step, int64."""
        return np.asarray(self.bias_mant << self.bias_exp)


@dataclass(frozen=True, eq=False)
class SigmaDelta:
    """Neurons that send how much their activation changed (Lava's ``SigmaDelta``).

    ``sigma += a``, ``A = f(sigma + b)``, ``d = A - A' + residue`` with A' the activation of the step before,
    ``s = d where |d| >= theta, else 0``, ``residue = d - s``; the payload sent is ``s >> state_exp``. The bias b
    and the threshold theta are shifted left by ``spike_exp + state_exp``.

    Attributes:
        n: number of neurons.
        vth: threshold, 0 .. 2^23 - 1.
        bias: -2^15 .. 2^15 - 1.
        spike_exp: binary places of payloads, 0 .. 7.
        state_exp: further binary places of the state, 0 .. 7.
        activation: f, ``relu`` or ``unit`` (none).
        cumulative_error: compare with theta not ``|d|`` but the sum of d since the last spike (Lava's
            ``cum_error``).
        start: the neuron sleeps in the first ``start`` steps and ignores its inputs, 0 .. 63.
    """

    n: int
    vth: int | np.ndarray
    bias: int | np.ndarray = 0
    spike_exp: int | np.ndarray = 0
    state_exp: int | np.ndarray = 0
    activation: Literal["relu", "unit"] = "relu"
    cumulative_error: bool = False
    start: int | np.ndarray = 0

    _ranges = (
        ("vth", 0, 2**23 - 1),
        ("bias", -(2**15), 2**15 - 1),
        ("spike_exp", 0, 7),
        ("state_exp", 0, 7),
        ("start", 0, 63),
    )
    graded: ClassVar[bool] = True
    ports: ClassVar[int] = 1
    identity: ClassVar[tuple[str, ...]] = ("theta", "offset", "state_exp", "activation", "cumulative_error", "start")

    def __post_init__(self) -> None:
        check_integers(self)
        check(self.activation in ("relu", "unit"), f"activation must be relu or unit, not {self.activation}")
        check(
            int(self.theta.max()) < 2**31 and int(np.abs(self.offset).max()) < 2**31,
            "vth and bias, shifted by spike_exp + state_exp, must stay below 2^31",
        )

    @property
    def theta(self) -> np.ndarray:
        """The threshold as it acts, int64."""
        return np.asarray(self.vth << (self.spike_exp + self.state_exp))

    @property
    def offset(self) -> np.ndarray:
        """The bias as it acts, int64."""
        return np.asarray(self.bias << (self.spike_exp + self.state_exp))


@dataclass(frozen=True, eq=False)
class Delta:
    """Encoders that send how much their input changed (Lava's ``Delta``).

    As :class:`SigmaDelta` with ``A = a << (spike_exp + state_exp)``: the input is a value that stays, not a
    change, and must be given in every step.

    Attributes:
        n, vth, spike_exp, state_exp, cumulative_error: as in ``SigmaDelta``.
    """

    n: int
    vth: int | np.ndarray
    spike_exp: int | np.ndarray = 0
    state_exp: int | np.ndarray = 0
    cumulative_error: bool = False

    _ranges = (("vth", 0, 2**23 - 1), ("spike_exp", 0, 7), ("state_exp", 0, 7))
    graded: ClassVar[bool] = True
    ports: ClassVar[int] = 1
    identity: ClassVar[tuple[str, ...]] = ("theta", "spike_exp", "state_exp", "cumulative_error")

    def __post_init__(self) -> None:
        check_integers(self)
        check(int(self.theta.max()) < 2**31, "vth, shifted by spike_exp + state_exp, must stay below 2^31")

    @property
    def theta(self) -> np.ndarray:
        """The threshold as it acts, int64."""
        return np.asarray(self.vth << (self.spike_exp + self.state_exp))


@dataclass(frozen=True, eq=False)
class Sigma:
    """Decoders: ``sigma += a``, and sigma is sent in every step that it is not 0 (Lava's ``Sigma``).

    Attributes:
        n: number of neurons.
    """

    n: int

    _ranges: ClassVar[tuple[tuple[str, int, int], ...]] = ()
    graded: ClassVar[bool] = True
    ports: ClassVar[int] = 1
    identity: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_integers(self)


@dataclass(frozen=True, eq=False)
class ResonateAndFire:
    """Resonators (Lava's ``RF`` and ``RF_IZ``; Izhikevich 2001, 10.1016/S0893-6080(01)00078-8).

    ``re <- tz(cos re / 4096) - tz(sin im / 4096) + (a << state_exp)``,
    ``im <- tz(sin re / 4096) + tz(cos im / 4096) + (b << state_exp)``, from the old values, then both clipped to
    ``+-(2^23 - 1)``. With ``theta = vth << state_exp``:

    - ``phase``: spike where ``re >= theta``, ``im >= 0`` and im was negative before;
    - ``izhikevich``: spike where ``im >= theta``, then ``re = 0`` and ``im = theta - 1``.

    A connection of n targets drives the real input a; one of 2 n drives a, then the imaginary input b.

    Attributes:
        n: number of neurons.
        sin, cos: ``(1 - alpha) sin | cos(2 pi / period)`` in 1/4096, -4096 .. 4096; see :meth:`of_period`.
        vth: threshold, 0 .. 131071.
        state_exp: 0 .. 7.
        rule: when a neuron spikes.
    """

    n: int
    sin: int | np.ndarray
    cos: int | np.ndarray
    vth: int | np.ndarray
    state_exp: int | np.ndarray = 6
    rule: Literal["phase", "izhikevich"] = "phase"

    _ranges = (("sin", -4096, 4096), ("cos", -4096, 4096), ("vth", 0, 2**17 - 1), ("state_exp", 0, 7))
    graded: ClassVar[bool] = False
    ports: ClassVar[int] = 2
    identity: ClassVar[tuple[str, ...]] = ("sin", "cos", "vth", "state_exp", "rule")

    def __post_init__(self) -> None:
        check_integers(self)
        check(self.rule in ("phase", "izhikevich"), f"rule must be phase or izhikevich, not {self.rule}")

    @classmethod
    def of_period(
        cls,
        n: int,
        period: float | np.ndarray,
        alpha: float | np.ndarray,
        vth: int | np.ndarray,
        state_exp: int = 6,
        rule: Literal["phase", "izhikevich"] = "phase",
    ) -> Self:
        """Resonators with a period [steps] that lose the fraction alpha of their amplitude in a step."""
        angle = 2 * np.pi / np.asarray(period)
        # Toward zero, as Lava's cast does.
        sin, cos = (((1 - np.asarray(alpha)) * f(angle) * 4096).astype(np.int64) for f in (np.sin, np.cos))
        return cls(n, sin, cos, vth, state_exp, rule)


#: Any population of a network.
Neurons = (
    Population | ProgrammedPopulation | AlifPopulation | AdaptivePopulation
    | SigmaDelta | Delta | Sigma | ResonateAndFire | IzhikevichPopulation | AdExPopulation
)  # fmt: skip
