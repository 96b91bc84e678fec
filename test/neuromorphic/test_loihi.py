# SPDX-License-Identifier: Apache-2.0
"""The emulator against spikes, currents and voltages that Intel's Lava recorded."""

from pathlib import Path

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.emulator.loihi import (
    Conv,
    Dense,
    LoihiEmulator,
    LoihiNetwork,
    Population,
    Sparse,
)
from liquid_spike_control.types import SpikeTrain

DATA = Path(__file__).parents[1] / "data"
DENSE = np.load(DATA / "loihi_lif_dense.npz")
OTHERS = np.load(DATA / "loihi_conv_delay_sdn_rf.npz")


def cases(arrays, prefix):
    names = sorted({key.split("_")[0] for key in arrays.files if key.startswith(prefix)})
    assert names
    return names


@pytest.mark.parametrize("case", cases(DENSE, "n"))
def test_dense_layers_match_lava_in_u_v_and_spikes(case):
    layers = sorted({key.split("_")[1] for key in DENSE.files if key.startswith(f"{case}_l")})

    def value(layer, name):
        return DENSE[f"{case}_{layer}_{name}"]

    populations, connections, source = {}, [], "input"
    for layer in layers:
        w = value(layer, "W")
        du, dv, vth, bm, be = (value(layer, name) for name in ("du", "dv", "vth", "bm", "be"))
        populations[layer] = Population(len(w), du=du, dv=dv, vth=vth, bias_mant=bm, bias_exp=be)
        connections.append(Dense(source, layer, w, int(value(layer, "bits")), int(value(layer, "exp"))))
        source = layer
    inputs = DENSE[f"{case}_in"]
    network = LoihiNetwork(len(inputs), populations, connections)
    probes = LoihiEmulator(network).probe(SpikeTrain.from_dense(inputs.T))
    for layer in layers:
        np.testing.assert_array_equal(probes[layer].u, value(layer, "u"))
        np.testing.assert_array_equal(probes[layer].v, value(layer, "v"))
        np.testing.assert_array_equal(probes[layer].spikes, value(layer, "s"))
    output = LoihiEmulator(network).run(SpikeTrain.from_dense(inputs.T))
    np.testing.assert_array_equal(output.to_dense(network.n_outputs), value(layers[-1], "s"))


def neurons(case, n):
    return Population(n, **{name: int(OTHERS[f"{case}_{name}"]) for name in ("du", "dv", "vth")})


@pytest.mark.parametrize("case", cases(OTHERS, "conv"))
@pytest.mark.parametrize("channels_first", [False, True])
def test_conv_matches_lava(case, channels_first):
    inputs, expected = OTHERS[f"{case}_in"], OTHERS[f"{case}_s"]
    conv = Conv(
        "input",
        "conv",
        OTHERS[f"{case}_W"],
        inputs.shape[:3],
        stride=int(OTHERS[f"{case}_stride"]),
        padding=int(OTHERS[f"{case}_padding"]),
        channels_first=channels_first,
    )
    assert conv.output_shape == expected.shape[:3]
    n_inputs, n = int(np.prod(conv.input_shape)), int(np.prod(conv.output_shape))
    network = LoihiNetwork(n_inputs, {"conv": neurons(case, n)}, [conv])
    if channels_first:
        inputs = inputs.transpose(2, 0, 1, 3)
    train = SpikeTrain.from_dense(inputs.reshape(n_inputs, -1).T)
    output = LoihiEmulator(network).run(train)
    np.testing.assert_array_equal(output.to_dense(n), expected.reshape(n, -1).T)


@pytest.mark.parametrize("case", cases(OTHERS, "delay"))
def test_delays_match_lava(case):
    w, exponent = OTHERS[f"{case}_W"], int(OTHERS[f"{case}_weight_exp"])
    dense = Dense("input", "lif", w, weight_exp=exponent, delays=OTHERS[f"{case}_D"])
    network = LoihiNetwork(w.shape[1], {"lif": neurons(case, len(w))}, [dense])
    output = LoihiEmulator(network).run(SpikeTrain.from_dense(OTHERS[f"{case}_in"].T))
    np.testing.assert_array_equal(output.to_dense(len(w)), OTHERS[f"{case}_s"].T)


