# SPDX-License-Identifier: Apache-2.0
"""Networks that lava-dl exported (``net.export_hdf5``, "netx"): integers already, read as they are.

A netx file is HDF5 with a group ``layer`` of numbered layers, input first; each has a ``type``, a ``shape``,
weights, and the registers of its neurons under ``neuron``. What a file means is what lava-dl 0.6.0's own loader,
``lava.lib.dl.netx.hdf5.Network`` on lava-nc 0.10.0, makes of it; where that loader stops or drops something, a note
describes what is done here.

Lava orders pictures as width, height, channel; files are written as channel, height, width. Here the axons keep the
file's order, and neurons are numbered row, column, channel like every other population of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from ...errors import ModelError
from ...hdf5 import open_hdf5
from ..integers.network import INPUT, LoihiNetwork
from ..integers.neurons import Delta, Neurons, SigmaDelta
from ..integers.synapses import Conv, Dense, Sparse, quantise_weights
from .netx_layer import Layer
from .netx_neurons import read_neurons
from .netx_synapses import pool, storage, whole_kernel


@dataclass(frozen=True, eq=False)
class NetxNetwork:
    """A network out of a netx file.

    Attributes:
        network: to run with :func:`~.emulator.emulate`; populations are named by type and layer, ``dense3``.
        input_shape: ``(channels, height, width)`` or ``(n,)``; axons are numbered in that order.
        shapes: of each population, ``(channels, height, width)`` or ``(n,)``; neurons of the former are numbered
            ``(row * width + column) * channels + channel``.
        graded_input: whether the input is numbers, given as payloads, and not spikes.
        notes: what was assumed, clipped or left out, one line each.
        source: the file.
    """

    network: LoihiNetwork
    input_shape: tuple[int, ...]
    shapes: dict[str, tuple[int, ...]]
    graded_input: bool
    notes: tuple[str, ...]
    source: str

    @property
    def hash(self) -> str:
        """Hex SHA-256 of everything that decides the spikes."""
        return self.network.hash


def read_netx(path: str | Path, spike_exp: int = 6, input_shape: tuple[int, ...] | None = None) -> NetxNetwork:
    """Read a netx file.

    Args:
        path: HDF5, as ``net.export_hdf5`` writes it.
        spike_exp: binary places of the payloads of sigma-delta neurons, which the file does not contain; Lava's
            default is 6.
        input_shape: where the file has no input layer.

    Raises:
        ModelError: the file is missing, damaged or foreign, or holds what cannot be run; the message names the
            file, the layer and the remedy.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; check the path")
    try:
        with open_hdf5(path) as file:
            groups = file.get("layer")
            if not isinstance(groups, h5py.Group) or not len(groups):
                raise ModelError(f"{path}: it has no group 'layer'; export it with lava-dl's net.export_hdf5")
            if set(groups) != {str(k) for k in range(len(groups))}:
                raise ModelError(f"{path}: layers must be numbered 0 .. {len(groups) - 1}; export it again")
            reader = _Reader(str(path), spike_exp, input_shape)
            for k in range(len(groups)):
                layer = Layer(str(path), k, groups[str(k)], reader.notes)
                try:
                    reader.add(layer)
                except ModelError as error:  # populations and connections do not know where they come from
                    raise error if str(error).startswith(str(path)) else layer.error(str(error)) from None
            return reader.finish()
    except (OSError, RuntimeError, KeyError, ValueError) as error:  # what h5py makes of damage
        raise ModelError(f"{path}: not a whole netx file ({' '.join(str(error).split())}); export it again") from None


