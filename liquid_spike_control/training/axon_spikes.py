# SPDX-License-Identifier: Apache-2.0
"""Axon spikes of many streams over a chunk of steps, as the compiled passes of :mod:`..spiking.bptt` read them."""

from __future__ import annotations

import numpy as np

from ..types import SpikeTrain


class AxonSpikes:
    """Spikes where they act: one step after the step they belong to, and so the last ones in the next chunk.

    Args:
        n_streams: how many streams.
        n_steps: in a chunk.

    Attributes:
        indptr: int64 ``(n_streams, n_steps + 1)``.
        ids: int32 ``(n_streams, n)``; those of a stream's step ``t`` are ``ids[indptr[t] : indptr[t + 1]]``.
    """

    def __init__(self, n_streams: int, n_steps: int) -> None:
        self._shape = n_streams, n_steps + 1
        self._pending = [np.empty(0, np.int32) for _ in range(n_streams)]
        self.begin()

    def begin(self) -> None:
        """A new chunk."""
        self.indptr = np.zeros(self._shape, np.int64)
        self.ids = np.zeros((self._shape[0], 4096), np.int32)

    def append(self, stream: int, first: int, spikes: SpikeTrain) -> None:
        """Put in the spikes of the steps from ``first`` on."""
        pending, last = self._pending[stream], spikes.indptr[-2]
        self._pending[stream] = spikes.ids[last:]
        begin = self.indptr[stream, first]
        end = begin + len(pending) + last
        while end > self.ids.shape[1]:
            self.ids = np.concatenate([self.ids, np.zeros_like(self.ids)], axis=1)
        self.ids[stream, begin : begin + len(pending)] = pending
        self.ids[stream, begin + len(pending) : end] = spikes.ids[:last]
        self.indptr[stream, first + 1 : first + 1 + spikes.n_steps] = begin + len(pending) + spikes.indptr[:-1]

    def forget(self, stream: int) -> None:
        """What has not acted yet never does: the stream begins anew."""
        self._pending[stream] = np.empty(0, np.int32)

    def all(self) -> np.ndarray:
        """Axons of all spikes of the chunk, in whatever order, int32."""
        return np.concatenate([ids[: indptr[-1]] for ids, indptr in zip(self.ids, self.indptr, strict=True)])
