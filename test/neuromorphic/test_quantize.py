# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.agreement import compare
from liquid_spike_control.neuromorphic.emulator.loihi import LoihiEmulator, quantise_weights
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise, quantise_reported, split_signs
from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.resources import shipped_model
from liquid_spike_control.spiking.graph import Correlation, CubaPopulation, Linear, SpikingGraph, Synapses
from liquid_spike_control.spiking.nir_io import read_perception_model
from liquid_spike_control.types import SpikeTrain


def neurons(n, du=0.5, dv=0.25, vth=1.0, bias=0.0, **options):
    return CubaPopulation(np.full(n, du), np.full(n, dv), np.full(n, vth), np.full(n, bias), **options)


def layer(weight, **options):
    p = neurons(len(weight), **options)
    return SpikingGraph(weight.shape[1], {"a": p}, [Linear("input", "a", weight)], ("a",))


def graph(integers, scale, vth, bias=0.0, **options):
    return layer(integers * scale, vth=vth * scale, bias=bias * scale, **options)


def even(rng, shape):
    return 2 * rng.integers(-128, 128, shape)


def poisson(rng, n_steps, n, rate):
    return SpikeTrain.from_dense(rng.random((n_steps, n)) < rate)


def same_spikes(g, network, train):
    expected = FloatReference(g).run(train)
    got = LoihiEmulator(network).run(train)
    assert len(expected.ids) > 20
    np.testing.assert_array_equal(got.indptr, expected.indptr)
    np.testing.assert_array_equal(got.ids, expected.ids)


def test_weights_on_the_grid_are_taken_without_loss():
    integers = even(np.random.default_rng(0), (20, 30))
    network = quantise(graph(integers, 0.0137, 300, bias=2), {"a": 0.0137})
    np.testing.assert_array_equal(network.connections[0].synapses, integers)
    a = network.populations["a"]
    assert (a.du, a.dv, a.vth, a.bias) == (2047, 1024, 300, 128)


def test_a_recorded_scale_may_need_a_weight_exponent():
    integers = 8 * even(np.random.default_rng(0), (20, 30))
    network = quantise(graph(integers, 0.01, 3000), {"a": 0.01})
    (dense,) = network.connections
    np.testing.assert_array_equal(dense.synapses << dense.weight_exp, integers)
    assert dense.weight_exp == 3 and network.populations["a"].vth == 3000


def test_the_shipped_perception_keeps_its_integers():
    model = read_perception_model(shipped_model("pencil/perception.nir"))
    network, report = quantise_reported(model.graph, model.metadata["weight_scale"])
    scale = model.metadata["weight_scale"]["pole"]
    for c, d in zip(network.connections, model.graph.connections, strict=True):
        np.testing.assert_array_equal(c.synapses * scale, d.weight)
        assert c.weight_exp == 0
    (pole,) = report.populations
    assert (pole.clipped, pole.vanished, pole.threshold_error, pole.decay_error) == (0, 0, 0, 0)
    assert pole.weight_error < 1e-12 and pole.unit == scale


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_weights_use_the_range_and_round_to_the_nearest(bits):
    weight = np.random.default_rng(2).normal(size=(30, 40))
    network, report = quantise_reported(layer(weight, du=0.3, dv=0.2, vth=3.0), num_weight_bits=bits)
    (dense,), (row,) = network.connections, report.populations
    stored, step = dense.synapses, 2 ** (9 - bits)
    np.testing.assert_array_equal(stored, quantise_weights(stored, bits))
    scale = row.unit * 2.0**dense.weight_exp
    assert np.abs(stored).max() == 256 - step and (dense.num_weight_bits, row.num_weight_bits) == (bits, (bits,))
    assert np.abs(stored * scale - weight).max() <= scale * step / 2 * 1.0001
    assert abs(network.populations["a"].vth * row.unit / 3.0 - 1) < 3e-4
    assert row.vanished == np.sum(stored == 0) and row.clipped == 0 and row.threshold_error < 3e-4


def test_inputs_and_recurrence_share_the_unit_of_their_target():
    connections = [Linear("input", "a", np.full((4, 3), 2.0)), Linear("a", "a", np.full((4, 4), -0.5))]
    network = quantise(SpikingGraph(3, {"a": neurons(4)}, connections, ("a",)))
    x, r = (int(c.synapses[0, 0]) << c.weight_exp for c in network.connections)
    assert x == -4 * r and network.populations["a"].vth * 2 == x


