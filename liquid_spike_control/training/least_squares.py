# SPDX-License-Identifier: Apache-2.0
"""The readout solved anew by least squares, with the spikes as they are.

A readout is linear in the spike traces, so the weights that make the mean squared error least follow from their
second moments: ``(G + lambda I) d = sum of x (y - x w)``, with ``G = sum of x x'`` over traces ``x`` and targets
``y``, and ``d`` the change of the trained weights ``w``. The ridge holds them back where the data say little.
"""

from __future__ import annotations

import numpy as np


class Moments:
    """Second moments of the traces of one feature.

    Args:
        weights: trained readout weights, float ``(n_taus, n_neurons)``.
        offset: trained offset.
    """

    def __init__(self, weights: np.ndarray, offset: float) -> None:
        self._shape = weights.shape
        self._weights = np.append(weights.ravel(), offset).astype(float)
        size = len(self._weights)
        self._gram, self._moment = np.zeros((size, size)), np.zeros(size)

    def observe(self, traces: np.ndarray, target: np.ndarray, weight: np.ndarray) -> None:
        """Take traces ``(n, n_taus n_neurons)`` in, with a target and a weight ``(n,)`` for each of them."""
        x = np.ones((len(traces), len(self._weights)), traces.dtype)
        x[:, :-1] = traces
        weighted = x * weight[:, None].astype(traces.dtype)
        self._gram += weighted.T @ x
        self._moment += weighted.T @ (target - x @ self._weights)

    def solve(self, ridge: float) -> tuple[np.ndarray, float]:
        """New weights ``(n_taus, n_neurons)`` and offset.

        Args:
            ridge: lambda as a fraction of the mean of the diagonal of G; the offset is not held back.
        """
        # The least keeps a network without spikes solvable
        penalty = np.full(len(self._weights), ridge * np.diag(self._gram)[:-1].mean() + 1e-12)
        penalty[-1] = 1e-12
        solved = self._weights + np.linalg.solve(self._gram + np.diag(penalty), self._moment)
        return solved[:-1].reshape(self._shape), float(solved[-1])


class StreamMoments(Moments):
    """The same of streams that run side by side.

    Args:
        weights, offset: see :class:`Moments`.
        keep: what a trace keeps in a step, ``(n_taus,)``.
        n_streams: how many streams.
    """

    def __init__(self, weights: np.ndarray, offset: float, keep: np.ndarray, n_streams: int) -> None:
        super().__init__(weights, offset)
        self._keep = keep.astype(np.float32)[None, :, None]
        self._traces = np.zeros((n_streams, *weights.shape), np.float32)

    def advance(self, spikes: np.ndarray) -> None:
        """One step: float32 ``(n_streams, n_neurons)``, 1 where a neuron spikes."""
        self._traces *= self._keep
        self._traces += spikes[:, None, :]

    def forget(self, streams: np.ndarray) -> None:
        """Streams, bool ``(n_streams,)``, that begin an episode."""
        self._traces[streams] = 0

    def observe_now(self, target: np.ndarray, weight: np.ndarray) -> None:
        """Take the traces of this step in, with a target and a weight for each stream."""
        self.observe(self._traces.reshape(len(self._traces), -1), target, weight)
