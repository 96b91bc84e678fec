# SPDX-License-Identifier: Apache-2.0
"""Codes as neurons of Loihi 2: the host's spikes, the stated errors, and networks that take numbers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_spike_control.errors import ModelError, TaskError
from liquid_spike_control.neuromorphic.chip.chips import LOIHI1, LOIHI2
from liquid_spike_control.neuromorphic.chip.mapping import place
from liquid_spike_control.neuromorphic.emulator.engine import emulate
from liquid_spike_control.neuromorphic.encoding.decoders import decoder
from liquid_spike_control.neuromorphic.encoding.encoders import PARTS, encoder
from liquid_spike_control.neuromorphic.integers.network import LoihiNetwork
from liquid_spike_control.neuromorphic.integers.neurons import AdExPopulation, Population
from liquid_spike_control.neuromorphic.integers.random_network import SCOPES, random_case
from liquid_spike_control.neuromorphic.integers.synapses import Dense
from liquid_spike_control.spiking.coding.delta import DeltaCode
from liquid_spike_control.spiking.coding.interval import Interval
from liquid_spike_control.spiking.coding.latency import LatencyCode
from liquid_spike_control.spiking.coding.phase import PhaseCode
from liquid_spike_control.spiking.coding.population import PopulationCode
from liquid_spike_control.spiking.coding.rate import RateCode
from liquid_spike_control.spiking.nonlinear_neurons import AdEx
from liquid_spike_control.types import SpikeTrain

HALF = Interval(-2.5, 4.0)
WINDOWS = {
    "rate": lambda steps: RateCode(HALF, steps),
    "latency": lambda steps: LatencyCode(HALF, steps),
    "phase": lambda steps: PhaseCode(HALF, min(steps, 15)),
    "phases": lambda steps: PhaseCode(HALF, min(steps, 9), periods=3),
}
ROUNDING = 4 * np.spacing(HALF.width)


def windows(spikes, steps):
    """The windows of a train."""
    for k in range(0, spikes.n_steps, steps):
        edges = spikes.indptr[k : k + steps + 1]
        yield SpikeTrain(edges - edges[0], spikes.ids[edges[0] : edges[-1]])


@pytest.mark.parametrize("name", WINDOWS)
@given(st.integers(1, 5), st.integers(2, 70), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_values_come_back_within_the_error_of_the_code_in_every_window(name, n, steps, seed):
    code = WINDOWS[name](steps)
    values = np.random.default_rng(seed).uniform(HALF.low - 0.3, HALF.high + 0.3, (6, n))
    for row, window in zip(values, windows(encoder(code, n).encode(values), code.steps), strict=True):
        error = np.abs(code.decode(window, n) - np.clip(row, HALF.low, HALF.high)).max()
        assert error <= code.error() + ROUNDING


@pytest.mark.parametrize("name", ["latency", "phase", "phases"])
def test_the_spikes_are_those_of_the_host(name):
    code = WINDOWS[name](23)
    values = np.random.default_rng(1).uniform(HALF.low, HALF.high, (12, 7))
    found = encoder(code, 7).encode(values)
    expected = np.concatenate([code.encode(row).to_dense(7) for row in values])
    np.testing.assert_array_equal(found.to_dense(7), expected)


@pytest.mark.parametrize("steps", [1, 2, 7, 64, 1024, 2**15])
def test_rates_are_evenly_spaced_whole_numbers_of_spikes(steps):
    counts = np.unique(np.r_[0, 1, steps // 3, steps // 2, steps])[:, None]
    found = encoder(RateCode(Interval(), steps), 1).encode(counts / steps).to_dense(1).reshape(len(counts), steps)
    t = np.arange(steps + 1)
    np.testing.assert_array_equal(found, np.diff((2 * counts * t + steps) // (2 * steps)))


def test_a_population_is_that_of_the_host_but_for_rounded_activations():
    code, values = PopulationCode(16, 20), np.random.default_rng(2).normal(size=(30, 3))
    chip, charge = encoder(code, 3).encode(values), np.zeros(48)
    host = np.concatenate([code.encode(row, charge).to_dense(48) for row in values])
    totals = np.cumsum(chip.to_dense(48).astype(int) - host, axis=0)
    assert np.abs(totals).max() <= 1, "no neuron is ever more than a spike off"
    assert (totals != 0).mean() < 0.01


def signals(seed, n_steps=400, n=5, stride=0.9):
    """Random walks of at most 0.9 thresholds of 0.25 a step, on the neurons' grid."""
    steps = np.random.default_rng(seed).uniform(-stride, stride, (n_steps, n))
    return np.rint(np.cumsum(steps, axis=0) * PARTS) / PARTS * 0.25


@pytest.mark.parametrize("seed", range(4))
def test_threshold_delta_spikes_are_those_of_the_host(seed):
    code, x = DeltaCode(0.25), signals(seed)
    start = np.array([0.0, 0.25, -0.5, 1.0, 0.125])
    net = encoder(code, 5)
    found = net.encode(x, before=net.integers(start[None])[0])
    expected, _ = code.encode(x, start)
    np.testing.assert_array_equal(found.to_dense(10), expected.to_dense(10))
    assert np.abs(code.decode(found, start) - x)[20:].max() < code.error()


def test_a_signal_that_jumps_is_followed_a_threshold_a_step():
    code, x = DeltaCode(0.1), np.full((300, 1), 20.0)
    found = code.decode(encoder(code, 1).encode(x), np.zeros(1))
    assert found[198, 0] < 19.95 <= found[200, 0] + 0.05 and np.ptp(found[200:]) == 0
    with pytest.raises(TaskError, match="runs 520 thresholds ahead of its spikes, the neurons hold 500; give a larger"):
        encoder(code, 1).encode(2.605 * x)


