# SPDX-License-Identifier: Apache-2.0
"""From records to figures: one standing for each candidate and task, over its training seeds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import numpy as np

from ...neuromorphic.backend import BackendStats
from ...neuromorphic.energy.estimate import MODELS, estimate
from ..episodes import wilson_interval
from .candidates import CANDIDATES, Candidate, candidate
from .procedure import procedure_named
from .record import Evaluation, Record
from .statistics import Interval, bootstrap, bootstrap_difference, p_of_difference

#: Models of energy for a network that is computed whole in every step, and for one that computes where a spike comes;
#: those side by side are of one source.
DENSE_MODELS = ("horowitz45nm:mac", "kerasspiking:arm", "kerasspiking:cpu")
SPIKING_MODELS = ("horowitz45nm:ac", "kerasspiking:loihi", "davies2018")


@dataclass(frozen=True)
class Standing:
    """Results of a candidate on a task.

    Attributes:
        candidate: who.
        task: where.
        records: one a training seed, in their order; at least one.
    """

    candidate: Candidate
    task: str
    records: tuple[Record, ...]

    @property
    def perturbations(self) -> tuple[str, ...]:
        """Those that every training seed has met, on as many episodes."""
        first = self.records[0].evaluations
        return tuple(name for name in first if len({_episodes(r.evaluations.get(name)) for r in self.records}) == 1)

    @property
    def training_seeds(self) -> tuple[int, ...]:
        """Of the records; (0,) for a candidate that learns nothing."""
        return tuple(r.training_seed for r in self.records)

    def episodes(self, perturbation: str) -> int:
        """Of each training seed."""
        return len(self.records[0].evaluations[perturbation].success)

    def success(self, perturbation: str) -> Interval:
        """Part of the episodes that succeeded, with Wilson's interval over all of them."""
        marks = self._matrix(perturbation, "success")
        return Interval(float(marks.mean()), *wilson_interval(int(marks.sum()), marks.size))

    def success_by_seed(self, perturbation: str) -> list[float]:
        """The same, one training seed at a time."""
        return self._matrix(perturbation, "success").mean(1).tolist()

    def score(self, perturbation: str) -> Interval:
        """Mean score, 0 as the random controller and 100 as the expert, with its bootstrap interval."""
        return bootstrap(self._scores(perturbation))

    def score_by_seed(self, perturbation: str) -> list[float]:
        """The same, one training seed at a time."""
        return self._scores(perturbation).mean(1).tolist()

    def lead(self, other: Standing, perturbations: Iterable[str], what: str = "success") -> Interval:
        """By how much this one is ahead, on average over perturbations, in parts of the episodes or points of score."""
        return bootstrap_difference(*self._pair(other, perturbations, what))

    def p_of_lead(self, other: Standing, perturbations: Iterable[str]) -> float:
        """Two-sided p value of no difference in success on average over perturbations, of this test alone."""
        return p_of_difference(*self._pair(other, perturbations, "success"))

    def _pair(self, other: Standing, perturbations: Iterable[str], what: str) -> tuple[np.ndarray, np.ndarray]:
        names = tuple(perturbations)
        ours, theirs = (
            np.mean([s._scores(p) if what == "score" else s._matrix(p, "success") for p in names], axis=0)
            for s in (self, other)
        )
        return ours, theirs

    def _matrix(self, perturbation: str, what: str) -> np.ndarray:
        return np.stack([r.matrix(perturbation, what) for r in self.records])

    def _scores(self, perturbation: str) -> np.ndarray:
        procedure = procedure_named(self.task)
        # A reward is an integral over time: of a longer episode, that of as long a part as the scale's
        duration_s = self.records[0].evaluations[perturbation].perturbation.get("duration_s", procedure.duration_s)
        rewards = self._matrix(perturbation, "reward")
        if duration_s != procedure.duration_s:
            rewards = rewards * (procedure.duration_s / duration_s)
        return procedure.score(rewards)

    @property
    def training_s(self) -> float | None:
        """Median time of a training [s]."""
        return median(r.training.seconds for r in self.records if r.training) if self.candidate.learns else None

    @property
    def parameters(self) -> int | None:
        """Trained numbers."""
        training = self.records[0].training
        return training.parameters if training else None

    @property
    def architecture(self) -> str:
        """In words."""
        training = self.records[0].training
        return training.architecture if training else self.candidate.remark

    @property
    def latency_us(self) -> tuple[float, float]:
        """Median and 99th percentile of a control step [us], the median over perturbations and training seeds."""
        cells = [e for r in self.records for e in r.evaluations.values()]
        return median(e.latency_p50_us for e in cells), median(e.latency_p99_us for e in cells)

    @property
    def real_time_factor(self) -> float:
        """Simulated seconds for each second of an evaluation, plant included."""
        cells = [e for r in self.records for e in r.evaluations.values()]
        return sum(e.simulated_s for e in cells) / sum(e.wall_s for e in cells)

    @cached_property
    def operations(self) -> float | None:
        """Synapses computed in one control step: all of them, or in a spiking network those that a spike crossed."""
        training, stats, steps = self.records[0].training, self._work(), self._steps()
        if training and training.operations is not None:
            return float(training.operations)
        return stats.synaptic_operations / steps if stats and steps else None

    def energy(self) -> dict[str, float]:
        """Dynamic energy of one control step by model [J]: an estimate by published prices, nothing is measured."""
        training, stats = self.records[0].training, self._work()
        if stats:
            return {name: estimate(stats, 0.0, name).dynamic / self._steps() for name in SPIKING_MODELS}
        if training and training.operations is not None:
            return {name: training.operations * MODELS[name].synaptic_operation for name in DENSE_MODELS}
        return {}

    def _work(self) -> BackendStats | None:
        done = [e.work for r in self.records for e in r.evaluations.values() if e.work]
        if not done:
            return None
        return BackendStats(**{name: int(sum(work[name] for work in done)) for name in done[0]})

    def _steps(self) -> int:
        return sum(e.steps for r in self.records for e in r.evaluations.values())


def _episodes(evaluation: Evaluation | None) -> tuple[int, int] | None:
    return (evaluation.first_seed, len(evaluation.success)) if evaluation else None


def standings(records: Iterable[Record]) -> dict[str, dict[str, Standing]]:
    """By task and candidate, in the order of their first record and of :data:`~.candidates.CANDIDATES`."""
    grouped: dict[str, dict[str, list[Record]]] = {}
    for record in records:
        grouped.setdefault(record.task, {}).setdefault(record.controller, []).append(record)
    return {
        task: {
            name: Standing(candidate(name), task, tuple(sorted(mine[name], key=lambda r: r.training_seed)))
            for name in CANDIDATES
            if name in mine
        }
        for task, mine in grouped.items()
    }