@dataclass
class _Reader:
    """The network as far as it has been read."""

    path: str
    spike_exp: int
    input_shape: tuple[int, ...] | None
    notes: list[str] = field(default_factory=list)
    populations: dict[str, Neurons] = field(default_factory=dict)
    connections: list[Dense | Sparse | Conv] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    source: str = INPUT
    shape: tuple[int, ...] | None = None  # of the source, in the file's order
    start: int = 0  # steps before neurons wake: until an encoder's first spikes arrive
    ended: bool = False

    def add(self, layer: Layer) -> None:
        """Read one more layer."""
        if self.ended:
            raise layer.error("it follows an average layer, which can only be the last")
        if layer.kind == "input":
            self._input(layer)
            return
        if self.shape is None:
            if self.input_shape is None and layer.kind in ("dense", "dense_rec"):
                part = "weight/real" if "weight/real" in layer else "weight"
                self.input_shape = (layer.integers(part, None).size // int(np.prod(layer.shape)),)
            if self.input_shape is None:
                raise layer.error("the file has no input layer; give input_shape=(channels, height, width)")
            self.shape = self.input_shape
        if layer.kind == "flatten":
            self.shape = (int(np.prod(self.shape)),)
        elif layer.kind == "average":
            self.ended = True
            layer.note("averages groups of output neurons; it is left out, count their spikes instead")
        elif layer.kind in ("dense", "dense_rec"):
            self._dense(layer)
        elif layer.kind == "conv":
            self._conv(layer)
        elif layer.kind == "pool":
            self._pool(layer)
        else:
            raise layer.error("known layers are input, flatten, dense, dense_rec, conv, pool, average")

    def finish(self) -> NetxNetwork:
        """The whole network."""
        if not self.populations or self.input_shape is None:
            raise ModelError(f"{self.path}: no layer has neurons; export the trained layers too")
        try:
            network = LoihiNetwork(int(np.prod(self.input_shape)), self.populations, self.connections)
        except ModelError as error:
            raise ModelError(f"{self.path}: {error}") from None
        graded = self.start > 0 or isinstance(next(iter(self.populations.values())), SigmaDelta)
        return NetxNetwork(network, self.input_shape, self.shapes, graded, tuple(self.notes), self.path)

    def _input(self, layer: Layer) -> None:
        if layer.index != 0:
            raise layer.error("an input layer can only be the first")
        if self.input_shape not in (None, layer.shape):
            raise layer.error(f"its shape is {layer.shape}, not {self.input_shape}; leave input_shape out")
        self.shape = self.input_shape = layer.shape
        if "neuron" not in layer:
            return
        self.start = 1
        n = int(np.prod(self.shape))
        kind = layer.neuron_kind
        default = 1 if kind == "SDNN" else 64  # Lava adds frames to sigma-delta neurons as they are
        weight, bias = layer.number("weight", default), layer.number("bias", 0)
        if kind == "SDNN":
            if bias:
                raise layer.error("a sigma-delta input has no bias; add it to the input")
            theta = layer.register("vThMant", 0, 2**23 - 1)
            neurons: Neurons = Delta(n, theta, self.spike_exp, layer.STATE_EXP)
        else:
            if layer.register("iDecay", 0, 4096, default=4096) != 4096 and bias:
                layer.note("its bias is added to the voltage; slayer adds it to the current")
            neurons = self._neurons(layer, n, np.array(bias))
        if not -256 <= weight <= 255:
            raise layer.error(f"weight {weight} must lie in -256 .. 255")
        name = self._join(layer, neurons)
        targets = self._ids(self.shape, name)
        self.connections.append(Sparse(INPUT, name, (n, n), targets, np.arange(n), np.full(n, weight)))
        layer.note("numbers come in as payloads, and act one step later than in Lava")

    def _dense(self, layer: Layer) -> None:
        assert self.shape is not None
        n, n_source = int(np.prod(layer.shape)), int(np.prod(self.shape))
        if len(self.shape) == 3 and self.source != INPUT and np.prod(self.shape[1:]) > 1:
            raise layer.error(f"it follows a picture {self.shape}; put a flatten layer between")
        ids = self._ids(self._unflattened, self.source)
        parts = ("weight/real", "weight/imag") if "weight/imag" in layer else ("weight",)
        weights = [layer.integers(part, (n, n_source)) for part in parts]
        delays = layer.delays(n, n_source)
        neurons = self._neurons(layer, n, layer.integers("bias", (n,)) if "bias" in layer else np.array(0))
        if len(parts) == 2 and neurons.ports != 2:
            raise layer.error(f"complex weights need resonate-and-fire neurons, not {layer.neuron_kind}")
        source, name = self.source, self._join(layer, neurons)
        for port, w in enumerate(weights):
            ordered = np.empty_like(w)
            ordered[:, ids] = w
            by_source = np.empty_like(delays)
            by_source[:, ids] = delays
            if len(parts) == 2:
                full, late = np.zeros((2, n, n_source), np.int64), np.zeros((2, n, n_source), np.int64)
                full[port], late[port] = ordered, by_source
                ordered, by_source = full.reshape(2 * n, -1), late.reshape(2 * n, -1)
            self.connections.append(self._stored(layer, source, name, ordered, by_source))
        if layer.kind == "dense_rec":
            w = layer.integers("weight_rec", (n, n))
            if np.ptp(delays, axis=1).any():
                raise layer.error("delays of inputs and recurrence together; give one delay a neuron")
            self.connections.append(self._stored(layer, name, name, w, np.repeat(delays[:, :1], n, 1)))

    def _conv(self, layer: Layer) -> None:
        if "weight/imag" in layer:
            raise layer.error("complex convolutions cannot be run; Lava's loader has none either")
        shape, groups = self._picture(layer), layer.number("groups", 1)
        channels, kernel = layer.shape[0], layer.pair("kernelSize", None)
        if groups < 1 or shape[0] % groups or channels % groups:
            raise layer.error(f"{groups} groups do not divide {shape[0]} and {channels} channels")
        inside = shape[0] // groups
        grouped = layer.integers("weight", (channels, inside, *kernel))
        if grouped.min() < -256 or grouped.max() > 255:
            raise layer.error(f"weights reach {grouped.min()} .. {grouped.max()}; Loihi's lie in -256 .. 255")
        weights = whole_kernel(grouped, shape[0], groups, layer.pair("dilation", 1))
        bias = layer.integers("bias", None) if "bias" in layer else np.array(0)
        n = int(np.prod(layer.shape))
        neurons = self._neurons(layer, n, self._spread(layer, bias))
        delays = layer.delays(channels, 1)[:, 0]
        if delays.any():
            layer.note("its delays are applied; Lava's loader drops those of convolutions")
        source, name = self.source, self._join(layer, neurons)
        for delay in np.unique(delays):
            late = np.where((delays == delay)[:, None, None, None], weights, 0)
            conv = Conv(
                source,
                name,
                late,
                (*shape[1:], shape[0]),
                layer.pair("stride", 1),
                layer.pair("padding", 0),
                channels_first=source == INPUT,
                delay=int(delay),
            )
            height, width, _ = conv.output_shape
            if (channels, height, width) != layer.shape:
                raise layer.error(f"it makes {(channels, height, width)} of {shape}, the file has {layer.shape}")
            self.connections.append(conv)

    def _pool(self, layer: Layer) -> None:
        shape, kernel = self._picture(layer), layer.pair("kernelSize", None)
        stride, padding, dilation = layer.pair("stride", 1), layer.pair("padding", 0), layer.pair("dilation", 1)
        weights = layer.integers("weight", (1, 1, *kernel))[0, 0]
        # slayer appends rows and columns of zeros where the kernel does not divide the picture.
        padded = [n + n % k for n, k in zip(shape[1:], kernel, strict=True)]
        axes = zip(padded, kernel, stride, padding, dilation, strict=True)
        height, width = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)
        if (shape[0], height, width) != layer.shape:
            raise layer.error(f"it makes {(shape[0], height, width)} of {shape}, the file has {layer.shape}")
        n, n_source = int(np.prod(layer.shape)), int(np.prod(shape))
        ids, source = self._ids(shape, self.source).reshape(shape), self.source
        name = self._join(layer, self._neurons(layer, n, np.array(0)))
        targets = self._ids(layer.shape, name).reshape(layer.shape)
        to, of, w = pool(targets, ids, weights, stride, padding, dilation)
        shift, bits = storage(w)
        self._check_stored(layer, w, shift, bits)
        delay = layer.delays(shape[0], 1)[:, 0][to % shape[0]]
        self.connections.append(Sparse(source, name, (n, n_source), to, of, w << shift, bits, -shift, delay))

    def _stored(self, layer: Layer, source: str, name: str, weights: np.ndarray, delays: np.ndarray) -> Dense:
        """A dense connection in as few weight bits as hold the weights."""
        shift, bits = storage(weights)
        self._check_stored(layer, weights, shift, bits)
        return Dense(source, name, weights << shift, bits, -shift, delays)

    @staticmethod
    def _check_stored(layer: Layer, weights: np.ndarray, shift: int, bits: int) -> None:
        low, high = int(weights.min()), int(weights.max())
        if low < -256 or high > 255:
            raise layer.error(f"weights reach {low} .. {high}; Loihi's lie in -256 .. 255")
        lost = int(np.count_nonzero(quantise_weights(weights << shift, bits) != weights << shift))
        if lost:
            layer.note(f"{lost} of {weights.size} weights lose their last bit, as Loihi stores them")

    def _neurons(self, layer: Layer, n: int, bias: np.ndarray) -> Neurons:
        return read_neurons(layer, n, bias, self.start, self.spike_exp)

    def _spread(self, layer: Layer, bias: np.ndarray) -> np.ndarray:
        """One bias a neuron, out of one, one a channel, or one a neuron."""
        channels, n = layer.shape[0], int(np.prod(layer.shape))
        if bias.size == 1:
            return np.array(bias.item())
        if bias.size == channels:
            return np.tile(bias.ravel(), n // channels)
        if bias.size == n:
            return bias.reshape(layer.shape).transpose(1, 2, 0).ravel()
        raise layer.error(f"bias has {bias.size} numbers; give one a channel, {channels}")

    def _picture(self, layer: Layer) -> tuple[int, int, int]:
        if self.shape is None or len(self.shape) != 3 or len(layer.shape) != 3:
            raise layer.error(f"it needs a picture (channels, height, width), not {self.shape}")
        return self.shape[0], self.shape[1], self.shape[2]

    def _join(self, layer: Layer, neurons: Neurons) -> str:
        """Add a population, from now on the source."""
        name = f"{layer.kind}{layer.index}"
        shape = layer.shape if layer.kind in ("input", "conv", "pool") else (neurons.n,)
        self.populations[name] = neurons
        self.shapes[name] = self.shape = shape
        self.source = name
        return name

    @property
    def _unflattened(self) -> tuple[int, ...]:
        """Shape of the source as it was before a flatten layer."""
        assert self.shape is not None
        return self.shape if self.source == INPUT else self.shapes[self.source]

    @staticmethod
    def _ids(shape: tuple[int, ...], source: str) -> np.ndarray:
        """For each place in the file's order, the number of the neuron or axon that has it."""
        n = int(np.prod(shape))
        if source == INPUT or len(shape) != 3:
            return np.arange(n)
        channels, height, width = shape
        return np.arange(n).reshape(height, width, channels).transpose(2, 0, 1).ravel()
