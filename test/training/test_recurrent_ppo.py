# SPDX-License-Identifier: Apache-2.0
"""Proximal policy optimisation: its advantages, what is run again and what is resumed; experts and their files."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from liquid_spike_control.liquid.architecture import named  # noqa: E402
from liquid_spike_control.liquid.policies import new_policy  # noqa: E402
from liquid_spike_control.robots.catalogue import task_named  # noqa: E402
from liquid_spike_control.robots.swing_up.task import SwingUp  # noqa: E402
from liquid_spike_control.training.gym_expert import NormalisedPolicy  # noqa: E402
from liquid_spike_control.training.policy import run_sequences  # noqa: E402
from liquid_spike_control.training.recurrent_ppo import PpoTrainer, PpoTraining, RunningMoments, train  # noqa: E402

SMALL = PpoTraining(n_updates=4, n_tasks=3, rollout=40, chunk=10, epochs=2, minibatches=2, fresh_every=2, seed=3)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Episodes of half a second, so that some end inside a rollout."""
    monkeypatch.setattr(SwingUp, "duration_s", 0.5)


def policy_for(name="swing-up", architecture="cfc_mm", **changes):
    task = task_named(name)
    size = {"units": 8} | changes
    return new_policy(
        named(architecture, **size), task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s, 1
    )


def trainer_for(policy, config=SMALL):
    return PpoTrainer([task_named("swing-up") for _ in range(config.n_tasks)], policy, config)


def weights(policy):
    return {name: value.numpy().copy() for name, value in policy.state_dict().items()}


@pytest.mark.parametrize("architecture", ["cfc_mm", "ltc", "gru", "mlp"])
def test_every_kind_of_policy_is_moved(architecture):
    policy = policy_for(architecture=architecture)
    before = weights(policy)
    trainer = trainer_for(policy)
    figures = [trainer.update() for _ in range(2)]
    assert all(np.isfinite(value) for figure in figures for value in figure.values())
    assert {"reward", "policy_loss", "value_loss", "divergence"} <= figures[0].keys()
    moved = [name for name, value in weights(policy).items() if (value != before[name]).any()]
    assert len(moved) >= 0.9 * len(before)


def test_one_bad_observation_spoils_one_episode_only(monkeypatch):
    trainer = trainer_for(policy_for())
    trainer._begin_all()
    observe, bad = SwingUp.observe, [trainer.tasks[0]]

    def broken(task):
        return np.full_like(observe(task), np.nan) if task in bad and bad.clear() is None else observe(task)

    monkeypatch.setattr(SwingUp, "observe", broken)
    rollout, _ = trainer.collect()
    (ends,) = np.flatnonzero(rollout.over[:, 0])
    states = rollout.states[0][:, 0]
    assert torch.isnan(states[1]).all() and 10 < ends < 30  # chunks of 10 samples
    assert torch.isfinite(states[3]).all() and torch.isfinite(rollout.states[0][:, 1:]).all()


def test_a_value_that_is_not_finite_does_not_pass_the_end_of_an_episode():
    trainer = trainer_for(policy_for())
    trainer._begin_all()
    rollout, _ = trainer.collect()
    end = int(np.flatnonzero(rollout.over[:, 0])[0])
    clean, _ = trainer.advantages(rollout)
    rollout.truths[end + 1 :, 0] = np.nan
    spoiled, _ = trainer.advantages(rollout)
    assert np.isnan(spoiled[end + 1 :, 0]).all()
    np.testing.assert_array_equal(spoiled[: end + 1, 0], clean[: end + 1, 0])
    np.testing.assert_array_equal(spoiled[:, 1:], clean[:, 1:])
    trainer._discounted[:] = np.nan
    over = np.ones((1, 3), bool)
    trainer._scale(np.ones((1, 3)), over)
    assert (trainer._discounted == 0).all()


