# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.backend import BackendStats
from liquid_spike_control.neuromorphic.energy.estimate import MODELS, estimate, joules, model_by_name
from liquid_spike_control.neuromorphic.energy.metrics import dense_operations
from liquid_spike_control.spiking.graph import Correlation, CubaPopulation, SpikingGraph

STATS = BackendStats(steps=1000, synaptic_operations=10**6, neuron_updates=2000, neuron_steps=10_000)


def test_davies2018_prices_synapses_and_neurons_and_keeps_static_power_apart():
    e = estimate(STATS, dt=1e-3, chips=2)
    assert e.synapses == pytest.approx(23.6e-6)
    assert e.neurons == pytest.approx(2000 * 81e-12 + 8000 * 52e-12)
    assert e.dynamic_power == pytest.approx(e.dynamic / 1.0)
    assert e.static_power == pytest.approx(0.208)
    assert e.static == pytest.approx(0.208 * 1.0)
    for words in ("estimate", "davies2018", "Davies et al.", "pre-silicon", "static, apart: 208 mW", "not counted"):
        assert words in str(e)


def test_davies2018_prices_the_traffic_inside_a_chip_and_reports_the_unpriced():
    traffic = SimpleNamespace(within_tile=1000, hops_east_west=300, hops_north_south=20, off_chip=7)
    e = estimate(STATS, 1e-3, traffic=traffic)
    assert e.traffic == pytest.approx(1000 * 1.7e-12 + 300 * 3.0e-12 + 20 * 4.0e-12)
    assert e.dynamic == pytest.approx(e.synapses + e.neurons + e.traffic)
    assert "7 messages between chips have no price" in str(e)
    assert estimate(STATS, 1e-3, "kerasspiking:loihi", traffic=traffic).traffic is None


RECORDED = json.loads((Path(__file__).parents[1] / "data" / "keras_spiking.json").read_text())


@pytest.mark.parametrize("device", RECORDED["devices"])
def test_kerasspiking_prices_as_kerasspiking_does(device):
    synapses, neurons = RECORDED["devices"][device]
    stats = BackendStats(steps=4, synaptic_operations=4 * 3 * 10, neuron_updates=17, neuron_steps=40)
    e = estimate(stats, 1e-3, f"kerasspiking:{device}", dense_operations=200, passes=1)
    assert e.synapses == pytest.approx(synapses)
    assert e.neurons == pytest.approx(neurons)
    assert e.static == 0 and "in no part of this model" in str(e) and "KerasSpiking" in str(e)


def test_kerasspiking_counts_the_padding_of_a_convolution_and_neurobench_does_not():
    conv = Correlation("input", "x", np.ones((3, 2, 3, 3)), (2, 5, 4), padding=(1, 1))
    p = CubaPopulation(np.ones(60), 0.1, 1.0, 0.0)
    of_the_padding = (5 * 3 * 4 * 3 - 13 * 10) * 2 * 3
    assert dense_operations(SpikingGraph(40, {"x": p}, [conv], ("x",))) == (
        RECORDED["padded_convolution"] - of_the_padding
    )


def test_a_dense_device_pays_every_step_by_default():
    e = estimate(STATS, 1e-3, "kerasspiking:cpu", dense_operations=5000)
    assert e.synapses == pytest.approx(1000 * 5000 * 8.6e-9)
    assert e.neurons == pytest.approx(10_000 * 8.6e-9)
    with pytest.raises(ValueError, match="dense_operations"):
        estimate(STATS, 1e-3, "kerasspiking:cpu")


def test_45_nm_arithmetic():
    assert estimate(STATS, 1e-3, "horowitz45nm:ac").dynamic == pytest.approx(0.9e-6)
    mac = estimate(STATS, 1e-3, "horowitz45nm:mac", dense_operations=5000, passes=2)
    assert mac.dynamic == pytest.approx(10_000 * 4.6e-12)


def test_every_model_names_its_source_and_an_unknown_one_is_refused():
    for name, model in MODELS.items():
        assert model.name == name and any(c.isdigit() for c in model.source)
        assert name in str(estimate(STATS, 1e-3, name, dense_operations=1))
    with pytest.raises(ModelError, match=r"'tpu': choose one of davies2018, .*horowitz45nm:mac"):
        model_by_name("tpu")
    with pytest.raises(ModelError, match="no table of Loihi 2's energy per operation has been published"):
        model_by_name("Loihi 2")


def test_no_step_no_power():
    assert estimate(BackendStats(), dt=1e-3).dynamic_power == 0


@pytest.mark.parametrize(
    "energy, text", [(0.0, "0 pJ"), (23.6e-9, "23.6 nJ"), (0.99999e-6, "1 uJ"), (2.5, "2.5 J"), (4e-13, "0.4 pJ")]
)
def test_joules(energy, text):
    assert joules(energy) == text
