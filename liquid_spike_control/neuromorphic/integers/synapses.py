# SPDX-License-Identifier: Apache-2.0
"""Connections between populations, in Loihi's integers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numba import njit

from ...spiking.synapse_order import are_in_order, by_source
from ..learning.rule import LearningRule
from .neurons import check


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    first, second = np.broadcast_to(value, 2)
    return int(first), int(second)


#: ``lava``: Intel's Lava, ``fixed_pt``. ``brian2loihi``: Michaelis et al. 2022 (10.3389/fninf.2022.1015624), who
#: compared theirs with the chip. They differ in mixed weights and in negative weight exponents.
Rounding = Literal["lava", "brian2loihi"]


def quantise_weights(
    weights: np.ndarray, num_weight_bits: int = 8, rounding: Rounding = "lava"
) -> np.ndarray:
    """Weights as Loihi stores them.

    The sign mode follows from the weights: excitatory if none is negative, inhibitory if none is positive
    (they are then stored without their sign), else mixed. They are clipped to ``[-256 if mixed else 0,
    255]``, and the lowest ``8 - num_weight_bits + (1 if mixed else 0)`` bits are cleared: 8-bit mixed weights
    are even. Mixed weights are rounded down by Lava's rule, toward zero by Brian2Loihi's.

    Args:
        weights: integers, any shape.
        num_weight_bits: 1 .. 8.
        rounding: whose rule.

    Returns:
        int64, same shape.
    """
    w = np.asarray(weights).astype(np.int64)
    sign, low, shift = storage(w, num_weight_bits)
    w = np.clip(sign * w, low, 255)
    if rounding == "brian2loihi":
        return sign * np.sign(w) * ((np.abs(w) >> shift) << shift)
    return sign * ((w >> shift) << shift)


def storage(weights: np.ndarray, num_weight_bits: int) -> tuple[int, int, int]:
    """How weights are held: the sign that they lose, the lowest one kept, the bits that are cleared."""
    least, most = (int(f(initial=0)) for f in (weights.min, weights.max))
    mixed = least < 0 < most
    return -1 if least < 0 and not mixed else 1, -256 * mixed, 8 - num_weight_bits + mixed


@njit(cache=True, nogil=True)
def _store(weights, sign, low, shift, toward_zero, right, out):
    """:func:`quantise_weights` without arrays in between; then each is shifted ``right``."""
    for i in range(len(weights)):
        w = min(max(sign * np.int64(weights[i]), low), 255)
        if toward_zero and w < 0:
            w = -((-w >> shift) << shift)
        else:
            w = (w >> shift) << shift
        out[i] = (sign * w) >> right


class _Stored:
    """Weights as Loihi stores and adds them: what :class:`Dense` and :class:`Sparse` have in common."""

    weights: np.ndarray
    num_weight_bits: int
    weight_exp: int
    delays: np.ndarray | int
    rounding: Rounding

    def _check(self, where: str, shape: tuple[int, ...]) -> None:
        """Refuse numbers out of range; weights and delays become int64."""
        w, d = np.asarray(self.weights), np.asarray(self.delays)
        check(w.dtype.kind in "iu" and w.shape == shape, f"{where}: weights must be integers of shape {shape}")
        check(1 <= self.num_weight_bits <= 8, f"{where}: num_weight_bits must lie in 1 .. 8")
        check(-8 <= self.weight_exp <= 7, f"{where}: weight_exp must lie in -8 .. 7")
        check(d.dtype.kind in "iu" and d.shape in ((), shape), f"{where}: delays must be integers {shape}")
        check(not d.size or (d.min() >= 0 and d.max() <= 63), f"{where}: delays must lie in 0 .. 63")
        check(self.rounding in ("lava", "brian2loihi"), f"{where}: rounding must be lava or brian2loihi")
        object.__setattr__(self, "weights", w.astype(self._narrow(w)))
        object.__setattr__(self, "delays", d.astype(np.int64 if d.ndim == 0 else self._narrow(d)))

    def _narrow(self, values: np.ndarray) -> type:
        """The type that they are kept in."""
        return np.int64

    @property
    def synapses(self) -> np.ndarray:
        """Weights as they act, int64, in the shape of the weights; their sum is shifted by :attr:`shift`."""
        w = quantise_weights(self.weights, self.num_weight_bits, self.rounding)
        if self.rounding == "brian2loihi" and self.weight_exp < 0:
            return w >> -self.weight_exp
        return w

    @property
    def shift(self) -> int:
        """By how much the sum of a step is shifted left."""
        return self.weight_exp if self.rounding == "lava" else max(self.weight_exp, 0)


@dataclass(frozen=True, eq=False)
class Dense(_Stored):
    """All-to-all synapses; a spike at ``t`` acts at ``t + 1 + delay``.

    Attributes:
        source: a population, the target itself (recurrence), or ``"input"``.
        target: a population.
        weights: integers, shape ``(n_target, n_source)``; stored by :func:`quantise_weights`.
        num_weight_bits: 1 .. 8.
        weight_exp: the summed weights of a step are shifted left by it (right, rounding down, if negative),
            -8 .. 7. By ``brian2loihi`` each weight is shifted right by itself, rounding down.
        delays: extra steps, shape of the weights or one integer, 0 .. 63.
        rounding: whose rule, see :data:`Rounding`.
        learning: what changes the synapses; their weights are then all there, 0 or not, and act as they are,
            with the lowest bit of mixed ones.
    """

    source: str
    target: str
    weights: np.ndarray
    num_weight_bits: int = 8
    weight_exp: int = 0
    delays: np.ndarray | int = 0
    rounding: Rounding = "lava"
    learning: LearningRule | None = None

    def __post_init__(self) -> None:
        where = f"Dense {self.source} -> {self.target}"
        w = np.asarray(self.weights)
        check(w.ndim == 2, f"{where}: weights must be integers (n_target, n_source)")
        self._check(where, w.shape)
        if self.learning is not None:
            self.learning.check_connection(
                where, self.weights, np.asarray(self.delays), self.num_weight_bits, self.weight_exp, self.rounding
            )

    @property
    def synapses(self) -> np.ndarray:
        """Weights as they act, int64, in the shape of the weights; their sum is shifted by :attr:`shift`."""
        return self.weights if self.learning is not None else super().synapses

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_target, n_source)``."""
        return self.weights.shape[0], self.weights.shape[1]


