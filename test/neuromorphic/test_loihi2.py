# SPDX-License-Identifier: Apache-2.0
"""The general emulator against payloads, spikes and states that Intel's Lava recorded, and against the fast one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from liquid_spike_control.errors import ModelError
from liquid_spike_control.neuromorphic.emulator.engine import emulate
from liquid_spike_control.neuromorphic.emulator.loihi import LoihiEmulator
from liquid_spike_control.neuromorphic.emulator.loihi2 import GradedTrain, Loihi2Emulator
from liquid_spike_control.neuromorphic.integers.network import LoihiNetwork
from liquid_spike_control.neuromorphic.integers.neurons import (
    AdaptivePopulation,
    Delta,
    Population,
    ProgrammedPopulation,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
)
from liquid_spike_control.neuromorphic.integers.synapses import Conv, Dense, Sparse
from liquid_spike_control.types import SpikeTrain

DATA = Path(__file__).parents[1] / "data"
FIRST = np.load(DATA / "loihi_conv_delay_sdn_rf.npz")
CHAINS = np.load(DATA / "loihi2.npz")  # made by record_loihi2.py
# Recorded states, as Lava calls them and as we do.
STATES = {"i": "u", "act": "activation"} | {m: m for m in ("u", "v", "theta", "r", "sigma", "residue", "real", "imag")}


@pytest.mark.parametrize("case", [f"sdn{k:02d}" for k in range(8)])
def test_sigma_delta_matches_lava(case):
    w, expected = FIRST[f"{case}_W"], FIRST[f"{case}_s"]
    names = ("vth", "spike_exp", "state_exp")
    population = SigmaDelta(
        len(w), bias=FIRST[f"{case}_bias"], **{name: int(FIRST[f"{case}_{name}"]) for name in names}
    )
    network = LoihiNetwork(w.shape[1], {"sdn": population}, [Dense("input", "sdn", w)])
    output = Loihi2Emulator(network).run_graded(GradedTrain.from_dense(FIRST[f"{case}_in"].T))
    np.testing.assert_array_equal(output.to_dense(len(w)), expected.T)
    assert expected.any()


@pytest.mark.parametrize("case", [f"rf{k:02d}" for k in range(8)])
def test_resonate_and_fire_matches_lava(case):
    w, expected = FIRST[f"{case}_W"], FIRST[f"{case}_s"]
    period, alpha, vth = (FIRST[f"{case}_{name}"].item() for name in ("period", "alpha", "vth"))
    network = LoihiNetwork(
        w.shape[1], {"rf": ResonateAndFire.of_period(len(w), period, alpha, vth)}, [Dense("input", "rf", w)]
    )
    output = Loihi2Emulator(network).run(SpikeTrain.from_dense(FIRST[f"{case}_in"].T))
    np.testing.assert_array_equal(output.to_dense(len(w)), expected.T)
    assert expected.any()


def recorded_population(get, start):
    """A population from what :file:`record_loihi2.py` wrote."""
    n, model = get("n"), get("model")
    if model in ("lif", "atrlif"):
        kind, more = (Population, ()) if model == "lif" else (AdaptivePopulation, ("vth_step", "dtheta", "dr"))
        return kind(n, **{name: get(name) for name in ("du", "dv", "vth", "bias_mant", "bias_exp", *more)})
    if model in ("rf", "rfiz"):
        rule = "phase" if model == "rf" else "izhikevich"
        return ResonateAndFire.of_period(n, get("period"), get("alpha"), get("vth"), rule=rule)
    if model == "sigma":
        return Sigma(n)
    exponents = {"spike_exp": get("spike_exp"), "state_exp": get("state_exp"), "cumulative_error": get("cumulative")}
    if model == "delta":
        return Delta(n, get("vth"), **exponents)
    activation = "relu" if get("relu") else "unit"
    return SigmaDelta(n, get("vth"), get("bias"), **exponents, activation=activation, start=start)


def recorded_network(case):
    """A chain of layers, and by how many steps Lava's input is ahead of ours."""
    populations, connections, source, ahead = {}, [], "input", 0
    while f"{case}_{len(populations)}_model" in CHAINS:
        k = len(populations)

        def get(name, default=None, k=k):
            value = CHAINS.get(f"{case}_{k}_{name}", np.array(default))
            return value.item() if value.ndim == 0 else value

        name, w = f"layer{k}", CHAINS[f"{case}_{k}_W"]
        ahead = ahead or int(get("direct", False))
        populations[name] = recorded_population(get, ahead)
        if f"{case}_{k}_input_shape" in CHAINS:
            connections.append(Conv(source, name, w, tuple(get("input_shape")), stride=get("stride"), padding=1))
        elif f"{case}_{k}_W_imag" in CHAINS:
            nothing = np.zeros_like(w)
            connections.append(Dense(source, name, np.vstack([w, nothing])))
            connections.append(Dense(source, name, np.vstack([nothing, get("W_imag")])))
        else:
            connections.append(Dense(source, name, w, weight_exp=get("weight_exp", 0), delays=get("D", 0)))
        source = name
    return LoihiNetwork(len(CHAINS[f"{case}_in"]), populations, connections), ahead


