# SPDX-License-Identifier: Apache-2.0
"""Rules by name: integers beside float64, and what each is for, in a loop with neurons."""

import doctest

import numpy as np
import pytest
from plastic_networks import axons, driven, random_spikes

from liquid_spike_control.errors import LearningRuleError
from liquid_spike_control.neuromorphic.emulator.loihi import Dense, LoihiNetwork, Population
from liquid_spike_control.neuromorphic.learning import emulator as emulator_module
from liquid_spike_control.neuromorphic.learning import rules
from liquid_spike_control.neuromorphic.learning.emulator import PlasticEmulator
from liquid_spike_control.neuromorphic.learning.reference import FloatSynapses
from liquid_spike_control.neuromorphic.learning.rule import SURROGATE
from liquid_spike_control.types import SpikeTrain

# The engine compiles for 20 s of processor time where no kernel is kept yet; other programs may have the cores.
pytestmark = pytest.mark.timeout(400)

ERRORS = np.random.default_rng(0).normal(0, 30, 20)
WANTED = np.random.default_rng(1).uniform(5, 40, 20)


def rewards(step):
    return 60.0 if step % 40 == 20 else -40.0 if step % 40 == 35 else 0.0


CASES = {
    "pair_stdp": ({}, None, 0.05),
    "triplet_stdp": ({}, None, 0.03),
    "reward_stdp": ({"rate": 1 / 16}, rewards, 0.05),
    "e_prop": ({"rate": 1 / 16}, rewards, 0.05),
    "pes": ({}, lambda step: ERRORS, 0.05),
    "delta_rule": ({"rate": 1 / 2}, lambda step: WANTED, 0.05),
    "homeostasis": ({"wanted": 0.08, "tau": 60}, None, 0.05),
}
#: Largest errors of 400 synapses after 400 steps, in weights of -256 .. 255: of one synapse, root mean square over
#: synapses and seeds; of all, the mean; least correlation of the seeds' mean with the float weights. docs/learning.md.
SINGLE_ERROR, MEAN_ERROR, CORRELATION = 4.5, 0.4, 0.985


# Brian2Loihi rounds dw away from zero, so that only large changes follow the float rule.
@pytest.mark.parametrize(
    "name, arithmetic", [*((name, "lava") for name in CASES), ("pair_stdp", "brian2loihi"), ("pes", "brian2loihi")]
)
def test_integers_agree_with_floats(name, arithmetic):
    options, reinforcement, rate = CASES[name]
    if arithmetic == "brian2loihi":
        options = options | {"arithmetic": arithmetic} | ({"rate": 1 / 4} if name == "pes" else {})
    n, n_steps, seeds = 20, 400, 6
    pre, post = random_spikes(11, n_steps, n, n, rate)
    train, found = axons(pre, post), []
    for seed in range(seeds):
        learner, near = driven(rules.RULES[name](**options, seed=seed), np.full((n, n), 100)), []
        for k in range(n_steps):
            if reinforcement is not None:
                learner.plastic[0].reinforce(np.rint(reinforcement(k)))
            learner.step(train.step(k))
            if learner.plastic[0].rule.surrogate:  # 64 where the target spikes, 0 or 1 elsewhere
                near.append(learner.plastic[0].trace("y2") / SURROGATE)
        found.append(learner.plastic[0].weights)
    reference = FloatSynapses(learner.plastic[0].rule, np.full((n, n), 100))
    for k in range(n_steps):
        if reinforcement is not None:
            reference.reinforce(np.rint(reinforcement(k)))
        reference.step(pre[k], post[k])
        if near:
            reference.approach(near[k])
    wanted, mean = reference.weights, np.mean(found, axis=0)
    assert np.abs(wanted - 100).mean() > 3, "nothing was learnt"
    if arithmetic == "brian2loihi":
        assert np.corrcoef(mean.ravel(), wanted.ravel())[0, 1] > 0.9
        return
    assert np.sqrt(((np.array(found) - wanted) ** 2).mean()) < SINGLE_ERROR
    assert abs((mean - wanted).mean()) < MEAN_ERROR
    assert np.corrcoef(mean.ravel(), wanted.ravel())[0, 1] > CORRELATION


def test_pairs_change_weights_as_the_equation_says():
    """One pair at a time, s steps apart, 60 seeds: within half a unit of the exponential."""
    rule = {"plus": 8.0, "minus": 6.0, "tau_plus": 20, "tau_minus": 10}
    for s in (-30, -12, -5, 5, 12, 30):
        changes = []
        for seed in range(60):
            pre, post = np.zeros((80, 1), bool), np.zeros((80, 1), bool)
            pre[35], post[35 + s] = True, True
            learner = driven(rules.pair_stdp(**rule, seed=seed), [[100]])
            learner.run(axons(pre, post))
            changes.append(learner.plastic[0].weights[0, 0] - 100)
        wanted = 8 * np.exp(-s / 20) if s > 0 else -6 * np.exp(s / 10)
        assert abs(np.mean(changes) - wanted) < 0.5, s


