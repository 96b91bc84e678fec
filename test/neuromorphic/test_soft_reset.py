# SPDX-License-Identifier: Apache-2.0
"""Soft resets and several spikes a step: float reference, integers, and the frameworks' recordings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.agreement import compare
from liquid_spike_control.neuromorphic.emulator.engine import emulate
from liquid_spike_control.neuromorphic.emulator.graded import GradedTrain
from liquid_spike_control.neuromorphic.quantisation.calibration import calibrate
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise_reported
from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.spiking.graph import Correlation, CubaPopulation, Linear, SpikingGraph
from liquid_spike_control.spiking.nir_import import read_nir
from liquid_spike_control.spiking.presets import preset_of
from liquid_spike_control.types import SpikeTrain

DATA = Path(__file__).parents[1] / "data" / "nir"


def _layer(weight, **options):
    n = len(weight)
    p = CubaPopulation(np.full(n, 0.5), np.full(n, 0.1), np.ones(n), np.zeros(n), **{"reset": "subtract"} | options)
    return SpikingGraph(weight.shape[1], {"a": p}, [Linear("input", "a", weight)], ("a",))


@pytest.mark.parametrize(
    ("case", "preset"),
    [
        ("snntorch_dense", "snntorch"), ("snntorch_conv", "snntorch"),
        ("snntorch_undelayed_dense", "snntorch_undelayed"), ("sinabs_dense", "sinabs"), ("sinabs_conv", "sinabs"),
        ("rockpool_dense", "rockpool"),
    ],
)  # fmt: skip
def test_default_networks_of_three_frameworks_run_on_integers(case, preset):
    """A soft reset forgets nothing, so that rounded weights shift spikes by a step; with those weights in floats as
    well there is nothing but the arithmetic, and nearly every spike is the same."""
    network = read_nir(DATA / f"{case}.nir", preset)
    rng = np.random.default_rng(0)
    spikes = SpikeTrain.from_dense(rng.random((1000, network.graph.n_inputs)) < 0.1)
    integers, report = quantise_reported(network.graph)
    for a in compare(network.graph, integers, spikes, report.units).populations:
        assert a.float_rate < 0.001 or abs(a.fixed_rate - a.float_rate) < 0.03 * a.float_rate, a
    graph = _rounded(network.graph, integers, report.units)
    first, *_ = compare(graph, integers, spikes, report.units).populations
    assert first.float_rate > 0.01 and first.f1 > 0.95 and first.membrane_error < 0.1, first


def _rounded(graph, integers, units):
    """The float graph with the weights that the integers stand for."""
    connections = []
    for c, stored in zip(graph.connections, integers.connections, strict=True):
        step = np.asarray(units[c.target]) * 2.0**stored.weight_exp
        if isinstance(c, Correlation):
            weight = stored.weights.transpose(0, 3, 1, 2)[:, :, ::-1, ::-1] * step
        else:
            weight = stored.synapses * step
        connections.append(replace(c, weight=weight))
    return SpikingGraph(graph.n_inputs, graph.populations, connections, graph.outputs)


def test_a_soft_reset_keeps_what_lies_above_the_threshold():
    """One input of 0.3 a step without leak: exactly 30 spikes in 100 steps; a reset to zero gives 25."""
    weight = np.array([[0.3]])
    spikes = SpikeTrain.from_dense(np.ones((101, 1), bool))
    for reset, expected in (("subtract", 30), ("zero", 25)):
        p = CubaPopulation(np.ones(1), np.zeros(1), np.full(1, 0.999999), np.zeros(1), reset=reset)
        graph = SpikingGraph(1, {"a": p}, [Linear("input", "a", weight)], ("a",))
        for backend in (FloatReference(graph), emulate(quantise_reported(graph)[0])):
            assert len(backend.run(spikes).ids) == expected


def test_several_spikes_count_in_the_next_layer():
    """A voltage of 3.75 thresholds sends 3 spikes and leaves 0.75; MultiSpike of Sinabs, ``floor(v / threshold)``."""
    p = CubaPopulation(np.ones(1), np.zeros(1), np.ones(1), np.zeros(1), True, "subtract", most_spikes=4)
    reader = CubaPopulation(np.ones(1), np.zeros(1), np.ones(1), np.zeros(1), spiking=False)
    image = Correlation("a", "c", np.array([[[[0.25]]]]), (1, 1, 1))
    connections = [Linear("input", "a", np.array([[3.75]])), Linear("a", "b", np.array([[0.25]])), image]
    graph = SpikingGraph(1, {"a": p, "b": reader, "c": reader}, connections, ("a",))
    spikes = SpikeTrain.from_steps([np.array([0]), np.array([0]), *[np.zeros(0, int)] * 3])
    voltages = FloatReference(graph).voltages(spikes)
    assert voltages["a"][:, 0].tolist() == [0, 3.75, 4.5, 0.5, 0.5]
    assert voltages["b"][:, 0].tolist() == voltages["c"][:, 0].tolist() == [0, 0, 0.75, 1.75, 1.75]
    integers, report = quantise_reported(graph)
    traces = emulate(integers).probe(spikes)
    assert traces["a"].payloads[:, 0].tolist() == [0, 3, 4, 0, 0]
    np.testing.assert_allclose(traces["b"].states["v"][:, 0] * report.units["b"] / 64, voltages["b"][:, 0], rtol=1e-3)
    assert "up to 4 spikes a step" in str(report)


@pytest.mark.parametrize("options", [{"most_spikes": 8}, {"lowest": -0.5}, {"lowest": -1.0, "reset": "zero"}])
def test_integers_follow_several_spikes_and_lowest_voltages(options):
    rng = np.random.default_rng(3)
    graph = _layer(rng.integers(-100, 120, (12, 30)) / 128, **options)
    spikes = SpikeTrain.from_dense(rng.random((800, 30)) < 0.15)
    integers, report = quantise_reported(graph)
    reference, emulator = FloatReference(graph), emulate(integers)
    trace = emulator.probe(spikes)["a"]
    exact = reference.voltages(spikes)["a"]
    if "lowest" in options:
        assert exact.min() == options["lowest"]
        assert abs(trace.states["v"].min() * report.units["a"] / 64 - options["lowest"]) < 1e-3
    else:
        counts = np.where(exact > 1, np.minimum(8, np.ceil(exact) - 1), 0)
        assert (counts > 1).sum() > 100
        assert abs(trace.payloads.sum() / counts.sum() - 1) < 0.01
        assert (trace.payloads == counts).mean() > 0.97
    assert compare(graph, integers, spikes, report.units).populations[0].f1 > 0.97
    chosen = calibrate(graph, spikes).choices[0]
    assert chosen.error_after <= chosen.error_before


def test_presets_say_how_many_spikes_and_how_low():
    many = read_nir(DATA / "sinabs_dense.nir", "sinabs_multispike").graph
    low = read_nir(DATA / "sinabs_dense.nir", "sinabs:min_v_mem=-0.5")
    assert {p.most_spikes for p in many.populations.values() if p.spiking} == {2**16}
    assert {(p.lowest, p.most_spikes) for p in low.graph.populations.values() if p.spiking} == {(-0.5, 1)}
    assert any("min_v_mem is -0.5" in note for note in low.notes)
    assert preset_of("rockpool_multispike").most_spikes == 2**16
    endless = read_nir(DATA / "snntorch_dense.nir", "snntorch_none").graph
    assert all(not p.drop.any() and p.reset == "subtract" for p in endless.populations.values())
    for wrong in ("sinabs:min_v_mem=1", "sinabs:min_v_mem=nan", "sinabs:min_v_mem=", "sinabs:v=-1", "sinabs:"):
        if wrong == "sinabs:":
            assert preset_of(wrong) == preset_of("sinabs")
            continue
        with pytest.raises(ModelError, match="sinabs:"):
            preset_of(wrong)
    with pytest.raises(ModelError, match="unknown"):
        read_nir(DATA / "sinabs_dense.nir", "sinaps")


def test_no_reset_spikes_in_every_step_above_the_threshold():
    graph = _layer(np.array([[0.6]]), drop=np.zeros(1))
    spikes = SpikeTrain.from_dense(np.arange(40)[:, None] < 12)
    exact = FloatReference(graph).voltages(spikes)["a"][:, 0]
    train = FloatReference(graph).run(spikes)
    np.testing.assert_array_equal(np.diff(train.indptr), exact > 1)
    integers, _ = quantise_reported(graph)
    fixed = emulate(integers).run_graded(GradedTrain.from_spikes(spikes)).spikes
    np.testing.assert_array_equal(fixed.indptr, train.indptr)
