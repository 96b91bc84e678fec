# SPDX-License-Identifier: Apache-2.0
"""Faults of commands and of the liquid network's state, without processes: the gate and the controller."""

from __future__ import annotations

from itertools import product

import numpy as np

from ...checkpoint import read_controller
from ...control.gate import GateLimits, GateState, Verdict, admit, initial_state, press, release, watchdog
from ...errors import TaskError
from ...liquid.architecture import ELAPSED_RANGE
from ...liquid.controller import LiquidController
from ...resources import shipped_model
from .measurement import Measurement

PERIOD_NS = 5_000_000
PERIOD_MS = PERIOD_NS / 1e6
MAX_AGE_NS = 30_000_000

#: Every kind of number that is none, or hardly one.
BROKEN = (np.nan, -np.nan, np.inf, -np.inf)


def gate_of_two() -> GateLimits:
    """Limits of two commands, asymmetric so that no bound is taken for another."""
    lower, upper, rate, safe = np.array([[-10, -1], [10, 3], [4000, 700], [0, 0.5]])
    return GateLimits(("a", "b"), lower, upper, rate, MAX_AGE_NS, safe)


def nonfinite_command(thorough: bool = False) -> list[Measurement]:
    """Every broken value in every field: dropped, the watchdog not refreshed, the next valid command accepted."""
    limits = gate_of_two()
    valid = np.array([0.2, 0.6])
    spread = refreshed = tried = 0
    late_ns = 0.0
    for value, field in product(BROKEN, range(2)):
        state, *_ = admit(limits, initial_state(limits), valid, 0, 0)
        broken = valid.copy()
        broken[field] = value
        state, output, verdict = admit(limits, state, broken, PERIOD_NS, PERIOD_NS)
        spread += verdict is not Verdict.DROPPED_NONFINITE or output.tobytes() != limits.safe.tobytes()
        refreshed += watchdog(limits, state, MAX_AGE_NS + 1)[2] is not Verdict.STALE
        late_ns = max(late_ns, _until_admitted(limits, state, valid, PERIOD_NS) - PERIOD_NS)
        tried += 1
    return [
        Measurement("NaN or Inf in any field", "safe command at once", spread, 0, f"of {tried} not"),
        Measurement("NaN or Inf in any field", "watchdog is not refreshed", refreshed, 0, f"of {tried} refreshed"),
        Measurement("NaN or Inf in any field", "next valid command accepted", late_ns / 1e6, PERIOD_MS, "ms"),
    ]


def _until_admitted(limits: GateLimits, state: GateState, values: np.ndarray, now_ns: int) -> float:
    """Time of the first tick after ``now_ns`` at which a valid command is accepted [ns]; NaN if in none of 100."""
    for now in range(now_ns + PERIOD_NS, now_ns + 101 * PERIOD_NS, PERIOD_NS):
        state, output, verdict = admit(limits, state, values, now, now)
        if verdict in (Verdict.ACCEPTED, Verdict.CLIPPED_RATE, Verdict.CLIPPED_RANGE):
            return now
    return np.nan


def poisoned_numbers() -> list[Measurement]:
    """NaN in each number of the liquid network's state: state reset, and a finite command a period later."""
    controller = LiquidController.from_file(shipped_model("pencil/controller.safetensors"))
    observation = np.array([0.05, -0.1, 0.02, 0.3])
    controller.reset()
    fresh = controller.step(observation, controller.nominal_period_s)
    spread = worst = tried = 0
    for row, unit, value in product(range(2), range(controller.state.shape[1]), BROKEN):
        controller.reset()
        controller.step(observation, controller.nominal_period_s)
        state = controller.state
        state[row, unit] = value
        controller.state = state
        poisoned = controller.poisoned
        command = controller.step(observation, controller.nominal_period_s)
        if controller.poisoned == poisoned:  # an infinite memory can be a sound one: tanh of it is 1
            spread += not np.isfinite(command).all() or not np.isfinite(controller.state).all()
        else:
            spread += not np.isnan(command).all() or bool(controller.state.any())
            again = controller.step(observation, controller.nominal_period_s)
            worst += again.tobytes() != fresh.tobytes()
        tried += 1
    injected = "NaN or Inf in each number of the hidden state"
    return [
        Measurement(injected, "command withheld, state reset", spread, 0, f"of {tried} not"),
        Measurement(injected, "a period later as after a reset", worst, 0, f"of {tried} not"),
    ]


