# SPDX-License-Identifier: Apache-2.0
"""Convolutions on Loihi's cores: all channels of a pixel share an axon, all pixels share the kernel.

A message to a population axon names the channel it comes from; the axon holds where its pixel lies on the core. So a
core stores one list of synapses for each input channel and each way that the kernel can meet the core's patch: with
a stride, or at the patch's edge, not every tap does (Lin et al. 2018; Rueckauer et al. 2022, NxTF; nengo-loihi).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..integers.synapses import Conv
from .synapse_lists import format_of, index_bits, list_words

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Patches:
    """An image of neurons cut into equal boxes, one a core; the last of a row may be smaller.

    Attributes:
        shape: ``(X, Y, C)`` of the image.
        size: ``(x, y, c)`` of a box. Cores are numbered as numpy's ``ravel`` of the grid of boxes.
    """

    shape: Shape
    size: Shape

    @property
    def grid(self) -> Shape:
        """Boxes along each axis."""
        x, y, c = (-(-n // b) for n, b in zip(self.shape, self.size, strict=True))
        return x, y, c

    @property
    def core_of(self) -> np.ndarray:
        """The core of each neuron, int64 ``(n,)``."""
        x, y, c = (np.arange(n) // b for n, b in zip(self.shape, self.size, strict=True))
        _, gy, gc = self.grid
        return ((x[:, None, None] * gy + y[:, None]) * gc + c).ravel()

    def lengths(self, axis: int) -> np.ndarray:
        """Neurons of each box along an axis."""
        n, b = self.shape[axis], self.size[axis]
        return np.minimum(b, n - b * np.arange(self.grid[axis]))


@dataclass(frozen=True, eq=False)
class _Axis:
    """One axis of a convolution over boxes.

    Attributes:
        reached: int64 ``(boxes, n_in)``, how many outputs of a box an input reaches.
        meetings: for each box the counts of the different ways in which the kernel meets it.
    """

    reached: np.ndarray
    meetings: list[tuple[int, ...]]


def _axis(conv: Conv, axis: int, n_out: int, box: int) -> _Axis:
    n_in, kernel = conv.input_shape[axis], conv.weights.shape[1 + axis]
    boxes = -(-n_out // box)
    reached = np.zeros((boxes, n_in), np.int64)
    first = np.full((boxes, n_in), kernel)
    outputs = np.arange(n_out)
    for k in range(kernel):
        x = outputs * conv.strides[axis] - conv.paddings[axis] + k
        inside = (x >= 0) & (x < n_in)
        where = outputs[inside] // box, x[inside]
        np.add.at(reached, where, 1)
        np.minimum.at(first, where, k)
    meetings = []
    for counts, taps in zip(reached, first, strict=True):
        ways = np.unique(np.stack([taps, counts])[:, counts > 0], axis=1)
        meetings.append(tuple(int(n) for n in ways[1]))
    return _Axis(reached, meetings)


class SharedAxons:
    """An axon for each source pixel and target core; lists are shared by all axons that meet the core alike.

    Attributes:
        format, unit_of, n_units, slots: as in :class:`~.synapse_lists.DiscreteAxons`; a unit is a pixel.
    """

    #: nengo-loihi's ``pop32``: two output axons. Its ``pop16`` takes one, but places patches by fours.
    slots = 2

    def __init__(self, conv: Conv):
        self.conv = conv
        self.format = format_of(conv)
        nx, ny, channels = conv.input_shape
        self.n_units = nx * ny
        index = np.arange(conv.shape[1])
        self.unit_of = index % self.n_units if conv.channels_first else index // channels
        self._axes: dict[tuple[int, int], _Axis] = {}

    def _along(self, axis: int, patches: Patches) -> _Axis:
        box = patches.size[axis]
        if (axis, box) not in self._axes:
            self._axes[axis, box] = _axis(self.conv, axis, patches.shape[axis], box)
        return self._axes[axis, box]

    def arrivals(self, patches: Patches) -> sp.csr_array:
        """Return how many synapses an axon has on a core, all its channels: CSR ``(n_cores, n_units)``."""
        x, y = (sp.csr_array(self._along(axis, patches).reached) for axis in (0, 1))
        channels = sp.csr_array(patches.lengths(2)[:, None] * self.conv.weights.shape[3])
        arrivals = sp.csr_array(sp.kron(sp.kron(x, y), channels))
        arrivals.eliminate_zeros()
        return arrivals

    def axons(self, patches: Patches) -> np.ndarray:
        """Input axons on each core, int64 ``(n_cores,)``."""
        x, y = ((self._along(axis, patches).reached > 0).sum(1) for axis in (0, 1))
        return np.repeat(np.outer(x, y).ravel(), patches.grid[2])

    def words(self, patches: Patches) -> np.ndarray:
        """Words of synapse memory on each core, int64 ``(n_cores,)``."""
        channels, bits = self.conv.weights.shape[3], self.format.bits
        # Boxes that the kernel meets alike and that are as large need the same.
        kinds, kind_of = [], []
        for axis in (0, 1):
            alike = list(zip(self._along(axis, patches).meetings, patches.lengths(axis).tolist(), strict=True))
            kinds.append(sorted(set(alike)))
            kind_of.append(np.array([kinds[axis].index(kind) for kind in alike]))
        deep, depth_of = np.unique(patches.lengths(2), return_inverse=True)
        words = np.zeros((len(kinds[0]), len(kinds[1]), len(deep)), np.int64)
        for i, j, m in np.ndindex(words.shape):
            (ways_x, n_x), (ways_y, n_y), n_c = kinds[0][i], kinds[1][j], int(deep[m])
            lists = np.outer(ways_x, ways_y) * n_c
            words[i, j, m] = channels * list_words(lists, bits + index_bits(n_x * n_y * n_c)).sum()
        return words[np.ix_(*kind_of, depth_of)].ravel()
