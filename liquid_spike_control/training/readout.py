# SPDX-License-Identifier: Apache-2.0
"""Imitation by the readout alone: the neurons stay as they are, ridge regression fits the map from them to commands.

The policy drives while the expert says what it would have done, as in :mod:`.dagger`; what is learnt is the least
squares answer over the samples of all rounds, in one go. As commands are ``limit * tanh(output)``, the aim of the
regression is the expert's command through the inverse of that, cut short of the limit.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor

from .dagger import DaggerTrainer, DaggerTraining
from .policy import State, TrainablePolicy, run_sequences
from .ridge import GRID, Moments

#: Of a command's limit, the most that the regression aims at.
MOST = 0.97
#: Every so many episodes one is left out of the fit, to choose the ridge by; the last fit has all.
HELD_OUT = 5


class ReadPolicy(TrainablePolicy, Protocol):
    """A policy whose commands are a limited linear map of what its neurons do."""

    def feature_state(self, batch: int) -> State:
        """Zeros, of :meth:`features`."""

    def features(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """What the neurons do in a sequence, ``(batch, time, n_features)``, and the state after it."""

    def set_readout(self, weights: Tensor, offset: Tensor) -> None:
        """Take the map from features to outputs, ``(n_commands, n_features)`` and ``(n_commands,)``."""


class _Features:
    """The features of a policy in place of its commands."""

    def __init__(self, policy: ReadPolicy) -> None:
        self.step, self._policy = policy.step, policy

    def __call__(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self._policy.features(observation, elapsed, state)


class ReadoutTrainer(DaggerTrainer):
    """As :class:`~.dagger.DaggerTrainer`, but :meth:`learn` fits the readout to the samples of all rounds.

    Of the recipe, what belongs to gradient descent plays no part.
    """

    policy: ReadPolicy
    average: ReadPolicy

    def __init__(self, task_name: str, policy: ReadPolicy, config: DaggerTraining) -> None:
        super().__init__(task_name, policy, config)
        self._fit, self._held_out = Moments(), Moments()

    @torch.no_grad()
    def learn(self) -> float:
        """Take the newest sequences in and fit; returns the mean square of the error on held-out episodes, in the
        unit of the outputs.
        """
        kept, n = self._kept, self.config.n_episodes
        assert kept is not None  # collect comes first
        parts = (kept.observations, kept.elapsed, kept.fresh, kept.expert, kept.known)
        observations, elapsed, fresh, expert, known = (part[:n].flatten(1, 2) for part in parts)
        reading = cast(TrainablePolicy, _Features(self.policy))
        features, _ = run_sequences(reading, observations, elapsed, fresh, self.policy.feature_state(n))
        aims = torch.atanh(expert.clamp(-MOST, MOST))
        for k in range(n):
            moments = self._held_out if k % HELD_OUT == HELD_OUT - 1 else self._fit
            moments.add(features[k, known[k]].double().numpy(), aims[k, known[k]].double().numpy())
        ridge, error = self._fit.chosen_ridge(self._held_out, GRID)
        weights, offset = (self._fit + self._held_out).solve(ridge)
        for policy in (self.policy, self.average):
            policy.set_readout(torch.from_numpy(weights), torch.from_numpy(offset))
        self._kept = None  # the moments have all that counts of it
        return error

    def state(self) -> dict:
        """Everything that the next round depends on."""
        moments = {"fit": self._fit, "held_out": self._held_out}
        return super().state() | {name: [torch.from_numpy(part) for part in m.parts] for name, m in moments.items()}

    def restore(self, state: dict) -> None:
        """Go on from :meth:`state`."""
        super().restore(state)
        self._fit, self._held_out = (Moments([part.numpy() for part in state[name]]) for name in ("fit", "held_out"))
