# SPDX-License-Identifier: Apache-2.0
"""Synapses in the order of their sources, and whether a pair of neurons has two.

What is not in order is sorted as numbers of 64 bits that hold a whole synapse, in a tenth of the time of a sort by two
keys. The passes are compiled: for a hundred million synapses the memory of each array costs more than the work on it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Bits of what a synapse carries besides its neurons.
CARRIED_BITS = 15


@njit(cache=True, nogil=True)
def _ascend(major, minor):
    """Whether pairs come in strictly ascending order."""
    for i in range(1, len(major)):
        if major[i] < major[i - 1] or (major[i] == major[i - 1] and minor[i] <= minor[i - 1]):
            return False
    return True


@njit(cache=True, nogil=True)
def _begins(sources, n_source):
    """Where the synapses of each source begin."""
    rows = np.zeros(n_source + 1, np.int64)
    for source in sources:
        rows[source + 1] += 1
    for k in range(n_source):
        rows[k + 1] += rows[k]
    return rows


@njit(cache=True, nogil=True)
def _pack(sources, targets, carried, n_target, packed):
    for i in range(len(packed)):
        packed[i] = (np.int64(sources[i]) * n_target + targets[i]) << CARRIED_BITS | np.int64(carried[i])


@njit(cache=True, nogil=True)
def _unpack(packed, rows, n_target, targets, carried):
    """Split sorted numbers again; returns whether all pairs differ."""
    distinct = True
    for source in range(len(rows) - 1):
        base = source * n_target
        for i in range(rows[source], rows[source + 1]):
            targets[i] = (packed[i] >> CARRIED_BITS) - base
            carried[i] = packed[i] & ((1 << CARRIED_BITS) - 1)
            if i > rows[source] and targets[i] == targets[i - 1]:
                distinct = False
    return distinct


def are_in_order(sources: np.ndarray, targets: np.ndarray) -> bool:
    """Whether synapses come by source or by target, each pair once."""
    return bool(_ascend(sources, targets) or _ascend(targets, sources))


def are_distinct(sources: np.ndarray, targets: np.ndarray, shape: tuple[int, int]) -> bool:
    """Whether no two synapses join the same neurons; arguments as of :func:`by_source`."""
    if are_in_order(sources, targets):
        return True
    return by_source(sources, targets, np.zeros(len(sources), np.int16), shape)[3]


def by_source(
    sources: np.ndarray, targets: np.ndarray, carried: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Synapses sorted by source, those of one source by target, as compressed rows.

    Args:
        sources, targets: integers ``(n_synapses,)``.
        carried: int16 ``(n_synapses,)``, what a synapse carries, 0 or more.
        shape: ``(n_target, n_source)``.

    Returns:
        Where the synapses of each source begin, int64 ``(n_source + 1,)``; targets, int32 ``(n_synapses,)``; what they
        carry, int16 ``(n_synapses,)``; whether no two join the same neurons. Arrays that were in order are returned as
        they are.
    """
    n_target, n_source = shape
    rows = _begins(sources, n_source)
    if _ascend(sources, targets):
        return rows, targets.astype(np.int32, copy=False), carried, True
    if (n_target * n_source).bit_length() + CARRIED_BITS > 63:
        order = np.lexsort((targets, sources))
        sources, targets = sources[order], targets[order].astype(np.int32)
        return rows, targets, carried[order], bool(_ascend(sources, targets))
    packed = np.empty(len(sources), np.int64)
    _pack(sources, targets, carried, n_target, packed)
    packed.sort()
    ordered, with_them = np.empty(len(packed), np.int32), np.empty(len(packed), np.int16)
    return rows, ordered, with_them, bool(_unpack(packed, rows, n_target, ordered, with_them))
