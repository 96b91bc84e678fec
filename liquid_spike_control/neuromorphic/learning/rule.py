# SPDX-License-Identifier: Apache-2.0
"""A learning rule: what changes weight, delay and tag of a synapse, and the traces that it reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ...errors import LearningRuleError
from .notation import TRACES, VARIABLES, Product, parse

#: Binary places of an impulse.
IMPULSE_BITS = 8
MOST_TRACE, MOST_EPOCH, MOST_DELAY = 127, 63, 62
#: A surrogate of a neuron at its threshold.
SURROGATE = 64

#: Whose arithmetic: Lava's (0.10.0, ``bit_approximate_loihi``) or Brian2Loihi's (0.5.2), which its authors compared
#: with the chip. They differ in decay, in products of more than 15 bits and in the rounding of a weight.
Arithmetic = Literal["lava", "brian2loihi"]
#: Who draws the rounding: ``independent`` draws for every synapse and trace by itself; ``lava`` repeats Lava's
#: generators, which give all traces of a side one number a step, and all synapses one an epoch.
Draws = Literal["independent", "lava"]

#: Least and most weight by sign mode and arithmetic.
_RANGES = {
    ("mixed", "lava"): (-256, 255),
    ("mixed", "brian2loihi"): (-256, 254),
    ("excitatory", "lava"): (0, 255),
    ("excitatory", "brian2loihi"): (0, 255),
    ("inhibitory", "lava"): (-255, 0),
    ("inhibitory", "brian2loihi"): (-256, 0),
}


@dataclass(frozen=True, slots=True)
class Trace:
    """What a spike leaves behind: it adds the impulse, and what is there decays, in 7 bits.

    Attributes:
        impulse: 0 .. 127, in steps of 2^-8; its fraction is rounded at random.
        tau: time constant in steps; 0 forgets with the next step, ``inf`` never.
    """

    impulse: float
    tau: float


@dataclass(frozen=True)
class LearningRule:
    """What a plastic connection learns by.

    In every epoch of ``epoch`` steps, after the spikes of its last step have gone out, each synapse whose gates are
    open adds ``dw``, ``dd`` and ``dt``, rounded at random to whole numbers, to its weight, delay and tag.

    Attributes:
        dw, dd, dt: sums of products, see :mod:`.notation`; None changes nothing. Learnt delays act.
        x1, x2, y1, y2, y3: the traces; None where the rule reads none.
        reinforcement: the trace of the target that takes no spikes but what
            :meth:`~.plastic.PlasticSynapses.reinforce` sets: the third factor, -128 .. 127, one number a neuron.
        reward_axons: reinforcement channels, each an input axon and its impulse, a whole number of -128 .. 127: a spike
            of the axon adds the impulse to the reinforcement of all targets, before the learning of its step.
        surrogate: the trace of the target that takes no spikes but the pseudo-derivative of its spikes with respect to
            its voltage v, ``max(0, 1 - |v - threshold| / threshold)`` (1 where it spikes) in units of 1/64. The one of
            a step counts in the next one. A neuron of Loihi 2 can write such a trace, one of Loihi 1 cannot.
        epoch: steps, 1 .. 63.
        sign: ``mixed``, ``excitatory`` or ``inhibitory``; bounds the weights.
        bounds: least and most weight within those of the sign.
        arithmetic: see :data:`Arithmetic`.
        draws: see :data:`Draws`.
        seed: of the rounding, 0 .. 2^63 - 4.
        name: for messages.

    Raises:
        LearningRuleError: the chip cannot hold it; the message names the rule, the factor and the remedy.
    """

    dw: str | None = None
    dd: str | None = None
    dt: str | None = None
    x1: Trace | None = None
    x2: Trace | None = None
    y1: Trace | None = None
    y2: Trace | None = None
    y3: Trace | None = None
    reinforcement: Literal["y1", "y2", "y3"] | None = None
    reward_axons: tuple[tuple[int, int], ...] | None = None
    surrogate: Literal["y1", "y2", "y3"] | None = None
    epoch: int = 1
    sign: Literal["mixed", "excitatory", "inhibitory"] = "mixed"
    bounds: tuple[int, int] | None = None
    arithmetic: Arithmetic = "lava"
    draws: Draws = "independent"
    seed: int = 0
    name: str = "rule"

    def __post_init__(self) -> None:
        self._check(bool(self.products), "it changes nothing", "give dw, dd or dt")
        self._check_options()
        for name in TRACES:
            self._check_trace(name)
        self._check_held()
        self._check_reward_axons()
        decimations = sorted({p.decimation for p in self.products if p.gate == "u"})
        self._check(
            len(decimations) < 2, f"u{decimations} in one rule", "the chip has one decimation a rule; choose one"
        )

    def _check(self, ok: bool, what: str, remedy: str) -> None:
        if not ok:
            raise LearningRuleError(f"{self.name}: {what}; {remedy}")

    def _check_options(self) -> None:
        self._check(
            isinstance(self.epoch, int) and 1 <= self.epoch <= MOST_EPOCH,
            f"an epoch of {self.epoch} steps",
            f"use 1 .. {MOST_EPOCH}",
        )
        for field, known in (
            ("sign", ("mixed", "excitatory", "inhibitory")),
            ("arithmetic", ("lava", "brian2loihi")),
            ("draws", ("independent", "lava")),
        ):
            self._check(getattr(self, field) in known, f"{field} {getattr(self, field)}", f"use {', '.join(known)}")
        self._check(0 <= self.seed <= 2**63 - 4, f"seed {self.seed}", "use 0 .. 2^63 - 4")
        low, high = _RANGES[self.sign, self.arithmetic]
        if self.bounds is not None:
            least, most = self.bounds
            self._check(
                low <= least < most <= high,
                f"bounds {least} .. {most}",
                f"{self.sign} weights lie in {low} .. {high}",
            )
        if self.arithmetic == "brian2loihi":
            self._check(self.epoch == 1, "an epoch above 1", "Brian2Loihi learns in every step; use arithmetic='lava'")
            self._check(self.dd is None and self.dt is None, "dd or dt", "Brian2Loihi has dw only; use 'lava'")
            self._check(self.draws == "independent", "Lava's draws", "they go with Lava's arithmetic")

    def _check_trace(self, name: str) -> None:
        trace = getattr(self, name)
        used = any(name in p.traces for p in self.products)
        if trace is None:
            self._check(not used, f"{name} has no trace", f"give {name}=Trace(impulse, tau)")
            return
        self._check(
            math.isfinite(trace.impulse) and 0 <= trace.impulse <= MOST_TRACE,
            f"{name} has an impulse of {trace.impulse:g}",
            f"use 0 .. {MOST_TRACE}",
        )
        self._check(trace.tau >= 0, f"{name} has a time constant of {trace.tau:g}", "use 0 or more, inf holds")
        if self.arithmetic == "brian2loihi":
            whole = trace.impulse == int(trace.impulse) and trace.tau >= 1
            self._check(whole, f"{name}", "Brian2Loihi takes whole impulses, and time constants from 1 on")

    def _check_held(self) -> None:
        for what, name in (("reinforcement", self.reinforcement), ("surrogate", self.surrogate)):
            if name is None:
                continue
            self._check(name in ("y1", "y2", "y3"), f"{what} {name}", "use y1, y2 or y3")
            trace = getattr(self, name)
            self._check(
                trace is not None and trace.impulse == 0,
                f"{name} is the {what} and takes spikes",
                f"give {name}=Trace(0, tau)",
            )
        twice = self.surrogate is not None and self.surrogate == self.reinforcement
        self._check(not twice, f"{self.surrogate} is reinforcement and surrogate", "give each a trace of its own")
        self._check(self.surrogate is None or self.epoch == 1, "a surrogate and an epoch above 1", "use an epoch of 1")

    def _check_reward_axons(self) -> None:
        if self.reward_axons is None:
            return
        self._check(
            self.reinforcement is not None, "reward_axons and no reinforcement",
            "name the trace that they add to, reinforcement='y3'",
        )  # fmt: skip
        self._check(self.epoch == 1, "reward_axons and an epoch above 1", "use an epoch of 1")
        axons = [axon for axon, _ in self.reward_axons]
        self._check(len(set(axons)) == len(axons), "an axon is among reward_axons twice", "give each once")
        for axon, impulse in self.reward_axons:
            whole = axon == int(axon) and math.isfinite(impulse) and impulse == int(impulse)
            self._check(
                whole and axon >= 0 and -128 <= impulse <= MOST_TRACE,
                f"a reward axon of {axon:g} with an impulse of {impulse:g}",
                "give the number of an input and a whole impulse, -128 .. 127",
            )

    @cached_property
    def sums(self) -> dict[str, tuple[Product, ...]]:
        """The products of each variable that is learnt, by ``w``, ``d``, ``t``."""
        texts = ((variable, getattr(self, f"d{variable}")) for variable in VARIABLES)
        return {variable: parse(text, variable, self.name) for variable, text in texts if text is not None}

    @property
    def held(self) -> tuple[str, ...]:
        """The traces that are set, not spiked into."""
        return tuple(name for name in (self.reinforcement, self.surrogate) if name is not None)

    @property
    def products(self) -> list[Product]:
        """All products."""
        return [p for products in self.sums.values() for p in products]

    @property
    def decimation(self) -> int:
        """K of ``uk``; 0 where there is none."""
        return max((p.decimation for p in self.products), default=0)

    @property
    def weight_range(self) -> tuple[int, int]:
        """Least and most weight."""
        return self.bounds or _RANGES[self.sign, self.arithmetic]

    def decayed(self, name: str) -> np.ndarray:
        """What a step of decay leaves of a trace before it is rounded, float64 ``(256,)``, of -128 .. 127."""
        trace = getattr(self, name)
        if trace is None or trace.tau == 0:
            return np.zeros(256)
        values = np.arange(-128, 128)
        if self.arithmetic == "brian2loihi":
            return values * (1 - 1.0 / trace.tau)
        return np.exp(-1 / trace.tau) * values

    def impulse(self, name: str) -> tuple[int, int]:
        """Whole part and 2^-8ths of a trace's impulse."""
        trace = getattr(self, name)
        if trace is None:
            return 0, 0
        whole = math.floor(trace.impulse)
        return whole, round((trace.impulse - whole) * 2**IMPULSE_BITS)

    def check_connection(
        self, where: str, weights: np.ndarray, delays: np.ndarray, bits: int, exponent: int, rounding: str
    ) -> None:
        """Refuse synapses that this rule cannot change.

        Args:
            where: name of the connection.
            weights, delays: integers.
            bits, exponent: of the weights.
            rounding: of the connection.

        Raises:
            LearningRuleError: weights out of range, or a connection of another kind.
        """
        low, high = self.weight_range
        least, most = int(weights.min(initial=high)), int(weights.max(initial=low))
        checks = (
            (low <= least and most <= high, f"weights {least} .. {most}", f"{self.name} keeps them in {low} .. {high}"),
            (bits == 8, f"{bits} weight bits", "learnt weights have 8"),
            (exponent >= 0, f"weight_exp {exponent}", "learnt weights take 0 .. 7"),
            (rounding == "lava", f"rounding {rounding}", "it says nothing here; set the rule's arithmetic"),
            (self.dd is None or np.max(delays, initial=0) <= MOST_DELAY, "delays", f"use 0 .. {MOST_DELAY}"),
        )
        for ok, what, remedy in checks:
            if not ok:
                raise LearningRuleError(f"{where}: {what}; {remedy}")

    def to_table(self) -> dict[str, Any]:
        """As JSON values."""
        table: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Trace):
                value = [float(value.impulse), "inf" if math.isinf(value.tau) else float(value.tau)]
            elif field.name == "reward_axons" and value is not None:
                value = [[int(axon), int(impulse)] for axon, impulse in value]
            elif isinstance(value, tuple):
                value = [int(v) for v in value]
            if value is not None:
                table[field.name] = value
        return table

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> LearningRule:
        """Out of :meth:`to_table`.

        Raises:
            LearningRuleError: it is none.
        """
        known = {field.name for field in fields(cls)}
        if unknown := set(table) - known:
            raise LearningRuleError(f"learning rule: {sorted(unknown)[0]}: no such field; write the file again")
        arguments: dict[str, Any] = dict(table)
        try:
            for name in TRACES:
                if name in arguments:
                    impulse, tau = arguments[name]
                    arguments[name] = Trace(float(impulse), float(tau))
            if "bounds" in arguments:
                least, most = arguments["bounds"]
                arguments["bounds"] = int(least), int(most)
            if "reward_axons" in arguments:
                pairs = [(int(axon), int(impulse)) for axon, impulse in arguments["reward_axons"]]
                arguments["reward_axons"] = tuple(pairs)
            return cls(**arguments)
        except (TypeError, ValueError) as error:
            raise LearningRuleError(f"learning rule: {error}; write the file again") from None
