# SPDX-License-Identifier: Apache-2.0
"""The tasks' scales."""

from dataclasses import replace

import numpy as np
import pytest

from liquid_spike_control.bench.scale import scale_command
from liquid_spike_control.errors import RobotError, TaskError
from liquid_spike_control.options import ScaleOptions
from liquid_spike_control.robots.catalogue import TASKS, TRUTH, task_named
from liquid_spike_control.tasks import scale


@pytest.mark.parametrize("name", [*TASKS, "pencil-hard"])
def test_the_anchors_are_those_of_the_task(name):
    """The first episode of each earns what is recorded; if the task has changed, its version must, and its anchors."""
    recorded = scale.read()[name]
    source = name + TRUTH if name == "pencil-hard" else name  # neither looks at an estimate
    measured = scale.measure(source, range(recorded.first_seed, recorded.first_seed + 2))
    assert recorded.version == task_named(name).version and recorded.episodes >= 50
    for who in ("random", "expert"):
        assert getattr(measured, who).first == pytest.approx(getattr(recorded, who).first, rel=1e-3)
    least = 0.6 if name.startswith("hopper") else 0.99  # its expert, which rewards have taught, falls now and then
    assert recorded.random.success <= 0.02 and recorded.expert.success >= least


def test_every_recorded_scale_belongs_to_a_task():
    assert set(scale.read()) == {"pencil-hard", *TASKS}
    assert scale.ANCHOR_SEEDS[-1] < 1_000_000_000


def test_chance_is_0_and_the_expert_100():
    anchors = scale.anchors_of("hover")
    rewards = np.array([anchors.random.reward, anchors.expert.reward, 2 * anchors.expert.reward])
    scores = scale.score("hover", rewards)
    np.testing.assert_allclose(scores[:2], [0, 100])
    assert scores[2] > 200 and scale.score("hover", anchors.expert.reward) == pytest.approx(100)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "_FILE", tmp_path / "anchors.json")
    (tmp_path / "anchors.json").write_text("{}")
    scale.anchors_of.cache_clear()
    yield
    scale.anchors_of.cache_clear()


def test_no_scale_and_an_old_scale_are_refused(elsewhere):
    with pytest.raises(TaskError, match="'swing-up' has no scale yet; run liquid-spike bench scale swing-up"):
        scale.score("swing-up", 1.0)
    anchors = scale.measure("swing-up", range(2))
    scale.write({"swing-up": anchors})
    assert scale.anchors_of("swing-up") == anchors
    scale.write({"swing-up": replace(anchors, version=0), "hover": anchors})
    with pytest.raises(TaskError, match="'swing-up' is of version 0, the task of version 1; run liquid-spike bench"):
        scale.score("swing-up", 1.0)
    assert set(scale.read()) == {"swing-up", "hover"}


def test_the_command_prints_and_records_only_if_asked(elsewhere, capsys):
    assert scale_command(ScaleOptions(tasks=("hover",), seeds="500000:500002")) == 0
    assert not scale.read() and "hover" in capsys.readouterr().out
    assert scale_command(ScaleOptions(tasks=("hover",), seeds="500000:500002", record=True)) == 0
    assert scale.read()["hover"].episodes == 2
    with pytest.raises(RobotError, match="unknown robot 'lunch'; known: .*hover, "):
        scale_command(ScaleOptions(tasks=("hover", "lunch")))
