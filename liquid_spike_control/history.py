# SPDX-License-Identifier: Apache-2.0
"""History of a run, tick by tick, with or without ROS: the source of reports, plots and videos."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .estimate_lag import EstimateLag
from .events.camera_streams import side_by_side
from .loop import Decision, SpikingEstimator
from .robot import Robot
from .sim.world import Sensing
from .types import Quantities


@dataclass
class History:
    """Values at each stamp [ns], by the names and units of the robot's description.

    Attributes:
        robot: the robot.
        truth: readings, setpoints and the true values of the estimates.
        estimates: of the perception.
        commands: behind the gate; the first command of a stamp is the one that counts.
        events: EVENT arrays, where they are kept for a plot or a video; several cameras side by side.
        spikes: output spikes, (start [ns], steps, neurons), where they are kept for a plot or a video.
        poses: what a picture of the scene needs, see :meth:`~.tasks.mujoco_task.MujocoTask.pose`; kept for a video.
    """

    robot: Robot
    truth: dict[int, tuple[float, ...]] = field(default_factory=dict)
    estimates: dict[int, tuple[float, ...]] = field(default_factory=dict)
    commands: dict[int, tuple[float, ...]] = field(default_factory=dict)
    events: list[np.ndarray] = field(default_factory=list)
    spikes: list[tuple[int, np.ndarray, np.ndarray]] = field(default_factory=list)
    poses: dict[int, np.ndarray] = field(default_factory=dict)

    def add(self, sensing: Sensing, truth: np.ndarray, decision: Decision, events: bool = False) -> None:
        """Keep a tick.

        Args:
            sensing: at its stamp.
            truth: of the estimates, there.
            decision: that the loop made of it.
            events: keep the cameras' events too.
        """
        stamp = sensing.stamp_ns
        self.truth[stamp] = (*sensing.readings.values.tolist(), *truth.tolist())
        if self.robot.estimates:
            self.estimates[stamp] = tuple(decision.estimate.values.tolist())
        self.commands[stamp] = tuple(decision.output.tolist())
        if events and sensing.events:
            self.events.append(side_by_side(sensing.events, self.robot.cameras))

    @property
    def n_seen(self) -> int:
        """Number of readings and setpoints: where in :attr:`truth` the estimates' truth begins."""
        return len(self.robot.readings) + len(self.robot.setpoints)

    def errors(self) -> np.ndarray:
        """Estimate minus what it should be at the stamps that have both, float64 ``(n, n_estimates)``; see
        :mod:`.estimate_lag`.
        """
        stamps = sorted(self.truth)
        goals = EstimateLag(self.robot).of_episode(np.array(self.truth[t][self.n_seen :]) for t in stamps)
        pairs = [self.estimates[t] - goal for t, goal in zip(stamps, goals, strict=True) if t in self.estimates]
        return np.array(pairs).reshape(len(pairs), len(self.robot.estimates))

    def gated(self) -> np.ndarray:
        """The gated commands of the ticks, in order, float64 ``(n, m)``; NaN where a tick had none."""
        none = (math.nan,) * len(self.robot.commands)
        return np.array([self.commands.get(t, none) for t in sorted(self.truth)]).reshape(len(self.truth), len(none))


class KeepingEstimator(SpikingEstimator):
    """A SpikingEstimator that keeps its output spikes for a plot or a video."""

    def __init__(self, estimator: SpikingEstimator, history: History) -> None:
        super().__init__(estimator.perception, estimator.backend, history.robot.cameras)
        self._history = history

    def estimate(self, sensing: Sensing) -> Quantities:
        """The estimates at the sensing's stamp."""
        stamp = sensing.stamp_ns
        events = side_by_side(sensing.events, self._history.robot.cameras)
        spikes = self.backend.run(self.perception.encode(events, stamp))
        start_ns = stamp - spikes.n_steps * self.perception.step_ns
        steps = np.repeat(np.arange(spikes.n_steps), np.diff(spikes.indptr))
        self._history.spikes.append((start_ns, steps, spikes.ids))
        return self.perception.decode(spikes, stamp)
