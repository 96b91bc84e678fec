# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from liquid_spike_control.neuromorphic.chip.chips import LOIHI1, LOIHI2
from liquid_spike_control.neuromorphic.chip.mapping import place
from liquid_spike_control.neuromorphic.integers.neurons import ProgrammedPopulation
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise, quantise_reported
from liquid_spike_control.spiking.graph import CubaPopulation, Linear, SpikingGraph
from liquid_spike_control.spiking.loihi_limits import programmable_neurons, unsupported_on_loihi
from liquid_spike_control.spiking.nir_import import read_nir

DATA = Path(__file__).parents[1] / "data" / "nir"


@pytest.mark.parametrize(("case", "preset"), [("snntorch_dense", "snntorch"), ("sinabs_conv", "sinabs")])
def test_soft_resets_need_loihi_2_and_are_named_population_by_population(case, preset):
    graph = read_nir(DATA / f"{case}.nir", preset).graph
    assert unsupported_on_loihi(graph) == []
    found = programmable_neurons(graph.populations)
    assert list(found) == list(graph.populations)
    assert all(line.startswith("its reset subtracts") and "not for Loihi 1" in line for line in found.values())
    network, report = quantise_reported(graph)
    assert {type(p) for p in network.populations.values()} == {ProgrammedPopulation}
    assert all(f"{name}: {line}" in report.notes for name, line in found.items())
    assert not place(network, LOIHI2).misfits
    assert any("use one of Population, or Loihi 2" in str(misfit) for misfit in place(network, LOIHI1).misfits)


@pytest.mark.parametrize(
    ("case", "preset"),
    [("snntorch_zero_recurrent", "snntorch_zero"), ("norse_dense", "norse"), ("spikingjelly_conv", "spikingjelly")],
)
def test_what_loihi_has_is_quantised(case, preset):
    graph = read_nir(DATA / f"{case}.nir", preset).graph
    assert unsupported_on_loihi(graph) == []
    assert quantise(graph).n_inputs == graph.n_inputs


def test_long_delays_and_endless_time_constants():
    one = np.ones(2)
    population = CubaPopulation(one, one * 1e-5, one, 0 * one)
    graph = SpikingGraph(2, {"a": population}, [Linear("input", "a", np.eye(2), delay=63)], ("a",))
    endless, late = unsupported_on_loihi(graph)
    assert endless.startswith("a: a time constant beyond 8192 steps")
    assert late.startswith("input -> a: a delay of 63 steps")