def test_weak_recurrence_keeps_its_bits_by_an_exponent_of_its_own():
    rng = np.random.default_rng(3)
    w = rng.normal(size=(20, 10)), rng.normal(size=(20, 20)) / 50
    g = SpikingGraph(10, {"a": neurons(20)}, [Linear("input", "a", w[0]), Linear("a", "a", w[1])], ("a",))
    network, report = quantise_reported(g)
    for c, weight in zip(network.connections, w, strict=True):
        error = c.synapses * (report.units["a"] * 2.0**c.weight_exp) - weight
        assert np.sqrt((error**2).mean()) < 0.02 * weight.std()


def test_a_network_on_the_grid_spikes_alike():
    rng = np.random.default_rng(1)
    g = graph(even(rng, (40, 30)), 1.0, 400.5)
    (row,) = compare(g, quantise(g, {"a": 1.0}), poisson(rng, 300, 30, 0.1)).populations
    assert row.f1 > 0.97 and row.rate_error < 0.005


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("dv", [0.0, 1.0])
@pytest.mark.parametrize("unit", [0.125, 3.0])
def test_voltages_in_whole_weights_spike_alike_to_the_step(inclusive, dv, unit):
    """Integrate-and-fire and memoryless neurons meet their thresholds exactly, and often."""
    rng = np.random.default_rng(4)
    g = layer(unit * rng.integers(-7, 9, (30, 20)), du=1.0, dv=dv, vth=12 * unit, inclusive=inclusive)
    network, report = quantise_reported(g)
    same_spikes(g, network, poisson(rng, 400, 20, 0.3))
    assert report.populations[0].weight_error < 1e-9 and report.populations[0].threshold_error == 0


def test_averages_over_pixels_are_taken_without_loss():
    """The chain of a pool and weights: multiples of a quarter."""
    rng = np.random.default_rng(5)
    weight = rng.integers(-3, 4, 200) / 4
    at = np.unravel_index(rng.choice(400, 200, replace=False), (20, 20))
    synapses = Synapses("input", "a", (20, 20), at[1], at[0], weight, rng.integers(0, 5, 200))
    g = SpikingGraph(20, {"a": neurons(20, du=1.0, dv=0.0, inclusive=True)}, [synapses], ("a",))
    same_spikes(g, quantise(g), poisson(rng, 300, 20, 0.2))


def test_a_convolution_with_a_delay_and_dead_times():
    rng = np.random.default_rng(6)
    weight = rng.integers(-5, 6, (4, 2, 3, 3)) / 8
    c = Correlation("input", "a", weight, (2, 8, 8), (2, 2), (1, 1), channels_first=True, delay=3)
    g = SpikingGraph(128, {"a": neurons(64, du=1.0, dv=0.0, refractory=3, start=5)}, [c], ("a",))
    same_spikes(g, quantise(g), poisson(rng, 200, 128, 0.1))


def test_a_high_threshold_shifts_the_sum_down():
    rng = np.random.default_rng(7)
    g = layer(1e-3 * rng.random((4, 5)), du=0.01, dv=0.01, vth=2.0)
    network, report = quantise_reported(g)
    assert network.connections[0].weight_exp == -2 and 2**16 <= network.populations["a"].vth < 2**17
    assert abs(network.populations["a"].vth * report.units["a"] / 2 - 1) < 1e-5
    scaled = quantise(g, {"a": 4e-6})
    assert scaled.connections[0].weight_exp == -2 and scaled.populations["a"].vth == 125000


def test_bits_and_exponents_by_name():
    rng = np.random.default_rng(8)
    w = rng.normal(size=(8, 8)), rng.normal(size=(8, 8))
    g = SpikingGraph(8, {"a": neurons(8)}, [Linear("input", "a", w[0]), Linear("a", "a", w[1])], ("a",))
    network = quantise(g, num_weight_bits={"a": 5, "a -> a": 3}, weight_exp={"input -> a": 2, "a -> a": 3})
    assert [(c.num_weight_bits, c.weight_exp) for c in network.connections] == [(5, 2), (3, 3)]
    with pytest.raises(ModelError, match="input -> a: num_weight_bits must lie in 1 .. 8, not 9"):
        quantise(g, num_weight_bits=9)
    for given in ({"num_weight_bits": {"b": 3}}, {"weight_exp": {"a -> input": 3}}, {"weight_scale": {"A": 1.0}}):
        with pytest.raises(ModelError, match="is no population and no connection; there are .'a', 'input -> a', 'a"):
            quantise(g, **given)
    with pytest.raises(ModelError, match="input -> a: weight_exp must lie in -8 .. 7, not 8"):
        quantise(g, weight_exp=8)


