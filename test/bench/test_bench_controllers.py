# SPDX-License-Identifier: Apache-2.0
import json
import re

import pytest

pytest.importorskip("onnxruntime")

from liquid_spike_control.bench import controllers
from liquid_spike_control.bench.goals import beside
from liquid_spike_control.errors import TaskError
from liquid_spike_control.options import StepsOptions


@pytest.mark.slow
def test_every_contender_is_timed_beside_peers_that_do_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(controllers, "STEPS", 20)
    options = StepsOptions(rounds=2, json=tmp_path / "b.json", plot=tmp_path / "b.png")
    assert controllers.controllers_command(options) == 0
    report = json.loads((tmp_path / "b.json").read_text())
    assert len(report["results"]) == len(controllers.candidates())
    for result in report["results"]:
        assert result["apart"] < 1e-5
        for peer in controllers.PEERS:
            assert result["ratios"][peer] == pytest.approx(result[peer]["p50_us"] / result["ours"]["p50_us"])
        assert 0 < result["ours"]["p50_us"] <= result["ours"]["p99_us"] * 1.001
    printed = capsys.readouterr().out
    for result in report["results"]:
        for peer, goal in result["goals"].items():
            beginning = rf"{re.escape(result['name'])}: [\d.]+ times as fast as {controllers.PEERS[peer]} "
            (line,) = (line for line in printed.splitlines() if re.match(beginning, line))
            assert line.endswith(", missed)") == (result["ratios"][peer] < goal)
    assert (tmp_path / "b.png").read_bytes()[:4] == b"\x89PNG"


def test_a_missing_folder_is_reported_before_any_work(tmp_path):
    with pytest.raises(TaskError, match="--plot .*make it first"):
        controllers.controllers_command(StepsOptions(plot=tmp_path / "none" / "b.png"))
    with pytest.raises(TaskError, match="--rounds 0"):
        controllers.controllers_command(StepsOptions(rounds=0))


def test_a_missed_goal_is_marked():
    assert beside(10.0, least=10) == "goal: at least 10" and beside(9.9, least=10) == "goal: at least 10, missed"
    assert beside(0.25, most=0.25) == "goal: at most 0.25" and beside(0.26, most=0.25) == "goal: at most 0.25, missed"
    assert beside(float("nan"), most=1).endswith("missed") and beside(float("nan"), least=1).endswith("missed")
