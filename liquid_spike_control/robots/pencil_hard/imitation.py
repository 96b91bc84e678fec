# SPDX-License-Identifier: Apache-2.0
"""Train a controller for ``pencil-hard`` by the recipe of the closed-loop benchmark: DAgger with the perception in the
loop.

The controller drives while the expert, who knows the pole, the latency, the wind and the forces on their way, says what
it would have done; the controller has to find out. :mod:`...training.dagger` trains controllers of any robot, this one
too; this recipe stays because the benchmark's published results and the shipped controllers come from it.

Ross, Gordon, Bagnell: A Reduction of Imitation Learning and Structured Prediction to No-Regret Online Learning
(DAgger), AISTATS 2011.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ...checkpoint import ControllerFile
from ...liquid.architecture import Architecture, matched, n_parameters, named
from ...liquid.policies import Policy, new_policy
from ...neuromorphic.backend import Backend
from ...perception import Perception
from ...robot import names, scales, units
from ...spiking.nir_io import PerceptionModel
from ...spiking.policy import SpikingPolicy
from ...spiking.policy_file import SpikingArchitecture, SpikingControllerFile
from ...training.descent import cosine, set_rate
from ...training.policy import begun, run_sequences
from ...training.seeds import CONTROLLER_SEEDS
from ...types import SpikeTrain
from .description import CAMERA, ROBOT
from .streams import HardStream, PoleTable
from .task import PencilHardEpisodes

#: Errors of the command above this count linearly [N].
HUBER_N = 2.0
#: Of the control periods that the task draws [ms].
MEAN_PERIOD_MS = 12.7


@dataclass(frozen=True)
class HardImitationTraining:
    """What the training is made of. The shipped controllers had 40 rounds.

    Attributes:
        n_rounds: of collecting and learning.
        n_streams: poles at once.
        round_s: time each pole runs in a round [s], at the mean control period.
        passes: optimiser sweeps over the collected sequences after each round.
        chunk: length of the truncated backpropagation [control periods].
        batch: sequences in one sweep, the newest round always among them.
        units, backbone_units: of the CfC.
        learning_rate: at the start; it falls to a twentieth along a cosine.
        pushes: gusts [m/s] of the training episodes.
        n_variants: lengths of the poles.
        seed: of everything.
        controller: name of the architecture.
        hidden: fields of the architecture that are switched off: what it is not to know.
        spiking: architecture of a spiking controller, in place of a dense one.
    """

    n_rounds: int = 9
    n_streams: int = 24
    round_s: float = 8.0
    passes: int = 8
    chunk: int = 60
    batch: int = 96
    units: int = 32
    backbone_units: int = 64
    learning_rate: float = 3e-3
    pushes: tuple[float, ...] = (0.0, 0.1, 0.15, 0.2, 0.3)
    n_variants: int = 6
    seed: int = 1
    controller: str = "cfc_mm"
    hidden: tuple[str, ...] = ()
    spiking: SpikingArchitecture | None = None

    @property
    def architecture(self) -> Architecture:
        """Of a dense controller: a CfC with mixed memory, or another with as many parameters.

        An NCP keeps its own size: its claim is that few neurons do.
        """
        hidden: dict[str, Any] = dict.fromkeys(self.hidden, False)
        default = named("cfc_mm", units=self.units, backbone_units=self.backbone_units)
        if self.controller == "ncp":
            return named("ncp", **hidden)
        if self.controller == "cfc_mm":
            return replace(default, **hidden)
        sizes = len(ROBOT.observations), 1
        return matched(self.controller, n_parameters(default, *sizes), *sizes, **hidden)


def hard_recipe(controller: str, seed: int, hide_elapsed: bool = False) -> HardImitationTraining:
    """The recipe for a controller by its name, ``"spiking"`` among them, with the elapsed time as an input or not."""
    if controller == "spiking":
        return HardImitationTraining(seed=seed, spiking=SpikingArchitecture(elapsed_input=not hide_elapsed))
    hidden = ("elapsed_input", "elapsed_span") if hide_elapsed else ()
    return HardImitationTraining(seed=seed, controller=controller, hidden=hidden)


@dataclass(frozen=True, slots=True)
class Sequences:
    """One round: what each pole's controller saw and what the expert would have done.

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


