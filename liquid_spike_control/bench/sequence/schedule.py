# SPDX-License-Identifier: Apache-2.0
"""How a sequence model is fitted: for how long, at what rate, and on sequences of what length."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Steps of the longest sequences that are shown first, where they grow.
FIRST = 3


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a model is fitted.

    Short sequences teach a recurrent network its step, long ones to repeat it; on long ones the same learning rate
    that is right for short ones destroys what was learned.

    Attributes:
        epochs: as many optimiser steps as a sweep over the training sequences takes, so many times.
        learning_rate: on sequences of full length, at first; it falls exponentially.
        decay: what is left of it at the end.
        batch: sequences in an optimiser step.
        growing: epochs in which only short sequences are shown, longer and longer ones, from 3 steps to all.
        warm_up: steps in which the learning rate rises from 0.
        clip_norm: gradients longer than this are shortened.
    """

    epochs: int
    learning_rate: float
    decay: float = 0.1
    batch: int = 128
    growing: int = 0
    warm_up: int = 100
    clip_norm: float = 1.0

    def rate(self, update: int, n_updates: int, share: float) -> float:
        """Learning rate of an optimiser step on sequences of at most a ``share`` (0..1) of the full length."""
        rising = min(1.0, (update + 1) / self.warm_up)
        return self.learning_rate * rising * self.decay ** (update / n_updates) / math.sqrt(share)

    def longest(self, epoch: int, most: int) -> int:
        """Steps that a sequence may have in an epoch, where the longest has ``most``."""
        return most if epoch >= self.growing else round(FIRST * (most / FIRST) ** (epoch / self.growing))
