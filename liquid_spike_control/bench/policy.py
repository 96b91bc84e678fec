# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench policy``: how controller files do on the tasks that they were trained for.

The same episodes and perturbations as in the closed-loop benchmark, without its training.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE
from rich.progress import Progress
from rich.table import Table

from ..assembly import check_seeds_are_held_out
from ..control.files import read_controller_file
from ..errors import TaskError
from ..neuromorphic.backend import BackendStats
from ..outputs import write_json
from ..robots.catalogue import TRUTH, descriptions, robot_named, sensed_task_named
from ..tasks.episode import EpisodeController, EpisodeResult, run_episode
from ..tasks.perturbations import PERTURBATIONS, Perturbation, perturbation_named
from ..tasks.scale import anchors_of, has_scale, score
from ..tasks.task import ControlTask
from ..tasks.trained import trained_controller
from ..terminal import Console
from .closed_loop.statistics import Interval, bootstrap
from .entry import names_in, seed_range
from .episodes import wilson_interval

if TYPE_CHECKING:
    from ..options import BenchPolicyOptions


@dataclass(frozen=True, slots=True)
class Trial:
    """A controller to evaluate.

    Attributes:
        path: of its file.
        source: name, folder or yaml file of the robot.
        task: that it was trained for.
        controller: out of the file.
        perturbations: to evaluate it under.
    """

    path: Path
    source: str
    task: ControlTask
    controller: EpisodeController
    perturbations: tuple[Perturbation, ...]

    @classmethod
    def of(cls, path: Path, backend: str, names: Sequence[str], seeds: range, robot: str = "") -> Trial:
        """Read and check.

        Args:
            path: of the file.
            backend: what runs a spiking controller.
            names: of perturbations; all that apply to the task, if empty.
            seeds: of the episodes.
            robot: its name, folder or yaml file; that of the controller file by default.

        Raises:
            ModelError: the file is missing or damaged, or does not fit its task.
            TaskError: its task is not of the catalogue, or its scale is of another version; it was trained on the
                seeds, or a perturbation is unknown or does not apply.
        """
        file = read_controller_file(path)
        if not robot and file.task not in descriptions():
            known = ", ".join(descriptions())
            raise TaskError(f"{path}: its robot '{file.task}' is unknown; known: {known}; give --robot FOLDER")
        source = robot or file.task
        if has_scale(source):
            anchors_of(source)  # checks their version before the episodes, not after
        task = sensed_task_named(source)
        check_seeds_are_held_out(seeds, file.training_seeds, path)
        chosen = [perturbation_named(name) for name in names]
        for perturbation in chosen:
            perturbation.check_applies(task)
        return cls(path, source, task, trained_controller(path, task, backend), tuple(chosen or _applying(task)))

    def run(self, perturbation: Perturbation, seed: int) -> tuple[EpisodeResult, BackendStats | None]:
        """An episode, and the work of a spiking network in it."""
        result = run_episode(self.task, self.controller, perturbation, seed)
        stats = getattr(self.controller, "stats", None)
        return result, stats() if stats else None


@dataclass(frozen=True, slots=True)
class Figures:
    """Results of the episodes under one perturbation.

    Attributes:
        perturbation: its name.
        episodes: how many.
        success: part of the episodes, with Wilson's 95 % interval.
        score: 0 as random commands, 100 as the expert on clean episodes; with a bootstrap over the episodes. None for a
            task without a recorded scale.
        reward: mean total reward.
        steps: control steps.
        unsafe: commands that were not finite.
        latency_p50_us, latency_p99_us: of a control step [us].
        real_time_factor: simulated seconds in one of the evaluation.
        work: of a spiking network, summed over the episodes, by the names of
            :class:`~..neuromorphic.backend.BackendStats`.
    """

    perturbation: str
    episodes: int
    success: Interval
    score: Interval | None
    reward: float
    steps: int
    unsafe: int
    latency_p50_us: float
    latency_p99_us: float
    real_time_factor: float
    work: dict[str, int] | None

    @classmethod
    def of(
        cls, source: str, perturbation: str, results: Sequence[EpisodeResult], work: Sequence[BackendStats]
    ) -> Figures:
        """Those of some episodes; ``source`` is of the robot."""
        n_success = sum(r.success for r in results)
        rewards = np.array([r.total_reward for r in results])
        p50, p99 = np.percentile(np.concatenate([r.latencies_us for r in results]), (50, 99))
        return cls(
            perturbation, len(results),
            Interval(n_success / len(results), *wilson_interval(n_success, len(results))),
            bootstrap(np.asarray(score(source, rewards))[None]) if has_scale(source) else None,
            float(rewards.mean()), sum(r.n_steps for r in results), int(sum(r.n_unsafe for r in results)),
            float(p50), float(p99),
            sum(r.elapsed_s for r in results) / sum(r.wall_s for r in results),
            {f.name: sum(getattr(stats, f.name) for stats in work) for f in fields(BackendStats)} if work else None,
        )  # fmt: skip