@pytest.mark.parametrize("case", sorted({name.split("_")[0] for name in CHAINS}))
def test_chains_match_lava_in_states_and_payloads_also_where_they_overflow(case):
    network, ahead = recorded_network(case)
    inputs = CHAINS[f"{case}_in"].T
    traces = Loihi2Emulator(network).probe(GradedTrain.from_dense(np.concatenate([inputs, inputs[:ahead]])))
    compared = 0
    for k, name in enumerate(network.populations):
        np.testing.assert_array_equal(traces[name].payloads[ahead:], CHAINS[f"{case}_{k}_s"].T)
        for theirs, ours in STATES.items():
            if f"{case}_{k}_{theirs}" in CHAINS:
                np.testing.assert_array_equal(traces[name].states[ours][ahead:], CHAINS[f"{case}_{k}_{theirs}"].T)
                compared += 1
    assert compared
    assert CHAINS[f"{case}_0_s"].any()


def random_network(rng):
    """CUBA-LIF populations joined by connections of every kind."""
    n_inputs = 2 * 6 * 6

    def population(n):
        def each(low, high):
            return rng.integers(low, high, n) if rng.random() < 0.5 else int(rng.integers(low, high))

        return Population(
            n,
            du=each(0, 4096),
            dv=each(0, 4097) if rng.random() < 0.8 else 4096,
            vth=each(50, 600),
            bias_mant=each(-20, 60),
            bias_exp=each(0, 7),
            refractory=each(0, 5),
            start=each(0, 4),
        )

    populations = {"image": population(3 * 3 * 4), "dense": population(20), "sparse": population(17)}
    pairs = rng.choice(17 * 20, 80, replace=False)
    connections = [
        Conv(
            "input",
            "image",
            rng.integers(-60, 90, (4, 3, 3, 2)),
            (6, 6, 2),
            stride=2,
            padding=1,
            weight_exp=int(rng.integers(0, 3)),
            channels_first=bool(rng.random() < 0.5),
            delay=int(rng.integers(0, 5)),
        ),
        Dense("image", "dense", rng.integers(-128, 128, (20, 36)), weight_exp=int(rng.integers(-2, 3))),
        Dense(
            "dense",
            "dense",
            rng.integers(-128, 20, (20, 20)),
            num_weight_bits=5,
            weight_exp=int(rng.integers(-3, 1)),
            delays=rng.integers(0, 7, (20, 20)),
        ),
        Sparse(
            "dense",
            "sparse",
            (17, 20),
            pairs // 20,
            pairs % 20,
            rng.integers(-100, 200, 80),
            weight_exp=int(rng.integers(-3, 3)),
            delays=rng.integers(0, 30, 80),
            rounding="brian2loihi" if rng.random() < 0.5 else "lava",
        ),
    ]
    return LoihiNetwork(n_inputs, populations, connections, outputs=("sparse", "image"))


