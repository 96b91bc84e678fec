# SPDX-License-Identifier: Apache-2.0
"""The compiled step of the Loihi emulator: event-driven, integer, one call for many steps.

One step ``t`` of the whole network (Davies et al. 2018, IEEE Micro 38(1); Lava ``fixed_pt`` models):

1. every population takes its summed synaptic input ``a`` and updates

   ``u <- tz(u * (4096 - (du + 1)) / 4096) + (a << 6)``, wrapped once into ``(-2^23, 2^23]``,
   ``v <- clip(tz(v * (4096 - dv) / 4096) + u + bias, +-(2^23 - 1))``, spike where ``v > theta``, then ``v = 0``;

2. the input spikes and the spikes of step ``t`` add their weights to the inputs of step ``t + 1 + delay``.

Cost follows activity. Neurons are updated in blocks of 16, and a bitmap says which blocks can hold anything
but zeros: zero u, v and input (and no bias, no refractory counter) stay zero under the rule above, so the other
blocks are skipped exactly. Synaptic rows are contiguous in the target, so that 16 are added at once.

The two innermost operations are written as LLVM vectors of 16 int32, since a compiler does not find them in a
scalar loop with masks; LLVM lowers them to what the processor has (AVX-512, AVX2, SSE, NEON). Products of 24
and 12 bits do not fit an int32, so with ``x = 4096 hi + lo`` the decay is
``tz(c x / 4096) = c hi + ((c lo + (x < 0 ? 4095 : 0)) >> 12)``, exact for every int32 ``x`` and ``0 <= c < 4096``.

:mod:`.layout` makes the arrays that these functions read.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

#: Neurons in a block.
BLOCK = 16
#: Neurons under one 64-bit word of the bitmap; populations begin at multiples of it.
WORD = 64 * BLOCK

# Columns of the table of populations.
P_START, P_BLOCKS, P_UNIFORM, P_DU, P_DV, P_THETA, P_SPIKES, P_COLUMNS = range(8)
# Columns of the table of shifted inputs (negative weight exponents): sum of the connection, target, blocks, shift.
F_START, F_TARGET, F_BLOCKS, F_SHIFT, F_COLUMNS = range(5)
# Columns of the table of connections; what the others mean depends on the kind.
C_KIND, C_SOURCE, C_TARGET, C_SHIFT, C_WEIGHTS, C_INDEX = range(6)
C_ROW = 6  # rows: length of a row
C_CHW, C_IN, C_X, C_Y, C_OUT, C_Y_OUT, C_STRIDE_Y = range(6, 13)  # conv
C_COLUMNS = 13
ROWS, SPARSE, CONV = range(3)
# Rows of the neuron parameters and of the state.
DECAY_U, DECAY_V, THETA, BIAS, REFRACTORY, N_PARAMETERS = range(6)
U, V, COUNTER, N_STATE = range(4)
# Counters.
N_STEPS, N_INPUT_SPIKES, N_SPIKES, N_SYNOPS, N_UPDATES, N_COUNTERS = range(6)

_I32 = ir.IntType(32)
_VECTOR = ir.VectorType(_I32, BLOCK)


def _constant(value: int, lanes: int = BLOCK) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I32, lanes), [value] * lanes)


def _pointer(context, builder, array_type, array, index, vector):
    """Address of ``array[index:]`` seen as a vector."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _load(builder, pointer, align=4):
    load = builder.load(pointer)
    load.align = align
    return load


def _store(builder, value, pointer):
    builder.store(value, pointer).align = 4


def _splat(builder, scalar, lanes: int = BLOCK):
    vector = ir.Constant(ir.VectorType(_I32, lanes), ir.Undefined)
    first = builder.insert_element(vector, scalar, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, vector, _constant(0, lanes))


