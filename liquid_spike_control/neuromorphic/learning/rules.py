# SPDX-License-Identifier: Apache-2.0
"""Learning rules by name, as sums of products that the chip holds.

Rates are in units of a weight (256 of them from 0 to the largest); the nearest constant ``m 2^e`` of the chip with m of
1 .. 7 stands for them, at most 12 % off from 2^-5 on, and the shift of Lava's arithmetic is made up for. Time constants
are in steps.

>>> pair_stdp(plus=2.0, minus=2.2, tau_plus=20, tau_minus=20).dw
'2^-5*x1*y0 - 2^-5*y1*x0'
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...errors import LearningRuleError
from .notation import LEAST_EXPONENT, MANTISSA_BITS, MOST_EXPONENT, SUM_BITS, WIDTHS
from .rule import SURROGATE, LearningRule, Trace

#: Impulse of the traces: a lone spike and its next one have room, and a lone one decays in 64 steps.
IMPULSE = 64
#: Impulse of traces that follow a rate, of which many add up.
RATE_IMPULSE = 16


def constant(rate: float, per: float, factors: str, name: str, arithmetic: str = "lava") -> str:
    """The constant of the chip that is nearest to ``rate / per``, as it stands in a rule.

    Where Lava's arithmetic shifts the product to the right, a large mantissa keeps the bits that would be lost.

    Args:
        rate: above 0.
        per: of how many units of the factors.
        factors: their names without the gate, e.g. ``"x1 y3"``.
        name: of the rule, for errors.
        arithmetic: of the rule.

    Raises:
        LearningRuleError: the rate is not above 0, or too large or too small for the chip.
    """
    if not (math.isfinite(rate) and rate > 0):
        raise LearningRuleError(f"{name}: a rate of {rate:g}; give one above 0")
    bits = MANTISSA_BITS + sum(WIDTHS[f] for f in factors.split())
    shift = max(0, bits - SUM_BITS) if arithmetic == "lava" else 0
    wanted = rate / per * 2.0**shift
    choices = [(m, e) for m in range(1, 8) for e in range(LEAST_EXPONENT, MOST_EXPONENT + 1)]

    def distance(choice: tuple[int, int]) -> tuple[float, int]:
        m, e = choice
        return round(abs(math.log(m * 2.0**e / wanted)), 9), -m if shift else m

    m, e = min(choices, key=distance)
    if distance((m, e))[0] > math.log(4 / 3):
        least, most = (c * per / 2.0**shift for c in (2.0**LEAST_EXPONENT, 7 * 2.0**MOST_EXPONENT))
        held = f"the chip's constants hold {least:g} .. {most:g}"
        raise LearningRuleError(f"{name}: a rate of {rate:g} on {factors}; {held}")
    return f"2^{e}" if m == 1 else f"{m}*2^{e}"


def _rule(name: str, options: dict[str, Any], **fields: Any) -> LearningRule:
    """A rule with some of its fields, of which the user's options win."""
    return LearningRule(**{"name": name} | fields | options)


def pair_stdp(
    plus: float = 2.0, minus: float = 2.0, tau_plus: float = 20, tau_minus: float = 20, **options: Any
) -> LearningRule:
    """Pair-based spike-timing-dependent plasticity (Song et al. 2000, 10.1038/78829).

    ``dw = plus exp(-s / tau_plus)`` for a target that spikes s steps after the source, ``-minus exp(-s / tau_minus)``
    for one that spikes s steps before it, summed over all pairs; a pair in one step counts both.

    Args:
        plus, minus: changes of a pair.
        tau_plus, tau_minus: time constants [steps].
        options: further fields of :class:`~.rule.LearningRule`.
    """
    name, arithmetic = "pair_stdp", options.get("arithmetic", "lava")
    up = constant(plus, IMPULSE, "x1", name, arithmetic)
    down = constant(minus, IMPULSE, "y1", name, arithmetic)
    traces = {"x1": Trace(IMPULSE, tau_plus), "y1": Trace(IMPULSE, tau_minus)}
    return _rule(name, options, dw=f"{up}*x1*y0 - {down}*y1*x0", **traces)


