# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_spike_control.control.gate import (
    GateLimits,
    Verdict,
    admit,
    initial_state,
    press,
    release,
    watchdog,
)
from liquid_spike_control.errors import TaskError

MS = 1_000_000
PERIOD = 5 * MS
MAX_AGE = 20 * MS


def limits(**changes):
    values = dict(names=("cart_slide",), lower=[-10], upper=[10], rate=[1000], max_age_ns=MAX_AGE, safe=[0])
    return GateLimits(**values | changes)


def admit_now(gate, state, value, now_ns):
    return admit(gate, state, [value], now_ns, now_ns)


def started(gate, value=3.0, now_ns=0):
    """A gate that has just let a command out."""
    state, output, verdict = admit_now(gate, initial_state(gate), value, now_ns)
    assert output == [value] and verdict is Verdict.ACCEPTED
    return state


def test_a_command_within_the_limits_passes_as_it_is():
    state, output, verdict = admit_now(limits(), initial_state(limits()), 0.1 + 0.2, 7)
    assert (output[0], verdict, state.stamp_ns) == (0.1 + 0.2, Verdict.ACCEPTED, 7)


def test_range_then_rate():
    gate = limits(rate=[400])
    state, output, verdict = admit_now(gate, initial_state(gate), 50.0, 0)  # 20 ms at 400 / s reach 8
    assert (output[0], verdict) == (8.0, Verdict.CLIPPED_RATE)
    state, output, verdict = admit_now(gate, state, 50.0, PERIOD)
    assert (output[0], verdict) == (10.0, Verdict.CLIPPED_RANGE)
    state, output, verdict = admit_now(gate, state, -50.0, 2 * PERIOD)
    assert (output[0], verdict) == (8.0, Verdict.CLIPPED_RATE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_command_that_is_not_finite_is_safe_at_once_and_does_not_refresh_the_watchdog(value):
    gate = limits()
    state, output, verdict = admit_now(gate, started(gate), value, PERIOD)
    assert (output[0], verdict) == (0.0, Verdict.DROPPED_NONFINITE)
    assert watchdog(gate, state, MAX_AGE + 1)[2] is Verdict.STALE
    _, output, verdict = admit_now(gate, state, 2.0, 2 * PERIOD)
    assert (output[0], verdict) == (2.0, Verdict.ACCEPTED)


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [[1.0]], 1.0])
def test_a_command_of_the_wrong_shape_is_safe(values):
    _, output, verdict = admit(limits(), started(limits()), values, PERIOD, PERIOD)
    assert (output[0], verdict) == (0.0, Verdict.DROPPED_SHAPE)


def test_age_counts_from_the_stamp_and_not_from_the_arrival():
    gate = limits()
    state = started(gate, 3.0)
    state, output, verdict = admit(gate, state, [4.0], 5 * MS, 10 * MS)
    assert (output[0], verdict) == (4.0, Verdict.ACCEPTED)
    _, output, verdict = watchdog(gate, state, 5 * MS + MAX_AGE)
    assert (output[0], verdict) == (4.0, Verdict.HELD)
    _, output, verdict = watchdog(gate, state, 5 * MS + MAX_AGE + 1)
    assert (output[0], verdict) == (0.0, Verdict.STALE)
    _, output, verdict = admit(gate, state, [5.0], 10 * MS, 10 * MS + MAX_AGE + 1)
    assert (output[0], verdict) == (0.0, Verdict.STALE)


def test_an_old_or_repeated_command_leaves_the_last_one_standing():
    gate = limits()
    state = started(gate, 3.0, 10 * MS)
    for stamp in (10 * MS, 5 * MS):
        _, output, verdict = admit(gate, state, [-3.0], stamp, 12 * MS)
        assert (output[0], verdict) == (3.0, Verdict.DROPPED_ORDER)


def test_a_stamp_far_ahead_is_dropped_and_does_not_shut_the_gate():
    gate = limits()
    state, output, verdict = admit(gate, started(gate), [5.0], 10_000 * MS, PERIOD)
    assert (output[0], verdict) == (3.0, Verdict.DROPPED_FUTURE)
    assert admit_now(gate, state, 4.0, 2 * PERIOD)[2] is Verdict.ACCEPTED


@pytest.mark.parametrize("jump", [-1000 * MS, 10_000 * MS])
def test_a_clock_that_jumps_costs_no_command(jump):
    gate = limits()
    state, output, verdict = admit_now(gate, started(gate, 3.0, 2000 * MS), 4.0, 2000 * MS + jump)
    assert (output[0], verdict) == (4.0, Verdict.ACCEPTED)


def test_the_way_back_from_safe_is_rate_limited():
    gate = limits(rate=[400])
    state = started(gate)
    state, output, _ = watchdog(gate, state, 100 * MS)
    assert output == [0]
    state, output, verdict = admit_now(gate, state, 9.0, 105 * MS)
    assert (output[0], verdict) == (2.0, Verdict.CLIPPED_RATE)


