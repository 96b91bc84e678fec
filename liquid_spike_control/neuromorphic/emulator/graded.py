# SPDX-License-Identifier: Apache-2.0
"""Spikes that carry a payload."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...types import SpikeTrain


@dataclass(frozen=True, slots=True)
class GradedTrain:
    """Spikes of a population over consecutive steps, each with an integer.

    Attributes:
        indptr: int64, shape ``(n_steps + 1,)``.
        ids: int32, shape ``(n_spikes,)``; as in :class:`~..types.SpikeTrain`.
        payloads: int32, shape ``(n_spikes,)``. A payload of 0 is no spike.
    """

    indptr: np.ndarray
    ids: np.ndarray
    payloads: np.ndarray

    @property
    def n_steps(self) -> int:
        """Number of steps, with or without spikes in them."""
        return len(self.indptr) - 1

    @property
    def spikes(self) -> SpikeTrain:
        """The spikes without their payloads."""
        return SpikeTrain(self.indptr, self.ids)

    @classmethod
    def from_spikes(cls, spikes: SpikeTrain) -> GradedTrain:
        """Every spike with the payload 1."""
        return cls(spikes.indptr, spikes.ids, np.ones(len(spikes.ids), np.int32))

    @classmethod
    def from_dense(cls, payloads: np.ndarray) -> GradedTrain:
        """From integers of shape ``(n_steps, n_neurons)``, 0 where there is no spike."""
        payloads = np.asarray(payloads)
        steps, ids = np.nonzero(payloads)
        indptr = np.searchsorted(steps, np.arange(len(payloads) + 1))
        return cls(indptr.astype(np.int64), ids.astype(np.int32), payloads[steps, ids].astype(np.int32))

    def to_dense(self, n_neurons: int) -> np.ndarray:
        """To int32 of shape ``(n_steps, n_neurons)``."""
        dense = np.zeros((self.n_steps, n_neurons), np.int32)
        dense[np.repeat(np.arange(self.n_steps), np.diff(self.indptr)), self.ids] = self.payloads
        return dense
