# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench push``: the largest push that a controller survives, beside LQR on the true state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.progress import Progress
from rich.table import Table

from ...outputs import save_figure
from ...terminal import Console
from .benchmark import PencilBenchmark

#: Impulses of the sweep [N s].
PUSHES = tuple(round(0.09 + 0.0025 * k, 4) for k in range(17))
#: A push is survived when at least this part of the episodes is.
SURVIVED = 0.9


def largest_push(pushes: np.ndarray, success: np.ndarray) -> float:
    """Where the success rate falls below :data:`SURVIVED`, interpolated between pushes [N s].

    Args:
        pushes: ascending, shape ``(n,)``.
        success: success rates, shape ``(n,)``.

    Returns:
        NaN if not even the smallest push is survived; the largest push of the sweep if all are.
    """
    if success[0] < SURVIVED:
        return float("nan")
    for k in range(1, len(pushes)):
        if success[k] < SURVIVED:
            share = (success[k - 1] - SURVIVED) / (success[k - 1] - success[k])
            return float(pushes[k - 1] + share * (pushes[k] - pushes[k - 1]))
    return float(pushes[-1])


def run(benchmark: PencilBenchmark, console: Console, pushes: tuple[float, ...] = PUSHES) -> dict:
    """Sweep the pushes for the benchmark's variants on its seeds; a variant that survives none is not pushed on."""
    rates: dict[str, list[float]] = {name: [] for name in benchmark.variants}
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("episodes", total=len(pushes) * len(benchmark.seeds) * len(benchmark.variants))
        for push in pushes:
            alive = tuple(name for name in benchmark.variants if not rates[name] or rates[name][-1] > 0)
            successes = dict.fromkeys(benchmark.variants, 0)
            if alive:
                now = replace(benchmark, task=replace(benchmark.task, push=push), variants=alive)
                for name, figures in now.episodes():
                    successes[name] += figures.success
                    progress.advance(bar)
            progress.advance(bar, len(benchmark.seeds) * (len(benchmark.variants) - len(alive)))
            for name in benchmark.variants:
                rates[name].append(successes[name] / len(benchmark.seeds))
    largest = {name: largest_push(np.array(pushes), np.array(rates[name])) for name in benchmark.variants}
    reference = largest.get("lqr_true", float("nan"))
    return {
        "benchmark": "push",
        "seeds": [benchmark.seeds.start, benchmark.seeds.stop],
        "duration_s": benchmark.task.duration_s,
        "pushes_n_s": list(pushes),
        "survived_at": SURVIVED,
        "results": {
            name: {
                "success_rates": rates[name],
                "largest_push_n_s": largest[name],
                "fraction_of_lqr_true": largest[name] / reference,
            }
            for name in benchmark.variants
        },
    }


def print_table(report: dict, console: Console) -> None:
    """One row a push, one column a variant."""
    results = report["results"]
    first, stop = report["seeds"]
    table = Table(title=f"success by push, seeds {first}:{stop}, {report['duration_s']:g} s")
    table.add_column("push, N s", justify="right")
    for name in results:
        table.add_column(name, justify="right")
    for k, push in enumerate(report["pushes_n_s"]):
        table.add_row(f"{push:.4f}", *(f"{100 * r['success_rates'][k]:.0f} %" for r in results.values()))
    table.add_section()
    table.add_row(f"largest at {100 * SURVIVED:.0f} %", *(f"{r['largest_push_n_s']:.4f}" for r in results.values()))
    table.add_row("of lqr_true", *(f"{r['fraction_of_lqr_true']:.2f}" for r in results.values()))
    console.print(table)


def plot(report: dict, path: Path) -> None:
    """Success against push."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, result in report["results"].items():
        axes.plot(report["pushes_n_s"], 100 * np.array(result["success_rates"]), marker="o", label=name)
    axes.axhline(100 * SURVIVED, color="0.6", linestyle=":")
    axes.set(xlabel="push at the pole's centre of mass [N s]", ylabel="episodes balanced [%]", ylim=(-3, 103))
    axes.set_title(f"pencil, seeds {report['seeds'][0]}:{report['seeds'][1]}, {report['duration_s']:g} s")
    axes.legend()
    save_figure(figure, path)
