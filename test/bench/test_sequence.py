# SPDX-License-Identifier: Apache-2.0
"""The sequence benchmark: its tasks, models, fits, cache and report."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from liquid_spike_control.bench.sequence import gait, walker2d, xor
from liquid_spike_control.bench.sequence.command import run, sequence_command
from liquid_spike_control.bench.sequence.experiments import EXPERIMENTS, MODELS
from liquid_spike_control.bench.sequence.results import Folder, provenance
from liquid_spike_control.bench.sequence.schedule import Fitting
from liquid_spike_control.bench.sequence.sequences import Sequences
from liquid_spike_control.errors import LiquidSpikeError, TaskError
from liquid_spike_control.options import SequenceOptions

# ---- event-based XOR ----


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_events_hold_the_bits(seed):
    streams = xor.bit_streams(50, seed)
    for x, dt, n, (odd,) in zip(streams.inputs[..., 0], streams.elapsed, streams.lengths, streams.targets, strict=True):
        spans = np.rint(dt[:n] * xor.BITS_PER_UNIT).astype(int)
        # A bit stands until the next event; the last event is the last bit itself.
        bits = np.concatenate([np.repeat(x[: n - 1], spans[1:]), x[n - 1 : n]])
        assert spans[0] == 1 and (spans > 0).all() and xor.SHORTEST <= len(bits) <= xor.LONGEST
        assert bits.sum() % 2 == odd
        assert (np.diff(x[: n - 1]) != 0).all(), "only changes are events, but for the last bit"


def test_bit_streams_are_of_every_length_and_fair():
    streams = xor.bit_streams(20_000, 3)
    n_bits = np.rint(np.where(np.arange(xor.LONGEST) < streams.lengths[:, None], streams.elapsed, 0).sum(1) * 32)
    counts = np.bincount(n_bits.astype(int), minlength=32)[xor.SHORTEST :]
    assert len(counts) == 30 and abs(counts - 20_000 / 30).max() < 5 * np.sqrt(20_000 / 30)
    assert abs(streams.targets.mean() - 0.5) < 0.02
    again = xor.bit_streams(20_000, 3)
    assert all(np.array_equal(getattr(streams, name), getattr(again, name)) for name in Sequences.__slots__)


# ---- batches ----


def test_batches_hold_each_short_sequence_as_often_as_any_other():
    streams = xor.bit_streams(400, 1)
    named = replace(streams, targets=np.arange(400, dtype=np.float32)[:, None])
    batches = named.batches(20, 30, 6, np.random.default_rng(0))
    assert len(batches) == 30
    times = np.bincount(np.concatenate([b.targets[:, 0] for b in batches]).astype(int), minlength=400)
    eligible = named.lengths <= 6
    assert times[~eligible].max() == 0 and times[eligible].max() - times[eligible].min() <= 1
    for batch in batches:
        rows = batch.targets[:, 0].astype(int)
        assert batch.lengths[0] == batch.inputs.shape[1] == batch.elapsed.shape[1]
        assert (np.diff(batch.lengths) <= 0).all() and np.array_equal(batch.lengths, named.lengths[rows])
        assert np.array_equal(batch.elapsed, named.elapsed[rows, : batch.lengths[0]])


def test_sequences_grow_when_short_ones_are_mastered_or_it_is_time():
    fitting = Fitting(epochs=10, learning_rate=1e-3, mastered=0.9)
    lengths = [fitting.longest(0, 1.0, 0.0, 31)]
    while lengths[-1] < 31:
        lengths.append(fitting.longest(lengths[-1], 0.9, 0.0, 31))
        assert lengths[-1] > lengths[-2]
        assert fitting.longest(lengths[-1], 0.89, 0.0, 31) == lengths[-1]
    assert lengths[0] == 3 and fitting.longest(31, 1.0, 0.0, 31) == 31
    late = [fitting.longest(3, 0.5, done, 31) for done in np.linspace(0, 1, 11)]
    assert late == sorted(late) and late[0] == 3 and late[5:] == [31] * 6
    assert Fitting(10, 1e-3).longest(0, 0.0, 0.0, 64) == 64


def test_learning_rate_falls_with_time_and_length():
    fitting = Fitting(epochs=10, learning_rate=1e-3, decay=0.1, warm_up=10)
    assert fitting.rate(0, 1000, 1.0) == pytest.approx(1e-4)
    assert fitting.rate(500, 1000, 1.0) == pytest.approx(1e-3 * 0.1**0.5)
    assert fitting.rate(500, 1000, 0.25) == pytest.approx(2 * fitting.rate(500, 1000, 1.0))


# ---- Walker2d ----


@pytest.fixture(scope="module")
def gaits():
    return gait.learned_gaits(5, generations=5, population=20, n_steps=150)


def test_search_finds_gaits_that_stand_longer(gaits):
    walker = gait.Walker()

    def worth(found):
        rng = np.random.default_rng(1)
        return np.mean([gait.walked(walker, found, rng, 400, 0.1) for _ in range(4)])

    assert worth(gaits[-1]) > worth(gaits[0]) + 0.1


def test_walker_is_gymnasiums():
    mujoco = pytest.importorskip("gymnasium.envs.mujoco.walker2d_v5")
    peer = mujoco.Walker2dEnv()
    peer.model.opt.jacobian = 0
    walker = gait.Walker()
    walker.reset(np.random.default_rng(2))
    peer.reset()
    peer.set_state(walker._data.qpos.copy(), walker._data.qvel.copy())
    rng = np.random.default_rng(3)
    for _ in range(60):
        torques = rng.uniform(-0.3, 0.3, gait.N_TORQUES)
        walker.advance(torques)
        seen, _, fallen, _, _ = peer.step(torques)
        assert np.allclose(walker.observe(), seen, rtol=0, atol=1e-9) and walker.fallen == fallen
    peer.close()


def test_recordings_repeat(gaits, monkeypatch):
    monkeypatch.setattr(walker2d, "N_FRAMES", 60)
    a, b, c = (walker2d.recording(gait.Walker(), gaits, seed) for seed in (7, 7, 8))
    assert a.shape == (60, gait.N_OBSERVED) and np.array_equal(a, b) and not np.array_equal(a, c)


def test_windows_have_the_next_frame_and_the_elapsed_time():
    frames = np.arange(300.0)[:, None] * np.ones(17)
    inputs, elapsed, targets = walker2d.windows(frames, np.random.default_rng(0))
    assert inputs.shape[1:] == targets.shape[1:] == (64, 17) and elapsed.shape == inputs.shape[:2]
    assert np.array_equal(targets, inputs + 1)
    assert np.array_equal(np.diff(inputs[..., 0]), elapsed[:, 1:])
    assert 0.05 < np.mean(elapsed > 1) < 0.15 and elapsed.min() == 1
    assert np.array_equal(inputs[0, 16:], inputs[1, :48]), "windows are a quarter apart"


# ---- models and fits ----


def new_model(name, seed=0):
    from liquid_spike_control.bench.sequence.models import SequenceModel

    pytest.importorskip("torch")
    experiment = EXPERIMENTS["xor"]
    return SequenceModel(experiment.recipe(name).network, 1, 1, experiment.time_unit, seed)


@pytest.mark.parametrize("name", MODELS)
def test_batches_give_what_each_sequence_gives(name):
    torch = pytest.importorskip("torch")
    model, streams = new_model(name), xor.bit_streams(12, 2)
    batch = streams.rows(np.arange(12))
    with torch.no_grad():
        together = model(batch)
        alone = torch.cat([model(streams.rows(np.array([k]))) for k in np.argsort(-streams.lengths, kind="stable")])
    assert torch.allclose(together, alone, atol=1e-6) and together.std() > 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_models_feel_elapsed_time_and_repeat(name):
    torch = pytest.importorskip("torch")
    batch = xor.bit_streams(6, 2).rows(np.arange(6))
    later = replace(batch, elapsed=2 * batch.elapsed)
    with torch.no_grad():
        a, b, c, d = new_model(name)(batch), new_model(name)(batch), new_model(name)(later), new_model(name, 1)(batch)
    assert torch.equal(a, b) and not torch.allclose(a, c, atol=1e-5) and not torch.allclose(a, d, atol=1e-5)


def test_gru_d_is_its_equations():
    torch = pytest.importorskip("torch")
    from liquid_spike_control.bench.sequence.gru_d import GruD

    torch.manual_seed(0)
    layer = GruD(3, 5).double()
    rng = np.random.default_rng(0)
    x, dt = rng.normal(size=(2, 9, 3)), rng.uniform(0.1, 3, (2, 9))
    with torch.no_grad():
        states, (last,) = layer(torch.from_numpy(x), torch.from_numpy(dt), None)
        head, state = layer(torch.from_numpy(x[:, :4]), torch.from_numpy(dt[:, :4]), None)
        tail, _ = layer(torch.from_numpy(x[:, 4:]), torch.from_numpy(dt[:, 4:]), state)
    w = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    h = np.zeros((2, 5))
    for k in range(9):
        h = h * np.exp(-np.maximum(0, dt[:, k, None] * w["decay.weight"][:, 0] + w["decay.bias"]))
        driven = x[:, k] @ w["driven.weight"].T + w["driven.bias"]
        r, z = np.split(1 / (1 + np.exp(-driven[:, :10] - h @ w["gates.weight"].T)), 2, axis=1)
        h = (1 - z) * h + z * np.tanh(driven[:, 10:] + (r * h) @ w["candidate.weight"].T)
        assert np.allclose(states[:, k], h, atol=1e-12)
    assert torch.equal(last, states[:, -1]) and torch.allclose(torch.cat([head, tail], 1), states)


@pytest.mark.slow
def test_a_cfc_with_mixed_memory_learns_the_parity_of_short_streams():
    pytest.importorskip("torch")
    from liquid_spike_control.bench.sequence.fitting import Fit, score
    from liquid_spike_control.bench.sequence.models import SequenceModel

    streams = xor.bit_streams(20_000, 1)
    short = np.flatnonzero(streams.lengths <= 3)
    training, test = streams.rows(short[400:]), streams.rows(short[:400])
    network = replace(EXPERIMENTS["xor"].recipe("cfc_mm").network, units=16, backbone_units=32)
    model = SequenceModel(network, 1, 1, EXPERIMENTS["xor"].time_unit, 0)
    fit = Fit(model, training, test, Fitting(epochs=60, learning_rate=5e-3), 0)
    assert score(fit.model, test) < 0.7
    while not fit.done and not (fit.epochs and fit.epochs[-1].test > 0.9):
        fit.epoch()
    assert fit.epochs[-1].test > 0.9


# ---- results ----


@pytest.fixture
def tiny():
    """XOR with 300 streams and GRU-D for three epochs."""
    experiment = EXPERIMENTS["xor"]
    recipe = replace(experiment.recipe("gru_d"), network=8, fitting=Fitting(3, 1e-2, batch=50, mastered=0.5))
    return replace(experiment, n_training=300, n_test=100, recipes={"gru_d": recipe})


def without_times(result):
    return [{k: v for k, v in epoch.items() if k != "cpu_s"} for epoch in result["epochs"]]


@pytest.mark.slow
def test_an_interrupted_fit_goes_on_to_the_same_end(tiny, tmp_path):
    pytest.importorskip("torch")
    made_by = provenance(tiny, "gru_d", 4)
    (whole,) = run(tiny, [made_by], Folder(tmp_path / "whole"), Console(quiet=True))

    class Stop(Exception):
        pass

    def stop(done, now):
        if done > 1.5:
            raise Stop

    from liquid_spike_control.bench.sequence.running import fitted

    folder = Folder(tmp_path / "cut")
    with pytest.raises(Stop):
        fitted(tiny, made_by, folder.sequences(tiny), folder, stop)
    (part,) = (tmp_path / "cut").iterdir()
    assert part.suffix == ".part"
    begins = []
    result = fitted(tiny, made_by, folder.sequences(tiny), folder, lambda done, now: begins.append(done))
    assert begins[0] > 1 and len(result["epochs"]) == 3
    assert without_times(result) == without_times(whole) and result["score"] == whole["score"]
    assert [path.suffix for path in (tmp_path / "cut").iterdir()] == [".json"]


def test_results_are_kept_by_content_and_damaged_files_count_as_none(tiny, tmp_path):
    pytest.importorskip("torch")
    folder, made_by = Folder(tmp_path), provenance(tiny, "gru_d", 0)
    (result,) = run(tiny, [made_by], folder, Console(quiet=True))
    assert folder.result(made_by) == json.loads(json.dumps(result))
    for other in (replace(tiny, n_training=301), replace(tiny, time_unit=1.0)):
        assert folder.result(provenance(other, "gru_d", 0)) is None
    assert folder.result(provenance(tiny, "gru_d", 1)) is None
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:50])
    assert folder.result(made_by) is None
    (again,) = run(tiny, [made_by], folder, Console(quiet=True))
    assert without_times(again) == without_times(result)


def test_sequences_that_take_long_are_made_once(tiny, tmp_path):
    made = []
    kept = replace(tiny, keep=True, make=lambda *n: made.append(n) or xor.training_and_test(*n))
    first = Folder(tmp_path).sequences(kept)
    again = Folder(tmp_path).sequences(kept)
    assert made == [(300, 100)]
    for a, b in zip(first, again, strict=True):
        assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in Sequences.__slots__)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    Folder(tmp_path).sequences(kept)
    assert len(made) == 2


def test_command_reports_what_is_kept_without_torch(tiny, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.setitem(EXPERIMENTS, "xor", tiny)
    options = SequenceOptions(
        models="gru_d", seeds="0:2", cache=tmp_path, json=tmp_path / "r.json", plot=tmp_path / "r.png"
    )
    assert sequence_command(options) == 0
    table = capsys.readouterr().out
    assert "GRU-D" in table and "97.90" in table
    report = json.loads((tmp_path / "r.json").read_text())
    assert [r["provenance"]["seed"] for r in report["results"]] == [0, 1] and report["measure"] == "accuracy"
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setitem(sys.modules, "liquid_spike_control.bench.sequence.running", None)
    assert sequence_command(options) == 0
    assert capsys.readouterr().out.strip() == table.strip()
    with pytest.raises(LiquidSpikeError, match="pip install torch"):
        sequence_command(replace(options, seeds="2:3"))


def test_bad_options_are_refused_by_name(tmp_path):
    for options, words in (
        (SequenceOptions(models="cfc,rwkv", cache=tmp_path), "unknown model 'rwkv'; known models: cfc_mm, cfc, lstm"),
        (SequenceOptions(seeds="5", cache=tmp_path), "--seeds 5; give first:last"),
    ):
        with pytest.raises(TaskError, match=words):
            sequence_command(options)
    with pytest.raises(TaskError, match="--json .*there is no folder"):
        SequenceOptions(json=tmp_path / "no" / "x.json", cache=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TaskError, match="--cache .*is a file"):
        sequence_command(SequenceOptions(cache=tmp_path / "file"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_small_size_runs(tmp_path):
    for task in ("xor", "walker2d"):
        report = tmp_path / f"{task}.json"
        subprocess.run(
            [sys.executable, "-m", "liquid_spike_control", "bench", "sequence", task, "--small",
             "--cache", tmp_path, "--json", report], check=True, timeout=500,
        )  # fmt: skip
        results = {r["provenance"]["model"]: r for r in json.loads(report.read_text())["results"]}
        assert tuple(results) == MODELS
        for result in results.values():
            assert result["epochs"][-1]["loss"] < result["epochs"][0]["loss"]
