# SPDX-License-Identifier: Apache-2.0
"""Training of pencil-hard's perception, in small; what ``train controller`` refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from liquid_spike_control.assembly import read_robot_perception  # noqa: E402
from liquid_spike_control.errors import TaskError  # noqa: E402
from liquid_spike_control.options import TrainOptions  # noqa: E402
from liquid_spike_control.robots.pencil_hard.description import ROBOT  # noqa: E402
from liquid_spike_control.robots.pencil_hard.perception import HardPerceptionTrainer, HardPerceptionTraining  # noqa: E402
from liquid_spike_control.training.entry import train_command  # noqa: E402

SMALL = HardPerceptionTraining(n_updates=3, n_streams=2, chunk_ms=40, n_variants=1)


@pytest.mark.slow
def test_the_perception_starts_from_the_pencil_s_and_can_be_repeated(tmp_path):
    hashes = []
    for _ in range(2):
        trainer = HardPerceptionTrainer(SMALL)
        assert [stage.name for stage in trainer.stages()] == ["learning"]
        before = trainer.network.w_in.detach().clone()
        assert (before != 0).any() and not trainer.network.mask_in[before != 0].eq(0).any()
        figures = [trainer.update() for _ in range(SMALL.n_updates)]
        assert all(np.isfinite(f["loss"]) for f in figures)
        assert not torch.equal(before, trainer.network.w_in)
        hashes.append(trainer.write(tmp_path / "perception.nir", "test"))
    assert hashes[0] == hashes[1]
    model = read_robot_perception(ROBOT, tmp_path / "perception.nir")
    assert model.metadata["task"] == "pencil-hard" and model.metadata["camera"]["shot_noise_hz"] == 1.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (TrainOptions("pencil-hard", controller="gnu"), "unknown controller 'gnu'; known controllers: cfc, .*spiking"),
        (TrainOptions("pencil-hard", controller="spiking", out=Path("x.safetensors")), "'spiking' ends in .nir"),
        (TrainOptions("pencil", updates=3), "--updates belongs to the training of a perception, not of a controller"),
        (TrainOptions("pencil", out=Path("x.nir")), "'cfc_mm' ends in .safetensors"),
    ],
)
def test_what_cannot_be_trained_is_refused(options, says):
    with pytest.raises(TaskError, match=says):
        train_command("controller", options)
