# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.loihi import LoihiEmulator, quantise_weights
from liquid_spike_control.neuromorphic.quantize import compare, quantise
from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.spiking.graph import CubaPopulation, Linear, SpikingGraph
from liquid_spike_control.types import SpikeTrain


def graph(integers, scale, vth, du=0.5, dv=0.25, bias=0.0):
    n = len(integers)
    population = CubaPopulation(
        np.full(n, du), np.full(n, dv), np.full(n, vth * scale), np.full(n, bias * scale)
    )
    return SpikingGraph(
        integers.shape[1], {"a": population}, [Linear("input", "a", integers * scale)], ("a",)
    )


def even(rng, shape):
    return 2 * rng.integers(-128, 128, shape)


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


def test_a_network_on_the_grid_spikes_alike():
    rng = np.random.default_rng(1)
    g = graph(even(rng, (40, 30)), 1.0, 400.5)
    train = SpikeTrain.from_dense(rng.random((300, 30)) < 0.1)
    report = compare(g, quantise(g, {"a": 1.0}), train)
    (row,) = report.populations
    assert row.f1 > 0.97 and row.rate_error < 0.005
    assert "a" in str(report) and "F1" in str(report)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_weights_use_the_range_and_round_to_the_nearest(bits):
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(30, 40))
    population = CubaPopulation(np.full(30, 0.3), np.full(30, 0.2), np.full(30, 3.0), np.zeros(30))
    g = SpikingGraph(40, {"a": population}, [Linear("input", "a", weight)], ("a",))
    network = quantise(g, num_weight_bits=bits)
    stored, step = network.connections[0].synapses, 2 ** (9 - bits)
    np.testing.assert_array_equal(stored, quantise_weights(stored, bits))
    scale = np.abs(weight).max() / np.abs(stored).max()
    assert np.abs(stored).max() == 256 - step
    assert np.abs(stored * scale - weight).max() <= scale * step / 2 * 1.0001
    assert abs(network.populations["a"].vth * scale / 3.0 - 1) < 0.02


def test_inputs_and_recurrence_share_the_scale_of_their_target():
    p = CubaPopulation(np.full(4, 0.5), np.full(4, 0.5), np.full(4, 1.0), np.zeros(4))
    connections = [Linear("input", "a", np.full((4, 3), 2.0)), Linear("a", "a", np.full((4, 4), -0.5))]
    network = quantise(SpikingGraph(3, {"a": p}, connections, ("a",)))
    x, r = (c.synapses for c in network.connections)
    assert x[0, 0] == 255 and r[0, 0] == -64


def test_a_high_threshold_shifts_the_weights_down():
    g = graph(np.full((4, 5), 2), 1e-3, 1000.0)
    big = SpikingGraph(
        5,
        {"a": CubaPopulation(np.full(4, 0.01), np.full(4, 0.01), np.full(4, 2.0), np.zeros(4))},
        [Linear("input", "a", np.full((4, 5), 1e-3))],
        ("a",),
    )
    assert quantise(g).connections[0].weight_exp == 0
    network = quantise(big)
    assert network.connections[0].weight_exp < 0
    assert (
        abs(network.populations["a"].vth / (2.0 / 1e-3 * 255 * 2.0 ** network.connections[0].weight_exp) - 1)
        < 1e-3
    )


def test_what_does_not_fit_is_refused_by_name():
    p = CubaPopulation(np.ones(1), np.ones(1), np.full(1, 1e9), np.zeros(1))
    with pytest.raises(ModelError, match="a: weights and threshold are too far apart"):
        quantise(SpikingGraph(1, {"a": p}, [Linear("input", "a", np.full((1, 1), 1e-3))], ("a",)))


def test_both_backends_have_one_step_of_delay():
    g = graph(np.full((1, 1), 200), 1.0, 100)
    train = SpikeTrain.from_dense(np.array([[1], [0], [0]]))
    for backend in (FloatReference(g), LoihiEmulator(quantise(g))):
        with backend:
            spikes = backend.run(train)
            assert spikes.step(0).size == 0 and list(spikes.step(1)) == [0]
            assert backend.stats().synaptic_operations == 1
            assert (backend.n_inputs, backend.n_outputs, len(backend.network_hash)) == (1, 1, 64)
