# SPDX-License-Identifier: Apache-2.0
"""Control by a model, without learning: the expert's law on an estimate of the state, as an engineer would try first.

Rates that are not seen are low-pass filtered differences of positions; what pushes steadily is found by integration.
The law is that of the nominal plant.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from ...errors import TaskError
from ...loop import Decider
from ...robot import Robot, names
from ...robots.catalogue import robot_named, robot_of, task_named
from ...tasks.episode import EpisodeController
from ...tasks.of_robot import class_named, task_of
from ...tasks.task import StateExpert

#: Time constants of the filters on differences [s]. A falling pole does not wait for more.
SWING_UP_FILTER_S, HOVER_FILTER_S = 0.008, 0.03
#: The hover's integral gain: wind that corresponds to 1 m of deviation over 1 s [m/s], and the greatest wind [m/s].
WIND_PER_METRE_SECOND, MOST_WIND = 3.0, 4.0


class Estimator(Protocol):
    """From observations to the state that an expert's law takes."""

    def update(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """The state, for an observation ``dt`` seconds after the one before."""


class ModelBasedController:
    """The expert's law of a task on an estimate of its state.

    Args:
        task_name: one that :func:`has_law`.

    Raises:
        TaskError: no estimator is written for this task.
    """

    def __init__(self, task_name: str) -> None:
        if not has_law(task_name):
            known = ", ".join(_ESTIMATORS)
            raise TaskError(f"controller 'model_based' has no law for task '{task_name}'; it has for {known}")
        self._new_estimator = _ESTIMATORS[task_name]
        task = task_named(task_name)
        expert = task.expert()
        assert isinstance(expert, StateExpert)  # so are those of all tasks that have an estimator
        self._law = expert.law(task)
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._estimator = self._new_estimator()

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command ``(m,)`` for an observation ``(n,)``, ``dt`` seconds after the one before."""
        return self._law.step(self._estimator.update(observation, dt))


class _Rates:
    """Filtered differences of some positions; angles are taken the short way round."""

    def __init__(self, filter_s: float, angles: tuple[int, ...]) -> None:
        self._filter_s, self._angles = filter_s, angles
        self._last: np.ndarray | None = None

    def update(self, positions: np.ndarray, dt: float) -> np.ndarray:
        if self._last is None:
            self._last, self._rates = positions, np.zeros(len(positions))
            return self._rates
        change = positions - self._last
        for k in self._angles:
            change[k] = math.remainder(change[k], 2 * math.pi)
        self._last = positions
        self._rates = self._rates + (change / dt - self._rates) * -math.expm1(-dt / self._filter_s)
        return self._rates


class SwingUpEstimator:
    """Cart position and velocity, pole angle and rate."""

    def __init__(self) -> None:
        self._rates = _Rates(SWING_UP_FILTER_S, angles=(1,))

    def update(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """See :class:`Estimator`."""
        position, sine, cosine = observation[:3].tolist()
        angle = math.atan2(sine, cosine)
        if len(observation) == 5:
            return np.array([position, observation[3], angle, observation[4]])
        velocity, rate = self._rates.update(np.array([position, angle]), dt).tolist()
        return np.array([position, velocity, angle, rate])


class HoverEstimator:
    """Position, velocity, attitude and rates; wind by integration of the deviation, which makes a PID of the law."""

    def __init__(self) -> None:
        self._rates = _Rates(HOVER_FILTER_S, angles=(3, 4, 5))
        self._wind = np.zeros(3)

    def update(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """See :class:`Estimator`."""
        position, attitude = observation[:3], observation[3:6]
        rates = observation[6:] if len(observation) == 12 else self._rates.update(observation[:6].copy(), dt)
        self._wind = np.clip(self._wind + WIND_PER_METRE_SECOND * position * dt, -MOST_WIND, MOST_WIND)
        return np.concatenate([position, rates[:3], attitude, rates[3:], self._wind, [1.0]])


_ESTIMATORS: dict[str, type[SwingUpEstimator] | type[HoverEstimator]] = {
    "swing-up": SwingUpEstimator,
    "swing-up-full": SwingUpEstimator,
    "hover": HoverEstimator,
    "hover-partial": HoverEstimator,
}


def has_law(task_name: str) -> bool:
    """Whether a state can be estimated from what this task shows."""
    return robot_of(task_name) in _ESTIMATORS or _place_of_law(robot_named(robot_of(task_name))) is not None


def law_of(task_name: str) -> EpisodeController:
    """The model-based controller of a task that :func:`has_law`: of this module, or of the robot's description."""
    if robot_of(task_name) in _ESTIMATORS:
        return ModelBasedController(robot_of(task_name))
    robot = robot_named(robot_of(task_name))
    return _LawOfRobot(robot, class_named(robot, "variants", str(_place_of_law(robot)))(task_of(robot)))


def _place_of_law(robot: Robot) -> str | None:
    """A law on estimates that the description has among its variants, as ``file.py:Class``."""
    on_estimates = (v.controller for v in robot.variants.values() if v.estimates == "perception")
    return next((place for place in on_estimates if ":" in place), None)


class _LawOfRobot:
    """A law that takes some of a robot's observations."""

    def __init__(self, robot: Robot, law: Decider) -> None:
        known = names(robot.observations)
        self._law, self._seen = law, [known.index(name) for name in law.observation_names]

    def reset(self) -> None:
        """Begin an episode."""
        self._law.reset()

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command ``(m,)`` for an observation ``(n,)``, ``dt`` seconds after the one before."""
        return self._law.step(observation[self._seen], dt)
