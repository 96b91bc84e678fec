# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench policy``: its figures are those of the episodes, and what cannot be tried is refused by name."""

import json

import numpy as np
import pytest

from liquid_spike_control.bench.policy import policy_command
from liquid_spike_control.errors import ModelError, TaskError
from liquid_spike_control.options import BenchPolicyOptions
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.robots.catalogue import task_named
from liquid_spike_control.tasks.episode import run_episode
from liquid_spike_control.tasks.perturbations import perturbation_named
from liquid_spike_control.tasks.scale import score
from liquid_spike_control.tasks.trained import trained_controller

NCP, SPIKING = shipped_model("hover/ncp.safetensors"), shipped_model("swing_up/spiking_full.nir")


def test_the_figures_are_those_of_the_episodes(tmp_path, capsys):
    out = tmp_path / "figures.json"
    seeds, names = range(1000, 1003), ("drop30", "mass")
    assert policy_command(BenchPolicyOptions((NCP,), "", ",".join(names), "1000:1003", json=out)) == 0
    (found,) = json.loads(out.read_text())["controllers"]
    assert (found["model"], found["task"]) == (str(NCP), "hover")
    task = task_named("hover")
    for name, figures in zip(names, found["figures"], strict=True):
        controller = trained_controller(NCP, task)
        results = [run_episode(task, controller, perturbation_named(name), seed) for seed in seeds]
        rewards = [r.total_reward for r in results]
        assert (figures["perturbation"], figures["episodes"], figures["unsafe"]) == (name, 3, 0)
        assert figures["success"]["mean"] == pytest.approx(np.mean([r.success for r in results]))
        assert figures["reward"] == pytest.approx(np.mean(rewards))
        assert figures["score"]["mean"] == pytest.approx(np.mean(score("hover", np.array(rewards))))
        assert figures["score"]["low"] < figures["score"]["mean"] < figures["score"]["high"]
        assert figures["steps"] == sum(r.n_steps for r in results)
        assert figures["work"] is None
    assert "ncp.safetensors: hover, seeds 1000:1003" in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["loihi", "float"])
def test_a_spiking_ones_work_is_counted(backend, tmp_path):
    out = tmp_path / "figures.json"
    policy_command(BenchPolicyOptions((SPIKING,), "", "clean", "1000:1002", backend, out))
    (figures,) = json.loads(out.read_text())["controllers"][0]["figures"]
    assert figures["success"]["mean"] == 1
    assert figures["work"]["steps"] == 6 * figures["steps"]
    assert 1000 < figures["work"]["synaptic_operations"] / figures["steps"] < 50_000


def test_all_perturbations_that_apply_are_met_if_none_is_named(tmp_path):
    out = tmp_path / "figures.json"
    policy_command(BenchPolicyOptions((NCP,), seeds="1000:1001", json=out))
    (found,) = json.loads(out.read_text())["controllers"]
    names = [figures["perturbation"] for figures in found["figures"]]
    assert names[:2] == ["clean", "noise"] and "mass" in names and "length" not in names  # a vehicle has no length


@pytest.mark.parametrize(
    "options, error, message",
    [
        (BenchPolicyOptions(()), TaskError, "give a controller file, such as one that"),
        (BenchPolicyOptions((shipped_model("none.nir"),)), ModelError, "none.nir: no such file"),
        (BenchPolicyOptions((NCP,), "", "lenth"), TaskError, "unknown perturbation 'lenth'; known perturbations: "),
        (BenchPolicyOptions((NCP,), "", "length"), TaskError, "'length' cannot apply: task 'hover'"),
        (BenchPolicyOptions((NCP,), seeds="7"), TaskError, "--seeds 7; give first:last"),
        (BenchPolicyOptions((NCP,), seeds="1500000000:1500000001"), TaskError, "meet the training seeds"),
        (BenchPolicyOptions((SPIKING,), backend="chip"), TaskError, "chip"),
    ],
)  # fmt: skip
def test_what_cannot_be_tried_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        policy_command(options)


def test_a_folder_that_is_not_there_is_refused_before_the_episodes(tmp_path):
    with pytest.raises(TaskError, match="there is no folder .*nowhere; make it first"):
        policy_command(BenchPolicyOptions((NCP,), json=tmp_path / "nowhere" / "x.json"))
