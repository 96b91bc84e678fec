# SPDX-License-Identifier: Apache-2.0
"""Synapses of netx files, in the forms that Loihi has."""

from __future__ import annotations

import math

import numpy as np

from ...errors import ModelError

#: A kernel with more numbers than this, zeros and all, is taken for damage.
MOST_WEIGHTS = 2**27


def storage(weights: np.ndarray) -> tuple[int, int]:
    """By how much to shift weights left, and the bits then needed, so that none is lost if that can be.

    Small weights are shifted as far as they go: their low bits are then zeros, which are not stored.
    """
    low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
    if low == high == 0:
        return 0, 8
    mixed = low < 0 < high
    least, most = (-256, 254) if mixed else (-255, 255)
    shift = 0
    while shift < 8 and low << (shift + 1) >= least and high << (shift + 1) <= most:
        shift += 1
    every = int(np.bitwise_or.reduce(np.abs(weights), axis=None)) << shift
    zeros = (every & -every).bit_length() - 1
    return shift, min(max(8 + mixed - zeros, 1), 8)


def whole_kernel(grouped: np.ndarray, n_channels: int, groups: int, dilation: tuple[int, int]) -> np.ndarray:
    """A kernel with its groups and dilation filled up with zeros, flipped: the file correlates, ours convolves.

    Args:
        grouped: integers ``(C_out, C_in / groups, K, L)``.
        n_channels: C_in.
        groups: that divide both.
        dilation: along K and L.

    Returns:
        int64 ``(C_out, K', L', C_in)``, as :class:`~.synapses.Conv` takes it.

    Raises:
        ModelError: the dilation makes it too large.
    """
    n, inside = grouped.shape[:2]
    size = [d * (k - 1) + 1 for d, k in zip(dilation, grouped.shape[2:], strict=True)]
    if math.prod((n, *size, n_channels)) > MOST_WEIGHTS:
        raise ModelError(f"dilation {dilation} makes a kernel of {size[0]} x {size[1]}; the file is damaged")
    weights = np.zeros((n, *size, n_channels), np.int64)
    for o in range(n):
        first = o * groups // n * inside
        weights[o, :: dilation[0], :: dilation[1], first : first + inside] = grouped[o].transpose(1, 2, 0)
    return weights[:, ::-1, ::-1]


def pool(
    targets: np.ndarray,
    sources: np.ndarray,
    weights: np.ndarray,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The synapses of a pool, channel by channel.

    Args:
        targets, sources: numbers of the neurons, ``(channels, height, width)``.
        weights: of the kernel, ``(K, L)``.
        stride, padding, dilation: along height and width.

    Returns:
        Targets, sources and weights of the synapses, ``(n_synapses,)``.
    """
    (_, height, width), (_, h, w) = targets.shape, sources.shape
    parts = []
    for k, m in np.ndindex(*weights.shape):
        rows = np.arange(height) * stride[0] - padding[0] + k * dilation[0]
        columns = np.arange(width) * stride[1] - padding[1] + m * dilation[1]
        y, x = np.nonzero(((rows >= 0) & (rows < h))[:, None] & ((columns >= 0) & (columns < w)))
        to, of = targets[:, y, x].ravel(), sources[:, rows[y], columns[x]].ravel()
        parts.append((to, of, np.full(len(to), weights[k, m])))
    to, of, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    return to, of, weight
