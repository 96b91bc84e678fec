# SPDX-License-Identifier: Apache-2.0
"""A code by its name, for one window of spikes after the other: how a network hears numbers from -1 to 1.

``population``
    Gaussian fields, :class:`~.population.PopulationCode`; what a window leaves of their charge goes into the next.
``rate``, ``latency``
    Two axons a number, one for it and one for its negative, so that there are spikes at either end:
    :class:`~.rate.RateCode` (regular) and :class:`~.latency.LatencyCode`.
``phase``
    The same two axons by :class:`~.phase.PhaseCode`, a window a period, 1 to 30 steps.
``delta``
    Two axons a number, its rises and falls by :class:`~.delta.DeltaCode`, from 0 on. The threshold is 2 over the steps,
    so that a window follows any change; what it has followed goes into the next.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from ...errors import TaskError
from ...types import SpikeTrain
from .delta import DeltaCode
from .interval import Interval
from .latency import LatencyCode
from .phase import PhaseCode
from .population import PopulationCode
from .rate import RateCode

Code = Literal["population", "rate", "latency", "phase", "delta"]
CODES: tuple[str, ...] = get_args(Code)
_Window = PopulationCode | DeltaCode | PhaseCode | RateCode | LatencyCode
#: Most steps of a window.
LONGEST = 1024


class WindowCode:
    """Numbers as spikes, a window at a time.

    Args:
        code: one of :data:`CODES`.
        n: numbers.
        steps: of a window.
        fields: axons of a number; of ``population`` only.

    Raises:
        TaskError: the code is unknown, or its windows or fields are too few.
    """

    def __init__(self, code: str, n: int, steps: int, fields: int = 16) -> None:
        if code not in CODES:
            raise TaskError(f"code {code} is unknown; use one of {', '.join(CODES)}")
        if not 1 <= steps <= LONGEST:
            raise TaskError(f"windows of {steps} steps; give 1 to {LONGEST}")
        self.n, self.steps = n, steps
        self._code = _new_code(code, Interval(-1.0, 1.0), fields, steps)
        self.n_axons = n * (fields if code == "population" else 2)
        self._kept = np.zeros({"population": self.n_axons, "delta": n}.get(code, 0))

    def reset(self) -> None:
        """Forget what windows before have left."""
        self._kept[:] = 0

    @property
    def state(self) -> np.ndarray:
        """Copy of what windows before have left, float64; assign it to restore."""
        return self._kept.copy()

    @state.setter
    def state(self, state: np.ndarray) -> None:
        self._kept[:] = state

    def encode(self, values: np.ndarray) -> SpikeTrain:
        """Spikes of the next window, for values ``(n,)``; those beyond -1 .. 1 count as the nearer end.

        Raises:
            TaskError: a value is not finite.
        """
        values = np.clip(np.asarray(values, np.float64), -1.0, 1.0)
        if isinstance(self._code, PopulationCode):
            return self._code.encode(values, self._kept)
        if isinstance(self._code, DeltaCode):
            spikes, self._kept[:] = self._code.encode(np.tile(values, (self.steps, 1)), self._kept)
            return spikes
        return self._code.encode(np.concatenate([values, -values]))


def _new_code(code: str, both: Interval, fields: int, steps: int) -> _Window:
    if code == "population":
        return PopulationCode(fields, steps)
    if code == "delta":
        return DeltaCode(both.width / steps)
    if code == "phase":
        return PhaseCode(both, steps)
    return RateCode(both, steps) if code == "rate" else LatencyCode(both, steps)