def test_the_e_stop_latches():
    gate = limits()
    state = press(gate, started(gate), MS)
    for k in range(1, 50):
        state, output, verdict = admit_now(gate, state, 5.0, k * PERIOD)
        assert (output[0], verdict) == (0.0, Verdict.E_STOP)
        state, output, verdict = watchdog(gate, state, k * PERIOD + MS)
        assert (output[0], verdict) == (0.0, Verdict.E_STOP)
    state = release(state)
    state, output, verdict = watchdog(gate, state, 300 * MS)
    assert (output[0], verdict) == (0.0, Verdict.WAITING)
    assert admit_now(gate, state, 5.0, 305 * MS)[2] is Verdict.ACCEPTED


def test_verdicts_are_counted():
    gate = limits()
    state, _, _ = watchdog(gate, initial_state(gate), 0)
    state, _, _ = admit_now(gate, state, 1.0, 1)
    state, _, _ = admit_now(gate, state, np.nan, 2)
    counts = {v: n for v, n in zip(Verdict, state.counts, strict=True) if n}
    assert counts == {Verdict.WAITING: 1, Verdict.ACCEPTED: 1, Verdict.DROPPED_NONFINITE: 1}


def test_outputs_cannot_be_changed_from_outside():
    _, output, _ = admit_now(limits(), initial_state(limits()), 1.0, 0)
    with pytest.raises(ValueError):
        output[0] = 99
    with pytest.raises(ValueError):
        watchdog(limits(), initial_state(limits()), 0)[1][0] = 99


@pytest.mark.parametrize(
    "field, value",
    [
        ("names", ()),
        ("lower", [-np.inf]),
        ("upper", [np.inf]),
        ("upper", [np.nan]),
        ("upper", [-10]),
        ("upper", []),
        ("upper", None),
        ("rate", [0]),
        ("rate", [-1]),
        ("rate", [np.inf]),
        ("rate", [np.nan]),
        ("safe", [11]),
        ("safe", [np.nan]),
        ("max_age_ns", 0),
        ("max_age_ns", -1),
        ("max_age_ns", True),
        ("max_age_ns", float("inf")),
        ("max_age_ns", float("nan")),
        ("max_age_ns", 1_000_000_001),
    ],
)
def test_there_is_no_off(field, value):
    with pytest.raises(TaskError, match=field) as error:
        limits(**{field: value})
    assert "\n" not in str(error.value)


any_float = st.one_of(st.floats(), st.sampled_from([np.nan, np.inf, -np.inf, 5e-324, -0.0, 1.8e308, 1e-310]))
moment = st.integers(-2 * MAX_AGE, 2 * MAX_AGE)
tick = st.one_of(
    st.tuples(st.just("admit"), st.tuples(any_float, any_float), moment, moment),
    st.tuples(st.just("watchdog"), st.none(), st.just(0), moment),
    st.tuples(st.sampled_from(["press", "release"]), st.none(), st.just(0), moment),
)


@settings(max_examples=500, deadline=None)  # the promise gate_property draws more
@given(
    st.lists(tick, max_size=8),
    st.tuples(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6)),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
)
def test_outputs_are_finite_in_range_and_within_rate_for_any_input(ticks, rate, safe):
    gate = GateLimits(("a", "b"), [-10, -1], [10, 3], rate, MAX_AGE, safe)
    state = replay = initial_state(gate)
    now = 0
    for call, values, lead, advance in ticks:
        now += advance
        before = state

        def run(state, call=call, values=values, lead=lead, now=now):
            if call == "admit":
                return admit(gate, state, values, now + lead, now)
            if call == "watchdog":
                return watchdog(gate, state, now)
            state = press(gate, state, now) if call == "press" else release(state)
            return state, state.output, None

        state, output, verdict = run(state)
        replay, again, _ = run(replay)
        assert output.tobytes() == again.tobytes()
        assert np.isfinite(output).all()
        assert (gate.lower <= output).all() and (output <= gate.upper).all()
        moved = np.abs(output - before.output)
        if state.stopped or (output == gate.safe).all():
            continue
        if before.changed_ns is None or (before.now_ns is not None and now < before.now_ns):
            elapsed = MAX_AGE
        else:
            elapsed = max(0, min(now + lead - before.changed_ns, MAX_AGE))
        reach = gate.rate * elapsed * 1e-9 if verdict in (0, 1, 2) else 0
        assert (moved <= reach * (1 + 1e-12) + 1e-14).all(), verdict


def test_a_state_is_never_changed():
    gate = limits()
    state = started(gate)
    before = replace(state)
    admit_now(gate, state, -9.0, PERIOD)
    press(gate, state, PERIOD)
    watchdog(gate, state, 10 * MAX_AGE)
    assert vars(state) == vars(before)
