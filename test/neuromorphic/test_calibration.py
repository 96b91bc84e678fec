# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.agreement import compare
from liquid_spike_control.neuromorphic.emulator.loihi import LoihiEmulator, quantise_weights
from liquid_spike_control.neuromorphic.quantisation.calibration import HEADROOM, calibrate, sample_peaks
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise, quantise_reported, split_signs
from liquid_spike_control.neuromorphic.quantisation.rounding import Compensation, Grid
from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.spiking.graph import Correlation, CubaPopulation, Linear, SpikingGraph, Synapses
from liquid_spike_control.types import SpikeTrain


def neurons(n, **options):
    return CubaPopulation(np.full(n, 0.3), np.full(n, 0.1), np.ones(n), np.zeros(n), **options)


def heavy(rng, shape):
    """Weights with outliers, as training makes them."""
    return 0.01 + 0.15 * rng.standard_t(4, shape) * np.sqrt(8 / shape[1])


def samples(rng, n_steps, rate):
    return SpikeTrain.from_dense(rng.random((n_steps, len(rate))) < rate)


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    populations = {"a": neurons(60), "b": neurons(30), "c": neurons(6, spiking=False)}
    w = heavy(rng, (60, 40)), 0.3 * heavy(rng, (60, 60)), heavy(rng, (30, 60)), heavy(rng, (6, 30))
    ends = ("input", "a"), ("a", "a"), ("a", "b"), ("b", "c")
    graph = SpikingGraph(40, populations, [Linear(*e, x) for e, x in zip(ends, w, strict=True)], ("b",))
    rate = rng.uniform(0.01, 0.1, 40)
    return graph, samples(rng, 400, rate), samples(rng, 1000, rate)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_few_bits_do_better_on_held_out_spikes_than_by_the_largest_weight(case, bits):
    graph, shown, held_out = case
    network, losses = quantise_reported(graph, num_weight_bits=bits)
    calibration = calibrate(graph, shown, bits)
    before = compare(graph, network, held_out, losses.units).populations
    after = compare(graph, calibration.network, held_out, calibration.report.units).populations
    for name, a, b in zip(graph.populations, before, after, strict=True):
        assert b.membrane_error < 0.95 * a.membrane_error, name
        if a.float_rate:
            assert b.rate_error < 0.5 * a.rate_error and b.f1 > a.f1, name
    for c in calibration.network.connections:
        np.testing.assert_array_equal(c.synapses, quantise_weights(c.weights, bits))
    assert all(c.error_after < c.error_before for c in calibration.choices)
    assert "compensated" in str(calibration)


def test_one_bit_of_each_sign(case):
    graph, shown, held_out = case
    for least_f1 in (None, 0.5):
        with pytest.raises(ModelError, match="1-bit weights of both signs"):
            calibrate(graph, shown, 1, least_f1)
    calibration = calibrate(split_signs(graph), shown, 1)
    assert {abs(int(w)) for c in calibration.network.connections for w in np.unique(c.synapses)} == {0, 128}
    a, b, _ = compare(graph, calibration.network, held_out, n_traces=0).populations
    assert a.rate_error < 0.5 * a.float_rate and b.rate_error < 0.5 * b.float_rate


def test_a_population_takes_as_few_bits_as_it_needs():
    rng = np.random.default_rng(7)
    w = heavy(rng, (40, 30)), heavy(rng, (10, 40))
    connections = [Linear("input", "a", w[0]), Linear("a", "b", w[1])]
    graph = SpikingGraph(30, {"a": neurons(40), "b": neurons(10)}, connections, ("b",))
    rate = np.full(30, 0.05)
    easy, hard = (calibrate(graph, samples(rng, 300, rate), least_f1=f1) for f1 in (0.2, 0.6))
    for some, more in zip(easy.choices, hard.choices, strict=True):
        assert 2 <= some.num_weight_bits <= more.num_weight_bits <= 8
    assert easy.choices[0].num_weight_bits < hard.choices[0].num_weight_bits < 8
    assert compare(graph, hard.network, samples(rng, 600, rate), n_traces=0).populations[0].f1 > 0.5


