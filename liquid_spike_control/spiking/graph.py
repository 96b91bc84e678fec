# SPDX-License-Identifier: Apache-2.0
"""A spiking network in discrete time, in float64: what a NIR file holds once its time step is chosen.

One step of a population, with ``a`` the weighted spikes that are due:

``u <- (1 - du) u + a``, ``v <- (1 - dv) v + u + bias``, spike where ``v > vth`` (``>=`` if inclusive), then
``v = 0`` (``v - drop`` if the reset subtracts). A neuron that may send several spikes in a step sends as many as
whole thresholds lie below its voltage, and the reset subtracts as many times.

The threshold of a neuron that adapts (ALIF; Bellec et al. 2018, arXiv:1803.09574) is ``vth + h``: every step
``h <- (1 - dh) h``, and a spike adds ``rise`` to it, for the steps after.

A spike at ``t`` acts at ``t + 1 + delay``; input spikes too. Neurons of an image-shaped population are numbered
``(row * width + column) * channels + channel``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import ModelError

#: Name of the source that represents the input spikes.
INPUT = "input"
#: Most extra steps of a connection; chips have fewer (:mod:`.loihi_limits`).
LONGEST_DELAY = 4095


@dataclass(frozen=True, eq=False)
class CubaPopulation:
    """Neurons with a decaying synaptic current. All attributes are float64, shape ``(n,)``.

    Attributes:
        du, dv: fraction of current and voltage lost in a step, 0 .. 1.
        vth: threshold, positive; infinite where a neuron never spikes.
        bias: added to the voltage every step.
        inclusive: whether a neuron spikes at its threshold, not only above.
        reset: what a spike does to the voltage; Loihi knows ``"zero"``.
        drop: what ``"subtract"`` takes off, float64 ``(n,)``; by default ``vth``.
        refractory: steps; r > 1 holds the voltage at 0 in the r - 1 steps after a spike.
        start: in the first ``start`` steps the voltage is held at 0.
        spiking: False for a leaky integrator, whose voltage is read and which never spikes.
        most_spikes: the most spikes that a neuron sends in a step.
        lowest: the voltage does not fall below it (Sinabs' ``min_v_mem``); at most 0.
        rise: what a spike adds to the threshold, at least 0; None where no neuron adapts.
        dh: fraction of that lost in a step, above 0 .. 1; given with ``rise``.
    """

    du: np.ndarray
    dv: np.ndarray
    vth: np.ndarray
    bias: np.ndarray
    inclusive: bool = False
    reset: Literal["zero", "subtract"] = "zero"
    refractory: int = 0
    start: int = 0
    spiking: bool = True
    drop: np.ndarray | None = None
    most_spikes: int = 1
    lowest: float = -np.inf
    rise: np.ndarray | None = None
    dh: np.ndarray | None = None

    def __post_init__(self) -> None:
        if (self.rise is None) != (self.dh is None):
            raise ModelError("rise and dh belong together; give both, or neither")
        every = ("du", "dv", "vth", "bias", "drop", "rise", "dh")
        names = tuple(name for name in every if getattr(self, name) is not None)
        arrays = np.broadcast_arrays(*(np.asarray(getattr(self, m), float) for m in names))
        for name, array in zip(names, arrays, strict=True):
            endless = name in ("vth", "drop") and not np.isnan(array).any() and array.min(initial=1) > -np.inf
            if array.ndim != 1 or not (endless or np.isfinite(array).all()):
                raise ModelError(f"{name} must be finite, one number a neuron, not of shape {array.shape}")
            object.__setattr__(self, name, np.ascontiguousarray(array))
        for name in ("du", "dv"):
            if getattr(self, name).min() < 0 or getattr(self, name).max() > 1:
                raise ModelError(f"{name} must lie in 0 .. 1; a time constant is shorter than the step")
        if self.rise is not None and self.dh is not None:
            if self.rise.min() < 0 or not 0 < self.dh.min() <= self.dh.max() <= 1:
                raise ModelError("rise must be at least 0 and dh lie above 0, at most 1; correct the adaptation")
            if self.most_spikes > 1:
                raise ModelError("neurons that adapt send one spike a step; give most_spikes 1, or no rise")
        if self.vth.min() <= 0:
            raise ModelError(f"thresholds must be positive, not {self.vth.min():g}")
        if self.most_spikes < 1 or self.most_spikes > 1 and self.reset != "subtract":
            raise ModelError(f"{self.most_spikes} spikes a step need a reset that subtracts; give 1, or that reset")
        if not self.lowest <= 0:
            raise ModelError(f"the lowest voltage must be at most 0, the reset, not {self.lowest:g}")
        for name in ("refractory", "start"):
            if not 0 <= getattr(self, name) <= 63:
                raise ModelError(f"{name} must lie in 0 .. 63 steps, not {getattr(self, name)}")

    @property
    def n(self) -> int:
        """Number of neurons."""
        return len(self.du)

    @property
    def adapts(self) -> bool:
        """Whether the threshold of a neuron moves."""
        return self.rise is not None and bool(self.rise.any())


@dataclass(frozen=True, eq=False)
class Linear:
    """``weight``: float64 ``(n_target, n_source)``; ``delay``: extra steps."""

    source: str
    target: str
    weight: np.ndarray
    delay: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_target, n_source)``."""
        return self.weight.shape[0], self.weight.shape[1]

    def synapses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Source, target and weight of every synapse."""
        target, source = np.nonzero(self.weight)
        return source, target, self.weight[target, source]


@dataclass(frozen=True, eq=False)
class Synapses:
    """Synapses one by one: pools, delays of each neuron, chains of linear maps.

    Attributes:
        shape: ``(n_target, n_source)``.
        sources, targets: int64 ``(n_synapses,)``, no pair twice.
        weight: float64 ``(n_synapses,)``.
        delay: extra steps, one integer or one a synapse.
    """

    source: str
    target: str
    shape: tuple[int, int]
    sources: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    delay: int | np.ndarray = 0

    def synapses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Source, target and weight of every synapse."""
        return self.sources, self.targets, self.weight


@dataclass(frozen=True, eq=False)
class Correlation:
    """A torch-like (correlating) convolution over rows, columns and channels.

    Attributes:
        weight: float64 ``(C_out, C_in, K, L)``.
        input_shape: ``(C_in, H, W)``.
        channels_first: source neurons are numbered ``(channel * H + row) * W + column`` (the input's axons).
        delay: extra steps.
    """

    source: str
    target: str
    weight: np.ndarray
    input_shape: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    channels_first: bool = False
    delay: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_target, n_source)``."""
        return int(np.prod(self.output_shape)), int(np.prod(self.input_shape))

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """``(C_out, H_out, W_out)``."""
        sizes = zip(self.input_shape[1:], self.weight.shape[2:], self.stride, self.padding, strict=True)
        h, w = ((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)
        return len(self.weight), h, w

    def synapses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Source, target and weight of every synapse."""
        (c_in, h, w), (c_out, h_out, w_out) = self.input_shape, self.output_shape
        y, x = np.meshgrid(np.arange(h_out), np.arange(w_out), indexing="ij")
        parts = []
        for o, c, k, l_ in zip(*np.nonzero(self.weight), strict=True):
            row, column = y * self.stride[0] - self.padding[0] + k, x * self.stride[1] - self.padding[1] + l_
            inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
            pixel = row[inside] * w + column[inside]
            source = c * h * w + pixel if self.channels_first else pixel * c_in + c
            target = (y[inside] * w_out + x[inside]) * c_out + o
            parts.append((source, target, np.full(len(pixel), self.weight[o, c, k, l_])))
        if not parts:
            return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
        source, target, weight = (np.concatenate(p) for p in zip(*parts, strict=True))
        return source, target, weight