def test_nothing_is_clipped_in_silence():
    g = layer(np.array([[1.0, 0.5, -0.25], [0.001, 0.9, -0.8]]))
    with pytest.warns(UserWarning, match="a: 2 of 6 weights were clipped"):
        quantise(g, {"a": 1 / 320}, weight_exp=0)
    _, report = quantise_reported(g, {"a": 1 / 320}, weight_exp=0)
    (row,) = report.populations
    assert (row.clipped, row.vanished, row.n_weights) == (2, 1, 6) and "clipped" in str(report)
    _, report = quantise_reported(g, {"a": 1 / 320})
    assert report.populations[0].clipped == 0 and report.populations[0].weight_exp == (1,)


def test_when_one_sign_vanishes_the_other_is_stored_without_it():
    """-256 exists beside weights of the other sign only."""
    g = layer(np.array([[-1.0, -0.5, 0.001]]))
    network = quantise(g, {"a": 1 / 256}, num_weight_bits=2)
    stored = network.connections[0].synapses << network.connections[0].weight_exp
    assert stored.tolist() == [[-256, -128, 0]]


def test_one_bit_weights_of_both_signs_are_split():
    rng = np.random.default_rng(9)
    g = layer(rng.choice([-0.3, 0.0, 0.3], (20, 30)), du=1.0, dv=0.0, inclusive=True)
    with pytest.raises(ModelError, match="input -> a: 1-bit weights of both signs"):
        quantise(g, num_weight_bits=1)
    same_spikes(g, quantise(split_signs(g), num_weight_bits=1), poisson(rng, 300, 30, 0.1))


def test_the_voltage_of_a_leaky_integrator_does_not_saturate():
    rng = np.random.default_rng(10)
    g = layer(rng.normal(size=(5, 40)), du=0.2, dv=0.1, spiking=False)
    network, report = quantise_reported(g)
    train = poisson(rng, 200, 40, 0.5)
    expected, probe = FloatReference(g).voltages(train)["a"], LoihiEmulator(network).probe(train)["a"]
    assert not probe.spikes.any()
    assert np.abs(probe.v * (report.units["a"] / 64) - expected).max() < 0.02 * np.abs(expected).max()
    assert "saturate" in str(quantise_reported(g, {"a": 1e-3}, weight_exp=4)[1])


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(ModelError, match="a: weights and threshold are too far apart"):
        quantise(layer(np.full((1, 1), 1e-3), vth=1e9, dv=0.0))
    with pytest.raises(ModelError, match="a: weights and threshold are too far apart"):
        quantise(layer(np.full((1, 1), 1e3)), {"a": 1e-3})
    with pytest.raises(ModelError, match="a: a bias is too large"):
        quantise(layer(np.full((1, 1), 1e-3), bias=1e3), {"a": 1e-5})
    with pytest.raises(ModelError, match="a: a time constant beyond 8192 steps"):
        quantise(layer(np.ones((1, 1)), dv=1e-5))
    with pytest.raises(ModelError, match="a: weight_scale must be positive"):
        quantise(layer(np.ones((1, 1))), {"a": -1.0})


def test_both_backends_have_one_step_of_delay():
    g = graph(np.full((1, 1), 200), 1.0, 100)
    train = SpikeTrain.from_dense(np.array([[1], [0], [0]]))
    for backend in (FloatReference(g), LoihiEmulator(quantise(g))):
        with backend:
            spikes = backend.run(train)
            assert spikes.step(0).size == 0 and list(spikes.step(1)) == [0]
            assert backend.stats().synaptic_operations == 1
            assert (backend.n_inputs, backend.n_outputs, len(backend.network_hash)) == (1, 1, 64)


def test_memoryless_neurons_may_subtract():
    """Nothing is left of the voltage in the next step, whatever the reset."""
    rng = np.random.default_rng(11)
    weight = rng.integers(-7, 9, (30, 20)) / 8
    g = layer(weight, du=1.0, dv=1.0, reset="subtract")
    same_spikes(g, quantise(g), poisson(rng, 400, 20, 0.3))


