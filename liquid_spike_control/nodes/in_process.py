# SPDX-License-Identifier: Apache-2.0
"""The same run in one process, without ROS: what ``liquid-spike run --in-process`` and the lock-step test compare with."""

from __future__ import annotations

import time

import numpy as np

from ..loop import Loop, SpikingEstimator
from ..sim.tasks import task_by_name
from ..simulation import PencilSimulation, Sensing
from ..types import Quantities
from .graph import GraphOptions
from .progress import Progress
from .report import History, Report


class KeepingEstimator(SpikingEstimator):
    """A SpikingEstimator that keeps its output spikes in a history."""

    def __init__(self, perception, backend, history: History) -> None:
        super().__init__(perception, backend)
        self._history = history

    def estimate(self, sensing: Sensing) -> Quantities:
        """Angle [rad] and rate [rad/s] at the sensing's stamp."""
        stamp = sensing.joints.stamp_ns
        spikes = self.backend.run(self.perception.encode(sensing.events, stamp))
        start_ns = stamp - spikes.n_steps * self.perception.step_ns
        steps = np.repeat(np.arange(spikes.n_steps), np.diff(spikes.indptr))
        self._history.spikes.append((start_ns, steps, spikes.ids))
        return self.perception.decode(spikes, stamp)
