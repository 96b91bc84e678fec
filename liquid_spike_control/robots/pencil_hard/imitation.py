# SPDX-License-Identifier: Apache-2.0
"""Train a controller for ``pencil-hard``: DAgger with the spiking perception in the loop, as for the pencil.

The teacher knows the pole, the latency, the wind and the forces on their way; the controller has to find out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...liquid.architecture import Architecture, matched, n_parameters, named
from ...robot import names, scales, units
from ...training.seeds import CONTROLLER_SEEDS
from ...types import SpikeTrain
from ..pencil.imitation import ImitationTrainer, ImitationTraining
from .description import CAMERA, ROBOT
from .streams import HardStream, PoleTable
from .task import PencilHardEpisodes


@dataclass(frozen=True)
class HardImitationTraining(ImitationTraining):
    """As the pencil's, except that every pole's periods vary as the task says, and ``pushes`` are gusts [m/s]. The
    shipped controllers had 40 rounds.

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
        """Of the controller: a CfC with mixed memory, or another with as many parameters.

        An NCP keeps its own size: its claim is that few neurons do.
        """
        hidden: dict[str, Any] = dict.fromkeys(self.hidden, False)
        if self.controller == "ncp":
            return named("ncp", **hidden)
        if self.controller == "cfc_mm":
            return replace(super().architecture, **hidden)
        sizes = len(HardImitationTrainer.observation_names), 1
        return matched(self.controller, n_parameters(super().architecture, *sizes), *sizes, **hidden)


class HardImitationTrainer(ImitationTrainer):
    """As :class:`~.imitation.ImitationTrainer`, on poles of ``pencil-hard``."""

    task: PencilHardEpisodes = PencilHardEpisodes()  # type: ignore[assignment]
    task_name = "pencil-hard"
    observation_names = names(ROBOT.observations)
    observation_units = units(ROBOT.observations)
    observation_scales = tuple(scales(ROBOT.observations))
    robot = ROBOT
    force_limit = float(ROBOT.greatest_commands[0])
    mean_period_ms = 12.7
    _streams: list[HardStream]  # type: ignore[assignment]

    def _prepare(self, progress: Callable[[float], None] | None) -> None:
        config = self.config
        self._ticks = [0] * config.n_streams
        table = PoleTable(CAMERA, config.n_variants, progress)
        tasks = [PencilHardEpisodes(gust=gust, tilt=math.radians(6.0)) for gust in config.pushes]
        self._streams = [
            HardStream(table, CAMERA, tasks, perception.binner, CONTROLLER_SEEDS[0] + i, config.n_streams)
            for i, perception in enumerate(self._perceptions)
        ]

    def _begin(self, i: int) -> None:
        super()._begin(i)
        self._ticks[i] = 0
        self._estimates[i] = self._perceptions[i].decode(SpikeTrain.from_steps([]), 0).values

    def _see(self, i: int) -> tuple[np.ndarray, np.ndarray | float]:
        stream, tick = self._streams[i], self._ticks[i]
        n_events, passed_s = 0, self.robot.period_s
        if tick:
            n_events, passed_s = stream.n_events, stream.plant.episode.periods_ms[tick - 1] * 1e-3
        force = stream.expert.step(stream.plant.truth(), stream.plant.forces_on_the_way)
        return np.append(stream.onboard.sense(n_events, passed_s), self._estimates[i]), force

    def _next_period_ms(self, i: int) -> int:
        self._ticks[i] += 1
        return int(self._streams[i].plant.episode.periods_ms[self._ticks[i] - 1])
