# SPDX-License-Identifier: Apache-2.0
"""Neurons, a block at a time: one step with input, many steps without, and when the latter may wait.

Products of 24 and 12 bits do not fit an int32, so with ``x = 4096 hi + lo`` the decay is
``tz(c x / 4096) = c hi + ((c lo + (x < 0 ? 4095 : 0)) >> 12)``, exact for ``|x| <= 2^24`` and c in 0 .. 4096.

**Rest.** A block without input only decays. It *rests*, and is left alone until its next input, if no lane
can spike before. With ``c_u = 4096 - (du + 1)``, ``c_v = 4096 - dv``, ``x+ = max(x, 0)`` and no input:

- truncation moves toward zero and decay keeps the sign, so ``u_k+ <= u+ r^k`` with ``r = c_u / 4096``;
- ``v_k+ <= v_{k-1}+ q + u_k+`` with ``q = c_v / 4096``, so ``v_k <= v+ q^k + u+ h_k <= v+ q + u+ h`` for
  every k >= 1, where ``h_k = sum_{j = 1..k} q^(k-j) r^j`` and h is their maximum over k.

A lane cannot spike if that is at most its threshold: ``v+ c_v + u+ ceil(4096 h) <= 4096 theta``. Three more
conditions keep what follows simple: with ``|u| <= limit``, where ``limit <= 2^18`` and ``limit h <= 2^18``,
``v >= -2^18`` and a threshold taken as at most 2^18, the same sums show that ``-2^19 <= u, v <= 2^18`` from
then on. So there is no wrap and no clip on the way, the products with
c fit an int32, and the state of any later step follows from ``k`` short recursions in registers
(:func:`catch_up_uniform`), to the bit. Lanes with a bias never rest (their limit is -1), nor do lanes whose
refractory counter runs.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .vectors import BLOCK, I64, VECTOR, constant, every, greater, load, mask, pointer, splat, store

# Rows of the neuron parameters and of the state.
DECAY_U, DECAY_V, THETA, GAIN, LIMIT, BIAS, REFRACTORY, N_PARAMETERS = range(8)
U, V, COUNTER, N_STATE = range(4)
# What an update returns: a bit a spike, how many neurons were not quiescent, whether the block rests.
LIVE_AT, RESTS_AT = BLOCK, BLOCK + 16

_REST = 2**18


def rest_bounds(
    decay_u: int | np.ndarray, decay_v: int | np.ndarray, bias: int | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rows GAIN, which is at least ``4096 h``, and LIMIT that the module's bound needs.

    ``h_k = r (q^k - r^k) / (q - r)`` is at most its maximum over real k, at
    ``k = ln(ln r / ln q) / ln(q / r)`` (``k r^k`` at ``-1 / ln r`` where r = q);
    ``h <= r / (1 - r)``, the sum without decay of v, stands in where that has no value.

    Args:
        decay_u: ``4096 - (du + 1)``.
        decay_v: ``4096 - dv``.
        bias: what is added to v every step; where it is not 0 the limit is -1.
    """
    r, q = np.asarray(decay_u) / 4096, np.asarray(decay_v) / 4096
    h = r / (1 - r)
    with np.errstate(all="ignore"):
        k = np.maximum(np.log(np.log(r) / np.log(q)) / np.log(q / r), 1)
        peak = np.where(r == q, np.maximum(-np.exp(-1) / np.log(r), r), r * (q**k - r**k) / (q - r))
        peak = peak * (1 + 1e-6)
    h = np.where(np.isfinite(peak), np.minimum(peak, h), h)
    gain = np.ceil(4096 * h).astype(np.int64) + 1
    limit = np.minimum(_REST, _REST * 4096 // gain)
    return gain, np.where(bias == 0, limit, -1)


def _decay(b, x, c):
    """``tz(x * c / 4096)`` for every lane."""
    toward_zero = b.and_(b.ashr(x, constant(31)), constant(4095))
    low = b.add(b.mul(b.and_(x, constant(4095)), c), toward_zero)
    return b.add(b.mul(b.ashr(x, constant(12)), c), b.lshr(low, constant(12)))


def _small_decay(b, x, c):
    """The same for ``|x| <= 2^19``: a negative x has ones in its upper 12 bits."""
    return b.ashr(b.add(b.mul(x, c), b.lshr(x, constant(20))), constant(12))


def _currents(b, u, a, decay):
    """The synaptic current after this step."""
    limit, turn = constant(2**23), constant(2**24)
    u = b.add(_decay(b, u, decay), a)
    u = b.select(b.icmp_signed(">", u, limit), b.sub(u, turn), u)
    return b.select(b.icmp_signed("<=", u, constant(-(2**23))), b.add(u, turn), u)


def _clip(b, v):
    bottom, top = constant(1 - 2**23), constant(2**23 - 1)
    v = b.select(b.icmp_signed(">", v, top), top, v)
    return greater(b, v, bottom)


def _rests(b, u, v, c_v, threshold, gain, limit):
    """The lanes that cannot spike before their next input; see the module's bound."""
    zero = constant(0)
    threshold = b.select(b.icmp_signed("<", threshold, constant(_REST)), threshold, constant(_REST))
    bound = b.add(b.mul(greater(b, v, zero), c_v), b.mul(greater(b, u, zero), gain))  # below 2^32 if within
    below = b.icmp_unsigned("<=", bound, b.shl(threshold, constant(12)))
    within = b.icmp_signed("<=", greater(b, u, b.sub(zero, u)), limit)
    within = b.and_(within, b.icmp_signed("<=", v, constant(_REST)))
    return b.and_(b.and_(below, within), b.icmp_signed(">=", v, constant(-_REST)))


def _outcome(b, spike, live, rests=None):
    result = b.or_(mask(b, spike), b.shl(b.ctpop(mask(b, live)), ir.Constant(I64, LIVE_AT)))
    if rests is None:
        return result
    return b.or_(result, b.shl(b.zext(every(b, rests), I64), ir.Constant(I64, RESTS_AT)))


def _uniform(with_rest: bool):
    @intrinsic
    def update(typingctx, u, v, a, i, decay_u, decay_v, theta, gain, limit):
        def code(context, b, signature, arguments):
            types_, i = signature.args, arguments[3]
            at = [pointer(context, b, types_[k], arguments[k], i, VECTOR) for k in range(3)]
            old_u, old_v, a = (load(b, p) for p in at)
            c_u, c_v, threshold, gain, limit = (splat(b, x) for x in arguments[4:])
            live = b.icmp_signed("!=", b.or_(b.or_(old_u, old_v), a), constant(0))
            new_u = _currents(b, old_u, a, c_u)
            new_v = _clip(b, b.add(_decay(b, old_v, c_v), new_u))
            spike = b.icmp_signed(">", new_v, threshold)
            new_v = b.select(spike, constant(0), new_v)
            store(b, new_u, at[0])
            store(b, new_v, at[1])
            store(b, constant(0), at[2])
            rests = _rests(b, new_u, new_v, c_v, threshold, gain, limit) if with_rest else None
            return _outcome(b, spike, live, rests)

        i32 = types.int32
        return types.int64(u, v, a, types.intp, i32, i32, i32, i32, i32), code

    update.__doc__ = f"""Update the block of neurons from i on, alike and without bias and refractory period.

    Args are the arrays u, v and a (int32), then the block's first index and the parameters as named above.
    Returns the mask of spikes, plus ``2^LIVE_AT`` times the number of neurons that were not quiescent
    {", plus ``2^RESTS_AT`` if the block rests now" if with_rest else ""}.
    """
    return update


update_uniform, update_uniform_and_rest = _uniform(False), _uniform(True)


def _row(context, b, array_type, array, stride, i, k):
    """Address of block ``i`` in row k of a flat array whose rows are ``stride`` apart."""
    index = b.add(i, b.mul(stride, ir.Constant(stride.type, k)))
    return pointer(context, b, array_type, array, index, VECTOR)


@intrinsic
def update_general(typingctx, state, stride, a, parameters, i):
    """As :func:`update_uniform`, with parameters of each neuron, bias and refractory counters.

    ``state`` and ``parameters`` are flat, their rows ``stride`` apart. While a counter runs, v is held at 0;
    a spike sets it to the refractory period; then it counts down (nengo-loihi's rule).
    """

    def code(context, b, signature, arguments):
        state, stride, a, parameters, i = arguments
        at = [_row(context, b, signature.args[0], state, stride, i, n) for n in (U, V, COUNTER)]
        at_a = pointer(context, b, signature.args[2], a, i, VECTOR)
        old_u, old_v, counter = (load(b, p) for p in at)
        a = load(b, at_a)
        c_u, c_v, threshold, gain, limit, bias, period = (
            load(b, _row(context, b, signature.args[3], parameters, stride, i, n))
            for n in (DECAY_U, DECAY_V, THETA, GAIN, LIMIT, BIAS, REFRACTORY)
        )
        zero, one = constant(0), constant(1)
        anything = b.or_(b.or_(b.or_(old_u, old_v), b.or_(a, bias)), counter)
        live = b.icmp_signed("!=", anything, zero)
        new_u = _currents(b, old_u, a, c_u)
        new_v = _clip(b, b.add(b.add(_decay(b, old_v, c_v), new_u), bias))
        new_v = b.select(b.icmp_signed(">", counter, zero), zero, new_v)
        spike = b.icmp_signed(">", new_v, threshold)
        new_v = b.select(spike, zero, new_v)
        counter = b.select(spike, period, counter)
        counter = b.select(b.icmp_signed(">", counter, zero), b.sub(counter, one), zero)
        store(b, new_u, at[0])
        store(b, new_v, at[1])
        store(b, counter, at[2])
        store(b, zero, at_a)
        rests = b.and_(
            _rests(b, new_u, new_v, c_v, threshold, gain, limit), b.icmp_signed("==", counter, zero)
        )
        return _outcome(b, spike, live, rests)

    return types.int64(state, types.intp, a, parameters, types.intp), code


def _catch_up(b, at_u, at_v, n, c_u, c_v):
    """``n`` steps of decay in registers. Returns how many neurons were live, summed over the steps.

    The loop ends by its count alone: a test of the state would wait for it, and the processor could not begin
    with the next block.
    """
    before, loop, after = b.block, b.append_basic_block("decay"), b.append_basic_block("caught_up")
    first_u, first_v = load(b, at_u), load(b, at_v)
    b.branch(loop)
    b.position_at_end(loop)
    u, v = b.phi(VECTOR), b.phi(VECTOR)
    left, updates = b.phi(I64), b.phi(I64)
    live = mask(b, b.icmp_signed("!=", b.or_(u, v), constant(0)))
    new_u = _small_decay(b, u, c_u)
    new_v = b.add(_small_decay(b, v, c_v), new_u)
    new_left = b.sub(left, ir.Constant(I64, 1))
    new_updates = b.add(updates, b.ctpop(live))
    for phi, first, next_ in (
        (u, first_u, new_u),
        (v, first_v, new_v),
        (left, n, new_left),
        (updates, ir.Constant(I64, 0), new_updates),
    ):
        phi.add_incoming(first, before)
        phi.add_incoming(next_, loop)
    b.cbranch(b.icmp_signed(">", new_left, ir.Constant(I64, 0)), loop, after)
    b.position_at_end(after)
    store(b, new_u, at_u)
    store(b, new_v, at_v)
    return new_updates


@intrinsic
def catch_up_uniform(typingctx, u, v, i, n, decay_u, decay_v):
    """``n >= 1`` steps without input of the block of neurons from i on that rest and share their parameters.

    Returns the neurons that were not quiescent, summed over the steps.
    """

    def code(context, b, signature, arguments):
        kinds, i = signature.args, arguments[2]
        at_u, at_v = (pointer(context, b, kinds[k], arguments[k], i, VECTOR) for k in (0, 1))
        return _catch_up(b, at_u, at_v, arguments[3], splat(b, arguments[4]), splat(b, arguments[5]))

    return types.int64(u, v, types.intp, types.int64, types.int32, types.int32), code


@intrinsic
def catch_up_general(typingctx, state, stride, parameters, i, n):
    """As :func:`catch_up_uniform`, with parameters of each neuron; arrays as in :func:`update_general`."""

    def code(context, b, signature, arguments):
        state, stride, parameters, i, n = arguments
        at_u, at_v = (_row(context, b, signature.args[0], state, stride, i, k) for k in (U, V))
        c_u, c_v = (
            load(b, _row(context, b, signature.args[2], parameters, stride, i, k)) for k in (DECAY_U, DECAY_V)
        )
        return _catch_up(b, at_u, at_v, n, c_u, c_v)

    return types.int64(state, types.intp, parameters, types.intp, types.int64), code