def test_an_earlier_spike_of_the_target_strengthens_a_triplet():
    def change(post_steps):
        pre, post = np.zeros((60, 1), bool), np.zeros((60, 1), bool)
        pre[20], post[post_steps] = True, True
        found = []
        for seed in range(40):
            learner = driven(rules.triplet_stdp(minus=1e-9 + 0.25, seed=seed), [[100]])
            learner.run(axons(pre, post))
            found.append(learner.plastic[0].weights[0, 0] - 100)
        return np.mean(found)

    alone, after = change([25]), change([10, 25])
    # 4 exp(-5/17) exp(-15/114) from the triplet, 0.25 exp(-10/34) less for the spike before the source's.
    assert abs((after - alone) - (4 * np.exp(-5 / 17 - 15 / 114) - 0.25 * np.exp(-10 / 34))) < 0.5


def test_reward_decides_what_a_pair_has_done():
    pre, post = np.zeros((60, 1), bool), np.zeros((60, 2), bool)
    pre[10], post[14] = True, True
    learner = driven(rules.reward_stdp(rate=1 / 2), [[100], [100]])
    spikes = axons(pre, post)
    for k in range(60):
        if k == 30:
            assert learner.plastic[0].weights.ravel().tolist() == [100, 100] and (learner.plastic[0].tags > 0).all()
            learner.plastic[0].reinforce([100, -100])
        learner.step(spikes.step(k))
    rewarded, punished = learner.plastic[0].weights.ravel()
    assert rewarded > 110 and punished < 90