@pytest.mark.parametrize("seed", range(12))
def test_cuba_neurons_are_those_of_the_fast_emulator(seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    train = SpikeTrain.from_dense(rng.random((150, network.n_inputs)) < rng.choice([0.01, 0.1, 0.4]))
    fast, general = LoihiEmulator(network), Loihi2Emulator(network)
    ours, theirs = general.probe(train), fast.probe(train)
    for name in network.populations:
        np.testing.assert_array_equal(ours[name].states["u"], theirs[name].u)
        np.testing.assert_array_equal(ours[name].states["v"], theirs[name].v)
        np.testing.assert_array_equal(ours[name].payloads, theirs[name].spikes)
    assert general.stats() == fast.stats()
    assert general.stats().spikes > 20
    general.reset(), fast.reset()
    np.testing.assert_array_equal(general.run(train).ids, fast.run(train).ids)


def test_emulate_chooses_the_engine_and_the_fast_one_refuses_what_it_cannot_run():
    lif = LoihiNetwork(2, {"a": Population(2, du=9, dv=9, vth=9)}, [Dense("input", "a", np.eye(2, dtype=int))])
    other = LoihiNetwork(2, {"a": SigmaDelta(2, vth=9)}, [Dense("input", "a", np.eye(2, dtype=int))])
    assert isinstance(emulate(lif), LoihiEmulator)
    assert isinstance(emulate(lif, graded=True), Loihi2Emulator)
    assert isinstance(emulate(other), Loihi2Emulator)
    with pytest.raises(ModelError, match=r"a is SigmaDelta; .* emulate\(network\)"):
        LoihiEmulator(other)


def mixed_network(**changes):
    """One population of every model, in a ring with delays."""
    rng = np.random.default_rng(0)
    populations = {
        "frames": Delta(3, vth=2, spike_exp=1, state_exp=3),
        "changes": SigmaDelta(5, vth=2, bias=np.arange(5), state_exp=2, start=1),
        "lif": Population(6, du=2000, dv=500, vth=40, refractory=2),
        "adaptive": AdaptivePopulation(4, du=2000, dv=500, vth=40, vth_step=10, dtheta=300, dr=900),
        "waves": ResonateAndFire.of_period(7, 6.5, 0.1, vth=30),
        "sums": Sigma(2),
    }
    names = list(populations)
    connections = [Dense("input", "frames", 20 * np.eye(3, dtype=int))]
    for source, target in zip(names, [*names[1:], "changes"], strict=True):
        shape = populations[target].n, populations[source].n
        weights, delays = rng.integers(-90, 100, shape), rng.integers(0, 5, shape)
        connections.append(Dense(source, target, weights, weight_exp=-3, delays=delays))
    arguments = {"n_inputs": 3, "populations": populations, "connections": connections, "outputs": ("waves", "changes")}
    return LoihiNetwork(**{**arguments, **changes})


def test_run_is_step_after_step_and_reset_starts_over(monkeypatch):
    inputs = np.cumsum(np.random.default_rng(0).integers(-9, 10, (60, 3)), 0)
    emulator = Loihi2Emulator(mixed_network())
    whole = emulator.run_graded(GradedTrain.from_dense(inputs))
    every = np.hstack([train.to_dense(n) for train, n in zip(_all(emulator, inputs), (3, 5, 6, 4, 7, 2), strict=True)])
    np.testing.assert_array_equal(np.hstack([every[:, 18:25], every[:, 3:8]]), whole.to_dense(12))
    stats = emulator.stats()
    assert (stats.steps, stats.neuron_steps) == (60, 60 * 27)
    assert stats.spikes == np.count_nonzero(every) and stats.input_spikes == np.count_nonzero(inputs)
    emulator.reset()
    parts = [emulator.run_graded(GradedTrain.from_dense(inputs[k : k + 7])) for k in range(0, 60, 7)]
    np.testing.assert_array_equal(np.concatenate([part.payloads for part in parts]), whole.payloads)
    emulator.reset()
    monkeypatch.setattr("liquid_spike_control.neuromorphic.emulator.loihi2._ROOM", 40)
    cut = emulator.run_graded(GradedTrain.from_dense(inputs))
    np.testing.assert_array_equal(cut.indptr, whole.indptr)
    np.testing.assert_array_equal(cut.payloads, whole.payloads)
    assert len(np.unique(whole.payloads)) > 5


def _all(emulator, inputs):
    emulator.reset()
    return emulator.run_all(GradedTrain.from_dense(inputs)).values()


def test_spikes_without_payloads_are_payloads_of_one():
    train = SpikeTrain.from_dense(np.random.default_rng(1).random((40, 3)) < 0.4)
    emulator = Loihi2Emulator(mixed_network())
    spikes = emulator.run(train)
    emulator.reset()
    np.testing.assert_array_equal(emulator.run_graded(GradedTrain.from_spikes(train)).ids, spikes.ids)
    emulator.reset()
    stepped = [emulator.step(train.step(k)) for k in range(40)]
    np.testing.assert_array_equal(np.concatenate(stepped), spikes.ids)
    assert len(spikes.ids) > 20


@pytest.mark.parametrize("ids", [[3], [-1], [0, 2**31 - 1]])
def test_axons_that_do_not_exist_are_refused_and_change_nothing(ids):
    emulator = Loihi2Emulator(mixed_network())
    with pytest.raises(ValueError, match=r"0 \.\. 2"):
        emulator.step(np.array(ids))
    assert emulator.stats().steps == 0


def test_networks_without_connections_run():
    network = LoihiNetwork(1, {"a": SigmaDelta(2, vth=1, bias=np.array([3, -3]))}, [])
    output = Loihi2Emulator(network).run_graded(GradedTrain.from_dense(np.zeros((2, 1), int)))
    np.testing.assert_array_equal(output.to_dense(2), [[3, 0], [0, 0]])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("changes", {"vth": 3}),
        ("changes", {"activation": "unit"}),
        ("changes", {"cumulative_error": True}),
        ("changes", {"start": 0}),
        ("frames", {"spike_exp": 2}),
        ("adaptive", {"vth_step": 11}),
        ("adaptive", {"dr": 901}),
        ("waves", {"rule": "izhikevich"}),
        ("waves", {"sin": 1}),
    ],
)
def test_hash_is_of_what_decides_the_spikes(name, change):
    network = mixed_network()
    changed = {**network.populations, name: replace(network.populations[name], **change)}
    assert mixed_network().hash == network.hash != mixed_network(populations=changed).hash


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: SigmaDelta(2, vth=-1), r"vth must lie in 0 \.\. 8388607, not -1"),
        (lambda: SigmaDelta(2, vth=2**22, spike_exp=6, state_exp=6), "must stay below"),
        (lambda: SigmaDelta(2, vth=1, activation="tanh"), "activation must be relu or unit, not tanh"),
        (lambda: Delta(0, vth=1), "a population has 0 neurons"),
        (lambda: ResonateAndFire(2, sin=5000, cos=0, vth=1), r"sin must lie in -4096 \.\. 4096"),
        (lambda: ResonateAndFire(2, sin=0, cos=0, vth=1, rule="fire"), "rule must be phase or izhikevich"),
        (lambda: AdaptivePopulation(2, 0, 0, 1, 1, 4097, 0), r"dtheta must lie in 0 \.\. 4096"),
        (lambda: AdaptivePopulation(2, 0, 0, 1, 1, 0, 0.5), "dr: give one integer, or 2"),
        (
            lambda: LoihiNetwork(3, {"a": Sigma(2)}, [Dense("input", "a", np.ones((4, 3), int))]),
            r"it joins 3 to 4, there are \(3, 2\)",
        ),
    ],
)
def test_parameters_out_of_bounds_are_named(build, words):
    with pytest.raises(ModelError, match=words):
        build()