@dataclass(frozen=True, eq=False)
class Sparse(_Stored):
    """As :class:`Dense`, with the synapses named one by one; weights of 0 are none.

    Attributes:
        source, target, num_weight_bits, weight_exp, rounding: as in ``Dense``.
        shape: ``(n_target, n_source)``.
        targets, sources: integers ``(n_synapses,)``, no pair twice; kept as int32.
        weights: integers ``(n_synapses,)``.
        delays: extra steps, ``(n_synapses,)`` or one integer, 0 .. 63.
    """

    source: str
    target: str
    shape: tuple[int, int]
    targets: np.ndarray
    sources: np.ndarray
    weights: np.ndarray
    num_weight_bits: int = 8
    weight_exp: int = 0
    delays: np.ndarray | int = 0
    rounding: Rounding = "lava"

    def __post_init__(self) -> None:
        where = f"Sparse {self.source} -> {self.target}"
        object.__setattr__(self, "shape", (int(self.shape[0]), int(self.shape[1])))
        w = np.asarray(self.weights)
        check(w.ndim == 1, f"{where}: weights must be integers (n_synapses,)")
        self._check(where, w.shape)
        for name, n in (("targets", self.shape[0]), ("sources", self.shape[1])):
            index = np.asarray(getattr(self, name))
            check(
                index.dtype.kind in "iu" and index.shape == w.shape,
                f"{where}: {name} must be {len(w)} integers, one a synapse",
            )
            check(
                not index.size or (index.min() >= 0 and index.max() < n),
                f"{where}: {name} must lie in 0 .. {n - 1}",
            )
            object.__setattr__(self, name, index.astype(np.int32))
        distinct = are_in_order(self.sources, self.targets) or self._sorted[3]
        check(distinct, f"{where}: a pair of neurons has two synapses; add them up")

    def _narrow(self, values: np.ndarray) -> type:
        # An array of a hundred million synapses takes longer to allocate than to go through.
        fits = not values.size or (values.min() >= -(2**15) and values.max() < 2**15)
        return np.int16 if fits else np.int64

    @property
    def narrow_synapses(self) -> np.ndarray:
        """As :attr:`synapses`, int16."""
        w, exponent = self.weights, self.weight_exp
        sign, low, shift = storage(w, self.num_weight_bits)
        toward_zero = self.rounding == "brian2loihi"
        acting = np.empty(len(w), np.int16)
        _store(w, sign, low, shift, toward_zero, max(-exponent, 0) if toward_zero else 0, acting)
        return acting

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Rows, targets, and weights and delays as one number, by source; and whether all pairs differ."""
        carried = self.narrow_synapses
        carried += 256
        carried <<= 6
        if np.ndim(self.delays):
            carried |= np.asarray(self.delays, np.int16)
        return by_source(self.sources, self.targets, carried, self.shape)

    def by_source(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The synapses by source and target, as compressed rows.

        Returns:
            Where those of each source begin, int64 ``(n_source + 1,)``; targets, int32; weights as they act, int16;
            delays, int16, each ``(n_synapses,)``.
        """
        rows, targets, carried, _ = self._sorted
        delays = carried & 63 if np.ndim(self.delays) else np.broadcast_to(np.int16(self.delays), targets.shape)
        weights = carried >> 6
        weights -= 256
        return rows, targets, weights, delays