def test_many_weights_close_together_are_no_grid():
    weight = np.random.default_rng(12).uniform(0.5, 1, (1000, 1000))
    _, report = quantise_reported(layer(weight, vth=100.0))
    assert 1e-4 < report.populations[0].weight_error < 0.003


def test_grids_of_several_connections_are_found():
    """As fine-tuning leaves them: 3-bit weights, the recurrent ones a fourth of the others."""
    rng = np.random.default_rng(13)
    w = 0.0137 * rng.integers(-4, 4, (20, 10)), 0.0137 / 4 * rng.integers(-4, 4, (20, 20))
    g = SpikingGraph(10, {"a": neurons(20)}, [Linear("input", "a", w[0]), Linear("a", "a", w[1])], ("a",))
    network, report = quantise_reported(g, num_weight_bits=3)
    assert report.populations[0].weight_error < 1e-9 and report.populations[0].clipped == 0
    x, r = network.connections
    assert x.weight_exp == r.weight_exp + 2


def test_neurons_that_only_a_bias_drives():
    p = CubaPopulation(np.full(2, 0.5), np.full(2, 0.1), np.full(2, 0.5), np.array([1.0, 0.1]))
    g = SpikingGraph(1, {"a": p}, [Linear("input", "a", np.zeros((2, 1)))], ("a",))
    same_spikes(g, quantise(g), SpikeTrain.from_dense(np.zeros((50, 1))))


def random_layer(rng):
    """Weights, thresholds and biases of any size, in any mode."""
    n, size = rng.integers(1, 6), 10.0 ** rng.uniform(-9, 9)
    threshold = size * 10.0 ** rng.uniform(-3, 4)
    du, dv = rng.choice([0, 1 / 4096, 0.3, 0.9999, 1], (2, n))
    bias = rng.choice([0, 0, threshold * 10.0 ** rng.uniform(-6, 2)], n) * rng.choice([-1, 1], n)
    inclusive, spiking = rng.random(2) < (0.5, 0.8)
    p = CubaPopulation(du, dv, threshold * rng.uniform(0.5, 1, n), bias, bool(inclusive), spiking=bool(spiking))

    def weight(columns):
        w = rng.normal(size=(n, columns)) * size * (rng.random((n, columns)) < 0.8)
        kind = rng.integers(4)
        return (w, np.abs(w), -np.abs(w), np.rint(w / size * 3) * size)[kind]

    connections = [Linear("input", "a", weight(4)), Linear("a", "a", weight(n) * 10.0 ** rng.uniform(-3, 3))]
    return SpikingGraph(4, {"a": p}, connections[: rng.integers(1, 3)], ("a",))


def test_any_layer_is_rounded_within_half_a_step_or_refused():
    kept = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        g, bits = random_layer(rng), int(rng.integers(1, 9))
        try:
            network, report = quantise_reported(g, num_weight_bits=bits)
        except ModelError as error:
            assert str(error).startswith(("a: ", "a -> a: ", "input -> a: ")) and ";" in str(error)
            continue
        kept += 1
        (row,) = report.populations
        for c, d in zip(network.connections, g.connections, strict=True):
            step = row.unit * 2.0**c.weight_exp
            distance = 2 ** (8 - bits + (d.weight.min() < 0 < d.weight.max()))
            scale = np.array(row.scale or [1.0] * len(d.weight))[:, None]
            assert np.abs(c.synapses * step - d.weight * scale).max() <= 0.50001 * distance * step, seed
        assert row.clipped == 0
        assert row.threshold_error < 1.2 / max(1, np.min(network.populations["a"].vth))
        assert ("a threshold is off" in str(report)) is (row.threshold_error > 0.02)
    assert kept > 200


def test_neurons_a_thousand_times_larger_than_others_take_none_of_their_weights():
    """Four of 64 neurons, thresholds and all, are 2,000 times larger."""
    rng = np.random.default_rng(20)
    size = np.where(np.arange(64) < 4, 2000.0, 1.0)
    weight = rng.normal(0.05, 0.3, (64, 32)) * size[:, None]
    p = CubaPopulation(np.full(64, 0.5), np.full(64, 0.1), size, np.zeros(64))
    g = SpikingGraph(32, {"a": p}, [Linear("input", "a", weight)], ("a",))
    network, report = quantise_reported(g)
    (row,) = report.populations
    assert row.vanished < 40 and row.weight_error < 0.02  # 1,921 with one unit
    assert np.ptp(network.populations["a"].vth) == 0  # a threshold for all: that is what a chip has few of
    train = poisson(rng, 600, 32, 0.1)
    assert compare(g, network, train, report.units).populations[0].f1 > 0.97
    assert "scaled by up to 2e+03" in str(report)
    assert report.units["a"].shape == (64,)


