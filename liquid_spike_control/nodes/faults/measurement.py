# SPDX-License-Identifier: Apache-2.0
"""Measurements of faults, with their bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """One promise about one fault.

    Attributes:
        injected: what was done, e.g. ``"SIGKILL"``.
        promise: what holds then, in words.
        measured: the worst that was seen, in ``unit``; NaN where what was promised did not come at all.
        bound: greatest value at which the promise is kept.
        unit: of both, e.g. ``"ms"`` or ``"of 10000 packets"``.
        speed: whether the value is computing time under a full load, which a slower processor raises in proportion.
            Bounds of such values hold on the processor that docs/faults.md names.
    """

    injected: str
    promise: str
    measured: float
    bound: float
    unit: str
    speed: bool = False

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        return self.measured <= self.bound  # False for NaN
