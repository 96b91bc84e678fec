# SPDX-License-Identifier: Apache-2.0
"""A real-time priority holds for a block, and is refused where it is not permitted."""

import os
import resource
import subprocess
import sys

import pytest

from liquid_spike_control.errors import GraphError
from liquid_spike_control.nodes.launching import options_of
from liquid_spike_control.nodes.run import _graph_options
from liquid_spike_control.nodes.scheduling import REALTIME_PRIORITY, at_priority, priority_permitted, take_priority
from liquid_spike_control.options import RunOptions


def test_it_holds_for_the_block():
    try:
        with at_priority(3):
            assert os.sched_getscheduler(0) == os.SCHED_RR and os.sched_getparam(0).sched_priority == 3
    except GraphError:
        pytest.skip("real-time priorities are not permitted here")
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    with at_priority(0):
        assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_thread_that_ends_meanwhile_is_passed_over(monkeypatch):
    threads = [*os.listdir("/proc/self/task"), str(2**22 - 1)]  # the last one has ended
    monkeypatch.setattr(os, "listdir", lambda path: threads)
    try:
        with at_priority(3):
            assert os.sched_getscheduler(0) == os.SCHED_RR
    except GraphError:
        pytest.skip("real-time priorities are not permitted here")
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_run_in_real_time_has_a_priority_where_it_is_permitted():
    expected = REALTIME_PRIORITY if priority_permitted() else 0
    assert os.sched_getscheduler(0) == os.SCHED_OTHER  # asking changed nothing
    assert _graph_options(RunOptions("hover")).priority == expected
    assert _graph_options(RunOptions("hover", view=True)).priority == expected
    assert _graph_options(RunOptions("hover", priority=0)).priority == 0
    assert _graph_options(RunOptions("hover", mode="lockstep")).priority == 0
    assert options_of({"robot": "hover"}).priority == expected
    assert options_of({"robot": "hover", "priority": "0"}).priority == 0
    assert options_of({"robot": "hover", "mode": "lockstep"}).priority == 0


def test_it_is_refused_where_it_is_not_permitted():
    if os.getuid() != 0:
        if resource.getrlimit(resource.RLIMIT_RTPRIO)[0] == 0:
            with pytest.raises(GraphError, match="priority 3 is not permitted"):
                take_priority(3)
        return
    program = """
import os, resource
from liquid_spike_control.errors import GraphError
from liquid_spike_control.nodes.scheduling import take_priority
resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
os.setuid(65534)
try:
    take_priority(3)
except GraphError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "priority 3 is not permitted" in done.stdout, done.stderr