def triplet_stdp(
    plus: float = 0.5,
    minus: float = 2.0,
    plus_triplet: float = 4.0,
    tau_plus: float = 17,
    tau_minus: float = 34,
    tau_y: float = 114,
    **options: Any,
) -> LearningRule:
    """Triplet plasticity, the minimal model (Pfister and Gerstner 2006, 10.1523/JNEUROSCI.1425-06.2006).

    At a spike of the target ``dw = r (plus + plus_triplet o)``, at one of the source ``dw = -minus q``, where r and q
    are traces of source and target of height 1, and o that of the target's earlier spikes, with ``tau_y``.

    Args:
        plus, minus: changes of a pair.
        plus_triplet: what an earlier spike of the target adds.
        tau_plus, tau_minus, tau_y: time constants [steps].
        options: further fields of :class:`~.rule.LearningRule`.
    """
    name, arithmetic = "triplet_stdp", options.get("arithmetic", "lava")
    impulse = IMPULSE // 2  # several spikes add up in the slow trace
    up = constant(plus, impulse, "x1", name, arithmetic)
    down = constant(minus, impulse, "y1", name, arithmetic)
    more = constant(plus_triplet, impulse**2, "x1 y2", name, arithmetic)
    # At its own spike y2 has the impulse of that spike already.
    traces = {"x1": Trace(impulse, tau_plus), "y1": Trace(impulse, tau_minus), "y2": Trace(impulse, tau_y)}
    return _rule(name, options, dw=f"{up}*x1*y0 + {more}*x1*(y2 - {impulse})*y0 - {down}*y1*x0", **traces)


def reward_stdp(
    plus: float = 8.0,
    minus: float = 8.0,
    tau_plus: float = 20,
    tau_minus: float = 20,
    decay: float = 1 / 32,
    rate: float = 1 / 64,
    tau_reward: float = 0,
    **options: Any,
) -> LearningRule:
    """Reward-modulated STDP (Izhikevich 2007, 10.1093/cercor/bhl152; Fremaux and Gerstner 2016).

    ``dt = STDP - decay t`` on the tag, ``dw = rate r t / 8`` in steps with a reward r of -128 .. 127, which
    :meth:`~.plastic.PlasticSynapses.reinforce` sets and which lasts ``tau_reward`` steps; 0 means one step.

    Args:
        plus, minus: changes of the tag by a pair.
        tau_plus, tau_minus: time constants of the pairs [steps].
        decay: what the tag loses in a step.
        rate: how much a reward of 8 moves a weight, per unit of the tag.
        tau_reward: time constant of the reward [steps].
        options: further fields of :class:`~.rule.LearningRule`.
    """
    name, arithmetic = "reward_stdp", options.get("arithmetic", "lava")
    up = constant(plus, IMPULSE, "x1", name, arithmetic)
    down = constant(minus, IMPULSE, "y1", name, arithmetic)
    loss = constant(decay, 1, "t", name, arithmetic)
    gain = constant(rate, 8, "t y3", name, arithmetic)
    traces = {"x1": Trace(IMPULSE, tau_plus), "y1": Trace(IMPULSE, tau_minus), "y3": Trace(0, tau_reward)}
    change = f"{up}*x1*y0 - {down}*y1*x0 - {loss}*u0*t"
    return _rule(name, options, dw=f"{gain}*u0*t*y3", dt=change, reinforcement="y3", **traces)


def e_prop(
    rate: float = 1 / 64,
    tau_membrane: float = 10,
    eligibility: float = 8.0,
    decay: float = 1 / 32,
    tau_signal: float = 0,
    **options: Any,
) -> LearningRule:
    """E-prop 1: eligibility traces and a learning signal (Bellec et al. 2020, 10.1038/s41467-020-17236-y).

    ``dt = eligibility z psi - decay t`` on the tag, the filtered eligibility trace, and ``dw = rate L t / 8``: z is the
    source's spikes, each of height 1, filtered as the target's membrane does (what a weight does to the voltage), psi
    the target's pseudo-derivative of 0 .. 1 (:attr:`~.rule.LearningRule.surrogate`), and L the learning signal of the
    target, its part in what was wrong (``sum over k of B_jk (wanted_k - given_k)``), -128 .. 127, which
    :meth:`~.plastic.PlasticSynapses.reinforce` sets and which lasts ``tau_signal`` steps; 0 means one step. Positive
    signals raise the weights, of what has brought the target near its threshold, whether it spiked or not.

    Args:
        rate: how much a signal of 8 moves a weight, per unit of the tag.
        tau_membrane: time constant of the target's voltage [steps].
        eligibility: what the tag gains in a step in which z and psi are 1.
        decay: what the tag loses in a step; 1 over the time constant of what is read out, or of the wait for L.
        tau_signal: time constant of the signal [steps].
        options: further fields of :class:`~.rule.LearningRule`.
    """
    name, arithmetic = "e_prop", options.get("arithmetic", "lava")
    gain = constant(eligibility, RATE_IMPULSE * SURROGATE, "x1 y2", name, arithmetic)
    loss = constant(decay, 1, "t", name, arithmetic)
    signal = constant(rate, 8, "t y3", name, arithmetic)
    traces = {"x1": Trace(RATE_IMPULSE, tau_membrane), "y2": Trace(0, 0), "y3": Trace(0, tau_signal)}
    change = f"{gain}*u0*x1*y2 - {loss}*u0*t"
    held: dict[str, Any] = {"reinforcement": "y3", "surrogate": "y2"}
    return _rule(name, options, dw=f"{signal}*u0*t*y3", dt=change, **held, **traces)


