# SPDX-License-Identifier: Apache-2.0
"""Train the pencil's liquid controller: DAgger from an LQR that sees the truth, with the perception in the loop.

The controller drives while the expert, who knows the true state, says what it would have done. The controller sees
only encoders, spiking estimates and the time between them, so it learns what the estimates are worth.

Ross, Gordon, Bagnell: A Reduction of Imitation Learning and Structured Prediction to No-Regret Online Learning
(DAgger), AISTATS 2011.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ...checkpoint import ControllerFile
from ...liquid.architecture import Architecture, named
from ...liquid.policies import new_policy
from ...neuromorphic.backend import Backend
from ...perception import Perception
from ...robot import names, scales, units
from ...spiking.nir_io import PerceptionModel
from ...training.policy import begun
from ...training.seeds import CONTROLLER_SEEDS
from .description import CAMERA, ROBOT
from .episodes import PencilEpisodes
from .expert import cart_pole_lqr
from .streams import PencilStream, PictureTable

#: Errors of the command above this count linearly [N].
HUBER_N = 2.0


@dataclass(frozen=True)
class ImitationTraining:
    """What the training is made of; the defaults made the shipped model.

    Attributes:
        n_rounds: of collecting and learning.
        n_streams: pencils at once.
        round_s: time each pencil runs in a round [s].
        passes: optimiser sweeps over the collected sequences after each round.
        chunk: length of the truncated backpropagation [control periods].
        batch: sequences in one sweep, the newest round always among them.
        units, backbone_units: of the CfC.
        learning_rate: at the start; it falls to a twentieth along a cosine.
        jitter_ms: half of the pencils run with periods that vary by so much either way [ms].
        pushes: impulses [N s] of the training tasks.
        seed: of everything.
    """

    n_rounds: int = 10
    n_streams: int = 32
    round_s: float = 8.0
    passes: int = 8
    chunk: int = 25
    batch: int = 96
    units: int = 32
    backbone_units: int = 64
    learning_rate: float = 3e-3
    jitter_ms: int = 2
    pushes: tuple[float, ...] = (0.02, 0.02, 0.04, 0.06, 0.08, 0.1, 0.11)
    n_variants: int = 10
    seed: int = 1

    @property
    def architecture(self) -> Architecture:
        """Of the controller: a CfC with mixed memory."""
        return named("cfc_mm", units=self.units, backbone_units=self.backbone_units)


@dataclass(frozen=True, slots=True)
class Sequences:
    """One round: what each pencil's controller saw and what the expert would have done.

    Attributes:
        observations: float32 ``(n_streams, n_ticks, n_observations)``.
        elapsed: float32 ``(n_streams, n_ticks)``, seconds since the tick before.
        expert: float32 ``(n_streams, n_ticks, 1)``, force [N].
        fresh: bool ``(n_streams, n_ticks)``, an episode begins here and the state is zero.
    """

    observations: np.ndarray
    elapsed: np.ndarray
    expert: np.ndarray
    fresh: np.ndarray

    @classmethod
    def blank(cls, n_streams: int, n_ticks: int, n_observations: int, period_s: float) -> Sequences:
        """Zeros; all periods [s] are alike, and all episodes begin with the first tick."""
        fresh = np.zeros((n_streams, n_ticks), bool)
        fresh[:, 0] = True
        return cls(
            np.zeros((n_streams, n_ticks, n_observations), np.float32),
            np.full((n_streams, n_ticks), period_s, np.float32),
            np.zeros((n_streams, n_ticks, 1), np.float32),
            fresh,
        )


class ImitationTrainer:
    """Alternates between :meth:`collect` and :meth:`learn`.

    Args:
        config: see :class:`ImitationTraining`.
        model: the perception.
        new_backend: makes what runs it.
        progress: called with the fraction of the pictures that are done.

    Attributes:
        task: whose period is the nominal one.
        task_name: what the controller's file says that it was trained on.
        observation_names, observation_units, observation_scales: of what the controller is given.
        force_limit: of what it commands [N].
        mean_period_ms: of the control periods [ms].
        network: what is trained.
    """

    task: PencilEpisodes = PencilEpisodes()
    task_name = "pencil"
    observation_names: tuple[str, ...] = names(ROBOT.observations)
    observation_units: tuple[str, ...] = units(ROBOT.observations)
    observation_scales: tuple[float, ...] = tuple(scales(ROBOT.observations))
    robot = ROBOT
    force_limit = float(ROBOT.greatest_commands[0])
    mean_period_ms: float = round(ROBOT.period_s * 1e3)

    def __init__(
        self, config: ImitationTraining, model: PerceptionModel, new_backend: Callable[[], Backend], progress=None
    ) -> None:
        self.config = config
        self._rng = np.random.default_rng(config.seed)
        limits, period_s = (self.force_limit,), self.robot.period_s
        self.network = new_policy(config.architecture, self.observation_scales, limits, period_s, config.seed)
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self._perceptions = [Perception(model) for _ in range(config.n_streams)]
        self._backends = [new_backend() for _ in range(config.n_streams)]
        self._estimates = np.zeros((config.n_streams, len(self.robot.estimates)))
        self._prepare(progress)
        self._rounds: list[Sequences] = []
        self._updates = 0

    def _prepare(self, progress: Callable[[float], None] | None) -> None:
        """Pictures, a stream for each perception, and the expert."""
        config = self.config
        self._lqr = cart_pole_lqr(ROBOT, ROBOT.period_s)
        table = PictureTable(self.task, CAMERA, config.n_variants, config.seed, progress)
        tasks = [PencilEpisodes(push=push, tilt=math.radians(6.0)) for push in config.pushes]
        self._streams = [
            PencilStream(table, CAMERA, tasks, perception.binner, CONTROLLER_SEEDS[0] + i, config.n_streams)
            for i, perception in enumerate(self._perceptions)
        ]

    def to_file(self, command: str) -> ControllerFile:
        """What the network has become; ``command`` is what its metadata say made it."""
        return self.network.to_file(
            observation_names=self.observation_names,
            observation_units=self.observation_units,
            command_names=names(self.robot.commands),
            command_units=units(self.robot.commands),
            task=self.task_name,
            training_command=command,
            training_seeds=(CONTROLLER_SEEDS[0], CONTROLLER_SEEDS[-1]),
        )

    def _new_round(self) -> tuple[Sequences, np.ndarray]:
        """What a round fills, and whom the expert drives in it, bool ``(n_streams,)``."""
        config = self.config
        # The expert drives all pencils in the first round and fewer of them in each later one
        expert_share = 0.5 ** len(self._rounds) if self._rounds else 1.0
        by_expert = self._rng.random(config.n_streams) < expert_share
        n_ticks = round(config.round_s * 1e3 / self.mean_period_ms)
        n_observations = len(self.observation_names)
        return Sequences.blank(config.n_streams, n_ticks, n_observations, self.robot.period_s), by_expert

    @torch.no_grad()
    def collect(self) -> dict[str, float]:
        """One round of driving; returns how often pencils fell and how far the controller was from the expert."""
        collected, by_expert = self._new_round()
        observations, elapsed, expert = collected.observations, collected.elapsed, collected.expert
        n, n_ticks = elapsed.shape
        state = self.network.initial_state(n)
        falls, squares = 0, 0.0
        for i in range(n):
            self._begin(i)
        for k in range(n_ticks):
            for i in range(n):
                observations[i, k], expert[i, k] = self._see(i)
            command, state = self.network.step(
                torch.from_numpy(observations[:, k]), torch.from_numpy(elapsed[:, k]), state
            )
            commands = command.numpy()
            squares += float(((commands - expert[:, k]) ** 2).mean())
            for i, stream in enumerate(self._streams):
                force = expert[i, k, 0] + self._rng.normal() if by_expert[i] else commands[i, 0]
                n_steps = self._next_period_ms(i)
                spikes, _ = stream.advance(float(np.clip(force, -self.force_limit, self.force_limit)), n_steps)
                output = self._backends[i].run(spikes)
                self._estimates[i] = self._perceptions[i].decode(output, stream.plant.now_ns).values
                if k + 1 < n_ticks:
                    elapsed[i, k + 1] = n_steps * 1e-3
                if stream.over:
                    falls += stream.plant.fallen
                    self._begin(i)
                    for part in state:
                        part[i] = 0
                    if k + 1 < n_ticks:
                        collected.fresh[i, k + 1] = True
                        elapsed[i, k + 1] = self.robot.period_s
        self._rounds.append(collected)
        return {"falls": falls, "command_rms": math.sqrt(squares / n_ticks), "expert_share": float(by_expert.mean())}

    def _begin(self, i: int) -> None:
        """An episode of a stream."""
        self._streams[i].reset()
        self._perceptions[i].reset(0)
        self._backends[i].reset()
        self._estimates[i] = 0

    def _see(self, i: int) -> tuple[np.ndarray, np.ndarray | float]:
        """What the controller of a stream is given, and the force of its expert [N]."""
        plant = self._streams[i].plant
        joints = plant.observe()
        expert = self._lqr.step(np.concatenate([joints, plant.true_state()]))
        return np.concatenate([joints, self._estimates[i]]), expert

    def _next_period_ms(self, i: int) -> int:
        """Length of a stream's next control period [ms]."""
        jitter = i % 2 * self.config.jitter_ms
        return round(self.mean_period_ms) + int(self._rng.integers(-jitter, jitter + 1))

    def learn(self) -> float:
        """Sweep over the newest and some older sequences; returns the mean loss."""
        config = self.config
        total, count = 0.0, 0
        for _ in range(config.passes):
            batch = self._sample()
            state = None
            n_ticks = batch.elapsed.shape[1]
            for first in range(0, n_ticks, config.chunk):
                part = slice(first, first + config.chunk)
                loss, state = self._chunk(batch, part, state)
                self._set_rate()
                self._optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
                self._optimiser.step()
                self.network.constrain()
                self._updates += 1
                state = tuple(x.detach() for x in state)
                total, count = total + loss.item(), count + 1
        return total / count

    def _sample(self) -> Sequences:
        newest = self._rounds[-1]
        n_old = max(0, self.config.batch - len(newest.elapsed))
        where = [(len(self._rounds) - 1, i) for i in range(len(newest.elapsed))]
        if len(self._rounds) > 1:
            old = [(r, i) for r in range(len(self._rounds) - 1) for i in range(self.config.n_streams)]
            picked = self._rng.choice(len(old), size=min(n_old, len(old)), replace=False)
            where += [old[p] for p in picked]
        names = ("observations", "elapsed", "expert", "fresh")
        return Sequences(*(np.stack([getattr(self._rounds[r], name)[i] for r, i in where]) for name in names))

    def _chunk(self, batch: Sequences, part: slice, state):
        observations, elapsed = torch.from_numpy(batch.observations[:, part]), torch.from_numpy(batch.elapsed[:, part])
        expert = torch.from_numpy(batch.expert[:, part])
        fresh = torch.from_numpy(batch.fresh[:, part])
        state = state or self.network.initial_state(len(observations))
        commands = []
        for k in range(observations.shape[1]):
            state = begun(state, fresh[:, k])
            command, state = self.network.step(observations[:, k], elapsed[:, k], state)
            commands.append(command)
        return torch.nn.functional.huber_loss(torch.stack(commands, 1), expert, delta=HUBER_N), state

    def _set_rate(self) -> None:
        config = self.config
        chunks = math.ceil(config.round_s * 1e3 / self.mean_period_ms / config.chunk)
        fraction = self._updates / (config.n_rounds * config.passes * chunks)
        for group in self._optimiser.param_groups:
            group["lr"] = config.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1, fraction))))
