# SPDX-License-Identifier: Apache-2.0
"""A robot of somebody else's folder in the benchmarks: measured, compared, tried and verified like a shipped one."""

import json

import pytest

pytest.importorskip("torch")

from liquid_spike_control.bench.closed_loop import procedure as procedure
from liquid_spike_control.bench.closed_loop.command import closed_loop_command
from liquid_spike_control.bench.policy import policy_command
from liquid_spike_control.bench.scale import scale_command
from liquid_spike_control.checkpoint import write_controller
from liquid_spike_control.errors import TaskError
from liquid_spike_control.liquid.architecture import named
from liquid_spike_control.liquid.policies import new_policy
from liquid_spike_control.options import BenchPolicyOptions, ClosedLoopOptions, ScaleOptions
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.tasks import scale


def measure(folder):
    assert scale_command(ScaleOptions((str(folder),), "500000:500003", record=True)) == 0
    (name,) = json.loads((folder / "anchors.json").read_text())
    assert name == "stubborn"


@pytest.mark.slow
def test_it_is_compared_and_verified(robot_folder, tmp_path, capsys):
    measure(robot_folder)
    chosen = ClosedLoopOptions(
        tasks=str(robot_folder), controllers="expert,mlp", perturbations="clean", episodes=2, rounds=1,
        training_seeds="1:2", cache=tmp_path / "cache", out=tmp_path / "report", tables_only=True,
    )  # fmt: skip
    assert closed_loop_command(chosen) == 0
    said = (tmp_path / "report" / "report.md").read_text()
    assert "Task stubborn" in said and "All 2 cells" in said and str(robot_folder) not in said.split("To repeat it")[0]
    assert {path.name.rpartition("-")[0] for path in (tmp_path / "report" / "results").iterdir()} == {
        "stubborn-expert-0", "stubborn-mlp-1",
    }  # fmt: skip
    procedure._MADE.clear()  # as in another process
    capsys.readouterr()
    again = ClosedLoopOptions(
        tasks=str(robot_folder), verify="stubborn-mlp-1", rounds=1, cache=tmp_path / "none",
        results=(tmp_path / "report" / "results",),
    )  # fmt: skip
    assert closed_loop_command(again) == 0
    said = capsys.readouterr().out
    assert "network: the same file" in said and "clean: the same, episode by episode" in said


def test_its_controllers_are_tried(robot_folder, tmp_path, capsys):
    task, path = task_named(str(robot_folder)), tmp_path / "stubborn.safetensors"
    numbers = task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s, 1
    write_controller(path, new_policy(named("mlp", units=4), *numbers).to_file(
        observation_names=task.observation_names, observation_units=task.observation_units,
        command_names=task.command_names, command_units=task.command_units, task="stubborn", training_command="none",
        training_seeds=(1, 2),
    ))  # fmt: skip
    options = BenchPolicyOptions(
        (path,), str(robot_folder), "clean,drop30", "1000:1002", json=tmp_path / "figures.json"
    )
    scores = []
    for _ in range(2):  # without a scale, and with one
        assert policy_command(options) == 0
        figures = json.loads((tmp_path / "figures.json").read_text())["controllers"][0]["figures"]
        scores.append([f["score"] and f["score"]["mean"] for f in figures])
        measure(robot_folder)
    assert scores[0] == [None, None] and all(isinstance(s, float) for s in scores[1])
    assert "drop30" in capsys.readouterr().out
    anchors = robot_folder / "anchors.json"
    anchors.write_text(anchors.read_text().replace('"version": 1', '"version": 0'))
    scale.anchors_of.cache_clear()
    with pytest.raises(TaskError, match="'stubborn' is of version 0, the task of version 1; run .* --record"):
        policy_command(options)
    assert "drop30" not in capsys.readouterr().out  # no episode before
    with pytest.raises(TaskError, match="its robot 'stubborn' is unknown; known: .*; give --robot FOLDER"):
        policy_command(BenchPolicyOptions((path,), perturbations="clean", seeds="1000:1002"))
