# SPDX-License-Identifier: Apache-2.0
"""Other people's simulators where they are installed: the same currents, potentials and spikes as ours."""

import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import network
from oracles_here import need
from sessions import alive, session

from liquid_spike_control.errors import ModelError, WorkerError
from liquid_spike_control.neuromorphic.emulator.loihi import Dense, LoihiEmulator, LoihiNetwork, Population, Sparse
from liquid_spike_control.neuromorphic.fuzz import compare
from liquid_spike_control.neuromorphic.integers.random_network import SCOPES, random_case
from liquid_spike_control.neuromorphic.workers.backend import new_worker
from liquid_spike_control.neuromorphic.workers.oracles import KINDS
from liquid_spike_control.types import SpikeTrain


@pytest.fixture(params=KINDS)
def kind(request):
    return need(request.param)


def lively(kind: str) -> tuple[LoihiNetwork, SpikeTrain]:
    """Two populations with recurrence, whose spikes depend on their past."""
    rng = np.random.default_rng(5)

    def synapses(source, target, n_target, n_source):
        w = rng.integers(-120, 200, (n_target, n_source))
        return Dense(source, target, w, rounding=SCOPES[kind].rounding)

    connections = [synapses("input", "a", 12, 9), synapses("a", "a", 12, 12), synapses("a", "b", 4, 12)]
    populations = {"a": Population(12, du=700, dv=300, vth=150), "b": Population(4, du=900, dv=200, vth=200)}
    return LoihiNetwork(9, populations, connections, ("b", "a")), SpikeTrain.from_dense(rng.random((40, 9)) < 0.2)


def test_backend_runs_steps_resets_and_counts_as_the_emulator_does(kind):
    model, train = lively(kind)
    emulator = LoihiEmulator(model)
    expected, stats = emulator.run(train), emulator.stats()
    assert 100 < len(expected.ids) < 600
    with new_worker(kind, model) as worker:
        assert (worker.n_inputs, worker.n_outputs, worker.network_hash) == (9, 16, model.hash)
        first = worker.run(SpikeTrain(train.indptr[:35], train.ids))
        last = [worker.step(train.step(k)) for k in range(34, 40)]
        whole = SpikeTrain.from_steps([*(first.step(k) for k in range(34)), *last])
        np.testing.assert_array_equal(whole.indptr, expected.indptr)
        np.testing.assert_array_equal(whole.ids, expected.ids)
        counted = worker.stats()
        assert counted == replace(stats, neuron_updates=counted.neuron_steps)
        worker.reset()
        assert worker.stats().steps == 0
        again = worker.run(SpikeTrain(train.indptr[:35], train.ids))
        np.testing.assert_array_equal(again.ids, first.ids)
        assert (np.diff(worker.stamps_ns) > 0).all() and len(worker.stamps_ns) == 34
        with pytest.raises(ValueError, match="0 .. 8"):
            worker.step([9])
        pid = worker._child._process.pid
    assert not alive(pid)


def test_random_network_agrees_in_u_v_and_spikes(kind):
    seeds = {"lava": 36, "nengo_loihi": 33, "brian2_loihi": 38}  # lava's has a convolution
    network, train = random_case(SCOPES[kind], seeds[kind])
    with new_worker(kind, network) as worker:
        theirs = worker.probe(train)
    assert sum(p.spikes.sum() for p in theirs.values()) > 300
    assert compare(network, train, theirs) is None


@pytest.mark.parametrize("kind", ["lava", "nengo_loihi"])
def test_a_simulator_that_hangs_is_ended(kind):
    model, train = lively(need(kind))
    worker = new_worker(kind, model)
    pid = worker._child._process.pid
    worker.run(train)
    maps = [(p / "maps").read_text() for p in session(pid)]
    shared = set(re.findall(r"/dev/shm/psm_\w+", "".join(maps)))
    assert len(maps) > 1 and len(shared) > 5 if kind == "lava" else not shared
    worker._timeout_s = 0.5
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(WorkerError, match=f"{kind}: no answer within 0.5 s"):
        worker.run(train)
    assert not alive(pid)
    with pytest.raises(WorkerError, match=f"{kind} has ended"):
        worker.step([])
    assert not any(Path(name).exists() for name in shared)


