# SPDX-License-Identifier: Apache-2.0
"""A code by its name, for one window of spikes after the other: how a network hears numbers from -1 to 1.

``population``
    Gaussian fields, :class:`~.population.PopulationCode`; what a window leaves of their charge goes into the next.
``rate``, ``latency``
    Two axons a number, one for it and one for its negative, so that there are spikes at either end:
    :class:`~.rate.RateCode` (regular) and :class:`~.latency.LatencyCode`.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from ...errors import TaskError
from ...types import SpikeTrain
from .interval import Interval
from .latency import LatencyCode
from .population import PopulationCode
from .rate import RateCode

Code = Literal["population", "rate", "latency"]
CODES: tuple[str, ...] = get_args(Code)
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
        self._population = PopulationCode(fields, steps) if code == "population" else None
        both = Interval(-1.0, 1.0)
        self._pair = (RateCode if code == "rate" else LatencyCode)(both, steps) if code != "population" else None
        self.n_axons = n * (fields if code == "population" else 2)
        self._charge = np.zeros(self.n_axons)

    def reset(self) -> None:
        """Forget what windows before have left."""
        self._charge[:] = 0

    @property
    def state(self) -> np.ndarray:
        """Copy of what windows before have left, float64 ``(n_axons,)``; assign it to restore."""
        return self._charge.copy()

    @state.setter
    def state(self, state: np.ndarray) -> None:
        self._charge[:] = state

    def encode(self, values: np.ndarray) -> SpikeTrain:
        """Spikes of the next window, for values ``(n,)``; those beyond -1 .. 1 count as the nearer end.

        Raises:
            TaskError: a value is not finite.
        """
        values = np.clip(np.asarray(values, np.float64), -1.0, 1.0)
        if self._population is not None:
            return self._population.encode(values, self._charge)
        assert self._pair is not None
        return self._pair.encode(np.concatenate([values, -values]))