def test_bits_may_differ_by_population(case):
    graph, shown, _ = case
    calibration = calibrate(graph, shown, {"a": 4, "c": 3})
    assert [c.num_weight_bits for c in calibration.choices] == [4, 8, 3]
    assert [c.num_weight_bits for c in calibration.network.connections] == [4, 4, 8, 3]


def test_weights_on_a_grid_are_left_alone():
    rng = np.random.default_rng(1)
    graph = SpikingGraph(
        20, {"a": neurons(10)}, [Linear("input", "a", rng.integers(-3, 4, (10, 20)) / 8)], ("a",)
    )
    calibration = calibrate(graph, samples(rng, 100, np.full(20, 0.1)), 3)
    assert calibration.choices[0].clip == 1 and calibration.report.populations[0].weight_error < 1e-12
    stored = calibration.network.connections[0]
    np.testing.assert_array_equal(stored.synapses % 64, 0)


def test_convolutions_and_sparse_synapses_are_calibrated_too():
    rng = np.random.default_rng(2)
    conv = Correlation("input", "a", heavy(rng, (4, 18)).reshape(4, 2, 3, 3), (2, 8, 8), (2, 2), (1, 1))
    at = np.unravel_index(rng.choice(64 * 20, 300, replace=False), (20, 64))
    weight = np.abs(heavy(rng, (300, 20)))[:, 0]
    sparse = Synapses("a", "b", (20, 64), at[1], at[0], weight, rng.integers(0, 4, 300))
    graph = SpikingGraph(128, {"a": neurons(64), "b": neurons(20)}, [conv, sparse], ("b",))
    rate = np.full(128, 0.05)
    shown, held_out = samples(rng, 300, rate), samples(rng, 600, rate)
    calibration = calibrate(graph, shown, 3)
    before = compare(graph, quantise(graph, num_weight_bits=3), held_out, n_traces=0).populations
    after = compare(graph, calibration.network, held_out, n_traces=0).populations
    for a, b in zip(before, after, strict=True):
        assert b.rate_error < 0.7 * a.rate_error
    assert calibration.network.connections[1].synapses.min() >= 0


def test_peaks_on_the_samples_allow_a_finer_unit_than_the_worst_case():
    """Of 600 axons one spikes at a time."""
    rng = np.random.default_rng(3)
    graph = SpikingGraph(600, {"a": neurons(5)}, [Linear("input", "a", rng.random((5, 600)))], ("a",))
    shown = SpikeTrain.from_steps([np.array([k]) for k in rng.integers(0, 600, 300)])
    _, losses = quantise_reported(graph)
    calibration = calibrate(graph, shown)
    assert "would wrap" in str(losses) and losses.units["a"] > 1 / 300
    assert calibration.report.units["a"] < 1 / 2000 and "would wrap" not in str(calibration)


def test_peaks_are_those_of_the_equations():
    rng = np.random.default_rng(4)
    w = rng.normal(size=(3, 5))
    p = CubaPopulation(np.full(3, 0.4), np.full(3, 0.2), np.full(3, 0.7), np.full(3, 0.05))
    spikes = rng.random((50, 5)) < 0.3
    u, v, peaks = np.zeros(3), np.zeros(3), np.zeros(2)
    for t in range(50):
        u = 0.6 * u + (w @ spikes[t - 1] if t else 0)
        v = 0.8 * v + u + 0.05
        peaks = np.maximum(peaks, [np.abs(u).max(), np.abs(v).max()])
        v[v > 0.7] = 0
    graph = SpikingGraph(5, {"a": p}, [Linear("input", "a", w)], ("a",))
    np.testing.assert_allclose(sample_peaks(graph, SpikeTrain.from_dense(spikes))["a"], HEADROOM * peaks)