class HardImitationTrainer:
    """Alternates between :meth:`collect` and :meth:`learn`.

    Args:
        config: see :class:`HardImitationTraining`.
        model: the perception.
        new_backend: makes what runs it.
        progress: called with the fraction of the pictures that are done.

    Attributes:
        observation_names: of what the controller sees.
        network: what is trained.
    """

    observation_names = names(ROBOT.observations)
    force_limit = float(ROBOT.greatest_commands[0])

    def __init__(
        self, config: HardImitationTraining, model: PerceptionModel, new_backend: Callable[[], Backend],
        progress: Callable[[float], None] | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self._rng = np.random.default_rng(config.seed)
        numbers = tuple(scales(ROBOT.observations)), (self.force_limit,), ROBOT.period_s, config.seed
        self.network: Policy | SpikingPolicy
        if config.spiking is None:
            self.network = new_policy(config.architecture, *numbers)
        else:
            self.network = SpikingPolicy(config.spiking, *numbers)
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self._perceptions = [Perception(model) for _ in range(config.n_streams)]
        self._backends = [new_backend() for _ in range(config.n_streams)]
        self._estimates = np.zeros((config.n_streams, len(ROBOT.estimates)))
        self._ticks = [0] * config.n_streams
        table = PoleTable(CAMERA, config.n_variants, progress)
        episodes = [PencilHardEpisodes(gust=gust, tilt=math.radians(6.0)) for gust in config.pushes]
        self._streams = [
            HardStream(table, CAMERA, episodes, perception.binner, CONTROLLER_SEEDS[0] + i, config.n_streams)
            for i, perception in enumerate(self._perceptions)
        ]
        self._rounds: list[Sequences] = []
        self._updates = 0

    def to_file(self, command: str) -> ControllerFile | SpikingControllerFile:
        """What the network has become; ``command`` is what its metadata say made it."""
        return self.network.to_file(
            observation_names=self.observation_names,
            observation_units=units(ROBOT.observations),
            command_names=names(ROBOT.commands),
            command_units=units(ROBOT.commands),
            task=ROBOT.name,
            training_command=command,
            training_seeds=(CONTROLLER_SEEDS[0], CONTROLLER_SEEDS[-1]),
        )

    def _new_round(self) -> tuple[Sequences, np.ndarray]:
        """What a round fills, and whom the expert drives in it, bool ``(n_streams,)``."""
        config = self.config
        # The expert drives all poles in the first round and fewer of them in each later one
        expert_share = 0.5 ** len(self._rounds) if self._rounds else 1.0
        by_expert = self._rng.random(config.n_streams) < expert_share
        n_ticks = round(config.round_s * 1e3 / MEAN_PERIOD_MS)
        n_observations = len(self.observation_names)
        return Sequences.blank(config.n_streams, n_ticks, n_observations, ROBOT.period_s), by_expert

    @torch.no_grad()
    def collect(self) -> dict[str, float]:
        """One round of driving; returns how often poles fell and how far the controller was from the expert."""
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
                        elapsed[i, k + 1] = ROBOT.period_s
        self._rounds.append(collected)
        return {"falls": falls, "command_rms": math.sqrt(squares / n_ticks), "expert_share": float(by_expert.mean())}

    def _begin(self, i: int) -> None:
        """An episode of a stream."""
        self._streams[i].reset()
        self._perceptions[i].reset(0)
        self._backends[i].reset()
        self._ticks[i] = 0
        self._estimates[i] = self._perceptions[i].decode(SpikeTrain.from_steps([]), 0).values

    def _see(self, i: int) -> tuple[np.ndarray, float]:
        """What the controller of a stream sees, and the force of its expert [N]."""
        stream, tick = self._streams[i], self._ticks[i]
        n_events, passed_s = 0, ROBOT.period_s
        if tick:
            n_events, passed_s = stream.n_events, stream.plant.episode.periods_ms[tick - 1] * 1e-3
        force = stream.expert.step(stream.plant.truth(), stream.plant.forces_on_the_way)
        return np.append(stream.onboard.sense(n_events, passed_s), self._estimates[i]), force

    def _next_period_ms(self, i: int) -> int:
        """Length of a stream's next control period [ms]."""
        self._ticks[i] += 1
        return int(self._streams[i].plant.episode.periods_ms[self._ticks[i] - 1])

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
        parts = ("observations", "elapsed", "expert", "fresh")
        return Sequences(*(np.stack([getattr(self._rounds[r], name)[i] for r, i in where]) for name in parts))

    def _chunk(self, batch: Sequences, part: slice, state):
        parts = batch.observations, batch.elapsed, batch.fresh, batch.expert
        observations, elapsed, fresh, expert = (torch.from_numpy(x[:, part]) for x in parts)
        state = state or self.network.initial_state(len(observations))
        if self.config.spiking is not None:  # each call is one pass through compiled gradients: as few as possible
            found, state = run_sequences(self.network, observations, elapsed, fresh, state)
        else:
            commands = []
            for k in range(observations.shape[1]):
                state = begun(state, fresh[:, k])
                command, state = self.network.step(observations[:, k], elapsed[:, k], state)
                commands.append(command)
            found = torch.stack(commands, 1)
        return torch.nn.functional.huber_loss(found, expert, delta=HUBER_N), state

    def _set_rate(self) -> None:
        config = self.config
        chunks = math.ceil(config.round_s * 1e3 / MEAN_PERIOD_MS / config.chunk)
        fraction = self._updates / (config.n_rounds * config.passes * chunks)
        set_rate(self._optimiser, config.learning_rate * cosine(fraction))