def test_what_is_run_again_from_a_chunk_is_what_was_done():
    """The same means, and so a ratio of 1, although episodes end inside chunks."""
    trainer = trainer_for(policy_for())
    trainer._begin_all()
    rollout, _ = trainer.collect()
    assert rollout.over.any() and rollout.fresh[1:].any()
    chunk = SMALL.chunk
    with torch.no_grad():
        for c in range(SMALL.rollout // chunk):
            part = slice(c * chunk, (c + 1) * chunk)
            observations, elapsed, fresh = (
                torch.from_numpy(x[part].swapaxes(0, 1)) for x in (rollout.observations, rollout.elapsed, rollout.fresh)
            )
            commands, _ = run_sequences(
                trainer.policy, observations, elapsed, fresh, tuple(p[c] for p in rollout.states)
            )
            noise = (rollout.actions[part].swapaxes(0, 1) - commands.numpy() / 10.0) / SMALL.spread
            log_p = (-0.5 * noise**2 - np.log(SMALL.spread)).sum(-1)
            np.testing.assert_allclose(log_p, rollout.log_p[part].swapaxes(0, 1), atol=1e-4)


def test_advantages_are_discounted_sums_of_surprises():
    trainer = trainer_for(policy_for())
    trainer._begin_all()
    rollout, _ = trainer.collect()
    found, returns = trainer.advantages(rollout)
    with torch.no_grad():
        values = trainer.critic(torch.from_numpy(rollout.truths)).squeeze(-1).numpy()
    following = np.vstack([values[1:], rollout.last_value[None]])
    surprises = rollout.rewards + SMALL.discount * following * ~rollout.over - values
    for i in range(SMALL.n_tasks):
        for t in range(SMALL.rollout):
            ends = np.flatnonzero(rollout.over[t:, i])
            last = t + ends[0] if len(ends) else SMALL.rollout - 1
            k = np.arange(last - t + 1)
            expected = ((SMALL.discount * SMALL.trace) ** k * surprises[t : last + 1, i]).sum()
            assert found[t, i] == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(returns, found + values, atol=1e-6)


def test_time_that_is_over_counts_as_if_it_went_on():
    """An episode that time cuts off is given what the critic expects to follow; one that fails is not."""
    trainer = trainer_for(policy_for())
    with torch.no_grad():
        trainer.critic[-1].weight.zero_()
        trainer.critic[-1].bias.fill_(7.0)
    trainer._begin_all()
    rollout, _ = trainer.collect()
    t, i = np.argwhere(rollout.over)[0]
    gained = rollout.rewards[t, i] - rollout.rewards[t - 1, i]  # the pole hangs: rewards hardly change
    assert gained == pytest.approx(7.0 * SMALL.discount, abs=0.5)


class Killed(Exception):
    """The process is gone."""


def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path):
    unbroken, killed, resumed = (policy_for() for _ in range(3))
    train("swing-up", unbroken, SMALL)

    def die(updates, figures):
        if updates == 3:
            raise Killed

    path, updates = tmp_path / "policy.checkpoint", []
    with pytest.raises(Killed):
        train("swing-up", killed, SMALL, die, path)
    train("swing-up", resumed, SMALL, lambda k, _: updates.append(k), path)
    assert updates == [3, 4]  # from the last checkpoint, when all episodes begin anew
    np.testing.assert_equal(weights(resumed), weights(unbroken))


def test_moments_are_those_of_all_rows():
    rows = np.random.default_rng(0).normal(3.0, [0.1, 5.0], (50, 2))
    moments = RunningMoments(2)
    for part in (rows[:1], rows[1:20], rows[20:]):
        moments.add(part)
    np.testing.assert_allclose(moments.mean, rows.mean(0))
    np.testing.assert_allclose(moments.deviation, rows.std(0), rtol=1e-6)


def test_an_expert_needs_no_normalisation_once_it_is_folded():
    rng = np.random.default_rng(0)
    architecture = named("mlp", units=16, elapsed_input=False)
    normalised = NormalisedPolicy(new_policy(architecture, [1.0] * 5, [10.0], 0.02, seed=1))
    seen = rng.normal([1.0, -2.0, 0.3, 5.0, 0.0], [0.1, 1.0, 0.2, 8.0, 3.0], (200, 5)).astype(np.float32)
    normalised.adapt(seen[:120])
    normalised.adapt(seen[120:])
    observation, elapsed = torch.from_numpy(seen), torch.full((200,), 0.02)
    with torch.no_grad():
        expected, _ = normalised.step(observation, elapsed)
        folded, _ = normalised.folded().step(observation, elapsed)
    torch.testing.assert_close(folded, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(normalised.folded().scales.numpy(), seen.std(0), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_liquid_policy_keeps_the_double_pendulum_up_longer():
    pytest.importorskip("imageio")
    policy, rewards = policy_for("double-pendulum", "cfc", units=16), []
    config = replace(SMALL, n_updates=25, n_tasks=8, rollout=128, chunk=16, epochs=6, minibatches=4, learning_rate=1e-3)
    train("double-pendulum", policy, config, lambda _, figures: rewards.append(figures["reward"]))
    assert np.mean(rewards[-3:]) > 2 * np.mean(rewards[:3])