@dataclass(frozen=True, eq=False)
class Conv:
    """Convolution by Lava's rule, which is the recorded one.

    The order of the axes is X, Y, C with the channels contiguous: the neuron at ``(x, y, c)`` of an array of
    shape ``(X, Y, C)`` has index ``(x * Y + y) * C + c``, numpy's ``ravel``. The kernel is flipped in space
    (a true convolution; torch, NIR and ONNX correlate):

    ``a[x, y, o] = sum of weights[o, K - 1 - k, L - 1 - l, c] * s[x * stride - padding + k, ..., c]``
    over k, l and c.

    The weights are taken as they are: Lava's Conv clears no bits of mixed weights and ignores a weight
    exponent; here ``weight_exp`` acts as in :class:`Dense` and its default is Lava's. Lava wraps the sum at
    24 bits, which needs more than 32,767 synapses on a neuron; such kernels are refused.

    Attributes:
        source: a population, or ``"input"``.
        target: a population of as many neurons as :attr:`output_shape`.
        weights: integers in -256 .. 255, shape ``(C_out, K, L, C_in)``.
        input_shape: ``(X, Y, C_in)``.
        stride, padding: one integer or one an axis.
        weight_exp: -8 .. 7.
        channels_first: the source's index is ``(c * X + x) * Y + y`` instead (event cameras, NIR).
        delay: extra steps, 0 .. 63.
    """

    source: str
    target: str
    weights: np.ndarray
    input_shape: tuple[int, int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    weight_exp: int = 0
    channels_first: bool = False
    delay: int = 0

    def __post_init__(self) -> None:
        w = np.asarray(self.weights)
        where = f"Conv {self.source} -> {self.target}"
        check(w.dtype.kind in "iu" and w.ndim == 4, f"{where}: weights must be integers (C_out, K, L, C_in)")
        check(w.size > 0 and w.min() >= -256 and w.max() <= 255, f"{where}: weights must lie in -256 .. 255")
        check(w[0].size < 2**15, f"{where}: {w[0].size} synapses on a neuron; at most 32767")
        check(
            len(self.input_shape) == 3 and w.shape[3] == self.input_shape[2],
            f"{where}: weights {w.shape} do not fit input_shape {tuple(self.input_shape)}",
        )
        check(-8 <= self.weight_exp <= 7, f"{where}: weight_exp must lie in -8 .. 7")
        check(0 <= self.delay <= 63, f"{where}: delay must lie in 0 .. 63")
        object.__setattr__(self, "weights", w.astype(np.int64))
        object.__setattr__(self, "input_shape", tuple(int(n) for n in self.input_shape))
        for name, low in (("stride", 1), ("padding", 0)):
            check(min(_pair(getattr(self, name))) >= low, f"{where}: {name} must be at least {low}")
        check(min(self.output_shape) > 0, f"{where}: the kernel is larger than the input")

    @property
    def shift(self) -> int:
        """By how much the sum of a step is shifted left."""
        return self.weight_exp

    @property
    def delays(self) -> int:
        """Extra steps of every synapse."""
        return self.delay

    @property
    def strides(self) -> tuple[int, int]:
        """Stride along X and Y."""
        return _pair(self.stride)

    @property
    def paddings(self) -> tuple[int, int]:
        """Padding along X and Y."""
        return _pair(self.padding)

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_target, n_source)``."""
        return int(np.prod(self.output_shape)), int(np.prod(self.input_shape))

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """``(X_out, Y_out, C_out)``."""
        size = [
            (n + 2 * p - k) // s + 1
            for n, p, k, s in zip(
                self.input_shape, self.paddings, self.weights.shape[1:3], self.strides, strict=False
            )
        ]
        return size[0], size[1], self.weights.shape[0]
