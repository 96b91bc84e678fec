# SPDX-License-Identifier: Apache-2.0
"""Delivery of spikes: each adds its weights to the inputs of the neurons that it reaches.

Synaptic rows are contiguous in the target, so that 16 or 32 synapses are added at once. What is added to is marked,
block by block, in ``touched``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .vectors import BLOCK, BLOCK_BITS, add8, add16, add24, add32, add_rows

# Columns of the table of connections; what the others mean depends on the kind.
C_KIND, C_SOURCE, C_TARGET, C_SHIFT, C_WEIGHTS, C_INDEX = range(6)
C_ROW = 6  # rows: length of a row; sparse: where targets begin; delayed: where pairs of target and delay do
C_CHW, C_IN, C_X, C_Y, C_OUT, C_Y_OUT, C_TAPS_X, C_TAPS_Y, C_TOTALS, C_PIXELS = range(6, 16)  # conv
C_DELAY, C_COLUMNS = 16, 17  # extra steps of all synapses (rows, sparse, conv)
#: Up to so many spikes of a convolution only the blocks that they reach are marked: to mark those of padding as well
#: costs less, but each is then visited.
FEW = 128

# Columns of the table of a convolution's source pixels: first target (-1 at the border), phase, rows of targets
# and their length without the padding; and of those of its source coordinates, one for x and one for y: first
# target, number of targets, first tap, phase.
X_START, X_PHASE, X_ROWS, X_LENGTH, X_COLUMNS = range(5)
G_FIRST, G_REACH, G_SKIP, G_PHASE, G_COLUMNS = range(5)
# Kinds of connection.
ROWS, SPARSE, DELAYED, CONV = range(4)


@njit(inline="always")
def _mark(touched, first, length):
    """Mark the blocks of neurons ``first .. first + length - 1``; the usual lengths have no loop."""
    touched[first >> BLOCK_BITS] = 1
    touched[(first + length - 1) >> BLOCK_BITS] = 1
    if length > BLOCK:
        touched[(first + BLOCK) >> BLOCK_BITS] = 1
        for block in range((first >> BLOCK_BITS) + 2, (first + length - 1) >> BLOCK_BITS):
            touched[block] = 1


@njit(inline="always")
def _add_row(a, start, weights, w, n, shift):
    """``a[start:start + n] += weights[w:w + n] << shift``."""
    k = 0
    while k + 16 <= n:
        add16(a, start + k, weights, w + k, shift)
        k += 16
    if k + 8 <= n:
        add8(a, start + k, weights, w + k, shift)
        k += 8
    while k < n:
        a[start + k] += np.int32(weights[w + k]) << shift
        k += 1


@njit(cache=True)
def deliver_rows(c, ids, weights, index, a, touched):
    """Dense connection: one contiguous row of weights a source neuron. Returns the synaptic operations."""
    n, shift, target, counts, first = c[C_ROW], np.int32(c[C_SHIFT]), c[C_TARGET], c[C_INDEX], c[C_WEIGHTS]
    whole = n & -BLOCK  # where blocks end: up to there the sum of all rows stays in registers
    for k in range(0, whole, BLOCK):
        add_rows(a, target + k, weights, first + k, n, ids, shift)
    operations = 0
    for k in range(len(ids)):
        source = np.int64(ids[k])
        _add_row(a, target + whole, weights, first + source * n + whole, n - whole, shift)
        operations += index[counts + source]
    if operations:
        _mark(touched, target, n)
    return operations


@njit(cache=True)
def deliver_sparse(c, ids, weights, index, a, touched):
    """Sparse connection: the targets of each source neuron, in compressed rows. Returns the synaptic operations."""
    # Unsigned, so that numba writes no code for indices that count from the end: five times as fast.
    shift, target = np.int32(c[C_SHIFT]), np.uint64(c[C_TARGET])
    rows, targets, first_weight = c[C_INDEX], np.uint64(c[C_ROW]), np.uint64(c[C_WEIGHTS])
    bits = np.uint64(BLOCK_BITS)
    operations = 0
    for k in range(len(ids)):
        s, last = np.uint64(index[rows + ids[k]]), np.uint64(index[rows + ids[k] + 1])
        operations += np.int64(last - s)
        while s < last:
            neuron = target + np.uint64(index[targets + s])
            a[neuron] += np.int32(weights[first_weight + s]) << shift
            touched[neuron >> bits] = 1
            s += np.uint64(1)
    return operations


@njit(cache=True)
def deliver_delayed(c, ids, weights, index, acc, touched, t):
    """Connection of different delays: (target, delay) pairs of each source neuron, in compressed rows."""
    shift, target = np.int32(c[C_SHIFT]), np.uint64(c[C_TARGET])
    rows, pairs, first_weight = c[C_INDEX], np.uint64(c[C_ROW]), np.uint64(c[C_WEIGHTS])
    slots, now, bits = np.uint64(len(acc)), np.uint64((t + 1) % len(acc)), np.uint64(BLOCK_BITS)
    operations = 0
    for k in range(len(ids)):
        s, last = np.uint64(index[rows + ids[k]]), np.uint64(index[rows + ids[k] + 1])
        operations += np.int64(last - s)
        while s < last:
            pair = pairs + np.uint64(2) * s
            neuron = target + np.uint64(index[pair])
            slot = now + np.uint64(index[pair + np.uint64(1)])
            if slot >= slots:
                slot -= slots
            acc[slot, neuron] += np.int32(weights[first_weight + s]) << shift
            touched[slot, neuron >> bits] = 1
            s += np.uint64(1)
    return operations


@njit(cache=True)
def _add_rectangles(a, weights, rows, n, n_rows, length, pitch, shift):
    """Add ``n_rows`` rows of weights for each (first target, first weight, ...) of the ``n`` in ``rows``."""
    # The common lengths have loops of their own: few instructions are what makes this fast.
    if length == 32:
        for k in range(n):
            for r in range(n_rows):
                add32(a, rows[k, 0] + r * pitch, weights, rows[k, 1] + r * length, shift)
    elif length == 24:
        for k in range(n):
            for r in range(n_rows):
                add24(a, rows[k, 0] + r * pitch, weights, rows[k, 1] + r * length, shift)
    elif length == 16:
        for k in range(n):
            for r in range(n_rows):
                add16(a, rows[k, 0] + r * pitch, weights, rows[k, 1] + r * length, shift)
    else:
        for k in range(n):
            for r in range(n_rows):
                _add_row(a, rows[k, 0] + r * pitch, weights, rows[k, 1] + r * length, length, shift)


@njit(cache=True)
def _mark_reached(touched, rows, n, n_rows, pitch, index):
    """Mark the blocks that :func:`_add_rectangles` adds to, without those of padding.

    In place of a row of padding the last one is marked again, which saves mispredicted branches.
    """
    for k in range(n):
        first, end = np.int64(rows[k, 0]), np.int64(index[rows[k, 2] + X_LENGTH]) - 1
        last = first + np.int64(index[rows[k, 2] + X_ROWS] - 1) * pitch
        for _ in range(n_rows):
            touched[np.uint64(first >> BLOCK_BITS)] = 1
            touched[np.uint64((first + end) >> BLOCK_BITS)] = 1
            for block in range((first >> BLOCK_BITS) + 1, (first + end) >> BLOCK_BITS):
                touched[block] = 1
            first = min(first + pitch, last)


@njit(cache=True)
def _mark_rectangles(touched, rows, n, n_rows, length, pitch, out):
    """The same with the blocks of padding, which cost a look and change nothing; faster where spikes are many."""
    # Rows begin at multiples of the channels, so of their lowest power of two: many reach two blocks only.
    if length <= BLOCK + min(out & -out, BLOCK):
        for k in range(n):
            first = np.int64(rows[k, 0])
            for _ in range(n_rows):
                touched[np.uint64(first >> BLOCK_BITS)] = 1
                touched[np.uint64((first + length - 1) >> BLOCK_BITS)] = 1
                first += pitch
    elif length <= 2 * BLOCK:
        for k in range(n):
            first = np.int64(rows[k, 0])
            for _ in range(n_rows):
                touched[first >> BLOCK_BITS] = 1
                touched[min(first + BLOCK, first + length - 1) >> BLOCK_BITS] = 1
                touched[(first + length - 1) >> BLOCK_BITS] = 1
                first += pitch
    else:
        for k in range(n):
            for r in range(n_rows):
                _mark(touched, rows[k, 0] + r * pitch, length)


@njit(cache=True)
def _deliver_border(c, pixel, channel, weights, index, a, touched):
    """Spike of a pixel some of whose taps fall outside the target."""
    out, taps_y = c[C_OUT], c[C_TAPS_Y]
    taps = c[C_TAPS_X] * taps_y
    row = np.int64((pixel + 0.5) / c[C_Y])
    x = c[C_INDEX] + G_COLUMNS * row
    y = c[C_INDEX] + G_COLUMNS * (c[C_X] + pixel - row * c[C_Y])
    counts = c[C_INDEX] + G_COLUMNS * (c[C_X] + c[C_Y])
    phase = index[x + G_PHASE] + index[y + G_PHASE] + channel
    n = index[y + G_REACH] * out
    operations = 0
    if n == 0:
        return operations
    for r in range(index[x + G_REACH]):
        tap = phase * taps + (index[x + G_SKIP] + r) * taps_y + index[y + G_SKIP]
        start = c[C_TARGET] + ((index[x + G_FIRST] + r) * c[C_Y_OUT] + index[y + G_FIRST]) * out
        _add_row(a, start, weights, c[C_WEIGHTS] + tap * out, n, np.int32(c[C_SHIFT]))
        _mark(touched, start, n)
        for q in range(index[y + G_REACH]):
            operations += index[counts + tap + q]
    return operations


@njit(cache=True)
def deliver_conv(c, ids, weights, index, a, touched):
    """Convolution, scattered: a source pixel reaches a rectangle of target pixels, a row of it at a time.

    With stride s the taps that a source coordinate meets depend on its phase, the coordinate modulo s. The
    weights are laid out as ``[phase x, phase y, channel, tap x, tap y, target channel]``, padded with zeros
    to the same number of taps in every phase, so that the usual case has no branch that depends on the data;
    adding the zeros is harmless wherever they fall. At the border the taps that fall outside are left out.

    ``index`` holds the tables of x and of y (columns ``G_*``), then the number of synapses of each
    ``[phase x, phase y, channel, tap x, tap y]``; from ``C_TOTALS`` their sums over the taps; from
    ``C_PIXELS`` the table of pixels (columns ``X_*``).
    """
    area, out = c[C_X] * c[C_Y], c[C_OUT]
    n_rows, length, pitch = c[C_TAPS_X], c[C_TAPS_Y] * out, c[C_Y_OUT] * out
    target, first_weight, totals, pixels = c[C_TARGET], c[C_WEIGHTS], c[C_TOTALS], c[C_PIXELS]
    channels_first = c[C_CHW] != 0
    # (i + 0.5) / d is never closer to an integer than 0.5 / d, so this product rounds down as division does.
    divisor = np.int32(area if channels_first else c[C_IN])
    inverse = 1.0 / divisor
    split = np.empty((2, len(ids)), np.int32)
    rows = np.empty((len(ids), 3), np.int32)
    n = 0
    operations = 0
    for k in range(len(ids)):
        quotient = np.int32((ids[k] + 0.5) * inverse)
        remainder = np.int32(ids[k] - quotient * divisor)
        split[0, k] = remainder if channels_first else quotient
        split[1, k] = quotient if channels_first else remainder
    for k in range(len(ids)):
        at = pixels + X_COLUMNS * split[0, k]
        start = index[at + X_START]
        if start < 0:
            operations += _deliver_border(c, split[0, k], split[1, k], weights, index, a, touched)
            continue
        phase = index[at + X_PHASE] + split[1, k]
        rows[n, 0] = target + start
        rows[n, 1] = first_weight + phase * n_rows * length
        rows[n, 2] = at
        operations += index[totals + phase]
        n += 1
    _add_rectangles(a, weights, rows, n, n_rows, length, pitch, np.int32(c[C_SHIFT]))
    if n <= FEW:
        _mark_reached(touched, rows, n, n_rows, pitch, index)
    else:
        _mark_rectangles(touched, rows, n, n_rows, length, pitch, out)
    return operations
