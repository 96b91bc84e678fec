# SPDX-License-Identifier: Apache-2.0
"""The gate of a real-time run, whose clock is not in the bag: what is determined, and what must still be found."""

from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from liquid_spike_control.control.gate import GateLimits, Verdict, admit, initial_state, press, release, watchdog
from liquid_spike_control.records.contents import Contents, Published
from liquid_spike_control.records.gate_replay import GateReplay
from liquid_spike_control.types import Quantities

MS = 1_000_000
START = 1_000_000_000
NAMES = ("force",)
LIMITS = GateLimits(NAMES, [-10.0], [10.0], [100.0], 30 * MS, [0.0])


STAGED = replace(LIMITS, then=((40 * MS, np.array([-12.0])),))


class Gate:
    """The gate node's rules, on a clock of its own: a command is answered when it comes, silence by the watchdog."""

    def __init__(self, limits=LIMITS):
        self.limits = limits
        self.state = initial_state(limits)
        self.contents = Contents()
        self.heard, self.stamp = START, START
        self.verdicts = []

    def command(self, stamp, value, now):
        self.contents.commands.append(Published(now, Quantities(stamp, NAMES, np.array([value]))))
        self.state, output, verdict = admit(self.limits, self.state, [value], stamp, now)
        self.verdicts.append(verdict)
        if self.state.stamp_ns == stamp:
            self.heard = now
        elif verdict in (Verdict.STALE, Verdict.DROPPED_ORDER):
            return
        self.stamp = stamp
        self.send(stamp, output, now)

    def look(self, now):
        if now - self.heard > self.limits.max_age_ns:
            self.state, output, _ = watchdog(self.limits, self.state, self.stamp + now - self.heard)
            self.send(now, output, now)

    def e_stop(self, now):
        self.contents.e_stops.append(now)
        self.state = press(self.limits, self.state, self.stamp)
        self.send(self.stamp, self.state.output, now + 1)

    def send(self, stamp, output, now):
        self.contents.gated.append(Published(now, Quantities(stamp, NAMES, np.array(output))))


def run(seed, ticks=600, e_stop=None, reset=None, limits=LIMITS) -> Gate:
    """Commands every 5 ms that come late by a few ms, some by more than is allowed, with pauses of 100 ms."""
    rng = np.random.default_rng(seed)
    gate, under_way, value = Gate(limits), deque(), 0.0
    for tick in range(ticks):
        now = START + tick * 5 * MS
        if tick % 150 < 130:
            value += rng.normal(0, 0.3)
            delay = 45 * MS if rng.random() < 0.02 else int(rng.uniform(0.2, 4) * MS)
            under_way.append((now, value, now + delay))
        for sent in sorted((s for s in under_way if s[2] < now + 5 * MS), key=lambda s: s[2]):
            under_way.remove(sent)
            gate.command(*sent)
        if tick == e_stop:
            gate.e_stop(now + 5 * MS - 2)
        if tick == reset:
            gate.state = release(gate.state)
        if tick % 2:
            gate.look(now + 5 * MS - 1)
    return gate


def commands_of(contents):
    return {c.quantities.stamp_ns: c.quantities.values for c in contents.commands}


def compared(contents, strict=False, limits=LIMITS):
    return GateReplay(limits, strict).compare(contents, commands_of(contents), "/gated")


@pytest.mark.parametrize("seed", range(5))
def test_what_a_clock_decided_is_outside_and_the_rest_identical(seed):
    gate = run(seed)
    assert {Verdict.ACCEPTED, Verdict.CLIPPED_RATE, Verdict.STALE} <= set(gate.verdicts)
    account = compared(gate.contents)
    assert account.differing == 0
    assert account.unanswered == gate.verdicts.count(Verdict.STALE) + gate.verdicts.count(Verdict.DROPPED_ORDER)
    assert account.identical + account.outside == len(gate.contents.gated)
    assert account.identical > 450


@pytest.mark.parametrize("seed", range(5))
def test_stages_of_the_safe_command_are_safe(seed):
    gate = run(seed, limits=STAGED)
    sent = [m.quantities.values[0] for m in gate.contents.gated]
    assert sent.count(0.0) > 4 and sent.count(-12.0) > 4
    account = compared(gate.contents, limits=STAGED)
    assert account.differing == 0 and account.identical > 450
    assert compared(gate.contents).differing > 4  # to a gate without stages -12 is nothing that it ever sends


@pytest.mark.parametrize("seed", range(5))
def test_a_changed_bit_is_found_where_the_bag_is_complete(seed):
    gate = run(seed)
    gated, found = gate.contents.gated, 0
    steady = [i for i, m in enumerate(gated) if m.quantities.stamp_ns % (750 * MS) > 250 * MS]
    for index in steady[::20]:
        held = gated[index].quantities.values
        if held[0] == 0.0:
            continue
        held.view(np.uint64)[:1] ^= np.uint64(1)
        account = compared(gate.contents)
        held.view(np.uint64)[:1] ^= np.uint64(1)
        found += account.differing == 1
        assert account.first is None or account.first.stamp_ns == gated[index].quantities.stamp_ns
    assert found >= 8


def without_stamps(contents):
    """As a Float64MultiArray has them."""
    gated = [Published(m.at_ns, Quantities(0, NAMES, m.quantities.values)) for m in contents.gated]
    return replace(contents, gated=gated)


@pytest.mark.parametrize("seed", range(5))
def test_commands_without_stamps_are_matched_by_order_and_value(seed):
    contents = without_stamps(run(seed).contents)
    account = GateReplay(LIMITS, False, stamped=False).compare(contents, commands_of(contents), "/gated")
    assert account.differing == 0
    assert account.identical > 450
    contents.gated[100].quantities.values.view(np.uint64)[:1] ^= np.uint64(1)
    account = GateReplay(LIMITS, False, stamped=False).compare(contents, commands_of(contents), "/gated")
    assert account.differing == 1


def test_a_valid_command_may_be_repeated_in_real_time():
    """As the gate does when a command ran ahead of its clock."""
    gate = run(0)
    last = gate.contents.gated[100].quantities
    gate.contents.gated.insert(101, Published(gate.contents.gated[100].at_ns + 1, last))
    assert compared(gate.contents).differing == 0
    assert compared(gate.contents, strict=True).differing > compared(run(0).contents, strict=True).differing


def test_a_command_from_nowhere_is_found():
    gate = run(0)
    gate.send(START + 77, [3.0], START + 77)
    assert compared(gate.contents).differing == 1


def test_an_e_stop_and_its_release():
    gate = run(1, e_stop=200, reset=230)
    assert Verdict.E_STOP in gate.verdicts
    assert compared(gate.contents).differing == 0


def test_without_the_e_stop_its_zeros_are_plausible_in_real_time_only():
    gate = run(1, e_stop=200)
    gate.contents.e_stops.clear()
    assert compared(gate.contents).differing == 0
    assert compared(gate.contents, strict=True).differing > 100