def _programmed(p, a):
    """The rule of :class:`ProgrammedPopulation` in plain Python: synaptic inputs ``(n_steps, n)`` to u, v, counts."""
    u, v, counter = [0] * p.n, [0] * p.n, [int(np.broadcast_to(p.start, p.n)[i]) for i in range(p.n)]
    names = ("du", "dv", "threshold", "drop", "depth", "most_spikes", "bias", "refractory")
    each = {name: np.broadcast_to(getattr(p, name), p.n).tolist() for name in names}

    def decayed(x, c):
        return int(np.sign(x)) * (abs(x) * c // 4096)

    rows = []
    for inputs in a.tolist():
        sent = [0] * p.n
        for i in range(p.n):
            u[i] = decayed(u[i], 4096 - each["du"][i] - 1) + (inputs[i] << 6)
            v[i] = decayed(v[i], 4096 - each["dv"][i]) + u[i] + each["bias"][i]
            v[i] = min(max(v[i], -(2**23) + 1, -each["depth"][i]), 2**23 - 1)
            v[i] = 0 if counter[i] else v[i]
            while v[i] > each["threshold"][i] and sent[i] < each["most_spikes"][i]:
                sent[i] += 1
                v[i] = 0 if p.reset == "zero" else v[i] - each["drop"][i]
            counter[i] = max((each["refractory"][i] if sent[i] else counter[i]) - 1, 0)
        rows.append((list(u), list(v), sent))
    return tuple(np.array(part) for part in zip(*rows, strict=True))


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_programmed_neurons_follow_their_rule(reset):
    rng = np.random.default_rng(30)
    n = 12
    p = ProgrammedPopulation(
        n,
        du=rng.integers(0, 4096, n),
        dv=rng.integers(0, 4097, n),
        threshold=rng.integers(2000, 9000, n),
        drop=rng.integers(1500, 9000, n) if reset == "subtract" else 0,
        depth=rng.integers(0, 9000, n),
        most_spikes=rng.integers(1, 5, n) if reset == "subtract" else 1,
        reset="zero" if reset == "zero" else "subtract",
        bias_mant=rng.integers(-300, 400, n),
        refractory=rng.integers(0, 4, n),
        start=rng.integers(0, 5, n),
    )
    weights = np.eye(n, dtype=int) * 2
    network = LoihiNetwork(n, {"a": p, "b": Population(1, 4095, 0, 2**17 - 1)}, [
        Dense("input", "a", weights), Dense("a", "b", np.full((1, n), 3)),
    ], ("a",))  # fmt: skip
    payloads = rng.integers(-40, 90, (200, n))
    traces = Loihi2Emulator(network).probe(GradedTrain.from_dense(payloads))
    inputs = np.concatenate([np.zeros((1, n), int), payloads[:-1] * 2])
    u, v, sent = _programmed(p, inputs)
    assert (sent > 0).sum() > 200 and (reset != "subtract" or (sent > 1).sum() > 20) and (v < 0).any()
    np.testing.assert_array_equal(traces["a"].states["u"], u)
    np.testing.assert_array_equal(traces["a"].states["v"], v)
    np.testing.assert_array_equal(traces["a"].payloads, sent)
    # What is sent is multiplied with the weights of the next layer.
    np.testing.assert_array_equal(traces["b"].states["u"][1:, 0], 64 * 3 * sent[:-1].sum(1))
