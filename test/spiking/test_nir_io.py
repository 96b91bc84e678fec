# SPDX-License-Identifier: Apache-2.0
import nir
import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise
from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.spiking.graph import CubaPopulation, Linear, SpikingGraph
from liquid_spike_control.spiking.nir_io import read_perception_model, write_perception_model
from liquid_spike_control.spiking.readout import Readout
from liquid_spike_control.types import SpikeTrain

DT = 0.001
METADATA = {"features": ["pole_angle", "pole_rate"], "units": ["rad", "rad/s"], "encoding": {"row_group": 4}}


def make_graph(seed=0, outputs=("one", "two")):
    rng = np.random.default_rng(seed)

    def population(n):
        du, dv = rng.integers(1, 4097, (2, n)) / 4096
        return CubaPopulation(du, dv, rng.uniform(0.5, 2, n), np.zeros(n))

    return SpikingGraph(
        10,
        {"one": population(6), "two": population(4)},
        [
            Linear("input", "one", rng.normal(0, 1, (6, 10))),
            Linear("one", "two", rng.normal(0, 1, (4, 6))),
            Linear("two", "two", rng.normal(0, 1, (4, 4))),
        ],
        outputs,
    )


def make_readout(n, seed=1):
    rng = np.random.default_rng(seed)
    return Readout(
        rng.normal(size=(6, n)), rng.integers(1, 4097, 6) / 4096, rng.normal(size=(2, 6)), [0.1, 0.2]
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.nir"
    write_perception_model(path, make_graph(), make_readout(10), METADATA, DT)
    return path


@pytest.mark.parametrize("outputs", [("one", "two"), ("two",), ("one",)])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_written_reads_back_to_the_bit(tmp_path, outputs, seed):
    path, graph = tmp_path / "model.nir", make_graph(seed, outputs)
    readout = make_readout(graph.n_outputs, seed)
    digest = write_perception_model(path, graph, readout, METADATA, DT)
    model = read_perception_model(path)
    assert model.graph.hash == graph.hash
    assert model.graph.outputs == outputs
    assert model.hash == digest == model.metadata["hash"]
    assert METADATA.items() <= model.metadata.items()
    for name in ("weight", "decay", "mix", "offset"):
        np.testing.assert_array_equal(getattr(model.readout, name), getattr(readout, name))
    assert list(tmp_path.iterdir()) == [path]


def test_nir_itself_reads_the_file(file):
    assert {type(n).__name__ for n in nir.read(file, type_check=False).nodes.values()} == {
        "Input", "Linear", "Affine", "CubaLIF", "LI", "Output",
    }  # fmt: skip


@pytest.mark.parametrize("rule", ["euler", "exponential"])
def test_r_w_in_and_leak_are_folded(tmp_path, rule):
    """Against a direct integration of NIR's equations in their own variables."""
    rng = np.random.default_rng(3)
    n, steps, dt = 5, 60, 5e-4
    tau_syn, tau_mem = rng.uniform(2e-3, 8e-3, n), rng.uniform(4e-3, 2e-2, n)
    r, w_in, leak, vth = (
        rng.uniform(1, 3, n),
        rng.uniform(5, 9, n),
        rng.uniform(-0.1, 0.1, n),
        rng.uniform(0.2, 0.6, n),
    )
    w = rng.normal(0.3, 1, (n, 4))
    nodes = {
        "in": nir.Input({"input": np.array([4])}),
        "w": nir.Linear(w),
        "lif": nir.CubaLIF(
            tau_syn=tau_syn,
            tau_mem=tau_mem,
            r=r,
            v_leak=leak,
            v_threshold=vth,
            w_in=w_in,
            v_reset=np.zeros(n),
        ),
        "to": nir.Linear(np.ones((2, n))),
        "li": nir.LI(tau=np.full(2, 0.01), r=np.full(2, 20.0), v_leak=np.zeros(2)),
        "mix": nir.Linear(np.eye(2)),
        "out": nir.Output({"output": np.array([2])}),
    }
    names = list(nodes)
    path = tmp_path / "foreign.nir"
    nir.write(path, nir.NIRGraph(nodes, list(zip(names[:-1], names[1:], strict=True)), type_check=False))
    with pytest.raises(ModelError, match="no time step; give dt"):
        read_perception_model(path)
    model = read_perception_model(path, dt=dt, rule=rule)
    spikes = rng.random((steps, 4)) < 0.3
    got = FloatReference(model.graph).run(SpikeTrain.from_dense(spikes)).to_dense(n)

    ks, km = (
        (dt / tau_syn, dt / tau_mem)
        if rule == "euler"
        else (1 - np.exp(-dt / tau_syn), 1 - np.exp(-dt / tau_mem))
    )
    current, v, expected = np.zeros(n), np.zeros(n), np.zeros((steps, n), bool)
    for t in range(steps):
        x = w @ spikes[t - 1] if t else np.zeros(n)
        current += ks * (-current + w_in * x)
        v += km * (leak - v + r * current)
        expected[t] = v > vth
        v[expected[t]] = 0
    assert expected.sum() > 10
    np.testing.assert_array_equal(got, expected)


def test_conv_in_nir_order_matches_torch(tmp_path):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    w1, w2 = rng.normal(0, 1, (3, 2, 3, 3)), rng.normal(0, 0.3, (5, 3 * 4 * 5))

    def neurons(shape):
        one = np.ones(shape)
        return nir.CubaLIF(
            tau_syn=2e-3 * one, tau_mem=4e-3 * one, r=4 * one, v_leak=0 * one, v_threshold=one, w_in=2 * one
        )

    nodes = {
        "in": nir.Input({"input": np.array([2, 8, 10])}),
        "conv": nir.Conv2d((8, 10), w1, (2, 2), (1, 1), 1, 1, np.zeros(3)),
        "one": neurons((3, 4, 5)),
        "flat": nir.Flatten({"input": np.array([3, 4, 5])}, 0, 2),
        "w": nir.Linear(w2),
        "two": neurons(5),
        "to": nir.Linear(np.ones((2, 5))),
        "li": nir.LI(tau=np.full(2, 0.01), r=np.ones(2), v_leak=np.zeros(2)),
        "mix": nir.Linear(np.eye(2)),
        "out": nir.Output({"output": np.array([2])}),
    }
    names = list(nodes)
    path = tmp_path / "conv.nir"
    nir.write(path, nir.NIRGraph(nodes, list(zip(names[:-1], names[1:], strict=True)), type_check=False))
    model = read_perception_model(path, dt=DT)
    steps = 40
    frames = torch.tensor(rng.random((steps, 2, 8, 10)) < 0.1).double()
    got = (
        FloatReference(model.graph).run(SpikeTrain.from_dense(frames.reshape(steps, -1).numpy())).to_dense(5)
    )
    u1 = v1 = s1 = torch.zeros(3, 4, 5).double()
    u2 = v2 = torch.zeros(5).double()
    previous, expected = torch.zeros(2, 8, 10).double(), []
    for frame in frames:
        a1 = torch.nn.functional.conv2d(previous[None], torch.tensor(w1), stride=2, padding=1)[0]
        a2 = torch.tensor(w2) @ s1.flatten()
        u1, u2 = 0.5 * u1 + a1, 0.5 * u2 + a2
        v1, v2 = 0.75 * v1 + u1, 0.75 * v2 + u2
        s1, s2 = (v1 > 1).double(), v2 > 1
        v1, v2 = v1 * (1 - s1), v2 * ~s2
        previous = frame
        expected.append(s2.numpy())
    assert np.sum(expected) > 5
    np.testing.assert_array_equal(got, expected)
    # The integer network accepts the same ids.
    assert quantise(model.graph).n_inputs == 160


def rewrite(path, change):
    graph = nir.read(path, type_check=False)
    graph.metadata = {}
    nodes, edges = dict(graph.nodes), list(graph.edges)
    change(nodes, edges)
    nir.write(path, nir.NIRGraph(nodes, edges, type_check=False))


def put(name, key, value):
    def change(nodes, edges):
        setattr(nodes[name], key, value)

    return change


def replace(name, node):
    def change(nodes, edges):
        nodes[name] = node

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("one", "v_reset", np.full(6, 0.5)), "node one: v_reset is not 0"),
        (put("one", "metadata", {"reset": "subtract"}), "node one: reset subtract is not Loihi's"),
        (put("one", "tau_syn", np.full(6, np.nan)), "node one: tau_syn holds NaN"),
        (put("one_to_two", "weight", np.ones((4, 7))), "one -> two: it joins 7 to 4"),
        (put("one_to_two", "weight", np.ones((5, 6))), "node two: its inputs have"),
        (put("input_to_one", "weight", np.ones((6, 11))), "node input_to_one: weight of shape"),
        (put("two", "tau_mem", np.full(4, 1e-4)), "node two: du|node two: dv must lie"),
        (replace("one_to_two", nir.Threshold(np.ones(4))), "node one_to_two is a Threshold"),
        (replace("one_to_two", nir.Affine(np.ones((4, 6)), np.ones(4))), "node one_to_two: its bias"),
        (lambda nodes, edges: edges.append(("one", "two")), "node two: one reaches it without weights"),
        (lambda nodes, edges: edges.remove(("readout", "readout_to_output")), "node readout: a readout ends"),
        (lambda nodes, edges: nodes.pop("one_to_two"), "an edge names node one_to_two"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(file, change, words):
    rewrite(file, change)
    with pytest.raises(ModelError, match=words) as caught:
        read_perception_model(file, dt=DT)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)


def test_damage_is_refused(file, tmp_path):
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    for size in (0, 10, 1000, len(whole) // 2, len(whole) - 100):
        file.write_bytes(whole[:size])
        with pytest.raises(ModelError, match="model.nir"):
            read_perception_model(file)
    for k in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        try:
            model = read_perception_model(file)
        except ModelError as error:
            assert "\n" not in str(error)
        else:  # a bit that nothing depends on
            assert model.graph.hash == make_graph().hash, k
    with pytest.raises(ModelError, match="no such file"):
        read_perception_model(tmp_path / "absent.nir")


def test_a_changed_weight_does_not_match_the_hash(file):
    graph = nir.read(file, type_check=False)
    graph.nodes["one_to_two"].weight = graph.nodes["one_to_two"].weight * 1.01
    nir.write(file, graph)
    with pytest.raises(ModelError, match="does not match the hash"):
        read_perception_model(file)