def pes(rate: float = 1 / 64, tau: float = 20, decimation: int = 2, **options: Any) -> LearningRule:
    """Prescribed error sensitivity (MacNeil and Eliasmith 2011, 10.1371/journal.pone.0022885).

    ``dw = rate a e`` every ``2^decimation`` steps, with the filtered activity a of the source and the error e of each
    target, its encoder's product with the error of what is decoded: -128 .. 127, set by
    :meth:`~.plastic.PlasticSynapses.reinforce` and held until it is set again. Positive errors raise the weights.

    Args:
        rate: per unit of error, for a source whose trace stands at 16, one spike's impulse.
        tau: time constant of the activity [steps].
        decimation: k, 0 .. 9.
        options: further fields of :class:`~.rule.LearningRule`.
    """
    name = "pes"
    gain = constant(rate, RATE_IMPULSE, "x1 y3", name, options.get("arithmetic", "lava"))
    traces = {"x1": Trace(RATE_IMPULSE, tau), "y3": Trace(0, math.inf)}
    return _rule(name, options, dw=f"{gain}*u{decimation}*x1*y3", reinforcement="y3", **traces)


def delta_rule(rate: float = 1 / 8, tau: float = 20, **options: Any) -> LearningRule:
    """The delta rule (Widrow and Hoff 1960) at the spikes of the source.

    ``dw = rate (wanted - actual) / 16`` at each spike of the source, with the target's own filtered activity and the
    activity that is wanted of it, in the same units (a regular rate f gives ``16 f tau`` about), which
    :meth:`~.plastic.PlasticSynapses.reinforce` sets and which is held.

    Args:
        rate: per spike of difference.
        tau: time constant of the activity [steps].
        options: further fields of :class:`~.rule.LearningRule`.
    """
    name = "delta_rule"
    gain = constant(rate, RATE_IMPULSE, "y1", name, options.get("arithmetic", "lava"))
    traces = {"y1": Trace(RATE_IMPULSE, tau), "y3": Trace(0, math.inf)}
    return _rule(name, options, dw=f"{gain}*x0*y3 - {gain}*x0*y1", reinforcement="y3", **traces)


def homeostasis(
    wanted: float, rate: float = 1 / 256, tau: float = 100, decimation: int = 4, **options: Any
) -> LearningRule:
    """Synaptic scaling (Turrigiano 2008, 10.1016/j.cell.2008.10.008): weights are multiplied until a rate is reached.

    ``dw = rate w (16 wanted tau - y1) / 16`` every ``2^decimation`` steps, y1 the target's filtered activity.

    Args:
        wanted: rate of the targets, spikes a step.
        rate: fraction of the weight, per spike of difference in the trace.
        tau: time constant of the activity [steps].
        decimation: k, 0 .. 9.
        options: further fields of :class:`~.rule.LearningRule`.

    Raises:
        LearningRuleError: the trace would stand above 100 at the wanted rate, where it has no room.
    """
    name = "homeostasis"
    left = math.exp(-1 / tau)
    level = round(RATE_IMPULSE * wanted * (1 + left) / (1 - left) / 2)
    if not 1 <= level <= 100:
        raise LearningRuleError(
            f"{name}: y1 stands at {level} when the rate is {wanted:g}; choose tau so that it stands at 1 .. 100"
        )
    gain = constant(rate, RATE_IMPULSE, "w y1", name, options.get("arithmetic", "lava"))
    return _rule(name, options, dw=f"{gain}*u{decimation}*w*({level} - y1)", y1=Trace(RATE_IMPULSE, tau))


#: The rules of this module by name.
RULES: dict[str, Callable[..., LearningRule]] = {
    "pair_stdp": pair_stdp,
    "triplet_stdp": triplet_stdp,
    "reward_stdp": reward_stdp,
    "e_prop": e_prop,
    "pes": pes,
    "delta_rule": delta_rule,
    "homeostasis": homeostasis,
}