def gate_property(thorough: bool = False) -> list[Measurement]:
    """Any sequence of floats, stamps, clocks and e-stops: what leaves is finite, in range and within rate.

    Hypothesis looks for a counterexample, which it then raises.
    """
    from hypothesis import given, settings
    from hypothesis import strategies as st

    number = st.one_of(st.floats(), st.sampled_from([*BROKEN, 5e-324, -0.0, 1.8e308, 1e-310]))
    moment = st.integers(-2 * MAX_AGE_NS, 2 * MAX_AGE_NS)
    call = st.one_of(
        st.tuples(st.just("admit"), st.tuples(number, number), moment, moment),
        st.tuples(st.sampled_from(["watchdog", "press", "release"]), st.none(), st.just(0), moment),
    )
    examples = 0

    @settings(max_examples=10_000, deadline=None, database=None, derandomize=True)
    @given(st.lists(call, min_size=1, max_size=8))
    def holds(calls) -> None:
        nonlocal examples
        examples += 1
        limits = gate_of_two()
        state, now = initial_state(limits), 0
        for name, values, lead, advance in calls:
            now += advance
            before = state
            state, output, verdict = _call(limits, state, name, values, now + lead, now)
            check_output(limits, before, state, output, verdict, now + lead, now)

    try:
        holds()
        violated = 0
    except AssertionError:
        violated = 1
    return [Measurement("any sequence of floats and stamps", "finite, in range, within rate", violated, 0,
                        f"violated in {max(examples, 1)} examples")]  # fmt: skip


def _call(limits: GateLimits, state: GateState, name: str, values, stamp_ns: int, now_ns: int):
    if name == "admit":
        return admit(limits, state, values, stamp_ns, now_ns)
    if name == "watchdog":
        return watchdog(limits, state, now_ns)
    state = press(limits, state, now_ns) if name == "press" else release(state)
    return state, state.output, None


def check_output(
    limits: GateLimits, before: GateState, state: GateState, output: np.ndarray, verdict: Verdict | None,
    stamp_ns: int, now_ns: int,
) -> None:  # fmt: skip
    """Assert the gate's promise about one output: finite, in range, and safe or within rate of the one before."""
    assert np.isfinite(output).all(), (verdict, output)
    assert (limits.lower <= output).all() and (output <= limits.upper).all(), (verdict, output)
    if (output == limits.safe).all():
        return
    assert not state.stopped, "a command passes a pressed e-stop"
    age = limits.max_age_ns
    if before.changed_ns is None or (before.now_ns is not None and now_ns < before.now_ns):
        elapsed = age
    else:
        elapsed = max(0, min(stamp_ns - before.changed_ns, age))
    admitted = verdict in (Verdict.ACCEPTED, Verdict.CLIPPED_RANGE, Verdict.CLIPPED_RATE)
    reach = limits.rate * elapsed * 1e-9 if admitted else 0
    assert (np.abs(output - before.output) <= reach * (1 + 1e-12) + 1e-14).all(), (verdict, before.output, output)


def jumped_stamps() -> list[Measurement]:
    """Stamps that run back a second, jump ten ahead, or repeat: bounded commands, and accepted a period later."""
    limits = gate_of_two()
    controller = LiquidController.from_file(shipped_model("pencil/controller.safetensors"))
    longest = ELAPSED_RANGE[1] * controller.nominal_period_s
    found = []
    for name, jump_ns in (("-1 s", -1_000_000_000), ("+10 s", 10_000_000_000), ("equal stamps", -PERIOD_NS)):
        controller.reset()
        unbounded = 0
        state, now = initial_state(limits), 20_000_000_000
        for tick in range(400):
            elapsed = PERIOD_NS
            if tick == 200:
                elapsed += jump_ns
            now += elapsed
            clamped = controller.clamped
            command = controller.step(np.full(4, 0.01), elapsed * 1e-9)
            unbounded += not np.isfinite(command).all() or np.abs(controller.state).max() > 100
            unbounded += not 0 <= elapsed * 1e-9 <= longest and controller.clamped == clamped
            state, output, _ = admit(limits, state, [command[0] / 100, 0.5], now, now)
            unbounded += not np.isfinite(output).all()
            if tick == 200:
                late = _until_admitted(limits, state, limits.safe, now) - now
        found += [
            Measurement(f"stamps jump: {name}", "dt clamped, commands finite", unbounded, 0, "of 400 ticks not"),
            Measurement(f"stamps jump: {name}", "next command accepted", late / 1e6, PERIOD_MS, "ms"),
        ]
    return found


def dt_batch(thorough: bool = False) -> list[Measurement]:
    """The trainable network with irregular periods: a batch of 1, 8 and as many as it has units equals its rows.

    Raises:
        TaskError: torch is not installed.
    """
    try:
        from ...liquid.policies import read_policy
    except ModuleNotFoundError:
        raise TaskError("dt_batch is about training; install the extra [train], or choose others with --only") from None
    network = read_policy(read_controller(shipped_model("pencil/controller.safetensors")))
    rng = np.random.default_rng(0)
    worst, sizes = 0.0, (1, 8, network.architecture.units)
    for batch in sizes:
        observation = network.scales.new_tensor(rng.normal(size=(batch, 30, 4)))
        elapsed = network.scales.new_tensor(rng.uniform(0.3, 3, (batch, 30)) * network.nominal_period_s)
        together = network(observation, elapsed)[0] / network.limits
        for k in range(batch):
            alone = network(observation[k : k + 1], elapsed[k : k + 1])[0][0] / network.limits
            worst = max(worst, float((together[k] - alone).detach().abs().max()))
    sizes_text = ", ".join(map(str, sizes))
    return [Measurement(f"batches of {sizes_text}, irregular dt", "equal their rows", worst, 1e-6, "of the limit")]
