# SPDX-License-Identifier: Apache-2.0
"""The seeds that training draws from; a model's file names its range, and benchmarks refuse seeds from it."""

PERCEPTION_SEEDS = range(1_000_000_000, 1_500_000_000)
CONTROLLER_SEEDS = range(1_500_000_000, 2_000_000_000)


def first_episode(seed: int) -> int:
    """Seed of the first episode of a training, so that trainings of different seeds meet different episodes."""
    return CONTROLLER_SEEDS[0] + seed % 400 * 1_000_000
