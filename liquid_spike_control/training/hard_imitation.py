# SPDX-License-Identifier: Apache-2.0
"""Train a controller for ``pencil-hard``: DAgger with the spiking perception in the loop, as for the pencil.

The teacher knows the pole, the latency, the wind and the forces on their way; the controller has to find out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..hard_simulation import HARD_CAMERA, Onboard
from ..liquid.architecture import Architecture, matched, n_parameters
from ..sim.pencil_hard import FORCE_LIMIT, PencilHardTask
from ..sim.tasks import ESTIMATE_NAMES, ESTIMATE_UNITS
from ..types import SpikeTrain
from .hard_streams import HardStream, PoleTable
from .imitation import ImitationTrainer, ImitationTraining
from .streams import CONTROLLER_SEEDS


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
        hidden: dict[str, Any] = dict.fromkeys(self.hidden, False)
        if self.controller == "cfc_mm":
            return replace(super().architecture, **hidden)
        sizes = len(HardImitationTrainer.observation_names), 1
        return matched(self.controller, n_parameters(super().architecture, *sizes), *sizes, **hidden)


class HardImitationTrainer(ImitationTrainer):
    """As :class:`~.imitation.ImitationTrainer`, on poles of ``pencil-hard``."""

    task: PencilHardTask = PencilHardTask()  # type: ignore[assignment]
    task_name = "pencil-hard"
    observation_names = Onboard.names + ESTIMATE_NAMES
    observation_units = Onboard.units + ESTIMATE_UNITS
    observation_scales = Onboard.scales + (0.1, 0.6)
    force_limit = FORCE_LIMIT
    mean_period_ms = 12.7
    _streams: list[HardStream]  # type: ignore[assignment]

    def _new_streams(self, progress) -> list[HardStream]:  # type: ignore[override]
        config = self.config
        table = PoleTable(HARD_CAMERA, config.n_variants, progress)
        tasks = [PencilHardTask(gust=gust, tilt=math.radians(6.0)) for gust in config.pushes]
        return [
            HardStream(table, HARD_CAMERA, tasks, perception.binner, CONTROLLER_SEEDS[0] + i, config.n_streams)
            for i, perception in enumerate(self._perceptions)
        ]

    @torch.no_grad()
    def collect(self) -> dict[str, float]:
        """One round of driving; returns how often poles fell and how far the controller was from the expert."""
        collected, by_expert = self._new_round()
        observations, elapsed, expert = collected.observations, collected.elapsed, collected.expert
        n, n_ticks = elapsed.shape
        state = self.network.initial_state(n)
        seen, tick = np.zeros((n, observations.shape[2])), np.zeros(n, int)
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
                    collected.fresh[i, k + 1] = tick[i] == 0
                    elapsed[i, k + 1] = n_steps * 1e-3 if tick[i] else self.task.period_s
        self._rounds.append(collected)
        return {"falls": falls, "command_rms": math.sqrt(squares / n_ticks), "expert_share": float(by_expert.mean())}

    def _begin_seeing(self, i: int) -> np.ndarray:
        self._begin(i)
        blank = self._perceptions[i].decode(SpikeTrain.from_steps([]), 0)
        return np.append(self._streams[i].onboard.sense(0, self.task.period_s), blank.values)