@pytest.mark.parametrize("kind", ["dense", "sparse", "conv"])
def test_rows_of_many_sizes_keep_their_spikes(kind):
    """Log-normal sizes, sigma 1.5, thresholds in proportion: with one unit for all F1 is 0.81."""
    rng = np.random.default_rng(21)
    size = rng.lognormal(0, 1.5, 40)
    size /= size.max()
    if kind == "conv":
        c = Correlation("input", "a", rng.normal(0.1, 0.3, (40, 2, 3, 3)) * size[:, None, None, None], (2, 8, 8))
        thresholds = np.tile(size, c.shape[0] // 40)
    else:
        weight = rng.normal(0.05, 0.3, (40, 32)) * size[:, None]
        c, thresholds = Linear("input", "a", weight), size
        if kind == "sparse":
            c = Synapses("input", "a", weight.shape, *c.synapses())
    n = len(thresholds)
    p = CubaPopulation(np.full(n, 0.5), np.full(n, 0.1), thresholds * rng.uniform(0.9, 1.1, n), np.zeros(n))
    g = SpikingGraph(c.shape[1], {"a": p}, [c], ("a",))
    network, report = quantise_reported(g)
    agreement = compare(g, network, poisson(rng, 500, c.shape[1], 0.1), report.units).populations[0]
    assert agreement.f1 > 0.95 and agreement.rate_error < 0.02 * agreement.float_rate
    single = quantise_reported(g, {"a": float(np.abs(c.weight).max()) / 254})[1].populations[0]
    assert single.vanished > 10 and f"{single.vanished:,} of {single.n_weights:,} weights became 0" in str(single.notes)


def test_neurons_that_count_do_not_saturate_early():
    """500 inhibitory steps, then excitatory ones: the first spike is that of the floats."""
    p = CubaPopulation(np.ones(1), np.zeros(1), np.ones(1), np.zeros(1))
    g = SpikingGraph(2, {"a": p}, [Linear("input", "a", np.array([[1.0, -1.0]]))], ("a",))
    train = SpikeTrain.from_steps([np.array([1])] * 500 + [np.array([0])] * 600)
    exact, fixed = FloatReference(g).run(train), LoihiEmulator(quantise(g)).run(train)
    assert np.flatnonzero(np.diff(exact.indptr))[0] == 1002
    np.testing.assert_array_equal(fixed.indptr, exact.indptr)
    fractions = layer(np.random.default_rng(1).normal(size=(3, 4)), du=1.0, dv=0.0)
    assert "saturates there" in str(quantise_reported(fractions)[1])


@pytest.mark.parametrize("threshold", [1e9, np.inf])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_a_layer_that_never_spikes_is_read_like_a_leaky_integrator(threshold, reset):
    rng = np.random.default_rng(22)
    weight = rng.normal(size=(5, 40))
    silent = layer(weight, du=0.2, dv=0.1, vth=threshold, reset=reset)
    integrator = layer(weight, du=0.2, dv=0.1, spiking=False)
    network, report = quantise_reported(silent)
    assert network.hash == quantise(integrator).hash
    train = poisson(rng, 200, 40, 0.5)
    expected, probe = FloatReference(silent).voltages(train)["a"], LoihiEmulator(network).probe(train)["a"]
    assert not probe.spikes.any()
    assert np.abs(probe.v * (report.units["a"] / 64) - expected).max() < 0.02 * np.abs(expected).max()
    assert compare(silent, network, train, report.units).populations[0].membrane_error < 0.02


def test_one_silent_neuron_does_not_coarsen_the_others():
    rng = np.random.default_rng(23)
    p = CubaPopulation(np.full(6, 0.4), np.full(6, 0.1), np.array([1, 1, 1, 1, 1, np.inf]), np.zeros(6))
    g = SpikingGraph(20, {"a": p}, [Linear("input", "a", rng.normal(0.1, 0.4, (6, 20)))], ("a",))
    network, report = quantise_reported(g)
    agreement = compare(g, network, poisson(rng, 400, 20, 0.1), report.units).populations[0]
    assert agreement.f1 > 0.97 and network.populations["a"].vth[5] == 2**17 - 1
