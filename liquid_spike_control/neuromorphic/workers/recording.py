# SPDX-License-Identifier: Apache-2.0
"""Recording of a simulator's steps, as a worker returns it."""

from __future__ import annotations

import numpy as np


class Recording:
    """Spikes, and optionally current and voltage, of several populations.

    Args:
        sizes: neurons of each population.
        state: whether to record current and voltage.
    """

    def __init__(self, sizes: list[int], state: bool) -> None:
        self.state = state
        self._sizes = sizes
        self._spikes: list[list[np.ndarray]] = []
        self._u: list[list[np.ndarray]] = []
        self._v: list[list[np.ndarray]] = []
        self._stamps: list[int] = []

    def add_spikes(self, ids: list[np.ndarray], stamp_ns: int) -> None:
        """Neurons that spiked in a step, ascending, one array a population; when the step was done."""
        self._spikes.append(ids)
        self._stamps.append(stamp_ns)

    def add_u(self, currents: list[np.ndarray]) -> None:
        """Currents after a step, one array a population."""
        self._u.append([np.asarray(c, np.int64).astype(np.int32) for c in currents])

    def add_v(self, voltages: list[np.ndarray]) -> None:
        """Voltages after a step, one array a population."""
        self._v.append([np.asarray(c, np.int64).astype(np.int32) for c in voltages])

    def answer(self) -> dict:
        """As :mod:`.serve` defines it."""
        n_steps = len(self._stamps)
        answer: dict = {"stamps_ns": np.array(self._stamps, np.int64)}
        spikes = []
        for k in range(len(self._sizes)):
            steps = [step[k] for step in self._spikes]
            counts = np.cumsum([0, *map(len, steps)], dtype=np.int64)
            ids = np.concatenate([np.empty(0, np.int32), *steps]).astype(np.int32)
            spikes.append({"indptr": counts, "ids": ids})
        answer["spikes"] = spikes
        if self.state:
            for name, rows in (("u", self._u), ("v", self._v)):
                answer[name] = [
                    np.array([row[k] for row in rows], np.int32).reshape(n_steps, n)
                    for k, n in enumerate(self._sizes)
                ]
        return answer
