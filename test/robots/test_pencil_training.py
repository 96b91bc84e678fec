# SPDX-License-Identifier: Apache-2.0
"""Short trainings: they learn, they can be repeated, and what they write can be run."""

from dataclasses import replace

import numpy as np
import pytest

from liquid_spike_control.assembly import new_backend, read_robot_controller
from liquid_spike_control.checkpoint import read_controller
from liquid_spike_control.liquid.architecture import named
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise
from liquid_spike_control.perception import Perception
from liquid_spike_control.robots.catalogue import robot_named, sensed_task_named
from liquid_spike_control.robots.pencil.perception import PerceptionTrainer
from liquid_spike_control.robots.pencil.recipe import PerceptionTraining, stages
from liquid_spike_control.spiking.nir_io import read_perception_model
from liquid_spike_control.terminal import Console
from liquid_spike_control.training import learning
from liquid_spike_control.training.dagger import DaggerTraining
from liquid_spike_control.types import SpikeTrain

SMALL = PerceptionTraining(n_updates=60, n_streams=12, n_neurons=48, n_variants=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    trainer = PerceptionTrainer(SMALL)
    losses = [trainer.update()["loss"] for _ in range(SMALL.n_updates)]
    path = tmp_path_factory.mktemp("perception") / "small.nir"
    trainer.write(path, "liquid-spike train perception pencil --updates 60")
    return path, losses, trainer


@pytest.mark.slow
def test_the_perception_learns(trained):
    _, losses, _ = trained
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])


@pytest.mark.slow
def test_the_same_training_gives_the_same_losses(trained):
    _, losses, _ = trained
    again = PerceptionTrainer(SMALL)
    assert [again.update()["loss"] for _ in range(3)] == losses[:3]


@pytest.mark.slow
def test_pruning_takes_synapses_away_until_the_work_is_small_enough():
    trainer = PerceptionTrainer(replace(SMALL, n_updates=20, n_prunings=150, pruned_operations_per_s=60e3))
    learning, _, pruning, _ = stages(trainer.config)

    def train(stage):
        trainer.begin(stage)
        operations = [trainer.update()["operations_per_s"] for _ in range(stage.n_updates)]
        effective = trainer.network.effective()
        return np.mean(operations[-10:]), [int((effective[m] != 0).sum()) for m in ("w_in", "w_rec")]

    (work, before), (pruned_work, after) = train(learning), train(pruning)
    assert pruned_work < 0.7 * work
    assert after[0] < before[0] and after[1] < before[1]
    trainer.update()
    assert [int((trainer.network.effective()[m] != 0).sum()) for m in ("w_in", "w_rec")] <= after


@pytest.mark.slow
def test_the_file_repeats_the_network_without_loss(trained):
    path, _, trainer = trained
    model = read_perception_model(path)
    network = quantise(model.graph, model.metadata["weight_scale"])
    scale = model.metadata["weight_scale"]["pole"]
    for connection, stored in zip(model.graph.connections, network.connections, strict=True):
        np.testing.assert_array_equal(stored.synapses * scale, connection.weight)
    effective = trainer.network.effective()
    np.testing.assert_array_equal(model.graph.connections[0].weight, effective["w_in"].detach().double().numpy().T)
    assert model.metadata["training_command"] == "liquid-spike train perception pencil --updates 60"
    assert model.metadata["training"]["n_neurons"] == 48


@pytest.mark.slow
def test_the_file_estimates_as_the_trained_network_does(trained):
    """The float reference and the readout against the trainer's own forward pass, on random axon spikes."""
    from liquid_spike_control.robots.pencil.perception import FEATURE_SCALES
    from liquid_spike_control.spiking import bptt

    path, _, trainer = trained
    model = read_perception_model(path)
    rng = np.random.default_rng(0)
    dense = rng.random((60, trainer.network.n_axons)) < 0.01
    spikes = SpikeTrain.from_dense(dense)
    readout = model.readout
    readout.reset()
    features = readout.step(new_backend(model, "float").run(spikes))

    w = {name: np.ascontiguousarray(x.detach().numpy()) for name, x in trainer.network.effective().items()}
    n, m = SMALL.n_neurons, len(w["dr"])
    late = SpikeTrain.from_dense(np.vstack([np.zeros((1, dense.shape[1]), bool), dense[:-1]]))  # acts a step later
    u, v, s = (np.zeros((1, 61, n), np.float32) for _ in range(3))
    r = np.zeros((1, 61, m), np.float32)
    parameters = [w[name] for name in ("w_in", "w_rec", "w_out", "du", "dv", "dr", "bias")]
    bptt.forward(0, 60, late.indptr[None], late.ids[None], *parameters, u, v, s, r)
    assert s.sum() > 20
    expected = (r[0, -1].reshape(2, -1).sum(-1) + trainer.network.offset.detach().numpy()) * FEATURE_SCALES
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_controller_is_trained_with_this_perception_in_the_loop(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(learning, "TRIAL_SEEDS", range(1))
    name, out = f"pencil?perception={trained[0]}", tmp_path / "controller.safetensors"
    config = DaggerTraining(n_rounds=1, n_episodes=2, n_validations=0, passes=1, duration_s=0.5)
    files = learning.OutputFiles(out, None, "train it")
    learning.learn_policy(name, named("cfc_mm", units=8), config, "cpu", files, Console())
    controller = read_robot_controller(robot_named("pencil"), out)
    assert controller.observation_names == ("cart_position", "cart_velocity", "pole_angle", "pole_rate")
    assert read_controller(out).training_command == "train it"
    task, shipped = sensed_task_named(name), sensed_task_named("pencil")
    task.set_duration(0.05)
    for each in (task, shipped):
        each.reset(3)
    while not task.over:
        for each in (task, shipped):
            each.advance(np.array([1.0]), task.period_s)
    assert task.elapsed_s == pytest.approx(0.05)
    np.testing.assert_array_equal(task.truth(), shipped.truth())  # the same motion, seen by other networks
    assert (task.observe()[2:] != shipped.observe()[2:]).all() and (task.observe()[:2] == shipped.observe()[:2]).all()


def test_perception_counts_what_does_not_fit():
    from liquid_spike_control.types import EVENT

    perception = Perception(read_perception_model("pencil/perception.nir"))
    perception.reset(0)
    events = np.zeros(2, EVENT)
    events["t"], events["x"] = 500_000, (3, 999)
    assert perception.encode(events, 1_000_000).n_steps == 1
    assert perception.rejected == 1
