# SPDX-License-Identifier: Apache-2.0
"""What ``liquid-spike bench closed-loop`` does with its options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from ..entry import seed_range
from . import running
from .benchmark import Benchmark, Progress
from .engines import Engine, Processes, Ray
from .plan import Plan, changed, plan_named
from .record import Cache

if TYPE_CHECKING:
    from ...options import ClosedLoopOptions


def closed_loop_command(options: ClosedLoopOptions) -> int:
    """Run what is open of the plan, then report on all of it. Status 1: cells came to nothing."""
    console = Console()
    benchmark = Benchmark(chosen_plan(options), Cache(options.cache or default_cache(), options.results))
    open_cells = len(benchmark.open_cells())
    console.print(
        f"plan {benchmark.plan.name}: {len(benchmark.cells)} cells, {len(benchmark.cells) - open_cells} of them in the "
        f"cache; about {in_hours(benchmark.estimate_s(options.jobs))} with {options.jobs} jobs"
    )
    status = 0
    if open_cells:
        engine: Engine = Ray(running.run) if options.engine == "ray" else Processes(running.run, options.jobs)
        try:
            status = 1 if _watched(benchmark, engine, console).failed else 0
        except KeyboardInterrupt:
            console.print("interrupted; what has ended is kept: the same command goes on from there")
            raise
    return status


def chosen_plan(options: ClosedLoopOptions) -> Plan:
    """The plan that the options say.

    Raises:
        TaskError: they say what cannot be.
    """
    return changed(
        plan_named(options.plan),
        controllers=_names(options.controllers),
        tasks=_names(options.tasks),
        perturbations=_names(options.perturbations),
        training_seeds=seed_range(options.training_seeds, "--training-seeds") if options.training_seeds else None,
        episodes=options.episodes,
    )


def default_cache() -> Path:
    """Where a user's caches lie (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "liquid_spike_control" / "closed_loop"


def in_hours(seconds: float) -> str:
    """``"40 s"``, ``"12 min"`` or ``"5.6 h"``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _watched(benchmark: Benchmark, engine: Engine, console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=console) as bar:
        shown = bar.add_task("cells", total=len(benchmark.cells), left="")

        def told(progress: Progress) -> None:
            left = f"about {in_hours(progress.left_s)} left" if progress.left_s else ""
            bar.update(shown, completed=progress.done, left=left)

        progress = benchmark.run(engine, told)
    for cell, reason in progress.failed.items():
        console.print(f"[red]{cell}: {reason}")
    return progress
