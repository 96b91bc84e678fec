# SPDX-License-Identifier: Apache-2.0
"""LLVM vectors of 32 int32 or int16 in compiled functions: addresses, loads, stores, arithmetic, and bits.

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

I16, I32, I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
VECTOR, SHORTS = ir.VectorType(I32, BLOCK), ir.VectorType(I16, BLOCK)
_LANES = ir.IntType(BLOCK)

# Upper halves of products of uint16 on x86: the processor's feature, LLVM's name, lanes.
_HIGH_PRODUCTS = (
    ("+avx512bw", "llvm.x86.avx512.pmulhu.w.512", 32),
    ("+avx2", "llvm.x86.avx2.pmulhu.w", 16),
    ("+sse2", "llvm.x86.sse2.pmulhu.w", 8),
)


def constant(value: int, lanes: int = BLOCK, element: ir.IntType = I32) -> ir.Constant:
    """The same value in every lane."""
    return ir.Constant(ir.VectorType(element, lanes), [value] * lanes)


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
    vector = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(vector, scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, vector, constant(0, lanes))


def mask(builder, lanes):
    """One bit a lane of a vector of 32 conditions, as int64."""
    return builder.zext(builder.bitcast(lanes, _LANES), I64)


def every(builder, lanes):
    """Whether all 32 conditions hold."""
    return builder.icmp_unsigned("==", builder.bitcast(lanes, _LANES), ir.Constant(_LANES, -1))


def greater(builder, x, y):
    """The greater of two signed numbers in each lane."""
    return builder.select(builder.icmp_signed(">", x, y), x, y)


def saturated(builder, x):
    """Vectors of int32 as int16; what does not fit becomes 32767 or -32768."""
    top = constant(2**15 - 1)
    x = builder.select(builder.icmp_signed("<", x, top), x, top)
    return builder.trunc(greater(builder, x, constant(-(2**15))), SHORTS)


def magnitude(builder, x):
    """``|x|`` of int16 as uint16."""
    zero = constant(0, element=I16)
    return builder.select(builder.icmp_signed("<", x, zero), builder.sub(zero, x), x)


def saturating_sum(builder, x, y):
    """``min(x + y, 65535)`` of uint16."""
    return _of_shorts(builder, "llvm.uadd.sat.v32i16", x, y)


def saturating_difference(builder, x, y):
    """``max(x - y, 0)`` of uint16."""
    return _of_shorts(builder, "llvm.usub.sat.v32i16", x, y)


def _of_shorts(builder, name, x, y):
    """The value of one of LLVM's functions of two equal vectors."""
    function = builder.module.declare_intrinsic(name, (), ir.FunctionType(x.type, (x.type, x.type)))
    return builder.call(function, (x, y))


def high_product(context, builder, x, y):
    """``x y >> 16`` of uint16.

    Out of products of 32 bits LLVM makes the processor's instruction only where it sees both factors widened,
    and it widens constants outside of loops. So on x86 the instruction is called by its name.
    """
    features = context.codegen().magic_tuple()[2].split(",")
    for feature, name, lanes in _HIGH_PRODUCTS:
        if feature in features:
            parts = [
                _of_shorts(builder, name, *(_lanes(builder, z, z, k, lanes) for z in (x, y)))
                for k in range(0, BLOCK, lanes)
            ]
            while len(parts) > 1:
                lanes *= 2
                parts = [_lanes(builder, *pair, 0, lanes) for pair in zip(parts[::2], parts[1::2], strict=True)]
            return parts[0]
    product = builder.mul(builder.zext(x, VECTOR), builder.zext(y, VECTOR))
    return builder.trunc(builder.lshr(product, constant(16)), SHORTS)


def _lanes(builder, x, y, first, n):
    """``n`` lanes from the first on of two vectors, one after the other."""
    if first == 0 and n == x.type.count:
        return x
    at = ir.Constant(ir.VectorType(I32, n), list(range(first, first + n)))
    return builder.shuffle_vector(x, y, at)


def _adder(lanes: int):
    @intrinsic
    def add(typingctx, a, i, weights, j, shift):
        def code(context, b, signature, arguments):
            a, i, weights, j, shift = arguments
            vector, short = ir.VectorType(I32, lanes), ir.VectorType(I16, lanes)
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
def add_rows(typingctx, a, i, weights, j, stride, ids, shift):
    """``a[i:i + 32] += weights[j + stride k:j + stride k + 32] << shift`` for all k in ``ids``, int32."""

    def code(context, b, signature, arguments):
        a, i, weights, j, stride, ids, shift = arguments
        kinds, short_row = signature.args, ir.VectorType(I16, BLOCK)
        at = pointer(context, b, kinds[0], a, i, VECTOR)
        listed = context.make_array(kinds[5])(context, b, ids)
        n = b.extract_value(listed.shape, 0)
        zero = ir.Constant(I64, 0)
        before, loop, after = b.block, b.append_basic_block("row"), b.append_basic_block("rows")
        b.cbranch(b.icmp_signed(">", n, zero), loop, after)
        b.position_at_end(loop)
        k, total = b.phi(I64), b.phi(VECTOR)
        row = b.add(j, b.mul(stride, b.sext(b.load(b.gep(listed.data, [k])), I64)))
        w = load(b, pointer(context, b, kinds[2], weights, row, short_row), 2)
        more, next_ = b.add(total, b.sext(w, VECTOR)), b.add(k, ir.Constant(I64, 1))
        for phi, first, then in ((k, zero, next_), (total, constant(0), more)):
            phi.add_incoming(first, before)
            phi.add_incoming(then, loop)
        b.cbranch(b.icmp_signed("<", next_, n), loop, after)
        b.position_at_end(after)
        sums = b.phi(VECTOR)
        sums.add_incoming(constant(0), before)
        sums.add_incoming(more, loop)
        store(b, b.add(load(b, at), b.shl(sums, splat(b, shift))), at)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(a, types.intp, weights, i64, i64, ids, types.int32), code


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
        bits = b.bitcast(b.icmp_signed("!=", load(b, at, 1), zero), I64)
        b.store(zero, at).align = 1
        return bits

    return types.uint64(flags, types.intp), code
