# SPDX-License-Identifier: Apache-2.0
"""The innermost operations of the emulator as LLVM vectors of 16 int32.

A compiler does not find these in a scalar loop with masks; LLVM lowers them to what the processor has
(AVX-512, AVX2, SSE, NEON). Products of 24 and 12 bits do not fit an int32, so with ``x = 4096 hi + lo`` the
decay is
``tz(c x / 4096) = c hi + ((c lo + (x < 0 ? 4095 : 0)) >> 12)``, exact for ``|x| <= 2^24`` and c in 0 .. 4096.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: Neurons in a block.
BLOCK = 16
# Rows of the neuron parameters and of the state.
DECAY_U, DECAY_V, THETA, BIAS, REFRACTORY, N_PARAMETERS = range(6)
U, V, COUNTER, N_STATE = range(4)

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

    ``state`` and ``parameters`` are flat, their rows ``stride`` apart. While a counter runs, v is held at 0;
    a spike sets it to the refractory period; then it counts down (nengo-loihi's rule).
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


add8, add16, add24, add32 = (_adder(lanes) for lanes in (8, 16, 24, 32))


@intrinsic
def trailing_zeros(typingctx, x):
    """Index of the lowest bit that is set; 64 if none is."""

    def code(context, builder, signature, arguments):
        return builder.cttz(arguments[0], cgutils.false_bit)

    return types.int64(types.uint64), code


@intrinsic
def popcount(typingctx, x):
    """Number of bits that are set."""

    def code(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), code


@intrinsic
def take_bits(typingctx, flags, i):
    """The 64 bytes ``flags[i:i + 64]``, each 0 or not, as the bits of a uint64; they are then set to 0."""

    def code(context, b, signature, arguments):
        bytes64 = ir.VectorType(ir.IntType(8), 64)
        at = _pointer(context, b, signature.args[0], *arguments, bytes64)
        zero = ir.Constant(bytes64, [0] * 64)
        bits = b.bitcast(b.icmp_signed("!=", _load(b, at, 1), zero), ir.IntType(64))
        b.store(zero, at).align = 1
        return bits

    return types.uint64(flags, types.intp), code
