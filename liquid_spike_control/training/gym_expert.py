# SPDX-License-Identifier: Apache-2.0
"""Experts of the Gymnasium tasks: a small network trained by PPO, exported as an ordinary controller file.

Observations are normalised by the mean and deviation of all that were seen. For the file, the deviations become the
scales and the mean goes into the bias of the first layer, so that the code that runs it need not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..liquid.architecture import named
from ..liquid.policies import Policy, new_policy
from ..robots.catalogue import task_named
from .policy import State
from .recurrent_ppo import CUT, PpoTraining, RunningMoments, train

_FEED_FORWARD = PpoTraining(n_tasks=16, rollout=256, chunk=1, minibatches=16)
#: The training of each task's expert.
EXPERTS: dict[str, PpoTraining] = {
    "double-pendulum": replace(_FEED_FORWARD, n_updates=120, rollout=128, minibatches=8),
    "hopper": replace(_FEED_FORWARD, n_updates=300, spread=0.4),
    "half-cheetah": replace(_FEED_FORWARD, n_updates=250, discount=0.98, trace=0.92, spread=0.3),
}
UNITS = 64


class NormalisedPolicy(nn.Module):
    """A policy that is given observations less their mean, in standard deviations.

    Args:
        policy: without a state, with scales of 1.
    """

    count: Tensor
    mean: Tensor
    squares: Tensor

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy, self.nominal_period_s = policy, policy.nominal_period_s
        n = len(policy.scales)
        for name, size in (("count", 1), ("mean", n), ("squares", n)):
            self.register_buffer(name, torch.zeros(size, dtype=torch.float64))

    @property
    def moments(self) -> RunningMoments:
        """Of the observations so far."""
        moments = RunningMoments(len(self.mean))
        moments.count, moments.mean, moments.squares = self.count.item(), self.mean.numpy(), self.squares.numpy()
        return moments

    def adapt(self, observations: np.ndarray) -> None:
        """Take observations in, ``(n_rows, n)``."""
        moments = self.moments
        moments.add(observations.astype(float))
        self.count.fill_(moments.count)
        self.mean.copy_(torch.from_numpy(moments.mean))
        self.squares.copy_(torch.from_numpy(moments.squares))

    def initial_state(self, batch: int) -> State:
        """None."""
        return self.policy.initial_state(batch)

    def _normalised(self, observation: Tensor) -> Tensor:
        deviation = torch.from_numpy(self.moments.deviation)
        return ((observation.double() - self.mean) / deviation).clamp(-CUT, CUT).float()

    def step(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As the policy's."""
        return self.policy.step(self._normalised(observation), elapsed, state)

    def forward(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As the policy's."""
        return self.policy(self._normalised(observation), elapsed, state)

    def constrain(self) -> None:
        """As the policy's."""
        self.policy.constrain()

    def folded(self) -> Policy:
        """The same without normalisation: deviations as scales, the mean in the first layer's bias."""
        policy, moments = self.policy, self.moments
        folded = new_policy(
            policy.architecture, moments.deviation.tolist(), policy.limits.tolist(), policy.nominal_period_s, seed=0
        )
        weights = dict(policy.state_dict())
        weight, bias = weights["layers.0.weight"].double(), weights["layers.0.bias"].double()
        shift = weight @ torch.from_numpy(moments.mean / moments.deviation)
        folded.load_state_dict(weights | {"layers.0.bias": (bias - shift).float()})
        return folded


def train_expert(
    task_name: str, config: PpoTraining, progress: Callable[[int, dict[str, float]], None] | None = None,
    checkpoint: Path | None = None,
) -> Policy:  # fmt: skip
    """Train an expert from nothing.

    Args:
        task_name: of the catalogue.
        config: :data:`EXPERTS` has those that made the shipped ones.
        progress, checkpoint: see :func:`~.recurrent_ppo.train`.

    Raises:
        TaskError: the task is unknown.
    """
    task = task_named(task_name)
    architecture = named("mlp", units=UNITS, elapsed_input=False)
    scales, limits = [1.0] * len(task.observation_names), task.command_limits.tolist()
    policy = NormalisedPolicy(new_policy(architecture, scales, limits, task.period_s, config.seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        for module in policy.modules():
            if isinstance(module, nn.Linear):
                # Commands begin near 0, or the first steps follow chance
                nn.init.orthogonal_(module.weight, 0.01 if module is policy.policy.project else math.sqrt(2))
                nn.init.zeros_(module.bias)
    train(task_name, policy, config, progress, checkpoint, policy.adapt)
    return policy.folded()