def _decay(b, x, c):
    """``tz(x * c / 4096)`` for every lane."""
    toward_zero = b.and_(b.ashr(x, _constant(31)), _constant(4095))
    low = b.add(b.mul(b.and_(x, _constant(4095)), c), toward_zero)
    return b.add(b.mul(b.ashr(x, _constant(12)), c), b.lshr(low, _constant(12)))


def _currents(b, u, a, decay):
    """The synaptic current after this step."""
    limit, turn = _constant(2**23), _constant(2**24)
    u = b.add(_decay(b, u, decay), a)
    u = b.select(b.icmp_signed(">", u, limit), b.sub(u, turn), u)
    return b.select(b.icmp_signed("<=", u, _constant(-(2**23))), b.add(u, turn), u)


def _clip(b, v):
    top, bottom = _constant(2**23 - 1), _constant(1 - 2**23)
    v = b.select(b.icmp_signed(">", v, top), top, v)
    return b.select(b.icmp_signed("<", v, bottom), bottom, v)


def _mask(b, lanes):
    """One bit a lane, as int64."""
    return b.zext(b.bitcast(lanes, ir.IntType(BLOCK)), ir.IntType(64))


@intrinsic
def update_uniform(typingctx, u, v, a, i, decay_u, decay_v, theta):
    """Update neurons ``i .. i + 15`` that share int32 parameters and have no bias and no refractory period.

    Args are the arrays u, v and a (int32), then the block's first index and the factors ``4096 - (du + 1)``,
    ``4096 - dv`` and the threshold ``vth << 6``. Returns the mask of spikes plus ``2^16`` times the mask of
    neurons that were not quiescent.
    """

    def code(context, b, signature, arguments):
        at = [_pointer(context, b, signature.args[k], arguments[k], arguments[3], _VECTOR) for k in range(3)]
        old_u, old_v, a = (_load(b, pointer) for pointer in at)
        c_u, c_v, threshold = (_splat(b, x) for x in arguments[4:])
        live = b.icmp_signed("!=", b.or_(b.or_(old_u, old_v), a), _constant(0))
        new_u = _currents(b, old_u, a, c_u)
        new_v = _clip(b, b.add(_decay(b, old_v, c_v), new_u))
        spike = b.icmp_signed(">", new_v, threshold)
        _store(b, new_u, at[0])
        _store(b, b.select(spike, _constant(0), new_v), at[1])
        _store(b, _constant(0), at[2])
        return b.or_(_mask(b, spike), b.shl(_mask(b, live), ir.Constant(ir.IntType(64), BLOCK)))

    i32 = types.int32
    return types.int64(u, v, a, types.intp, i32, i32, i32), code


@intrinsic
def update_general(typingctx, state, stride, a, parameters, i):
    """As :func:`update_uniform`, with parameters of each neuron, bias and refractory counters.

    ``state`` and ``parameters`` are flat, their rows ``stride`` apart. While a counter runs, v is held at 0; a
    spike sets it to the refractory period; then it counts down (nengo-loihi's rule).
    """

    def code(context, b, signature, arguments):
        state, stride, a, parameters, i = arguments

        def row(array, k, n):
            index = b.add(i, b.mul(stride, ir.Constant(stride.type, n)))
            return _pointer(context, b, signature.args[k], array, index, _VECTOR)

        at = [row(state, 0, n) for n in (U, V, COUNTER)]
        at_a = _pointer(context, b, signature.args[2], a, i, _VECTOR)
        old_u, old_v, counter = (_load(b, pointer) for pointer in at)
        a = _load(b, at_a)
        c_u, c_v, threshold, bias, period = (_load(b, row(parameters, 3, n)) for n in range(N_PARAMETERS))
        zero, one = _constant(0), _constant(1)
        anything = b.or_(b.or_(b.or_(old_u, old_v), b.or_(a, bias)), counter)
        live = b.icmp_signed("!=", anything, zero)
        new_u = _currents(b, old_u, a, c_u)
        new_v = _clip(b, b.add(b.add(_decay(b, old_v, c_v), new_u), bias))
        new_v = b.select(b.icmp_signed(">", counter, zero), zero, new_v)
        spike = b.icmp_signed(">", new_v, threshold)
        counter = b.select(spike, period, counter)
        counter = b.select(b.icmp_signed(">", counter, zero), b.sub(counter, one), zero)
        _store(b, new_u, at[0])
        _store(b, b.select(spike, zero, new_v), at[1])
        _store(b, counter, at[2])
        _store(b, zero, at_a)
        return b.or_(_mask(b, spike), b.shl(_mask(b, live), ir.Constant(ir.IntType(64), BLOCK)))

    return types.int64(state, types.intp, a, parameters, types.intp), code


