# SPDX-License-Identifier: Apache-2.0
"""How the synapses of one source change: all of them in vectors, or those of a few targets one by one.

The result is the same; :mod:`.engine` chooses.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .columns import (
    F_CONSTANT,
    F_NAME,
    F_SIGN,
    F_WIDTH,
    FIRST_VARIABLE,
    GATE_U,
    GATE_X0,
    GATE_Y0,
    O_EPOCH,
    O_EXACT,
    O_GRID,
    O_HIGH,
    O_LOW,
    O_SEED,
    P_END,
    P_EXPONENT,
    P_GATE,
    P_MANTISSA,
    P_OF_SYNAPSE,
    P_SHIFT,
    P_VARIABLE,
)

# Lava's bounds of a sum of changes, of a tag; the longest delay.
_LEAST_SUM, _MOST_SUM = -(2**15) - 1, 2**15 - 1
_LEAST_TAG, _MOST_TAG = -257, 255
_MOST_DELAY = 62
_DRAW_BITS = np.uint32(25)  # by which a draw of 32 bits is shifted to one of 7


@njit(inline="always")
def _mixed(z):
    """The finaliser of splitmix64 (Steele et al. 2014, 10.1145/2660193.2660195)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(inline="always")
def key_of(seed, kind, when):
    """A key of 32 bits for the draws of one kind at one time: what is drawn depends on no order."""
    z = _mixed(np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(kind + 1))
    return np.uint32(_mixed(z + np.uint64(0x9E3779B97F4A7C15) * np.uint64(when + 1)) >> np.uint64(32))


@intrinsic
def hashed(typingctx, key, i):
    """The draw number i of a key, uint32: the finaliser of MurmurHash3 over key and number, in 32 bits.

    In LLVM's own words: numba widens products to 64 bits, of which the processor multiplies few at once.
    """

    def code(context, builder, signature, arguments):
        def word(value):
            return ir.Constant(ir.IntType(32), value)

        number = builder.trunc(arguments[1], ir.IntType(32))
        h = builder.add(arguments[0], builder.mul(number, word(0x9E3779B9)))
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            h = builder.mul(builder.xor(h, builder.lshr(h, word(shift))), word(factor))
        return builder.xor(h, builder.lshr(h, word(16)))

    return types.uint32(types.uint32, types.int64), code


@njit(inline="always")
def _bounds(o, variable):
    """Least and most of a weight, a delay or a tag."""
    if variable == 0:
        return np.int32(o[O_LOW]), np.int32(o[O_HIGH])
    if variable == 1:
        return np.int32(0), np.int32(_MOST_DELAY)
    return np.int32(_LEAST_TAG), np.int32(_MOST_TAG)


@njit(inline="always")
def _clipped(value, low, high):
    return min(max(value, low), high)


@njit(inline="always")
def _own(factors, f, w, d, t):
    """A factor out of the synapse's own numbers."""
    name, width = factors[f, F_NAME], factors[f, F_WIDTH]
    value = np.int64(w) if name == FIRST_VARIABLE else np.int64(d) if name == FIRST_VARIABLE + 1 else np.int64(t)
    value += factors[f, F_CONSTANT]
    if factors[f, F_SIGN]:
        value = np.int64(value > 0) - np.int64(value < 0)
    return _clipped(value, -(np.int64(1) << width), (np.int64(1) << width) - 1)


@njit(inline="always")
def _sum_of_one(variable, o, products, factors, of_x, of_y, j, tj, i, ti, open_u, w, d, t):
    """What one synapse adds up for a variable, in 1/128; and whether anything did."""
    epoch, exact = o[O_EPOCH], o[O_EXACT] != 0
    total = np.int64(0)
    if not exact:
        total = np.int64(w if variable == 0 else d if variable == 1 else t) << 7
    any_open = False
    for p in range(len(products)):
        if products[p, P_VARIABLE] != variable:
            continue
        gate = products[p, P_GATE]
        at = tj if gate == GATE_X0 else ti if gate == GATE_Y0 else epoch * np.int64(open_u)
        if at == 0:
            continue
        value = products[p, P_MANTISSA] * np.int64(of_x[p, at, j]) * np.int64(of_y[p, at, i])
        for f in range(products[p, P_OF_SYNAPSE], products[p, P_END]):
            value *= _own(factors, f, w, d, t)
        any_open = True
        if exact:
            total += value << products[p, P_EXPONENT]
        else:
            value = (value >> products[p, P_SHIFT]) << products[p, P_EXPONENT]
            total = _clipped(total + _clipped(value, _LEAST_SUM, _MOST_SUM), _LEAST_SUM, _MOST_SUM)
    return total, any_open


