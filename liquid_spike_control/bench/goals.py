# SPDX-License-Identifier: Apache-2.0
"""Figures of a benchmark beside what they should be."""

from __future__ import annotations


def beside(value: float, least: float | None = None, most: float | None = None) -> str:
    """The goal in words, and whether the value misses it: ``goal: at least 10``, ``goal: at most 2, missed``.

    Args:
        value: measured; not a number misses every goal.
        least, most: one of them, what it should be.
    """
    if least is not None:
        return f"goal: at least {least:g}{'' if value >= least else ', missed'}"
    return f"goal: at most {most:g}{'' if most is not None and value <= most else ', missed'}"
