# SPDX-License-Identifier: Apache-2.0
"""Imitation of a task's expert by any policy: DAgger, with behaviour cloning as the case in which the expert drives.

The policy drives while the expert, who knows the true state, says what it would have done there. Many episodes run side
by side, under faults of sensing and timing that are drawn anew for each, so that a policy with a memory can find out
what a sample is worth. What a late command ought to have been is asked for when it acts: the expert's answer to the
state that the command meets, which teaches the policy to look ahead. A teacher in the expert's place, a controller
that has the policy's observations, answers each sample as it arrives. A closed loop amplifies what single updates do to
the weights, so it is their moving average that drives and that is kept.

Ross, Gordon, Bagnell: A Reduction of Imitation Learning and Structured Prediction to No-Regret Online Learning
(DAgger), AISTATS 2011. Block, Foster, Krishnamurthy, Simchowitz, Zhang: Butterfly Effects of SGD Noise: Error
Amplification in Behavior Cloning and Autoregression, ICLR 2024 (moving averages).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..errors import RobotError
from ..robots.catalogue import robot_named, robot_of, sensed_task_named
from ..tasks.of_robot import task_class
from ..tasks.perturbations import Perturbation
from ..tasks.perturbed import PerturbedTask
from ..tasks.task import ControlTask
from .descent import cosine, set_rate
from .policy import State, TrainablePolicy, begun, run_sequences
from .resume import read_checkpoint, recipe_of, write_checkpoint
from .seeds import CONTROLLER_SEEDS, first_episode
from .teacher import Teacher

#: The seeds that decide which round's policy is kept: the end of the training range.
N_VALIDATION_SEEDS = 1_000_000


@dataclass(frozen=True)
class DaggerTraining:
    """What the training is made of.

    Attributes:
        n_rounds: of collecting and learning.
        n_episodes: side by side; those that end begin anew.
        n_samples: length of a round, rounded up to whole chunks [samples]; by default an episode's control periods.
        duration_s: of an episode [s]; the task's own by default.
        settings: changes to the task's settings while it trains.
        teacher: a controller that is imitated in the expert's place, see :class:`~.teacher.Teacher`; "": the expert.
        frame_s: between pictures while it trains [s], see :class:`~..sim.world.World`; the cameras' own by default.
        expert_share: of the episodes of a round that the expert drives, beside the first round, where it drives all: a
            factor from round to round. 1 is behaviour cloning.
        exploration: noise on the commands of the driving expert, in units of their limits.
        passes: sweeps over the newest sequences, and as many older ones, in a round.
        batch: sequences in a sweep.
        chunk: length of the truncated backpropagation [samples].
        learning_rate: at the start; it falls to a twentieth along a cosine.
        most_gradient: norm to which gradients are cut.
        averaging: of the average's weights, the part that an update leaves as it is.
        huber: errors of a command above this count linearly, in units of its limit.
        noise, drop, jitter, latency_steps: greatest faults, somewhat greater than those of the benchmark; see
            :class:`~..tasks.perturbations.Perturbation`. Each is absent in half of the episodes and uniform up to the
            greatest in the others. The first round has none, and they grow until half of the rounds are done: what
            the expert does is learned before what faults hide of it.
        plant_spread: the plant's factors are uniform in 1 +- plant_spread.
        n_validations: episodes on which a round's policy is judged; 0: the last round's is kept.
        seed: of everything.
    """

    n_rounds: int = 20
    n_episodes: int = 32
    n_samples: int | None = None
    duration_s: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    teacher: str = ""
    frame_s: float | None = None
    expert_share: float = 0.5
    exploration: float = 0.1
    passes: int = 15
    batch: int = 64
    chunk: int = 25
    learning_rate: float = 3e-3
    most_gradient: float = 1.0
    averaging: float = 0.995
    huber: float = 0.2
    noise: float = 0.05
    drop: float = 0.5
    jitter: float = 0.5
    latency_steps: int = 2
    plant_spread: float = 0.0
    n_validations: int = 32
    seed: int = 1

    def draw(self, rng: np.random.Generator, task: ControlTask, strength: float = 1.0) -> Perturbation:
        """The faults of an episode, of which the greatest are ``strength`` times those of the training."""
        most = strength * np.array([self.noise, self.drop, self.jitter])
        noise, drop, jitter = np.maximum(rng.uniform(-1, 1, 3), 0) * most
        latency_steps = int(rng.integers(round(strength * self.latency_steps) + 1))
        spread = strength * self.plant_spread
        factors = rng.uniform(1 - spread, 1 + spread, len(task.variable))
        plant = dict(zip(task.variable, factors.tolist(), strict=True)) if self.plant_spread else {}
        return Perturbation("training", float(noise), float(drop), float(jitter), latency_steps, **plant)


def training_of(task_name: str, seed: int, **changes: Any) -> DaggerTraining:
    """The recipe of a task: what its class says of it, with ``changes``.

    Raises:
        RobotError: there is no such robot, its task cannot be loaded, or what it says is no recipe.
    """
    robot = robot_named(robot_of(task_name))
    own = task_class(robot).imitation
    unknown = sorted(set(own) - {f.name for f in fields(DaggerTraining)})
    if unknown:
        raise RobotError(f"{robot.source}: task: imitation: no '{unknown[0]}'; give fields of DaggerTraining")
    return DaggerTraining(**{**own, "seed": seed, **changes})


@dataclass(slots=True)
class Sequences:
    """What policies saw and what the expert would have done: ``n`` sequences of ``c`` chunks of ``t`` samples.

    Attributes:
        observations: float32 ``(n, c, t, n_observations)``, of samples that arrived.
        elapsed: float32 ``(n, c, t)``, seconds since the sample before.
        expert: float32 ``(n, c, t, n_commands)``, in units of the limits; or the teacher's.
        known: bool ``(n, c, t)``, the expert has answered; it has not where the episode ended before the command acted.
        fresh: bool ``(n, c, t)``, an episode begins here and the state is zero.
        states: the policy's state before each chunk, parts ``(n, c, k)``, as it was when last computed.
    """

    observations: Tensor
    elapsed: Tensor
    expert: Tensor
    known: Tensor
    fresh: Tensor
    states: State

    def parts(self) -> list[Tensor]:
        """All of them, in order."""
        return [self.observations, self.elapsed, self.expert, self.known, self.fresh, *self.states]

    @classmethod
    def of(cls, parts: list[Tensor]) -> Sequences:
        """From :meth:`parts`."""
        observations, elapsed, expert, known, fresh, *states = parts
        return cls(observations, elapsed, expert, known, fresh, tuple(states))


class DaggerTrainer:
    """Alternates between :meth:`collect` and :meth:`learn`; :meth:`round` does both and judges.

    Args:
        task_name: of the catalogue.
        policy: of :mod:`..liquid.policies` or :mod:`..spiking.policy`; trained in place, on the device where it is.
        config: see :class:`DaggerTraining`.

    Attributes:
        average: of the policy's weights; what drives, and what the policy becomes at the end.

    Raises:
        TaskError: there is no such task.
        ModelError: its expert cannot be had.
        LiquidSpikeError: the teacher in its place cannot be had.
    """

    def __init__(self, task_name: str, policy: TrainablePolicy, config: DaggerTraining) -> None:
        self.task_name, self.policy, self.config = task_name, policy, config
        self._module = cast(nn.Module, policy)  # a protocol cannot say that it is one
        self._averaged = AveragedModel(self._module, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))
        self.average = cast(TrainablePolicy, self._averaged.module)
        n_tasks = max(config.n_episodes, config.n_validations)
        tasks = [sensed_task_named(task_name, config.frame_s, **config.settings) for _ in range(n_tasks)]
        for task in tasks:
            if config.duration_s is not None:
                task.set_duration(config.duration_s)
        taught = tasks[: config.n_episodes]
        self._teachers = [Teacher(task_name, config.teacher, task) for task in taught] if config.teacher else []
        self._experts = [] if config.teacher else [task.expert() for task in taught]
        calm = Perturbation("calm")
        self._loops = [PerturbedTask(task, calm) for task in tasks]
        self._task = tasks[0]
        self._limits = np.array(self._task.command_limits, np.float32)
        self._device = next(policy.parameters()).device
        self._optimiser = torch.optim.Adam(policy.parameters(), lr=config.learning_rate)
        self._rng = np.random.default_rng([config.seed, 1])
        self._next_seed = first_episode(config.seed)
        self._kept: Sequences | None = None
        self._best: tuple[float, dict[str, Tensor]] = (-math.inf, {})
        self._updates = self.rounds = 0

    @property
    def n_samples(self) -> int:
        """Of a sequence, in whole chunks."""
        n_periods = self.config.n_samples or round(self._task.duration_s / self._task.period_s)
        return math.ceil(n_periods / self.config.chunk) * self.config.chunk

    def round(self) -> dict[str, float]:
        """Collect, learn and judge; returns figures for the log."""
        figures = self.collect()
        figures["loss"] = self.learn()
        if self.config.n_validations:
            figures |= self.validate()
        self.rounds += 1
        if self.rounds == self.config.n_rounds:
            self.policy.load_state_dict(self._best[1] or self.average.state_dict())
        return figures

    @torch.no_grad()
    def collect(self) -> dict[str, float]:
        """Let policy and expert drive for the length of an episode."""
        config, n, n_samples = self.config, self.config.n_episodes, self.n_samples
        share = config.expert_share**self.rounds
        # As many as the share says, not more or fewer by chance
        by_expert = self._rng.permutation(n) < round(share * n)
        observations = np.zeros((n, n_samples, len(self._task.observation_names)), np.float32)
        elapsed = np.zeros((n, n_samples), np.float32)
        expert = np.zeros((n, n_samples, len(self._limits)), np.float32)
        known, fresh = np.zeros((n, n_samples), bool), np.zeros((n, n_samples), bool)
        # Of each loop, samples whose commands have yet to act, with the periods until they do
        waiting: list[list[list[int]]] = [[] for _ in range(n)]
        fresh[:, 0] = True
        for i in range(n):
            self._begin(i)
        state = self._initial_state(n)
        n_over = n_success = 0
        states = []
        for k in range(n_samples):
            if k % config.chunk == 0:
                states.append(state)
            for i, loop in enumerate(self._loops[:n]):
                observations[i, k], elapsed[i, k] = loop.observation, loop.elapsed_s
            command, state = self._step(observations[:, k], elapsed[:, k], state)
            noise = config.exploration * self._rng.normal(size=command.shape)
            began = np.zeros(n, bool)
            for i, loop in enumerate(self._loops[:n]):
                if self._teachers:
                    answer = self._teachers[i].answer(loop.observation, loop.elapsed_s)
                    expert[i, k], known[i, k] = np.clip(answer / self._limits, -1, 1), True
                else:
                    waiting[i].append([k, loop.perturbation.latency_steps])
                    self._ask(i, waiting[i], expert, known)
                    answer = self._experts[i].act(loop.task) if by_expert[i] else command[i]
                given = answer + noise[i] * self._limits if by_expert[i] else command[i]
                loop.decide(given)
                if self._teachers:
                    self._teachers[i].given(given)
                while True:
                    loop.advance()
                    for entry in waiting[i]:
                        entry[1] -= 1
                    if loop.task.over or loop.received:
                        break
                    self._ask(i, waiting[i], expert, known)
                if loop.task.over:
                    if not by_expert[i]:
                        n_over, n_success = n_over + 1, n_success + loop.task.success
                    waiting[i].clear()
                    self._begin(i)
                    began[i] = True
            if k + 1 < n_samples:
                fresh[:, k + 1] = began
            state = begun(state, torch.from_numpy(began).to(self._device)) if began.any() else state
        parts = [torch.from_numpy(x).to(self._device).unflatten(1, (-1, config.chunk))
                 for x in (observations, elapsed, expert, known, fresh)]  # fmt: skip
        parts += [torch.stack(part, 1) for part in zip(*states, strict=True)]
        if self._kept is not None:
            parts = [torch.cat([new, old]) for new, old in zip(parts, self._kept.parts(), strict=True)]
        self._kept = Sequences.of(parts)
        return {"expert_share": float(by_expert.mean())} | ({"driven_success": n_success / n_over} if n_over else {})

    def _begin(self, i: int) -> None:
        self._loops[i].reset(self._next_seed, self.config.draw(self._rng, self._task, self._strength))
        (self._teachers or self._experts)[i].reset()
        self._next_seed += 1

    @property
    def _strength(self) -> float:
        """Of the faults in this round."""
        return min(1.0, 2 * self.rounds / self.config.n_rounds)

    def _ask(self, i: int, waiting: list[list[int]], expert: np.ndarray, known: np.ndarray) -> None:
        """Ask the expert for the commands that begin to act now."""
        while waiting and waiting[0][1] <= 0:
            k = waiting.pop(0)[0]
            expert[i, k] = np.clip(self._experts[i].act(self._loops[i].task) / self._limits, -1, 1)
            known[i, k] = True

    def learn(self) -> float:
        """Sweep over the newest sequences and as many older ones as a batch has room for; returns the mean loss.

        Each sequence is gone through in order, with the state carried over, but from a chunk of its own to the same
        chunk again: otherwise one update would see episodes begin and the next ones only how they end.
        """
        config, kept = self.config, self._kept
        assert kept is not None  # collect comes first
        n_chunks = kept.elapsed.shape[1]
        losses = []
        limits = torch.from_numpy(self._limits).to(self._device)
        for _ in range(config.passes):
            rows = self._pick(len(kept.elapsed))
            chunk = torch.from_numpy(self._rng.integers(n_chunks, size=len(rows)))
            state = tuple(part[rows, chunk] for part in kept.states)
            for _ in range(n_chunks):
                for whole, part in zip(kept.states, state, strict=True):
                    whole[rows, chunk] = part
                observations, elapsed, fresh = (x[rows, chunk] for x in (kept.observations, kept.elapsed, kept.fresh))
                commands, state = run_sequences(self.policy, observations, elapsed, fresh, state)
                error = nn.functional.huber_loss(
                    commands / limits, kept.expert[rows, chunk], delta=config.huber, reduction="none"
                )
                known = kept.known[rows, chunk]
                loss = torch.where(known, error.mean(-1), 0.0).sum() / known.sum().clamp(min=1)
                self._set_rate(n_chunks)
                self._optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.policy.parameters(), config.most_gradient)
                self._optimiser.step()
                self.policy.constrain()
                self._averaged.update_parameters(self._module)
                self._updates += 1
                losses.append(loss.item() / config.huber**2)
                state = tuple(part.detach() for part in state)
                chunk = (chunk + 1) % n_chunks
        return float(np.mean(losses))

    def _pick(self, n_kept: int) -> Tensor:
        """The newest sequences, and others by chance."""
        n = self.config.n_episodes
        n_old = max(0, min(n_kept, self.config.batch) - n)
        old = n + self._rng.permutation(n_kept - n)[:n_old]
        return torch.tensor([*range(n), *old.tolist()])

    def _set_rate(self, n_chunks: int) -> None:
        config = self.config
        n_updates = config.n_rounds * config.passes * n_chunks
        set_rate(self._optimiser, config.learning_rate * cosine(self._updates / n_updates))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Judge the policy on episodes of their own, under faults as in training; remember it if it is the best."""
        n = self.config.n_validations
        loops, rng = self._loops[:n], np.random.default_rng([self.config.seed, 3])
        for i, loop in enumerate(loops):
            loop.reset(CONTROLLER_SEEDS[-1] - N_VALIDATION_SEEDS + i, self.config.draw(rng, self._task))
        rewards = np.zeros(n)
        state = self._initial_state(n)
        while not all(loop.task.over for loop in loops):
            seen = np.stack([loop.observation for loop in loops]).astype(np.float32)
            command, state = self._step(seen, np.array([loop.elapsed_s for loop in loops], np.float32), state)
            for i, loop in enumerate(loops):
                if loop.task.over:
                    continue
                loop.decide(command[i])
                while True:
                    loop.advance()
                    rewards[i] += loop.task.reward
                    if loop.task.over or loop.received:
                        break
        success = float(np.mean([loop.task.success for loop in loops]))
        # Success first; among equals the reward, squeezed to less than one episode's weight
        reward = float(rewards.mean())
        judged = success + (0.5 + math.atan(reward) / math.pi) / (n + 1)
        if judged >= self._best[0]:
            self._best = judged, {k: v.detach().clone() for k, v in self.average.state_dict().items()}
        return {"success": success, "reward": reward}

    def _initial_state(self, n: int) -> State:
        return tuple(part.to(self._device) for part in self.policy.initial_state(n))

    def _step(self, observations: np.ndarray, elapsed: np.ndarray, state: State):
        seen, since = (torch.from_numpy(np.ascontiguousarray(x)).to(self._device) for x in (observations, elapsed))
        command, state = self.average.step(seen, since, state)
        return command.cpu().double().numpy(), state

    def state(self) -> dict:
        """Everything that the next round depends on: tensors, numbers and strings."""
        kept = self._kept.parts() if self._kept else []
        return {
            "policy": self.policy.state_dict(), "average": self._averaged.state_dict(),
            "optimiser": self._optimiser.state_dict(), "kept": kept, "best": list(self._best),
            "rng": self._rng.bit_generator.state, "next_seed": self._next_seed, "updates": self._updates,
            "rounds": self.rounds,
        }  # fmt: skip

    def restore(self, state: dict) -> None:
        """Go on from :meth:`state`."""
        self.policy.load_state_dict(state["policy"])
        self._averaged.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._kept = Sequences.of([part.to(self._device) for part in state["kept"]]) if state["kept"] else None
        self._best = (state["best"][0], state["best"][1])
        self._rng.bit_generator.state = state["rng"]
        self._next_seed, self._updates, self.rounds = state["next_seed"], state["updates"], state["rounds"]


