# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench hops``: the graph and two bare rclpy processes, really run."""

import json
import subprocess
import sys

import pytest

from liquid_spike_control.nodes import graph


def hops(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "liquid_spike_control", "bench", "hops", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.real_time
@pytest.mark.slow
def test_every_hop_is_measured_beside_the_bare_one(ros_domain, tmp_path):
    done = hops("--duration", 3, "--json", tmp_path / "hops.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "hops.json").read_text())
    assert {hop.partition(" ")[0] for hop in report["hops"]} == set(graph.LISTENERS)
    assert all(0 < p50 <= p99 for p50, p99 in [report["bare"], *report["hops"].values()])
    assert report["ticks"] == 600
    assert report["bare_messages"] > 100
    assert "times bare" in done.stdout


def test_what_cannot_be_measured_is_refused_in_one_line(ros_domain, tmp_path):
    for arguments, says in (
        (("--duration", 0), "--duration 0"),
        (("--json", tmp_path / "no/x.json"), "there is no folder"),
    ):
        done = hops(*arguments)
        assert done.returncode == 2
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
