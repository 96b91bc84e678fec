# SPDX-License-Identifier: Apache-2.0
"""One episode of a task, a controller and a perturbation, and what it came to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .perturbations import Perturbation
from .perturbed import PerturbedTask
from .task import ControlTask, Expert


class EpisodeController(Protocol):
    """Interface of a controller in an episode; those of :mod:`..liquid.controller` have it."""

    def reset(self) -> None:
        """Begin an episode."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command ``(m,)`` for an observation ``(n,)``, ``dt`` seconds after the one before."""


class ExpertController:
    """An expert as a controller: it uses the true state, so that noise has no effect on it.

    Args:
        expert: of the task.
        task: of the episode.
        observation_names: of the observations that a loop passes.
    """

    def __init__(self, expert: Expert, task: ControlTask, observation_names: tuple[str, ...] = ()) -> None:
        self._expert, self._task, self.observation_names = expert, task, observation_names

    def reset(self) -> None:
        """Begin an episode."""
        self._expert.reset()

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Return the command ``(m,)`` for the task's present state; the observation is ignored."""
        return self._expert.act(self._task)


class RandomController:
    """Commands uniform within the limits: the zero of the tasks' scales.

    Args:
        task: whose commands.
        seed: of the commands, from the first episode on.
    """

    def __init__(self, task: ControlTask, seed: int) -> None:
        self._limits = task.command_limits
        self._rng = np.random.default_rng(seed)

    def reset(self) -> None:
        """Continue the sequence of random commands."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Any command ``(m,)``."""
        return self._rng.uniform(-self._limits, self._limits)


@dataclass(frozen=True, eq=False, slots=True)
class EpisodeResult:
    """Result of one episode.

    Attributes:
        seed: of the episode.
        success: see :attr:`~.perturbed.PerturbedTask.success`.
        total_reward: sum over the episode.
        n_steps: calls of the controller.
        n_unsafe: of these, how many gave a command that was not finite; the neutral one was applied.
        elapsed_s: time in the plant [s].
        latencies_us: float64 ``(n_steps,)``, of each call [us].
        wall_s: time that the episode took, physics and controller [s].
    """

    seed: int
    success: bool
    total_reward: float
    n_steps: int
    n_unsafe: int
    elapsed_s: float
    latencies_us: np.ndarray
    wall_s: float

    @property
    def real_time_factor(self) -> float:
        """Seconds in the plant for each second that the episode took."""
        return self.elapsed_s / self.wall_s


def run_episode(
    task: ControlTask, controller: EpisodeController, perturbation: Perturbation, seed: int
) -> EpisodeResult:
    """Run an episode to its end. The same arguments give the same commands, byte for byte.

    Args:
        task: to run.
        controller: computes the commands.
        perturbation: of plant, sensing and timing.
        seed: of the episode.

    Returns:
        Success, reward, and latencies of the controller.

    Raises:
        TaskError: the perturbation does not apply to the task.
    """
    begin = time.perf_counter()
    loop = PerturbedTask(task, perturbation, seed)
    controller.reset()
    total_reward, n_unsafe, latencies = 0.0, 0, []
    while not task.over:
        if loop.received:
            before = time.perf_counter()
            command = controller.step(loop.observation, loop.elapsed_s)
            latencies.append(time.perf_counter() - before)
            n_unsafe += not np.isfinite(command).all()
            loop.decide(command)
        loop.advance()
        total_reward += task.reward
    success = loop.success
    loop.release()
    wall_s = time.perf_counter() - begin
    return EpisodeResult(
        seed, success, total_reward, len(latencies), n_unsafe, task.elapsed_s, np.array(latencies) * 1e6, wall_s
    )
