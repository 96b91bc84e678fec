# SPDX-License-Identifier: Apache-2.0
import tracemalloc

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise
from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.spiking.graph import Correlation, CubaPopulation, Linear, SpikingGraph, Synapses
from liquid_spike_control.types import SpikeTrain


def recurrent(rng):
    p = CubaPopulation(rng.random(8), rng.random(8), rng.uniform(0.5, 2, 8), rng.normal(0, 0.05, 8))
    w = rng.normal(size=(8, 5)) * (rng.random((8, 5)) < 0.6), rng.normal(0, 0.5, (8, 8))
    return p, w, SpikingGraph(5, {"a": p}, [Linear("input", "a", w[0]), Linear("a", "a", w[1])], ("a",))


def test_reference_is_the_equations():
    rng = np.random.default_rng(0)
    p, (w_in, w_rec), graph = recurrent(rng)
    spikes = rng.random((80, 5)) < 0.3
    u, v, expected = np.zeros(8), np.zeros(8), np.zeros((80, 8), bool)
    for t in range(80):
        a = w_in @ spikes[t - 1] + w_rec @ expected[t - 1] if t else np.zeros(8)
        u = (1 - p.du) * u + a
        v = (1 - p.dv) * v + u + p.bias
        expected[t] = v > p.vth
        v[expected[t]] = 0
    reference = FloatReference(graph)
    got = reference.run(SpikeTrain.from_dense(spikes))
    assert expected.sum() > 20
    np.testing.assert_array_equal(got.to_dense(8), expected)
    stats = reference.stats()
    assert stats.synaptic_operations == (spikes @ (w_in != 0).sum(0)).sum() + 8 * expected.sum()
    assert (stats.steps, stats.spikes, stats.input_spikes) == (80, expected.sum(), spikes.sum())
    reference.reset()
    stepped = SpikeTrain.from_steps([reference.step(np.flatnonzero(s)) for s in spikes])
    np.testing.assert_array_equal(stepped.ids, got.ids)


def test_axons_that_do_not_exist_are_refused():
    graph = recurrent(np.random.default_rng(0))[2]
    with pytest.raises(ValueError, match="0 .. 4"):
        FloatReference(graph).step(np.array([5]))


def _one(weights, **options):
    n = len(weights)
    p = CubaPopulation(np.ones(n), np.zeros(n), np.full(n, 1.0), np.zeros(n), **options)
    return SpikingGraph(1, {"a": p}, [Linear("input", "a", np.array(weights)[:, None])], ("a",))


def _fired(graph, n_steps=8):
    return FloatReference(graph).run(SpikeTrain.from_dense(np.ones((n_steps, 1), bool))).to_dense(graph.n_outputs)


def test_an_inclusive_threshold_is_met():
    graph, other = _one([0.5]), _one([0.5], inclusive=True)
    assert np.flatnonzero(_fired(graph)[:, 0]).tolist() == [3, 6]
    assert np.flatnonzero(_fired(other)[:, 0]).tolist() == [2, 4, 6]


def test_a_reset_that_subtracts_keeps_the_rest():
    assert np.flatnonzero(_fired(_one([0.75], reset="subtract"))[:, 0]).tolist() == [2, 3, 5, 6, 7]


def test_refractory_start_and_silence():
    assert np.flatnonzero(_fired(_one([2.0], refractory=3))[:, 0]).tolist() == [1, 4, 7]
    assert np.flatnonzero(_fired(_one([2.0], start=4))[:, 0]).tolist() == [4, 5, 6, 7]
    graph = _one([2.0], spiking=False)
    assert not _fired(graph).any()
    spikes = SpikeTrain.from_dense(np.ones((4, 1), bool))
    np.testing.assert_array_equal(FloatReference(graph).voltages(spikes)["a"][:, 0], [0, 2, 4, 6])


def test_no_potential_falls_below_the_lowest():
    p = CubaPopulation(np.ones(2), np.full(2, 0.5), np.full(2, 9.0), np.array([-3.0, -1.0]))
    graph = SpikingGraph(1, {"a": p}, [Linear("input", "a", np.zeros((2, 1)))], ("a",))
    silence = SpikeTrain.from_dense(np.zeros((3, 1), bool))
    fallen = FloatReference(graph).voltages(silence)["a"]
    assert fallen.tolist() == [[-3, -1], [-4.5, -1.5], [-5.25, -1.75]]
    assert FloatReference(graph, {"a": -4.0}).voltages(silence)["a"].tolist() == [[-3, -1], [-4, -1.5], [-4, -1.75]]


