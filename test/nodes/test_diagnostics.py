# SPDX-License-Identifier: Apache-2.0
import math
import time

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from liquid_spike_control.nodes.diagnostics import ERROR, WARN, WINDOW, Diagnostics, Latency, read_status


def test_percentiles_of_the_latest_samples_in_microseconds():
    latency = Latency()
    assert all(math.isnan(p) for p in latency.percentiles())
    for k in range(2 * WINDOW):
        latency.add(10**9 if k < WINDOW // 2 else k * 1000)
    for k in range(2 * WINDOW):  # by now the first are forgotten
        latency.add(k * 1000)
    assert latency.percentiles() == pytest.approx(np.percentile(np.arange(2 * WINDOW), (50, 99)), rel=0.016)


@pytest.mark.parametrize("duration_ns", [0, 1, 31, 32, 63, 64, 65, 1000, 123_456, 5_000_000, 10**11, 2**40 - 1])
def test_a_duration_is_reported_within_its_bin(duration_ns):
    latency = Latency()
    latency.add(duration_ns)
    assert latency.percentiles() == pytest.approx((duration_ns / 1e3,) * 2, rel=0.016)


def test_durations_below_zero_and_beyond_all_bounds():
    latency = Latency()
    latency.add(-(10**15))
    assert latency.percentiles() == (0, 0)
    latency.add(2**70)
    assert latency.percentiles()[1] == pytest.approx(2**40 / 1e3, rel=0.016)


def test_counts_values_and_latencies_are_reported_and_read_back():
    diagnostics = Diagnostics("gate")
    diagnostics.count("accepted", 3)
    diagnostics.values["e_stop"] = False
    diagnostics.latency("hop /x").add(2000)
    told = read_status(diagnostics.report(Time()))["gate"]
    assert told["accepted"] == "3"
    assert told["e_stop"] == "False"
    assert told["hop /x_us_p50"] == told["hop /x_us_p99"]
    assert float(told["hop /x_us_p50"]) == pytest.approx(2.0, rel=0.016)
    assert float(told["accepted_hz"]) > 0
    assert (told["level"], told["message"]) == ("0", "ok")


def test_the_worst_complaint_is_reported_once():
    diagnostics = Diagnostics("gate")
    diagnostics.complain(ERROR, "broken")
    diagnostics.complain(WARN, "odd")
    told = read_status(diagnostics.report(Time()))["gate"]
    assert (told["level"], told["message"]) == ("2", "broken")
    assert read_status(diagnostics.report(Time()))["gate"]["level"] == "0"


def test_an_error_that_goes_on_does_not_flood_the_topic(monkeypatch):
    """As the gate's watchdog complains at every tick, with another number each time."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    diagnostics = Diagnostics("gate")
    reports = 0
    for tick in range(200):
        diagnostics.complain(ERROR, f"no command for {tick * 0.005:.3f} s")
        if diagnostics.urgent:
            diagnostics.report(Time())
            reports += 1
        now[0] += 0.005
    assert reports == 1
    diagnostics.complain(ERROR, "another matter")
    assert diagnostics.urgent


def test_restart_forgets():
    diagnostics = Diagnostics("gate")
    diagnostics.count("accepted")
    diagnostics.latency("hop /x").add(1)
    diagnostics.restart()
    assert {"accepted", "hop /x_us_p50"}.isdisjoint(read_status(diagnostics.report(Time()))["gate"])


def test_the_status_of_strangers_is_passed_over():
    assert read_status(DiagnosticArray(status=[DiagnosticStatus(name="camera: driver")])) == {}