def test_hardware_without_intels_extension_names_the_missing_part():
    with pytest.raises(ModelError, match=r"lava-loihi.*lacks lava\.utils\.loihi2_profiler"):
        new_worker(need("lava"), network(), hardware=True)
    with pytest.raises(ModelError, match="nengo_loihi does not support hardware"):
        new_worker(need("nengo_loihi"), network(), hardware=True)


def rounded(exponents: tuple[int, ...], signs: tuple[str, ...]) -> tuple[LoihiNetwork, SpikeTrain]:
    """One axon with every weight that there is, for each exponent and sign mode a population."""
    # Loihi clips what -256 at exponent 7 would give, and that is refused.
    ranges = {"mixed": (-254, 254), "excitatory": (0, 255), "inhibitory": (-255, 0)}
    populations, connections = {}, []
    for exponent in exponents:
        for sign in signs:
            w = np.arange(ranges[sign][0], ranges[sign][1] + 1)[:, None]
            name, bits = f"{sign} {exponent}", 8 if exponent % 2 else 5
            populations[name] = Population(len(w), du=4095, dv=0, vth=2**17 - 1)
            connections.append(Dense("input", name, w, bits, exponent, rounding="brian2loihi"))
    return LoihiNetwork(1, populations, connections), SpikeTrain.from_dense(np.arange(4)[:, None] == 1)


@pytest.mark.parametrize(
    ("exponents", "signs"),
    [
        ((0, 1, 4, 7), ("mixed", "excitatory", "inhibitory")),
        ((-8, -3, -1), ("excitatory",)),
        ((-8, -3, -1), ("mixed", "inhibitory")),
    ],
)
def test_brian2loihi_rounding_is_that_of_brian2loihi(exponents, signs):
    model, train = rounded(exponents, signs)
    with new_worker(need("brian2_loihi"), model) as worker:
        assert compare(model, train, worker.probe(train)) is None


def test_sums_that_arrive_with_different_delays_are_shifted_apart():
    rng = np.random.default_rng(0)
    w, delays = rng.integers(-9, 10, (8, 6)), rng.integers(0, 4, (8, 6))
    at = np.nonzero(w)
    neurons = Population(8, du=900, dv=100, vth=4)
    connections = [
        Dense("input", "a", w, weight_exp=-3, delays=delays),
        Sparse("input", "b", w.shape, *at, w[at], weight_exp=-3, delays=delays[at]),
    ]
    model = LoihiNetwork(6, {"a": neurons, "b": neurons}, connections)
    train = SpikeTrain.from_dense(rng.random((60, 6)) < 0.4)
    with new_worker(need("lava"), model) as worker:
        theirs = worker.probe(train)
    np.testing.assert_array_equal(theirs["a"].u, theirs["b"].u)
    assert compare(model, train, theirs) is None


def test_refractory_periods_are_those_of_nengo_loihi():
    n = 64
    model = network(
        Dense("input", "a", np.full((n, 1), 200)), n_inputs=1, n=n, du=4095, dv=0, vth=20, refractory=np.arange(n),
        bias_mant=30, start=np.arange(n)[::-1].copy(),
    )  # fmt: skip
    train = SpikeTrain.from_dense(np.ones((200, 1)))
    with new_worker(need("nengo_loihi"), model) as worker:
        theirs = worker.probe(train)
    assert compare(model, train, theirs) is None
    intervals = [np.diff(np.flatnonzero(spikes)) for spikes in theirs["a"].spikes.T]
    assert all((i == max(1, r)).all() for r, i in enumerate(intervals))
