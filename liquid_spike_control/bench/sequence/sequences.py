# SPDX-License-Identifier: Apache-2.0
"""Irregularly sampled sequences: observations, elapsed times, and targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Sequences:
    """Sequences of different lengths, padded at their ends. As a batch, the longest come first.

    Attributes:
        inputs: float32 ``(n, longest, n_inputs)``.
        elapsed: float32 ``(n, longest)``, time since the step before, in the task's unit; padded with 1.
        lengths: int64 ``(n,)``, steps of each, at least 1; what lies behind them means nothing.
        targets: float32, ``(n, n_targets)`` where the last step answers, ``(n, longest, n_targets)`` where each does
            and all have the same length.
    """

    inputs: np.ndarray
    elapsed: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def every_step(self) -> bool:
        """Whether each step has a target, not only the last."""
        return self.targets.ndim == 3

    def rows(self, rows: np.ndarray) -> Sequences:
        """Some of them, the longest first, no longer padded than that one needs."""
        rows = rows[np.argsort(-self.lengths[rows], kind="stable")]
        longest = self.lengths[rows[0]]
        inputs, elapsed = self.inputs[rows, :longest], self.elapsed[rows, :longest]
        return Sequences(inputs, elapsed, self.lengths[rows], self.targets[rows])

    def batches(self, size: int, n: int, longest: int, rng: np.random.Generator) -> list[Sequences]:
        """Mini-batches of those that have so many steps at most, each as often as any other.

        Args:
            size: sequences in a batch.
            n: batches.
            longest: steps.
            rng: for the order.
        """
        eligible = np.flatnonzero(self.lengths <= longest)
        sweeps = -(-n * size // len(eligible))
        order = np.concatenate([rng.permutation(eligible) for _ in range(sweeps)])[: n * size]
        return [self.rows(rows) for rows in order.reshape(n, size)]