def test_delays_of_each_synapse():
    p = CubaPopulation(np.ones(2), np.ones(2), np.full(2, 0.5), np.zeros(2))
    synapses = Synapses("input", "a", (2, 1), np.zeros(2, int), np.arange(2), np.ones(2), np.array([0, 3]))
    graph = SpikingGraph(1, {"a": p}, [synapses], ("a",))
    spikes = np.zeros((8, 1), bool)
    spikes[1] = True
    fired = FloatReference(graph).run(SpikeTrain.from_dense(spikes)).to_dense(2)
    assert np.argwhere(fired).tolist() == [[2, 0], [5, 1]]


def _unrolled(graph):
    """The same graph with its convolutions as synapses one by one."""
    connections = [
        Synapses(c.source, c.target, c.shape, *c.synapses(), c.delay) if isinstance(c, Correlation) else c
        for c in graph.connections
    ]
    return SpikingGraph(graph.n_inputs, graph.populations, connections, graph.outputs)


def test_a_kernel_sends_what_its_synapses_send():
    rng = np.random.default_rng(7)

    def neurons(n):
        return CubaPopulation(np.full(n, 0.4), np.full(n, 0.2), np.full(n, 1.0), np.zeros(n))

    def kernel(source, target, shape, image, **geometry):
        weight = rng.normal(0.2, 0.8, shape) * (rng.random(shape) < 0.8)
        return Correlation(source, target, weight, image, **geometry)

    first = kernel("input", "a", (3, 2, 3, 2), (2, 9, 8), stride=(2, 1), padding=(1, 1), channels_first=True, delay=2)
    a = first.output_shape
    second = kernel("a", "b", (4, 3, 2, 3), a, stride=(1, 2), padding=(0, 2))
    n_a, n_b = second.shape[1], second.shape[0]
    back = kernel("a", "a", (3, 3, 3, 3), a, padding=(1, 1), delay=1)
    dense = Linear("b", "a", rng.normal(0, 0.1, (n_a, n_b)))
    populations = {"a": neurons(n_a), "b": neurons(n_b)}
    graph = SpikingGraph(2 * 9 * 8, populations, [first, dense, back, second], ("a", "b"))
    spikes = SpikeTrain.from_dense(rng.random((60, 144)) < 0.1)
    folded, unrolled = FloatReference(graph), FloatReference(_unrolled(graph))
    got, expected = folded.run_all(spikes), unrolled.run_all(spikes)
    for name in populations:
        assert len(expected[name].ids) > 100
        np.testing.assert_array_equal(got[name].indptr, expected[name].indptr)
        np.testing.assert_array_equal(got[name].ids, expected[name].ids)
    assert folded.stats() == unrolled.stats()


def test_convolutions_of_millions_of_neurons_stay_kernels():
    rng = np.random.default_rng(0)
    n, image = 128 * 128 * 64, (64, 128, 128)
    p = CubaPopulation(np.ones(n), np.full(n, 0.1), np.full(n, 1.0), np.zeros(n))
    graph = SpikingGraph(
        128 * 128 * 2,
        {"a": p, "b": p},
        [
            Correlation("input", "a", rng.normal(size=(64, 2, 3, 3)), (2, 128, 128), padding=(1, 1)),
            Correlation("a", "b", rng.normal(size=(64, 64, 3, 3)), image, padding=(1, 1)),
        ],
        ("b",),
    )
    tracemalloc.start()
    reference = FloatReference(graph)
    trains = reference.run_all(SpikeTrain.from_steps([np.array([0, 40, 8000]), *[np.zeros(0, int)] * 3]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(trains["a"].ids) > 100 and len(trains["b"].ids) > 1000
    assert peak < 1e9  # 1.2 thousand million synapses would take 30 GB


def test_delays_longer_than_any_chip_s_run_in_floats():
    graph = SpikingGraph(1, {"a": CubaPopulation(*np.ones((3, 1)), np.zeros(1))}, [
        Linear("input", "a", np.full((1, 1), 2.0), delay=300)
    ], ("a",))  # fmt: skip
    fired = FloatReference(graph).run(SpikeTrain.from_dense(np.arange(400)[:, None] == 7)).to_dense(1)
    assert np.flatnonzero(fired[:, 0]).tolist() == [7 + 1 + 300]
    with pytest.raises(ModelError, match="a delay of 300 steps, the limit is 62; take a longer step, or divide it"):
        quantise(graph)
