# SPDX-License-Identifier: Apache-2.0
"""The safety gate: the last thing between any controller and the actuators. Pure: state in, state out.

A command passes in the order finite -> range -> rate -> age -> e-stop, where the checks that drop a command
(is it finite, is it new, is it recent, is the e-stop pressed) come before those that bend it (range, rate):

- A command that is not finite, or has the wrong number of values, means that its source is broken: the safe
  command goes out immediately and the watchdog is not refreshed. The next valid command is accepted.
- The age of a command is counted from its stamp. One older than ``max_age_ns``, or stamped further ahead than that,
  or not newer than the last admitted one, is dropped as if it had never arrived.
- When the last admitted command is older than ``max_age_ns`` the safe command goes out until a valid one
  comes.
- A clock that runs back (a new bag, a set clock) makes the gate forget stamps, not hold out until time
  catches up.
- A pressed e-stop latches: the safe command goes out until :func:`release`.

The safe command may be a sequence, such as a slow descent and then no thrust: stages follow one another by the time
since it set in, of which a jump of the clock is no part. A gate that has let no command through sends the last stage.

The safe command is immediate, never rate limited; the way back from it is. With ``t0`` the time of the last
change (the stamp of an admitted command, or when the safe command set in; unknown at the start), an admitted
command moves the output by at most ``rate * min(stamp - t0, max_age)``. So every output is finite and in
range, and is within that distance of the output before it or is the safe command. All arithmetic is float64,
by element, in a fixed order: the same sequence gives the same bytes in any process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from ..errors import TaskError

#: A command older than this is stale in every configuration; a longer timeout would mean "off".
LONGEST_MAX_AGE_NS = 1_000_000_000
#: What passes between two looks at most, where the stages of the safe command count time: a clock may be set [ns].
LONGEST_LOOK_NS = 1_000_000_000


class Verdict(IntEnum):
    """Decision of the gate on a command, or on a tick without one."""

    ACCEPTED = 0  # out as it came
    CLIPPED_RANGE = 1
    CLIPPED_RATE = 2
    HELD = 3  # no command in this tick; the last one remains valid
    WAITING = 4  # no command yet: safe command
    STALE = 5  # command too old: dropped, or safe command when it was the last
    DROPPED_NONFINITE = 6  # safe command
    DROPPED_SHAPE = 7  # safe command
    DROPPED_ORDER = 8  # not newer than the last admitted command
    DROPPED_FUTURE = 9  # stamped later than now + max_age
    E_STOP = 10  # safe command


@dataclass(frozen=True, eq=False)
class GateLimits:
    """Limits of the commands that leave the gate; "no limit" is not possible. Arrays have shape ``(n_commands,)``.

    Attributes:
        names: of the commands, in order.
        lower, upper: range of each command, in its unit.
        rate: greatest change of each command per second.
        max_age_ns: a command older than this is no longer valid; at most 1 s [ns].
        safe: output while no command is valid, within the range.
        then: stages that take its place, ascending: time since the safe command set in [ns], and output. They may lie
            outside the range, which bounds controllers: no controller need be allowed to stop a rotor.

    Raises:
        TaskError: a limit is missing, not finite, zero or contradicts another; names the field.
    """

    names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    rate: np.ndarray
    max_age_ns: int
    safe: np.ndarray
    then: tuple[tuple[int, np.ndarray], ...] = ()

    def __post_init__(self) -> None:
        names = tuple(self.names)
        if not names:
            raise TaskError("gate: names is empty; name at least one command")
        object.__setattr__(self, "names", names)
        for field in ("lower", "upper", "rate", "safe"):
            object.__setattr__(self, field, _limit(field, getattr(self, field), len(names)))
        self._demand("upper", self.upper > self.lower, "give a number above lower")
        self._demand("rate", self.rate > 0, "give a number above 0, in units per second")
        self._demand("safe", (self.lower <= self.safe) & (self.safe <= self.upper), "give one in range")
        age = self.max_age_ns
        whole = isinstance(age, int | np.integer) and not isinstance(age, bool)
        if not whole or not 0 < age <= LONGEST_MAX_AGE_NS:
            raise TaskError(f"gate: max_age_ns is {age}; give 1 to {LONGEST_MAX_AGE_NS}, there is no off")
        times = [after_ns for after_ns, _ in self.then]
        if any(later <= earlier for earlier, later in zip([0, *times], times, strict=False)):
            raise TaskError(f"gate: then sets in at {times} ns; give ascending times above 0")
        stages = tuple((after_ns, _limit("then", output, len(names))) for after_ns, output in self.then)
        object.__setattr__(self, "then", stages)

    @property
    def outputs(self) -> tuple[np.ndarray, ...]:
        """The safe command and its later stages."""
        return (self.safe, *(output for _, output in self.then))

    def safe_after(self, held_ns: int | None) -> np.ndarray:
        """The safe command that has been out for so long [ns]; the last stage for None."""
        if held_ns is None:
            return self.outputs[-1]
        return self.outputs[sum(after_ns <= held_ns for after_ns, _ in self.then)]

    def _demand(self, field: str, holds: np.ndarray, remedy: str) -> None:
        for name, value, good in zip(self.names, getattr(self, field), holds, strict=True):
            if not good:
                raise TaskError(f"gate: {field} of {name} is {value}; {remedy}")


@dataclass(frozen=True, eq=False)
class GateState:
    """State of the gate; begin with :func:`initial_state`.

    Attributes:
        output: float64 ``(n_commands,)``, what went out last; not writable.
        stamp_ns: of the last admitted command that may still be valid, or None.
        changed_ns: when the output last changed: rate is counted from here; None when unknown.
        now_ns: the latest time seen, or None.
        safe: whether ``output`` is the safe command because no valid one is available.
        held_ns: how long the safe command has been out [ns]; None before the first command was let through.
        stopped: whether the e-stop is latched.
        counts: how often each :class:`Verdict` was given, by its number.
    """

    output: np.ndarray
    stamp_ns: int | None = None
    changed_ns: int | None = None
    now_ns: int | None = None
    safe: bool = True
    held_ns: int | None = None
    stopped: bool = False
    counts: tuple[int, ...] = (0,) * len(Verdict)


Result = tuple[GateState, np.ndarray, Verdict]


def initial_state(limits: GateLimits) -> GateState:
    """A gate that has seen nothing and sends the safe command, of which the last stage."""
    return GateState(limits.safe_after(None))


def press(limits: GateLimits, state: GateState, now_ns: int) -> GateState:
    """Latch the e-stop: from here on the output is the safe command."""
    return replace(_safe(limits, _at(state, now_ns), now_ns), stopped=True, stamp_ns=None)


def release(state: GateState) -> GateState:
    """Release the e-stop, on an explicit reset only. The output stays safe until a command is admitted."""
    return replace(state, stopped=False)


def admit(
    limits: GateLimits, state: GateState, values: Sequence[float] | np.ndarray, stamp_ns: int, now_ns: int
) -> Result:
    """Check a command and limit it.

    Args:
        limits: of the output.
        state: from the previous call.
        values: the command, ``(n_commands,)``; may be anything that a message can hold.
        stamp_ns: of the observation that it answers [ns].
        now_ns: the present time, on the same clock [ns].

    Returns:
        The new state, the output (float64 ``(n_commands,)``, not writable) and the verdict.
    """
    state = _at(state, now_ns)
    if state.stopped:
        return _end(_safe(limits, state, now_ns), Verdict.E_STOP)
    command = np.asarray(values, float)
    if command.shape != limits.safe.shape:
        return _end(_safe(limits, state, now_ns), Verdict.DROPPED_SHAPE)
    if not np.isfinite(command).all():
        return _end(_safe(limits, state, now_ns), Verdict.DROPPED_NONFINITE)
    if now_ns - stamp_ns > limits.max_age_ns:
        return _end(_stand(limits, state, now_ns), Verdict.STALE)
    if stamp_ns - now_ns > limits.max_age_ns:
        return _end(_stand(limits, state, now_ns), Verdict.DROPPED_FUTURE)
    if state.stamp_ns is not None and stamp_ns <= state.stamp_ns:
        return _end(_stand(limits, state, now_ns), Verdict.DROPPED_ORDER)

    age = limits.max_age_ns
    elapsed = age if state.changed_ns is None else min(max(stamp_ns - state.changed_ns, 0), age)
    reach = limits.rate * (elapsed * 1e-9)
    in_range = np.minimum(np.maximum(command, limits.lower), limits.upper)
    output = np.minimum(np.maximum(in_range, state.output - reach), state.output + reach)
    # Rounding in the line above could leave the range by the last bit.
    output = np.minimum(np.maximum(output, limits.lower), limits.upper)
    output.flags.writeable = False
    if (output != in_range).any():
        verdict = Verdict.CLIPPED_RATE
    elif (in_range != command).any():
        verdict = Verdict.CLIPPED_RANGE
    else:
        verdict = Verdict.ACCEPTED
    return _end(replace(state, output=output, stamp_ns=stamp_ns, changed_ns=stamp_ns, safe=False, held_ns=0), verdict)


def watchdog(limits: GateLimits, state: GateState, now_ns: int) -> Result:
    """Advance the gate by a tick without a command: the last one remains valid until it is too old.

    Args:
        limits: of the output.
        state: from the previous call.
        now_ns: the present time [ns].

    Returns:
        The new state, the output (float64 ``(n_commands,)``, not writable) and the verdict.
    """
    state = _at(state, now_ns)
    if state.stopped:
        return _end(_safe(limits, state, now_ns), Verdict.E_STOP)
    if state.stamp_ns is None:
        return _end(_safe(limits, state, now_ns), Verdict.WAITING)
    late = now_ns - state.stamp_ns > limits.max_age_ns
    return _end(_stand(limits, state, now_ns), Verdict.STALE if late else Verdict.HELD)


def _at(state: GateState, now_ns: int) -> GateState:
    """The state at a time; a clock that ran back makes all stamps unknown."""
    held_ns = state.held_ns
    if held_ns is not None and state.now_ns is not None:
        held_ns += min(max(now_ns - state.now_ns, 0), LONGEST_LOOK_NS)
    if state.now_ns is not None and now_ns < state.now_ns:
        return replace(state, stamp_ns=None, changed_ns=None, now_ns=now_ns, held_ns=held_ns)
    return replace(state, now_ns=now_ns, held_ns=held_ns)


def _stand(limits: GateLimits, state: GateState, now_ns: int) -> GateState:
    """Let the last admitted command stand if it is recent enough, otherwise the safe one."""
    if state.stamp_ns is None or now_ns - state.stamp_ns > limits.max_age_ns:
        return _safe(limits, state, now_ns)
    return state


def _safe(limits: GateLimits, state: GateState, now_ns: int) -> GateState:
    """Send the safe command; the rate counts from when it set in."""
    held_ns = state.held_ns if state.safe else 0
    output = limits.safe_after(held_ns)
    if state.safe and output is state.output:
        return state
    return replace(state, output=output, changed_ns=now_ns, safe=True, held_ns=held_ns)


def _end(state: GateState, verdict: Verdict) -> Result:
    counts = list(state.counts)
    counts[verdict] += 1
    return replace(state, counts=tuple(counts)), state.output, verdict


def stages(after_s: Sequence[float], values: Sequence[float], n: int) -> tuple[tuple[int, np.ndarray], ...]:
    """Stages of :class:`GateLimits` out of flat numbers, as nodes' parameters hold them.

    Args:
        after_s: time of each stage [s].
        values: those of its ``n`` commands, one stage after the other.
        n: commands.

    Raises:
        TaskError: not ``n`` values a stage, or a time that is not finite.
    """
    if len(values) != len(after_s) * n or not np.isfinite(after_s).all():
        raise TaskError(f"gate: {len(after_s)} stages of the safe command, {len(values)} values; give {n} for each")
    return tuple((round(t * 1e9), np.array(values[k * n : (k + 1) * n], float)) for k, t in enumerate(after_s))


def _limit(field: str, value: np.ndarray, n: int) -> np.ndarray:
    try:
        array = np.array(value, float)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if array.shape != (n,) or not np.isfinite(array).all():
        raise TaskError(f"gate: {field} is {value}; give {n} finite numbers, there is no unlimited")
    array.flags.writeable = False
    return array
