# SPDX-License-Identifier: Apache-2.0
"""A step of a large network on two threads, to the bit what one thread gives.

Every population is divided at a word of the bitmaps. Each thread updates its half, then delivers all spikes to its
half: rows of synapses are sorted by target, so that half of a row is found by a binary search, and no two threads
write to the same neuron. Between the two the spikes of both halves are joined.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import carray, njit

from . import kernels as k
from .block_schedule import P_BLOCKS, P_SPIKES, P_START, WORD_BITS, update
from .delivery import C_DELAY, C_INDEX, C_KIND, C_ROW, C_SHIFT, C_SOURCE, C_TARGET, C_WEIGHTS, DELAYED, SPARSE
from .layout import Layout
from .vectors import BLOCK, BLOCK_BITS, address, take_bits

#: Synapses from which on two threads pay for waiting for each other twice a step.
LARGE = 4_000_000


def can_divide(layout: Layout) -> bool:
    """Whether all connections are synapses one by one, without sums that are shifted apart."""
    kinds = set(layout.connections[:, C_KIND].tolist())
    return not len(layout.folds) and kinds <= {SPARSE, DELAYED}


@njit(cache=True, nogil=True)
def _update_half(memory, rows, spikes, masks, counts):
    """Update a half of every population; ``rows`` is its table of populations. Returns the neurons that were live."""
    m = memory
    parameters = carray(address(m[k.PARAMETERS, 0]), (m[k.PARAMETERS, 1], m[k.PARAMETERS, 2]), np.int32)
    state = carray(address(m[k.STATE, 0]), (m[k.STATE, 1], m[k.STATE, 2]), np.int32)
    inputs = carray(address(m[k.INPUTS, 0]), (m[k.INPUTS, 1], m[k.INPUTS, 2]), np.int32)
    touched = carray(address(m[k.TOUCHED, 0]), (m[k.TOUCHED, 1], m[k.TOUCHED, 2]), np.uint8)
    active = carray(address(m[k.ACTIVE, 0]), (m[k.ACTIVE, 1],), np.uint64)
    resting = carray(address(m[k.RESTING, 0]), (m[k.RESTING, 1],), np.uint64)
    done = carray(address(m[k.DONE, 0]), (m[k.DONE, 1],), np.int64)
    counters = carray(address(m[k.COUNTERS, 0]), (m[k.COUNTERS, 1],), np.int64)
    t = counters[k.N_STEPS]
    a, marks = inputs[t % len(inputs)], touched[t % len(inputs)]
    updates = 0
    for q in range(len(rows)):
        first = rows[q, P_START] >> WORD_BITS
        for word in range(first, first + ((rows[q, P_BLOCKS] + 63) >> 6)):
            active[word] |= take_bits(marks, 64 * word)
        counts[q], live = update(rows[q], parameters, state, a, active, resting, done, t, spikes, masks)
        updates += live
    return updates


@njit(cache=True, nogil=True)
def _join(memory, halves, spikes, counts, offsets, updates):
    """Write the spikes of two halves one after the other; ``offsets`` numbers the neurons of the second."""
    m = memory
    populations = carray(address(m[k.POPULATIONS, 0]), (m[k.POPULATIONS, 1], m[k.POPULATIONS, 2]), np.int64)
    counters = carray(address(m[k.COUNTERS, 0]), (m[k.COUNTERS, 1],), np.int64)
    joined = carray(address(m[k.SPIKES, 0]), (m[k.SPIKES, 1],), np.int32)
    total = carray(address(m[k.COUNTS, 0]), (m[k.COUNTS, 1],), np.int64)
    for q in range(len(populations)):
        at = populations[q, P_SPIKES]
        for half in range(2):
            first = halves[half, q, P_SPIKES]
            for i in range(first, first + counts[half, q]):
                joined[at] = spikes[half, i] + half * offsets[q]
                at += 1
        total[q] = at - populations[q, P_SPIKES]
        counters[k.N_SPIKES] += total[q]
    counters[k.N_UPDATES] += updates


@njit(inline="always")
def _from(index, start, stride, low, high, target):
    """The first of the synapses low .. high - 1, sorted by target, whose target is at least ``target``."""
    while low < high:
        middle = (low + high) >> 1
        if index[start + stride * middle] < target:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _deliver_half(memory, bounds, half, in_ids):
    """Deliver the spikes of the step to a half of every population. Returns the synaptic operations."""
    m = memory
    populations = carray(address(m[k.POPULATIONS, 0]), (m[k.POPULATIONS, 1], m[k.POPULATIONS, 2]), np.int64)
    connections = carray(address(m[k.CONNECTIONS, 0]), (m[k.CONNECTIONS, 1], m[k.CONNECTIONS, 2]), np.int64)
    weights = carray(address(m[k.WEIGHTS, 0]), (m[k.WEIGHTS, 1],), np.int16)
    index = carray(address(m[k.INDEX, 0]), (m[k.INDEX, 1],), np.int32)
    inputs = carray(address(m[k.INPUTS, 0]), (m[k.INPUTS, 1], m[k.INPUTS, 2]), np.int32)
    touched = carray(address(m[k.TOUCHED, 0]), (m[k.TOUCHED, 1], m[k.TOUCHED, 2]), np.uint8)
    counters = carray(address(m[k.COUNTERS, 0]), (m[k.COUNTERS, 1],), np.int64)
    spikes = carray(address(m[k.SPIKES, 0]), (m[k.SPIKES, 1],), np.int32)
    counts = carray(address(m[k.COUNTS, 0]), (m[k.COUNTS, 1],), np.int64)
    slots, operations, bits = np.uint64(len(inputs)), 0, np.uint64(BLOCK_BITS)
    now = np.uint64((counters[k.N_STEPS] + 1) % len(inputs))
    for q in range(len(connections)):
        c = connections[q]
        if c[C_SOURCE] < 0:
            ids = in_ids
        else:
            first = populations[c[C_SOURCE], P_SPIKES]
            ids = spikes[first : first + counts[c[C_SOURCE]]]
        delayed = c[C_KIND] == DELAYED
        stride = 2 if delayed else 1
        row, targets, shift = c[C_INDEX], c[C_ROW], np.int32(c[C_SHIFT])
        target, start, first_weight = np.uint64(c[C_TARGET]), np.uint64(c[C_ROW]), np.uint64(c[C_WEIGHTS])
        shared = np.uint64((counters[k.N_STEPS] + 1 + c[C_DELAY]) % len(inputs))
        a, marks = inputs[shared], touched[shared]
        for i in range(len(ids)):
            low, high = np.int64(index[row + ids[i]]), np.int64(index[row + ids[i] + 1])
            middle = _from(index, targets, stride, low, high, bounds[q])
            s, last = (np.uint64(low), np.uint64(middle)) if half == 0 else (np.uint64(middle), np.uint64(high))
            operations += np.int64(last - s)
            if delayed:
                while s < last:
                    pair = start + np.uint64(2) * s
                    neuron = target + np.uint64(index[pair])
                    slot = now + np.uint64(index[pair + np.uint64(1)])
                    if slot >= slots:
                        slot -= slots
                    inputs[slot, neuron] += np.int32(weights[first_weight + s]) << shift
                    touched[slot, neuron >> bits] = 1
                    s += np.uint64(1)
            else:
                while s < last:
                    neuron = target + np.uint64(index[start + s])
                    a[neuron] += np.int32(weights[first_weight + s]) << shift
                    marks[neuron >> bits] = 1
                    s += np.uint64(1)
    return operations


class Halves:
    """Advances an emulator's arrays on two threads.

    Args:
        layout: of a network for which :func:`can_divide` holds.
        arrays, memory: the emulator's, see :mod:`.kernels`.
    """

    def __init__(self, layout: Layout, arrays: dict[int, np.ndarray], memory: np.ndarray):
        self._arrays, self._memory = arrays, memory
        rows = layout.populations
        words = -(-rows[:, P_BLOCKS] // 64)
        blocks = np.minimum(-(-words // 2) * 64, rows[:, P_BLOCKS])
        self._offsets = blocks * BLOCK
        self._rows = np.stack([rows, rows])
        self._rows[0, :, P_BLOCKS], self._rows[1, :, P_BLOCKS] = blocks, rows[:, P_BLOCKS] - blocks
        self._rows[1, :, P_START] += self._offsets
        starts = rows[:, P_START].tolist()
        bounds = [self._offsets[starts.index(at)] for at in layout.connections[:, C_TARGET].tolist()]
        self._bounds = np.array(bounds, np.int64)
        size = len(arrays[k.SPIKES])
        self._spikes = np.zeros((2, size), np.int32)
        self._masks = np.zeros((2, len(arrays[k.MASKS])), np.int64)
        self._counts = np.zeros((2, len(rows)), np.int64)
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def _both(self, function, *arguments: tuple) -> list:
        """The function with the arguments of each half, the second on another thread."""
        if self._pool is None or self._process != os.getpid():  # threads do not survive a fork
            self._pool, self._process = ThreadPoolExecutor(1, "loihi"), os.getpid()
        other = self._pool.submit(function, *arguments[1])
        return [function(*arguments[0]), other.result()]

    def advance(
        self,
        outputs: np.ndarray,
        in_indptr: np.ndarray,
        in_ids: np.ndarray,
        n_inputs: int,
        out_indptr: np.ndarray,
        out_ids: np.ndarray,
    ) -> int:
        """As :func:`.kernels.advance`."""
        mine = in_ids[in_indptr[0] : in_indptr[-1]]
        if len(mine) and (mine.min() < 0 or mine.max() >= n_inputs):
            return 1
        counters, spikes, counts = (self._arrays[name] for name in (k.COUNTERS, k.SPIKES, k.COUNTS))
        populations, memory = self._arrays[k.POPULATIONS], self._memory
        written, out_indptr[0] = 0, 0
        each = [(memory, self._rows[h], self._spikes[h], self._masks[h], self._counts[h]) for h in (0, 1)]
        for step in range(len(in_indptr) - 1):
            updates = sum(self._both(_update_half, *each))
            _join(memory, self._rows, self._spikes, self._counts, self._offsets, updates)
            ids = in_ids[in_indptr[step] : in_indptr[step + 1]]
            parts = [(memory, self._bounds, h, ids) for h in (0, 1)]
            counters[k.N_SYNOPS] += sum(self._both(_deliver_half, *parts))
            for population, first_id in outputs:
                first, n = populations[population, P_SPIKES], counts[population]
                out_ids[written : written + n] = spikes[first : first + n] + first_id
                written += n
            out_indptr[step + 1] = written
            counters[k.N_INPUT_SPIKES] += len(ids)
            counters[k.N_STEPS] += 1
        return 0
