# SPDX-License-Identifier: Apache-2.0
"""EVENT records as pairs of 64-bit words, the form in which the compiled kernels read and write them.

An EVENT is 16 bytes, little-endian: the time [ns], then ``x | y << 16 | p << 32``. Kernels on plain int64
arrays compile faster and are called faster than kernels on records, and the padding bytes are always 0, so
equal events have equal bytes.
"""

from __future__ import annotations

import numba
import numpy as np

from ..types import EVENT

assert EVENT.itemsize == 16 and EVENT.fields and [EVENT.fields[f][1] for f in "txyp"] == [0, 8, 10, 12]


def to_words(events: np.ndarray) -> np.ndarray:
    """EVENT, shape ``(n,)``, as int64, shape ``(2 * n,)``; a view where the memory allows it."""
    return np.ascontiguousarray(events, EVENT).view(np.int64)


def from_words(words: np.ndarray) -> np.ndarray:
    """int64, shape ``(2 * n,)``, as EVENT, shape ``(n,)``; always a view."""
    return words.view(EVENT)


@numba.njit(cache=True, nogil=True)
def survey(words):
    """Whether the times ascend, and the width and height of the smallest picture that holds all pixels."""
    ascending = True
    columns = rows = 0
    last = words[0]
    for i in range(words.shape[0] // 2):
        ascending &= words[2 * i] >= last
        last = words[2 * i]
        columns = max(columns, words[2 * i + 1] & 0xFFFF)
        rows = max(rows, words[2 * i + 1] >> 16 & 0xFFFF)
    return ascending, columns + 1, rows + 1


@numba.njit(cache=True, nogil=True)
def count_until(words, end_ns):
    """How many of the events, sorted by time, are not later than ``end_ns``; numpy would first copy all times."""
    low, high = 0, words.shape[0] // 2
    while low < high:
        middle = (low + high) // 2
        if words[2 * middle] <= end_ns:
            low = middle + 1
        else:
            high = middle
    return low


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """EVENT arrays as one; numpy would join records field by field."""
    return from_words(np.concatenate([to_words(part) for part in parts]))
