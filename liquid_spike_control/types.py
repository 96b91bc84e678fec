# SPDX-License-Identifier: Apache-2.0
"""The data that flows from the camera to the actuator. Stamps are integer nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: One event of an event camera: time [ns], pixel column, pixel row (0 at the top), polarity (1 = brighter).
EVENT = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "<u1")], align=True)


MILLISECOND_NS = 1_000_000
#: A stamp that jumps by more than this, or runs back, begins an episode: the nodes' state is reset [ns].
EPISODE_GAP_NS = 500_000_000


def begins_episode(last_ns: int | None, stamp_ns: int, jitter_ns: int = 0) -> bool:
    """Whether a stamp begins an episode.

    Args:
        last_ns: the stamp before it [ns]; None if there is none.
        stamp_ns: of the message [ns].
        jitter_ns: how far a stamp may run back without meaning anything [ns].
    """
    return last_ns is None or not -jitter_ns <= stamp_ns - last_ns <= EPISODE_GAP_NS


@dataclass(frozen=True, slots=True)
class SpikeTrain:
    """Spikes of a population over consecutive steps, in compressed sparse rows.

    ``ids[indptr[k]:indptr[k + 1]]`` are the indices of the neurons that spike in step ``k``,
    ascending and without repeats.

    Attributes:
        indptr: int64, shape ``(n_steps + 1,)``.
        ids: int32, shape ``(n_spikes,)``.
    """

    indptr: np.ndarray
    ids: np.ndarray

    @property
    def n_steps(self) -> int:
        """Number of steps, with or without spikes in them."""
        return len(self.indptr) - 1

    def step(self, k: int) -> np.ndarray:
        """Indices of the neurons that spike in step ``k``."""
        return self.ids[self.indptr[k] : self.indptr[k + 1]]

    @classmethod
    def from_steps(cls, steps: list[np.ndarray]) -> SpikeTrain:
        """Join index arrays, one for each step."""
        indptr = np.zeros(len(steps) + 1, np.int64)
        np.cumsum([len(s) for s in steps], out=indptr[1:])
        ids = np.concatenate(steps) if steps else np.empty(0)
        return cls(indptr, ids.astype(np.int32))

    @classmethod
    def from_dense(cls, spikes: np.ndarray) -> SpikeTrain:
        """From an array of shape ``(n_steps, n_neurons)``; anything that is not 0 is a spike."""
        return cls.from_steps([np.flatnonzero(row) for row in spikes])

    def to_dense(self, n_neurons: int) -> np.ndarray:
        """To a boolean array of shape ``(n_steps, n_neurons)``."""
        dense = np.zeros((self.n_steps, n_neurons), bool)
        dense[np.repeat(np.arange(self.n_steps), np.diff(self.indptr)), self.ids] = True
        return dense


@dataclass(frozen=True, slots=True)
class Quantities:
    """Named numbers with one stamp: an observation, an estimate or a command.

    Attributes:
        stamp_ns: the time that the numbers are about; a command carries the stamp of the
            observation it answers.
        names: e.g. ``("cart_position", "cart_velocity")``.
        values: float64, shape ``(len(names),)``; units are stated where the names are.
    """

    stamp_ns: int
    names: tuple[str, ...]
    values: np.ndarray
