# SPDX-License-Identifier: Apache-2.0
"""Blocks of neurons in 16 bits against the rule in 64, and the products of 16 bits on several processors."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from liquid_spike_control.neuromorphic.emulator.int16_blocks import MOST, WIDE, reach_of, update_narrow
from liquid_spike_control.neuromorphic.emulator.membrane import LIVE_AT, RESTS_AT, rest_bounds
from liquid_spike_control.neuromorphic.emulator.vectors import BLOCK

update = njit(
    lambda u, v, a, missed, c_u, c_v, theta, reach, shift: update_narrow(
        u, v, a, 0, missed, np.int32(c_u), np.int32(c_v), np.int32(theta), np.int32(reach), np.int32(shift)
    )
)


def decayed(x, c):
    return np.sign(x) * (np.abs(x) * c >> 12)


@st.composite
def blocks(draw):
    """State and input of one block, of any size up to some power of two, with a few lanes at its edge."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    edges = np.array([0, 1, -1, 2**14, 2**15 - 2, 2**15 - 1, 2**15, -(2**15), -(2**15) - 1, 2**16, -(2**17)])

    def lanes(bits):
        x = np.trunc(rng.uniform(-1, 1, BLOCK) * 2.0 ** rng.uniform(0, bits, BLOCK)).astype(np.int64)
        x[rng.random(BLOCK) < 0.2] = 0
        if draw(st.integers(0, 3)) == 0:
            x[rng.integers(BLOCK)] = rng.choice(edges)
        return x

    u, v, a = (lanes(draw(st.integers(1, 16))) for _ in range(3))
    decays = draw(st.integers(0, 4095)), draw(st.integers(0, 4095))
    return u, v, a, *decays, draw(st.integers(0, MOST)), draw(st.integers(0, 48))


@given(blocks())
@settings(max_examples=500, deadline=None)
def test_a_narrow_block_is_updated_to_the_bit_or_left_alone(case):
    u, v, a, c_u, c_v, theta, missed = case
    gain, _ = rest_bounds(np.array(c_u), np.array(c_v), np.array(0))
    arrays = [x.astype(np.int32) for x in (u, v, a)]
    outcome = update(*arrays, missed, 16 * c_u, 16 * c_v, theta, *reach_of(int(gain)))
    reach, shift = reach_of(int(gain))
    if outcome == WIDE:
        for x, before in zip(arrays, (u, v, a), strict=True):
            np.testing.assert_array_equal(x, before)
        fills = np.abs(u) * gain / 4096 + np.abs(v) + np.abs(a)
        assert fills.max() >= MOST - 1 or (np.abs(u) << shift).max() >= 2**16 - 2**shift
        return
    live = 0
    for step in range(missed + 1):
        now = a if step == missed else 0 * a
        live += int(((u != 0) | (v != 0) | (now != 0)).sum())
        u = decayed(u, c_u) + now
        v = decayed(v, c_v) + u
    spikes = v > theta
    v = np.where(spikes, 0, v)
    for x, after in zip(arrays, (u, v, 0 * a), strict=True):
        np.testing.assert_array_equal(x, after)
    assert outcome & (1 << BLOCK) - 1 == int(sum(1 << k for k in np.flatnonzero(spikes)))
    assert outcome >> LIVE_AT & 0xFFFF == live
    if outcome >> RESTS_AT:
        for _ in range(300):
            u = decayed(u, c_u)
            v = decayed(v, c_v) + u
            assert v.max() <= theta


@given(st.integers(0, 4095), st.integers(0, 4095), st.integers(0, 2**16))
@settings(max_examples=200, deadline=None)
def test_reach_is_above_the_gain(c_u, c_v, u):
    gain = int(rest_bounds(np.array(c_u), np.array(c_v), np.array(0))[0])
    reach, shift = reach_of(gain)
    assert 1 <= shift <= 12 and reach < 2**16
    u = min(u, 2**16 - 1 >> shift)
    assert 4096 * (((u << shift) * reach >> 16) + 1) > u * gain


PRODUCTS = """
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from liquid_spike_control.neuromorphic.emulator.vectors import BLOCK, SHORTS, high_product, load, pointer

@intrinsic
def multiply(typingctx, x, y):
    def code(context, b, signature, arguments):
        zero = ir.Constant(ir.IntType(64), 0)
        at = [pointer(context, b, k, z, zero, SHORTS) for k, z in zip(signature.args, arguments)]
        b.store(high_product(context, b, load(b, at[0], 2), load(b, at[1], 2)), at[0]).align = 2
        return context.get_dummy_value()
    return types.void(x, y), code

x, y = np.random.default_rng(0).integers(0, 2**16, (2, BLOCK)).astype(np.uint16)
x[:4], y[:4] = (0, 1, 2**16 - 1, 2**16 - 1), (5, 2**16 - 1, 2**16 - 1, 1)
expected = (x.astype(np.int64) * y >> 16).astype(np.uint16)
run = njit(lambda x, y: multiply(x, y))
run(x, y)
np.testing.assert_array_equal(x, expected)
print("pmulhu" in next(iter(run.inspect_llvm().values())))
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="features of x86 processors")
@pytest.mark.parametrize(
    ("features", "by_name"), [("+sse2", True), ("+sse2,+avx,+avx2", True), ("-avx", False)]
)
def test_products_are_the_same_on_every_processor(features, by_name):
    settings = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, "-c", PRODUCTS], env=os.environ | settings, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(by_name)
