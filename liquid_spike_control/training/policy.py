# SPDX-License-Identifier: Apache-2.0
"""What a policy needs so that it can be trained here; those of the rooms ``liquid`` and ``spiking`` have it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]


class TrainablePolicy(Protocol):
    """A torch module from observations and elapsed times to limited commands.

    Parts of a state have the shape ``(batch, k)``, so that rows of zeros begin an episode; see :func:`begun`.

    Attributes:
        nominal_period_s: control period [s] that counts as an elapsed time of 1.
    """

    nominal_period_s: float

    def initial_state(self, batch: int) -> State:
        """Zeros."""

    def step(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One step of a closed loop.

        Args:
            observation: ``(batch, n_observations)``.
            elapsed: ``(batch,)``, seconds since the observation before.
            state: from the step before; ``None`` begins an episode.

        Returns:
            Commands ``(batch, n_commands)`` within the limits, and the new state.
        """

    def __call__(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """A sequence of steps, ``(batch, time, ...)``; in pieces, with the state carried over, it gives the same."""

    def constrain(self) -> None:
        """Bring the weights back to where they mean something, after a step of the optimiser."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """What is trained."""

    def state_dict(self) -> dict[str, Any]:
        """Weights by name."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take weights over."""


def begun(state: State, fresh: Tensor) -> State:
    """A state with zeros in the rows whose episodes begin, whatever stood there: NaN times 0 would stay NaN.

    Args:
        state: parts of shape ``(batch, k)``.
        fresh: bool ``(batch,)``.
    """
    return tuple(torch.where(fresh[:, None], 0.0, part) for part in state)


def run_sequences(
    policy: TrainablePolicy, observations: Tensor, elapsed: Tensor, fresh: Tensor, state: State
) -> tuple[Tensor, State]:
    """A policy over sequences in which episodes begin anywhere; in as few pieces as that allows.

    Args:
        policy: whose commands.
        observations, elapsed: ``(batch, time, n)`` and ``(batch, time)`` [s].
        fresh: bool ``(batch, time)``, an episode begins here: the state before it is forgotten.
        state: before the first samples.

    Returns:
        Commands ``(batch, time, m)`` and the state after the last samples.
    """
    n_samples = fresh.shape[1]
    edges = sorted({0, n_samples, *fresh.any(0).nonzero().flatten().tolist()})
    commands = []
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        state = begun(state, fresh[:, begin])
        piece, state = policy(observations[:, begin:end], elapsed[:, begin:end], state)
        commands.append(piece)
    return torch.cat(commands, 1), state
