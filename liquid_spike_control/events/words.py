# SPDX-License-Identifier: Apache-2.0
"""EVENT records as pairs of 64-bit words, the form in which the compiled kernels read and write them.

An EVENT is 16 bytes, little-endian: the time [ns], then ``x | y << 16 | p << 32``. Kernels on plain int64
arrays compile faster and are called faster than kernels on records, and the padding bytes are always 0, so
equal events have equal bytes.
"""

from __future__ import annotations

import numpy as np

from ..types import EVENT

assert EVENT.itemsize == 16 and [EVENT.fields[f][1] for f in "txyp"] == [0, 8, 10, 12]


def to_words(events: np.ndarray) -> np.ndarray:
    """EVENT, shape ``(n,)``, as int64, shape ``(2 * n,)``; a view where the memory allows it."""
    return np.ascontiguousarray(events, EVENT).view(np.int64)


def from_words(words: np.ndarray) -> np.ndarray:
    """int64, shape ``(2 * n,)``, as EVENT, shape ``(n,)``; always a view."""
    return words.view(EVENT)
