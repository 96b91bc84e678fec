# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench robot --conditions``: the ways to drive a robot under several settings of its task, in one run.

Every variant drives the same seeds under every condition, so that two of them are compared episode by episode: an exact
sign test on the seeds that one of them masters and the other does not, which for one condition is McNemar's test.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.progress import Progress
from rich.table import Table

from .. import __version__
from ..errors import TaskError
from ..outputs import in_print, save_figure
from ..terminal import Console
from .episodes import EpisodeFigures, summarise, wilson_interval
from .robot import RobotBenchmark, Setting, run_work, task_figure, task_figures

#: Shapes of the variants in a picture: they are told apart without colour.
MARKERS = "osD^v<>PX*hd"


def sign_test(better: int, worse: int) -> float:
    """Two-sided exact p of a sign test: so uneven or more, were both signs as likely.

    Args:
        better, worse: pairs of the one and of the other sign; ties are left out.
    """
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1)) / 2**n
    return min(1.0, 2 * tail)


def poisson_interval(count: int) -> tuple[float, float]:
    """Exact 95 % interval of an expected count (Garwood 1936)."""
    from scipy.stats import chi2

    low = float(chi2.ppf(0.025, 2 * count) / 2) if count else 0.0
    return low, float(chi2.ppf(0.975, 2 * count + 2) / 2)


