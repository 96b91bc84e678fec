# SPDX-License-Identifier: Apache-2.0
"""Pruning of layered networks: to a budget of synaptic operations a second, and of neurocores."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from liquid_spike_control.assembly import new_backend
from liquid_spike_control.errors import LiquidSpikeError, TaskError
from liquid_spike_control.robot_file import read_robot
from liquid_spike_control.spiking.layers import Layer, LayeredNetwork, Training, check_layers
from liquid_spike_control.types import SpikeTrain

torch = pytest.importorskip("torch")

from liquid_spike_control.spiking.layered_network import TrainableLayers  # noqa: E402
from liquid_spike_control.training.layer_pruning import LayerPruning, check_cores, cores_of  # noqa: E402
from liquid_spike_control.training.layers import LayersTrainer  # noqa: E402
from liquid_spike_control.training.recorded_episodes import EpisodeSet, RecordedEpisode  # noqa: E402

ARM = Path(__file__).parents[1] / "robots/arm"
NETWORK = LayeredNetwork(
    step_s=0.002,
    layers=(
        Layer(kernel=5, stride=2, channels=12, delays_s=(0.0, 0.008)),
        Layer(kernel=3, stride=2, channels=10),
        Layer(neurons=9, delays_s=(0.0, 0.002)),
    ),
    training=Training(updates=40, streams=3, chunk_s=0.1, prune=(0.3, 0.8)),
)


def given(**changes):
    return msgspec.structs.replace(NETWORK, **changes)


@pytest.fixture(scope="module")
def robot():
    return read_robot(ARM)


@pytest.fixture(scope="module")
def episodes():
    """A dot that goes round, and events that have nothing to do with it."""
    rng, found = np.random.default_rng(2), []
    for _ in range(6):
        n_ticks, phase = 60, rng.uniform(0, 6)
        angle = phase + 0.05 * np.arange(n_ticks * 5)
        counts, ids = [], []
        for a in angle:
            x, y = 16 + 10 * np.cos(a), 16 + 10 * np.sin(a)
            near = {(p * 32 + int(y) + dy) * 32 + int(x) + dx for p in (0, 1) for dx in (0, 1) for dy in (0, 1)}
            ids.append(np.array(sorted(near | set(rng.integers(0, 2048, 3).tolist()))))
            counts.append(len(ids[-1]))
        spikes = SpikeTrain(np.concatenate([[0], np.cumsum(counts)]), np.concatenate(ids).astype(np.int32))
        truth = 0.1 * np.stack([np.cos(angle[4::5]), np.sin(angle[4::5])], 1)
        found.append(RecordedEpisode(spikes, truth, 5))
    return EpisodeSet(found[:5], found[5:], "a dot", {})


def work_of(model, episode):
    """Synaptic operations a second on the emulator."""
    with new_backend(model) as backend:
        backend.run(episode.spikes)
        return backend.stats().synaptic_operations / (episode.spikes.n_steps * 0.002)


def test_synapses_are_taken_away_until_the_work_is_within_its_budget(robot, episodes, tmp_path):
    free = LayersTrainer(robot, given(training=Training(updates=1, streams=3, chunk_s=0.1)), 1, episodes)
    free.update()
    unpruned = work_of(free.write(tmp_path / "a.nir", "a test"), episodes.held_out[0])
    budget = 0.4 * unpruned
    trainer = LayersTrainer(robot, given(operations_per_s=budget), 1, episodes)
    weights = []
    for _ in range(40):
        trainer.update()
        weights.append([int((trainer.net.weight(i) != 0).sum()) for i in range(3)])
    assert weights[8] == [2 * 2 * 25 * 12, 12 * 9 * 10, 2 * 640 * 9] or sum(weights[8]) > 0.9 * sum(weights[0])
    assert sum(weights[33]) < 0.6 * sum(weights[8])
    gone = [~mask for mask in trainer.net.masks]
    assert all(float(trainer.net.weight(i)[gone[i]].abs().sum()) == 0 for i in range(3))
    model = trainer.write(tmp_path / "b.nir", "a test")
    assert work_of(model, episodes.held_out[0]) < 1.1 * budget
    stored = sum(int((c.weight != 0).sum()) for c in model.graph.connections)
    assert stored == sum(weights[-1])
    assert model.metadata["training"]["network"]["training"]["prune"] == [0.3, 0.8]


def test_channels_are_left_out_until_the_network_fits_its_cores(robot, episodes, tmp_path):
    wide = (
        Layer(kernel=3, stride=1, channels=12), Layer(kernel=3, stride=2, channels=24), Layer(neurons=9),
    )  # fmt: skip
    network = given(layers=wide, cores=12)
    trainer = LayersTrainer(robot, network, 1, episodes)
    assert cores_of(trainer.net) > 12
    for _ in range(14):
        figures = trainer.update()
    assert cores_of(trainer.net) <= 12 and np.isfinite(figures["loss"])
    channels = [shape[0] for shape in trainer.net.shapes]
    assert channels[0] == 2 and all(1 <= n < m for n, m in zip(channels[1:3], (12, 24), strict=True))
    model = trainer.write(tmp_path / "a.nir", "a test")
    assert model.graph.populations["layer2"].n == int(np.prod(trainer.net.shapes[2]))
    assert model.metadata["training"]["network"]["cores"] == 12
    # as many as fit: a channel more of each layer does not
    more = LayeredNetwork(step_s=0.002, layers=tuple(
        Layer(kernel=3, stride=layer.stride, channels=n + 2) for layer, n in zip(wide[:2], channels[1:3], strict=True)
    ) + (Layer(neurons=channels[3]),))  # fmt: skip
    assert cores_of(TrainableLayers(more, 32, 32, 2, 1)) > 12


def test_channels_that_nothing_listens_to_are_the_first_to_go(robot, episodes):
    net = TrainableLayers(given(cores=3), 32, 32, 2, 1)
    x = torch.from_numpy((np.random.default_rng(0).random((2, 50, 2, 32, 32)) < 0.02).astype(np.float32))
    net.calibrate(x)
    idle = [[1, 5, 11], [0, 7]]
    with torch.no_grad():
        for i, channels in enumerate(idle):
            weight = net.weights[i + 1]
            weight.view(len(weight), len(net.delays[i + 1]), net.shapes[i + 1][0], -1)[:, :, channels] = 0
        _, spikes = net(x, net.initial_state(2))
        idle.append([int(spikes[-1].sum((0, 1, 3, 4)).argmax())])
        net.readout[:, idle[2]] = 0
    kept = [np.setdiff1d(np.arange(shape[0]), gone) for shape, gone in zip(net.shapes[1:], idle, strict=True)]
    whole, spikes = net(x, net.initial_state(2))
    less, _ = net.of_channels(kept)(x, net.of_channels(kept).initial_state(2))
    torch.testing.assert_close(less, whole, atol=1e-5, rtol=1e-4)
    pruning = LayerPruning(net, 40)
    pruning.observe(spikes)
    for i, gone in enumerate(idle):
        use, spiked = pruning._use(i), spikes[i + 1].detach().sum((0, 1, 3, 4)).numpy() > 0
        assert spiked[gone].any() and (use[gone] == 0).all()
        assert ((np.delete(use, gone) > 0) == np.delete(spiked, gone)).all()


def test_a_training_that_was_interrupted_while_it_was_pruned_goes_on_alike(robot, episodes, tmp_path):
    network = given(operations_per_s=3e5, cores=3)
    whole = LayersTrainer(robot, network, 1, episodes)
    for _ in range(20):
        whole.update()
    whole.save(tmp_path / "c")
    losses = [whole.update()["loss"] for _ in range(4)]
    second = LayersTrainer(robot, network, 1, episodes)
    second.restore(tmp_path / "c")
    assert [second.update()["loss"] for _ in range(4)] == losses
    assert second.net.shapes == whole.net.shapes and not all(mask.all() for mask in second.net.masks)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cores": 0}, "cores: 0; give at least 1"),
        ({"cores": 4, "training": Training()}, "cores: 4; give training.prune"),
        ({"training": Training(prune=(0.3, 0.8))}, "give operations_per_s or cores, what it is pruned to, too"),
        ({"cores": 4, "training": Training(prune=(0.8, 0.3))}, "training.prune: [0.8, 0.3]; give two ascending parts"),
        ({"cores": 4, "training": Training(prune=(0.3, float("nan")))}, "training.prune"),
    ],
)
def test_a_wrong_budget_is_refused(changes, message):
    with pytest.raises(LiquidSpikeError) as refusal:
        check_layers(given(**changes), "network.yaml")
    assert message in str(refusal.value)


def test_a_budget_that_no_network_fits_is_named_before_the_work(robot, episodes):
    with pytest.raises(TaskError, match="cores: 2: one channel a layer takes 3; give more, or"):
        LayersTrainer(robot, given(cores=2), 1, episodes)
    check_cores(given(cores=3), 32, 32)
    with pytest.raises(TaskError, match=r"operations_per_s: 100: there are 5.\d+e\+03 input spikes/s; give more"):
        LayersTrainer(robot, given(operations_per_s=100.0), 1, episodes)
