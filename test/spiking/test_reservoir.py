# SPDX-License-Identifier: Apache-2.0
"""Reservoirs: topologies, Dale's law, gain, features, and learning on line."""

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError, TaskError
from liquid_spike_control.neuromorphic.chip.chips import LOIHI1
from liquid_spike_control.neuromorphic.chip.mapping import place
from liquid_spike_control.neuromorphic.emulator.engine import emulate
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise
from liquid_spike_control.spiking.coding.windows import CODES, WindowCode
from liquid_spike_control.spiking.leaky_features import LeakyFeatures
from liquid_spike_control.spiking.prescribed_error import PrescribedErrorSensitivity
from liquid_spike_control.spiking.recursive_least_squares import RecursiveLeastSquares
from liquid_spike_control.spiking.reservoir import ReservoirDescription, reservoir_graph, spectral_radius, weight_unit
from liquid_spike_control.spiking.topology import DENSITY, TOPOLOGIES, wires
from liquid_spike_control.training.ridge import ridge_regression
from liquid_spike_control.types import SpikeTrain


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_no_neuron_reaches_itself_nor_another_twice(topology):
    w = wires(topology, np.arange(120) % 5 == 0, np.random.default_rng(1), delays=np.array([3, 9]))
    assert (w.sources != w.targets).all() and set(w.delays) == {3, 9}
    assert len(set(zip(w.sources.tolist(), w.targets.tolist(), strict=True))) == len(w.sources)


def test_distance_decides_density_and_delay():
    """Against the probabilities of Maass et al. 2002, on many drawings."""
    n, inhibitory = 64, np.arange(64) % 4 == 0
    index = np.arange(n)
    places = np.stack([index % 4, index // 4 % 4, index // 16], 1)
    away = np.linalg.norm(places[:, None] - places[None], axis=-1)
    times = np.zeros((n, n))
    for seed in range(300):
        w = wires("distance", inhibitory, np.random.default_rng(seed), reach=2.0, delays=np.array([1, 2, 3]))
        times[w.sources, w.targets] += 1
        order = [away[w.sources, w.targets][w.delays == d] for d in (1, 2, 3)]
        assert order[0].max() <= order[1].min() and order[1].max() <= order[2].min()
    expected = DENSITY[inhibitory.astype(int)[:, None], inhibitory.astype(int)] * np.exp(-((away / 2) ** 2))
    np.fill_diagonal(expected, 0)
    noise = np.sqrt(np.maximum(expected * (1 - expected), 1e-3) / 300)
    assert abs((times / 300 - expected) / noise).max() < 5


def test_small_worlds_are_rings_that_were_rewired():
    none = np.zeros(50, bool)
    ring = wires("small-world", none, np.random.default_rng(0), degree=4, rewired=0.0)
    assert set((ring.targets - ring.sources) % 50) == {1, 2, 48, 49}
    moved = wires("small-world", none, np.random.default_rng(0), degree=4, rewired=0.25)
    part = np.mean(~np.isin((moved.targets - moved.sources) % 50, (1, 2, 48, 49)))
    assert 0.15 < part < 0.3 and (np.bincount(moved.sources) == 4).all()


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_signs_gain_and_grid(topology):
    description = ReservoirDescription(n_neurons=90, topology=topology, gain=1.3, inhibitory=0.3, seed=4)
    graph = reservoir_graph(description, 8)
    assert graph.size("inhibitory") == 27 and graph.size("excitatory") == 63
    unit = weight_unit(*(c.weight for c in graph.connections))
    for c in graph.connections:
        wrong = c.weight > 0 if c.source == "inhibitory" else c.weight < 0
        assert not wrong.any(), "Dale's law"
        assert np.abs(c.weight / unit - np.rint(c.weight / unit)).max() < 1e-9
    assert spectral_radius(graph) == pytest.approx(1.3, rel=0.02)  # as far as weights of 8 bits give it
    assert reservoir_graph(description, 8).hash == graph.hash
    assert reservoir_graph(ReservoirDescription(n_neurons=90, topology=topology, seed=5), 8).hash != graph.hash


def test_a_reservoir_fits_a_loihi_core():
    graph = reservoir_graph(ReservoirDescription(n_neurons=200), 16)
    scale = dict.fromkeys(graph.populations, weight_unit(*(c.weight for c in graph.connections)))
    place(quantise(graph, scale), LOIHI1, chips=1).check()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"gain": float("nan")}, "gain nan; give a number from 0 to 100"),
        ({"gain": float("inf")}, "gain inf"),
        ({"gain": True}, "gain True"),
        ({"n_neurons": 1}, "n_neurons 1; give a whole number from 2"),
        ({"n_neurons": 10**7}, "n_neurons 10000000"),
        ({"topology": "ring"}, "topology 'ring'; give one of distance"),
        ({"longest_delay": 63}, "longest_delay 63; give a whole number from 0 to 62"),
        ({"membrane_taus": (0.5,)}, "membrane_taus (0.5,)"),
    ],
)
def test_bad_descriptions_are_named(change, words):
    with pytest.raises(ModelError) as error:
        ReservoirDescription(**change)
    assert words in str(error.value)


