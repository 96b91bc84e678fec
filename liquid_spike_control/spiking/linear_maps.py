# SPDX-License-Identifier: Apache-2.0
"""The linear nodes between neurons: a convolution as long as it is one, else a matrix.

Elements are numbered as NIR flattens them, the last dimension fastest: ``(channel, row, column)`` for images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from scipy import sparse

from ..errors import ModelError
from .nir_file import Node
from .shapes import POOLS, Shape, expand, integers, padded, pool

#: Most synapses of one map.
MOST_SYNAPSES = 200_000_000

Matrix: TypeAlias = np.ndarray | sparse.csr_array


@dataclass(frozen=True, eq=False, slots=True)
class Convolution:
    """A Conv2d that :class:`~.graph.Correlation` can hold: no groups, no dilation, the same padding on both sides."""

    weight: np.ndarray
    input_shape: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True, eq=False, slots=True)
class Map:
    """``scale * convolution`` or a matrix ``(n_out, n_in)``, or neither: the identity.

    Attributes:
        shape_in, shape_out: shapes of the signals.
    """

    shape_in: Shape
    shape_out: Shape
    matrix: Matrix | None = None
    convolution: Convolution | None = None

    @property
    def is_identity(self) -> bool:
        """Whether it passes its input on."""
        return self.matrix is None and self.convolution is None

    def as_matrix(self) -> Matrix:
        """The map as a matrix, dense float64 or CSR."""
        if self.matrix is not None:
            return self.matrix
        if self.convolution is None:
            return sparse.identity(int(np.prod(self.shape_in)), format="csr")
        c = self.convolution
        pads = [(p, p) for p in c.padding]
        return _unrolled("", c.weight, c.input_shape, c.stride, pads, (1, 1), 1)

    def scaled(self, gain: np.ndarray) -> Map:
        """The map with every output multiplied; ``gain`` has the shape of the output."""
        gain = np.broadcast_to(gain, self.shape_out)
        if (gain == 1).all():
            return self
        channels = gain.reshape(len(gain), -1)
        if self.convolution is not None and (channels == channels[:, :1]).all():
            weight = self.convolution.weight * channels[:, 0][:, None, None, None]
            return replace(self, convolution=replace(self.convolution, weight=weight))
        matrix = self.as_matrix()
        rows = gain.ravel()[:, None]
        scaled = matrix * rows if isinstance(matrix, np.ndarray) else sparse.csr_array(matrix.multiply(rows))
        return replace(self, matrix=scaled, convolution=None)

    def reshaped(self, shape: Shape) -> Map:
        """The map with its output in another shape; a convolution keeps its own only as an image."""
        if shape == self.shape_out:
            return self
        if self.convolution is not None:
            return replace(self, shape_out=shape, matrix=self.as_matrix(), convolution=None)
        return replace(self, shape_out=shape)

    def then(self, name: str, node: Node, shape: Shape) -> Map:
        """This map followed by a linear node that sends ``shape``.

        Raises:
            ModelError: it would have too many synapses.
        """
        if node.kind == "Scale":
            return self.scaled(expand(name, "scale", node.values["scale"], self.shape_out))
        if node.kind in ("Linear", "Affine"):
            return self._followed(name, node.values["weight"], shape)
        if node.kind == "Conv2d" and self.is_identity and (found := _plain(name, node, self.shape_out)):
            return Map(self.shape_in, shape, convolution=found)
        if node.kind in ("Conv1d", "Conv2d"):
            dims, weight = len(shape) - 1, node.values["weight"]
            stride, dilation = (integers(name, node, key, dims) for key in ("stride", "dilation"))
            (groups,), pads = integers(name, node, "groups", 1), padded(name, node, dims)
            matrix = _unrolled(name, weight, self.shape_out, stride, pads, dilation, groups)
            return self._followed(name, matrix, shape)
        if node.kind in POOLS:
            kernel, step, padding = pool(name, node)
            weight = np.ones((shape[0], 1, *kernel)) / (np.prod(kernel) if node.kind == "AvgPool2d" else 1)
            pads = [(p, p) for p in padding]
            matrix = _unrolled(name, weight, self.shape_out, step, pads, (1, 1), shape[0])
            return self._followed(name, matrix, shape)
        raise ModelError(f"node {name}: a {node.kind} between neurons is not linear; put it before or behind them")

    def _followed(self, name: str, matrix: Matrix, shape: Shape) -> Map:
        if self.is_identity:
            _bounded(name, matrix.size if isinstance(matrix, np.ndarray) else matrix.nnz)
            return Map(self.shape_in, shape, matrix)
        mine = self.as_matrix()
        if isinstance(matrix, np.ndarray) or isinstance(mine, np.ndarray):
            _bounded(name, matrix.shape[0] * mine.shape[1])
            product = matrix @ mine
            return Map(self.shape_in, shape, np.asarray(product))
        uses = np.bincount(matrix.indices, minlength=matrix.shape[1])
        _bounded(name, int(uses @ np.diff(mine.indptr)))
        return Map(self.shape_in, shape, sparse.csr_array(matrix @ mine))

    def plus(self, other: Map) -> Map:
        """The sum of two maps between the same signals."""
        a, b = self.as_matrix(), other.reshaped(self.shape_out).as_matrix()
        if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
            a, b = (x if isinstance(x, np.ndarray) else x.toarray() for x in (a, b))
            return replace(self, matrix=a + b, convolution=None)
        return replace(self, matrix=sparse.csr_array(a + b), convolution=None)

    def rows(self, chosen: np.ndarray) -> Map:
        """The map with only the outputs where ``chosen``, of the shape of the output; the others get nothing."""
        if chosen.all():
            return self
        keep = sparse.diags_array(chosen.ravel().astype(float), format="csr")
        matrix = self.as_matrix()
        if isinstance(matrix, np.ndarray):
            return replace(self, matrix=matrix * chosen.reshape(-1, 1), convolution=None)
        return replace(self, matrix=sparse.csr_array(keep @ matrix), convolution=None)


def _plain(name: str, node: Node, shape: Shape) -> Convolution | None:
    pads = padded(name, node, 2)
    spread = integers(name, node, "groups", 1) + integers(name, node, "dilation", 2)
    if any(x != 1 for x in spread) or any(a != b for a, b in pads):
        return None
    channels, rows, columns = shape
    down, right = integers(name, node, "stride", 2)
    image = channels, rows, columns
    return Convolution(node.values["weight"], image, (down, right), (pads[0][0], pads[1][0]))


def _unrolled(name: str, weight, shape: Shape, stride, pads, dilation, groups: int) -> sparse.csr_array:
    """The matrix of a convolution of one or two dimensions; weight ``(C_out, C_in / groups, K[, L])``."""
    if len(shape) == 2:  # a row of pixels
        weight, shape, stride = weight[:, :, None], (shape[0], 1, shape[1]), (1, *stride)
        pads, dilation = [(0, 0), *pads], (1, *dilation)
    c_out, c_in, k, l_ = weight.shape
    _, h, w = shape
    h_out, w_out = (
        (n + sum(pad) - d * (m - 1) - 1) // s + 1
        for n, pad, d, m, s in zip((h, w), pads, dilation, (k, l_), stride, strict=True)
    )
    _bounded(name, np.count_nonzero(weight) * h_out * w_out)
    y, x = np.meshgrid(np.arange(h_out), np.arange(w_out), indexing="ij")
    target_pixel = (y * w_out + x).ravel()
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for i, j in np.ndindex(k, l_):
        row = (y * stride[0] - pads[0][0] + i * dilation[0]).ravel()
        column = (x * stride[1] - pads[1][0] + j * dilation[1]).ravel()
        inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
        pixel, to = (row * w + column)[inside], target_pixel[inside]
        o, c = np.nonzero(weight[:, :, i, j])
        source = (o // (c_out // groups)) * c_in + c
        parts.append(
            (
                (o[:, None] * (h_out * w_out) + to).ravel(),
                (source[:, None] * (h * w) + pixel).ravel(),
                np.repeat(weight[o, c, i, j], len(pixel)),
            )
        )
    rows, columns, data = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.csr_array((data, (rows, columns)), shape=(c_out * h_out * w_out, int(np.prod(shape))))


def _bounded(name: str, n: int) -> None:
    if n > MOST_SYNAPSES:
        raise ModelError(f"node {name}: {n:,} synapses, more than {MOST_SYNAPSES:,}; put neurons between the layers")
