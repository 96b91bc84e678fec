# SPDX-License-Identifier: Apache-2.0
"""Checks of populations and connections in integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ModelError


def check(ok: bool, message: str) -> None:
    """Raise an error that a user can correct, unless ``ok``.

    Raises:
        ModelError: not ok.
    """
    if not ok:
        raise ModelError(message)


def check_integers(p: Any) -> None:
    """Check the parameters against ``_ranges`` and make them int64 arrays."""
    check(p.n > 0, f"a population has {p.n} neurons; give it at least one")
    for name, low, high in p._ranges:
        value = np.asarray(getattr(p, name))
        check(
            value.dtype.kind in "iu" and value.shape in ((), (p.n,)),
            f"{name}: give one integer, or {p.n}, not {value.dtype} of shape {value.shape}",
        )
        check(
            bool((value >= low).all() and (value <= high).all()),
            f"{name} must lie in {low} .. {high}, not {value.min()} .. {value.max()}",
        )
        object.__setattr__(p, name, value.astype(np.int64))
