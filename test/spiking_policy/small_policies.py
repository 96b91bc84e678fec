# SPDX-License-Identifier: Apache-2.0
"""Small spiking policies, as files too, and what they observe."""

import dataclasses

import numpy as np
import torch

from liquid_spike_control.spiking.policy import SpikingPolicy
from liquid_spike_control.spiking.policy_file import SpikingArchitecture

PERIOD = 0.02
SMALL = SpikingArchitecture(units=(24,), fields=8, steps=4)
#: With neurons so slow that some sink to the lowest potential, once their weights are large.
SLOW = dataclasses.replace(SMALL, synaptic_taus=(2.0, 12.0), membrane_taus=(8.0, 90.0))


def new_policy(architecture=SMALL, n_observations=3, n_commands=2, seed=5):
    scales, limits = np.linspace(0.5, 2, n_observations), np.linspace(1, 10, n_commands)
    return SpikingPolicy(architecture, scales, limits, PERIOD, seed)


def lively(policy):
    """The same policy with a readout that moves the commands, as a trained one's does."""
    with torch.no_grad():
        policy.network.w_in.mul_(2)
        policy.network.w_out.mul_(20)
        policy.network.bias.uniform_(-0.02, 0.2, generator=torch.Generator().manual_seed(1))
    return policy


def sinking(policy):
    """The same policy with larger weights, by which neurons of :data:`SLOW` sink, and the share that is down."""
    with torch.no_grad():
        policy.network.w_in.mul_(2)
    lowest = policy.architecture.lowest_potential / policy.thresholds
    return policy, lambda v: (v == lowest).double().mean().item()


def to_file(policy):
    n_observations, n_commands = len(policy.scales), len(policy.limits)
    return policy.to_file(
        observation_names=[f"x{k}" for k in range(n_observations)],
        observation_units=["m"] * n_observations,
        command_names=[f"f{k}" for k in range(n_commands)],
        command_units=["N"] * n_commands,
        task="none",
        training_command="none",
        training_seeds=(0, 9),
    )


def wandering(n_steps, n_observations=3, seed=0):
    """Observations on a random walk, and periods that vary by 90 percent."""
    rng = np.random.default_rng(seed)
    observations = np.cumsum(rng.normal(0, 0.1, (n_steps, n_observations)), 0).astype(np.float32).astype(float)
    return observations, PERIOD * (1 + 0.9 * rng.uniform(-1, 1, n_steps))
