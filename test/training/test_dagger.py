# SPDX-License-Identifier: Apache-2.0
"""Imitation: whom the expert is asked about, what is learned, and that it can be repeated and resumed."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from liquid_spike_control.errors import TaskError  # noqa: E402
from liquid_spike_control.liquid.architecture import named  # noqa: E402
from liquid_spike_control.liquid.policies import new_policy  # noqa: E402
from liquid_spike_control.robots.catalogue import task_named  # noqa: E402
from liquid_spike_control.robots.swing_up.task import SwingUp  # noqa: E402
from liquid_spike_control.tasks.perturbations import Perturbation, perturbation_named  # noqa: E402
from liquid_spike_control.tasks.perturbed import PerturbedTask  # noqa: E402
from liquid_spike_control.tasks.variation import NOMINAL  # noqa: E402
from liquid_spike_control.training.dagger import N_VALIDATION_SEEDS, DaggerTrainer, DaggerTraining, train  # noqa: E402
from liquid_spike_control.training.policy import run_sequences  # noqa: E402
from liquid_spike_control.training.seeds import CONTROLLER_SEEDS, first_episode  # noqa: E402

SMALL = DaggerTraining(n_rounds=3, n_episodes=3, passes=1, batch=5, n_validations=2)


@dataclass(frozen=True)
class Under(DaggerTraining):
    """A training under one perturbation."""

    perturbation: Perturbation = Perturbation("clean")

    def draw(self, rng, task, strength=1.0):
        return self.perturbation


def policy_for(name="swing-up", architecture="cfc_mm", seed=1, **changes):
    task = task_named(name)
    architecture = named(architecture, **({"units": 8} | changes))
    return new_policy(architecture, task.observation_scales, task.command_limits, task.period_s, seed)


def weights(policy):
    return {name: value.numpy().copy() for name, value in policy.state_dict().items()}


@pytest.fixture
def short(monkeypatch):
    """Episodes of one second."""
    monkeypatch.setattr(SwingUp, "duration_s", 1.0)


@pytest.mark.parametrize("latency_steps", [0, 2])
def test_the_expert_is_asked_about_the_state_that_a_command_meets(latency_steps):
    perturbation = Perturbation("late", latency_steps=latency_steps, drop=0.2)
    config = Under(n_episodes=1, n_validations=0, exploration=0.0, perturbation=perturbation)
    trainer = DaggerTrainer("swing-up", policy_for(), config)
    trainer.collect()
    observations, elapsed, expert, known, fresh = (part[0].flatten(0, 1).numpy() for part in trainer._kept.parts()[:5])

    task = task_named("swing-up")
    loop, who, limit = PerturbedTask(task, perturbation, first_episode(config.seed)), task.expert(), task.command_limits
    seen, sample_of_period, answers = [], [], []  # each control period has an answer, and a sample that it obeys
    while not task.over:
        answer = who.act(task)
        answers.append(answer / limit)
        if loop.received:
            seen.append((loop.observation, loop.elapsed_s))
            sample_of_period.append(len(answers) - 1)
            loop.decide(answer)
        loop.advance()
    n = len(seen)
    np.testing.assert_array_equal(observations[:n], np.array([o for o, _ in seen], np.float32))
    np.testing.assert_array_equal(elapsed[:n], np.array([e for _, e in seen], np.float32))
    for k, period in enumerate(sample_of_period):
        acts = period + latency_steps
        assert known[k] == (acts < len(answers))
        if known[k]:
            np.testing.assert_allclose(expert[k], np.clip(answers[acts], -1, 1), atol=1e-6)
    assert fresh[0] and not fresh[1:n].any() and fresh[n]  # the next episode begins where this one ended
    assert (elapsed[1:n] > 1.5 * task.period_s).any()  # samples were lost


def test_episodes_inside_a_sequence_do_not_know_each_other():
    policy = policy_for()
    observations, elapsed = torch.randn(2, 9, 3), torch.full((2, 9), 0.02)
    fresh = torch.zeros(2, 9, dtype=torch.bool)
    fresh[0, 4] = True
    with torch.no_grad():
        commands, state = run_sequences(policy, observations, elapsed, fresh, policy.initial_state(2))
        whole, _ = policy(observations, elapsed)
        second, state_of_second = policy(observations[:1, 4:], elapsed[:1, 4:])
    torch.testing.assert_close(commands[1], whole[1])
    torch.testing.assert_close(commands[:1, 4:], second)
    torch.testing.assert_close(state[0][:1], state_of_second[0])
    assert not torch.allclose(whole[0, 4:], second[0])


@pytest.mark.parametrize("architecture", ["cfc_mm", "ltc", "gru", "lstm"])
def test_a_poisoned_row_heals_where_an_episode_begins(architecture):
    """NaN times 0 is NaN: a mask that multiplies would leave it poisoned for ever."""
    policy = policy_for(architecture=architecture)
    observations, elapsed = torch.randn(2, 6, 3), torch.full((2, 6), 0.02)
    fresh = torch.zeros(2, 6, dtype=torch.bool)
    fresh[0, [0, 3]] = fresh[1, 0] = True
    poisoned = tuple(torch.full_like(part, float("nan")) for part in policy.initial_state(2))
    commands, state = run_sequences(policy, observations, elapsed, fresh, poisoned)
    expected, _ = run_sequences(policy, observations, elapsed, fresh, policy.initial_state(2))
    torch.testing.assert_close(commands, expected, rtol=0, atol=0)
    commands.square().sum().backward()
    assert all(torch.isfinite(part).all() for part in state)
    assert all(torch.isfinite(p.grad).all() for p in policy.parameters() if p.grad is not None)


def test_one_bad_observation_spoils_one_episode_only(short, monkeypatch):
    observe, begun = SwingUp.observe, []

    def broken(task):
        seen = observe(task)
        return np.full_like(seen, np.nan) if task is begun[0] and task.elapsed_s < 0.1 and task.spoiled else seen

    trainer = DaggerTrainer("swing-up", policy_for(), Under(n_episodes=2, chunk=5, n_rounds=1, n_validations=0,
                                                            perturbation=Perturbation("gaps", drop=0.5)))  # fmt: skip
    begun.append(trainer._loops[0].task)
    begun[0].spoiled = True
    reset = SwingUp.reset

    def once(task, *args):
        if task is begun[0] and task.elapsed_s > 0:
            task.spoiled = False
        reset(task, *args)

    monkeypatch.setattr(SwingUp, "observe", broken)
    monkeypatch.setattr(SwingUp, "reset", once)
    trainer.collect()
    kept = trainer._kept
    fresh = kept.fresh[0].flatten()
    second = int(fresh.nonzero()[1, 0])  # begins there
    states = kept.states[0][0]
    assert torch.isnan(states[1]).all() and 5 < second < len(fresh)
    assert torch.isfinite(states[-(-second // 5) :]).all() and torch.isfinite(kept.states[0][1]).all()


def test_learning_brings_the_policy_nearer_to_the_expert():
    config = Under(n_rounds=8, n_episodes=3, passes=4, batch=3, chunk=25, n_validations=0, exploration=0.0)
    trainer = DaggerTrainer("swing-up-full", policy_for("swing-up-full", "mlp", units=32), config)
    trainer.collect()
    losses = [trainer.learn() for _ in range(5)]
    assert losses[-1] < 0.85 * losses[0]


def test_the_share_of_the_expert_falls_unless_behaviour_is_cloned(short):
    config = replace(SMALL, n_episodes=4, batch=4)
    for share, expected in ((0.5, [1.0, 0.5, 0.25]), (1.0, [1.0, 1.0, 1.0])):
        shares = []
        trained = replace(config, expert_share=share)
        train("swing-up", policy_for(), trained, lambda _, figures, to=shares: to.append(figures["expert_share"]))
        assert shares == expected


def test_faults_are_drawn_within_their_bounds_and_often_absent():
    rng, task = np.random.default_rng(0), task_named("swing-up")
    drawn = [replace(SMALL, plant_spread=0.1).draw(rng, task) for _ in range(200)]
    for name, most in (("noise", SMALL.noise), ("drop", SMALL.drop), ("jitter", SMALL.jitter)):
        values = np.array([getattr(p, name) for p in drawn])
        assert values.max() <= most and values.max() > 0.9 * most and 0.3 < np.mean(values == 0) < 0.7
    assert {p.latency_steps for p in drawn} == {0, 1, 2}
    assert all(0.9 <= p.mass <= 1.1 for p in drawn) and len({p.mass for p in drawn}) == 200
    assert replace(SMALL, plant_spread=0.1).draw(rng, task, 0.0).variation == NOMINAL


def test_trainings_of_different_seeds_meet_different_episodes_of_the_training_range():
    first = [first_episode(seed) for seed in range(400)]
    assert len(set(first)) == 400 and min(np.diff(first)) >= 1_000_000  # far more than a training has
    assert first[0] in CONTROLLER_SEEDS and first[-1] + 1_000_000 < CONTROLLER_SEEDS[-1] - N_VALIDATION_SEEDS


class Killed(Exception):
    """The process is gone."""


def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path, short):
    unbroken, killed = policy_for(), policy_for()
    train("swing-up", unbroken, SMALL)

    def die(rounds, figures):
        if rounds == 2:
            raise Killed

    path = tmp_path / "policy.checkpoint"
    with pytest.raises(Killed):
        train("swing-up", killed, SMALL, die, path)
    resumed, rounds = policy_for(), []
    train("swing-up", resumed, SMALL, lambda k, _: rounds.append(k), path)
    assert rounds == [3]
    for name, expected in weights(unbroken).items():
        np.testing.assert_array_equal(weights(resumed)[name], expected, err_msg=name)
    assert any((weights(unbroken)[name] != weights(policy_for())[name]).any() for name in weights(unbroken))


def test_a_checkpoint_of_something_else_is_refused(tmp_path, short):
    path = tmp_path / "policy.checkpoint"
    config = replace(SMALL, n_rounds=1)
    train("swing-up", policy_for(), config, checkpoint=path)
    with pytest.raises(TaskError, match="another training's checkpoint .policy differs.; remove it"):
        train("swing-up", policy_for(seed=2), config, checkpoint=path)
    with pytest.raises(TaskError, match="config differs"):
        train("swing-up", policy_for(), replace(config, seed=7), checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(TaskError, match="not a whole checkpoint"):
        train("swing-up", policy_for(), config, checkpoint=path)


def test_the_best_round_is_kept(short):
    trainer = DaggerTrainer("swing-up", policy_for(), replace(SMALL, n_rounds=2))
    trainer.round()
    first = weights(trainer.average)
    trainer._best = (2.0, trainer._best[1])  # no later round can be judged as high
    trainer.round()
    np.testing.assert_equal(weights(trainer.policy), first)


def test_the_moving_average_of_the_weights_drives_and_is_kept(short, monkeypatch):
    policy, seen = policy_for(), []
    constrain = policy.constrain

    def constrained():
        constrain()
        seen.append(weights(policy))

    monkeypatch.setattr(policy, "constrain", constrained)
    trainer = DaggerTrainer("swing-up", policy, replace(SMALL, n_rounds=1, averaging=0.8))
    trainer.round()
    average, *later = seen
    for new in later:
        average = {name: 0.8 * average[name] + 0.2 * new[name] for name in new}
    assert any((average[name] != later[-1][name]).any() for name in average)
    for name, expected in weights(policy).items():
        np.testing.assert_allclose(expected, average[name], atol=1e-6, err_msg=name)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_liquid_policy_learns_to_swing_up():
    policy = policy_for("swing-up-full", "cfc", units=32)
    config = DaggerTraining(n_rounds=5, passes=20, n_validations=16)
    train("swing-up-full", policy, config)
    calm = Under(n_episodes=1, n_validations=20, perturbation=perturbation_named("clean"))
    assert DaggerTrainer("swing-up-full", policy, calm).validate()["success"] >= 0.9