def cued(rule, n_trials, seed=0):
    """Two neurons learn which of two cues is theirs; they are judged 60 steps after the cue, when all is silent.

    The same answer of both counts as wrong.

    Returns:
        The part of the right answers in the last quarter of the trials.
    """
    n, rng = 20, np.random.default_rng(seed)
    weights = np.full((2, 2 * n), 20)  # alike, so that at first both answer alike
    network = LoihiNetwork(
        2 * n, {"n": Population(2, du=800, dv=400, vth=900)}, [Dense("input", "n", weights, learning=rule)]
    )
    learner, right = PlasticEmulator(network), []
    quiet, moment = (SpikeTrain.from_dense(np.zeros((steps, 2 * n), bool)) for steps in (60, 1))
    for _ in range(n_trials):
        cue = rng.integers(2)
        spikes = np.zeros((20, 2 * n), bool)
        spikes[:, cue * n : cue * n + n] = rng.random((20, n)) < 0.1
        train = SpikeTrain.from_dense(spikes)
        given = sum(learner.run(part).to_dense(2).sum(0) for part in (train, quiet))
        right.append(given[cue] > given[1 - cue])
        wanted = 4 * (np.arange(2) == cue)
        learner.plastic[0].reinforce(30 * np.clip(wanted - given, -4, 4))
        learner.run(moment)  # in which the signal counts
        learner.rest()
    return np.mean(right[-n_trials // 4 :])


def test_eligibility_waits_for_the_learning_signal():
    """A signal that comes 60 steps late teaches synapses with a tag, and none without."""
    learnt = cued(rules.e_prop(rate=1 / 32, decay=1 / 64), 80)
    forgotten = cued(rules.e_prop(rate=1 / 32, decay=1), 80)  # the tag is that of the last step alone
    no_tag = cued(rules.pes(rate=1 / 16, tau=10, decimation=0), 80)
    assert learnt > 0.9 and forgotten < 0.6 and no_tag < 0.6, (learnt, forgotten, no_tag)


def test_a_surrogate_is_the_nearness_to_the_threshold_whatever_pieces_it_runs_in():
    """max(0, 1 - |v - threshold| / threshold) of the voltages that a probe sees, 1 at a spike; in 1/64."""
    spikes, vth = poisson(0.05, 60), 1200
    whole, pieces = (layer(rules.e_prop(rate=1 / 64)) for _ in range(2))
    probe = layer(rules.e_prop(rate=1 / 64)).probe(spikes)["n"]
    near = np.where(probe.spikes, 1.0, np.maximum(0.0, 1 - np.abs(probe.v / (vth << 6) - 1)))
    for k in range(60):
        pieces.run(SpikeTrain.from_steps([spikes.step(k)]))
        assert pieces.plastic[0].trace("y2").tolist() == np.rint(SURROGATE * near[k]).tolist()
    assert probe.spikes.any() and (pieces.plastic[0].tags > 0).any()
    whole.run(spikes)
    assert all(np.array_equal(a, b) for a, b in zip(whole.state, pieces.state, strict=True))


@pytest.mark.parametrize(
    "message, options",
    [
        ("y2 is the surrogate and takes spikes; give y2=Trace\\(0, tau\\)", {"y2": rules.Trace(16, 10)}),
        ("y3 is reinforcement and surrogate; give each", {"surrogate": "y3"}),
        ("a surrogate and an epoch above 1", {"epoch": 2}),
        ("surrogate x1; use y1, y2 or y3", {"surrogate": "x1"}),
    ],
)
def test_surrogates_that_no_neuron_writes_are_refused(message, options):
    with pytest.raises(LearningRuleError, match=message):
        rules.e_prop(**options)


def layer(rule, n_source=30, n_target=3, weight=40):
    return PlasticEmulator(
        LoihiNetwork(
            n_source,
            {"n": Population(n_target, du=800, dv=300, vth=1200)},
            [Dense("input", "n", np.full((n_target, n_source), weight), learning=rule)],
        )
    )


def poisson(rate, n_steps, n=30, seed=0):
    return SpikeTrain.from_dense(np.random.default_rng(seed).random((n_steps, n)) < rate)


def test_homeostasis_brings_neurons_to_their_rate():
    for weight in (6, 120):
        learner = layer(rules.homeostasis(0.05, tau=100), weight=weight)
        before = len(learner.run(poisson(0.05, 1000)).ids) / 3000
        learner.run(poisson(0.05, 8000, seed=1))
        after = len(learner.run(poisson(0.05, 3000, seed=2)).ids) / 9000
        assert abs(before - 0.05) > 0.02 and abs(after - 0.05) < 0.01


def test_the_delta_rule_teaches_rates():
    """Three neurons learn three rates by their own filtered activity; within 15 % after 6000 steps."""
    learner = layer(rules.delta_rule(rate=1 / 4, tau=50, sign="mixed"))
    wanted = np.array([0.02, 0.05, 0.08])
    learner.plastic[0].reinforce(16 * wanted * 50)
    learner.run(poisson(0.05, 6000))
    out = learner.run(poisson(0.05, 4000, seed=3)).to_dense(3).mean(0)
    np.testing.assert_allclose(out, wanted, rtol=0.15)


def test_pes_learns_functions():
    """24 sources with tuning curves, three pairs of targets: x/2, -x/2 and x^2/2 within 0.05; at first 0.15 to 0.24."""
    n, rng = 24, np.random.default_rng(4)
    encoder, bias = rng.choice([-1, 1], n), rng.uniform(-0.8, 0.8, n)
    rule = rules.pes(rate=1 / 64, tau=10, decimation=2, sign="mixed")
    network = LoihiNetwork(
        n,
        {"out": Population(6, du=4095, dv=600, vth=150)},
        [Dense("input", "out", np.zeros((6, n), int), learning=rule)],
    )
    learner = PlasticEmulator(network)

    def wanted(x):
        return np.array([x, -x, x * x]) / 2

    def answer(x, n_steps):
        spikes = rng.random((n_steps, n)) < 0.4 * np.clip(encoder * x + bias, 0, 1)
        rates = learner.run(SpikeTrain.from_dense(spikes)).to_dense(6).mean(0)
        return rates[:3] - rates[3:]

    def errors():
        learner.learning = False
        found = np.mean([np.abs(wanted(x) - answer(x, 200)) for x in np.linspace(-0.9, 0.9, 19)], axis=0)
        learner.learning = True
        return found

    assert (errors() > 0.14).all()
    for x in rng.uniform(-1, 1, 400):
        learner.plastic[0].reinforce(0)
        answer(x, 20)
        error = 20 * (wanted(x) - answer(x, 20))
        for _ in range(2):
            learner.plastic[0].reinforce(np.concatenate([error, -error]))
            answer(x, 20)
    assert (errors() < 0.05).all()


@pytest.mark.parametrize(
    "message, call",
    [
        ("pair_stdp: a rate of -2; give one above 0", lambda: rules.pair_stdp(plus=-2)),
        ("pair_stdp: a rate of 0.0001 on x1; the chip's constants hold 0.5 .. ", lambda: rules.pair_stdp(plus=1e-4)),
        ("homeostasis: y1 stands at 800", lambda: rules.homeostasis(0.5, tau=100)),
        ("pes: a rate of 1e\\+06 on x1 y3; the chip's constants hold 0.0156", lambda: rules.pes(rate=1e6)),
    ],
)
def test_rates_that_the_chip_has_not_are_refused(message, call):
    with pytest.raises(LearningRuleError, match=message):
        call()


def test_constants_are_close():
    for rate in np.geomspace(2.0**-5, 1792, 200):
        text = rules.constant(rate, 1, "x1", "rule")
        mantissa, _, power = text.rpartition("2^")
        value = float(mantissa.rstrip("*") or 1) * 2.0 ** int(power)
        assert abs(np.log(value / rate)) < np.log(1.12)


@pytest.mark.parametrize("module", [rules, emulator_module])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0
