# SPDX-License-Identifier: Apache-2.0
"""Train a spiking controller for ``pencil-hard``: as the others, behind the same perception, from the same expert.

:func:`hard_recipe` and :func:`new_hard_trainer` stand here because they are what distinguishes the two kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from ...neuromorphic.backend import Backend
from ...spiking.nir_io import PerceptionModel
from ...spiking.policy import SpikingPolicy
from ...spiking.policy_file import SpikingArchitecture
from ...training.policy import run_sequences
from ..pencil.imitation import HUBER_N, Sequences
from .imitation import HardImitationTrainer, HardImitationTraining


@dataclass(frozen=True)
class HardSpikingTraining(HardImitationTraining):
    """The recipe of the other networks, for a spiking one.

    Attributes:
        spiking: its architecture; ``architecture`` is that of a dense one.
    """

    spiking: SpikingArchitecture = field(default_factory=SpikingArchitecture)


class HardSpikingTrainer(HardImitationTrainer):
    """As :class:`~.hard_imitation.HardImitationTrainer`, of a :class:`~..spiking.policy.SpikingPolicy`."""

    def __init__(
        self, config: HardSpikingTraining, model: PerceptionModel, new_backend: Callable[[], Backend], progress=None
    ) -> None:
        super().__init__(config, model, new_backend, progress)
        sizes = self.observation_scales, (self.force_limit,)
        # In place of the dense network that has just been made
        self.network: SpikingPolicy = SpikingPolicy(config.spiking, *sizes, self.robot.period_s, config.seed)  # type: ignore[assignment]
        self._optimiser = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)

    def _chunk(self, batch: Sequences, part: slice, state):
        """In as few calls as there are beginnings of episodes: each is one pass through compiled gradients."""
        names = "observations", "elapsed", "fresh", "expert"
        observations, elapsed, fresh, expert = (torch.from_numpy(getattr(batch, name)[:, part]) for name in names)
        state = state or self.network.initial_state(len(observations))
        commands, state = run_sequences(self.network, observations, elapsed, fresh, state)
        return torch.nn.functional.huber_loss(commands, expert, delta=HUBER_N), state


def hard_recipe(controller: str, seed: int, hide_elapsed: bool = False) -> HardImitationTraining:
    """The recipe for a controller by its name, ``"spiking"`` among them, with the elapsed time as an input or not."""
    if controller == "spiking":
        return HardSpikingTraining(seed=seed, spiking=SpikingArchitecture(elapsed_input=not hide_elapsed))
    hidden = ("elapsed_input", "elapsed_span") if hide_elapsed else ()
    return HardImitationTraining(seed=seed, controller=controller, hidden=hidden)


def new_hard_trainer(
    config: HardImitationTraining, model: PerceptionModel, new_backend: Callable[[], Backend], progress=None
) -> HardImitationTrainer:
    """The trainer of a recipe; see :class:`~.imitation.ImitationTrainer`."""
    if isinstance(config, HardSpikingTraining):
        return HardSpikingTrainer(config, model, new_backend, progress)
    return HardImitationTrainer(config, model, new_backend, progress)
