# SPDX-License-Identifier: Apache-2.0
"""Training of reservoirs: series, readouts, files that read back to the bit, and the command."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from liquid_spike_control.bench.reservoir.command import reservoir_command as bench_command
from liquid_spike_control.control.reservoir import Reservoir
from liquid_spike_control.errors import ModelError, TaskError
from liquid_spike_control.neuromorphic.chip.chips import LOIHI1
from liquid_spike_control.neuromorphic.model import new_backend, read_model
from liquid_spike_control.options import BenchReservoirOptions, TrainReservoirOptions
from liquid_spike_control.spiking.reservoir import ReservoirDescription
from liquid_spike_control.spiking.reservoir_file import read_reservoir
from liquid_spike_control.training.reservoir import ReservoirTraining, nrmse, train_reservoir
from liquid_spike_control.training.reservoir_command import reservoir_command as train_command
from liquid_spike_control.training.series import narma10, read_csv

SMALL = ReservoirDescription(n_neurons=80, seed=3)


def test_narma10_is_its_equation():
    series = narma10(400, 7)
    u, y = series.inputs[:, 0], series.targets[:, 0]
    for i in range(10, 400):
        expected = 0.3 * y[i - 1] + 0.05 * y[i - 1] * y[i - 10 : i].sum() + 1.5 * u[i - 9] * u[i] + 0.1
        assert y[i] == pytest.approx(expected, abs=1e-12)
    assert u.min() >= 0 and u.max() <= 0.5


@pytest.fixture(scope="module")
def lag(tmp_path_factory):
    """A series whose target is the input of three samples ago, as a file."""
    path = tmp_path_factory.mktemp("series") / "lag.csv"
    u = np.random.default_rng(0).uniform(-1, 1, 900)
    lines = ["u,before", *(f"{a},{b}" for a, b in zip(u, np.roll(u, 3), strict=True))]
    path.write_text("\n".join(lines))
    return path


def test_a_series_may_begin_with_a_byte_order_mark(lag, tmp_path):
    (tmp_path / "marked.csv").write_text(lag.read_text(), encoding="utf-8-sig")
    assert read_csv(tmp_path / "marked.csv", ["u"]).target_names == ("u",)


@pytest.mark.parametrize("method", ["ridge", "rls", "pes"])
def test_a_reservoir_learns_a_lag_and_reads_back_to_the_bit(lag, tmp_path, method):
    series = read_csv(lag)
    training = ReservoirTraining(SMALL, method=method, fields=8)
    done = train_reservoir(training, series, tmp_path / "r.nir", "a test")
    assert done.nrmse[0] < (0.9 if method == "pes" else 0.55) and not done.frozen  # 1 is the mean of the target
    file = read_reservoir(tmp_path / "r.nir")
    assert file.hash == done.file.hash and file.graph.hash == done.file.graph.hash
    with Reservoir(file) as reservoir:
        output = np.array([reservoir.step(values) for values in series.inputs])
        assert np.allclose(output[-len(done.output) :], done.output, atol=1e-9)
        with pytest.raises(TaskError, match="not finite"):
            reservoir.step(np.array([np.nan]))
    # The same file in the tools of neuromorphic/, which the offload node reads it with, gives the same spikes.
    spikes = file.new_code().encode([0.5])
    with new_backend(read_model(tmp_path / "r.nir")) as backend, Reservoir(file) as reservoir:
        assert backend.run(spikes).ids.tolist() == reservoir.backend.run(spikes).ids.tolist()


def test_force_goes_on_by_itself(tmp_path):
    """After learning with its output fed back, a reservoir without input repeats a sine."""
    path = tmp_path / "sine.csv"
    path.write_text("y\n" + "\n".join(f"{np.sin(2 * np.pi * t / 25)}" for t in range(1400)))
    training = ReservoirTraining(ReservoirDescription(n_neurons=150, seed=1), method="force", held_out=0.1)
    done = train_reservoir(training, read_csv(path), tmp_path / "sine.nir", "a test")
    assert done.nrmse[0] < 0.5 and not done.frozen
    with Reservoir.from_file(tmp_path / "sine.nir") as reservoir:
        assert reservoir.file.feedback and not reservoir.file.inputs
        assert np.isfinite([reservoir.step(np.empty(0)) for _ in range(50)]).all()


@pytest.mark.parametrize(
    "text, words",
    [
        ("u,y\n1,2\n", "1 samples; give at least 500"),
        ("u,u\n", "names the columns, each once"),
        ("u,y\n" + "1,x\n" * 600, "line 2 is not 2 numbers"),
        ("u,y\n" + "1\n" * 600, "line 2 is not 2 numbers"),
        ("u,y\n1," + "2" * 200_000, "no text; give a file of comma-separated values"),
        ("", "0 samples; give at least 500"),
        (",".join(map(str, range(100_000))) + "\n" + "1\n" * 100_000, "line 2 is not 100000 numbers"),
        ("u,y\n" + "1,2\n" * 600, "column u does not change"),
        ("u,y\n" + "1,nan\n2,3\n" * 600, "column y, sample 1 is not finite"),
    ],
)
def test_bad_series_are_named(tmp_path, text, words):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(TaskError) as error:
        read_csv(path).signals()
    assert words in str(error.value)
    with pytest.raises(TaskError, match="no column z"):
        (tmp_path / "good.csv").write_text("u,y\n")
        read_csv(tmp_path / "good.csv", ["z"])


def test_a_size_no_chip_holds_is_refused(lag, tmp_path):
    small = replace(LOIHI1, cores=2, compartments=32)
    with pytest.raises(ModelError, match="does not fit on Loihi"):
        train_reservoir(ReservoirTraining(SMALL), read_csv(lag), tmp_path / "r.nir", "a test", chip=small)


def test_other_files_are_no_reservoirs(tmp_path):
    from liquid_spike_control.resources import shipped_model

    with pytest.raises(ModelError, match="kind: expected reservoir"):
        read_reservoir(shipped_model("pencil/perception.nir"))


def test_bad_options_are_named(tmp_path):
    for options, words in (
        ({"gain": float("nan")}, "--gain nan; give a number from 0 to 100"),
        ({"neurons": 100_000}, "--neurons 100000; give a whole number from 2 to 8192"),
        ({"forgetting": 0.5}, "--forgetting 0.5; give a number from 0.9 to 1"),
    ):
        with pytest.raises(TaskError) as error:
            TrainReservoirOptions(**options)
        assert words in str(error.value)
    with pytest.raises(TaskError, match="unknown suffix '.yaml'; give one of .nir"):
        TrainReservoirOptions(out=tmp_path / "r.yaml")
    with pytest.raises(TaskError, match="unknown model 'lstm'"):
        bench_command(BenchReservoirOptions(models="lstm"))
    command = [sys.executable, "-m", "liquid_spike_control", "train", "reservoir", "--gain", "inf"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 2 and ended.stderr == "liquid-spike: --gain inf; give a number from 0 to 100\n"


def test_the_commands(tmp_path, capsys):
    out = tmp_path / "bench.json"
    small = {"neurons": 40, "samples": 500, "steps": 5}
    bench_command(
        BenchReservoirOptions(
            **small, seeds="1:2", models="loihi,rls,pes,esn", json=out, plot=tmp_path / "b.png"
        )
    )
    assert (tmp_path / "b.png").stat().st_size > 10_000
    assert "reservoir, integers" in capsys.readouterr().out
    train_command(TrainReservoirOptions(**small, out=tmp_path / "r.nir", plot=tmp_path / "r.png"))
    assert read_reservoir(tmp_path / "r.nir").metadata["training_command"] == (
        "liquid-spike train reservoir narma10 --neurons 40 --steps 5 --samples 500"
    )
    results = {r["model"]: r for r in json.loads(out.read_text())["results"]}
    assert results["loihi"]["nrmse"] < 1 and results["loihi"]["memory_capacity"] > 1
    assert results["esn"]["nrmse"] < results["loihi"]["nrmse"] and results["pes"]["nrmse"] < 1
    assert results["loihi"]["kernel_rank"] > results["loihi"]["noise_rank"]
    assert np.array(results["loihi"]["separation"]).shape == (3, 40)
    table = BenchReservoirOptions(**small, seeds="1:2", topologies="uniform", gains="0,1", json=out)
    bench_command(table)
    cells = {(r["topology"], r["gain"]): r for r in json.loads(out.read_text())["results"]}
    assert len(cells) == 4 and cells["uniform", 1.0]["spectral_radius"] == pytest.approx(1, rel=0.05)
    assert cells["uniform", 0.0]["spectral_radius"] == 0
    assert "uniform" in capsys.readouterr().out
    for options, words in (({"gains": "1,x"}, "x is no finite number"), ({"gains": "1", "models": "esn"}, "--models")):
        with pytest.raises(TaskError, match=words):
            bench_command(BenchReservoirOptions(**small, **options))
    assert nrmse(np.arange(4.0), np.full(4, 1.5)) == pytest.approx(1.0)
