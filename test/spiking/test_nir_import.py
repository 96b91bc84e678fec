# SPDX-License-Identifier: Apache-2.0
"""The importer against what the frameworks themselves exported and sent; see frameworks/record.py."""

import importlib
from pathlib import Path

import nir
import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.spiking.graph import CubaPopulation, Linear, SpikingGraph
from liquid_spike_control.spiking.nir_import import read_nir
from liquid_spike_control.spiking.nir_io import read_perception_model, write_perception_model
from liquid_spike_control.spiking.readout import Readout
from liquid_spike_control.types import SpikeTrain

HERE = Path(__file__).parents[1]
DATA = HERE / "data" / "nir"
CASES = sorted(path.stem for path in DATA.glob("*.npz"))


def run(network, inputs):
    """Spikes and voltages of every population, aligned with the framework's steps, as NIR flattens them."""
    late = max(network.latency.values())
    train = SpikeTrain.from_dense(np.vstack([inputs, np.zeros((late, inputs.shape[1]), bool)]))
    reference = FloatReference(network.graph)
    spikes = reference.run_all(train)
    reference.reset()
    voltages = reference.voltages(train)

    def aligned(name, values):
        values = values[network.latency[name] : network.latency[name] + len(inputs)]
        shape = network.shapes[name]
        if len(shape) == 3:
            channels, rows, columns = shape
            values = values.reshape(-1, rows, columns, channels).transpose(0, 3, 1, 2).reshape(len(inputs), -1)
        return values

    dense = {m: aligned(m, x.to_dense(network.graph.size(m))) for m, x in spikes.items()}
    return dense, {m: aligned(m, v) for m, v in voltages.items()}


def check(stem):
    """Every spike of every layer is the framework's, and voltages are, as far as float32 goes."""
    with np.load(stem.with_suffix(".npz")) as recorded:
        network = read_nir(stem.with_suffix(".nir"), str(recorded["preset"]))
        spikes, voltages = run(network, recorded["inputs"])
        for key in recorded.files:
            kind, _, name = key.partition(" ")
            if kind == "spikes":
                assert 0.02 < recorded[key].mean() < 0.95, f"{name} is no test: it spikes always or never"
                np.testing.assert_array_equal(spikes[name], recorded[key], err_msg=name)
            elif kind == "voltages":
                np.testing.assert_allclose(voltages[name], recorded[key], rtol=1e-5, atol=1e-5, err_msg=name)


def test_every_framework_is_recorded():
    frameworks = {name.split("_")[0] for name in CASES}
    assert frameworks == {"snntorch", "norse", "sinabs", "spikingjelly", "rockpool", "nengo"}


@pytest.mark.parametrize("case", CASES)
def test_spikes_are_those_of_the_framework(case):
    check(DATA / case)


@pytest.mark.parametrize("case", CASES)
def test_the_installed_framework_still_exports_and_runs_as_recorded(case, tmp_path, monkeypatch):
    pytest.importorskip(case.split("_")[0], reason="the framework is not installed; its recording is tested")
    monkeypatch.syspath_prepend(str(HERE / "frameworks"))
    record = importlib.import_module("record")
    record.CASES[case]().write(tmp_path / case)
    check(tmp_path / case)


def lif(n, tau=5.0, r=1.0, leak=0.0, threshold=1.0, reset=0.0):
    """LIF neurons in steps of 1."""
    tau, r, leak, threshold, reset = (np.broadcast_to(x, n).astype(float) for x in (tau, r, leak, threshold, reset))
    return nir.LIF(tau, r, leak, threshold, reset)


def load(tmp_path, nodes, edges, preset="euler", dt=1.0, **arguments):
    path = tmp_path / "graph.nir"
    nir.write(path, nir.NIRGraph(nodes, edges, type_check=False), compression=None)
    return read_nir(path, preset, dt, **arguments)


def ends(n_in, n_out):
    return {"input": nir.Input(np.array([n_in])), "output": nir.Output(np.array([n_out]))}


def drive(n, steps=60, seed=0, rate=0.3):
    return np.random.default_rng(seed).random((steps, n)) < rate


def stepped(currents, tau, threshold, bias=0.0, start=0.0):
    """Spikes of Euler LIF neurons that reset to ``start``; what the loop of a textbook gives."""
    v, spikes = np.full(currents.shape[1], start, float), np.zeros(currents.shape, bool)
    for t, current in enumerate(currents):
        v = v + (bias - v + current) / tau
        spikes[t] = v > threshold
        v = np.where(spikes[t], start, v)
    return spikes