def run(
    benchmark: RobotBenchmark, conditions: Mapping[str, tuple[tuple[str, Setting], ...]], against: str, console: Console
) -> dict[str, Any]:
    """Run the benchmark's variants under each condition, and return what is written as JSON.

    Args:
        benchmark: its settings hold under every condition, unless that gives the same setting.
        conditions: settings by the name of the condition.
        against: the variant that the others are compared with; the first one if empty.
        console: for the progress bar.

    Raises:
        LiquidSpikeError: the variant to compare with is none that runs, or the robot does not take a setting.
    """
    against = against or benchmark.names[0]
    if against not in benchmark.names:
        known = ", ".join(benchmark.names)
        raise TaskError(f"--against {against}: not among the variants that run; give one of {known}")
    under = {name: replace(benchmark, settings=tuple((dict(benchmark.settings) | dict(own)).items()))
             for name, own in conditions.items()}  # fmt: skip
    work = [item for each in under.values() for item in each.work()]
    per = len(benchmark.seeds) * len(benchmark.names)
    labels = list(under)
    found: dict[str, dict[str, list[EpisodeFigures]]] = {c: {name: [] for name in benchmark.names} for c in labels}
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("episodes", total=len(work))
        for number, figures in run_work(work, benchmark.jobs):
            found[labels[number // per]][work[number][1]].append(figures)
            progress.advance(bar)
    estimates = [e.name for e in benchmark.robot.estimates]
    results = {}
    for condition, episodes in found.items():
        for mine in episodes.values():
            mine.sort(key=lambda e: e.seed)
        results[condition] = {
            name: summarise(mine, estimates) | {"against": _compared([mine], [episodes[against]])}
            for name, mine in episodes.items()
        }
    overall = {}
    for name in benchmark.names:
        whole, others = [found[c][name] for c in labels], [found[c][against] for c in labels]
        every = [episode for each in whole for episode in each]
        overall[name] = summarise(every, estimates) | {"against": _compared(whole, others)}
    return {
        "benchmark": "conditions",
        "title": benchmark.title,
        "version": __version__,
        "robot": benchmark.robot.name,
        "failure": benchmark.robot.failure,
        "seeds": [benchmark.seeds.start, benchmark.seeds.stop],
        "duration_s": benchmark.duration_s,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "against": against,
        "conditions": {name: dict(each.settings) for name, each in under.items()},
        "results": results,
        "overall": overall,
    }


def _compared(mine: Sequence[Sequence[EpisodeFigures]], theirs: Sequence[Sequence[EpisodeFigures]]) -> dict[str, Any]:
    """On how many seeds more conditions are mastered than by the other, on how many fewer, and p of the sign test."""
    count = [np.sum([[e.success for e in episodes] for episodes in each], 0) for each in (mine, theirs)]
    better, worse = int((count[0] > count[1]).sum()), int((count[0] < count[1]).sum())
    return {"better": better, "worse": worse, "p": sign_test(better, worse)}


def print_table(report: dict[str, Any], console: Console) -> None:
    """One row a condition, one column a variant: success, failures per kilometre, and the sign test."""
    rows = report["results"] | {"all": report["overall"]}
    console.print(report["title"], markup=False, highlight=False)

    def table(title: str, cell: Any) -> None:
        shown = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
        shown.add_column("", no_wrap=True)
        for name in report["overall"]:
            shown.add_column(name, justify="right")
        for condition, figures in rows.items():
            if condition == "all":
                shown.add_section()
            shown.add_row(condition, *(cell(name, each) for name, each in figures.items()))
        console.print(shown)

    episodes = len(range(*report["seeds"]))
    table(f"success of {episodes} episodes [%]", lambda name, r: f"{100 * r['success_rate']:.0f}")
    if any(r["failures_per_km"] is not None for r in report["overall"].values()):
        table(f"{report['failure']}, per km",
              lambda name, r: "-" if r["failures_per_km"] is None else f"{r['failures_per_km']:.1f}")  # fmt: skip
    for name, kind, shown in task_figures(next(iter(report["overall"].values()))):
        table(shown, lambda _, r, name=name, kind=kind: task_figure(r, name, kind))
    against = report["against"]
    if len(report["overall"]) > 1:

        def compared(name: str, r: dict[str, Any]) -> str:
            pair = r["against"]
            return "" if name == against else f"{pair['better']}:{pair['worse']} {pair['p']:.2g}"

        table(f"seeds with more successes than {against} : with fewer, and p of the sign test", compared)


@in_print()
def plot(report: dict[str, Any], path: Path) -> None:
    """Failures per kilometre, or where no distance is known failures, of each variant under each condition."""
    from matplotlib.figure import Figure

    results, variants = report["results"], list(report["overall"])
    travels = all(r["failures_per_km"] is not None for r in report["overall"].values())
    width = max(6.5, 0.16 * len(variants) * len(results) + 1.5)
    figure = Figure(figsize=(min(width, 14), 4.2), layout="constrained")
    axes = figure.subplots()
    offsets = np.linspace(-0.36, 0.36, len(variants)) if len(variants) > 1 else [0.0]
    for k, (name, offset) in enumerate(zip(variants, offsets, strict=True)):
        values, low, high = np.array([_failures(each[name], travels) for each in results.values()]).T
        axes.errorbar(
            np.arange(len(results)) + offset, values, [values - low, high - values], label=name,
            marker=MARKERS[k % len(MARKERS)], markersize=5, linestyle="none", linewidth=0.8, markeredgecolor="black",
            markeredgewidth=0.5,
        )  # fmt: skip
    for k in range(1, len(results)):
        axes.axvline(k - 0.5, color="0.85", linewidth=0.8)
    what = f"{report['failure']}, per km" if travels else "episodes without success [%]"
    axes.set(ylabel=f"{what} (95 %)", xlim=(-0.5, len(results) - 0.5), title=report["title"])
    axes.set_ylim(0)
    axes.set_xticks(range(len(results)), [c.replace(",", "\n").replace("=", "\n") for c in results], fontsize=8)
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=min(len(variants), 8), fontsize=8)
    save_figure(figure, path)


def _failures(figures: dict[str, Any], travels: bool) -> tuple[float, float, float]:
    """A value and its 95 % interval: failures per kilometre, or the episodes without success [%]."""
    if travels:
        low, high = poisson_interval(figures["failures"])
        return figures["failures_per_km"], low / figures["distance_km"], high / figures["distance_km"]
    n, rate = figures["episodes"], figures["success_rate"]
    low, high = wilson_interval(round(n * rate), n)
    return 100 * (1 - rate), 100 * (1 - high), 100 * (1 - low)