def test_a_gain_needs_a_cycle():
    with pytest.raises(ModelError, match="no cycle|no synapse"):
        reservoir_graph(ReservoirDescription(n_neurons=2, reach=0.001), 4)


@pytest.mark.parametrize("code", CODES)
def test_codes_tell_numbers_apart_and_clip(code):
    windows = WindowCode(code, 2, 20, 8)
    dense = {x: windows.encode([x, 0.0]).to_dense(windows.n_axons) for x in (-1.0, 0.3, 1.0)}
    windows.reset()
    assert (windows.encode([5.0, 0.0]).to_dense(windows.n_axons) == WindowCode(code, 2, 20, 8).encode(
        [1.0, 0.0]).to_dense(windows.n_axons)).all()  # fmt: skip
    assert not (dense[-1.0] == dense[0.3]).all() and not (dense[0.3] == dense[1.0]).all()
    with pytest.raises(TaskError):
        windows.encode([float("nan"), 0.0])


@pytest.mark.parametrize("code", CODES)
def test_windows_go_on_from_their_state(code):
    one, other, rng = WindowCode(code, 2, 20, 8), WindowCode(code, 2, 20, 8), np.random.default_rng(0)
    for values in rng.uniform(-1, 1, (3, 2)):
        one.encode(values)
    other.state = one.state
    for values in rng.uniform(-1, 1, (3, 2)):
        assert (one.encode(values).to_dense(one.n_axons) == other.encode(values).to_dense(one.n_axons)).all()


def test_a_window_of_changes_follows_any_number():
    windows = WindowCode("delta", 3, 10)
    for values in np.random.default_rng(1).uniform(-1, 1, (20, 3)):
        windows.encode(values)
        assert np.abs(windows.state - values).max() < 0.2 + 1e-12


def test_a_phase_code_has_30_digits_at_most():
    with pytest.raises(TaskError, match="a phase code of 31 digits; give it 1 .. 30"):
        WindowCode("phase", 1, 31)


def test_features_are_leaky_rates_and_become_a_readout():
    rng = np.random.default_rng(2)
    dense = rng.random((60, 5)) < 0.2
    features = LeakyFeatures(5, (4.0, 20.0))
    expected = np.zeros((2, 5))
    for row in dense:
        for k, tau in enumerate((4.0, 20.0)):
            expected[k] += (1 - np.exp(-1 / tau)) * (row - expected[k])
    found = features.step(SpikeTrain.from_dense(dense))
    assert np.allclose(found, expected.ravel(), atol=1e-12)
    weights, offset = rng.normal(size=(3, 10)), rng.normal(size=3)
    readout = features.readout(weights, offset)
    assert np.allclose(readout.step(SpikeTrain.from_dense(dense)), weights @ found + offset, atol=1e-12)
    again, same, there = LeakyFeatures.of_readout(readout)
    assert np.allclose(same, weights, rtol=1e-12) and (there == offset).all()
    assert np.allclose(again.step(SpikeTrain.from_dense(dense)), found, rtol=1e-12)
    decay = -np.expm1(-1 / np.array([4.0, 20.0]))
    sums = LeakyFeatures.sums(5, decay)
    assert np.allclose(sums.step(SpikeTrain.from_dense(dense)) * np.repeat(decay, 5), found, rtol=1e-12)
    of_sums = sums.readout(weights, offset)
    assert (of_sums.weight == weights.reshape(6, 5)).all()
    assert np.allclose(of_sums.step(SpikeTrain.from_dense(dense)), weights @ sums.state + offset, atol=1e-12)
    with pytest.raises(ValueError):
        features.step(SpikeTrain.from_steps([[5]]))


