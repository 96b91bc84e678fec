# SPDX-License-Identifier: Apache-2.0
"""Networks of other frameworks as a robot's perception: their spikes stay, a readout is fitted."""

import shutil
from pathlib import Path

import nir
import numpy as np
import pytest

from liquid_spike_control.assembly import new_backend, new_estimator, read_robot_perception
from liquid_spike_control.errors import LiquidSpikeError
from liquid_spike_control.neuromorphic.model import read_model
from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.options import TrainOptions
from liquid_spike_control.robot_file import read_robot
from liquid_spike_control.sim.world import World
from liquid_spike_control.spiking.nir_io import expressible, read_perception_model, write_perception_model
from liquid_spike_control.spiking.readout import Readout
from liquid_spike_control.tasks.of_robot import task_of
from liquid_spike_control.training.entry import train_command
from liquid_spike_control.training.foreign_network import read_by_spikes
from liquid_spike_control.training.recorded_episodes import CACHE_VARIABLE
from liquid_spike_control.types import SpikeTrain

HERE = Path(__file__).parents[1]
FILES = sorted((HERE / "data" / "nir").glob("*.nir"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_framework_s_neurons_survive_a_perception_s_file(path, tmp_path):
    model = read_model(path, preset=path.stem.rpartition("_")[0].replace("_handmade", ""))
    graph = read_by_spikes(model.float_graph(), model.source)
    written = expressible(graph)
    readout = Readout(np.zeros((2, written.n_outputs)), np.array([0.1, 0.2]), np.eye(2))
    write_perception_model(tmp_path / "p.nir", written, readout, {}, dt=1e-3)
    read = read_perception_model(tmp_path / "p.nir")
    spikes = SpikeTrain.from_dense(np.random.default_rng(0).random((200, graph.n_inputs)) < 0.3)
    wanted, found = FloatReference(graph).run(spikes), FloatReference(read.graph).run(spikes)
    assert len(wanted.ids) > 10
    assert np.array_equal(found.ids, wanted.ids) and np.array_equal(found.indptr, wanted.indptr)
    with new_backend(read) as backend:
        assert len(backend.run(spikes).ids)


@pytest.fixture
def arm(tmp_path, monkeypatch):
    """A copy of the arm with a short training, and a cache of episodes of its own."""
    folder = tmp_path / "arm"
    shutil.copytree(HERE / "robots" / "arm", folder)
    (folder / "network.yaml").write_text(
        "layers: [{neurons: 4}]\nstep_s: 0.002\ntraining: {episodes: 6, seconds: 2.0, ridge: 0.01}\n"
    )
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return folder


def conv_network(path, rows=32, columns=32, threshold=1.0):
    """Random fields of events, with a dense layer of integrate-and-fire neurons behind them."""
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.2, 0.6, (6, 2, 8, 8)).astype(np.float32)
    n = 6 * (rows // 4 - 1) * (columns // 4 - 1)
    dense = np.abs(rng.normal(0, 1.0, (48, n))) * (rng.random((48, n)) < 0.1)
    graph = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([2, rows, columns])}),
            "fields": nir.Conv2d((rows, columns), weight, 4, 0, 1, 1, np.zeros(6)),
            "a": nir.LIF(*(np.full((6, rows // 4 - 1, columns // 4 - 1), x) for x in (0.01, 5.0, 0.0, threshold)),
                         v_reset=np.zeros((6, rows // 4 - 1, columns // 4 - 1))),
            "flat": nir.Flatten({"input": np.array([6, rows // 4 - 1, columns // 4 - 1])}, 0),
            "dense": nir.Linear(dense),
            "b": nir.IF(r=np.full(48, 500.0), v_threshold=np.full(48, 3.0), v_reset=np.zeros(48)),
            "output": nir.Output({"output": np.array([48])}),
        },
        [("input", "fields"), ("fields", "a"), ("a", "flat"), ("flat", "dense"), ("dense", "b"), ("b", "output")],
    )  # fmt: skip
    nir.write(path, graph)
    return path


def test_a_readout_is_fitted_and_the_robot_runs_by_it(arm, tmp_path, capsys):
    network = conv_network(tmp_path / "other.nir")
    options = TrainOptions(str(arm), network=network, preset="spikingjelly", dt=0.002, step=0.002)
    assert train_command("perception", options) == 0
    said = capsys.readouterr().out
    assert "342 neurons" in said and "ball_x: error" in said and "no better" not in said
    robot = read_robot(arm)
    model = read_robot_perception(robot)
    command = model.metadata["training_command"]
    assert command.endswith("--network other.nir --preset spikingjelly --dt 0.002 --step 0.002")
    assert model.metadata["training_seeds"] == [1_000_000_000, 1_000_000_005]
    x, spread = (float(text.split()[k]) for text in said.splitlines() if "ball_x" in text for k in (2, -1))
    assert x < 0.8 * spread
    with World(task_of(robot), rendered=False) as world:
        estimator, sensing = new_estimator(world), world.reset(3)
        estimator.reset(0)
        seen = []
        for _ in range(60):
            sensing = world.advance(world.task.expert().act(world.task))
            seen.append(estimator.estimate(sensing).values)
    assert np.isfinite(seen).all() and np.ptp(seen, 0).min() > 0


@pytest.mark.parametrize(
    ("options", "network", "message"),
    [
        ({}, {}, "give --preset, one of"),
        ({"preset": "spikingjelly", "dt": 0.002, "step": 0.003}, {}, "step_s: 0.003; give a whole part"),
        ({"preset": "spikingjelly", "dt": 0.002, "updates": 3}, {}, "--updates does not belong to --network"),
        ({"preset": "spikingjelly", "dt": 0.002}, {"rows": 24}, "an input of shape (2, 24, 32); the robot"),
        ({"preset": "spikingjelly", "dt": 0.002}, {"threshold": 1e6}, "no output spikes on the episodes"),
        ({"preset": "brian", "dt": 0.002}, {}, "preset brian is unknown"),
    ],
)
def test_what_does_not_fit_is_named(arm, tmp_path, options, network, message):
    path = conv_network(tmp_path / "other.nir", **network)
    with pytest.raises(LiquidSpikeError) as refusal:
        train_command("perception", TrainOptions(str(arm), network=path, **options))
    assert message in str(refusal.value) and "\n" not in str(refusal.value)
    assert not (arm / "perception.nir").exists()


def test_options_of_a_foreign_network_belong_to_one(arm):
    with pytest.raises(LiquidSpikeError, match="--preset belongs to --network FILE.nir"):
        train_command("perception", TrainOptions(str(arm), preset="norse"))
