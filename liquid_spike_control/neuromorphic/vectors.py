# SPDX-License-Identifier: Apache-2.0
"""LLVM vectors of 32 int32 in compiled functions: addresses, loads, stores, sums, and bits.

A compiler does not find these in a scalar loop with masks; LLVM lowers them to what the processor has
(AVX-512, AVX2, SSE, NEON).
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: Neurons in a block: two vectors of AVX-512, so that one works while the other waits.
BLOCK_BITS = 5
BLOCK = 1 << BLOCK_BITS

I32 = ir.IntType(32)
VECTOR = ir.VectorType(I32, BLOCK)


def constant(value: int, lanes: int = BLOCK) -> ir.Constant:
    """The same value in every lane."""
    return ir.Constant(ir.VectorType(I32, lanes), [value] * lanes)


def pointer(context, builder, array_type, array, index, vector):
    """Address of ``array[index:]`` seen as a vector."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def load(builder, at, align=4):
    """The vector at an address."""
    value = builder.load(at)
    value.align = align
    return value


def store(builder, value, at):
    """Write a vector to an address."""
    builder.store(value, at).align = 4


def splat(builder, scalar, lanes: int = BLOCK):
    """A scalar in every lane."""
    vector = ir.Constant(ir.VectorType(I32, lanes), ir.Undefined)
    first = builder.insert_element(vector, scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, vector, constant(0, lanes))


def _adder(lanes: int):
    @intrinsic
    def add(typingctx, a, i, weights, j, shift):
        def code(context, b, signature, arguments):
            a, i, weights, j, shift = arguments
            vector, short = ir.VectorType(I32, lanes), ir.VectorType(ir.IntType(16), lanes)
            at = pointer(context, b, signature.args[0], a, i, vector)
            w = load(b, pointer(context, b, signature.args[2], weights, j, short), 2)
            w = b.shl(b.sext(w, vector), splat(b, shift, lanes))
            store(b, b.add(load(b, at), w), at)
            return context.get_dummy_value()

        return types.void(a, types.intp, weights, types.intp, types.int32), code

    add.__doc__ = f"``a[i:i + {lanes}] += weights[j:j + {lanes}] << shift``."
    return add


add8, add16, add24, add32 = (_adder(lanes) for lanes in (8, 16, 24, 32))


@intrinsic
def address(typingctx, x):
    """An int64 as an address."""

    def code(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), code


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
        at = pointer(context, b, signature.args[0], *arguments, bytes64)
        zero = ir.Constant(bytes64, [0] * 64)
        bits = b.bitcast(b.icmp_signed("!=", load(b, at, 1), zero), ir.IntType(64))
        b.store(zero, at).align = 1
        return bits

    return types.uint64(flags, types.intp), code
