# SPDX-License-Identifier: Apache-2.0
"""Proximal policy optimisation for policies with a state: liquid cells, GRU, LSTM, and those without one.

The actor is any policy of :mod:`liquid_spike_control.liquid.policies`. Its command, in units of the limits, is the mean
of a Gaussian with a learned spread for each command. The critic is a network of its own that sees the true state,
which the actor need not see (asymmetric actor-critic), so it needs no memory.

A rollout is cut into chunks. Each remembers the actor's state at its first step, from where the chunk is run again with
gradients: truncated backpropagation through time with the state carried over. A chunk of one step is the ordinary PPO
for policies without a state.

    ratio = p_new(a | o, state) / p_old(a | o, state)
    loss  = -mean(min(ratio A, clip(ratio, 1 - c, 1 + c) A)) + v mean((V - R)^2) / 2 - e entropy
    A     = sum over k of (gamma lambda)^k (r + gamma V' - V),  R = A + V

Sources: Schulman et al., "Proximal policy optimization algorithms", arXiv:1707.06347; the same, "High-dimensional
continuous control using generalized advantage estimation", ICLR 2016; Pinto et al., "Asymmetric actor critic for
image-based robot learning", RSS 2018; Huang et al., "The 37 implementation details of PPO", ICLR blog track 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..robots.catalogue import sensed_task_named
from ..tasks.task import ControlTask
from .policy import State, TrainablePolicy, begun, run_sequences
from .resume import read_checkpoint, recipe_of, write_checkpoint
from .seeds import first_episode

#: Standard deviations beyond which what the critic sees, and rewards, are cut off.
CUT = 10.0


@dataclass(frozen=True)
class PpoTraining:
    """What the training is made of.

    Attributes:
        n_updates: rollouts, each followed by an optimisation.
        n_tasks: episodes side by side.
        rollout: control periods of each between two optimisations.
        chunk: control periods that are run again as one sequence; 1 for policies without a state.
        epochs: sweeps over a rollout, fewer when the policy has moved by ``most_divergence`` [nats].
        minibatches: optimiser steps in a sweep.
        learning_rate: at the start; it falls to a twentieth, linearly.
        discount, trace: gamma and lambda, for one control period.
        clip, value_weight, entropy_weight, most_gradient: see the head of the module.
        spread: initial standard deviation of the commands, in units of their limits.
        critic_units: width of the critic's two layers.
        fresh_every: updates after which all episodes begin anew, so that a training can be resumed there.
        seed: of everything.
    """

    n_updates: int = 200
    n_tasks: int = 16
    rollout: int = 256
    chunk: int = 32
    epochs: int = 8
    minibatches: int = 8
    most_divergence: float = 0.03
    learning_rate: float = 3e-4
    discount: float = 0.99
    trace: float = 0.95
    clip: float = 0.2
    value_weight: float = 0.5
    entropy_weight: float = 0.0
    most_gradient: float = 0.5
    spread: float = 0.5
    critic_units: int = 64
    fresh_every: int = 20
    seed: int = 1


class RunningMoments:
    """Mean and variance of all rows seen so far (Chan et al.'s parallel form)."""

    def __init__(self, n: int) -> None:
        self.count, self.mean, self.squares = 0.0, np.zeros(n), np.zeros(n)

    def add(self, rows: np.ndarray) -> None:
        """Take rows in, ``(n_rows, n)``."""
        n = len(rows)
        mean, squares = rows.mean(0), ((rows - rows.mean(0)) ** 2).sum(0)
        total = self.count + n
        difference = mean - self.mean
        self.squares += squares + difference**2 * self.count * n / total
        self.mean = self.mean + difference * n / total
        self.count = total

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviations, 1 before anything was seen, never 0."""
        return np.sqrt(self.squares / self.count + 1e-8) if self.count else np.ones_like(self.mean)

    def normalise(self, rows: np.ndarray) -> np.ndarray:
        """Rows less the mean in standard deviations, cut at :data:`CUT`, float32."""
        return np.clip((rows - self.mean) / self.deviation, -CUT, CUT).astype(np.float32)


def layer(n_in: int, n_out: int, gain: float) -> nn.Linear:
    """A linear layer with orthogonal weights and no bias to start with."""
    linear = nn.Linear(n_in, n_out)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


@dataclass(slots=True)
class Rollout:
    """What happened to ``n`` tasks in ``t`` control periods; arrays float32 ``(t, n, ...)`` unless stated.

    Attributes:
        observations, elapsed: what the actor was given; elapsed in seconds.
        fresh: bool, an episode begins here and the actor's state is zero.
        truths: normalised, of the critic.
        actions: in units of the limits, before they were cut off at 1.
        log_p: of the actions when they were drawn.
        rewards: scaled; those of episodes that time cut off include what would have followed.
        over: bool, the episode ended with this period.
        states: the actor's state at the first step of each chunk, parts ``(n_chunks, n, k)``.
        last_value: of the truths after the last period, ``(n,)``.
    """

    observations: np.ndarray
    elapsed: np.ndarray
    fresh: np.ndarray
    truths: np.ndarray
    actions: np.ndarray
    log_p: np.ndarray
    rewards: np.ndarray
    over: np.ndarray
    states: tuple[Tensor, ...]
    last_value: np.ndarray


class PpoTrainer:
    """Alternates between :meth:`collect` and :meth:`optimise`; :meth:`update` does both.

    Args:
        tasks: ``n_tasks`` of one kind.
        policy: the actor: ``initial_state``, ``step``, ``limits`` and ``nominal_period_s`` of a policy.
        config: see :class:`PpoTraining`.
        after_rollout: called with the observations of a rollout, ``(n_rows, n_observations)``, once it is used up.
    """

    def __init__(
        self, tasks: Sequence[ControlTask], policy: TrainablePolicy, config: PpoTraining,
        after_rollout: Callable[[np.ndarray], None] | None = None,
    ) -> None:  # fmt: skip
        self._after_rollout = after_rollout
        self.tasks, self.policy, self.config = list(tasks), policy, config
        n = len(self.tasks)
        self._rng = np.random.default_rng([config.seed, 2])
        self._next_seed = first_episode(config.seed - 1)  # seeds of trainings count from 1
        self._totals, self._discounted = np.zeros(n), np.zeros(n)
        self._fresh, self._elapsed = np.ones(n, bool), np.full(n, tasks[0].period_s, np.float32)
        self._state: State = ()
        n_truths, n_commands = len(self.tasks[0].truth()), len(self.tasks[0].command_names)
        width = config.critic_units
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            self.critic = nn.Sequential(
                layer(n_truths, width, math.sqrt(2)), nn.Tanh(), layer(width, width, math.sqrt(2)), nn.Tanh(),
                layer(width, 1, 1.0),
            )  # fmt: skip
        self.log_spread = nn.Parameter(torch.full((n_commands,), math.log(config.spread)))
        self._trained = [*policy.parameters(), *self.critic.parameters(), self.log_spread]
        self._optimiser = torch.optim.Adam(self._trained, lr=config.learning_rate, eps=1e-5)
        self._limits = np.array(self.tasks[0].command_limits, float)
        self._truths, self._returns = RunningMoments(n_truths), RunningMoments(1)
        self.updates = 0

    def update(self) -> dict[str, float]:
        """One rollout and one optimisation; returns figures for the log."""
        if self.updates % self.config.fresh_every == 0:
            self._begin_all()
        rollout, figures = self.collect()
        figures |= self.optimise(rollout)
        if self._after_rollout:
            self._after_rollout(rollout.observations.reshape(-1, rollout.observations.shape[-1]))
        self.updates += 1
        return figures

    @torch.no_grad()
    def collect(self) -> tuple[Rollout, dict[str, float]]:
        """Drive the tasks for a rollout."""
        config, n = self.config, len(self.tasks)
        shape = (config.rollout, n)
        n_commands = len(self._limits)
        observations = np.empty((*shape, len(self.tasks[0].observation_names)), np.float32)
        truths = np.empty((*shape, len(self._truths.mean)))
        after = np.empty_like(truths)
        actions, noise = (np.empty((*shape, n_commands), np.float32) for _ in range(2))
        elapsed, rewards = np.empty(shape, np.float32), np.empty(shape)
        fresh, over, cut = (np.zeros(shape, bool) for _ in range(3))
        spread = self.log_spread.exp().numpy()
        states: list[tuple[Tensor, ...]] = []
        finished: list[float] = []
        for t in range(config.rollout):
            for i, task in enumerate(self.tasks):
                observations[t, i], truths[t, i] = task.observe(), task.truth()
            fresh[t], elapsed[t] = self._fresh, self._elapsed
            self._state = begun(self._state, torch.from_numpy(self._fresh))
            if t % config.chunk == 0:
                states.append(self._state)
            mean, self._state = self.policy.step(
                torch.from_numpy(observations[t]), torch.from_numpy(elapsed[t]), self._state
            )
            noise[t] = self._rng.normal(size=(n, n_commands))
            actions[t] = mean.numpy() / self._limits + spread * noise[t]
            commands = np.clip(actions[t], -1, 1) * self._limits
            self._fresh = np.zeros(n, bool)
            for i, task in enumerate(self.tasks):
                task.advance(commands[i], task.period_s)
                rewards[t, i], after[t, i] = task.reward, task.truth()
                self._totals[i] += task.reward
                if task.over:
                    over[t, i] = True
                    cut[t, i] = task.elapsed_s >= task.duration_s - 0.5 * task.period_s
                    finished.append(self._totals[i])
                    self._begin(i)
        log_p = (-0.5 * noise**2 - np.log(spread)).sum(-1)
        self._truths.add(truths.reshape(-1, truths.shape[-1]))
        rewards = self._scale(rewards, over)
        # Time that is over is no fault of the state: what would have followed counts.
        rewards += np.where(cut, config.discount * self._value(after), 0.0)
        last = self._value(after[-1])
        parts = tuple(torch.stack(part) for part in zip(*states, strict=True))
        rollout = Rollout(observations, elapsed, fresh, self._truths.normalise(truths), actions, log_p,
                          rewards.astype(np.float32), over, parts, last)  # fmt: skip
        figures = {"reward": float(np.mean(finished))} if finished else {}
        return rollout, figures | {"spread": float(spread.mean())}

    def _scale(self, rewards: np.ndarray, over: np.ndarray) -> np.ndarray:
        """Rewards in standard deviations of their discounted sums."""
        sums = np.empty_like(rewards)
        for t in range(len(rewards)):
            self._discounted = self._discounted * self.config.discount + rewards[t]
            sums[t] = self._discounted
            self._discounted = np.where(over[t], 0.0, self._discounted)
        self._returns.add(sums.reshape(-1, 1))
        return np.clip(rewards / self._returns.deviation, -CUT, CUT)

    def _value(self, truths: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.critic(torch.from_numpy(self._truths.normalise(truths))).squeeze(-1).numpy()

    def advantages(self, rollout: Rollout) -> tuple[np.ndarray, np.ndarray]:
        """Generalised advantages and the returns that the critic learns, float32 ``(t, n)``."""
        config = self.config
        with torch.no_grad():
            values = self.critic(torch.from_numpy(rollout.truths)).squeeze(-1).numpy()
        result = np.empty_like(values)
        trace, following = np.zeros(values.shape[1], np.float32), rollout.last_value
        for t in reversed(range(len(values))):
            over = rollout.over[t]
            surprise = rollout.rewards[t] + config.discount * np.where(over, 0, following) - values[t]
            trace = surprise + config.discount * config.trace * np.where(over, 0, trace)
            result[t], following = trace, values[t]
        return result, result + values

    def optimise(self, rollout: Rollout) -> dict[str, float]:
        """Some sweeps over a rollout, chunk by chunk in random order."""
        config = self.config
        advantages, returns = self.advantages(rollout)
        n_chunks, n = len(rollout.states[0]) if rollout.states else config.rollout // config.chunk, len(self.tasks)

        def chunks(x: np.ndarray) -> Tensor:  # (t, n, ...) to (n_chunks * n, chunk, ...)
            cut = x.reshape(n_chunks, config.chunk, n, *x.shape[2:]).swapaxes(1, 2)
            return torch.from_numpy(np.ascontiguousarray(cut.reshape(n_chunks * n, config.chunk, *x.shape[2:])))

        observations, elapsed, fresh = chunks(rollout.observations), chunks(rollout.elapsed), chunks(rollout.fresh)
        truths, actions, log_p = chunks(rollout.truths), chunks(rollout.actions), chunks(rollout.log_p)
        advantage, target = chunks(advantages), chunks(returns)
        states = tuple(part.flatten(0, 1) for part in rollout.states)
        limits = torch.from_numpy(self._limits).float()
        rate = config.learning_rate * (1 - 0.95 * min(1, self.updates / config.n_updates))
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        figures: dict[str, list[float]] = {"policy_loss": [], "value_loss": [], "divergence": []}
        for _ in range(config.epochs):
            order = torch.from_numpy(self._rng.permutation(n_chunks * n))
            for picked in order.chunk(config.minibatches):
                state = tuple(part[picked] for part in states)
                commands, _ = run_sequences(
                    self.policy, observations[picked], elapsed[picked], fresh[picked], state
                )
                noise = (actions[picked] - commands / limits) / self.log_spread.exp()
                new_log_p = (-0.5 * noise**2 - self.log_spread).sum(-1)
                log_ratio = new_log_p - log_p[picked]
                ratio = log_ratio.exp()
                a = advantage[picked]
                a = (a - a.mean()) / (a.std() + 1e-8)
                policy_loss = -torch.min(ratio * a, ratio.clamp(1 - config.clip, 1 + config.clip) * a).mean()
                value_loss = 0.5 * (self.critic(truths[picked]).squeeze(-1) - target[picked]).square().mean()
                entropy = self.log_spread.sum()  # of a Gaussian, but for a constant
                loss = policy_loss + config.value_weight * value_loss - config.entropy_weight * entropy
                self._optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self._trained, config.most_gradient)
                self._optimiser.step()
                self.policy.constrain()
                figures["policy_loss"].append(policy_loss.item())
                figures["value_loss"].append(value_loss.item())
                figures["divergence"].append(float((ratio - 1 - log_ratio).mean().detach()))
            if figures["divergence"][-1] > config.most_divergence:
                break
        return {name: float(np.mean(values)) for name, values in figures.items()}

    def _begin_all(self) -> None:
        n = len(self.tasks)
        self._discounted[:] = 0
        self._state = tuple(part.detach() for part in self.policy.initial_state(n))
        for i in range(n):
            self._begin(i)

    def _begin(self, i: int) -> None:
        self.tasks[i].reset(self._next_seed)
        self._next_seed += 1
        self._totals[i], self._fresh[i] = 0.0, True

    def state(self) -> dict:
        """Everything that the next update depends on, where all episodes begin anew: tensors, numbers, strings."""
        moments = [[m.count, m.mean.tolist(), m.squares.tolist()] for m in (self._truths, self._returns)]
        return {
            "policy": self.policy.state_dict(), "critic": self.critic.state_dict(), "moments": moments,
            "log_spread": self.log_spread.detach(), "optimiser": self._optimiser.state_dict(),
            "rng": self._rng.bit_generator.state, "next_seed": self._next_seed, "updates": self.updates,
        }  # fmt: skip

    def restore(self, state: dict) -> None:
        """Go on from :meth:`state`."""
        self.policy.load_state_dict(state["policy"])
        self.critic.load_state_dict(state["critic"])
        self.log_spread.data.copy_(state["log_spread"])
        self._optimiser.load_state_dict(state["optimiser"])
        for moments, (count, mean, squares) in zip((self._truths, self._returns), state["moments"], strict=True):
            moments.count, moments.mean, moments.squares = count, np.array(mean), np.array(squares)
        self._rng.bit_generator.state = state["rng"]
        self._next_seed, self.updates = state["next_seed"], state["updates"]


def train(
    task_name: str, policy: TrainablePolicy, config: PpoTraining,
    progress: Callable[[int, dict[str, float]], None] | None = None, checkpoint: Path | None = None,
    after_rollout: Callable[[np.ndarray], None] | None = None,
) -> None:  # fmt: skip
    """Train a policy by its rewards, in place.

    Args:
        task_name: of the catalogue.
        policy: freshly made; the same policy, task and config give the same weights.
        config: see :class:`PpoTraining`.
        progress: called after each update with the number of updates done and the figures.
        checkpoint: written whenever all episodes begin anew; if it is there, the training goes on from it and ends
            with the same weights as one that was never interrupted.
        after_rollout: see :class:`PpoTrainer`.

    Raises:
        TaskError: the task is unknown, or the checkpoint is damaged or that of another training.
    """
    tasks = [sensed_task_named(task_name) for _ in range(config.n_tasks)]
    trainer = PpoTrainer(tasks, policy, config, after_rollout)
    recipe = recipe_of(task_name, policy, config)
    if checkpoint is not None and checkpoint.exists():
        trainer.restore(read_checkpoint(checkpoint, recipe))
    while trainer.updates < config.n_updates:
        figures = trainer.update()
        if checkpoint is not None and trainer.updates % config.fresh_every == 0:
            write_checkpoint(checkpoint, recipe, trainer.state())
        if progress:
            progress(trainer.updates, figures)