def test_sums_are_decoded_on_the_chip():
    delta, x = DeltaCode(0.25), signals(9)
    spikes, _ = delta.encode(x, np.ones(5))
    np.testing.assert_array_equal(decoder(delta, 5).decode(spikes, np.ones(5)), delta.decode(spikes, np.ones(5)))
    rate = RateCode(HALF, 40, seed=3)
    trains = [rate.encode(row, window=k) for k, row in enumerate(np.random.default_rng(0).uniform(-2.5, 4, (6, 5)))]
    together = SpikeTrain.from_dense(np.concatenate([train.to_dense(5) for train in trains]))
    expected = [rate.decode(train, 5) for train in trains]
    np.testing.assert_allclose(decoder(rate, 5).decode(together), expected, rtol=0, atol=1e-12)
    with pytest.raises(TaskError, match="LatencyCode has no inverse of sums; decode it on the host"):
        decoder(LatencyCode(HALF, 8), 1)


CODES = [
    RateCode(HALF, 20),
    LatencyCode(HALF, 20),
    PhaseCode(HALF, 10, 2),
    PopulationCode(4, 20),
    DeltaCode(0.5),
]


@pytest.mark.parametrize("code", CODES, ids=lambda code: type(code).__name__)
@pytest.mark.parametrize("seed", [4, 11])
def test_a_network_behind_it_spikes_as_behind_the_host(code, seed):
    """Recurrent networks with biases, delays and refractory periods."""
    network, _ = random_case(SCOPES["nengo_loihi"], seed)
    early = {name: replace(p, start=p.start % 60) for name, p in network.populations.items()}
    axons = {PopulationCode: 4, DeltaCode: 2}.get(type(code), 1)
    n = 6
    dense = Dense("input", "first", np.random.default_rng(seed).integers(-99, 100, (network.n_inputs, n * axons)))
    first = Population(network.n_inputs, du=900, dv=300, vth=90, bias_mant=7, refractory=2)
    inner = [replace(c, source="first") if c.source == "input" else c for c in network.connections]
    whole = LoihiNetwork(n * axons, {"first": first, **early}, [dense, *inner], ("first", *early))
    values = np.cumsum(np.random.default_rng(seed).uniform(-0.4, 0.4, (120, n)), axis=0)[:: 1 if axons == 2 else 20]
    net = encoder(code, n)
    alone = net.encode(values)
    assert len(alone.ids) > 20
    expected = emulate(whole).run(alone).to_dense(whole.n_outputs)
    joined = net.before(whole)
    found = emulate(joined, graded=True).run_graded(net.payloads(values)).to_dense(whole.n_outputs)
    assert expected.any() and not found[: net.latency].any()
    np.testing.assert_array_equal(found[net.latency :], expected[: -net.latency])


@pytest.mark.parametrize("code", CODES, ids=lambda code: type(code).__name__)
def test_it_fits_a_core_of_loihi_2_and_windows_can_come_one_by_one(code):
    net = encoder(code, 8)
    assert place(net.network, LOIHI2).n_cores <= 2
    values = np.cumsum(np.random.default_rng(5).uniform(-0.4, 0.4, (40, 8)), axis=0)
    at_once = emulate(net.network, graded=True).run_graded(net.payloads(values)).spikes
    emulator, before, parts = emulate(net.network, graded=True), None, []
    for k in range(0, 40, 10):
        piece = values[k : k + 10]
        parts.append(emulator.run_graded(net.payloads(piece, before)).spikes.to_dense(net.network.n_outputs))
        before = net.integers(piece)[-1]
    np.testing.assert_array_equal(np.concatenate(parts), at_once.to_dense(net.network.n_outputs))


def test_a_number_that_stays_is_sent_once():
    net = encoder(LatencyCode(HALF, 20), 3)
    assert len(net.payloads(np.full((50, 3), 1.0)).ids) == 3
    assert len(net.encode(np.full((50, 3), 1.0)).ids) == 150


def test_what_does_not_fit_is_refused():
    with pytest.raises(TaskError, match="random spikes need noise.*leave the seed out"):
        encoder(RateCode(HALF, 20, seed=1), 1)
    with pytest.raises(TaskError, match="a latency code of 32769 steps; the neurons hold 32768"):
        encoder(LatencyCode(HALF, 2**15 + 1), 1)
    with pytest.raises(TaskError, match="a phase code of 16 digits; the neurons hold 15"):
        encoder(PhaseCode(HALF, 16), 1)
    for code in CODES:
        with pytest.raises(TaskError, match="hold the last"):
            encoder(code, 1).encode([[0.0], [np.nan]])
    net = encoder(RateCode(HALF, 20), 2)
    one = Population(1, 0, 0, 10)
    with pytest.raises(ModelError, match="has 3 input axons, the encoder 2 neurons"):
        net.before(LoihiNetwork(3, {"a": one}, [Dense("input", "a", [[1, 2, 3]])]))
    with pytest.raises(ModelError, match="has a population encoder already; rename it"):
        net.before(LoihiNetwork(2, {"encoder": one}, [Dense("input", "encoder", [[1, 2]])]))
    late = LoihiNetwork(2, {"a": Population(1, 0, 0, 10, start=62)}, [Dense("input", "a", [[1, 2]])])
    with pytest.raises(ModelError, match="a: start must lie in 0 .. 63, with the encoder's 2 steps it is 64"):
        net.before(late)
    biased = AdExPopulation.of(1, AdEx(), bias=500.0)
    with pytest.raises(ModelError, match="a: AdExPopulation has a bias, which cannot wait"):
        net.before(LoihiNetwork(2, {"a": biased}, [Dense("input", "a", [[1, 2]])]))
    assert not place(net.network, LOIHI1).fits
