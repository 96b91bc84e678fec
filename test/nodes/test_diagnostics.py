# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from liquid_spike_control.nodes.diagnostics import ERROR, WARN, WINDOW, Diagnostics, Latency, read_status


def test_percentiles_of_the_latest_samples_in_microseconds():
    latency = Latency()
    assert all(math.isnan(p) for p in latency.percentiles())
    for k in range(WINDOW + 1000):
        latency.add(10**9 if k < 1000 else (k - 1000) * 1000)
    assert latency.percentiles() == tuple(np.percentile(np.arange(WINDOW), (50, 99)))


def test_counts_values_and_latencies_are_told_and_read_back():
    diagnostics = Diagnostics("gate")
    diagnostics.count("accepted", 3)
    diagnostics.values["e_stop"] = False
    diagnostics.latency("hop /x").add(2000)
    told = read_status(diagnostics.report(Time()))["gate"]
    assert told["accepted"] == "3"
    assert told["e_stop"] == "False"
    assert told["hop /x_us_p50"] == told["hop /x_us_p99"] == "2.0"
    assert float(told["accepted_hz"]) > 0
    assert (told["level"], told["message"]) == ("0", "ok")


def test_the_worst_complaint_is_told_once():
    diagnostics = Diagnostics("gate")
    diagnostics.complain(ERROR, "broken")
    diagnostics.complain(WARN, "odd")
    told = read_status(diagnostics.report(Time()))["gate"]
    assert (told["level"], told["message"]) == ("2", "broken")
    assert read_status(diagnostics.report(Time()))["gate"]["level"] == "0"


def test_restart_forgets():
    diagnostics = Diagnostics("gate")
    diagnostics.count("accepted")
    diagnostics.latency("hop /x").add(1)
    diagnostics.restart()
    assert {"accepted", "hop /x_us_p50"}.isdisjoint(read_status(diagnostics.report(Time()))["gate"])


def test_the_status_of_strangers_is_passed_over():
    assert read_status(DiagnosticArray(status=[DiagnosticStatus(name="camera: driver")])) == {}
