# SPDX-License-Identifier: Apache-2.0
"""An integer spiking network in Loihi's terms: populations of CUBA-LIF neurons and what connects them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import ModelError

#: Name of the source that stands for the input spikes.
INPUT = "input"


def _check(ok: bool, message: str) -> None:
    if not ok:
        raise ModelError(message)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    first, second = np.broadcast_to(value, 2)
    return int(first), int(second)


def quantise_weights(weights: np.ndarray, num_weight_bits: int = 8) -> np.ndarray:
    """Weights as Loihi stores them, by Lava's rule.

    The sign mode follows from the weights: excitatory if none is negative, inhibitory if none is positive
    (they are then stored without their sign), else mixed. They are clipped to ``[-256 if mixed else 0,
    255]``, and the lowest ``8 - num_weight_bits + (1 if mixed else 0)`` bits are cleared, rounding down:
    8-bit mixed weights are even.

    Args:
        weights: integers, any shape.
        num_weight_bits: 1 .. 8.

    Returns:
        int64, same shape.
    """
    w = np.asarray(weights).astype(np.int64)
    if not w.size:
        return w
    sign = -1 if w.max() <= 0 and w.min() < 0 else 1
    mixed = bool(w.min() < 0 < w.max())
    shift = 8 - num_weight_bits + mixed
    return sign * ((np.clip(sign * w, -256 * mixed, 255) >> shift) << shift)


@dataclass(frozen=True, eq=False)
class Population:
    """CUBA-LIF neurons (Davies et al. 2018, eq. 1-3; Lava ``LIF`` fixed point).

    ``u <- tz(u (4096 - (du + 1)) / 4096) + (a << 6)``, ``v <- tz(v (4096 - dv) / 4096) + u + bias``,
    spike where ``v > vth << 6``, then ``v = 0``. Each parameter is one integer or one a neuron.

    Attributes:
        n: number of neurons.
        du, dv: decays of current and voltage, 0 .. 4095 (in 1/4096 a step; du acts as du + 1).
        vth: threshold mantissa, 0 .. 131071.
        bias_mant, bias_exp: bias ``bias_mant << bias_exp``, -4096 .. 4095 and 0 .. 7.
        refractory: a spike sets a counter to this, which counts down at the end of every step, that one too;
            v stays 0 while it runs (nengo-loihi's rule): 0 and 1 do nothing, r silences r - 1 steps. 0 .. 63.
    """

    n: int
    du: int | np.ndarray
    dv: int | np.ndarray
    vth: int | np.ndarray
    bias_mant: int | np.ndarray = 0
    bias_exp: int | np.ndarray = 0
    refractory: int | np.ndarray = 0

    _ranges = (
        ("du", 0, 4095),
        ("dv", 0, 4095),
        ("vth", 0, 2**17 - 1),
        ("bias_mant", -4096, 4095),
        ("bias_exp", 0, 7),
        ("refractory", 0, 63),
    )

    def __post_init__(self) -> None:
        _check(self.n > 0, f"a population has {self.n} neurons; give it at least one")
        for name, low, high in self._ranges:
            value = np.asarray(getattr(self, name))
            _check(
                value.dtype.kind in "iu" and value.shape in ((), (self.n,)),
                f"{name}: give one integer, or {self.n}, not {value.dtype} of shape {value.shape}",
            )
            _check(
                bool((value >= low).all() and (value <= high).all()),
                f"{name} must lie in {low} .. {high}, not {value.min()} .. {value.max()}",
            )
            object.__setattr__(self, name, value.astype(np.int64))

    @property
    def bias(self) -> np.ndarray:
        """The bias that is added to v every step, int64."""
        return np.asarray(self.bias_mant << self.bias_exp)


@dataclass(frozen=True, eq=False)
class Dense:
    """All-to-all synapses; a spike at ``t`` acts at ``t + 1 + delay``.

    Attributes:
        source: a population, the target itself (recurrence), or ``"input"``.
        target: a population.
        weights: integers, shape ``(n_target, n_source)``; stored by :func:`quantise_weights`.
        num_weight_bits: 1 .. 8.
        weight_exp: the summed weights of a step are shifted left by it (right, rounding down, if negative),
            -8 .. 7.
        delays: extra steps, shape of the weights or one integer, 0 .. 63.
    """

    source: str
    target: str
    weights: np.ndarray
    num_weight_bits: int = 8
    weight_exp: int = 0
    delays: np.ndarray | int = 0

    def __post_init__(self) -> None:
        w, d = np.asarray(self.weights), np.asarray(self.delays)
        where = f"Dense {self.source} -> {self.target}"
        _check(
            w.dtype.kind in "iu" and w.ndim == 2, f"{where}: weights must be integers (n_target, n_source)"
        )
        _check(1 <= self.num_weight_bits <= 8, f"{where}: num_weight_bits must lie in 1 .. 8")
        _check(-8 <= self.weight_exp <= 7, f"{where}: weight_exp must lie in -8 .. 7")
        _check(
            d.dtype.kind in "iu" and d.shape in ((), w.shape), f"{where}: delays must be integers {w.shape}"
        )
        _check(not d.size or (d.min() >= 0 and d.max() <= 63), f"{where}: delays must lie in 0 .. 63")
        object.__setattr__(self, "weights", w.astype(np.int64))
        object.__setattr__(self, "delays", d.astype(np.int64))

    @property
    def synapses(self) -> np.ndarray:
        """Weights as stored, int64 ``(n_target, n_source)``."""
        return quantise_weights(self.weights, self.num_weight_bits)


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
    """

    source: str
    target: str
    weights: np.ndarray
    input_shape: tuple[int, int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    weight_exp: int = 0
    channels_first: bool = False

    def __post_init__(self) -> None:
        w = np.asarray(self.weights)
        where = f"Conv {self.source} -> {self.target}"
        _check(w.dtype.kind in "iu" and w.ndim == 4, f"{where}: weights must be integers (C_out, K, L, C_in)")
        _check(w.size > 0 and w.min() >= -256 and w.max() <= 255, f"{where}: weights must lie in -256 .. 255")
        _check(w[0].size < 2**15, f"{where}: {w[0].size} synapses on a neuron; at most 32767")
        _check(
            len(self.input_shape) == 3 and w.shape[3] == self.input_shape[2],
            f"{where}: weights {w.shape} do not fit input_shape {tuple(self.input_shape)}",
        )
        _check(-8 <= self.weight_exp <= 7, f"{where}: weight_exp must lie in -8 .. 7")
        object.__setattr__(self, "weights", w.astype(np.int64))
        object.__setattr__(self, "input_shape", tuple(int(n) for n in self.input_shape))
        for name, low in (("stride", 1), ("padding", 0)):
            _check(min(_pair(getattr(self, name))) >= low, f"{where}: {name} must be at least {low}")
        _check(min(self.output_shape) > 0, f"{where}: the kernel is larger than the input")

    @property
    def strides(self) -> tuple[int, int]:
        """Stride along X and Y."""
        return _pair(self.stride)

    @property
    def paddings(self) -> tuple[int, int]:
        """Padding along X and Y."""
        return _pair(self.padding)

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


@dataclass(frozen=True, eq=False)
class LoihiNetwork:
    """Populations, connections, and the populations whose spikes are the output.

    Attributes:
        n_inputs: number of input axons.
        populations: by name, in order.
        connections: between them; a source named ``"input"`` is the input axons.
        outputs: populations whose spikes are reported, their neurons numbered one population after the other;
            the last population if empty.

    Raises:
        ModelError: a name is unknown or shapes do not meet; the message says which.
    """

    n_inputs: int
    populations: Mapping[str, Population]
    connections: Sequence[Dense | Conv]
    outputs: tuple[str, ...] = ()
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        _check(self.n_inputs > 0, "a network needs at least one input axon")
        _check(len(self.populations) > 0, "a network needs at least one population")
        _check(
            INPUT not in self.populations, f'no population can be named "{INPUT}"; it stands for the axons'
        )
        object.__setattr__(self, "populations", dict(self.populations))
        object.__setattr__(self, "connections", tuple(self.connections))
        object.__setattr__(self, "outputs", tuple(self.outputs) or (list(self.populations)[-1],))
        for name in self.outputs:
            _check(
                name in self.populations,
                f"output {name} is no population; there are {list(self.populations)}",
            )
        for c in self.connections:
            where = f"{type(c).__name__} {c.source} -> {c.target}"
            for name in {c.source, c.target} - {INPUT}:
                _check(name in self.populations, f"{where}: {name} is no population")
            _check(c.target != INPUT, f"{where}: spikes cannot be sent to the input")
            if isinstance(c, Dense):
                n_target, n_source = c.weights.shape
            else:
                n_source, n_target = int(np.prod(c.input_shape)), int(np.prod(c.output_shape))
            have = self.size(c.source), self.size(c.target)
            _check(
                have == (n_source, n_target), f"{where}: it joins {n_source} to {n_target}, there are {have}"
            )
        object.__setattr__(self, "hash", self._digest())

    def size(self, name: str) -> int:
        """Number of neurons of a population, or of axons for ``"input"``."""
        return self.n_inputs if name == INPUT else self.populations[name].n

    @property
    def n_outputs(self) -> int:
        """Number of neurons of the output populations."""
        return sum(self.size(name) for name in self.outputs)

    @property
    def n_neurons(self) -> int:
        """Number of neurons of all populations."""
        return sum(p.n for p in self.populations.values())

    def _digest(self) -> str:
        """Hex SHA-256 of everything that decides the spikes, independent of platform and of array layout."""
        sha = hashlib.sha256(b"liquid_spike_control LoihiNetwork 1\n")

        def put(label: str, value) -> None:
            array = np.ascontiguousarray(value, "<i8")
            sha.update(f"{label} {array.shape}\n".encode())
            sha.update(array.tobytes())

        put("inputs", self.n_inputs)
        for name, p in self.populations.items():
            sha.update(f"population {name}\n".encode())
            for label in ("du", "dv", "vth", "bias", "refractory"):
                put(label, np.broadcast_to(getattr(p, label), p.n))
        for c in self.connections:
            sha.update(f"{type(c).__name__} {c.source} {c.target}\n".encode())
            put("weight_exp", c.weight_exp)
            if isinstance(c, Dense):
                put("weights", c.synapses)
                put("delays", np.broadcast_to(c.delays, c.weights.shape))
            else:
                put("weights", c.weights)
                put("geometry", [*c.input_shape, *c.strides, *c.paddings, c.channels_first])
        sha.update(" ".join(self.outputs).encode())
        return sha.hexdigest()
