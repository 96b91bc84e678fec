# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench robot --sweep``: success against one setting of the task, and the largest that is survived."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
from rich.table import Table

from ..errors import TaskError
from ..outputs import in_print, save_figure
from ..terminal import Console
from .robot import RobotBenchmark

#: A value is survived when at least this part of the episodes is.
SURVIVED = 0.9
#: Values of a sweep at most.
MOST_VALUES = 1000


def sweep_of(text: str) -> tuple[str, tuple[float, ...]]:
    """``"push=0.09:0.13:0.0025"``: name of the setting, and its values from the first to the last.

    Raises:
        TaskError: it is not of that form, or has no values, or too many.
    """
    name, _, values = text.partition("=")
    try:
        first, last, step = (float(part) for part in values.split(":"))
        n = int(np.floor((last - first) / step + 1e-9)) + 1
    except (ValueError, ZeroDivisionError, OverflowError):
        raise TaskError(f"--sweep {text}; give setting=first:last:step, e.g. push=0.09:0.13:0.0025") from None
    if not name or step <= 0 or not 1 <= n <= MOST_VALUES:
        raise TaskError(f"--sweep {text}; give a setting, a step above 0 and 1 to {MOST_VALUES} values")
    return name, tuple(round(first + step * k, 12) for k in range(n))


def largest_survived(values: np.ndarray, success: np.ndarray) -> float:
    """Where the success rate falls below :data:`SURVIVED`, interpolated between values.

    Args:
        values: ascending, shape ``(n,)``.
        success: success rates, shape ``(n,)``.

    Returns:
        NaN if not even the smallest value is survived; the largest of the sweep if all are.
    """
    if success[0] < SURVIVED:
        return float("nan")
    for k in range(1, len(values)):
        if success[k] < SURVIVED:
            share = (success[k - 1] - SURVIVED) / (success[k - 1] - success[k])
            return float(values[k - 1] + share * (values[k] - values[k - 1]))
    return float(values[-1])


def run(benchmark: RobotBenchmark, name: str, values: tuple[float, ...], console: Console) -> dict[str, Any]:
    """Run the benchmark's variants at each value of a setting; one that survives a value nowhere goes no further.

    The report's fractions are of the first variant's largest value.
    """
    rates: dict[str, list[float]] = {variant: [] for variant in benchmark.names}
    n_seeds = len(benchmark.seeds)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("episodes", total=len(values) * n_seeds * len(benchmark.names))
        for value in values:
            alive = tuple(variant for variant in benchmark.names if not rates[variant] or rates[variant][-1] > 0)
            successes = dict.fromkeys(benchmark.names, 0)
            if alive:
                settings = tuple(pair for pair in benchmark.settings if pair[0] != name)
                now = replace(benchmark, settings=(*settings, (name, value)), names=alive)
                for variant, figures in now.episodes():
                    successes[variant] += figures.success
                    progress.advance(bar)
            progress.advance(bar, n_seeds * (len(benchmark.names) - len(alive)))
            for variant in benchmark.names:
                rates[variant].append(successes[variant] / n_seeds)
    largest = {variant: largest_survived(np.array(values), np.array(rates[variant])) for variant in benchmark.names}
    reference = largest[benchmark.names[0]]
    return {
        "benchmark": "sweep",
        "title": benchmark.title,
        "seeds": [benchmark.seeds.start, benchmark.seeds.stop],
        "duration_s": benchmark.duration_s,
        "setting": name,
        "values": list(values),
        "survived_at": SURVIVED,
        "results": {
            variant: {
                "success_rates": rates[variant],
                "largest": largest[variant],
                "fraction_of_first": largest[variant] / reference,
            }
            for variant in benchmark.names
        },
    }


def print_table(report: dict[str, Any], console: Console) -> None:
    """One row a value, one column a variant."""
    results = report["results"]
    table = Table(title=f"success by {report['setting']}: {report['title']}")
    table.add_column(report["setting"], justify="right")
    for name in results:
        table.add_column(name, justify="right")
    for k, value in enumerate(report["values"]):
        table.add_row(f"{value:g}", *(f"{100 * r['success_rates'][k]:.0f} %" for r in results.values()))
    table.add_section()
    table.add_row(f"largest at {100 * SURVIVED:.0f} %", *(f"{r['largest']:.4g}" for r in results.values()))
    table.add_row(f"of {next(iter(results))}", *(f"{r['fraction_of_first']:.2f}" for r in results.values()))
    console.print(table)


@in_print()
def plot(report: dict[str, Any], path: Path) -> None:
    """Success against the setting."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, result in report["results"].items():
        axes.plot(report["values"], 100 * np.array(result["success_rates"]), marker="o", label=name)
    axes.axhline(100 * SURVIVED, color="0.6", linestyle=":")
    axes.set(xlabel=report["setting"], ylabel="episodes that succeed [%]", ylim=(-3, 103), title=report["title"])
    axes.legend()
    save_figure(figure, path)
