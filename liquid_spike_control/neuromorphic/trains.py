# SPDX-License-Identifier: Apache-2.0
"""Spike trains in pieces: one after the other in time, or a population at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..types import SpikeTrain


def joined(parts: Sequence[SpikeTrain]) -> SpikeTrain:
    """Trains of one population that follow each other in time as one."""
    if len(parts) == 1:
        return parts[0]
    counts = np.concatenate([np.diff(p.indptr) for p in parts])
    return SpikeTrain(np.concatenate([[0], np.cumsum(counts)]), np.concatenate([p.ids for p in parts]))


def by_population(train: SpikeTrain, sizes: Mapping[str, int]) -> dict[str, SpikeTrain]:
    """The spikes of populations that are numbered one after the other, as a train each.

    Args:
        train: spikes of all.
        sizes: number of neurons, by name, in their order.
    """
    step = np.repeat(np.arange(train.n_steps), np.diff(train.indptr))
    trains, first = {}, 0
    for name, n in sizes.items():
        mine = (train.ids >= first) & (train.ids < first + n)
        counts = np.bincount(step[mine], minlength=train.n_steps)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        trains[name] = SpikeTrain(indptr, (train.ids[mine] - first).astype(np.int32))
        first += n
    return trains