def test_a_leaky_integrator_does_not_saturate():
    """By the rule of the largest weight its voltage would leave 24 bits."""
    rng = np.random.default_rng(5)
    p = CubaPopulation(np.full(3, 0.05), np.full(3, 0.02), np.ones(3), np.zeros(3), spiking=False)
    graph = SpikingGraph(30, {"a": p}, [Linear("input", "a", rng.random((3, 30)))], ("a",))
    shown, held_out = samples(rng, 300, np.full(30, 0.3)), samples(rng, 300, np.full(30, 0.3))
    calibration = calibrate(graph, shown)
    expected = FloatReference(graph).voltages(held_out)["a"]
    for network, units, close in (
        (calibration.network, calibration.report.units, True),
        (*(lambda n, r: (n, r.units))(*quantise_reported(graph)), False),
    ):
        v = LoihiEmulator(network).probe(held_out)["a"].v * units["a"] / 64
        assert bool(np.abs(v - expected).max() < 0.02 * expected.max()) is close


def test_samples_without_spikes_are_refused(case):
    with pytest.raises(ModelError, match="calibration needs sample spikes"):
        calibrate(case[0], SpikeTrain.from_dense(np.zeros((10, 40))))
    with pytest.raises(ModelError, match="x is no population; there are"):
        calibrate(case[0], case[1], {"x": 3})


@pytest.mark.parametrize("channels_first", [False, True])
def test_a_kernel_is_compensated_as_the_synapses_that_it_stands_for(channels_first):
    rng = np.random.default_rng(8)
    weight = rng.normal(size=(3, 2, 3, 3))
    conv = Correlation("input", "a", weight, (2, 7, 6), (2, 1), (1, 0), channels_first)
    spikes = rng.random((200, 84)) < rng.uniform(0, 0.5, 84)
    grid = Grid(0.9, -4, 3)
    p = neurons(conv.shape[0])
    (kernel,) = Compensation(p, [conv], [SpikeTrain.from_dense(spikes)]).round([conv], [grid])
    integers = np.rint(kernel / 0.9)
    np.testing.assert_allclose(kernel, 0.9 * integers, atol=1e-12)

    def current(w):
        at = replace(conv, weight=w)
        dense = np.zeros(at.shape)
        source, target, value = at.synapses()
        dense[target, source] = value
        felt, u, v = [], np.zeros(84), np.zeros(84)
        for x in spikes:
            u = 0.7 * u + x
            v = 0.9 * v + u
            felt.append(v)
        return dense @ np.array(felt).T

    nearest = 0.9 * np.clip(np.rint(weight / 0.9), -4, 3)
    errors = [np.sqrt(((current(w) - current(weight)) ** 2).mean()) for w in (kernel, nearest)]
    assert errors[0] < 0.7 * errors[1]


def test_compensated_weights_keep_the_currents():
    rng = np.random.default_rng(6)
    p = neurons(50)
    weight = rng.normal(size=(50, 30)) * (rng.random((50, 30)) < 0.7)
    common = rng.random((500, 1)) < 0.3
    spikes = np.where(rng.random((500, 30)) < 0.8, common, rng.random((500, 30)) < 0.1)
    grid = Grid(0.8, -4, 3)
    connections = [Linear("input", "a", weight)]
    (rounded,) = Compensation(p, connections, [SpikeTrain.from_dense(spikes)]).round(connections, [grid])
    nearest = 0.8 * np.clip(np.rint(weight / 0.8), -4, 3)
    integers = np.rint(rounded / 0.8)
    np.testing.assert_allclose(rounded, 0.8 * integers, atol=1e-12)
    assert (integers.min(), integers.max()) == (-4, 3)
    assert not rounded[weight == 0].any()
    fresh = np.where(rng.random((500, 30)) < 0.8, rng.random((500, 1)) < 0.3, rng.random((500, 30)) < 0.1)
    errors = [np.sqrt((((w - weight) @ fresh.T) ** 2).mean()) for w in (rounded, nearest)]
    assert errors[0] < 0.7 * errors[1]
