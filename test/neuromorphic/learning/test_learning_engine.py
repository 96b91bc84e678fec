# SPDX-License-Identifier: Apache-2.0
"""The plastic emulator: determinism, pieces, freezing, what is saved, learnt delays, and what is refused."""

import hashlib

import numpy as np
import pytest
from plastic_networks import SINGLE, axons, driven, random_spikes

from liquid_spike_control.errors import LearningRuleError, ModelError
from liquid_spike_control.neuromorphic.emulator.engine import emulate
from liquid_spike_control.neuromorphic.emulator.loihi import Dense, LoihiEmulator, LoihiNetwork, Population
from liquid_spike_control.neuromorphic.emulator.loihi2 import Loihi2Emulator
from liquid_spike_control.neuromorphic.files.compiled import read_network, write_network
from liquid_spike_control.neuromorphic.learning.emulator import PlasticEmulator
from liquid_spike_control.neuromorphic.learning.rule import LearningRule, Trace
from liquid_spike_control.neuromorphic.workers.oracles import check_network
from liquid_spike_control.types import SpikeTrain

# The engine compiles for 20 s of processor time where no kernel is kept yet; other programs may have the cores.
pytestmark = pytest.mark.timeout(400)

TRACES = {"x1": Trace(16.4, 10), "y1": Trace(20, 8)}


def rule(**changes) -> LearningRule:
    fields = {"dw": "2^-2*x1*y0 - 2^-2*y1*x0", "dt": "2^-3*x1*y0 - u1*2^-4*t", **TRACES}
    return LearningRule(**fields | changes)


def recurrent(learning, seed=0) -> LoihiNetwork:
    """A plastic input layer and a plastic recurrence, whose spikes depend on the weights."""
    rng = np.random.default_rng(seed)
    return LoihiNetwork(
        n_inputs=20,
        populations={"a": Population(70, du=1000, dv=200, vth=400), "b": Population(5, du=500, dv=100, vth=300)},
        connections=[
            Dense("input", "a", rng.integers(0, 120, (70, 20)), learning=learning),
            Dense("a", "a", rng.integers(-9, 9, (70, 70)), learning=learning),
            Dense("a", "b", rng.integers(0, 40, (5, 70))),
        ],
    )


def train(n_steps=120, n=20, seed=1) -> SpikeTrain:
    return SpikeTrain.from_dense(np.random.default_rng(seed).random((n_steps, n)) < 0.1)


def numbers(emulator: PlasticEmulator) -> np.ndarray:
    return np.concatenate([x.ravel() for s in emulator.plastic for x in (s.weights, s.tags, s.delays)])


@pytest.mark.parametrize("epoch", [1, 5])
@pytest.mark.parametrize("draws", ["independent", "lava"])
def test_pieces_states_and_repetition_give_the_same_bytes(epoch, draws):
    network, spikes = recurrent(rule(epoch=epoch, draws=draws)), train()
    whole = PlasticEmulator(network)
    out = whole.run(spikes)
    assert len(out.ids) > 20 and (whole.plastic[0].weights != network.connections[0].weights).mean() > 0.5
    assert (whole.plastic[1].weights != network.connections[1].weights).mean() > 0.2
    stepped = emulate(network)
    assert isinstance(stepped, PlasticEmulator)
    ids = [stepped.step(spikes.step(k)) for k in range(53)]
    state = stepped.state
    stepped.run(train(7, seed=9))
    stepped.state = state
    ids += [stepped.step(spikes.step(k)) for k in range(53, 120)]
    np.testing.assert_array_equal(np.concatenate(ids), out.ids)
    np.testing.assert_array_equal(numbers(stepped), numbers(whole))
    whole.reset()
    np.testing.assert_array_equal(whole.plastic[0].weights, network.connections[0].weights)
    np.testing.assert_array_equal(whole.run(spikes).ids, out.ids)
    np.testing.assert_array_equal(numbers(stepped), numbers(whole))


def test_seeds_differ():
    first, second = (PlasticEmulator(recurrent(rule(seed=seed))) for seed in (0, 1))
    for emulator in (first, second):
        emulator.run(train())
    assert first.network_hash != second.network_hash
    assert (first.plastic[0].weights != second.plastic[0].weights).mean() > 0.3