def test_nested_subgraphs_lie_flat(tmp_path):
    rng = np.random.default_rng(1)
    first, second, back = rng.normal(1, 2, (6, 4)), rng.normal(1, 2, (3, 6)), rng.normal(0, 2, (6, 6))
    inner = nir.NIRGraph(
        {"input": nir.Input(np.array([6])), "w": nir.Linear(back), "n": lif(6), "output": nir.Output(np.array([6]))},
        [("input", "n"), ("n", "w"), ("w", "n"), ("n", "output")],
        type_check=False,
    )
    outer = nir.NIRGraph(
        {"input": nir.Input(np.array([4])), "w": nir.Linear(first), "rec": inner, "output": nir.Output(np.array([6]))},
        [("input", "w"), ("w", "rec"), ("rec", "output")],
        type_check=False,
    )
    nodes = ends(4, 3) | {"block": outer, "w": nir.Linear(second), "n": lif(3)}
    network = load(tmp_path, nodes, [("input", "block"), ("block", "w"), ("w", "n"), ("n", "output")])
    assert dict(network.latency) == {"block.rec.n": 1, "n": 2}
    x = drive(4)
    spikes, _ = run(network, x)
    v, z, expected = np.zeros(6), np.zeros(6), []
    for row in x:
        v = v + (first @ row + back @ z - v) / 5
        z = (v > 1).astype(float)
        v[v > 1] = 0
        expected.append(z)
    np.testing.assert_array_equal(spikes["block.rec.n"], np.array(expected) > 0)
    np.testing.assert_array_equal(spikes["n"], stepped(np.array(expected) @ second.T, 5, 1))


def test_delays_of_each_neuron_thresholds_and_scales(tmp_path):
    steps, scale = np.array([0, 2, 3, 2]), np.array([1.0, 2, -1, 0.5])
    weight = np.random.default_rng(2).normal(1, 1, (3, 4))
    nodes = ends(4, 3) | {
        "relay": nir.Threshold(np.full(4, 0.5)),
        "later": nir.Delay(steps * 1.0),
        "scaled": nir.Scale(scale),
        "w": nir.Linear(weight),
        "n": lif(3, tau=3.0, threshold=0.3),
    }
    names = ["input", "relay", "later", "scaled", "w", "n", "output"]
    network = load(tmp_path, nodes, list(zip(names, names[1:], strict=False)))
    x = drive(4)
    late = np.stack([np.concatenate([np.zeros(d), x[: len(x) - d, i]]) for i, d in enumerate(steps)], axis=1)
    spikes, _ = run(network, x)
    np.testing.assert_array_equal(spikes["relay"], x)
    np.testing.assert_array_equal(spikes["n"], stepped(late @ (weight * scale).T, 3.0, 0.3))
    assert len(network.graph.connections) == 2  # every pair has one delay: one connection holds them all


def test_biases_act_from_the_first_step_of_the_framework_on(tmp_path):
    rng = np.random.default_rng(3)
    first, second, bias = rng.normal(0, 1, (5, 4)), rng.normal(0, 1, (3, 5)), np.array([2.0, 3.0, 1.5])
    nodes = ends(4, 3) | {"w": nir.Linear(first), "a": lif(5, leak=1.3), "v": nir.Affine(second, bias), "b": lif(3)}
    names = ["input", "w", "a", "v", "b", "output"]
    network = load(tmp_path, nodes, list(zip(names, names[1:], strict=False)))
    x = drive(4)
    spikes, _ = run(network, x)
    one = stepped(x @ first.T, 5, 1, bias=1.3)
    np.testing.assert_array_equal(spikes["a"], one)
    np.testing.assert_array_equal(spikes["b"], stepped(one @ second.T + bias, 5, 1))
    assert [p.start for p in network.graph.populations.values()] == [1, 2]


def test_a_reset_to_another_voltage_is_a_shift(tmp_path):
    weight = np.random.default_rng(4).normal(0.5, 1, (5, 4))
    nodes = ends(4, 5) | {"w": nir.Linear(weight), "n": lif(5, leak=-0.2, threshold=0.6, reset=-0.4)}
    names = ["input", "w", "n", "output"]
    network = load(tmp_path, nodes, list(zip(names, names[1:], strict=False)))
    x = drive(4)
    np.testing.assert_array_equal(run(network, x)[0]["n"], stepped(x @ weight.T, 5, 0.6, bias=-0.2, start=-0.4))
    assert "voltages of n are counted from its v_reset" in network.notes