def small(**changes):
    arguments = {
        "n_inputs": 3,
        "populations": {"a": Population(2, du=100, dv=100, vth=5), "b": Population(4, du=0, dv=0, vth=9)},
        "connections": [Dense("input", "a", np.full((2, 3), 100)), Dense("a", "b", np.full((4, 2), 50))],
    }
    return LoihiNetwork(**{**arguments, **changes})


def test_run_is_step_after_step_and_reset_starts_over():
    rng = np.random.default_rng(0)
    train = SpikeTrain.from_dense(rng.random((50, 3)) < 0.3)
    with LoihiEmulator(small()) as emulator:
        whole = emulator.run(train)
        stats = emulator.stats()
        emulator.reset()
        assert emulator.stats().steps == 0
        stepped = SpikeTrain.from_steps([emulator.step(train.step(k)) for k in range(50)])
        assert emulator.stats() == stats
    assert len(whole.ids) > 10
    np.testing.assert_array_equal(whole.indptr, stepped.indptr)
    np.testing.assert_array_equal(whole.ids, stepped.ids)


def test_outputs_are_concatenated_in_order():
    train = SpikeTrain.from_dense(np.random.default_rng(1).random((40, 3)) < 0.4)
    every = LoihiEmulator(small()).run_all(train)
    both = LoihiEmulator(small(outputs=("b", "a"))).run(train).to_dense(6)
    np.testing.assert_array_equal(both, np.hstack([every["b"].to_dense(4), every["a"].to_dense(2)]))


def test_long_runs_are_cut_without_a_seam(monkeypatch):
    train = SpikeTrain.from_dense(np.random.default_rng(2).random((60, 3)) < 0.4)
    whole = LoihiEmulator(small()).run(train)
    monkeypatch.setattr("liquid_spike_control.neuromorphic.emulator.loihi._ROOM", 28)
    cut = LoihiEmulator(small()).run(train)
    np.testing.assert_array_equal(whole.indptr, cut.indptr)
    np.testing.assert_array_equal(whole.ids, cut.ids)


@pytest.mark.parametrize("ids", [[3], [-1], [0, 2**31 - 1]])
def test_axons_that_do_not_exist_are_refused_and_change_nothing(ids):
    emulator = LoihiEmulator(small())
    with pytest.raises(ValueError, match="0 .. 2"):
        emulator.step(np.array(ids))
    assert emulator.stats().steps == 0


def test_hash_is_of_what_decides_the_spikes():
    assert small().hash == small().hash and len(small().hash) == 64
    odd = small(connections=[Dense("input", "a", np.full((2, 3), 101)), Dense("a", "b", np.full((4, 2), 50))])
    # At 7 bits 100 and 101 are stored alike.
    alike = [
        small(connections=[Dense("input", "a", np.full((2, 3), w), num_weight_bits=7)]).hash
        for w in (100, 101)
    ]
    assert odd.hash != small().hash
    assert alike[0] == alike[1]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Population(4, du=4096, dv=0, vth=1), "du must lie in 0 .. 4095"),
        (lambda: Population(4, du=0.5, dv=0, vth=1), "du: give one integer, or 4"),
        (lambda: Dense("input", "a", np.full((2, 3), 0.5)), "weights must be integers"),
        (lambda: small(connections=[Dense("input", "c", np.ones((2, 3), int))]), "c is no population"),
        (lambda: small(connections=[Dense("input", "a", np.ones((2, 4), int))]), "it joins 4 to 2"),
        (lambda: small(outputs=("z",)), "output z is no population"),
        (lambda: Conv("input", "a", np.full((1, 3, 3, 1), 300), (8, 8, 1)), "-256 .. 255"),
        (lambda: Conv("input", "a", np.ones((1, 9, 9, 1), int), (8, 8, 1)), "larger than the input"),
    ],
)
def test_what_cannot_be_is_refused_by_name(build, words):
    with pytest.raises(ModelError, match=words):
        build()


