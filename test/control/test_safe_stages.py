# SPDX-License-Identifier: Apache-2.0
"""A safe command of several stages: slowly down, then no thrust."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_spike_control.control.gate import (
    LONGEST_LOOK_NS,
    GateLimits,
    Verdict,
    admit,
    initial_state,
    press,
    release,
    stages,
    watchdog,
)
from liquid_spike_control.errors import TaskError

MS = 1_000_000
AGE = 100 * MS
DESCEND, SLOWER, CUT = [-0.8, 0.0], [-1.5, 0.0], [-5.9, 0.0]


def limits(then=((3000 * MS, SLOWER), (5000 * MS, CUT))):
    return GateLimits(("thrust", "roll"), [-3, -0.3], [3, 0.3], [300, 35], AGE, DESCEND, then)


def silence(gate, state, from_ms, to_ms, every_ms=10):
    """Outputs of the watchdog, as it looks every so often."""
    outputs = []
    for now in range(from_ms, to_ms, every_ms):
        state, output, verdict = watchdog(gate, state, now * MS)
        outputs.append(output.tolist())
    return state, outputs, verdict


def flying(gate, now_ns=0):
    state, output, verdict = admit(gate, initial_state(gate), [0.5, 0.1], now_ns, now_ns)
    assert verdict is Verdict.ACCEPTED and output.tolist() == [0.5, 0.1]
    return state


def test_it_descends_and_then_cuts():
    gate = limits()
    _, outputs, verdict = silence(gate, flying(gate), 10, 6000)
    assert verdict is Verdict.STALE
    changes = [(10 * (k + 1), b) for k, (a, b) in enumerate(zip([None, *outputs], outputs, strict=False)) if a != b]
    assert changes == [(10, [0.5, 0.1]), (110, DESCEND), (3110, SLOWER), (5110, CUT)]


def test_before_the_first_command_nothing_turns():
    gate = limits()
    state = initial_state(gate)
    assert state.output.tolist() == CUT
    state, outputs, verdict = silence(gate, state, 10, 400)
    assert outputs == [CUT] * 39 and verdict is Verdict.WAITING
    assert press(gate, state, 500 * MS).output.tolist() == CUT


def test_an_e_stop_runs_through_the_stages_and_a_release_stays_safe_where_it_is():
    gate = limits()
    state = press(gate, flying(gate), 10 * MS)
    assert state.output.tolist() == DESCEND
    for now in range(20, 4000, 10):  # the controller goes on
        state, output, verdict = admit(gate, state, [1.0, 0.2], now * MS, now * MS)
        assert verdict is Verdict.E_STOP
    assert output.tolist() == SLOWER
    state = release(state)
    state, output, _ = watchdog(gate, state, 4000 * MS)
    assert output.tolist() == SLOWER
    state, output, verdict = admit(gate, state, [1.0, 0.2], 4003 * MS, 4003 * MS)
    assert verdict is Verdict.ACCEPTED  # the way back began when the stage set in, long ago


def test_the_next_time_it_begins_anew_and_the_way_back_is_rate_limited():
    gate = limits()
    state, outputs, _ = silence(gate, flying(gate), 10, 5120)
    assert outputs[-1] == CUT
    state, output, verdict = admit(gate, state, [0.5, 0.0], 5112 * MS, 5112 * MS)
    assert verdict is Verdict.CLIPPED_RATE and output.tolist() == [-3.0, 0.0]  # by 0.6 up, then into the range
    state, output, _ = admit(gate, state, [0.5, 0.0], 5200 * MS, 5200 * MS)
    assert output.tolist() == [0.5, 0.0]
    state, output, _ = watchdog(gate, state, 5301 * MS)
    assert output.tolist() == DESCEND


def test_commands_that_are_refused_do_not_stop_the_time():
    gate = limits()
    state = flying(gate)
    for now in range(10, 6000, 10):
        state, output, verdict = admit(gate, state, [np.nan, 0.0], now * MS, now * MS)
        assert verdict is Verdict.DROPPED_NONFINITE
        assert output.tolist() == (DESCEND if now < 3010 else SLOWER if now < 5010 else CUT)


@pytest.mark.parametrize("jump_ms", [-100_000, 100_000])
def test_a_clock_that_is_set_is_no_time_that_passed(jump_ms):
    gate = limits()
    state, outputs, _ = silence(gate, flying(gate, 200_000 * MS), 200_010, 201_000)
    assert outputs[-1] == DESCEND
    state, outputs, _ = silence(gate, state, 201_000 + jump_ms, 202_000 + jump_ms)
    assert outputs[-1] == DESCEND
    _, outputs, _ = silence(gate, state, 202_000 + jump_ms, 204_000 + jump_ms)
    assert outputs[-1] == SLOWER and LONGEST_LOOK_NS <= 1000 * MS


def test_without_stages_the_safe_command_stays():
    gate = limits(())
    assert initial_state(gate).output is gate.safe and gate.safe_after(None) is gate.safe
    assert silence(gate, flying(gate), 10, 8000)[1][-1] == DESCEND


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["admit", "watchdog", "press", "release"]),
            st.tuples(*[st.floats(allow_nan=True)] * 2), st.integers(-200, 200), st.integers(-3000, 3000),
        ),
        max_size=30,
    )
)  # fmt: skip
def test_outputs_are_in_range_or_a_stage_and_stages_do_not_run_back(ticks):
    gate = limits()
    state, now, order = initial_state(gate), 0, [o.tobytes() for o in gate.outputs]
    for call, values, lead, advance in ticks:
        before, now = state, now + advance * MS
        if call == "admit":
            state, output, _ = admit(gate, state, values, now + lead * MS, now)
        elif call == "watchdog":
            state, output, _ = watchdog(gate, state, now)
        else:
            state = press(gate, state, now) if call == "press" else release(state)
            output = state.output
        if state.safe:
            assert output.tobytes() in order
        else:
            assert (gate.lower <= output).all() and (output <= gate.upper).all()
        if state.safe and before.safe:
            assert order.index(output.tobytes()) >= order.index(before.output.tobytes())
        if state.safe and not before.safe:
            assert output is gate.safe


def test_stages_of_parameters_and_what_is_refused():
    (first, second) = stages([3.0, 5.0], [*SLOWER, *CUT], 2)
    assert (first[0], first[1].tolist(), second[0], second[1].tolist()) == (3000 * MS, SLOWER, 5000 * MS, CUT)
    assert stages((), (), 2) == ()
    for times, values, message in (
        ([1.0], [0.0], "1 stages of the safe command, 1 values; give 2 for each"),
        ([np.nan], [0.0, 0.0], "give 2 for each"),
    ):
        with pytest.raises(TaskError, match=message):
            stages(times, values, 2)
    for then, message in (
        (((5 * MS, CUT), (5 * MS, CUT)), "ascending times above 0"),
        (((0, CUT),), "ascending times above 0"),
        (((5 * MS, [np.inf, 0]),), "2 finite numbers"),
        (((5 * MS, [0.0]),), "2 finite numbers"),
    ):
        with pytest.raises(TaskError, match=message):
            limits(then)
