# SPDX-License-Identifier: Apache-2.0
"""The state of a controller of several parts as one array of bytes, to keep and to restore."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def packed(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The bytes of the parts one after the other, uint8 ``(n_bytes,)``."""
    return np.frombuffer(b"".join(part.tobytes() for part in parts), np.uint8).copy()


def unpacked(state: np.ndarray, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The parts of a packed state, read-only, in the shapes and types of ``parts``.

    Raises:
        ValueError: the state is of another size.
    """
    n_bytes = sum(part.nbytes for part in parts)
    if np.shape(state) != (n_bytes,):
        raise ValueError(f"a state has shape {(n_bytes,)}, not {np.shape(state)}")
    pieces = np.split(np.asarray(state, np.uint8), np.cumsum([part.nbytes for part in parts])[:-1])
    return [np.frombuffer(m.tobytes(), p.dtype).reshape(p.shape) for m, p in zip(pieces, parts, strict=True)]