@pytest.mark.parametrize(("preset", "lag"), [("euler", 0), ("euler_old_current", 1)])
@pytest.mark.parametrize("kind", ["CubaLI", "CubaLIF"])
def test_currents_and_when_the_voltage_sees_them(tmp_path, preset, lag, kind):
    rng = np.random.default_rng(5)
    weight, bias = rng.normal(1, 1, (4, 3)), rng.normal(0, 0.3, 4)
    ones = np.ones(4)
    arguments = (4 * ones, 7 * ones, 2 * ones, 0 * ones)
    more = () if kind == "CubaLI" else (ones,)
    neurons = getattr(nir, kind)(*arguments, *more, w_in=3 * ones)
    nodes = ends(3, 4) | {"w": nir.Affine(weight, bias), "n": neurons}
    names = ["input", "w", "n", "output"]
    network = load(tmp_path, nodes, list(zip(names, names[1:], strict=False)), preset)
    x = drive(3)
    v, expected, spikes = np.zeros(4), [], []
    current = [np.zeros(4)]
    for row in x:
        current.append(current[-1] + (3 * (weight @ row + bias) - current[-1]) / 4)
        v = v + (2 * current[-1 - lag] - v) / 7
        expected.append(v)
        spikes.append(v > 1)
        v = np.where(spikes[-1] & (kind == "CubaLIF"), 0, v)
    got, voltages = run(network, x)
    np.testing.assert_allclose(voltages["n"], expected, atol=1e-12)
    np.testing.assert_array_equal(got["n"], np.array(spikes) & (kind == "CubaLIF"))


def test_an_output_behind_weights_only_adds_up(tmp_path):
    rng = np.random.default_rng(6)
    first, mix, offset = rng.normal(1, 1, (5, 3)), rng.normal(size=(2, 5)), np.array([0.5, -0.5])
    nodes = ends(3, 2) | {"w": nir.Linear(first), "n": lif(5), "mix": nir.Affine(mix, offset)}
    names = ["input", "w", "n", "mix", "output"]
    network = load(tmp_path, nodes, list(zip(names, names[1:], strict=False)))
    assert network.graph.outputs == ("output",)
    x = drive(3)
    spikes, voltages = run(network, x)
    np.testing.assert_allclose(voltages["output"], spikes["n"] @ mix.T + offset, atol=1e-12)
    assert not spikes["output"].any()


@pytest.mark.parametrize("written", [(1, 2, 6, 6), (7, 2, 6, 6), (3, 7, 2, 6, 6), ()])
def test_batch_and_time_in_front_of_the_input_are_found(tmp_path, written):
    conv = nir.Conv2d((6, 6), np.ones((3, 2, 3, 3)), 1, 0, 1, 1, np.zeros(3))
    scalar = nir.IF(np.array(1.0), np.array(4.0))
    nodes = {"input": nir.Input(np.array(written)), "conv": conv, "n": scalar, "output": nir.Output(np.array([1]))}
    network = load(tmp_path, nodes, [("input", "conv"), ("conv", "n"), ("n", "output")])
    assert dict(network.shapes) == {"input": (2, 6, 6), "n": (3, 4, 4)}


def test_a_loop_through_several_populations_with_delays(tmp_path):
    rng = np.random.default_rng(7)
    first, there, back = rng.normal(1, 2, (4, 3)), rng.normal(5, 3, (4, 4)), rng.normal(0, 3, (4, 4))
    nodes = ends(3, 4) | {"w": nir.Linear(first), "a": lif(4), "b": lif(4), "output": nir.Output(np.array([4]))}
    nodes |= {"there": nir.Linear(there), "back": nir.Linear(back), "one": nir.Delay(np.ones(4))}
    nodes["again"] = nir.Delay(np.ones(4))
    edges = [("input", "w"), ("w", "a"), ("a", "one"), ("one", "there"), ("there", "b"), ("b", "again")]
    network = load(tmp_path, nodes, [*edges, ("again", "back"), ("back", "a"), ("b", "output")])
    x = drive(3)
    spikes, _ = run(network, x)
    a, b = np.zeros(4), np.zeros(4)
    expected, za, zb = [], np.zeros(4), np.zeros(4)
    for row in x:
        a = a + (first @ row + back @ zb - a) / 5
        b = b + (there @ za - b) / 5
        za, zb = (a > 1) * 1.0, (b > 1) * 1.0
        a, b = a * (1 - za), b * (1 - zb)
        expected.append(zb > 0)
    np.testing.assert_array_equal(spikes["b"], expected)
    assert np.mean(expected) > 0.02


def test_a_network_of_many_layers(tmp_path):
    nodes = ends(1, 1)
    for i in range(70):
        nodes |= {f"w{i}": nir.Linear(np.ones((1, 1))), f"n{i}": nir.Threshold(np.full(1, 0.5))}
    names = ["input", *(m for m in nodes if m not in ("input", "output")), "output"]
    edges = list(zip(names, names[1:], strict=False))
    network = load(tmp_path, nodes, edges)
    x = drive(1, 20)
    np.testing.assert_array_equal(run(network, x)[0]["n69"], x)
    assert network.latency["n69"] == 70
    nodes["w69"] = nir.Affine(np.ones((1, 1)), np.full(1, 0.1))
    with pytest.raises(ModelError, match="node n69: its bias waits 70 steps"):
        load(tmp_path, nodes, edges)


