# SPDX-License-Identifier: Apache-2.0
"""Ridge regression: the linear map with the least squared error and weights held back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from ..errors import TaskError

#: Parts of the features' mean square, of which :func:`chosen_ridge` chooses one.
GRID = (1e-9, 1e-7, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


def ridge_regression(x: np.ndarray, y: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``(n_y, n_x)`` and offset ``(n_y,)`` of the regression of ``y`` on ``x``.

    Args:
        x: features ``(n, n_x)``.
        y: targets ``(n, n_y)``.
        ridge: as a part of the features' mean variance; the offset is not held back.
    """
    mean_x, mean_y = x.mean(0), y.mean(0)
    x, y = x - mean_x, y - mean_y
    moments = x.T @ x
    moments[np.diag_indices_from(moments)] += ridge * np.trace(moments) / len(moments) + 1e-12
    weights = np.linalg.solve(moments, x.T @ y).T
    return weights, mean_y - weights @ mean_x


def chosen_ridge(x: np.ndarray, y: np.ndarray, grid: Sequence[float] = GRID) -> float:
    """The ridge that serves the last fifth of the samples best when it is fitted to those before.

    Raises:
        TaskError: there are fewer than ten samples.
    """
    if len(x) < 10:
        raise TaskError(f"a regression on {len(x)} samples; give at least 10")
    first = len(x) * 4 // 5
    mean_x, mean_y = x[:first].mean(0), y[:first].mean(0)
    fit, aim, later = x[:first] - mean_x, y[:first] - mean_y, x[first:] - mean_x
    values, vectors = np.linalg.eigh(fit.T @ fit)  # one decomposition serves all of the grid
    projected, seen = vectors.T @ (fit.T @ aim), later @ vectors
    held = np.array(grid) * values.sum() / len(values) + 1e-12
    errors = [((seen @ (projected / (values + h)[:, None]) + mean_y - y[first:]) ** 2).mean() for h in held]
    return grid[int(np.argmin(errors))]


class Moments:
    """Sums that a regression needs of its samples, to which more can be added.

    Args:
        parts: those of another one.

    Attributes:
        parts: number of samples ``(1,)``, and sums of x, y, x x', x y' and y^2; float64, empty before the first sample.
    """

    def __init__(self, parts: Sequence[np.ndarray] = ()) -> None:
        self.parts = list(parts)

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Take samples in: features ``(n, n_x)`` and targets ``(n, n_y)``."""
        new = [np.array([float(len(x))]), x.sum(0), y.sum(0), x.T @ x, x.T @ y, (y**2).sum(0)]
        self.parts = [a + b for a, b in zip(self.parts, new, strict=True)] if self.parts else new

    def __add__(self, other: Self) -> Moments:
        """Of the samples of both."""
        return Moments([a + b for a, b in zip(self.parts, other.parts, strict=True)])

    def _centred(self) -> tuple[np.ndarray, ...]:
        """Means of x and y, and covariances of x, of x with y."""
        n, x, y, xx, xy, _ = self.parts
        return x / n, y / n, xx / n - np.outer(x, x) / n**2, xy / n - np.outer(x, y) / n**2

    def solve(self, ridge: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights ``(n_y, n_x)`` and offset ``(n_y,)``, as :func:`ridge_regression` gives them of the samples."""
        mean_x, mean_y, xx, xy = self._centred()
        xx[np.diag_indices_from(xx)] += ridge * np.trace(xx) / len(xx) + 1e-12
        weights = np.linalg.solve(xx, xy).T
        return weights, mean_y - weights @ mean_x

    def error(self, weights: np.ndarray, offset: np.ndarray) -> float:
        """Mean square of the residuals of a linear map, over samples and targets."""
        n, x, y, xx, xy, yy = self.parts
        squares = yy + np.einsum("ki,ij,kj->k", weights, xx, weights) - 2 * np.einsum("ki,ik->k", weights, xy)
        squares += offset * (n * offset + 2 * weights @ x - 2 * y)
        return float((squares / n).mean())

    def chosen_ridge(self, held_out: Self, grid: Sequence[float] = GRID) -> tuple[float, float]:
        """The ridge whose fit to these samples serves the held-out ones best, and its mean square error there."""
        mean_x, mean_y, xx, xy = self._centred()
        values, vectors = np.linalg.eigh(xx)  # one decomposition serves all of the grid
        projected, errors = vectors.T @ xy, []
        for ridge in grid:
            weights = (vectors @ (projected / (values + ridge * values.sum() / len(values) + 1e-12)[:, None])).T
            errors.append(held_out.error(weights, mean_y - weights @ mean_x))
        best = int(np.argmin(errors))
        return grid[best], errors[best]
