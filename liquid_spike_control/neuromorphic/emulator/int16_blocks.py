# SPDX-License-Identifier: Apache-2.0
"""Neurons with little in them: a block in one vector of int16, what it missed and its next step in one go.

Where thresholds lie below 2^15 most blocks have currents and voltages of 16 bits. There the upper half of a product
is one instruction for all 32 lanes: with ``c`` in 0 .. 4095, ``|x| c >> 12 = |x| (16 c) >> 16``.

**Fit.** After ``n + 1`` steps of which only the last has an input ``a``, by the sums in :mod:`.membrane`,
``|u| <= |u_0| r^(n+1) + |a|`` and ``|v| <= |v_0| q^(n+1) + |u_0| h + |a|``, where ``r <= h``. So nothing leaves int16
if ``|v_0| + |u_0| h + |a| < 2^15``. With a shift s and ``g = ceil(16 gain / 2^s) < 2^16``, where ``gain >= 4096 h``,
``|u_0| h < ((|u_0| 2^s) g >> 16) + 1`` for ``|u_0| 2^s < 2^16``. Numbers that do not fit are saturated first, and the
bound refuses them. The same product is that of the bound of rest.

**Decay.** Truncation toward zero commutes with the sign, so the signs of a lane are turned such that u >= 0. Then v
is kept as two parts ``max(v, 0)`` and ``max(-v, 0)``, of which one is 0: both decay as uint16, u is added to the
first, and two saturating differences part them again. A chain of five cycles, and no masks.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .membrane import LIVE_AT, RESTS_AT
from .vectors import (
    I16,
    I64,
    VECTOR,
    constant,
    every,
    greater,
    high_product,
    load,
    magnitude,
    mask,
    pointer,
    saturated,
    saturating_difference,
    saturating_sum,
    splat,
    store,
)

#: The greatest threshold, in 64ths of its mantissa, with which it is worth a try.
MOST = 2**15 - 1
#: What :func:`update_narrow` returns where the block does not fit.
WIDE = -1


def reach_of(gain: int) -> tuple[int, int]:
    """``g`` and ``s`` of the module's bound.

    Args:
        gain: at least ``4096 h``, from :func:`.membrane.rest_bounds`.
    """
    shift = 1
    while -(-16 * gain >> shift) >= 2**16:
        shift += 1
    return -(-16 * gain >> shift), shift


def _short(value: int) -> ir.Constant:
    return constant(value, element=I16)


def _decay(context, b, n, u, v, c_u, c_v):
    """``n + 1`` steps of decay; returns u, v, the neurons live summed over the steps, and the mask of the last's."""
    before, loop, after = b.block, b.append_basic_block("decay"), b.append_basic_block("decayed")
    zero = _short(0)
    turned = b.icmp_signed("<", u, zero)
    v = b.select(turned, b.sub(zero, v), v)
    above = greater(b, v, zero)
    first = magnitude(b, u), above, b.sub(above, v), n, ir.Constant(I64, 0)
    b.branch(loop)
    b.position_at_end(loop)
    u, above, below, left, updates = phis = [b.phi(x.type) for x in first]
    live = mask(b, b.icmp_signed("!=", b.or_(b.or_(u, above), below), zero))
    u = high_product(context, b, u, c_u)
    above, below = b.add(high_product(context, b, above, c_v), u), high_product(context, b, below, c_v)
    above, below = saturating_difference(b, above, below), saturating_difference(b, below, above)
    left, updates = b.sub(left, ir.Constant(I64, 1)), b.add(updates, b.ctpop(live))
    for phi, start, next_ in zip(phis, first, (u, above, below, left, updates), strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(next_, loop)
    b.cbranch(b.icmp_signed(">=", left, ir.Constant(I64, 0)), loop, after)
    b.position_at_end(after)
    v = b.sub(above, below)
    u, v = (b.select(turned, b.sub(zero, x), x) for x in (u, v))
    return u, v, updates, live


@intrinsic
def update_narrow(typingctx, u, v, a, i, missed, decay_u, decay_v, theta, reach, shift):
    """Let the block of neurons from i on catch up, and update it, if it fits.

    Its neurons are alike, without bias and refractory period.

    Args:
        u, v, a: int32 arrays.
        i: first index of the block.
        missed: steps without input that its state lacks, 0 or more; it rested in them.
        decay_u, decay_v: ``16 c`` of the neurons' decays, at most 65520.
        theta: threshold, at most ``MOST``.
        reach, shift: from :func:`reach_of`.

    Returns:
        As :func:`.membrane.update_uniform_and_rest`, the steps that were missed counted in; or ``WIDE``, and nothing
        has changed.
    """

    def code(context, b, signature, arguments):
        kinds, i, missed = signature.args, arguments[3], arguments[4]
        at = [pointer(context, b, kinds[k], arguments[k], i, VECTOR) for k in range(3)]
        u, v, a = (saturated(b, load(b, p)) for p in at)
        c_u, c_v, theta, reach, shift = (splat(b, b.trunc(x, I16)) for x in arguments[5:])
        beyond = b.lshr(_short(-1), shift)

        def reached(x):
            return high_product(context, b, b.shl(x, shift), reach)

        size = saturating_sum(b, reached(magnitude(b, u)), saturating_sum(b, magnitude(b, v), magnitude(b, a)))
        fits = b.icmp_unsigned("<", size, _short(MOST))
        fits = b.and_(fits, b.icmp_unsigned("<", magnitude(b, u), beyond))
        before, fitting, after = b.block, b.append_basic_block("fitting"), b.append_basic_block("updated")
        b.cbranch(every(b, fits), fitting, after)

        b.position_at_end(fitting)
        u, v, updates, live = _decay(context, b, missed, u, v, c_u, c_v)
        u, v, zero = b.add(u, a), b.add(v, a), _short(0)
        woken = b.and_(mask(b, b.icmp_signed("!=", a, zero)), b.not_(live))
        updates = b.add(updates, b.ctpop(woken))
        spike = b.icmp_signed(">", v, theta)
        v = b.select(spike, zero, v)
        store(b, b.sext(u, VECTOR), at[0])
        store(b, b.sext(v, VECTOR), at[1])
        store(b, constant(0), at[2])
        bound = saturating_sum(b, reached(greater(b, u, zero)), high_product(context, b, greater(b, v, zero), c_v))
        rests = b.icmp_unsigned("<=", saturating_sum(b, bound, _short(2)), theta)  # each product was rounded down
        rests = b.and_(rests, b.icmp_unsigned("<", magnitude(b, u), beyond))
        result = b.or_(mask(b, spike), b.shl(updates, ir.Constant(I64, LIVE_AT)))
        result = b.or_(result, b.shl(b.zext(every(b, rests), I64), ir.Constant(I64, RESTS_AT)))
        fitted = b.block
        b.branch(after)

        b.position_at_end(after)
        outcome = b.phi(I64)
        outcome.add_incoming(ir.Constant(I64, WIDE), before)
        outcome.add_incoming(result, fitted)
        return outcome

    i32 = types.int32
    return types.int64(u, v, a, types.intp, types.int64, i32, i32, i32, i32, i32), code
