# SPDX-License-Identifier: Apache-2.0
"""How sure a figure is.

Every trained network meets the same episodes, so figures form a matrix: one row a training seed, one column an
episode. Both are drawn by chance and both are resampled, each with replacement and independently of the other (the
pigeonhole bootstrap: A. B. Owen, Annals of Applied Statistics 1(2), 2007), which is right for crossed samples and
never too sure. A controller that learns nothing has one row, and its interval covers the episodes alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Resamples of a bootstrap; the ends of a 95 % interval then come from the 50 outermost on either side.
N_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the ends of its 95 % interval, in the unit of the figures."""

    mean: float
    low: float
    high: float


def bootstrap(figures: np.ndarray, seed: int = 0) -> Interval:
    """Mean of ``(n_training_seeds, n_episodes)`` with its percentile interval; the same input, the same bytes.

    Raises:
        ValueError: there is no figure.
    """
    rng = np.random.default_rng(seed)
    columns = _weights(rng, figures.shape[1])
    low, high = np.percentile(((_weights(rng, len(figures)) @ figures) * columns).sum(1), (2.5, 97.5))
    return Interval(float(figures.mean()), float(low), float(high))


def bootstrap_difference(ours: np.ndarray, theirs: np.ndarray, seed: int = 0) -> Interval:
    """Mean of ``ours`` less that of ``theirs`` on the same episodes, whatever the number of training seeds of either.

    Episodes are resampled together, so that what an episode does to both cancels.

    Raises:
        ValueError: there is no figure, or the episodes are not as many.
    """
    if ours.shape[1:] != theirs.shape[1:]:
        raise ValueError(f"{ours.shape[1:]} against {theirs.shape[1:]} episodes")
    rng = np.random.default_rng(seed)
    columns = _weights(rng, ours.shape[1])
    means = [((_weights(rng, len(f)) @ f) * columns).sum(1) for f in (ours, theirs)]
    low, high = np.percentile(means[0] - means[1], (2.5, 97.5))
    return Interval(float(ours.mean() - theirs.mean()), float(low), float(high))


def _weights(rng: np.random.Generator, n: int) -> np.ndarray:
    """How often each of ``n`` is drawn in each resample, as parts of 1: ``(N_RESAMPLES, n)``."""
    if n < 1:
        raise ValueError("there is no figure to resample")
    return rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES) / n