def _adder(lanes: int):
    @intrinsic
    def add(typingctx, a, i, weights, j, shift):
        def code(context, b, signature, arguments):
            a, i, weights, j, shift = arguments
            vector, short = ir.VectorType(_I32, lanes), ir.VectorType(ir.IntType(16), lanes)
            at = _pointer(context, b, signature.args[0], a, i, vector)
            w = _load(b, _pointer(context, b, signature.args[2], weights, j, short), 2)
            w = b.shl(b.sext(w, vector), _splat(b, shift, lanes))
            _store(b, b.add(_load(b, at), w), at)
            return context.get_dummy_value()

        return types.void(a, types.intp, weights, types.intp, types.int32), code

    add.__doc__ = f"``a[i:i + {lanes}] += weights[j:j + {lanes}] << shift``."
    return add


_add16 = _adder(16)
_add8 = _adder(8)


@intrinsic
def trailing_zeros(typingctx, x):
    """Index of the lowest bit that is set; ``x`` is not 0."""

    def code(context, builder, signature, arguments):
        return builder.cttz(arguments[0], cgutils.true_bit)

    return types.int64(types.uint64), code


@njit(inline="always")
def _mark(bits, first, last):
    """Mark the blocks of neurons ``first .. last``."""
    for block in range(first >> 4, (last >> 4) + 1):
        bits[block >> 6] |= np.uint64(1) << np.uint64(block & 63)


@njit(inline="always")
def _add_row(a, start, weights, w, n, shift):
    """``a[start:start + n] += weights[w:w + n] << shift``."""
    k = 0
    while k + 16 <= n:
        _add16(a, start + k, weights, w + k, shift)
        k += 16
    if k + 8 <= n:
        _add8(a, start + k, weights, w + k, shift)
        k += 8
    while k < n:
        a[start + k] += np.int32(weights[w + k]) << shift
        k += 1


@njit(cache=True)
def _deliver_rows(c, ids, weights, index, a, bits):
    """Dense connection: one contiguous row of weights a source neuron. Returns the synaptic operations."""
    n, shift, target, counts = c[C_ROW], np.int32(c[C_SHIFT]), c[C_TARGET], c[C_INDEX]
    operations = 0
    for k in range(len(ids)):
        source = np.int64(ids[k])
        _add_row(a, target, weights, c[C_WEIGHTS] + source * n, n, shift)
        operations += index[counts + source]
    if operations:
        _mark(bits, target, target + n - 1)
    return operations


@njit(cache=True)
def _deliver_sparse(c, ids, weights, index, acc, bits, t):
    """Sparse or delayed connection: (target, delay) pairs of each source neuron, in compressed rows."""
    shift, target = np.int32(c[C_SHIFT]), c[C_TARGET]
    rows, pairs, slots = c[C_INDEX], c[C_ROW], len(acc)
    operations = 0
    for k in range(len(ids)):
        first, last = index[rows + ids[k]], index[rows + ids[k] + 1]
        operations += last - first
        for s in range(first, last):
            neuron = target + index[pairs + 2 * s]
            slot = (t + 1 + index[pairs + 2 * s + 1]) % slots
            acc[slot, neuron] += np.int32(weights[c[C_WEIGHTS] + s]) << shift
            bits[slot, neuron >> 10] |= np.uint64(1) << np.uint64((neuron >> 4) & 63)
    return operations