@njit(cache=True)
def change_listed(
    o, products, factors, of_x, of_y, j, tj, ty, listed, n_listed, open_u, weights, delays, tags, step, draw
):  # fmt: skip
    """Change the synapses of source j one by one; returns how many numbers were visited.

    Args:
        o, products, factors: of the connection, see :mod:`.columns`.
        of_x, of_y: products of the factors of source and target, by product, step of the epoch and neuron.
        tj, ty: steps at which the source, and the targets, have spiked.
        listed: numbers of targets.
        n_listed: how many are visited; -1: all there are.
        open_u: whether u counts in this epoch.
        weights, delays, tags: of source j, written.
        step: number of the step.
        draw: 0 .. 127, or -1 where every synapse draws by itself.
    """
    exact, grid = o[O_EXACT] != 0, o[O_GRID]
    when = step * (np.int64(1) << 24) + j
    keys = key_of(o[O_SEED], 0, when), key_of(o[O_SEED], 1, when), key_of(o[O_SEED], 2, when)
    learnt = 0
    for p in range(len(products)):
        learnt |= 1 << products[p, P_VARIABLE]
    visits = 0
    for q in range(n_listed if n_listed >= 0 else len(weights)):
        i = np.int64(listed[q]) if n_listed >= 0 else q
        w, d, t = weights[i], delays[i], tags[i]
        for variable in range(3):
            if not learnt >> variable & 1:
                continue
            total, any_open = _sum_of_one(
                variable, o, products, factors, of_x, of_y, j, tj, i, ty[i], open_u, w, d, t
            )  # fmt: skip
            if not any_open:
                continue
            visits += 1
            drawn = draw
            if draw < 0:
                drawn = np.int64(hashed(keys[variable], i) >> _DRAW_BITS)
            low, high = _bounds(o, variable)
            if exact:
                whole = (abs(total) + 127) >> 7
                whole = (whole // grid + ((drawn & (grid - 1)) < whole % grid)) * grid
                new = np.int64(w) + (whole if total > 0 else -whole)
            else:
                new = (total >> 7) + (drawn < (total & 127))
            new = _clipped(new, np.int64(low), np.int64(high))
            if variable == 0:
                weights[i] = new
            elif variable == 1:
                delays[i] = new
            else:
                tags[i] = new
    return visits


# Below every sum and product is cut to int32 at once, which numba would widen: twice as many fit into a vector.


@njit(inline="always")
def _multiply_own(value, old, constant, sign, low, high):
    """Multiply by a factor of the synapses' own numbers."""
    if sign:
        for i in range(len(value)):
            v = np.int32(np.int32(old[i]) + constant)
            value[i] = np.int32(value[i] * np.int32(np.int32(v > 0) - np.int32(v < 0)))
    else:
        for i in range(len(value)):
            v = np.int32(np.int32(old[i]) + constant)
            value[i] = np.int32(value[i] * min(max(v, low), high))


@njit(inline="always")
def _accumulate(total, value, shift, power):
    """Add what is shifted right, then multiplied by a power of 2."""
    low, high = np.int32(_LEAST_SUM), np.int32(_MOST_SUM)
    for i in range(len(total)):
        v = np.int32(np.int32(value[i] >> (shift & np.int32(31))) * power)
        v = np.int32(total[i] + min(max(v, low), high))
        total[i] = min(max(v, low), high)


@njit(inline="always")
def _round_shared(total, out, low, high, draw):
    for i in range(len(out)):
        new = np.int32(np.int32(total[i] >> np.int32(7)) + np.int32(draw < (total[i] & np.int32(127))))
        out[i] = np.int16(min(max(new, low), high))


@njit(inline="always")
def _round_each(total, out, low, high, key):
    for i in range(len(out)):
        draw = np.int32(hashed(key, i) >> _DRAW_BITS)
        new = np.int32(np.int32(total[i] >> np.int32(7)) + np.int32(draw < (total[i] & np.int32(127))))
        out[i] = np.int16(min(max(new, low), high))


@njit(cache=True)
def _add_listed(p, products, factors, of_x, of_y, j, ty, fired, n_fired, weights, delays, tags, total):
    """Add a product behind y0 where the target has spiked; elsewhere it is 0."""
    for q in range(n_fired):
        i = fired[q]
        value = products[p, P_MANTISSA] * np.int64(of_x[p, ty[i], j]) * np.int64(of_y[p, ty[i], i])
        for f in range(products[p, P_OF_SYNAPSE], products[p, P_END]):
            value *= _own(factors, f, weights[i], delays[i], tags[i])
        value = (value >> products[p, P_SHIFT]) << products[p, P_EXPONENT]
        value = np.int64(total[i]) + _clipped(value, _LEAST_SUM, _MOST_SUM)
        total[i] = _clipped(value, _LEAST_SUM, _MOST_SUM)


@njit(cache=True)
def change_row(
    o, products, factors, of_x, of_y, j, tj, ty, fired, n_fired, open_u, weights, delays, tags, room, step, draw
):  # fmt: skip
    """As :func:`change_listed`, for all targets at once, by Lava's arithmetic.

    Args:
        fired, n_fired: the targets that have spiked, and how many they are.
        room: int32 ``(4, n_target)``.
    """
    n, epoch = len(weights), o[O_EPOCH]
    value = room[3]
    stirred = 0
    for p in range(len(products)):
        gate, variable = products[p, P_GATE], products[p, P_VARIABLE]
        at = tj if gate == GATE_X0 else epoch * np.int64(open_u) if gate == GATE_U else np.int64(n_fired > 0)
        if at == 0:
            continue
        mantissa, total = np.int32(products[p, P_MANTISSA]), room[variable]
        if not stirred >> variable & 1:
            old = weights if variable == 0 else delays if variable == 1 else tags
            for i in range(n):
                total[i] = np.int32(np.int32(old[i]) << np.int32(7))
            stirred |= 1 << variable
        if gate == GATE_Y0 and 8 * n_fired < n:
            _add_listed(p, products, factors, of_x, of_y, j, ty, fired, n_fired, weights, delays, tags, total)
            continue
        if gate == GATE_Y0 and epoch > 1:  # each target has a step of its own
            for i in range(n):
                value[i] = np.int32(np.int32(mantissa * of_x[p, ty[i], j]) * of_y[p, ty[i], i])
        else:
            scale, row = np.int32(mantissa * of_x[p, at, j]), of_y[p, at]
            if scale == 0:
                continue
            for i in range(n):
                value[i] = np.int32(scale * row[i])
        for f in range(products[p, P_OF_SYNAPSE], products[p, P_END]):
            name, width = factors[f, F_NAME], factors[f, F_WIDTH]
            old = weights if name == FIRST_VARIABLE else delays if name == FIRST_VARIABLE + 1 else tags
            low, high = np.int32(-(1 << width)), np.int32((1 << width) - 1)
            _multiply_own(value, old, np.int32(factors[f, F_CONSTANT]), factors[f, F_SIGN], low, high)
        _accumulate(total, value, np.int32(products[p, P_SHIFT]), np.int32(1 << products[p, P_EXPONENT]))
    for variable in range(3):
        if stirred >> variable & 1:
            low, high = _bounds(o, variable)
            out = weights if variable == 0 else delays if variable == 1 else tags
            if draw >= 0:
                _round_shared(room[variable], out, low, high, np.int32(draw))
            else:
                key = key_of(o[O_SEED], variable, step * (np.int64(1) << 24) + j)
                _round_each(room[variable], out, low, high, key)
    return n * ((stirred & 1) + (stirred >> 1 & 1) + (stirred >> 2 & 1))


@njit(cache=True)
def scatter_row(delays, index, first):
    """Write the delays of one source among its pairs of target and delay."""
    for i in range(len(delays)):
        index[first + 2 * i + 1] = delays[i]
