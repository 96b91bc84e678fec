# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic import agreement
from liquid_spike_control.neuromorphic.agreement import before_reset, compare
from liquid_spike_control.neuromorphic.agreement_figure import agreement_figure
from liquid_spike_control.neuromorphic.emulator.loihi import Dense, LoihiEmulator, LoihiNetwork, Population
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise, quantise_reported
from liquid_spike_control.spiking.graph import CubaPopulation, Linear, SpikingGraph
from liquid_spike_control.types import SpikeTrain


def neurons(n, **options):
    return CubaPopulation(np.full(n, 0.3), np.full(n, 0.1), np.ones(n), np.zeros(n), **options)


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    w = rng.normal(0.02, 0.1, (40, 30)), rng.normal(0, 0.3, (20, 40)), rng.normal(0, 0.2, (5, 20))
    populations = {"a": neurons(40), "b": neurons(20, refractory=3), "c": neurons(5, spiking=False)}
    connections = [Linear("input", "a", w[0]), Linear("a", "b", w[1]), Linear("b", "c", w[2])]
    graph = SpikingGraph(30, populations, connections, ("b",))
    train = SpikeTrain.from_dense(rng.random((300, 30)) < 0.1)
    return graph, *quantise_reported(graph), train


def test_voltages_before_the_reset_follow_from_those_after_it(case):
    _, network, _, train = case
    probe, p = LoihiEmulator(network).probe(train)["a"], network.populations["a"]
    v, expected = [0] * p.n, np.zeros(probe.v.shape, int)
    for t in range(len(expected)):
        for i in range(p.n):
            before = int(v[i] * (4096 - int(p.dv)) / 4096) + int(probe.u[t, i])
            v[i] = 0 if before > int(p.vth) << 6 else before
            expected[t, i] = before
    assert probe.spikes.sum() > 100
    np.testing.assert_array_equal(before_reset(p, probe, np.zeros(p.n, int)), expected)


def test_the_figures_are_those_of_the_spikes():
    """Two neurons driven by one axon each; in integers the second one's weight is too small by half."""
    graph = SpikingGraph(
        2,
        {"a": CubaPopulation(np.ones(2), np.zeros(2), np.full(2, 1.5), np.zeros(2))},
        [Linear("input", "a", np.eye(2))],
        ("a",),
    )
    population = Population(2, du=4095, dv=0, vth=96)
    network = LoihiNetwork(2, {"a": population}, [Dense("input", "a", np.diag([64, 32]))])
    report = compare(graph, network, SpikeTrain.from_dense(np.ones((9, 2))))
    (row,) = report.populations
    # Float: both spike at steps 2, 4, 6, 8. Integers: the first alike, the second at 4 and 8.
    assert (row.float_rate, row.fixed_rate, row.count_difference) == (8 / 18, 6 / 18, -2)
    assert row.rate_error == pytest.approx(2 / 18) and row.f1 == pytest.approx(12 / 14)
    assert (row.identical, row.first_difference) == (0.5, 2)
    traces = report.traces["a"]
    assert traces.neurons.tolist() == [0, 1]
    np.testing.assert_allclose(traces.float_voltage[:, 1] * 1.5, [0, 1, 2, 1, 2, 1, 2, 1, 2])
    np.testing.assert_allclose(traces.fixed_voltage[:, 1] * 3, [0, 1, 2, 3, 4, 1, 2, 3, 4])
    difference = np.array([0, 1, 2, -1, 0, 1, 2, -1, 0]) / 3
    assert row.membrane_error == pytest.approx(np.sqrt((difference**2).mean() / 2))
    np.testing.assert_array_equal(np.flatnonzero(traces.fixed_spikes[:, 1]), [4, 8])


def test_eight_bits_follow_closely_and_three_do_not(case):
    graph, network, losses, train = case
    fine = compare(graph, network, train, losses.units).populations
    coarse_network, coarse_losses = quantise_reported(graph, num_weight_bits=3)
    coarse = compare(graph, coarse_network, train, coarse_losses.units).populations
    assert fine[0].f1 > 0.85 > 0.5 > coarse[0].f1 and fine[0].membrane_error < 0.2 < coarse[0].membrane_error
    assert fine[2].membrane_error < coarse[2].membrane_error and fine[2].f1 == 1
    assert "never" in str(compare(graph, network, train))


def test_a_leaky_integrator_without_its_unit_is_fitted(case):
    graph, network, losses, train = case
    known, fitted = (compare(graph, network, train, units).populations[2] for units in (losses.units, None))
    assert 0 < fitted.membrane_error <= known.membrane_error < 0.5


def test_long_input_is_compared_in_pieces(case, monkeypatch):
    graph, network, losses, train = case
    whole = compare(graph, network, train, losses.units)
    monkeypatch.setattr(agreement, "_PIECE", 7 * network.n_neurons)
    pieces = compare(graph, network, train, losses.units)
    for a, b in zip(whole.populations, pieces.populations, strict=True):
        assert a.membrane_error == pytest.approx(b.membrane_error)
    for name in graph.populations:
        np.testing.assert_array_equal(whole.traces[name].fixed_voltage, pieces.traces[name].fixed_voltage)
        np.testing.assert_array_equal(whole.traces[name].float_spikes, pieces.traces[name].float_spikes)


def test_without_voltages_only_spikes_are_compared(case):
    graph, network, _, train = case
    report = compare(graph, network, train, n_traces=0)
    assert np.isnan(report.populations[0].membrane_error) and not report.traces
    assert report.populations[0].f1 == compare(graph, network, train).populations[0].f1


def test_an_idle_network_agrees():
    graph = SpikingGraph(1, {"a": neurons(2)}, [Linear("input", "a", np.ones((2, 1)))], ("a",))
    (row,) = compare(graph, quantise(graph), SpikeTrain.from_dense(np.zeros((5, 1)))).populations
    assert (row.f1, row.identical, row.first_difference, row.membrane_error) == (1, 1, None, 0)


def test_networks_that_do_not_belong_together_are_refused(case):
    graph, network, _, train = case
    other = SpikingGraph(30, {"x": neurons(4)}, [Linear("input", "x", np.ones((4, 30)))], ("x",))
    with pytest.raises(ModelError, match="the graph has .'x'., the network .'a', 'b', 'c'."):
        compare(other, network, train)


def test_the_picture_shows_every_population(case, tmp_path):
    graph, network, losses, train = case
    report = compare(graph, network, train, losses.units)
    figure = agreement_figure(report)
    figure.savefig(tmp_path / "agreement.png")
    titles = [axes.get_title("left") for axes in figure.axes]
    assert [sum(t.startswith(f"{name}:") for t in titles) for name in "abc"] == [2, 2, 2]
    bars = figure.axes[1].containers[0]
    f1 = [row.f1 for row in report.populations]
    assert [bar.get_height() for bar in bars] == [*f1[:2], 0]  # the third has no spikes to compare
    assert [text.get_text() for text in figure.axes[1].texts] == [f"{f1[0]:.3g}", f"{f1[1]:.3g}", "none"]
    with pytest.raises(ValueError, match="x has no traces"):
        agreement_figure(report, ["x"])
