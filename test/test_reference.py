# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.spiking.graph import CubaPopulation, Linear, SpikingGraph
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