def _probe(network, spikes):
    return LoihiEmulator(network).probe(spikes)


def _same(a, b):
    for name in a:
        for field in ("u", "v", "spikes"):
            np.testing.assert_array_equal(getattr(a[name], field), getattr(b[name], field), err_msg=name)


@pytest.mark.parametrize("rounding", ["lava", "brian2loihi"])
@pytest.mark.parametrize("exponent", [-3, 0, 2])
def test_sparse_synapses_act_as_dense_ones(rounding, exponent):
    rng = np.random.default_rng(5)
    weights = rng.integers(-200, 200, (40, 30)) * (rng.random((40, 30)) < 0.3)
    delays = rng.integers(0, 9, weights.shape)
    spikes = SpikeTrain.from_dense(rng.random((80, 30)) < 0.2)
    targets, sources = np.nonzero(weights)
    options = {"weight_exp": exponent, "rounding": rounding, "num_weight_bits": 6}
    dense = Dense("input", "a", weights, delays=delays, **options)
    # Order does not matter
    order = rng.permutation(len(targets))
    at = targets[order], sources[order]
    sparse = Sparse("input", "a", weights.shape, *at, weights[at], delays=delays[at], **options)
    network, other = (
        LoihiNetwork(30, {"a": Population(40, du=500, dv=100, vth=200)}, [c]) for c in (dense, sparse)
    )
    expected = _probe(network, spikes)
    assert expected["a"].spikes.any()
    _same(expected, _probe(other, spikes))


def test_rounding_rules_differ_where_they_should():
    weights = np.array([[-101, 101, -3, 3]])
    dense = Dense("input", "a", weights, num_weight_bits=6, weight_exp=-2)
    np.testing.assert_array_equal(dense.synapses, [[-104, 96, -8, 0]])
    assert dense.shift == -2  # the sum is shifted
    other = Dense("input", "a", weights, num_weight_bits=6, weight_exp=-2, rounding="brian2loihi")
    np.testing.assert_array_equal(other.synapses, [[-24, 24, 0, 0]])
    assert other.shift == 0


@pytest.mark.parametrize("delay", [1, 5])
def test_a_delay_shared_by_all_synapses_only_shifts(delay):
    rng = np.random.default_rng(6)
    kernel = rng.integers(-100, 128, (4, 3, 3, 2))
    matrix = rng.integers(-100, 128, (20, 128))
    spikes = SpikeTrain.from_dense(rng.random((60, 128)) < 0.1)

    def run(late):
        network = LoihiNetwork(
            128,
            {"a": Population(256, du=700, dv=300, vth=300), "b": Population(20, du=700, dv=300, vth=900)},
            [
                Conv("input", "a", kernel, (8, 8, 2), padding=1, delay=late),
                Dense("input", "b", matrix, delays=late),
            ],
            outputs=("a", "b"),
        )
        return LoihiEmulator(network).run(spikes).to_dense(276)

    at_once, later = run(0), run(delay)
    assert at_once.any(0)[:256].any() and at_once.any(0)[256:].any()
    np.testing.assert_array_equal(later[delay:], at_once[:-delay])
    assert not later[:delay].any()


def test_start_holds_the_voltage_at_zero():
    population = Population(3, du=4095, dv=0, vth=10, bias_mant=64 * 3, start=np.array([0, 2, 5]))
    network = LoihiNetwork(1, {"a": population}, [])
    v = _probe(network, SpikeTrain.from_dense(np.zeros((8, 1), bool)))["a"].v // 64
    free = np.array([3, 6, 9, 0, 3, 6, 9, 0])
    for neuron, start in enumerate((0, 2, 5)):
        np.testing.assert_array_equal(v[:, neuron], [0] * start + list(free[: 8 - start]))


