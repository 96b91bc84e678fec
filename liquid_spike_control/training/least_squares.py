# SPDX-License-Identifier: Apache-2.0
"""The readout solved anew by least squares, with the spikes as they are.

A readout is linear in the spike traces, so the weights that make the mean squared error least follow from their
second moments: ``(G + lambda I) d = sum of x (y - x w)``, with ``G = sum of x x'`` over traces ``x`` and targets
``y``, and ``d`` the change of the trained weights ``w``. The ridge holds them back where the data say little.
"""

from __future__ import annotations

import numpy as np


class ReadoutMoments:
    """Second moments of the traces of one feature.

    Args:
        weights: trained readout weights, float ``(n_taus, n_neurons)``.
        offset: trained offset.
        keep: what a trace keeps in a step, ``(n_taus,)``.
        n_streams: how many streams run side by side.
    """

    def __init__(self, weights: np.ndarray, offset: float, keep: np.ndarray, n_streams: int) -> None:
        n_taus, n_neurons = weights.shape
        self._weights = np.append(weights.ravel(), offset).astype(float)
        self._keep = keep.astype(np.float32)[None, :, None]
        self._traces = np.zeros((n_streams, n_taus, n_neurons), np.float32)
        size = len(self._weights)
        self._gram, self._moment = np.zeros((size, size)), np.zeros(size)

    def advance(self, spikes: np.ndarray) -> None:
        """One step: float32 ``(n_streams, n_neurons)``, 1 where a neuron spikes."""
        self._traces *= self._keep
        self._traces += spikes[:, None, :]

    def forget(self, streams: np.ndarray) -> None:
        """Streams, bool ``(n_streams,)``, that begin an episode."""
        self._traces[streams] = 0

    def observe(self, target: np.ndarray, weight: np.ndarray) -> None:
        """Take the traces of this step in, with a target and a weight for each stream."""
        x = np.ones((len(target), len(self._weights)), np.float32)
        x[:, :-1] = self._traces.reshape(len(target), -1)
        weighted = x * weight[:, None].astype(np.float32)
        self._gram += weighted.T @ x
        self._moment += weighted.T @ (target - x @ self._weights)

    def solve(self, ridge: float) -> tuple[np.ndarray, float]:
        """New weights ``(n_taus, n_neurons)`` and offset.

        Args:
            ridge: lambda as a fraction of the mean of the diagonal of G; the offset is not held back.
        """
        penalty = np.full(len(self._weights), ridge * np.diag(self._gram)[:-1].mean())
        penalty[-1] = 0
        solved = self._weights + np.linalg.solve(self._gram + np.diag(penalty), self._moment)
        return solved[:-1].reshape(self._traces.shape[1:]), float(solved[-1])
