# SPDX-License-Identifier: Apache-2.0
"""Neurons whose threshold adapts: float reference and integers against plain loops, files, quantisation."""

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.agreement import compare
from liquid_spike_control.neuromorphic.chip.chips import LOIHI1, LOIHI2
from liquid_spike_control.neuromorphic.chip.mapping import place
from liquid_spike_control.neuromorphic.emulator.engine import emulate
from liquid_spike_control.neuromorphic.emulator.loihi2 import Loihi2Emulator
from liquid_spike_control.neuromorphic.files.compiled import read_network, write_network
from liquid_spike_control.neuromorphic.integers.network import LoihiNetwork
from liquid_spike_control.neuromorphic.integers.neurons import AlifPopulation, Population, ProgrammedPopulation
from liquid_spike_control.neuromorphic.integers.synapses import Dense
from liquid_spike_control.neuromorphic.model import new_backend, read_model
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise_reported
from liquid_spike_control.neuromorphic.reference import FloatReference
from liquid_spike_control.spiking.graph import CubaPopulation, Linear, SpikingGraph
from liquid_spike_control.spiking.nir_import import read_nir
from liquid_spike_control.spiking.nir_io import read_perception_model, write_perception_model
from liquid_spike_control.spiking.readout import Readout
from liquid_spike_control.types import SpikeTrain

N, STEPS = 20, 500


def _graph(rise=0.3, dh=1 / 64, **options):
    rng = np.random.default_rng(1)
    p = CubaPopulation(
        np.full(N, 0.5), np.full(N, 0.25), np.ones(N), np.full(N, 0.02), rise=np.full(N, rise), dh=np.full(N, dh),
        **options,
    )  # fmt: skip
    connections = [
        Linear("input", "a", rng.normal(0.05, 0.2, (N, 8))),
        Linear("a", "a", rng.normal(0, 0.05, (N, N)), 2),
    ]
    return SpikingGraph(8, {"a": p}, connections, ("a",))


def _spikes(seed=2, steps=STEPS):
    return SpikeTrain.from_dense(np.random.default_rng(seed).random((steps, 8)) < 0.3)


@pytest.mark.parametrize("options", [{}, {"reset": "subtract"}, {"refractory": 3}])
def test_the_reference_is_the_equation(options):
    graph, spikes = _graph(**options), _spikes()
    w_in, w_rec = (c.weight for c in graph.connections)
    u, v, h, counter = np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(N, int)
    dense, past, found = spikes.to_dense(8).astype(float), [], []
    for t in range(STEPS):
        a = (w_in @ dense[t - 1] if t else 0) + (w_rec @ past[t - 3] if t >= 3 else 0)
        u = 0.5 * u + a
        v = 0.75 * v + u + 0.02
        v[counter > 0] = 0
        h = (1 - 1 / 64) * h
        s = v > 1 + h
        h = h + 0.3 * s
        v = np.where(s, v - 1 if options.get("reset") == "subtract" else 0, v)
        counter = np.maximum(np.where(s, options.get("refractory", 0), counter) - 1, 0)
        past.append(s.astype(float))
        found.append(s)
    out = FloatReference(graph).run(spikes).to_dense(N)
    assert 200 < out.sum() and np.array_equal(out, np.array(found))


