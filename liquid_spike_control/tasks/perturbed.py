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
        self._own_duration_s = task.duration_s
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
        self._give_duration(perturbation.duration_s or self._own_duration_s)
        self._strength = perturbation.strength(0.0)
        self._present = perturbation.in_part(self._strength) if perturbation.changes else perturbation
        self.task.reset(seed, self._present.variation)
        if self._present.threshold != 1:
            self.task.scale_thresholds(self._present.threshold)  # type: ignore[attr-defined]
        self._held = np.zeros(len(self.task.command_limits))
        self._late = [self._held] * perturbation.latency_steps
        self._last_s = -self.task.period_s
        self._sample(arrives=True)

    def decide(self, command: np.ndarray) -> None:
        """Give the command that answers the present observation, float64 ``(m,)``; it is held until the next."""
        self._held = np.array(command, float)

    def advance(self) -> None:
        """Let one control period pass and take the next sample."""
        if self.perturbation.changes:
            self._change()
        perturbation, rng = self._present, self._rng
        self._late.append(self._held)
        duration_s = self.task.period_s
        if perturbation.period != 1:
            duration_s *= perturbation.period
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
        if self._present.gain != 1:
            self.observation *= self._present.gain
        if self._present.noise:
            scales = self._present.noise * self.task.observation_scales
            self.observation += scales * self._rng.standard_normal(len(scales))

    def _change(self) -> None:
        """Bring plant and faults to what they are now."""
        strength = self.perturbation.strength(self.task.elapsed_s)
        if strength == self._strength:
            return
        before, self._strength = self._present, strength
        self._present = now = self.perturbation.in_part(strength)
        if now.variation != before.variation:
            self.task.vary(now.variation)
        if now.threshold != before.threshold:
            self.task.scale_thresholds(now.threshold / before.threshold)  # type: ignore[attr-defined]

    @property
    def success(self) -> bool:
        """Whether the episode, when over, was a success: by the task's own judgement, or, where the perturbation
        gives it another duration, if the aim was never lost.
        """
        return self.task.kept if self.perturbation.duration_s else self.task.success

    def release(self) -> None:
        """Give the task its own duration back."""
        self._give_duration(self._own_duration_s)

    def _give_duration(self, duration_s: float) -> None:
        if self.task.duration_s != duration_s:
            self.task.set_duration(duration_s)