def test_metadata_of_a_node_outweigh_the_preset(tmp_path):
    weight = np.random.default_rng(8).normal(1, 1, (4, 3))
    nodes = ends(3, 4) | {"w": nir.Linear(weight), "n": lif(4)}
    names = ["input", "w", "n", "output"]
    nodes["n"].metadata = {"reset": "subtract"}
    network = load(tmp_path, nodes, list(zip(names, names[1:], strict=False)))
    assert network.graph.populations["n"].reset == "subtract"


def test_our_own_perception_model_reads_alike(tmp_path):
    rng = np.random.default_rng(9)
    decays = rng.integers(100, 3000, (2, 6)) / 4096
    population = CubaPopulation(*decays, np.full(6, 0.7), np.full(6, 0.01))
    connections = [Linear("input", "one", rng.normal(0, 1, (6, 5))), Linear("one", "one", rng.normal(0, 0.3, (6, 6)))]
    graph = SpikingGraph(5, {"one": population}, connections, ("one",))
    readout = Readout(rng.normal(size=(3, 6)), np.full(3, 0.25), rng.normal(size=(2, 3)), [0.1, 0.2])
    path = tmp_path / "model.nir"
    write_perception_model(path, graph, readout, {}, 1e-3)
    network = read_nir(path, "loihi")
    x = SpikeTrain.from_dense(drive(5))
    mine, theirs = FloatReference(network.graph), FloatReference(read_perception_model(path).graph)
    spikes = mine.run_all(x)["one"].to_dense(6)
    np.testing.assert_array_equal(spikes, theirs.run(x).to_dense(6))
    mine.reset()
    features = mine.voltages(x)["output"]
    for t, row in enumerate(spikes[:-1]):
        expected = readout.step(SpikeTrain.from_dense(row[None]))
        if t:
            np.testing.assert_allclose(features[t + 1], expected, atol=1e-9)


def test_several_inputs_are_numbered_one_after_the_other(tmp_path):
    """A picture and a vector into one layer: as one input of all their axons, to the spike."""
    rng = np.random.default_rng(40)
    kernel, matrix, after = rng.normal(size=(2, 1, 3, 3)), rng.normal(size=(8, 5)), rng.normal(size=(4, 8))
    lif = [nir.LIF(*(np.full(n, x) for x in (0.004, 3.0, 0.0, 1.0))) for n in (8, 4)]
    nodes = {
        "image": nir.Input(np.array([1, 4, 4])),
        "touch": nir.Input(np.array([5])),
        "conv": nir.Conv2d((4, 4), kernel, 1, 0, 1, 1, np.zeros(2)),
        "flat": nir.Flatten({"input": np.array([2, 2, 2])}, 0, -1),
        "dense": nir.Linear(matrix),
        "a": lif[0],
        "more": nir.Linear(after),
        "b": lif[1],
        "output": nir.Output(np.array([4])),
    }
    edges = [("image", "conv"), ("conv", "flat"), ("flat", "a"), ("touch", "dense"), ("dense", "a"), ("a", "more"),
             ("more", "b"), ("b", "output")]  # fmt: skip
    nir.write(tmp_path / "two.nir", nir.NIRGraph(nodes, edges, type_check=False))
    network = read_nir(tmp_path / "two.nir", "euler", 1e-3)
    assert (network.graph.n_inputs, network.shapes["input"]) == (21, (21,))
    assert any("image 0 .. 15, touch 16 .. 20" in note for note in network.notes)
    whole = np.zeros((8, 21))
    for o, y, x, i, j in np.ndindex(2, 2, 2, 3, 3):
        whole[o * 4 + y * 2 + x, (y + i) * 4 + x + j] += kernel[o, 0, i, j]
    whole[:, 16:] = matrix
    one = {"input": nir.Input(np.array([21])), "all": nir.Linear(whole), **{m: nodes[m] for m in ("a", "more", "b")}}
    one["output"] = nodes["output"]
    joined = [("input", "all"), ("all", "a"), *edges[-3:]]
    nir.write(tmp_path / "one.nir", nir.NIRGraph(one, joined, type_check=False))
    expected = read_nir(tmp_path / "one.nir", "euler", 1e-3)
    spikes = SpikeTrain.from_dense(rng.random((300, 21)) < 0.2)
    got, wanted = (FloatReference(n.graph).run_all(spikes) for n in (network, expected))
    for name in ("a", "b"):
        assert len(wanted[name].ids) > 30
        np.testing.assert_array_equal(got[name].ids, wanted[name].ids)
        np.testing.assert_array_equal(got[name].indptr, wanted[name].indptr)
    with pytest.raises(ModelError, match="it has inputs image, touch, and one shape is given"):
        read_nir(tmp_path / "two.nir", "euler", 1e-3, (1, 4, 4))
