# SPDX-License-Identifier: Apache-2.0
"""A task as a controller meets it: samples are noisy and may be lost, periods vary, commands come late.

    loop = PerturbedTask(task_named("swing-up"), perturbation_named("drop30"), seed)
    while not loop.task.over:
        if loop.received:
            loop.decide(controller.step(loop.observation, loop.elapsed_s))
        loop.advance()

Training may run many of them side by side; :func:`~.episode.run_episode` runs one to its end.
"""

from __future__ import annotations

import numpy as np

from .perturbations import Perturbation
from .task import ControlTask

#: Separates this random stream from the task's own, of the same seed.
_STREAM = 0x7065


class PerturbedTask:
    """One task under one perturbation, sample by sample.

    Args:
        task: driven by this loop alone.
        perturbation: may be changed at each reset.
        seed: of the first episode.

    Attributes:
        task, perturbation: as given.
        received: whether the present sample arrived; if not, the controller is not called.
        observation: float64 ``(n,)``, the present sample with its noise, or the last that arrived.
        elapsed_s: from the last sample that arrived to this one [s]; the nominal period at the first.

    Raises:
        TaskError: the perturbation cannot apply to the task.
    """

    def __init__(self, task: ControlTask, perturbation: Perturbation, seed: int = 0) -> None:
        self.task = task
        self.perturbation = perturbation
        self.reset(seed)

    def reset(self, seed: int, perturbation: Perturbation | None = None) -> None:
        """Begin the episode of a seed, which decides the task's chance and the perturbation's.

        The first sample always arrives. Until a command acts, the plant gets the neutral one.

        Args:
            seed: of the episode.
            perturbation: from now on; the same as before by default.

        Raises:
            TaskError: the perturbation cannot apply to the task.
        """
        self.perturbation = perturbation = perturbation or self.perturbation
        perturbation.check_applies(self.task)
        self._rng = np.random.default_rng((seed, _STREAM))
        self.task.reset(seed, perturbation.variation)
        self._held = np.zeros(len(self.task.command_limits))
        self._late = [self._held] * perturbation.latency_steps
        self._noise = perturbation.noise * self.task.observation_scales
        self._last_s = -self.task.period_s
        self._sample(arrives=True)

    def decide(self, command: np.ndarray) -> None:
        """Give the command that answers the present observation, float64 ``(m,)``; it is held until the next."""
        self._held = np.array(command, float)

    def advance(self) -> None:
        """Let one control period pass and take the next sample."""
        perturbation, rng = self.perturbation, self._rng
        self._late.append(self._held)
        duration_s = self.task.period_s
        if perturbation.jitter:
            duration_s *= 1 + perturbation.jitter * rng.uniform(-1, 1)
        self.task.advance(self._late.pop(0), duration_s)
        self._sample(arrives=not perturbation.drop or rng.random() >= perturbation.drop)

    def _sample(self, arrives: bool) -> None:
        self.received = arrives
        if not arrives:
            return
        now_s = self.task.elapsed_s
        self.elapsed_s, self._last_s = now_s - self._last_s, now_s
        self.observation = self.task.observe()
        if self.perturbation.noise:
            self.observation += self._noise * self._rng.standard_normal(len(self._noise))