def _integers(**options):
    rng = np.random.default_rng(3)
    p = AlifPopulation(
        N, du=1500, dv=300, threshold=200 << 6, drop=150 << 6, rise=rng.integers(0, 9000, N),
        dh=rng.integers(1, 900, N), **options,
    )  # fmt: skip
    return LoihiNetwork(8, {"a": p}, [Dense("input", "a", rng.integers(-40, 80, (N, 8)) // 2 * 2)], ("a",))


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_integers_are_the_rules_bit_by_bit_and_the_same_in_pieces(reset):
    network, spikes = _integers(reset=reset), _spikes(4)
    p = network.populations["a"]

    def tz(x, keep):
        return np.sign(x) * (np.abs(x) * keep // 4096)

    u, v, h, dense, found = np.zeros(N, int), np.zeros(N, int), np.zeros(N, int), spikes.to_dense(8).astype(int), []
    for t in range(STEPS):
        a = network.connections[0].synapses @ dense[t - 1] if t else np.zeros(N, int)
        u = tz(u, 4096 - 1501) + (a << 6)
        v = tz(v, 4096 - 300) + u
        h = tz(h, 4096 - p.dh)
        s = v > p.threshold + h
        v = np.where(s, v - p.drop if reset == "subtract" else 0, v)
        h = np.where(s, h + p.rise, h)
        found.append((s, u, v, h))
    emulator = emulate(network)
    assert isinstance(emulator, Loihi2Emulator)
    trace = emulator.probe(spikes)["a"]
    assert np.array_equal(trace.payloads, np.array([s for s, *_ in found])) and trace.payloads.sum() > 300
    for k, name in enumerate(("u", "v", "h"), 1):
        assert np.array_equal(trace.states[name], np.array([row[k] for row in found])), name
    emulator.reset()
    whole = emulator.run(spikes)
    emulator.reset()
    steps = [emulator.step(spikes.ids[a:b]) for a, b in zip(spikes.indptr[:-1], spikes.indptr[1:], strict=True)]
    assert np.array_equal(np.concatenate(steps), whole.ids)


def test_a_threshold_that_does_not_rise_is_a_plain_one():
    graph, spikes = _graph(rise=0.0), _spikes()
    plain = SpikingGraph(8, {"a": CubaPopulation(np.full(N, 0.5), np.full(N, 0.25), np.ones(N), np.full(N, 0.02))},
                         graph.connections, ("a",))  # fmt: skip
    assert np.array_equal(FloatReference(graph).run(spikes).ids, FloatReference(plain).run(spikes).ids)
    assert type(quantise_reported(graph)[0].populations["a"]) is Population
    base = _integers().populations["a"]
    still = LoihiNetwork(8, {"a": AlifPopulation(N, du=1500, dv=300, threshold=200 << 6, drop=150 << 6)},
                         _integers().connections, ("a",))  # fmt: skip
    programmed = LoihiNetwork(8, {"a": ProgrammedPopulation(N, du=1500, dv=300, threshold=200 << 6, drop=150 << 6)},
                              _integers().connections, ("a",))  # fmt: skip
    assert base.n == N and np.array_equal(emulate(still).run(spikes).ids, emulate(programmed).run(spikes).ids)


def test_rates_fall_after_the_beginning_as_they_should():
    """A constant current: the first interval is short, and the last one as the fixed point of the equation gives it."""
    rise, dh = 0.2, 0.01
    p = CubaPopulation([1.0], [1e-9 + 0.1], [1.0], [0.3], rise=[rise], dh=[dh])
    graph = SpikingGraph(1, {"a": p}, [Linear("input", "a", np.zeros((1, 1)))], ("a",))
    out = FloatReference(graph).run(SpikeTrain.from_steps([[]] * 3000)).to_dense(1)[:, 0]
    when = np.flatnonzero(out)
    gaps = np.diff(when)
    assert gaps[0] < 10 and gaps[-20:].mean() > 2 * gaps[0]
    # h after a spike: rise / (1 - (1 - dh)^T); the voltage 3 (1 - 0.9^T) crosses 1 + h (1 - dh)^T at T.
    t = np.arange(1, 400)
    crossing = 3 * (1 - 0.9**t) > 1 + rise * (1 - dh) ** t / (1 - (1 - dh) ** t)
    assert abs(gaps[-20:].mean() - t[crossing][0]) < 1.5


def test_quantised_neurons_spike_nearly_as_the_floats(tmp_path):
    graph, spikes = _graph(), _spikes(5, 2000)
    network, report = quantise_reported(graph)
    assert isinstance(network.populations["a"], AlifPopulation)
    assert "its threshold adapts: integers for Loihi 2's programmable neuron, not for Loihi 1" in str(report)
    first = compare(graph, network, spikes, report.units).populations[0]
    assert first.float_rate > 0.02 and abs(first.fixed_rate - first.float_rate) < 0.05 * first.float_rate
    place(network, LOIHI2).check()
    with pytest.raises(ModelError, match="AlifPopulation"):
        place(network, LOIHI1).check()
    write_network(tmp_path / "a.safetensors", network, {})
    again = read_network(tmp_path / "a.safetensors").network
    assert again.hash == network.hash
    assert np.array_equal(emulate(again).run(spikes).ids, emulate(network).run(spikes).ids)


def test_nir_files_hold_it_and_other_readers_find_it(tmp_path):
    graph, spikes = _graph(), _spikes()
    path = tmp_path / "alif.nir"
    readout = Readout(np.ones((1, N)), 0.1, np.ones((1, 1)))
    written = write_perception_model(path, graph, readout, {}, dt=1e-3)
    model = read_perception_model(path)
    assert model.hash == written and model.graph.hash == graph.hash
    assert np.array_equal(model.graph.populations["a"].rise, graph.populations["a"].rise)
    with new_backend(read_model(path), "float") as backend:
        assert np.array_equal(backend.run(spikes).ids, FloatReference(graph).run(spikes).ids)
    other = write_perception_model(tmp_path / "b.nir", _graph(rise=0.31), readout, {}, dt=1e-3)
    assert other != written, "the hash counts the adaptation"
    imported = read_nir(path, "loihi", 1e-3).graph
    assert np.allclose(imported.populations["a"].rise, 0.3) and np.allclose(imported.populations["a"].dh, 1 / 64)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"rise": -0.1}, "rise must be at least 0"),
        ({"dh": 0.0}, "dh lie above 0"),
        ({"rise": np.nan}, "rise must be finite"),
        ({"reset": "subtract", "most_spikes": 2}, "one spike a step"),
    ],
)
def test_bad_adaptation_is_named(change, words):
    with pytest.raises(ModelError) as error:
        _graph(**change)
    assert words in str(error.value)
    with pytest.raises(ModelError, match="belong together"):
        CubaPopulation([0.5], [0.5], [1.0], [0.0], rise=[0.1])


def test_the_state_of_the_reference_restores():
    graph, spikes = _graph(), _spikes()
    reference = FloatReference(graph)
    reference.run(spikes)
    kept = reference.state
    first = reference.run(spikes).ids
    reference.state = kept
    assert np.array_equal(reference.run(spikes).ids, first)
