# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals and tests of figures.

Every trained network meets the same episodes, so figures form a matrix: one row a training seed, one column an
episode. Both are drawn by chance and both are resampled, each with replacement and independently of the other (the
pigeonhole bootstrap: A. B. Owen, Annals of Applied Statistics 1(2), 2007), which is right for crossed samples and
never too sure. A controller that learns nothing has one row, and its interval covers the episodes alone.

Where many differences are judged at once, some of them look large by chance: their p values are adjusted by Holm's
step-down rule (S. Holm, Scandinavian Journal of Statistics 6(2), 1979), which keeps the probability of even one false
claim below the level, for any dependence between the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Resamples of a bootstrap; the ends of a 95 % interval then come from the 50 outermost on either side.
N_RESAMPLES = 2000
#: Of a test: the smallest p value, 2 / (N + 1), still passes when it is one of a hundred.
N_TESTED = 10_000


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
    """Mean of ``ours`` minus that of ``theirs`` on the same episodes, for any number of training seeds of either.

    Episodes are resampled together, so that what an episode does to both cancels.

    Raises:
        ValueError: there is no figure, or the episodes are not as many.
    """
    low, high = np.percentile(_differences(ours, theirs, seed, N_RESAMPLES), (2.5, 97.5))
    return Interval(float(ours.mean() - theirs.mean()), float(low), float(high))


def p_of_difference(ours: np.ndarray, theirs: np.ndarray, seed: int = 0) -> float:
    """Two-sided p value of no difference between the means, by the resamples of :func:`bootstrap_difference`.

    Raises:
        ValueError: there is no figure, or the episodes are not as many.
    """
    differences = _differences(ours, theirs, seed, N_TESTED)
    # Sums of parts of 1 leave crumbs where nothing differs
    beyond = min((differences <= 1e-12).sum(), (differences >= -1e-12).sum())
    return min(1.0, 2 * (int(beyond) + 1) / (N_TESTED + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for being as many as they are, in their order; none gets smaller."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = largest
    return adjusted


def _differences(ours: np.ndarray, theirs: np.ndarray, seed: int, n: int) -> np.ndarray:
    """Of the means in each of ``n`` resamples; episodes are resampled together."""
    if ours.shape[1:] != theirs.shape[1:]:
        raise ValueError(f"{ours.shape[1:]} against {theirs.shape[1:]} episodes")
    rng = np.random.default_rng(seed)
    columns = _weights(rng, ours.shape[1], n)
    means = [((_weights(rng, len(f), n) @ f) * columns).sum(1) for f in (ours, theirs)]
    return means[0] - means[1]


def _weights(rng: np.random.Generator, n: int, size: int = N_RESAMPLES) -> np.ndarray:
    """Return how often each of ``n`` is drawn in each resample, as parts of 1: ``(size, n)``."""
    if n < 1:
        raise ValueError("there is no figure to resample")
    return rng.multinomial(n, np.full(n, 1 / n), size=size) / n
