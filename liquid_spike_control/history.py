# SPDX-License-Identifier: Apache-2.0
"""History of a run, tick by tick, with or without ROS: the source of reports, plots and videos."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .robot import Robot


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

    @property
    def n_seen(self) -> int:
        """Number of readings and setpoints: where in :attr:`truth` the estimates' truth begins."""
        return len(self.robot.readings) + len(self.robot.setpoints)

    def errors(self) -> np.ndarray:
        """Estimate minus truth at the stamps that have both, float64 ``(n, n_estimates)``."""
        stamps = sorted(self.estimates.keys() & self.truth.keys())
        pairs = [np.subtract(self.estimates[t], self.truth[t][self.n_seen :]) for t in stamps]
        return np.array(pairs).reshape(len(pairs), len(self.robot.estimates))

    def gated(self) -> np.ndarray:
        """The gated commands of the ticks, in order, float64 ``(n, m)``; NaN where a tick had none."""
        none = (math.nan,) * len(self.robot.commands)
        return np.array([self.commands.get(t, none) for t in sorted(self.truth)]).reshape(len(self.truth), len(none))
