# SPDX-License-Identifier: Apache-2.0
"""Population code: Gaussian receptive fields that spike regularly (:mod:`..population_coding`), and its inverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import TaskError
from ...types import SpikeTrain
from ..population_coding import encode
from .interval import check_steps

_GRID = 2001


@dataclass(frozen=True)
class PopulationCode:
    """``n_fields`` axons a quantity, which is bent into ``z = x / (1/2 + |x|)`` so that any number is carried.

    Attributes:
        n_fields: 2 or more.
        steps: of a window.
    """

    n_fields: int
    steps: int

    def __post_init__(self) -> None:
        check_steps(self.steps, 1, "population")
        if self.n_fields < 2:
            raise TaskError(f"a population of {self.n_fields} fields; give it 2 or more")

    def encode(self, values: np.ndarray, charge: np.ndarray | None = None) -> SpikeTrain:
        """Encode the values of one window as spikes.

        Args:
            values: ``(n,)``, in units of their scales; axon ``q * n_fields + f`` is field f of value q.
            charge: float64 ``(n * n_fields,)``, carried from window to window and written; None starts from zero.

        Raises:
            TaskError: a value is not finite.
        """
        x = self._checked(values)[None]
        n_axons = x.size * self.n_fields
        kept = np.zeros((1, n_axons)) if charge is None else charge[None]
        indptr, ids = np.zeros((1, self.steps + 1), np.int64), np.zeros((1, n_axons * self.steps), np.int32)
        encode(x, self.n_fields, self.steps, kept, indptr, ids)
        return SpikeTrain(indptr[0], ids[0, : indptr[0, -1]])

    def activations(self, values: np.ndarray) -> np.ndarray:
        """What a step adds to the charge of each field, 0 .. 1.

        Args:
            values: of any shape, in units of their scales.

        Returns:
            float64, a further axis of ``n_fields`` at the end.

        Raises:
            TaskError: a value is not finite.
        """
        x = self._checked(values)
        return self._fields(x / (0.5 + np.abs(x)))

    def _checked(self, values: np.ndarray) -> np.ndarray:
        x = np.asarray(values, np.float64)
        if not np.isfinite(x).all():
            raise TaskError("a value to be encoded is not finite; hold the last one in its place")
        return x

    def _fields(self, z: np.ndarray) -> np.ndarray:
        spacing = 2.0 / (self.n_fields - 1)
        return np.exp(-0.5 * ((z[..., None] + 1) / spacing - np.arange(self.n_fields)) ** 2)

    def bent(self, spikes: SpikeTrain, n: int) -> np.ndarray:
        """Z of ``n`` quantities, float64 ``(n,)``: the number whose rates are nearest to those of the window."""
        rates = np.bincount(spikes.ids, minlength=n * self.n_fields).reshape(n, self.n_fields) / self.steps
        z = np.linspace(-1, 1, _GRID)
        expected = self._fields(z)
        # |rates - expected|^2 without the part that is the same for all z.
        return z[np.argmin((expected**2).sum(1) - 2 * rates @ expected.T, axis=1)]

    def decode(self, spikes: SpikeTrain, n: int) -> np.ndarray:
        """The values of ``n`` quantities out of a window that began without charge, float64 ``(n,)``."""
        z = np.clip(self.bent(spikes, n), -1 + 1 / _GRID, 1 - 1 / _GRID)
        return 0.5 * z / (1 - np.abs(z))

    def error(self) -> float:
        """A bound of the error of z, 5/4 of ``spacing / steps`` and the grid of the inverse.

        It is no theorem: rates are half a spike off at most, and of values of any size, 3 to 24 fields and 5 to 120
        steps 85 % of this was the most that was found.
        """
        return 1.25 * 2.0 / (self.n_fields - 1) / self.steps + 1 / (_GRID - 1)
