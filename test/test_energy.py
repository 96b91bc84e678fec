# SPDX-License-Identifier: Apache-2.0
import pytest

from liquid_spike_control.neuromorphic.backend import BackendStats
from liquid_spike_control.neuromorphic.energy import estimate


def test_davies2018_prices_synapses_and_neurons_and_keeps_static_power_apart():
    stats = BackendStats(steps=1000, synaptic_operations=10**6, neuron_updates=2000, neuron_steps=10_000)
    e = estimate(stats, dt=1e-3, chips=2)
    assert e.synapses == pytest.approx(23.6e-6)
    assert e.neurons == pytest.approx(2000 * 81e-12 + 8000 * 52e-12)
    assert e.dynamic_power == pytest.approx(e.dynamic / 1.0)
    assert e.static_power == pytest.approx(0.208)
    for words in ("estimate", "davies2018", "Davies et al.", "pre-silicon", "static, apart"):
        assert words in str(e)


def test_no_step_no_power():
    assert estimate(BackendStats(), dt=1e-3).dynamic_power == 0
