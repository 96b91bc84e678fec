# SPDX-License-Identifier: Apache-2.0
"""The compiled step of the Loihi emulator: event-driven, integer, one call for many steps.

One step ``t`` of the whole network (Davies et al. 2018, IEEE Micro 38(1); Lava ``fixed_pt`` models):

1. every population takes its summed synaptic input ``a`` and updates

   ``u <- tz(u * (4096 - (du + 1)) / 4096) + (a << 6)``, wrapped once into ``(-2^23, 2^23]``,
   ``v <- clip(tz(v * (4096 - dv) / 4096) + u + bias, +-(2^23 - 1))``,
   spike where ``v > theta``, then ``v = 0``;

2. the input spikes and the spikes of step ``t`` add their weights to the inputs of step ``t + 1 + delay``.

Cost follows activity: :mod:`.block_schedule` says when neurons need no update. Spikes, u, v and all counts are those of
the dense rule, to the bit.

:mod:`.block_schedule` updates the populations, :mod:`.delivery` their inputs; :mod:`.layout` makes the arrays.
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit

from .block_schedule import P_BLOCKS, P_SPIKES, P_START, WORD_BITS, update
from .delivery import (
    C_DELAY,
    C_KIND,
    C_SOURCE,
    DELAYED,
    ROWS,
    SPARSE,
    deliver_conv,
    deliver_delayed,
    deliver_rows,
    deliver_sparse,
)
from .membrane import catch_up_general
from .vectors import BLOCK, BLOCK_BITS, address, take_bits, trailing_zeros

# Columns of the table of shifted inputs (negative weight exponents): sum of the connection, target, blocks,
# shift.
F_START, F_TARGET, F_BLOCKS, F_SHIFT, F_COLUMNS = range(5)
# Counters.
N_STEPS, N_INPUT_SPIKES, N_SPIKES, N_SYNOPS, N_UPDATES, N_COUNTERS = range(6)


@njit(cache=True)
def _fold(folds, a, active):
    """Shift the sums of connections with a negative weight exponent into the inputs of their targets."""
    for k in range(len(folds)):
        f = folds[k]
        for block in range(f[F_BLOCKS]):
            at = (f[F_START] >> BLOCK_BITS) + block
            if active[at >> 6] >> np.uint64(at & 63) & np.uint64(1):
                for i in range(BLOCK * block, BLOCK * (block + 1)):
                    a[f[F_TARGET] + i] += (a[f[F_START] + i] >> f[F_SHIFT]) << 6
                    a[f[F_START] + i] = 0
                to = (f[F_TARGET] >> BLOCK_BITS) + block
                active[to >> 6] |= np.uint64(1) << np.uint64(to & 63)
                active[at >> 6] &= ~(np.uint64(1) << np.uint64(at & 63))


# The arrays that a network keeps, in the order of `memory`: the layout's constants, state, and room.
(
    POPULATIONS,  # int64 (n_populations, P_COLUMNS)
    FOLDS,  # int64 (n_folds, F_COLUMNS)
    CONNECTIONS,  # int64 (n_connections, C_COLUMNS)
    WEIGHTS,  # int16, of all connections
    INDEX,  # int32, what the connections need to find them
    PARAMETERS,  # int32 (N_PARAMETERS, n)
    STATE,  # int32 (N_STATE, n)
    INPUTS,  # int32 (slots, n), inputs still to come, a ring over the steps
    TOUCHED,  # uint8 (slots, n / BLOCK), blocks that have inputs to come
    ACTIVE,  # uint64 (n / WORD,), bitmap of the blocks that must be visited in the next step
    RESTING,  # uint64 (n / WORD,), bitmap of the blocks that rest and may hold anything but zeros
    DONE,  # int64 (n / BLOCK,), steps that the state of a block has in it
    COUNTERS,  # int64 (N_COUNTERS,)
    SPIKES,  # int32, room for the spikes of one step
    COUNTS,  # int64 (n_populations,), how many they are
    MASKS,  # int64 (largest population / BLOCK,), room for first neuron << BLOCK | spikes of its block
    N_ARRAYS,
) = range(17)


def memory_of(arrays: dict[int, np.ndarray]) -> np.ndarray:
    """The table ``(address, rows, columns)`` of C-contiguous arrays of one or two axes.

    One argument instead of sixteen: numba takes longer to unpack those than a small network takes to advance.
    The arrays must outlive the table.
    """
    memory = np.zeros((N_ARRAYS, 3), np.int64)
    for k, array in arrays.items():
        memory[k] = array.ctypes.data, *array.shape, *[1] * (2 - array.ndim)
    return memory


@njit(cache=True, nogil=True)
def settle(memory):
    """Let the blocks that rest catch up, so that state and counts are those of the last step."""
    m = memory
    populations = carray(address(m[POPULATIONS, 0]), (m[POPULATIONS, 1], m[POPULATIONS, 2]), np.int64)
    parameters = carray(address(m[PARAMETERS, 0]), (m[PARAMETERS, 1] * m[PARAMETERS, 2],), np.int32)
    state = carray(address(m[STATE, 0]), (m[STATE, 1] * m[STATE, 2],), np.int32)
    resting = carray(address(m[RESTING, 0]), (m[RESTING, 1],), np.uint64)
    done = carray(address(m[DONE, 0]), (m[DONE, 1],), np.int64)
    counters = carray(address(m[COUNTERS, 0]), (m[COUNTERS, 1],), np.int64)
    for k in range(len(populations)):
        p = populations[k]
        for word in range(p[P_START] >> WORD_BITS, (p[P_START] >> WORD_BITS) + ((p[P_BLOCKS] + 63) >> 6)):
            left = resting[word]
            while left:
                block = (word << 6) + trailing_zeros(left)
                left &= left - np.uint64(1)
                missed = counters[N_STEPS] - done[block]
                if missed:
                    counters[N_UPDATES] += catch_up_general(
                        state, m[STATE, 2], parameters, block << BLOCK_BITS, missed
                    )
                done[block] = counters[N_STEPS]


@njit(cache=True, nogil=True)
def advance(memory, outputs, in_indptr, in_ids, n_inputs, out_indptr, out_ids):
    """Advance the network by ``len(in_indptr) - 1`` steps.

    Args:
        memory: the network, from :func:`memory_of`.
        outputs: int64 ``(n, 2)``, populations to report and the offset of their ids.
        in_indptr, in_ids: input spikes. out_indptr, out_ids: output spikes, written.

    Returns:
        0, or 1 if an input id is outside ``0 .. n_inputs - 1`` (nothing has then been changed).
    """
    n_steps = len(in_indptr) - 1
    for k in range(in_indptr[0], in_indptr[n_steps]):
        if in_ids[k] < 0 or in_ids[k] >= n_inputs:
            return 1
    m = memory
    populations = carray(address(m[POPULATIONS, 0]), (m[POPULATIONS, 1], m[POPULATIONS, 2]), np.int64)
    folds = carray(address(m[FOLDS, 0]), (m[FOLDS, 1], m[FOLDS, 2]), np.int64)
    connections = carray(address(m[CONNECTIONS, 0]), (m[CONNECTIONS, 1], m[CONNECTIONS, 2]), np.int64)
    weights = carray(address(m[WEIGHTS, 0]), (m[WEIGHTS, 1],), np.int16)
    index = carray(address(m[INDEX, 0]), (m[INDEX, 1],), np.int32)
    parameters = carray(address(m[PARAMETERS, 0]), (m[PARAMETERS, 1], m[PARAMETERS, 2]), np.int32)
    state = carray(address(m[STATE, 0]), (m[STATE, 1], m[STATE, 2]), np.int32)
    inputs = carray(address(m[INPUTS, 0]), (m[INPUTS, 1], m[INPUTS, 2]), np.int32)
    touched = carray(address(m[TOUCHED, 0]), (m[TOUCHED, 1], m[TOUCHED, 2]), np.uint8)
    active = carray(address(m[ACTIVE, 0]), (m[ACTIVE, 1],), np.uint64)
    resting = carray(address(m[RESTING, 0]), (m[RESTING, 1],), np.uint64)
    done = carray(address(m[DONE, 0]), (m[DONE, 1],), np.int64)
    counters = carray(address(m[COUNTERS, 0]), (m[COUNTERS, 1],), np.int64)
    spikes = carray(address(m[SPIKES, 0]), (m[SPIKES, 1],), np.int32)
    counts = carray(address(m[COUNTS, 0]), (m[COUNTS, 1],), np.int64)
    masks = carray(address(m[MASKS, 0]), (m[MASKS, 1],), np.int64)
    slots = len(inputs)
    written = 0
    out_indptr[0] = 0
    for step in range(n_steps):
        t = counters[N_STEPS]
        a, marks = inputs[t % slots], touched[t % slots]
        for word in range(len(active)):
            active[word] |= take_bits(marks, 64 * word)
        _fold(folds, a, active)
        for k in range(len(populations)):
            counts[k], updates = update(populations[k], parameters, state, a, active, resting, done, t, spikes, masks)
            counters[N_UPDATES] += updates
            counters[N_SPIKES] += counts[k]
        for k in range(len(connections)):
            c = connections[k]
            due = (t + 1 + c[C_DELAY]) % slots
            a, marks = inputs[due], touched[due]
            if c[C_SOURCE] < 0:
                ids = in_ids[in_indptr[step] : in_indptr[step + 1]]
            else:
                first = populations[c[C_SOURCE], P_SPIKES]
                ids = spikes[first : first + counts[c[C_SOURCE]]]
            if len(ids) == 0:
                continue
            if c[C_KIND] == ROWS:
                counters[N_SYNOPS] += deliver_rows(c, ids, weights, index, a, marks)
            elif c[C_KIND] == SPARSE:
                counters[N_SYNOPS] += deliver_sparse(c, ids, weights, index, a, marks)
            elif c[C_KIND] == DELAYED:
                counters[N_SYNOPS] += deliver_delayed(c, ids, weights, index, inputs, touched, t)
            else:
                counters[N_SYNOPS] += deliver_conv(c, ids, weights, index, a, marks)
        for k in range(len(outputs)):
            first = populations[outputs[k, 0], P_SPIKES]
            for i in range(first, first + counts[outputs[k, 0]]):
                out_ids[written] = spikes[i] + outputs[k, 1]
                written += 1
        out_indptr[step + 1] = written
        counters[N_INPUT_SPIKES] += in_indptr[step + 1] - in_indptr[step]
        counters[N_STEPS] += 1
    return 0