def test_connections_of_one_rule_draw_apart():
    twins = [Dense("input", name, np.full((50, 20), 60), learning=rule(dw="2^-3*x0")) for name in ("a", "b")]
    same = {name: Population(50, du=0, dv=0, vth=131071) for name in ("a", "b")}
    emulator = PlasticEmulator(LoihiNetwork(20, same, twins))
    emulator.run(train(30))
    first, second = (s.weights for s in emulator.plastic)
    assert (first != second).mean() > 0.3 and abs(first.mean() - second.mean()) < 0.1
    assert len(np.unique(first[:, 0])) > 1, "synapses of one source draw apart too"


def test_synapses_are_changed_alike_one_by_one_and_in_rows():
    """The same few spikes among 6 targets (rows) and among 200 (lists); no fraction arises."""
    exact = LearningRule("2^0*x1*y0*sgn(w) + 2^1*y0", dt="2^0*x1*y0 - 2^0*t*y0", x1=Trace(64, 0), seed=5)
    weights = np.random.default_rng(2).integers(-90, 90, (200, 7))
    pre, post = random_spikes(3, 40, 7, 6, 0.3)
    few, many = driven(exact, weights[:6]), driven(exact, weights)
    few.run(axons(pre, post))
    many.run(axons(pre, np.hstack([post, np.zeros((40, 194), bool)])))
    for name in ("weights", "tags"):
        np.testing.assert_array_equal(getattr(few.plastic[0], name), getattr(many.plastic[0], name)[:6])
    assert (few.plastic[0].weights != weights[:6]).all()
    np.testing.assert_array_equal(many.plastic[0].weights[6:], weights[6:])
    visits, epochs = many.plastic[0].work
    assert epochs == 40 and visits < 40 * 7 * 200 / 4, "targets that do not spike are not visited"