Connection = Linear | Synapses | Correlation


@dataclass(frozen=True, eq=False)
class SpikingGraph:
    """Populations by name, in order, what connects them, and the populations whose spikes are the output."""

    n_inputs: int
    populations: Mapping[str, CubaPopulation]
    connections: Sequence[Connection]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.outputs:
            if name not in self.populations:
                raise ModelError(f"output {name} is no population; there are {list(self.populations)}")
        for c in self.connections:
            n_target, n_source = c.shape
            have = self.size(c.source), self.size(c.target)
            if have != (n_source, n_target):
                raise ModelError(
                    f"{c.source} -> {c.target}: it joins {n_source} to {n_target}, there are {have}"
                )
            if not np.isfinite(c.weight).all():
                raise ModelError(f"{c.source} -> {c.target}: a weight is not finite")
            if np.size(c.delay) and not 0 <= np.min(c.delay) <= np.max(c.delay) <= LONGEST_DELAY:
                raise ModelError(f"{c.source} -> {c.target}: delays must lie in 0 .. {LONGEST_DELAY} steps")

    def size(self, name: str) -> int:
        """Number of neurons of a population, or of axons for ``"input"``.

        Raises:
            ModelError: there is no such population.
        """
        if name == INPUT:
            return self.n_inputs
        if name not in self.populations:
            raise ModelError(f"{name} is no population; there are {list(self.populations)}")
        return self.populations[name].n

    @property
    def n_outputs(self) -> int:
        """Number of neurons of the output populations, which are numbered one population after the other."""
        return sum(self.size(name) for name in self.outputs)

    @property
    def hash(self) -> str:
        """Hex SHA-256 of everything that decides the spikes."""
        sha = hashlib.sha256(f"SpikingGraph 2 {self.n_inputs} {self.outputs}\n".encode())
        for name, p in self.populations.items():
            sha.update(f"{name} {p.n} {p.inclusive} {p.reset} {p.refractory} {p.start} {p.spiking}\n".encode())
            if p.most_spikes > 1 or np.isfinite(p.lowest):
                sha.update(f"{p.most_spikes} {p.lowest}\n".encode())
            if p.rise is not None:
                sha.update(b"adapts\n")
            for array in (p.du, p.dv, p.vth, p.bias, p.drop, p.rise, p.dh):
                if array is not None:
                    sha.update(array.astype("<f8").tobytes())
        for c in self.connections:
            sha.update(f"{type(c).__name__} {c.source} {c.target} {c.weight.shape}".encode())
            if isinstance(c, Correlation):
                sha.update(f" {c.input_shape} {c.stride} {c.padding} {c.channels_first}".encode())
            if isinstance(c, Synapses):
                sha.update(np.stack([c.targets, c.sources]).astype("<i8").tobytes())
            sha.update(np.ascontiguousarray(c.delay, "<i8").tobytes())
            sha.update(np.ascontiguousarray(c.weight, "<f8").tobytes())
        return sha.hexdigest()
