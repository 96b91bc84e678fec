# SPDX-License-Identifier: Apache-2.0
"""Train a controller for ``pencil-hard``: DAgger with the spiking perception in the loop, as for the pencil.

The teacher knows the pole, the latency, the wind and the forces on their way; the controller has to find out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..checkpoint import ControllerFile
from ..hard_simulation import HARD_CAMERA, Onboard
from ..liquid.architecture import Architecture, matched, n_parameters, named
from ..liquid.policies import new_policy
from ..neuromorphic.backend import Backend
from ..perception import Perception
from ..sim.pencil_hard import FORCE_LIMIT, PencilHardPlant, PencilHardTask
from ..sim.tasks import ESTIMATE_NAMES, ESTIMATE_UNITS
from ..spiking.nir_io import PerceptionModel
from ..types import SpikeTrain
from .hard_streams import HardStream, PoleTable
from .imitation import ImitationTrainer, ImitationTraining, Sequences
from .streams import CONTROLLER_SEEDS

OBSERVATION_NAMES = Onboard.names + ESTIMATE_NAMES
OBSERVATION_UNITS = Onboard.units + ESTIMATE_UNITS
OBSERVATION_SCALES = Onboard.scales + (0.1, 0.6)
#: Mean of the control periods [ms].
MEAN_PERIOD_MS = 12.7


@dataclass(frozen=True)
class HardImitationTraining(ImitationTraining):
    """As the pencil's, except that every pole's periods vary as the task says, and ``pushes`` are gusts [m/s].

    Attributes:
        controller: name of the architecture.
        hidden: fields of the architecture that are switched off: what it is not to know.
    """

    n_rounds: int = 9
    n_streams: int = 24
    chunk: int = 60
    n_variants: int = 6
    pushes: tuple[float, ...] = (0.0, 0.1, 0.15, 0.2, 0.3)
    controller: str = "cfc_mm"
    hidden: tuple[str, ...] = ()

    @property
    def architecture(self) -> Architecture:
        """Of the controller: a CfC with mixed memory, or another with as many parameters."""
        size = {"units": self.units, "backbone_units": self.backbone_units}
        default = named("cfc_mm", **size)
        sizes = len(OBSERVATION_NAMES), 1
        hidden = dict.fromkeys(self.hidden, False)
        if self.controller == "cfc_mm":
            return named("cfc_mm", **size, **hidden)
        return matched(self.controller, n_parameters(default, *sizes), *sizes, **hidden)


class HardImitationTrainer(ImitationTrainer):
    """Alternates between :meth:`collect` and :meth:`learn`.

    Args:
        config: see :class:`HardImitationTraining`.
        model: the perception.
        new_backend: makes what runs it.
        progress: called with the fraction of the pictures that are done.
    """

    _streams: list[HardStream]  # type: ignore[assignment]
    _period_ms: float  # type: ignore[assignment]

    def __init__(
        self, config: HardImitationTraining, model: PerceptionModel, new_backend: Callable[[], Backend], progress=None
    ) -> None:
        self.config = config
        self._rng = np.random.default_rng(config.seed)
        task = PencilHardTask()
        self._nominal_s, self._period_ms = task.period_s, MEAN_PERIOD_MS
        self.network = new_policy(config.architecture, OBSERVATION_SCALES, (FORCE_LIMIT,), task.period_s, config.seed)
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        table = PoleTable(HARD_CAMERA, config.n_variants, progress)
        tasks = [PencilHardTask(gust=gust, tilt=math.radians(6.0)) for gust in config.pushes]
        n = config.n_streams
        self._perceptions = [Perception(model) for _ in range(n)]
        self._backends = [new_backend() for _ in range(n)]
        self._streams = [
            HardStream(table, HARD_CAMERA, tasks, self._perceptions[i].binner, CONTROLLER_SEEDS[0] + i, n)
            for i in range(n)
        ]
        self._rounds: list[Sequences] = []
        self._updates = 0

    def to_file(self, command: str) -> ControllerFile:
        """What the network has become; ``command`` is what its metadata say made it."""
        return self.network.to_file(
            observation_names=OBSERVATION_NAMES,
            observation_units=OBSERVATION_UNITS,
            command_names=PencilHardPlant.command_names,
            command_units=PencilHardPlant.command_units,
            task="pencil-hard",
            training_command=command,
            training_seeds=(CONTROLLER_SEEDS[0], CONTROLLER_SEEDS[-1]),
        )

    @torch.no_grad()
    def collect(self) -> dict[str, float]:
        """One round of driving; returns how often poles fell and how far the controller was from the expert."""
        config = self.config
        n, n_ticks = config.n_streams, round(config.round_s * 1e3 / self._period_ms)
        expert_share = 0.5 ** len(self._rounds) if self._rounds else 1.0
        by_expert = self._rng.random(n) < expert_share
        observations = np.zeros((n, n_ticks, len(OBSERVATION_NAMES)), np.float32)
        elapsed = np.full((n, n_ticks), self._nominal_s, np.float32)
        expert = np.zeros((n, n_ticks, 1), np.float32)
        fresh = np.zeros((n, n_ticks), bool)
        fresh[:, 0] = True
        state = self.network.initial_state(n)
        seen, tick = np.zeros((n, len(OBSERVATION_NAMES))), np.zeros(n, int)
        falls, squares = 0, 0.0
        for i in range(n):
            seen[i] = self._begin_seeing(i)
        for k in range(n_ticks):
            observations[:, k] = seen
            for i, stream in enumerate(self._streams):
                expert[i, k] = stream.expert.step(stream.plant.state, stream.plant.forces_on_the_way)
            command, state = self.network.step(
                torch.from_numpy(observations[:, k]), torch.from_numpy(elapsed[:, k]), state
            )
            commands = command.numpy()
            squares += float(((commands - expert[:, k]) ** 2).mean())
            for i, stream in enumerate(self._streams):
                force = expert[i, k, 0] + self._rng.normal() if by_expert[i] else commands[i, 0]
                n_steps = int(stream.plant.episode.periods_ms[tick[i]])
                spikes, _ = stream.advance(float(np.clip(force, -FORCE_LIMIT, FORCE_LIMIT)), n_steps)
                estimate = self._perceptions[i].decode(self._backends[i].run(spikes), stream.plant.now_ns)
                tick[i] += 1
                if stream.over:
                    falls += stream.plant.fallen and not by_expert[i]
                    seen[i], tick[i] = self._begin_seeing(i), 0
                    for part in state:
                        part[i] = 0
                else:
                    seen[i] = np.append(stream.onboard.sense(stream.n_events, n_steps * 1e-3), estimate.values)
                if k + 1 < n_ticks:
                    fresh[i, k + 1] = tick[i] == 0
                    elapsed[i, k + 1] = n_steps * 1e-3 if tick[i] else self._nominal_s
        self._rounds.append(Sequences(observations, elapsed, expert, fresh))
        return {"falls": falls, "command_rms": math.sqrt(squares / n_ticks), "expert_share": float(by_expert.mean())}

    def _begin_seeing(self, i: int) -> np.ndarray:
        self._begin(i)
        blank = self._perceptions[i].decode(SpikeTrain.from_steps([]), 0)
        return np.append(self._streams[i].onboard.sense(0, self._nominal_s), blank.values)
