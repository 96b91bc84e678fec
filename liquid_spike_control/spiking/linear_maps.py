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
    """A Conv2d that :class:`~.graph.Correlation` can hold: no groups, no dilation, the same padding on both sides.

    Attributes:
        weight: ``(C_out, C_in, K, L)``, or ``(C, 1, K, L)`` of a pool, which is ``depthwise``.
    """

    weight: np.ndarray
    input_shape: tuple[int, int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    depthwise: bool = False

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """``(C_out, H_out, W_out)``."""
        sizes = zip(self.input_shape[1:], self.weight.shape[2:], self.stride, self.padding, strict=True)
        h, w = ((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)
        return len(self.weight), h, w

    def then(self, other: Convolution) -> Convolution | None:
        """This and another one behind it as one, if they are one, borders included, and one of them is a pool."""
        if not (self.depthwise or other.depthwise):
            return None
        last = other.output_shape
        for i in (0, 1):
            n, k, step, pad = self.input_shape[1 + i], self.weight.shape[2 + i], self.stride[i], self.padding[i]
            # The zeros around the image between must be what this convolution would give there.
            high = (last[1 + i] - 1) * other.stride[i] + other.weight.shape[2 + i] - 1 - other.padding[i]
            inside = high < other.input_shape[1 + i]
            before = other.padding[i] == 0 or k - 1 - pad < step
            if not before or not (inside or other.input_shape[1 + i] * step - pad >= n):
                return None
        (k, l_), (m, n) = self.weight.shape[2:], other.weight.shape[2:]
        (down, right), (below, beside) = self.stride, other.stride
        channels = (len(other.weight), max(self.weight.shape[1], other.weight.shape[1]))
        weight = np.zeros((*channels, (m - 1) * down + k, (n - 1) * right + l_))
        # A pool in front weighs the inputs of the other, one behind its outputs.
        mine = self.weight if other.depthwise else self.weight[:, 0][None]
        for i, j in np.ndindex(m, n):
            weight[:, :, i * down : i * down + k, j * right : j * right + l_] += (
                other.weight[:, :, i, j][:, :, None, None] * mine
            )
        padding = other.padding[0] * down + self.padding[0], other.padding[1] * right + self.padding[1]
        both = self.depthwise and other.depthwise
        found = Convolution(weight, self.input_shape, (down * below, right * beside), padding, both)
        return found if found.output_shape == last else None


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
        groups = len(c.weight) if c.depthwise else 1
        return _unrolled("", c.weight, c.input_shape, c.stride, pads, (1, 1), groups)

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
        found = _plain(name, node, self.shape_out)
        if found is not None and self.convolution is not None:
            found = self.convolution.then(found)
        if found is not None and self.matrix is None:
            return Map(self.shape_in, shape, convolution=found)
        if node.kind in ("Conv1d", "Conv2d"):
            dims, weight = len(shape) - 1, node.values["weight"]
            stride, dilation = (integers(name, node, key, dims) for key in ("stride", "dilation"))
            (groups,), pads = integers(name, node, "groups", 1), padded(name, node, dims)
            matrix = _unrolled(name, weight, self.shape_out, stride, pads, dilation, groups)
            return self._followed(name, matrix, shape)
        if node.kind in POOLS:
            own = Map(self.shape_out, shape, convolution=_pool(name, node, self.shape_out))
            return self._followed(name, own.as_matrix(), shape)
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


def _pool(name: str, node: Node, shape: Shape) -> Convolution:
    kernel, (down, right), (above, left) = pool(name, node)
    weight = np.ones((shape[0], 1, *kernel)) / (np.prod(kernel) if node.kind == "AvgPool2d" else 1)
    channels, rows, columns = shape
    return Convolution(weight, (channels, rows, columns), (down, right), (above, left), depthwise=True)


def _plain(name: str, node: Node, shape: Shape) -> Convolution | None:
    """A node as a convolution that :class:`Convolution` can hold."""
    if node.kind in POOLS:
        return _pool(name, node, shape)
    if node.kind != "Conv2d":
        return None
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