def _sparse_network(rng, delays):
    """Two populations of synapses one by one, in random order, recurrent, one or many delays."""

    def synapses(source, target, n, m):
        pairs = rng.permutation(np.flatnonzero(rng.random(n * m) < 0.05))
        late = rng.integers(0, 6, len(pairs)) if delays else 3
        weights = rng.integers(-200, 256, len(pairs))
        return Sparse(source, target, (m, n), pairs % m, pairs // m, weights, delays=late)

    populations = {
        "a": Population(2500, du=500, dv=100, vth=400),
        "b": Population(40, du=500, dv=100, vth=100, bias_mant=3),
    }
    connections = [synapses("input", "a", 300, 2500), synapses("a", "b", 2500, 40), synapses("b", "a", 40, 2500)]
    return LoihiNetwork(300, populations, [*connections, synapses("a", "a", 2500, 2500)], ("b", "a"))


@pytest.mark.parametrize("delays", [False, True])
def test_two_threads_give_the_same_state_as_one(delays):
    rng = np.random.default_rng(4)
    network = _sparse_network(rng, delays)
    spikes = SpikeTrain.from_dense(rng.random((60, 300)) < 0.01)
    one, two = LoihiEmulator(network, threads=1), LoihiEmulator(network, threads=2)
    expected, got = one.run(spikes), two.run(spikes)
    assert len(expected.ids) > 1000
    np.testing.assert_array_equal(got.indptr, expected.indptr)
    np.testing.assert_array_equal(got.ids, expected.ids)
    for a, b in zip(one.state, two.state, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.stats() == two.stats()
    with pytest.raises(ValueError, match="0 .. 299"):
        two.step(np.array([300]))


@pytest.mark.parametrize("delays", [False, True])
def test_the_order_in_which_synapses_are_named_changes_no_spike(delays):
    rng = np.random.default_rng(5)
    network = _sparse_network(rng, delays)
    ordered = []
    for c in network.connections:
        by = np.lexsort((c.targets, c.sources))
        late = c.delays[by] if delays else c.delays
        ordered.append(Sparse(c.source, c.target, c.shape, c.targets[by], c.sources[by], c.weights[by], delays=late))
    other = LoihiNetwork(300, network.populations, ordered, network.outputs)
    spikes = SpikeTrain.from_dense(rng.random((60, 300)) < 0.01)
    expected, got = LoihiEmulator(network).run(spikes), LoihiEmulator(other).run(spikes)
    assert len(expected.ids) > 1000
    np.testing.assert_array_equal(got.ids, expected.ids)
    dense = []
    for c in network.connections:
        weights, late = np.zeros(c.shape, int), np.zeros(c.shape, int)
        weights[c.targets, c.sources], late[c.targets, c.sources] = c.weights, c.delays
        dense.append(Dense(c.source, c.target, weights, delays=late))
    got = LoihiEmulator(LoihiNetwork(300, network.populations, dense, network.outputs)).run(spikes)
    np.testing.assert_array_equal(got.ids, expected.ids)


def test_a_pair_that_is_named_twice_is_found_wherever_it_stands():
    rng = np.random.default_rng(6)
    pairs = rng.permutation(50 * 40)[:900]
    Sparse("input", "a", (40, 50), pairs % 40, pairs // 40, np.ones(900, int))
    for twice in (np.append(pairs, pairs[17]), np.sort(np.append(pairs, pairs[17]))):
        with pytest.raises(ModelError, match="two synapses"):
            Sparse("input", "a", (40, 50), twice % 40, twice // 40, np.ones(901, int))


def test_sparse_weights_are_stored_as_dense_ones_are():
    rng = np.random.default_rng(8)
    for low, high in ((-300, 300), (-300, 0), (0, 300), (-70000, 70000), (0, 1)):
        weights = rng.integers(low, high, 200)
        for bits in (1, 3, 8):
            for rounding, exponent in (("lava", -2), ("brian2loihi", -2), ("brian2loihi", 1)):
                c = Sparse("input", "a", (200, 1), np.arange(200), np.zeros(200, int), weights, bits, exponent,
                           rounding=rounding)  # fmt: skip
                np.testing.assert_array_equal(c.narrow_synapses, c.synapses)