def test_off_is_a_network_that_does_not_learn():
    network, spikes = recurrent(rule(sign="mixed")), train()
    learner = PlasticEmulator(network)
    learner.run(spikes)
    learner.learning = False
    learner.rest()
    frozen = numbers(learner)
    learner.run(spikes)
    np.testing.assert_array_equal(numbers(learner), frozen)
    assert not learner.plastic[0].trace("x1").any()
    learner.learning = True
    learner.rest()
    learner.run(spikes)
    assert (numbers(learner) != frozen).any()
    even = [c if c.learning is None else Dense(c.source, c.target, c.weights // 2 * 2) for c in network.connections]
    plain = LoihiEmulator(LoihiNetwork(20, network.populations, even))
    still = [
        c if c.learning is None else Dense(c.source, c.target, c.weights // 2 * 2, learning=rule())
        for c in network.connections
    ]
    off = PlasticEmulator(LoihiNetwork(20, network.populations, still))
    off.learning = False
    np.testing.assert_array_equal(off.run(spikes).ids, plain.run(spikes).ids)
    assert off.stats().spikes == plain.stats().spikes


def test_networks_that_do_not_learn_keep_their_hash_and_file(tmp_path):
    network = LoihiNetwork(
        3,
        {"a": Population(2, du=100, dv=100, vth=5), "b": Population(4, du=0, dv=0, vth=9)},
        [Dense("input", "a", np.full((2, 3), 100)), Dense("a", "b", np.full((4, 2), 50))],
    )
    assert network.hash == "b190e4ecb065fadc30bbb63fb6f85c58b37ce15d897873ea209b1456ef4a4fa0"
    write_network(tmp_path / "network.safetensors", network, {})
    found = hashlib.sha256((tmp_path / "network.safetensors").read_bytes()).hexdigest()
    assert found == "c28ea4fb6d163603ffdfcb3185f9c10338191bf9d82c09678f0c320cdbae745f"


def test_what_was_learnt_is_saved_and_goes_on(tmp_path):
    emulator = PlasticEmulator(recurrent(rule(dd="2^-4*x1*y0 - 2^-5*y1*x0", sign="mixed")))
    emulator.run(train())
    learnt = emulator.learnt()
    assert learnt.hash != emulator.network_hash and learnt.hash == emulator.learnt().hash
    write_network(tmp_path / "learnt.safetensors", learnt, {})
    read = read_network(tmp_path / "learnt.safetensors").network
    assert read.hash == learnt.hash and read.connections[0].learning == learnt.connections[0].learning
    fresh, again = PlasticEmulator(learnt), PlasticEmulator(read)
    np.testing.assert_array_equal(again.plastic[0].weights, emulator.plastic[0].weights)
    np.testing.assert_array_equal(again.plastic[1].delays, emulator.plastic[1].delays)
    assert again.plastic[1].delays.max() > 0
    np.testing.assert_array_equal(fresh.run(train(seed=3)).ids, again.run(train(seed=3)).ids)


def test_learnt_delays_act():
    """One delay grows by 3 whenever the source spikes; the neuron answers every spike, later and later."""
    network = LoihiNetwork(
        1,
        {"n": Population(1, vth=50, **SINGLE)},
        [Dense("input", "n", [[100]], learning=LearningRule(dd="3*x0"))],
    )
    emulator = PlasticEmulator(network)
    spikes = np.zeros((120, 1), bool)
    spikes[::10] = True
    answers = np.flatnonzero(emulator.run(SpikeTrain.from_dense(spikes)).to_dense(1))
    wanted = [t + 1 + 3 * k for k, t in enumerate(range(0, 120, 10)) if t + 1 + 3 * k < 120]
    np.testing.assert_array_equal(answers, wanted)
    assert emulator.plastic[0].delays[0, 0] == 36
    emulator.run(SpikeTrain.from_dense(np.ones((40, 1), bool)))
    assert emulator.plastic[0].delays[0, 0] == 62, "the longest there is"
    emulator.reset()
    assert emulator.step([0]).size == 0 and emulator.step([]).size == 1


def test_weights_stay_within_their_bounds():
    up = driven(LearningRule("7*2^4*x0", sign="excitatory", bounds=(10, 90)), np.full((4, 3), 50))
    pre, post = random_spikes(0, 30, 3, 4)
    up.run(axons(pre, post))
    assert (up.plastic[0].weights == 90).all() and up.plastic[0].saturated == 1
    down = driven(LearningRule("-7*2^4*x0", sign="mixed"), np.full((4, 3), 50))
    assert down.plastic[0].saturated == 0
    down.run(axons(pre, post))
    assert (down.plastic[0].weights == -256).all()


def test_reinforcement_lasts_as_long_as_its_trace():
    for tau, last in ((0, 1), (float("inf"), 10)):
        taught = LearningRule("2^0*x0*y3", y3=Trace(0, tau), reinforcement="y3", sign="mixed")
        emulator = driven(taught, np.zeros((2, 1), int))
        always = np.ones((20, 1), bool)
        always[0] = False
        spikes = axons(always, np.zeros((20, 2), bool))
        for k in range(12):
            if k == 2:
                emulator.plastic[0].reinforce([3, -4])
            emulator.step(spikes.step(k))
        assert emulator.plastic[0].weights.ravel().tolist() == [3 * last, -4 * last]


def test_rewards_that_come_as_spikes_teach_as_reinforcement_does():
    """Two channels, of either sign; and in pieces, with the state restored in between."""
    rng = np.random.default_rng(3)
    options = {"dt": "2^-1*x1*y0 - 2^-2*t*u0", "y3": Trace(0, 4), "reinforcement": "y3", "x1": TRACES["x1"]}
    weights = rng.integers(20, 90, (6, 12))
    weights[:, 10:] = 0

    def network(**more):
        taught = LearningRule("2^-4*t*y3*u0", **options, **more)
        neurons = {"n": Population(6, du=1500, dv=400, vth=120)}
        return LoihiNetwork(12, neurons, [Dense("input", "n", weights, learning=taught)])

    by_axon = PlasticEmulator(network(reward_axons=((10, 40), (11, -70))))
    by_hand = PlasticEmulator(network())
    steps = [np.flatnonzero(rng.random(12) < np.r_[np.full(10, 0.3), 0.1, 0.1]).tolist() for _ in range(200)]
    whole = SpikeTrain.from_steps(steps)
    by_axon.run(whole)
    for ids in steps:
        if reward := 40 * (10 in ids) - 70 * (11 in ids):
            by_hand.plastic[0].reinforce(by_hand.plastic[0].trace("y3") + reward)
        by_hand.run(SpikeTrain.from_steps([ids]))
    assert np.array_equal(by_axon.plastic[0].weights, by_hand.plastic[0].weights)
    assert np.abs(by_axon.plastic[0].weights[:, :10] - weights[:, :10]).mean() > 2
    in_pieces = PlasticEmulator(network(reward_axons=((10, 40), (11, -70))))
    in_pieces.run(SpikeTrain.from_steps(steps[:70]))
    state = in_pieces.state
    in_pieces.run(SpikeTrain.from_steps(steps[:30]))
    in_pieces.state = state
    in_pieces.run(SpikeTrain.from_steps(steps[70:]))
    assert all(np.array_equal(a, b) for a, b in zip(in_pieces.state, by_axon.state, strict=True))
    still = PlasticEmulator(network(reward_axons=((10, 0), (11, 0))))
    still.run(whole)
    assert np.array_equal(still.plastic[0].weights, weights)
    with pytest.raises(LearningRuleError, match=r"rule: reward_axons: 12; the network has inputs 0 .. 11"):
        PlasticEmulator(network(reward_axons=((12, 1),)))


def test_bad_reinforcement_is_refused_and_changes_nothing():
    taught = LearningRule("x0*y3", y3=Trace(0, 5), reinforcement="y3", name="taught")
    synapses = driven(taught, np.zeros((2, 1), int)).plastic[0]
    synapses.reinforce([5, 1e9])
    for values, message in (
        (float("nan"), "taught: the reinforcement is not finite"),
        ([1.0, float("inf")], "not finite"),
        ([1, 2, 3], r"\(3,\) numbers reinforce 2 neurons; give one, or one each"),
    ):
        with pytest.raises(LearningRuleError, match=message):
            synapses.reinforce(values)
    assert synapses.trace("y3").tolist() == [5, 127]
    with pytest.raises(LearningRuleError, match="it has no reinforcement; name one"):
        driven(rule(), np.zeros((2, 1), int)).plastic[0].reinforce(1)
    with pytest.raises(LearningRuleError, match="there is no trace y2"):
        synapses.trace("y2")


@pytest.mark.parametrize(
    "message, fields",
    [
        ("weights 0 .. 300; rule keeps them in -256 .. 255", {"weights": [[300, 0]]}),
        ("4 weight bits; learnt weights have 8", {"num_weight_bits": 4}),
        ("weight_exp -1; learnt weights take 0 .. 7", {"weight_exp": -1}),
        ("rounding brian2loihi; it says nothing here", {"rounding": "brian2loihi"}),
        ("delays; use 0 .. 62", {"delays": 63, "learning": rule(dd="x0")}),
    ],
)
def test_connections_that_cannot_learn_are_refused(message, fields):
    with pytest.raises(ModelError, match=message):
        Dense("input", "n", **{"weights": [[1, 2]], "learning": rule()} | fields)


def test_other_backends_refuse_to_learn():
    network = recurrent(rule())
    with pytest.raises(ModelError, match="the network learns; emulate"):
        LoihiEmulator(network)
    with pytest.raises(ModelError, match="the network learns"):
        Loihi2Emulator(network)
    with pytest.raises(ModelError, match="lava cannot run Dense input -> a: learning; the emulator can"):
        check_network("lava", network)


def test_an_axon_that_is_none_changes_nothing():
    emulator = PlasticEmulator(recurrent(rule()))
    before = emulator.state
    with pytest.raises(ValueError, match="0 .. 19"):
        emulator.run(SpikeTrain.from_steps([np.array([1]), np.array([20])]))
    for a, b in zip(before, emulator.state, strict=True):
        np.testing.assert_array_equal(a, b)