def test_recursive_least_squares_is_ridge_regression():
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(200, 6)), rng.normal(size=(2, 6))
    y = x @ w.T + 0.1 * rng.normal(size=(200, 2)) + [1.0, -2.0]
    rule = RecursiveLeastSquares(6, 2, regularisation=0.5)
    for row, target in zip(x, y, strict=True):
        before = rule.predict(row)
        assert np.array_equal(rule.learn(row, target), before)
    one = np.hstack([x, np.ones((200, 1))])
    expected = np.linalg.solve(one.T @ one + 0.5 * np.eye(7), one.T @ y).T
    assert np.allclose(np.hstack([rule.weights, rule.offset[:, None]]), expected, atol=1e-9)
    weights, offset = ridge_regression(x, y, 1e-9)
    assert np.allclose(weights, w, atol=0.05) and np.allclose(offset, [1, -2], atol=0.05)


def test_prescribed_error_sensitivity_is_error_times_activity():
    """A step takes the part ``rate`` of the error away; many find what least squares finds; what diverges freezes."""
    rng = np.random.default_rng(3)
    rule = PrescribedErrorSensitivity(6, 2, rate=0.25, memory=1e9)
    x, target = np.zeros((3, 6)), np.array([2.0, -3.0])
    x[1], x[2] = 1.0, rng.normal(size=6)
    rule.learn(x[0], np.zeros(2))  # the first sample is the mean
    rule.learn(x[1], target)
    assert np.allclose(rule.predict(x[1]), 0.25 * target)
    assert np.allclose(rule.weights, 0.25 * target[:, None] / 6)
    x, w = rng.normal(size=(3000, 6)) + 5.0, rng.normal(size=(2, 6))
    y = x @ w.T + [1.0, -2.0]
    rule = PrescribedErrorSensitivity(6, 2)
    for row, target in zip(x, y, strict=True):
        rule.learn(row, target)
    assert np.allclose(rule.weights, w, atol=0.05) and np.abs(x @ rule.weights.T + rule.offset - y).max() < 0.5
    kept = rule.weights
    rule.learn(x[0], np.array([1e9, 0.0]))
    assert "bound of 10000" in rule.frozen and (rule.weights == kept).all()
    spoilt = PrescribedErrorSensitivity(1, 1)
    spoilt.learn(np.ones(1), np.array([np.inf]))
    assert "not finite" in spoilt.frozen and (spoilt.weights == 0).all()
    for options, words in (({"rate": 0.0}, "rate 0; give"), ({"memory": 0.5}, "0.5 samples"), ({"bound": -1}, "-1")):
        with pytest.raises(TaskError, match=words):
            PrescribedErrorSensitivity(1, 1, **options)


def test_learning_that_diverges_freezes():
    """Forgetting without news winds P up; a target without bounds drives weights to theirs; NaN is refused."""
    wound = RecursiveLeastSquares(3, 1, forgetting=0.9)
    for _ in range(400):
        wound.learn(np.zeros(3), np.ones(1))
    assert "run away" in wound.frozen and np.isfinite(wound.weights).all()
    kept = wound.weights
    wound.learn(np.ones(3), np.ones(1))
    assert (wound.weights == kept).all()
    bounded = RecursiveLeastSquares(1, 1, bound=10.0)
    for k in range(50):
        bounded.learn(np.array([0.1]), np.array([10.0**k]))
    assert "bound of 10" in bounded.frozen and abs(bounded.offset).max() <= 10
    spoilt = RecursiveLeastSquares(1, 1)
    spoilt.learn(np.array([np.nan]), np.array([1.0]))
    assert "not finite" in spoilt.frozen and (spoilt.weights == 0).all()


def test_spikes_are_those_of_the_same_weights_in_integers():
    """The weights lie on the chip's grid: what differs between floats and integers is rounding of states alone."""
    graph = reservoir_graph(ReservoirDescription(n_neurons=60, seed=2), 8)
    scale = dict.fromkeys(graph.populations, weight_unit(*(c.weight for c in graph.connections)))
    network = quantise(graph, scale)
    for c, q in zip(graph.connections, network.connections, strict=True):
        assert q.weight_exp == 0 and np.array_equal(np.rint(c.weight / scale[c.target]), q.weights)
    spikes = SpikeTrain.from_dense(np.random.default_rng(1).random((400, 8)) < 0.1)
    assert emulate(network).run(spikes).ids.tolist() == emulate(quantise(graph, scale)).run(spikes).ids.tolist()
