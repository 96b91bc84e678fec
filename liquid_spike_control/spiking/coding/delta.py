# SPDX-License-Identifier: Apache-2.0
"""Threshold-delta code: a spike reports that a signal has risen or fallen by a threshold (send-on-delta)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...errors import TaskError
from ...types import SpikeTrain


@dataclass(frozen=True)
class DeltaCode:
    """Two axons a signal, ``k`` for a rise and ``n + k`` for a fall by a threshold since the last spike.

    In a step a signal sends one spike at most: where ``x - r >= threshold`` a rise, and ``r += threshold``; where
    ``r - x >= threshold`` a fall, and ``r -= threshold``. Miskowicz 2006, "Send-on-delta concept", 10.3390/s6010049;
    it is what a pixel of an event camera does.

    Attributes:
        threshold: in the unit of the signals, above 0.
    """

    threshold: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            raise TaskError(f"a threshold of {self.threshold:g}; give one above 0")

    def encode(self, signals: np.ndarray, reference: np.ndarray) -> tuple[SpikeTrain, np.ndarray]:
        """Spikes of signals.

        Args:
            signals: ``(n_steps, n)``.
            reference: what the receiver believes before the first step, ``(n,)``.

        Returns:
            Spikes of ``2 n`` axons, and the reference after the last step, with which the next piece goes on.

        Raises:
            TaskError: a signal is not finite.
        """
        signals = np.asarray(signals, np.float64)
        if not np.isfinite(signals).all():
            raise TaskError("a signal to be encoded is not finite; hold the last value in its place")
        reference = np.array(reference, np.float64)
        spikes = np.zeros((len(signals), 2, signals.shape[1]), bool)
        for t, x in enumerate(signals):
            spikes[t, 0], spikes[t, 1] = x - reference >= self.threshold, reference - x >= self.threshold
            reference += self.threshold * (spikes[t, 0].astype(np.int64) - spikes[t, 1])
        return SpikeTrain.from_dense(spikes.reshape(len(signals), -1)), reference

    def decode(self, spikes: SpikeTrain, reference: np.ndarray) -> np.ndarray:
        """Signals out of spikes, float64 ``(n_steps, n)``, from the reference that encoding began with."""
        reference = np.asarray(reference, np.float64)
        dense = spikes.to_dense(2 * len(reference)).reshape(spikes.n_steps, 2, -1)
        return reference + self.threshold * np.cumsum(dense[:, 0].astype(np.int64) - dense[:, 1], axis=0)

    def error(self) -> float:
        """The bound of the error of a signal that moves by the threshold a step at most; it is not reached."""
        return self.threshold
