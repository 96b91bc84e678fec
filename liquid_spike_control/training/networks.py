# SPDX-License-Identifier: Apache-2.0
"""Untrained policies of any architecture, and how each learns by imitation."""

from __future__ import annotations

from collections.abc import Sequence

from ..liquid import policies
from ..liquid.architecture import Architecture
from ..liquid.policies import Policy
from ..spiking.policy import SpikingPolicy
from ..spiking.policy_file import SpikingArchitecture
from .dagger import DaggerTrainer
from .random_networks import RandomNetwork
from .readout import ReadoutTrainer

AnyArchitecture = Architecture | SpikingArchitecture | RandomNetwork


def new_policy(
    architecture: AnyArchitecture, observation_scales: Sequence[float], command_limits: Sequence[float],
    nominal_period_s: float, seed: int,
) -> Policy | SpikingPolicy:  # fmt: skip
    """An untrained policy; see :func:`~..liquid.policies.new_policy` for the arguments.

    Raises:
        ModelError: the architecture does not fit so many observations and commands.
    """
    numbers = observation_scales, command_limits, nominal_period_s, seed
    if isinstance(architecture, RandomNetwork):
        return architecture.new_policy(*numbers)
    if isinstance(architecture, SpikingArchitecture):
        return SpikingPolicy(architecture, *numbers)
    return policies.new_policy(architecture, *numbers)


def trainer_class(architecture: AnyArchitecture) -> type[DaggerTrainer]:
    """How a network learns by imitation: its readout alone, or all of it by gradient descent."""
    return ReadoutTrainer if isinstance(architecture, RandomNetwork) else DaggerTrainer
