# SPDX-License-Identifier: Apache-2.0
"""Ridge regression: the linear map with the least squared error and weights held back."""

from __future__ import annotations

from collections.abc import Sequence

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
