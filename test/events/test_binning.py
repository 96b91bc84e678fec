# SPDX-License-Identifier: Apache-2.0
"""Binning against the definition in its docstring."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_spike_control.errors import TaskError
from liquid_spike_control.events.binning import SpikeBinner
from liquid_spike_control.types import EVENT

WIDTH, HEIGHT, GROUP, STEP = 5, 6, 2, 100


def by_definition(events, start, n_steps):
    steps, rejected = [set() for _ in range(n_steps)], 0
    for t, x, y, p in events.tolist():
        inside = [k for k in range(n_steps) if start + k * STEP < t <= start + (k + 1) * STEP]
        if inside and x < WIDTH and y < HEIGHT:
            steps[inside[0]].add(((p != 0) * (HEIGHT // GROUP) + y // GROUP) * WIDTH + x)
        else:
            rejected += 1
    return [sorted(s) for s in steps], rejected


event_lists = st.lists(
    st.tuples(st.integers(-250, 900), st.integers(0, 6), st.integers(0, 7), st.integers(0, 1)), max_size=120
)


@settings(deadline=None)
@given(event_lists, st.integers(-200, 400), st.integers(0, 6))
def test_bins_as_defined(rows, start, n_steps):
    events = np.array(rows, EVENT)
    binner = SpikeBinner(WIDTH, HEIGHT, GROUP, STEP)
    train = binner.bin(events, start, n_steps)
    expected, rejected = by_definition(events, start, n_steps)
    assert [train.step(k).tolist() for k in range(train.n_steps)] == expected
    assert binner.rejected == rejected
    assert train.ids.dtype == np.int32 and train.indptr.dtype == np.int64


def test_every_axon_has_its_pixels():
    binner = SpikeBinner(WIDTH, HEIGHT, GROUP, STEP)
    assert binner.n_axons == 30
    events = np.array([(1, x, y, p) for p in (0, 1) for y in range(HEIGHT) for x in range(WIDTH)], EVENT)
    assert binner.bin(events, 0, 1).ids.tolist() == list(range(30))
    assert binner.rejected == 0


def test_rejected_adds_up_over_windows():
    binner = SpikeBinner(WIDTH, HEIGHT, GROUP, STEP)
    events = np.array([(0, 0, 0, 0), (100, 0, 0, 0), (101, 0, 0, 0)], EVENT)
    assert binner.bin(events, 0, 1).ids.tolist() == [0]
    binner.bin(events, 0, 1)
    assert binner.rejected == 4


def test_many_events_and_a_strided_view():
    rng = np.random.default_rng(3)
    events = np.zeros(4000, EVENT)
    events["t"] = rng.integers(1, 301, 4000)
    events["x"], events["y"] = rng.integers(0, WIDTH, 4000), rng.integers(0, HEIGHT, 4000)
    events["p"] = rng.integers(0, 2, 4000)
    train = SpikeBinner(WIDTH, HEIGHT, GROUP, STEP).bin(events[::2], 0, 3)
    assert [train.step(k).tolist() for k in range(3)] == by_definition(events[::2], 0, 3)[0]


@pytest.mark.parametrize("n", [40, 4000, 100_000])
def test_many_axons_few_and_many_events(n):
    """Both ways of putting a step in order: by a sort, and by a bitmap of 7,201 words."""
    rng = np.random.default_rng(n)
    events = np.zeros(n, EVENT)
    events["t"] = np.sort(rng.integers(1, 3_000_001, n))
    events["x"], events["y"] = rng.integers(0, 1280, n), rng.integers(0, 720, n)
    events["p"] = rng.integers(0, 2, n)
    events[:8] = [(1, x, y, p) for x in (0, 1279) for y in (0, 719) for p in (0, 1)]
    binner = SpikeBinner(1280, 720, 4, 1_000_000)
    for _ in range(2):  # the bitmap is left empty
        train = binner.bin(events, 0, 3)
        axons = (events["p"].astype(int) * 180 + events["y"] // 4) * 1280 + events["x"]
        steps = (events["t"] - 1) // 1_000_000
        for k in range(3):
            np.testing.assert_array_equal(train.step(k), np.unique(axons[steps == k]))


@pytest.mark.parametrize("arguments", [(0, 6, 2, 100), (5, 6, 0, 100), (5, 6, 4, 100), (5, 6, 2, 0)])
def test_impossible_shapes_are_refused(arguments):
    with pytest.raises(TaskError, match="row_group"):
        SpikeBinner(*arguments)