@njit(cache=True)
def _deliver_conv(c, ids, weights, index, a, bits):
    """Convolution, scattered: a source pixel reaches a rectangle of target pixels, a row of it at a time.

    ``index`` holds for each source x, and for each y, (first target, how many, first tap, phase), then for each
    (phase x, phase y, channel) where its weights ``[tap x, tap y, target channel]`` and the numbers of synapses
    ``[tap x, tap y]`` begin, and the length of a row of taps.
    """
    channels, n_x, n_y, out, y_out = c[C_IN], c[C_X], c[C_Y], c[C_OUT], c[C_Y_OUT]
    shift = np.int32(c[C_SHIFT])
    xs = c[C_INDEX]
    ys = xs + 4 * n_x
    phases = ys + 4 * n_y
    operations = 0
    for k in range(len(ids)):
        i = np.uint32(ids[k])
        if c[C_CHW]:
            pixel = i % np.uint32(n_x * n_y)
            channel = np.int64(i // np.uint32(n_x * n_y))
        else:
            pixel = i // np.uint32(channels)
            channel = np.int64(i - pixel * np.uint32(channels))
        row = pixel // np.uint32(n_y)
        x = xs + 4 * np.int64(row)
        y = ys + 4 * np.int64(pixel - row * np.uint32(n_y))
        first_y, reach_y = np.int64(index[y]), np.int64(index[y + 1])
        phase = phases + 3 * ((index[x + 3] * c[C_STRIDE_Y] + index[y + 3]) * channels + channel)
        taps_y = np.int64(index[phase + 2])
        if reach_y == 0:
            continue
        for r in range(index[x + 1]):
            tap = (index[x + 2] + r) * taps_y + index[y + 2]
            start = c[C_TARGET] + ((index[x] + r) * y_out + first_y) * out
            n = reach_y * out
            _add_row(a, start, weights, c[C_WEIGHTS] + index[phase] + tap * out, n, shift)
            _mark(bits, start, start + n - 1)
            for q in range(reach_y):
                operations += index[index[phase + 1] + tap + q]
    return operations


@njit(cache=True)
def _update(p, parameters, state, a, active, spikes, masks, counters):
    """Update one population; returns how many spikes it left in ``spikes``."""
    start, words = p[P_START], (p[P_BLOCKS] + 63) >> 6
    decay_u, decay_v, theta = np.int32(p[P_DU]), np.int32(p[P_DV]), np.int32(p[P_THETA])
    u, v, flat, stride = state[U], state[V], state.reshape(-1), state.shape[1]
    flat_parameters = parameters.reshape(-1)
    n_masks = 0
    updates = 0
    for word in range(start >> 10, (start >> 10) + words):
        left = active[word]
        quiescent = np.uint64(0)
        while left:
            bit = trailing_zeros(left)
            left &= left - np.uint64(1)
            i = (word << 10) + (bit << 4)
            if p[P_UNIFORM]:
                mask = update_uniform(u, v, a, i, decay_u, decay_v, theta)
            else:
                mask = update_general(flat, stride, a, flat_parameters, i)
            live = mask >> BLOCK
            updates += popcount(np.uint64(live))
            quiescent |= np.uint64(live == 0) << np.uint64(bit)
            masks[n_masks, 0] = i - start
            masks[n_masks, 1] = mask & 0xFFFF
            n_masks += (mask & 0xFFFF) != 0
        active[word] &= ~quiescent
    counters[N_UPDATES] += updates
    n = p[P_SPIKES]
    for k in range(n_masks):
        mask = np.uint64(masks[k, 1])
        while mask:
            spikes[n] = masks[k, 0] + trailing_zeros(mask)
            mask &= mask - np.uint64(1)
            n += 1
    return n - p[P_SPIKES]


@intrinsic
def popcount(typingctx, x):
    """Number of bits that are set."""

    def code(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), code


@njit(cache=True)
def advance(
    populations,
    folds,
    connections,
    outputs,
    weights,
    index,
    parameters,
    state,
    acc,
    bits,
    spikes,
    counts,
    masks,
    counters,
    in_indptr,
    in_ids,
    n_inputs,
    out_indptr,
    out_ids,
):
    """Advance the network by ``len(in_indptr) - 1`` steps.

    Args:
        populations, folds, connections: int64 tables, columns as named above.
        outputs: int64 ``(n, 2)``, populations to report and the offset of their ids.
        weights: int16, of all connections. index: int32, what the connections need to find them.
        parameters: int32 ``(N_PARAMETERS, n)``. state: int32 ``(N_STATE, n)``.
        acc: int32 ``(slots, n)``, inputs still to come, a ring over the steps.
        bits: uint64 ``(1 + slots, n / WORD)``: blocks that are active, and those touched in each slot.
        spikes, counts, masks: room for the spikes of one step.
        counters: int64 ``(N_COUNTERS,)``.
        in_indptr, in_ids: input spikes. out_indptr, out_ids: output spikes, written.

    Returns:
        0, or 1 if an input id is outside ``0 .. n_inputs - 1`` (nothing has then been changed).
    """
    n_steps = len(in_indptr) - 1
    for k in range(in_indptr[0], in_indptr[n_steps]):
        if in_ids[k] < 0 or in_ids[k] >= n_inputs:
            return 1
    slots = len(acc)
    active = bits[0]
    written = 0
    out_indptr[0] = 0
    for step in range(n_steps):
        t = counters[N_STEPS]
        slot = t % slots
        a = acc[slot]
        touched = bits[1 + slot]
        for word in range(len(active)):
            active[word] |= touched[word]
            touched[word] = 0
        for k in range(len(folds)):
            f = folds[k]
            for block in range(f[F_BLOCKS]):
                at = (f[F_START] >> 4) + block
                if active[at >> 6] >> np.uint64(at & 63) & np.uint64(1):
                    for i in range(BLOCK * block, BLOCK * (block + 1)):
                        a[f[F_TARGET] + i] += (a[f[F_START] + i] >> f[F_SHIFT]) << 6
                        a[f[F_START] + i] = 0
                    _mark(active, f[F_TARGET] + BLOCK * block, f[F_TARGET] + BLOCK * block)
                    active[at >> 6] &= ~(np.uint64(1) << np.uint64(at & 63))
        for k in range(len(populations)):
            counts[k] = _update(populations[k], parameters, state, a, active, spikes, masks, counters)
            counters[N_SPIKES] += counts[k]
        following = (t + 1) % slots
        a = acc[following]
        touched = bits[1 + following]
        for k in range(len(connections)):
            c = connections[k]
            if c[C_SOURCE] < 0:
                ids = in_ids[in_indptr[step] : in_indptr[step + 1]]
            else:
                first = populations[c[C_SOURCE], P_SPIKES]
                ids = spikes[first : first + counts[c[C_SOURCE]]]
            if c[C_KIND] == ROWS:
                counters[N_SYNOPS] += _deliver_rows(c, ids, weights, index, a, touched)
            elif c[C_KIND] == SPARSE:
                counters[N_SYNOPS] += _deliver_sparse(c, ids, weights, index, acc, bits[1:], t)
            else:
                counters[N_SYNOPS] += _deliver_conv(c, ids, weights, index, a, touched)
        for k in range(len(outputs)):
            first = populations[outputs[k, 0], P_SPIKES]
            for i in range(first, first + counts[outputs[k, 0]]):
                out_ids[written] = spikes[i] + outputs[k, 1]
                written += 1
        out_indptr[step + 1] = written
        counters[N_INPUT_SPIKES] += in_indptr[step + 1] - in_indptr[step]
        counters[N_STEPS] += 1
    return 0
