# SPDX-License-Identifier: Apache-2.0
"""Codes: what comes back, within the error that each states, and which inputs are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_spike_control.errors import TaskError
from liquid_spike_control.spiking.coding.delta import DeltaCode
from liquid_spike_control.spiking.coding.interval import Interval
from liquid_spike_control.spiking.coding.latency import LatencyCode
from liquid_spike_control.spiking.coding.phase import PhaseCode
from liquid_spike_control.spiking.coding.population import PopulationCode
from liquid_spike_control.spiking.coding.rate import RateCode

HALF = Interval(-2.5, 4.0)
EXACT = {
    "rate": lambda steps: RateCode(HALF, steps),
    "latency": lambda steps: LatencyCode(HALF, steps),
    "phase": lambda steps: PhaseCode(HALF, min(steps, 30)),
    "phases": lambda steps: PhaseCode(HALF, min(steps, 9), periods=3),
}
VALUES = st.lists(st.floats(HALF.low, HALF.high), min_size=1, max_size=20)
#: What float64 adds to errors of exact numbers: some units in the last place of the interval's width.
ROUNDING = 4 * np.spacing(HALF.width)


@pytest.mark.parametrize("name", EXACT)
@given(VALUES, st.integers(2, 60))
@settings(max_examples=60, deadline=None)
def test_values_come_back_within_the_stated_error(name, values, steps):
    code = EXACT[name](steps)
    spikes = code.encode(values)
    assert spikes.n_steps == code.steps
    found = code.decode(spikes, len(values))
    assert np.abs(found - values).max() <= code.error() + ROUNDING


@pytest.mark.parametrize("name", EXACT)
def test_the_stated_error_is_reached(name):
    """A bound that nothing comes near would state too much."""
    code = EXACT[name](8)
    values = np.linspace(HALF.low, HALF.high, 20_001)
    assert np.abs(code.decode(code.encode(values), len(values)) - values).max() > 0.98 * code.error()


@pytest.mark.parametrize("name", EXACT)
def test_values_beyond_the_interval_are_its_ends(name):
    code = EXACT[name](20)
    np.testing.assert_allclose(code.decode(code.encode([-1e9, np.inf, -np.inf, 1e9]), 4), [-2.5, 4, -2.5, 4])
    with pytest.raises(TaskError, match="is no number; hold the last one"):
        code.encode([0.0, np.nan])


def test_regular_spikes_are_evenly_spaced():
    steps = np.flatnonzero(RateCode(Interval(), 100).encode([0.13]).to_dense(1))
    assert len(steps) == 13 and set(np.diff(steps)) == {7, 8}


def test_random_rates_keep_their_seed_and_their_confidence():
    code, values = RateCode(Interval(-1, 1), 200, seed=3), np.linspace(-1, 1, 2000)
    first, again, next_window = code.encode(values), code.encode(values), code.encode(values, window=1)
    np.testing.assert_array_equal(first.ids, again.ids)
    assert not np.array_equal(first.ids, next_window.ids)
    errors = np.abs(code.decode(first, 2000) - values)
    assert (errors <= code.error(0.99)).mean() >= 0.99
    assert (errors > code.error(0.99) / 4).mean() > 0.1, "and the error is no smaller than it is"
    with pytest.raises(TaskError, match="by chance only; give a confidence"):
        code.error()


def test_latency_is_one_spike_a_value_and_the_first_counts():
    code = LatencyCode(Interval(), 11)
    spikes = code.encode([1.0, 0.5, 0.0])
    assert [spikes.step(k).tolist() for k in (0, 5, 10)] == [[0], [1], [2]] and len(spikes.ids) == 3
    twice = type(spikes).from_steps([[], [1], [1], *[[]] * 8])
    assert code.decode(twice, 2).tolist() == [0.0, 0.9]


def test_phases_are_binary_digits():
    code = PhaseCode(Interval(0, 15), 4, periods=2)
    assert np.flatnonzero(code.encode([10]).to_dense(1)).tolist() == [0, 2, 4, 6]
    assert code.weights.sum() == pytest.approx(1) and code.weights[0] == pytest.approx(8 / 15 / 2)


@given(st.integers(0, 2**32), st.floats(0.01, 2.0), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_slow_signals_come_back_within_a_threshold(seed, threshold, n):
    moves = np.random.default_rng(seed).uniform(-threshold, threshold, (200, n))
    start = np.full(n, 0.3)
    signals, code = start + np.cumsum(moves, axis=0), DeltaCode(threshold)
    spikes, reference = code.encode(signals, start)
    found = code.decode(spikes, start)
    assert np.abs(found - signals).max() < code.error() * (1 + 1e-9)
    np.testing.assert_allclose(found[-1], reference)
    first, middle = code.encode(signals[:77], start)
    second, end = code.encode(signals[77:], middle)
    np.testing.assert_array_equal(np.concatenate([first.ids, second.ids]), spikes.ids)
    np.testing.assert_array_equal(end, reference)


def test_a_signal_that_stays_sends_nothing_and_a_jump_is_made_up_for():
    code = DeltaCode(0.5)
    signals = np.array([[0.0]] * 5 + [[2.0]] * 10 + [[-0.1]] * 10)
    spikes, _ = code.encode(signals, [0.0])
    assert len(spikes.ids) == 8 and spikes.step(0).size == 0
    found = code.decode(spikes, [0.0])
    assert found[14, 0] == 2.0 and found[-1, 0] == 0.0 and np.flatnonzero(spikes.to_dense(2)[:, 1])[0] == 15


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12), st.integers(3, 24), st.integers(5, 120))
@settings(max_examples=80, deadline=None)
def test_populations_give_back_what_was_bent(values, n_fields, steps):
    code, x = PopulationCode(n_fields, steps), np.array(values)
    z = x / (0.5 + np.abs(x))
    spikes = code.encode(x)
    assert np.abs(code.bent(spikes, len(x)) - z).max() <= code.error()
    near = np.abs(x) < 1
    found = code.decode(spikes, len(x))
    assert np.isfinite(found).all()
    # dx/dz = (1/2 + |x|)^2 / (1/2) between here and there.
    reach = (0.5 + np.abs(x) + np.abs(found - x)) ** 2 / 0.5 * code.error()
    assert (np.abs(found - x)[near] <= reach[near] + 1e-9).all()


def test_populations_keep_their_charge_from_window_to_window():
    code, charge = PopulationCode(8, 5), np.zeros(16)
    parts = [code.encode([0.3, -1.2], charge).to_dense(16) for _ in range(4)]
    np.testing.assert_array_equal(np.concatenate(parts), PopulationCode(8, 20).encode([0.3, -1.2]).to_dense(16))


@pytest.mark.parametrize(
    "message, make",
    [
        ("a code from 1 to 1; give finite ends", lambda: Interval(1, 1)),
        ("a code from 0 to inf; give finite ends", lambda: Interval(0, float("inf"))),
        ("a rate code of 0 steps; give it 1 or more", lambda: RateCode(Interval(), 0)),
        ("a latency code of 1 steps; give it 2 or more", lambda: LatencyCode(Interval(), 1)),
        ("a phase code of 31 digits; give it 1 .. 30", lambda: PhaseCode(Interval(), 31)),
        ("a threshold of nan; give one above 0", lambda: DeltaCode(float("nan"))),
        ("a population of 1 fields; give it 2 or more", lambda: PopulationCode(1, 10)),
        ("a signal to be encoded is not finite", lambda: DeltaCode(1).encode([[np.inf]], [0])),
        ("a value to be encoded is not finite", lambda: PopulationCode(4, 10).encode([np.nan])),
    ],
)
def test_codes_that_cannot_be_are_refused(message, make):
    with pytest.raises(TaskError, match=message):
        make()
