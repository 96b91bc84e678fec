# SPDX-License-Identifier: Apache-2.0
import io
import json

import numpy as np
import pytest
from rich.console import Console

from liquid_spike_control.errors import ModelError, TaskError
from liquid_spike_control.neuromorphic.chip.mapping import place
from liquid_spike_control.neuromorphic.chip.timing import step_times
from liquid_spike_control.neuromorphic.chip.traffic import traffic
from liquid_spike_control.neuromorphic.emulator.loihi import Dense, LoihiEmulator, LoihiNetwork, Population
from liquid_spike_control.neuromorphic.energy.devices import compare_devices, notes, table
from liquid_spike_control.neuromorphic.energy.devices_figure import labels, plot
from liquid_spike_control.neuromorphic.integers.neurons import SigmaDelta
from liquid_spike_control.spiking.graph import CubaPopulation, Linear, SpikingGraph
from liquid_spike_control.types import SpikeTrain


def _network() -> LoihiNetwork:
    rng = np.random.default_rng(0)
    p = {"hidden": Population(1500, du=1500, dv=400, vth=90), "out": Population(10, du=1500, dv=400, vth=300)}
    first, second = 2 * rng.integers(-40, 60, (1500, 20)), 2 * rng.integers(-40, 60, (10, 1500))
    return LoihiNetwork(20, p, [Dense("input", "hidden", first), Dense("hidden", "out", second)])


def _spikes(n_steps=60) -> SpikeTrain:
    return SpikeTrain.from_dense(np.random.default_rng(1).random((n_steps, 20)) < 0.05)


@pytest.fixture(scope="module")
def report():
    return compare_devices(_network(), _spikes(), 1e-3, inference_steps=5, title="two layers")


def test_every_device_is_charged_what_it_computes(report):
    network, spikes = _network(), _spikes()
    with LoihiEmulator(network) as emulator:
        trains, stats = emulator.run_all(spikes), emulator.stats()
    on_mesh = traffic(place(network), trains, spikes)
    assert stats.spikes > 1000 and on_mesh.messages > 1000
    synapses, neurons, inferences = 1500 * 20 + 10 * 1500, 1510, 12
    quiescent = stats.neuron_steps - stats.neuron_updates
    loihi = (
        stats.synaptic_operations * 23.6e-12
        + stats.neuron_updates * 81e-12
        + quiescent * 52e-12
        + on_mesh.messages * 1.7e-12
        + on_mesh.hops_east_west * 3e-12
        + on_mesh.hops_north_south * 4e-12
    ) / inferences
    assert report.device("davies2018", "events").energy == pytest.approx(loihi)
    assert report.device("davies2018", "static").energy == pytest.approx(loihi + 0.104 * 5e-3)
    assert report.misfits == ()
    fastest = step_times(place(network), trains, spikes).mean()
    assert report.fastest_step_s == pytest.approx(fastest)
    assert report.device("davies2018", "flat out").energy == pytest.approx(loihi + 0.104 * 5 * fastest)
    cpu = report.device("kerasspiking:cpu", "every step").energy
    assert cpu == pytest.approx(5 * (synapses + neurons) * 8.6e-9)
    assert report.device("kerasspiking:cpu", "one pass").energy == pytest.approx(cpu / 5)
    followed = (stats.synaptic_operations + stats.neuron_updates) * 8.6e-9 / inferences
    assert report.device("kerasspiking:cpu", "events").energy == pytest.approx(followed)
    assert report.device("horowitz45nm:mac", "one pass").energy == pytest.approx(synapses * 4.6e-12)
    assert report.device("kerasspiking:gpu", "every step").factor == pytest.approx(
        5 * (synapses + neurons) * 0.3e-9 / loihi
    )


def test_a_network_that_does_not_fit_is_priced_and_reported():
    weights = np.ones((2, 5000), int)
    network = LoihiNetwork(5000, {"x": Population(2, du=0, dv=0, vth=9)}, [Dense("input", "x", weights)])
    spikes = SpikeTrain.from_dense(np.random.default_rng(0).random((3, 5000)) < 0.1)
    found = compare_devices(network, spikes, 1e-3)
    assert "axons in: 5000 needed, 4096 available" in found.misfits[0]
    assert any("Loihi cannot run it as it is. x, neuron 0" in line for line in notes(found))


def test_a_network_that_never_spikes_takes_what_its_neurons_take(tmp_path):
    silent = compare_devices(_network(), SpikeTrain.from_steps([np.empty(0, np.int32)] * 4), 1e-3)
    assert silent.device("davies2018", "events").energy == pytest.approx(4 * 1510 * 52e-12)
    assert silent.device("kerasspiking:cpu", "events").energy == 0
    assert not any("Of the CPU's" in line for line in notes(silent))
    plot(silent, tmp_path / "silent.png")


def test_one_step_an_inference_needs_no_row_for_one_pass():
    one = compare_devices(_network(), _spikes(), 1e-3, inference_steps=1)
    assert {d.what for d in one.devices} == {"events", "static", "flat out", "every step"}


def test_an_inference_longer_than_the_run_is_refused():
    with pytest.raises(TaskError, match="61 steps does not fit input of 60; give 1 .. 60"):
        compare_devices(_network(), _spikes(), 1e-3, inference_steps=61)


def test_a_float_graph_is_priced_without_cores():
    rng = np.random.default_rng(2)
    p = {"x": CubaPopulation(np.full(30, 0.5), 0.1, 1.0, 0.0)}
    graph = SpikingGraph(20, p, [Linear("input", "x", rng.normal(0.2, 0.5, (30, 20)))], ("x",))
    found = compare_devices(graph, _spikes(), 1e-3)
    assert found.inference_steps == 60
    assert found.devices[0].estimate.traffic is None
    assert found.device("kerasspiking:gpu", "one pass").energy == pytest.approx(630 * 0.3e-9)


def test_neurons_of_loihi_2_have_no_prices():
    network = LoihiNetwork(20, {"x": SigmaDelta(4, vth=3)}, [Dense("input", "x", np.ones((4, 20), int))])
    with pytest.raises(ModelError, match="x: SigmaDelta runs on Loihi 2, whose energy per operation is not published"):
        compare_devices(network, _spikes(), 1e-3)


def test_the_notes_name_the_models_of_the_estimate(report):
    console = Console(file=io.StringIO(), width=200)
    table(report, console)
    told = console.file.getvalue()
    for words in ("estimates by published prices, nothing measured", "pre-silicon", "Horowitz", "Hoeppner", "Degnan"):
        assert words in told
    for d in report.devices:
        assert d.estimate.model.name in told
    for words in ("no table of its energy per operation", "silent neurons", "up to 1000 times", "% traffic between"):
        assert words in told
    written = json.loads(json.dumps(report.as_dict()))
    assert written["kind"] == "estimate, not a measurement"
    assert all(row["source"] and row["energy_per_inference_j"] > 0 for row in written["devices"])


def test_the_picture_is_written_and_a_bad_path_is_one_line(report, tmp_path):
    assert len(set(labels(report))) == len(report.devices)
    plot(report, tmp_path / "energy.png", report)
    assert (tmp_path / "energy.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(TaskError, match=r"energy\.nonsense"):
        plot(report, tmp_path / "energy.nonsense")
