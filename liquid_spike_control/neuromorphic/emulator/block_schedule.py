# SPDX-License-Identifier: Apache-2.0
"""Visits: which blocks of a population are updated in a step, and how.

Neurons are updated in blocks of 32, and a block is visited only in steps in which it has input or could spike.
Otherwise it *rests*: either all its neurons are quiescent (zero u and v stay zero), or they decay where no threshold
is in reach (:mod:`.membrane` has the bound). What it missed is computed when it is next visited, at the latest after
3/2 ``REST_STEPS`` steps so that a burst after a long silence finds little left to do.

Where few blocks are visited most have little in them, and :mod:`.int16_blocks` is tried first.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .int16_blocks import WIDE, update_narrow
from .membrane import (
    LIVE_AT,
    RESTS_AT,
    U,
    V,
    catch_up_general,
    catch_up_uniform,
    update_general,
    update_uniform,
    update_uniform_and_rest,
)
from .vectors import BLOCK, BLOCK_BITS, popcount, trailing_zeros

#: Neurons under one 64-bit word of the bitmaps; populations begin at multiples of it.
WORD_BITS = BLOCK_BITS + 6
WORD = 1 << WORD_BITS
LANES = (1 << BLOCK) - 1
#: Every so many steps blocks that rest are looked at, and visited if they have missed half as many; a power of two.
REST_STEPS = 32
# Blocks to visit under one word above which it is seldom asked whether they rest.
CROWD = 32

# Columns of the table of populations; P_SHIFT is 0 where no block is tried as a narrow one.
P_START, P_BLOCKS, P_UNIFORM, P_SPIKES, P_DU, P_DV, P_THETA, P_GAIN, P_LIMIT, P_REACH, P_SHIFT, P_COLUMNS = range(12)


@njit(inline="always")
def _overdue(behind, done, word, t):
    """The blocks out of the word ``behind`` that have missed half of ``REST_STEPS`` steps."""
    overdue = np.uint64(0)
    while behind:
        bit = np.uint64(trailing_zeros(behind))
        behind &= behind - np.uint64(1)
        overdue |= np.uint64(t - done[(word << 6) + np.int64(bit)] >= REST_STEPS >> 1) << bit
    return overdue


@njit(cache=True)
def update(p, parameters, state, a, active, resting, done, t, spikes, masks):
    """Update one population in step t.

    Args:
        p: its row in the table of populations.
        parameters, state, a, active, resting, done, spikes, masks: arrays that :mod:`.kernels` describes.
        t: number of the step.

    Returns:
        How many spikes it left in ``spikes``, and how many neurons were not quiescent, summed over the steps.
    """
    start, words = p[P_START], (p[P_BLOCKS] + 63) >> 6
    decay_u, decay_v, theta = np.int32(p[P_DU]), np.int32(p[P_DV]), np.int32(p[P_THETA])
    gain, limit = np.int32(p[P_GAIN]), np.int32(p[P_LIMIT])
    reach, shift = np.int32(p[P_REACH]), np.int32(p[P_SHIFT])
    u, v, flat, stride = state[U], state[V], state.reshape(-1), state.shape[1]
    flat_parameters = parameters.reshape(-1)
    uniform = p[P_UNIFORM] != 0
    n_masks = np.uint64(0)
    updates = 0
    for word in range(start >> WORD_BITS, (start >> WORD_BITS) + words):
        left, behind = active[word], resting[word]
        # Among many blocks with input few can rest, so it is not asked in every step.
        ask = popcount(left) <= CROWD
        if (word ^ t) & (REST_STEPS - 1) == 0:
            left |= _overdue(behind & ~left, done, word, t)
            ask = True
        awake, at_rest = np.uint64(0), behind & ~left
        while left:
            bit = np.uint64(trailing_zeros(left))
            left &= left - np.uint64(1)
            block = (word << 6) + np.int64(bit)
            i = block << BLOCK_BITS
            missed = t - done[block] if behind >> bit & np.uint64(1) else 0
            done[block] = t + 1
            mask = WIDE
            if ask and shift > 0:
                mask = update_narrow(u, v, a, i, missed, decay_u << 4, decay_v << 4, theta, reach, shift)
            if mask == WIDE and uniform:
                if missed:
                    updates += catch_up_uniform(u, v, i, missed, decay_u, decay_v)
                if ask:
                    mask = update_uniform_and_rest(u, v, a, i, decay_u, decay_v, theta, gain, limit)
                else:
                    mask = update_uniform(u, v, a, i, decay_u, decay_v, theta, gain, limit)
            elif mask == WIDE:
                if missed:
                    updates += catch_up_general(flat, stride, flat_parameters, i, missed)
                mask = update_general(flat, stride, a, flat_parameters, i)
            live, rests = (mask >> LIVE_AT) & 0xFFFF, mask >> RESTS_AT
            updates += live
            stirs = np.uint64(live != 0)
            awake |= (stirs & np.uint64(rests ^ 1)) << bit
            at_rest |= (stirs & np.uint64(rests)) << bit
            masks[n_masks] = (i - start) << BLOCK | mask & LANES
            n_masks += np.uint64(mask & LANES != 0)
        active[word], resting[word] = awake, at_rest
    n = p[P_SPIKES]
    for k in range(n_masks):
        # Most masks hold one to three spikes; writing three without asking saves the mispredicted branches.
        block, mask = masks[k] >> BLOCK, np.uint64(masks[k] & LANES)
        found = popcount(mask)
        for q in range(3):
            spikes[n + q] = block + trailing_zeros(mask)
            mask &= mask - np.uint64(1)
        for q in range(3, found):
            spikes[n + q] = block + trailing_zeros(mask)
            mask &= mask - np.uint64(1)
        n += found
    return n - p[P_SPIKES], updates