def train(
    task_name: str, policy: TrainablePolicy, config: DaggerTraining,
    progress: Callable[[int, dict[str, float]], None] | None = None, checkpoint: Path | None = None,
    trainer_class: type[DaggerTrainer] = DaggerTrainer,
) -> None:  # fmt: skip
    """Train a policy to do as a task's expert does, in place.

    Args:
        task_name: of the catalogue.
        policy: freshly made; the same policy, task and config give the same weights.
        config: see :class:`DaggerTraining`.
        progress: called after each round with the number of rounds done and the figures.
        checkpoint: written after each round; if it is there, the training goes on from it and ends with the same
            weights as one that was never interrupted.
        trainer_class: how it learns: by gradient descent, or :class:`~.readout.ReadoutTrainer`.

    Raises:
        TaskError: the task is unknown, or the checkpoint is damaged or that of another training.
        ModelError: the task's expert cannot be had.
    """
    trainer = trainer_class(task_name, policy, config)
    recipe = recipe_of(task_name, policy, config)
    if checkpoint is not None and checkpoint.exists():
        trainer.restore(read_checkpoint(checkpoint, recipe))
    while trainer.rounds < config.n_rounds:
        figures = trainer.round()
        if checkpoint is not None:
            write_checkpoint(checkpoint, recipe, trainer.state())
        if progress:
            progress(trainer.rounds, figures)
