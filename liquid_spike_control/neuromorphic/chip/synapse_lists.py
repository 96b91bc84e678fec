# SPDX-License-Identifier: Apache-2.0
"""Storage of connections on Loihi's cores: axons, and the lists of synapses that they point to.

A message names an input axon of its target core; the axon points to a list of synapses in the core's memory. The
accounting is that of nengo-loihi 1.1.0 (``SynapseConfig.bits_per_axon``), which configured real chips by it: a list
is written in pieces of up to 64 synapses, each with a header of 10 bits, and each piece fills whole 64-bit words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..integers.synapses import Conv, Dense, Sparse, quantise_weights

#: Synapses in a piece of a list, and bits of its header (4 name the format, 6 count the synapses).
PIECE, HEADER = 64, 10
WORD = 64
#: Widths that the chip's formats offer. nengo-loihi names 1 to 6 and 8 bits of weight; 9 is Davies et al. 2018.
WEIGHT_BITS = (1, 2, 3, 4, 5, 6, 8, 9)
INDEX_BITS = (0, 6, 7, 8, 9, 10, 11, 12, 13)


def list_words(n, bits):
    """64-bit words of a list of ``n`` synapses of ``bits`` each; numpy arrays or integers."""
    n = np.asarray(n, np.int64)
    full, rest = n // PIECE, n % PIECE
    piece = -(-(PIECE * bits + HEADER) // WORD)
    return full * piece + np.where(rest > 0, -(-(rest * bits + HEADER) // WORD), 0)


def index_bits(compartments):
    """Bits of an index into so many compartments, as wide as a format offers; an array or an integer."""
    needed = np.ceil(np.log2(np.maximum(compartments, 1))).astype(np.int64)
    return np.asarray(INDEX_BITS)[np.searchsorted(INDEX_BITS, needed)]


@dataclass(frozen=True, slots=True)
class Format:
    """Common properties of the synapses of a connection.

    Attributes:
        weight_bits, delay_bits: of a synapse.
        weight_exp: common exponent.
        sign: -1 inhibitory, 1 excitatory, 0 mixed.
    """

    weight_bits: int
    delay_bits: int
    weight_exp: int
    sign: int

    @property
    def bits(self) -> int:
        """Bits of a synapse without its index."""
        return self.weight_bits + self.delay_bits


def format_of(connection: Dense | Sparse | Conv) -> Format:
    """The narrowest format that holds a connection; mixed weights hold their sign in one of their bits.

    A ``Conv`` takes weights as they are, so its width follows from them: those of both signs that are not all
    even need 9 bits.
    """
    w = connection.weights
    sign = 0 if w.min(initial=0) < 0 < w.max(initial=0) else -1 if w.min(initial=0) < 0 else 1
    if isinstance(connection, Conv):
        fits = [b for b in WEIGHT_BITS[:-1] if np.array_equal(quantise_weights(w, b), w)]
        weight_bits = fits[0] if fits else WEIGHT_BITS[-1]
    else:
        weight_bits = next(b for b in WEIGHT_BITS if b >= connection.num_weight_bits)
    longest = int(np.max(connection.delays, initial=0))
    return Format(weight_bits, longest.bit_length(), connection.weight_exp, sign)


class DiscreteAxons:
    """An axon for each source neuron and target core; each has a list of its own.

    On each core the connection takes the smaller of two forms: *sparse*, with an index for each synapse, or
    *dense*, without, where each list holds all the core's neurons and zeros too.

    Attributes:
        format: of its synapses.
        unit_of: int64 ``(n_source,)``, which axon a source neuron uses; here its own.
        n_units: number of different axons.
        slots: output axons that one takes on the source's core.
        fan: how many synapses an axon has on a neuron, CSR ``(n, n_units)``.

    Args:
        connection: what is stored.
        n: neurons of the target. A connection to twice as many drives two inputs of each.
    """

    slots = 1

    def __init__(self, connection: Dense | Sparse | Conv, n: int):
        self.format = format_of(connection)
        self.n_units = connection.shape[1]
        self.unit_of = np.arange(self.n_units)
        if isinstance(connection, Conv):
            targets, sources = unrolled(connection)
        elif isinstance(connection, Dense):
            targets, sources = np.nonzero(connection.synapses)
        else:
            kept = connection.synapses != 0
            targets, sources = connection.targets[kept], connection.sources[kept]
        self.fan = sp.csr_array((np.ones(len(targets), np.int64), (targets % n, sources)), shape=(n, self.n_units))

    def arrivals(self, core_of: np.ndarray, n_cores: int) -> sp.csr_array:
        """Return how many synapses an axon has on a core: CSR ``(n_cores, n_units)``, an entry for each axon."""
        n = len(core_of)
        cores = sp.csr_array((np.ones(n, np.int64), (core_of, np.arange(n))), shape=(n_cores, n))
        return sp.csr_array(cores @ self.fan)

    def words(self, arrivals: sp.csr_array, sizes: np.ndarray) -> np.ndarray:
        """Words of synapse memory on each core, which have ``sizes`` compartments: int64 ``(n_cores,)``."""
        axons = np.diff(arrivals.indptr)
        core = np.repeat(np.arange(len(sizes)), axons)
        bits = self.format.bits
        widths, width = np.unique(index_bits(sizes), return_inverse=True)
        lengths = np.arange(int(arrivals.data.max(initial=0)) + 1)
        words = list_words(lengths, bits + widths[:, None])  # of all lists there may be, to look them up
        sparse = np.zeros(len(sizes), np.int64)
        np.add.at(sparse, core, words[width[core], arrivals.data])
        return np.minimum(sparse, axons * list_words(sizes, bits))


def unrolled(conv: Conv) -> tuple[np.ndarray, np.ndarray]:
    """Targets and sources of a convolution's synapses one by one, zero weights left out: int64 ``(n,)`` each."""
    (nx, ny, n_in), (x_out, y_out, n_out) = conv.input_shape, conv.output_shape
    (sx, sy), (px, py) = conv.strides, conv.paddings
    _, kx, ky, _ = conv.weights.shape
    parts = []
    for k in range(kx):
        for m in range(ky):
            o, c = np.nonzero(conv.weights[:, kx - 1 - k, ky - 1 - m])
            x, y = np.arange(x_out) * sx - px + k, np.arange(y_out) * sy - py + m
            xo, yo = np.flatnonzero((x >= 0) & (x < nx)), np.flatnonzero((y >= 0) & (y < ny))
            pixel_out = (xo[:, None] * y_out + yo).ravel()
            pixel_in = (x[xo][:, None] * ny + y[yo]).ravel()
            targets = pixel_out[:, None] * n_out + o
            sources = pixel_in[:, None] + c * nx * ny if conv.channels_first else pixel_in[:, None] * n_in + c
            parts.append((targets.ravel(), sources.ravel()))
    targets, sources = (np.concatenate(side) for side in zip(*parts, strict=True))
    return targets, sources
