# SPDX-License-Identifier: Apache-2.0
"""Training for pencil-hard, in small: it learns, it can be repeated, and its files fit the benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from liquid_spike_control.assembly import new_backend, read_robot_controller, read_robot_perception  # noqa: E402
from liquid_spike_control.checkpoint import write_controller  # noqa: E402
from liquid_spike_control.errors import TaskError  # noqa: E402
from liquid_spike_control.liquid.architecture import n_parameters  # noqa: E402
from liquid_spike_control.options import TrainOptions  # noqa: E402
from liquid_spike_control.resources import shipped_model  # noqa: E402
from liquid_spike_control.robots.pencil_hard.description import ROBOT  # noqa: E402
from liquid_spike_control.robots.pencil_hard.imitation import (  # noqa: E402
    HardImitationTrainer,
    HardImitationTraining,
    hard_recipe,
)
from liquid_spike_control.robots.pencil_hard.perception import HardPerceptionTrainer, HardPerceptionTraining  # noqa: E402
from liquid_spike_control.spiking.policy_file import read_spiking_controller  # noqa: E402
from liquid_spike_control.training.controller_files import write_controller_file  # noqa: E402
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


@pytest.mark.slow
def test_a_controller_learns_from_the_expert_and_fits(tmp_path):
    model = read_robot_perception(ROBOT, shipped_model("pencil_hard/perception.nir"))
    config = HardImitationTraining(n_rounds=2, n_streams=2, round_s=2.0, n_variants=1, passes=4, learning_rate=0.01)
    trainer = HardImitationTrainer(config, model, lambda: new_backend(model))
    figures = trainer.collect()
    assert figures["expert_share"] == 1 and figures["falls"] == 0
    collected = trainer._rounds[0]
    assert collected.fresh[:, 0].all() and set(np.round(collected.elapsed.ravel() * 1e3)) <= set(range(2, 41))
    batch = trainer._sample()
    poisoned = tuple(torch.full_like(x, float("nan")) for x in trainer.network.initial_state(2))
    loss, _ = trainer._chunk(batch, slice(0, 5), poisoned)  # episodes begin with the first sample
    assert torch.equal(loss, trainer._chunk(batch, slice(0, 5), None)[0])
    losses = [trainer.learn() for _ in range(2)]
    assert losses[1] < losses[0]
    write_controller(tmp_path / "controller.safetensors", trainer.to_file("test"))
    controller = read_robot_controller(ROBOT, tmp_path / "controller.safetensors")
    assert controller.observation_names == HardImitationTrainer.observation_names
    assert np.abs(controller.step(np.zeros(len(HardImitationTrainer.observation_names)), 0.008)).max() <= 5


@pytest.mark.slow
def test_a_spiking_controller_learns_and_fits(tmp_path):
    model = read_robot_perception(ROBOT, shipped_model("pencil_hard/perception.nir"))
    recipe = hard_recipe("spiking", seed=1)
    config = replace(recipe, n_rounds=2, n_streams=2, round_s=2.0, n_variants=1, passes=4, learning_rate=0.01)
    hashes = []
    for _ in range(2):
        trainer = HardImitationTrainer(config, model, lambda: new_backend(model))
        assert trainer.collect()["falls"] == 0
        losses = [trainer.learn() for _ in range(2)]
        assert losses[1] < losses[0]
        write_controller_file(tmp_path / "controller.nir", trainer.to_file("test"))
        hashes.append(read_spiking_controller(tmp_path / "controller.nir").hash)
    assert hashes[0] == hashes[1]
    for backend in ("loihi", "float"):
        controller = read_robot_controller(ROBOT, tmp_path / "controller.nir", backend)
        assert controller.observation_names == HardImitationTrainer.observation_names
        forces = [controller.step(np.full(len(controller.observation_names), 0.1), 0.008) for _ in range(20)]
        assert 0 < np.abs(forces).max() <= 5


@pytest.mark.slow
def test_a_spiking_chunk_in_one_pass_is_the_same_as_step_by_step():
    model = read_robot_perception(ROBOT, shipped_model("pencil_hard/perception.nir"))
    config = replace(hard_recipe("spiking", seed=1), n_rounds=1, n_streams=2, round_s=0.8, n_variants=1)
    trainer = HardImitationTrainer(config, model, lambda: new_backend(model))
    trainer.collect()
    batch, part = trainer._sample(), slice(0, 30)
    batch.fresh[1, 17] = True  # an episode of one of them begins anew
    found = []
    for spiking in (config.spiking, None):  # without it the same network goes step by step, as a dense one does
        trainer.config = replace(config, spiking=spiking)
        trainer.network.zero_grad()
        loss, state = trainer._chunk(batch, part, None)
        loss.backward()
        found.append((loss.item(), state, [p.grad.clone() for p in trainer.network.parameters()]))
    (loss, state, grads), (loss_by_steps, state_by_steps, grads_by_steps) = found
    assert loss == pytest.approx(loss_by_steps, rel=1e-6)
    torch.testing.assert_close(state, state_by_steps)
    torch.testing.assert_close(grads, grads_by_steps, rtol=1e-3, atol=1e-6)
    assert all((g != 0).any() for g in grads)


def test_conductances_of_liquid_neurons_stay_positive():
    model = read_robot_perception(ROBOT, shipped_model("pencil_hard/perception.nir"))
    config = HardImitationTraining(
        n_rounds=1, n_streams=2, round_s=0.8, n_variants=1, passes=2, learning_rate=0.1, controller="ncp"
    )
    trainer = HardImitationTrainer(config, model, lambda: new_backend(model))
    trainer.collect()
    assert np.isfinite(trainer.learn())
    weights = dict(trainer.network.named_parameters())
    conductances = [weights[f"layers.0.cell.{name}"] for name in ("w", "sensory_w", "gleak")]
    assert all((w >= 0).all() for w in conductances) and any((w == 0).any() for w in conductances)


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


def test_other_architectures_have_as_many_parameters():
    sizes = len(HardImitationTrainer.observation_names), 1
    wanted = n_parameters(HardImitationTraining().architecture, *sizes)
    gru = HardImitationTraining(controller="gru").architecture
    assert gru.cell == "gru" and n_parameters(gru, *sizes) == pytest.approx(wanted, rel=0.03)
    untimed = HardImitationTraining(hidden=("elapsed_input", "elapsed_span")).architecture
    assert not untimed.elapsed_input and not untimed.elapsed_span and untimed.mixed_memory
    assert HardImitationTraining(controller="ncp").architecture.units == 19  # its claim is that few do