def policy_command(options: BenchPolicyOptions) -> int:
    """Run the episodes, print a table for each controller, and write the requested files.

    Raises:
        ModelError: a file is missing, damaged or does not fit its task.
        TaskError: an option is wrong.
    """
    console, seeds = Console(), seed_range(options.seeds)
    models = options.models
    if options.robot and not models:
        models = (robot_named(options.robot.removesuffix(TRUTH)).model("controller"),)
    if not models:
        raise TaskError("give a controller file, such as one that `liquid-spike train policy` writes, or --robot ROBOT")
    names = names_in(options.perturbations)
    trials = [Trial.of(path, options.backend, names, seeds, options.robot) for path in models]
    report = {"seeds": [seeds.start, seeds.stop], "controllers": [_tried(trial, seeds, console) for trial in trials]}
    write_json(options.json, report)
    return 0


def _tried(trial: Trial, seeds: range, console: Console) -> dict[str, Any]:
    """All episodes of a controller; its table is printed."""
    rows = []
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(trial.path.name, total=len(trial.perturbations) * len(seeds))
        trial.run(trial.perturbations[0], seeds[0])  # kernels are compiled; nothing of it counts
        for perturbation in trial.perturbations:
            results, work = [], []
            for seed in seeds:
                result, stats = trial.run(perturbation, seed)
                results.append(result)
                work += [stats] if stats else []
                progress.advance(bar)
            rows.append(Figures.of(trial.source, perturbation.name, results, work))
    console.print(_table(f"{trial.path.name}: {trial.task.name}, seeds {seeds.start}:{seeds.stop}", rows))
    return {"model": str(trial.path), "task": trial.task.name, "figures": [asdict(row) for row in rows]}


def _table(title: str, rows: Sequence[Figures]) -> Table:
    caption = "brackets: 95 % intervals over episodes; step: median, 99th percentile"
    header = ["perturbation", "success [%]", "score", "reward", "step, us", "x real"]
    if any(row.work for row in rows):
        header.append("synapses")
        caption += "; synapses: crossed by spikes in a step"
    table = Table(title=title, caption=caption, box=SIMPLE, padding=(0, 1, 0, 0))
    for name in header:
        table.add_column(name, justify="left" if name == "perturbation" else "right", no_wrap=True)
    for row in rows:
        success, scored = row.success, row.score
        texts = [
            row.perturbation,
            f"{100 * success.mean:.0f} ({100 * success.low:.0f}–{100 * success.high:.0f})",
            f"{scored.mean:.0f} ({scored.low:.0f}–{scored.high:.0f})" if scored else "-",
            f"{row.reward:.4g}",
            f"{row.latency_p50_us:.1f}, {row.latency_p99_us:.0f}",
            f"{row.real_time_factor:.0f}",
        ]
        if row.work:
            texts.append(f"{row.work['synaptic_operations'] / row.steps:,.0f}")
        table.add_row(*texts)
    return table


def _applying(task: ControlTask) -> list[Perturbation]:
    """All perturbations of what the task has."""
    applying = []
    for perturbation in PERTURBATIONS.values():
        with suppress(TaskError):
            perturbation.check_applies(task)
            applying.append(perturbation)
    return applying
