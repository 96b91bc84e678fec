# SPDX-License-Identifier: Apache-2.0
"""Izhikevich's neurons and AdEx: regimes in float64, integers beside them, files, chips."""

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.chip.chips import LOIHI1, LOIHI2
from liquid_spike_control.neuromorphic.chip.mapping import place
from liquid_spike_control.neuromorphic.emulator.engine import emulate
from liquid_spike_control.neuromorphic.emulator.loihi2 import Loihi2Emulator
from liquid_spike_control.neuromorphic.files.compiled import read_network, write_network
from liquid_spike_control.neuromorphic.integers.network import LoihiNetwork
from liquid_spike_control.neuromorphic.integers.nonlinear_neurons import (
    AdExPopulation,
    IzhikevichPopulation,
    nonlinear_population,
)
from liquid_spike_control.neuromorphic.integers.synapses import Dense
from liquid_spike_control.neuromorphic.regimes_figure import in_integers
from liquid_spike_control.spiking.nonlinear_neurons import REGIMES, AdEx, Izhikevich
from liquid_spike_control.types import SpikeTrain

STEPS = 500
#: Largest error of a spike's time in 500 ms, and the error of the voltage between spikes, in docs/neurons.md.
MOST_STEPS, MOST_MV = 3, 0.4


def _network(p, bias):
    return LoihiNetwork(1, {"n": nonlinear_population(1, p, bias=bias)}, [Dense("input", "n", [[0]])], ("n",))


@pytest.mark.parametrize("name", REGIMES)
def test_integers_spike_when_floats_do(name):
    p, current = REGIMES[name]
    spikes, v = p.run(np.full(STEPS, current))
    found, at = in_integers(p, current, STEPS)
    assert found.sum() == spikes.sum() > 5
    assert np.abs(np.flatnonzero(found) - np.flatnonzero(spikes)).max() <= MOST_STEPS
    first = np.flatnonzero(spikes != found)[:1]
    same = int(first[0]) if len(first) else STEPS  # up to there they do the same; compare what lies between spikes
    calm = ~spikes[:same] & (v[:same] < -55)
    assert np.abs(at[:same] - v[:same])[calm].max() < MOST_MV


def test_regimes_are_what_they_are_called():
    """Intervals between spikes, as the papers draw them."""
    gaps = {name: np.diff(np.flatnonzero(p.run(np.full(1000, i))[0])) for name, (p, i) in REGIMES.items()}
    assert np.ptp(gaps["izhikevich regular spiking"][1:]) <= 1 and gaps["izhikevich regular spiking"][0] < 30
    assert gaps["izhikevich intrinsic bursting"][0] < 5 < 30 < gaps["izhikevich intrinsic bursting"][-1]
    assert set(gaps["izhikevich chattering"][-20:] < 10) == {True, False}
    assert np.ptp(gaps["izhikevich fast spiking"][1:]) <= 2 and gaps["izhikevich fast spiking"].max() < 15
    assert np.ptp(gaps["adex tonic"]) <= 2 and (np.diff(gaps["adex adapting"][:7]) > 0).all()
    assert gaps["adex initial burst"][0] < 10 < 50 < gaps["adex initial burst"][-1]
    assert gaps["adex bursting"][-8:].min() < 10 < 100 < gaps["adex bursting"][-8:].max()
    assert gaps["adex accelerating"][0] > 1.5 * gaps["adex accelerating"][-1]


def test_a_network_of_them_runs_in_pieces_and_from_its_file(tmp_path):
    rng = np.random.default_rng(0)
    network = LoihiNetwork(
        4,
        {
            "bursts": IzhikevichPopulation.of(6, Izhikevich(c=-50.0, d=2.0), du=2000),
            "adapts": AdExPopulation.of(5, AdEx(jump=60.0, tau=300.0), bias=np.linspace(0, 600, 5)),
        },
        [
            Dense("input", "bursts", rng.integers(0, 120, (6, 4)) * 2),
            Dense("bursts", "adapts", rng.integers(-60, 100, (5, 6)) * 2, delays=2),
        ],
        ("bursts", "adapts"),
    )
    spikes = SpikeTrain.from_dense(rng.random((200, 4)) < 0.2)
    emulator = emulate(network)
    whole = emulator.run(spikes)
    assert (whole.ids < 6).sum() > 20 and (whole.ids >= 6).sum() > 10
    emulator.reset()
    steps = [emulator.step(spikes.step(k)) for k in range(200)]
    assert np.array_equal(np.concatenate(steps), whole.ids)
    write_network(tmp_path / "n.safetensors", network, {"step_s": 1e-3})
    again = read_network(tmp_path / "n.safetensors")
    assert again.hash == network.hash and np.array_equal(emulate(again.network).run(spikes).ids, whole.ids)


def test_a_synapse_adds_a_64th_of_a_millivolt():
    """A weight of 128 in one step: 2 mV in all, as the float neuron under a current of 2 for one step."""
    p = Izhikevich()
    network = LoihiNetwork(1, {"n": IzhikevichPopulation.of(1, p)}, [Dense("input", "n", [[128]])], ("n",))
    given = np.zeros(40)
    given[11] = 2.0
    trace = Loihi2Emulator(network).probe(SpikeTrain.from_dense(np.arange(40)[:, None] == 10))["n"]
    assert np.abs(trace.states["v"][:, 0] / 4096 - p.run(given)[1]).max() < 0.02


@pytest.mark.parametrize("name", ["izhikevich chattering", "adex bursting"])
def test_loihi_1_has_none(name):
    network = _network(*REGIMES[name])
    with pytest.raises(ModelError, match=r"n \((Izhikevich|AdEx)Population\): neurons: 1 needed, 0 .*Loihi 2"):
        place(network, LOIHI1).check()
    assert place(network, LOIHI2).n_cores == 1


@pytest.mark.parametrize(
    "message, call",
    [
        ("Izhikevich: d nan; give a finite number", lambda: Izhikevich(d=float("nan"))),
        ("Izhikevich: a -1; give a number above 0", lambda: Izhikevich(a=-1.0)),
        ("AdEx: substeps 3; give a power of 2", lambda: AdEx(substeps=3)),
        ("AdEx: peak -60; give a voltage above", lambda: AdEx(peak=-60.0)),
        ("c must lie in", lambda: IzhikevichPopulation.of(1, Izhikevich(c=-3000.0))),
        ("coupling must lie in", lambda: AdExPopulation.of(1, AdEx(coupling=1e4))),
        ("bias must lie in", lambda: AdExPopulation.of(1, AdEx(), bias=1e9)),
    ],
)
def test_bad_parameters_are_named(message, call):
    with pytest.raises(ModelError, match=message):
        call()
