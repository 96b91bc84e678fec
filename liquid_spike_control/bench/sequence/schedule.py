# SPDX-License-Identifier: Apache-2.0
"""Schedules of fits: duration, learning rate, and lengths of the sequences."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Steps of the longest sequences that are shown first, where they grow, and by how much they grow at a time.
FIRST, GROWTH = 3, 1.2
#: Share of the training after which all lengths are shown, mastered or not, so that no model sees only short ones.
LATEST = 0.5
#: Optimiser steps between two checks whether they grow.
ROUND = 100


@dataclass(frozen=True, slots=True)
class Fitting:
    """Schedule of a fit.

    Short sequences teach a recurrent network its step, long ones to repeat it; on long ones the same learning rate
    that is right for short ones destroys what was learned.

    Attributes:
        epochs: as many optimiser steps as a sweep over the training sequences takes, so many times.
        learning_rate: on sequences of full length, at first; it falls exponentially.
        decay: what is left of it at the end.
        batch: sequences in an optimiser step.
        mastered: share of right answers (0..1) over :data:`ROUND` optimiser steps at which longer sequences are shown,
            from 3 steps to all; 0: all from the beginning.
        warm_up: steps in which the learning rate rises from 0.
        clip_norm: gradients longer than this are shortened.
        averaging: part of the averaged weights that an optimiser step leaves as it is.
    """

    epochs: int
    learning_rate: float
    decay: float = 0.1
    batch: int = 128
    mastered: float = 0.0
    warm_up: int = 100
    clip_norm: float = 1.0
    averaging: float = 0.998

    def rate(self, update: int, n_updates: int, share: float) -> float:
        """Learning rate of an optimiser step on sequences of at most a ``share`` (0..1) of the full length."""
        rising = min(1.0, (update + 1) / self.warm_up)
        return self.learning_rate * rising * self.decay ** (update / n_updates) / math.sqrt(share)

    def longest(self, now: int, right: float, done: float, most: int) -> int:
        """Steps that a sequence may have in the next round.

        Args:
            now: as many as in this one; 0 before the first.
            right: share of right answers in this one.
            done: share (0..1) of the training that is over; at :data:`LATEST` all lengths are shown in any case.
            most: steps of the longest sequence.
        """
        if not self.mastered:
            return most
        least = round(FIRST * (most / FIRST) ** min(1.0, done / LATEST))
        grown = max(now + 1, round(GROWTH * now)) if now and right >= self.mastered else now
        return min(max(grown, least), most)
