# SPDX-License-Identifier: Apache-2.0
"""Random networks are the same for the same seed, reach the corners, and differences are found and written down."""

from dataclasses import replace

import numpy as np
import pytest
from oracles_here import need
from rich.console import Console

from liquid_spike_control.neuromorphic.emulator.loihi import Conv, LoihiEmulator, Probe
from liquid_spike_control.neuromorphic.files.compiled import read_network
from liquid_spike_control.neuromorphic.files.spike_files import read_spikes
from liquid_spike_control.neuromorphic.fuzz import compare, fuzz, print_report
from liquid_spike_control.neuromorphic.integers.random_network import SCOPES, random_case
from liquid_spike_control.neuromorphic.workers.backend import new_worker
from liquid_spike_control.neuromorphic.workers.oracles import KINDS


@pytest.fixture(params=KINDS)
def kind(request):
    return need(request.param)


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
def test_the_same_seed_gives_the_same_network_and_input(scope):
    first, second, other = (random_case(scope, seed) for seed in (7, 7, 8))
    assert first[0].hash == second[0].hash != other[0].hash
    np.testing.assert_array_equal(first[1].ids, second[1].ids)
    np.testing.assert_array_equal(first[1].indptr, second[1].indptr)


def test_random_networks_reach_the_corners():
    cases = [random_case(SCOPES["lava"], seed) for seed in range(60)]
    connections = [c for network, _ in cases for c in network.connections]
    synapses = [c for c in connections if not isinstance(c, Conv)]
    assert {type(c).__name__ for c in connections} == {"Dense", "Sparse", "Conv"}
    assert {np.sign(c.weight_exp) for c in synapses} == {-1, 0, 1}
    assert {c.num_weight_bits for c in synapses} == set(range(1, 9))
    assert {(c.weights.min(initial=0) < 0, c.weights.max(initial=0) > 0) for c in synapses} >= {
        (True, True), (True, False), (False, True)
    }  # fmt: skip
    assert max(int(np.max(c.delays, initial=0)) for c in synapses) == 63
    assert any(c.source == c.target for c in connections)
    assert {c.channels_first for c in connections if isinstance(c, Conv)} == {False, True}
    populations = [p for network, _ in cases for p in network.populations.values()]
    assert {0, 4095} <= {int(p.du) for p in populations} and {0, 4095} <= {int(p.dv) for p in populations}
    assert any(np.any(p.bias < 0) for p in populations)
    late = [p for seed in range(20) for p in random_case(SCOPES["nengo_loihi"], seed)[0].populations.values()]
    assert max(int(np.max(p.refractory)) for p in late) > 50 and max(int(np.max(p.start)) for p in late) > 50
    rates = []
    for network, train in cases[:20]:
        with LoihiEmulator(network) as emulator:
            emulator.run(train)
            stats = emulator.stats()
        rates.append(stats.spikes / stats.neuron_steps)
    assert np.mean(np.array(rates) > 0) > 0.6 and np.median(rates) < 0.5


@pytest.mark.parametrize("quantity", ["u", "v", "spikes"])
def test_the_first_difference_is_named(quantity):
    network, train = random_case(SCOPES["lava"], 36)
    same = LoihiEmulator(network).probe(train)
    assert compare(network, train, same) is None
    name = list(same)[-1]
    other = {part: getattr(same[name], part).copy() for part in ("u", "v", "spikes")}
    for step in (9, 30):
        other[quantity][step, 2] ^= 1
    mismatch = compare(network, train, {**same, name: Probe(**other)}, seed=36)
    assert (mismatch.population, mismatch.quantity, mismatch.step, mismatch.neuron) == (name, quantity, 9, 2)
    assert mismatch.ours == getattr(same[name], quantity)[9, 2] != mismatch.theirs


def test_a_mismatch_is_made_smaller_and_written(tmp_path, monkeypatch):
    need("nengo_loihi")
    # Beyond what its accumulators hold, nengo-loihi overflows otherwise than Lava does.
    monkeypatch.setitem(SCOPES, "nengo_loihi", replace(SCOPES["nengo_loihi"], a_limit=2**24, u_limit=None))
    console = Console(record=True, width=200)
    report = fuzz("nengo_loihi", 200_000, 11, console, tmp_path)
    print_report(report, console)
    found = report.mismatch
    assert found is not None and f"mismatch (seed {found.seed})" in console.export_text()
    small = read_network(found.network).network
    whole, train = random_case(SCOPES["nengo_loihi"], found.seed)
    spikes = read_spikes(found.spikes, small.n_inputs, 1e-3)
    assert spikes.n_steps == found.step + 1 <= train.n_steps and len(spikes.ids) < len(train.ids)
    assert len(small.connections) <= len(whole.connections)
    with new_worker("nengo_loihi", small) as worker:
        again = compare(small, spikes, worker.probe(spikes), found.seed)
    assert replace(again, network=found.network, spikes=found.spikes) == found


def test_agreement_is_reported(tmp_path):
    need("nengo_loihi")
    console = Console(record=True, width=200)
    report = fuzz("nengo_loihi", 20_000, 33, console, tmp_path)
    print_report(report, console)
    assert report.mismatch is None and report.neuron_steps >= 20_000 and report.spikes > 100
    text = console.export_text()
    assert "no mismatch" in text and "nengo-loihi 1.1.0" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_random_networks_agree(kind, tmp_path):
    assert fuzz(kind, 200_000, 1000, Console(), tmp_path).mismatch is None
