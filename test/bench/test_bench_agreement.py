# SPDX-License-Identifier: Apache-2.0
"""Integers beside float64 on a robot's own events."""

import json

import numpy as np
import pytest

from liquid_spike_control.bench.agreement import _commands, agreement_command, joined, record
from liquid_spike_control.bench.robot import RobotBenchmark
from liquid_spike_control.errors import TaskError
from liquid_spike_control.options import BenchAgreementOptions
from liquid_spike_control.types import SpikeTrain


def test_what_is_recorded_is_what_drove():
    loop = RobotBenchmark("quadrotor", range(1001, 1002), ("law_loihi",), duration_s=1.0).loop("law_loihi")
    with loop.world:
        episode = record(loop, 1001)
        again = _commands(loop, episode, episode.estimates)
        others = _commands(loop, episode, episode.estimates + 0.1)
    assert np.array_equal(again, episode.commands) and len(episode.steps) == 50
    assert not np.array_equal(others, episode.commands)
    assert episode.spikes.n_steps == sum(episode.steps) and len(episode.spikes.ids) > 1000


def test_trains_are_joined():
    trains = [SpikeTrain.from_steps([np.array([1, 2]), np.array([], int)]), SpikeTrain.from_steps([np.array([5])])]
    whole = joined(trains)
    assert whole.indptr.tolist() == [0, 2, 2, 3] and whole.ids.tolist() == [1, 2, 5]


def test_the_command_measures_and_refuses(tmp_path, capsys):
    out = tmp_path / "agreement.json"
    assert agreement_command(BenchAgreementOptions("pencil", seeds="1000:1001", json=out)) == 0
    report = json.loads(out.read_text())
    assert 0.2 < report["spikes"]["all"]["f1"] < report["spikes"]["all"]["equal_cells"] <= 1
    assert 0 <= report["estimates"]["pole_angle"]["rms"] < 0.02 and "same neuron" in capsys.readouterr().out
    for robot, variant, message in (
        ("hover", "", "no variant has a spiking perception"),
        ("pencil", "lqr_true", "no spiking perception"),
        ("pencil", "cfc_float", "runs in float64"),
    ):
        with pytest.raises(TaskError, match=message):
            agreement_command(BenchAgreementOptions(robot, seeds="1000:1001", variant=variant))
