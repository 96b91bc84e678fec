# SPDX-License-Identifier: Apache-2.0
"""The compiled learning engine: traces, epochs, and the changes of synapses; integers, event-driven.

After the spikes of step t have gone out, those of source and target are noted (:func:`record`). At the end of an epoch
(:func:`learn`) the traces are followed through its steps, each product is evaluated at its gate's step, and

    s <- clip((s << 7) + sum of clip((mantissa prod(factors) >> shift) << (exponent + 7)))
    s <- floor(s / 128) + (draw < s mod 128), within its bounds

for weight, delay and tag s, all from their old values: Lava's ``bit_approximate_loihi``. By Brian2Loihi nothing is
shifted away: ``dw`` is rounded away from zero, then at random to the grid of the weights.

Only synapses with an open gate are visited: a row of them where the source has spiked or u counts, those of the targets
that have spiked where only they did. What is not visited would not change: its sum has no fraction to round.

The arrays' addresses stand in a table, as in :mod:`..kernels`.
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit

from ..emulator.block_schedule import P_SPIKES
from ..emulator.kernels import COUNTERS, COUNTS, INDEX, N_STEPS, POPULATIONS, SPIKES, WEIGHTS, advance
from ..emulator.vectors import address
from .changes import change_listed, change_row, hashed, key_of, scatter_row
from .columns import (
    BASE,
    CHANGES,
    DELAYS,
    DRAWS,
    F_CONSTANT,
    F_NAME,
    F_WIDTH,
    FACTORS,
    FIRED,
    FIRST_GATE,
    FRACTION,
    GATE_U,
    GATE_X0,
    GATE_Y0,
    IMPULSES,
    N_EPOCHS,
    N_VISITS,
    O_DECIMATION,
    O_EPOCH,
    O_EXACT,
    O_GATES,
    O_LAVA,
    O_PAIRS,
    O_REINFORCED,
    O_SEED,
    O_SOURCE,
    O_TARGET,
    O_TRACES,
    O_W_ROW,
    O_W_START,
    OPTIONS,
    P_GATE,
    P_OF_SYNAPSE,
    P_OF_X,
    P_OF_Y,
    PRODUCTS,
    ROOM,
    TAGS,
    TX,
    TY,
    X_HISTORY,
    X_PRODUCTS,
    Y_HISTORY,
    Y_PRODUCTS,
    X,
    Y,
)  # fmt: skip
from .draws import SYNAPSE, X_DECAY, X_IMPULSE, Y_AGAIN, Y_DECAY, Y_IMPULSE

# What a draw is for, besides the variables 0 .. 2.
_DRAW_X, _DRAW_Y, _DRAW_X_IMPULSE, _DRAW_Y_IMPULSE = 3, 4, 256, 257
_MOST = 127


@njit(inline="always")
def _uniform(key, i):
    return hashed(key, i) * 2.0**-32


@njit(cache=True)
def record(ids, spiked, traces, impulses, first, reinforced, offset, when, seed, lava, again, kind):
    """Note the spikes of one side; a second one in an epoch adds its impulse at once.

    Args:
        ids: who spiked.
        spiked: step of the last spike in the epoch, written.
        traces: ``(n_traces, n)``, of which the first is number ``first``.
        impulses: of all traces.
        reinforced: a bit for each trace that takes no spikes.
        offset: number of the step in the epoch, from 1 on.
        when, seed, kind: of the draws; where ``lava``, ``again`` is the draw instead.
    """
    for q in range(len(ids)):
        i = ids[q]
        if spiked[i]:
            for k in range(len(traces)):
                if reinforced >> (first + k) & 1:
                    continue
                draw = again if lava else np.float64(hashed(key_of(seed, kind + 2 * k, when), i) >> np.uint32(24))
                more = impulses[first + k, 0] + (draw < impulses[first + k, 1])
                traces[k, i] = min(max(traces[k, i] + more, 0), _MOST)
        spiked[i] = offset


@njit(cache=True)
def follow(
    traces, spiked, history, epoch, base, fraction, impulses, first, mask, reinforced, when, seed, lava, decay, impulse,
    kind,
):  # fmt: skip
    """Follow the traces of one side through an epoch; ``history`` is written, ``(epoch + 1, n_traces, n)``."""
    n = traces.shape[1]
    for k in range(len(traces)):
        if not mask >> (first + k) & 1:
            continue
        b, f = base[first + k], fraction[first + k]
        for i in range(n):
            history[0, k, i] = traces[k, i]
        for t in range(1, epoch + 1):
            key = key_of(seed, kind + 16 * (first + k), when * 64 + t)
            to_add = key_of(seed, kind + 2 + 16 * (first + k), when * 64 + t)
            for i in range(n):
                if reinforced >> (first + k) & 1 and t == 1:
                    history[t, k, i] = history[0, k, i]
                    continue
                at = history[t - 1, k, i] + 128
                value = b[at]
                if f[at] > 0.0 and (decay if lava else _uniform(key, i)) < f[at]:
                    value += 1
                if spiked[i] == t and not reinforced >> (first + k) & 1:
                    draw = impulse if lava else np.float64(hashed(to_add, i) >> np.uint32(24))
                    more = impulses[first + k, 0] + (draw < impulses[first + k, 1])
                    value = min(max(value + more, 0), _MOST)
                history[t, k, i] = value
        after = key_of(seed, kind + 16 * (first + k), when * 64)
        for i in range(n):
            value = history[epoch, k, i]
            if reinforced >> (first + k) & 1:  # it counts in its own step and decays afterwards
                at = value + 128
                value = b[at] + (f[at] > 0.0 and (decay if lava else _uniform(after, i)) < f[at])
            traces[k, i] = value


@njit(cache=True)
def multiply(products, factors, side, history, spiked, epoch, out):
    """Products of the factors of one side, ``out[product, step, neuron]``; 0 at step 0 and where y0 is shut."""
    n = len(spiked)
    for p in range(len(products)):
        begin = products[p, P_OF_X] if side == 0 else products[p, P_OF_Y]
        end = products[p, P_OF_Y] if side == 0 else products[p, P_OF_SYNAPSE]
        for i in range(n):
            out[p, 0, i] = 0
        for t in range(1, epoch + 1):
            row = out[p, t]
            for i in range(n):
                row[i] = 1
            if side == 1 and products[p, P_GATE] == GATE_Y0:
                for i in range(n):
                    row[i] = np.int32(spiked[i] == t)
            for f in range(begin, end):
                constant, width = np.int32(factors[f, F_CONSTANT]), factors[f, F_WIDTH]
                low, high = np.int32(-(1 << width)), np.int32((1 << width) - 1)
                name = factors[f, F_NAME]
                if name >= FIRST_GATE:  # x0 or y0 behind another gate
                    for i in range(n):
                        row[i] *= min(max(np.int32(spiked[i] > 0) + constant, low), high)
                else:
                    trace = history[t, name if side == 0 else name - 2]
                    for i in range(n):
                        row[i] *= min(max(trace[i] + constant, low), high)


@njit(cache=True)
def learn(m, step, weights, index):
    """End an epoch of one connection.

    Args:
        m: table of its arrays.
        step: number of the step, from 0 on.
        weights, index: of the network, as in :mod:`..kernels`.
    """
    o = carray(address(m[OPTIONS, 0]), (m[OPTIONS, 1],), np.int64)
    products = carray(address(m[PRODUCTS, 0]), (m[PRODUCTS, 1], m[PRODUCTS, 2]), np.int64)
    factors = carray(address(m[FACTORS, 0]), (m[FACTORS, 1], m[FACTORS, 2]), np.int64)
    impulses = carray(address(m[IMPULSES, 0]), (m[IMPULSES, 1], m[IMPULSES, 2]), np.int64)
    base = carray(address(m[BASE, 0]), (m[BASE, 1], m[BASE, 2]), np.int32)
    fraction = carray(address(m[FRACTION, 0]), (m[FRACTION, 1], m[FRACTION, 2]), np.float64)
    x = carray(address(m[X, 0]), (m[X, 1], m[X, 2]), np.int32)
    y = carray(address(m[Y, 0]), (m[Y, 1], m[Y, 2]), np.int32)
    tx = carray(address(m[TX, 0]), (m[TX, 1],), np.int32)
    ty = carray(address(m[TY, 0]), (m[TY, 1],), np.int32)
    n_source, n_target = len(tx), len(ty)
    epoch, n_products = o[O_EPOCH], len(products)
    x_history = carray(address(m[X_HISTORY, 0]), (epoch + 1, 2, n_source), np.int32)
    y_history = carray(address(m[Y_HISTORY, 0]), (epoch + 1, 3, n_target), np.int32)
    of_x = carray(address(m[X_PRODUCTS, 0]), (n_products, epoch + 1, n_source), np.int32)
    of_y = carray(address(m[Y_PRODUCTS, 0]), (n_products, epoch + 1, n_target), np.int32)
    room = carray(address(m[ROOM, 0]), (m[ROOM, 1], m[ROOM, 2]), np.int32)
    fired = carray(address(m[FIRED, 0]), (m[FIRED, 1],), np.int32)
    delays = carray(address(m[DELAYS, 0]), (m[DELAYS, 1], m[DELAYS, 2]), np.int16)
    tags = carray(address(m[TAGS, 0]), (m[TAGS, 1], m[TAGS, 2]), np.int16)
    draws = carray(address(m[DRAWS, 0]), (m[DRAWS, 1], m[DRAWS, 2]), np.float64)
    changes = carray(address(m[CHANGES, 0]), (m[CHANGES, 1],), np.int64)
    lava, seed, mask, reinforced = o[O_LAVA] != 0, o[O_SEED], o[O_TRACES], o[O_REINFORCED]
    row = step if lava else 0
    follow(
        x, tx, x_history, epoch, base, fraction, impulses, 0, mask, reinforced, step, seed, lava,
        draws[row, X_DECAY], draws[row, X_IMPULSE], _DRAW_X,
    )  # fmt: skip
    follow(
        y, ty, y_history, epoch, base, fraction, impulses, 2, mask, reinforced, step, seed, lava,
        draws[row, Y_DECAY], draws[row, Y_IMPULSE], _DRAW_Y,
    )  # fmt: skip
    n_fired = 0
    for i in range(n_target):
        if ty[i]:
            fired[n_fired] = i
            n_fired += 1
    n_sources = 0
    for j in range(n_source):
        n_sources += tx[j] != 0
    count = (step + 1) // epoch
    open_u = bool(o[O_GATES] >> GATE_U & 1) and count & ((1 << o[O_DECIMATION]) - 1) == 0
    open_x, open_y = bool(o[O_GATES] >> GATE_X0 & 1) and n_sources > 0, bool(o[O_GATES] >> GATE_Y0 & 1) and n_fired > 0
    changes[N_EPOCHS] += 1
    if open_u or open_x or open_y:
        multiply(products, factors, 0, x_history, tx, epoch, of_x)
        multiply(products, factors, 1, y_history, ty, epoch, of_y)
        draw = np.int64(draws[row, SYNAPSE]) if lava else np.int64(-1)
        for j in range(n_source):
            whole = open_u or (open_x and tx[j] > 0)
            if not whole and not (open_y and _stirs(products, of_x, j, epoch)):
                continue
            start = o[O_W_START] + j * o[O_W_ROW]
            old = weights[start : start + n_target]
            if not whole and 8 * n_fired < n_target or o[O_EXACT]:
                listed = n_fired if not whole else -1
                n = change_listed(
                    o, products, factors, of_x, of_y, j, tx[j], ty, fired, listed, open_u, old, delays[j], tags[j],
                    step, draw,
                )  # fmt: skip
            else:
                n = change_row(
                    o, products, factors, of_x, of_y, j, tx[j], ty, fired, n_fired, open_u, old, delays[j], tags[j],
                    room, step, draw,
                )  # fmt: skip
            changes[N_VISITS] += n
            if n and o[O_PAIRS] >= 0:
                scatter_row(delays[j], index, o[O_PAIRS] + 2 * j * n_target)
    tx[:] = 0
    ty[:] = 0


@njit(inline="always")
def _stirs(products, of_x, j, epoch):
    """Whether a source without a spike can change a synapse where the target has spiked."""
    for p in range(len(products)):
        if products[p, P_GATE] == GATE_Y0:
            for t in range(1, epoch + 1):
                if of_x[p, t, j]:
                    return True
    return False


@njit(cache=True)
def note(m, step, source_ids, target_ids):
    """Note the spikes of a step of one connection; see :func:`record`."""
    o = carray(address(m[OPTIONS, 0]), (m[OPTIONS, 1],), np.int64)
    impulses = carray(address(m[IMPULSES, 0]), (m[IMPULSES, 1], m[IMPULSES, 2]), np.int64)
    x = carray(address(m[X, 0]), (m[X, 1], m[X, 2]), np.int32)
    y = carray(address(m[Y, 0]), (m[Y, 1], m[Y, 2]), np.int32)
    tx = carray(address(m[TX, 0]), (m[TX, 1],), np.int32)
    ty = carray(address(m[TY, 0]), (m[TY, 1],), np.int32)
    draws = carray(address(m[DRAWS, 0]), (m[DRAWS, 1], m[DRAWS, 2]), np.float64)
    lava, seed, reinforced = o[O_LAVA] != 0, o[O_SEED], o[O_REINFORCED]
    again = draws[step, Y_AGAIN] if lava else 0.0
    offset = step % o[O_EPOCH] + 1
    # Lava draws nothing where a source spikes twice: its fraction always rounds up.
    record(source_ids, tx, x, impulses, 0, reinforced, offset, step, seed, lava, 0.0, _DRAW_X_IMPULSE)
    record(target_ids, ty, y, impulses, 2, reinforced, offset, step, seed, lava, again, _DRAW_Y_IMPULSE)


@njit(cache=True, nogil=True)
def advance_and_learn(memory, tables, outputs, in_indptr, in_ids, n_inputs, out_indptr, out_ids):
    """As :func:`..kernels.advance`, and let the plastic connections learn.

    Args:
        tables: int64 ``(n_connections, N_ARRAYS, 3)``, addresses of their arrays.
    """
    m = memory
    populations = carray(address(m[POPULATIONS, 0]), (m[POPULATIONS, 1], m[POPULATIONS, 2]), np.int64)
    weights = carray(address(m[WEIGHTS, 0]), (m[WEIGHTS, 1],), np.int16)
    index = carray(address(m[INDEX, 0]), (m[INDEX, 1],), np.int32)
    counters = carray(address(m[COUNTERS, 0]), (m[COUNTERS, 1],), np.int64)
    spikes = carray(address(m[SPIKES, 0]), (m[SPIKES, 1],), np.int32)
    counts = carray(address(m[COUNTS, 0]), (m[COUNTS, 1],), np.int64)
    ends = np.zeros(2, np.int64)
    written = 0
    out_indptr[0] = 0
    for k in range(len(in_indptr) - 1):
        step = counters[N_STEPS]
        if advance(memory, outputs, in_indptr[k : k + 2], in_ids, n_inputs, ends, out_ids[written:]):
            return 1
        written += ends[1]
        out_indptr[k + 1] = written
        for c in range(len(tables)):
            o = carray(address(tables[c, OPTIONS, 0]), (tables[c, OPTIONS, 1],), np.int64)
            first = populations[o[O_TARGET], P_SPIKES]
            target_ids = spikes[first : first + counts[o[O_TARGET]]]
            if o[O_SOURCE] < 0:
                source_ids = in_ids[in_indptr[k] : in_indptr[k + 1]]
            else:
                first = populations[o[O_SOURCE], P_SPIKES]
                source_ids = spikes[first : first + counts[o[O_SOURCE]]]
            note(tables[c], step, source_ids, target_ids)
            if (step + 1) % o[O_EPOCH] == 0:
                learn(tables[c], step, weights, index)
    return 0
