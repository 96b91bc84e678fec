# SPDX-License-Identifier: Apache-2.0
"""Learning rules in Loihi's notation: sums of products, read and checked against the widths of the learning engine.

    dw = 2^-4*x1*y0 - 2^-4*y1*x0
    dt = 2^-2*x1*y0 - 2^-3*t*u0

Every product is a constant times factors: a gate (``x0``: the source has spiked in the epoch, ``y0``: the target has,
``uk``: every 2^k epochs), traces (``x1``, ``x2`` of the source, ``y1``, ``y2``, ``y3`` of the target), the synapse's
own weight ``w``, delay ``d`` and tag ``t``, ``sgn()`` of these, each with a constant added if need be:
``(y1 - 4)``. The first gate of a product decides at which step of the epoch the traces are read.

Notation: Davies et al. 2018 (IEEE Micro 38(1)); widths and the range of constants: Intel's Lava 0.10.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from ...errors import LearningRuleError

#: What a rule changes: weight, delay, tag.
VARIABLES = ("w", "d", "t")
#: Traces of the source, then of the target.
TRACES = ("x1", "x2", "y1", "y2", "y3")
GATES = ("x0", "y0", "u")
#: Bits of a factor without its sign; those of a synapse's own numbers have nine.
WIDTHS = {"x0": 1, "y0": 1, **dict.fromkeys(TRACES, 7), **dict.fromkeys(VARIABLES, 9)}
#: Bits of a constant's mantissa, its sign included, and of the sum of changes.
MANTISSA_BITS, SUM_BITS = 4, 15
#: Bits that a product may have before it is shifted.
PRODUCT_BITS = 31
LEAST_EXPONENT, MOST_EXPONENT = -7, 8
MOST_DECIMATION = 9
_LEAST_CONSTANT, _MOST_CONSTANT = -128, 127

_TOKEN = re.compile(r"\s*(?:(\d+)|([a-zA-Z]\w*)|([-+*^()]))")


@dataclass(frozen=True, slots=True)
class Factor:
    """``name + constant``, or the sign of it.

    Attributes:
        name: ``x0``, ``y0``, a trace, ``w``, ``d`` or ``t``.
        constant: what is added, -128 .. 127.
        sign: whether only the sign counts, -1, 0 or 1.
    """

    name: str
    constant: int = 0
    sign: bool = False


@dataclass(frozen=True, slots=True)
class Product:
    """``mantissa 2^exponent`` times factors, in the epochs in which its gate is open.

    Attributes:
        gate: ``x0``, ``y0`` or ``u``.
        decimation: k of ``uk``; 0 for the other gates.
        mantissa: -8 .. 7.
        exponent: -7 .. 8.
        factors: in the order in which they stand.
    """

    gate: str
    decimation: int
    mantissa: int
    exponent: int
    factors: tuple[Factor, ...]

    @property
    def shift(self) -> int:
        """Bits by which Lava shifts the product right, so that it fits the sum of changes.

        Lava does not shift it back: the product counts 2^-shift of what is written.
        """
        bits = MANTISSA_BITS + sum(WIDTHS[f.name] for f in self.factors)
        return max(0, bits - SUM_BITS)

    @property
    def traces(self) -> set[str]:
        """Names of the traces among the factors."""
        return {f.name for f in self.factors} & set(TRACES)


def parse(text: str, variable: str, rule: str = "rule") -> tuple[Product, ...]:
    """Read what changes a synapse's weight, delay or tag.

    Args:
        text: the sum; it may begin with ``dw =``.
        variable: ``w``, ``d`` or ``t``.
        rule: name of the rule, for errors.

    Raises:
        LearningRuleError: it is no sum of products, or the learning engine cannot hold a product of it.
    """
    where = f"{rule}: d{variable}"
    head, equals, rest = text.partition("=")
    if equals and head.strip() != f"d{variable}":
        raise LearningRuleError(f"{where}: begins with '{head.strip()[:20]} ='; write d{variable} = ...")
    return _Reader(rest if equals else text, where).products()


class _Reader:
    """Reads a sum of products from left to right."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.tokens: list[str] = []
        text, at = text.rstrip(), 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                self.refuse(f"'{text[at:].strip()[:1]}' is no part of a rule", "use + - * ^ ( ), numbers and factors")
            self.tokens.append(match[0].strip())
            at = match.end()
        self.tokens.append("")  # the end
        self.at = 0

    def refuse(self, what: str, remedy: str) -> NoReturn:
        raise LearningRuleError(f"{self.where}: {what}; {remedy}")

    @property
    def next(self) -> str:
        return self.tokens[self.at]

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, token: str, after: str) -> None:
        if self.next != token:
            found = f"'{self.next}'" if self.next else "the end"
            self.refuse(f"{found} where '{token}' is expected after {after}", "balance the parentheses")
        self.take()

    def sign(self, needed: bool = False) -> int:
        """Signs that stand here, multiplied."""
        sign = 1
        if needed and self.next not in ("+", "-"):
            self.refuse(f"'{self.next}' after a product", "join factors by * and products by + or -")
        while self.next in ("+", "-"):
            sign *= -1 if self.take() == "-" else 1
        return sign

    def products(self) -> tuple[Product, ...]:
        if not self.next:
            self.refuse("nothing stands there", "write a sum of products, e.g. 2^-4*x1*y0, or leave it out")
        found = [self.product(self.sign())]
        while self.next:
            found.append(self.product(self.sign(needed=True)))
        return tuple(found)

    def product(self, sign: int) -> Product:
        start = self.at
        mantissa, exponent, gate, decimation = sign, 0, "", 0
        factors: list[Factor] = []
        while True:
            scale, power, factor, k = self.factor()
            mantissa, exponent = mantissa * scale, exponent + power
            if factor is not None and factor.name == "u":
                if gate:
                    self.refuse(f"u{k} beside {gate}", "give a product one gate; u may only be the first of them")
                gate, decimation = "u", k
            elif factor is not None and factor.name in ("x0", "y0") and not gate:
                gate = factor.name
            elif factor is not None:
                factors.append(factor)
            if self.next != "*":
                break
            self.take()
        text = "".join(self.tokens[start : self.at])
        if not gate:
            self.refuse(f"{text} has no gate", "multiply it by x0, y0 or u0 .. u9, which say when it counts")
        while abs(mantissa) > 7 and mantissa % 2 == 0:
            mantissa, exponent = mantissa // 2, exponent + 1
        if not -8 <= mantissa <= 7:
            self.refuse(f"{text}: the constant {mantissa} has more than 4 bits", "use -8 .. 7 times a power of 2")
        if mantissa and not LEAST_EXPONENT <= exponent <= MOST_EXPONENT:
            remedy = f"use {LEAST_EXPONENT} .. {MOST_EXPONENT}, and scale the traces' impulses"
            self.refuse(f"{text}: the exponent {exponent} is none of the chip's", remedy)
        bits = MANTISSA_BITS + sum(WIDTHS[f.name] for f in factors)
        if bits > PRODUCT_BITS:
            self.refuse(f"{text}: its factors have {bits} bits, {PRODUCT_BITS} are multiplied", "leave a factor out")
        return Product(gate, decimation, mantissa, exponent if mantissa else 0, tuple(factors))

    def factor(self) -> tuple[int, int, Factor | None, int]:
        """A mantissa and an exponent, a factor if it is one, and the k of uk."""
        token = self.take()
        if token.isdigit():
            return *self.constant(token), None, 0
        if token == "(":
            return self.bracket(sign=False)
        if token == "sgn":
            self.expect("(", "sgn")
            return self.bracket(sign=True)
        name, k = self.name(token)
        return 1, 0, Factor(name), k

    def constant(self, token: str) -> tuple[int, int]:
        """Mantissa and exponent of ``3`` or ``2^-4``."""
        if self.next != "^":
            return int(token), 0
        self.take()
        sign = self.sign()
        if token != "2" or not self.next.isdigit():
            self.refuse(f"'{token}^{self.next}'", "write powers of 2, e.g. 2^-4")
        return 1, sign * int(self.take())

    def name(self, token: str) -> tuple[str, int]:
        if re.fullmatch(r"u\d+", token):
            if int(token[1:]) > MOST_DECIMATION:
                self.refuse(f"'{token}'", f"use u0 .. u{MOST_DECIMATION}")
            return "u", int(token[1:])
        if token not in WIDTHS:
            found = f"'{token}'" if token else "the end"
            self.refuse(f"{found} is no factor", "known are x0 x1 x2 y0 y1 y2 y3 u0 .. u9 w d t")
        return token, 0

    def bracket(self, sign: bool) -> tuple[int, int, Factor | None, int]:
        """What stands in parentheses: a constant, a factor, or the sum of one of each."""
        first, scale, power, constant, name, terms = True, 1, 0, 0, "", 0
        factor_sign = 1
        while self.next != ")":
            own = self.sign(needed=not first)
            first, terms = False, terms + 1
            token = self.take()
            if token.isdigit():
                mantissa, power = self.constant(token)
                scale, constant = own * mantissa, own * mantissa * 2 ** max(power, 0)
                if terms == 2 or name or self.next in ("+", "-"):
                    if power < 0:
                        self.refuse(f"2^{power} beside a factor", "add whole numbers to factors")
            else:
                if name:
                    self.refuse(f"{name} and {token} in one factor", "multiply out: a factor holds one variable")
                name, k = self.name(token)
                if name == "u":
                    self.refuse(f"{token} in parentheses", "put u in front of the product")
                factor_sign = own
            if terms > 2 or not self.next:
                self.refuse("a factor of more than a variable and a constant", "multiply out, close the parenthesis")
        self.take()
        if not terms:
            self.refuse("empty parentheses", "leave them out")
        if sign and (name not in VARIABLES or factor_sign < 0):
            self.refuse("sgn() of something else than w, d or t", "take the sign of w, d or t, with a plus")
        if not name:
            if terms > 1:
                self.refuse("two constants in one factor", "add them")
            return scale, power, None, 0
        constant *= factor_sign  # (4 - y1) = -(y1 - 4)
        if not _LEAST_CONSTANT <= constant <= _MOST_CONSTANT:
            remedy = f"add {_LEAST_CONSTANT} .. {_MOST_CONSTANT}"
            self.refuse(f"the constant {constant} beside {name} has more than 8 bits", remedy)
        return factor_sign, 0, Factor(name, constant, sign), 0
