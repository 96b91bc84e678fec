# SPDX-License-Identifier: Apache-2.0
"""Every promise of the table of faults, kept. These are safety promises: their bounds on time are asserted."""

import re

import pytest

from liquid_spike_control.errors import TaskError
from liquid_spike_control.nodes.faults import table as table_of_faults
from liquid_spike_control.nodes.faults.measurement import Measurement
from liquid_spike_control.nodes.faults.table import FAULTS, fault, measure, numbers

#: They take a quarter of a minute and more, or compare with what the machine can do when nobody else uses it.
LONG = {"soak", "offload_lost", "replay", "gate_property", "controller_hung", "event_storm", "poisoned_state",
        "bad_checkpoint", "camera_dead"}  # fmt: skip
NAMES = [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in FAULTS]
#: Values that are computing time may be this many times their bound: the bound is the promise on the processor of
#: docs/faults.md, and no figure of speed is asserted on a processor that nobody chose.
SLOWEST = 5
THOROUGH = [pytest.param(name, marks=pytest.mark.timeout(2400 if name == "soak" else 900)) for name in FAULTS]


def inject(name: str, table: dict, thorough: bool = False) -> None:
    table[name] = measure(name, thorough)
    assert table[name]
    broken = [m for m in table[name] if not m.measured <= m.bound * (SLOWEST if m.speed else 1)]
    assert not broken, broken


@pytest.mark.parametrize("name", NAMES)
def test_promises_are_kept(name, ros_domain, table):
    inject(name, table)


@pytest.mark.slow
@pytest.mark.parametrize("name", THOROUGH)
def test_promises_are_kept_thoroughly(name, ros_domain, table):
    inject(name, table, thorough=True)


def test_a_promise_that_was_not_measured_is_not_kept():
    assert Measurement("a", "b", 1.0, 1.0, "ms").kept
    assert not Measurement("a", "b", 1.1, 1.0, "ms").kept
    assert not Measurement("a", "b", float("nan"), 1.0, "ms").kept
    (told,) = numbers({"c": [Measurement("a", "b", 1.1, 1.0, "ms")]})
    assert (told["fault"], told["measured"], told["kept"]) == ("c", 1.1, False)


@pytest.mark.parametrize(("load", "trials"), [(0.1, 1), (99.0, 3)])
def test_a_bound_broken_on_a_crowded_machine_is_tried_again_and_reported(monkeypatch, load, trials):
    broken, told = Measurement("a", "answers", 7.0, 5.0, "ms"), []
    monkeypatch.setattr(table_of_faults, "fault", lambda name, priority: lambda thorough: [broken])
    monkeypatch.setattr(table_of_faults.os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert measure("storm", report=told.append) == [broken]
    assert told == [f"storm, at load {load}: answers: 7 ms, bound 5; once more"] * (trials - 1)


def test_an_unknown_fault_is_refused_by_name():
    with pytest.raises(TaskError, match=re.escape("--only gremlins: no such fault; known: ")):
        fault("gremlins")
