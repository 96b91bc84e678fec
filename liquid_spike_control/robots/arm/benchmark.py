# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench adaptation``: PD, PID, PD with a spiking term that learns, and computed torque, on the arm.

All of them meet the same episodes, and all of their commands pass the gate. The tracking error is the distance of the
three joints from the trajectory, all together.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import Progress
from rich.table import Table

from ...assembly import check_seeds_are_held_out, new_loop, read_robot_controller
from ...bench.entry import seed_range
from ...control.files import read_controller_file
from ...errors import TaskError
from ...loop import Loop
from ...options import BenchAdaptationOptions
from ...outputs import in_print, save_figure, write_json
from ...parent_death import end_with_parent
from ...robot_file import read_robot
from ...terminal import Console
from .task import CHANGES_S, Track

ROBOT = read_robot(Path(__file__).parent)
#: The controllers' files by name; None is the expert, computed torque with the true model.
CONTROLLERS: dict[str, str | None] = {
    "PD": "pd.yaml", "PID": "pid.yaml", "PD + spiking": "adaptive.yaml", "computed torque": None,
}  # fmt: skip
#: What is measured: the root mean square of the error between two times [s].
WINDOWS = ((0.0, 5.0), (15.0, 20.0), (20.0, 25.0), (30.0, 40.0), (40.0, 45.0), (50.0, 60.0))
#: Windows of the two claims: against PD, and against PID after each change.
SETTLED, CHANGED = 1, (2, 3, 4, 5)
#: An episode is stable where no joint was lost, and the last window's error is below this [rad] ...
STABLE = 0.3
#: Time between two points of the curves [s].
POINT_S = 0.25


@dataclass(frozen=True, slots=True)
class Trial:
    """A controller in an episode.

    Attributes:
        name: of the controller, in tables.
        path: of its file; None is the expert.
        change: what changes, see :class:`.task.Track`.
        seed: of the episode.
        duration_s: of the episode [s].
        latency_s: between sensing and torque [s].
    """

    name: str
    path: str | None
    change: str
    seed: int
    duration_s: float
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial came to.

    Attributes:
        errors: float64 ``(n_windows,)`` [rad]; NaN of a window that the episode did not reach.
        lost: a joint was further than 1 rad from its target.
        account: how learning stood at the end; empty for what learns nothing.
        curve: float64 ``(n_points,)``, root mean square of the error in each quarter of a second [rad].
    """

    errors: np.ndarray
    lost: bool
    account: dict[str, object]
    curve: np.ndarray

    @property
    def stable(self) -> bool:
        """No joint was lost, learning did not freeze itself, and the error stayed small."""
        reached = self.errors[~np.isnan(self.errors)]
        frozen = str(self.account.get("learning", "")).startswith("frozen")
        return not self.lost and not frozen and bool(reached[-1] < STABLE)


def run_trial(trial: Trial) -> tuple[Trial, Outcome]:
    """Run an episode in one process, through the gate."""
    loop = _loop(trial)
    task = loop.world.task
    assert isinstance(task, Track)
    loop.reset(trial.seed)
    errors = []
    while not task.over:
        loop.tick()
        errors.append(task.error)
    square = np.array(errors) ** 2
    per_s = round(1 / ROBOT.period_s)

    def between(begin_s: float, end_s: float) -> float:
        part = square[round(begin_s * per_s) : round(end_s * per_s)]
        return float(np.sqrt(part.mean())) if len(part) == round((end_s - begin_s) * per_s) else float("nan")

    n = round(POINT_S * per_s)
    curve = np.sqrt(square[: len(square) // n * n].reshape(-1, n).mean(1))
    account: dict[str, object] = getattr(loop.controller, "account", dict)()
    return trial, Outcome(np.array([between(*window) for window in WINDOWS]), task.failed, account, curve)


#: The loops of this process, by controller, change, duration and latency.
_loops: dict[tuple[str | None, str, float, float], Loop] = {}


def _loop(trial: Trial) -> Loop:
    key = trial.path, trial.change, trial.duration_s, trial.latency_s
    if key not in _loops:
        _loops[key] = new_loop(
            ROBOT, controller=trial.path, duration_s=trial.duration_s, expert=trial.path is None, change=trial.change,
            latency_s=trial.latency_s,
        )
    return _loops[key]


def _outcomes(trials: Sequence[Trial], jobs: int) -> Iterator[tuple[Trial, Outcome]]:
    if jobs == 1:
        yield from map(run_trial, trials)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, end_with_parent, (os.getpid(),)) as pool:
        yield from pool.imap_unordered(run_trial, trials)


def adaptation_command(options: BenchAdaptationOptions) -> int:
    """Run the episodes, print a table for each change, write what was asked for.

    Raises:
        ModelError: a controller is damaged or does not fit.
        TaskError: an option is wrong, or a controller was tuned on the seeds.
    """
    console, seeds = Console(), seed_range(options.seeds)
    controllers: dict[str, str | None] = {
        name: None if file is None else str(ROBOT.file(file)) for name, file in CONTROLLERS.items()
    }
    if options.models:
        controllers = {str(path): str(path) for path in options.models}
    for path in filter(None, controllers.values()):
        read_robot_controller(ROBOT, path)
        check_seeds_are_held_out(seeds, read_controller_file(path).training_seeds, path)
    if options.duration < WINDOWS[SETTLED][1]:
        raise TaskError(f"--duration {options.duration:g}: give at least {WINDOWS[SETTLED][1]:g} s")
    changes = ("payload", "motor") if options.change == "both" else (options.change,)
    trials = [
        Trial(name, path, change, seed, options.duration, options.latency)
        for seed in seeds for change in changes for name, path in controllers.items()
    ]  # fmt: skip
    found: dict[tuple[str, str], list[tuple[int, Outcome]]] = {}
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("episodes", total=len(trials))
        for trial, outcome in _outcomes(trials, options.jobs):
            found.setdefault((trial.change, trial.name), []).append((trial.seed, outcome))
            progress.advance(bar)
    report = {
        "benchmark": "adaptation", "seeds": [seeds.start, seeds.stop], "duration_s": options.duration,
        "latency_s": options.latency, "windows_s": [list(window) for window in WINDOWS],
        "changes": {
            change: {name: _summary(found[change, name]) for name in controllers} for change in changes
        },
    }  # fmt: skip
    for change in changes:
        print_table(report, change, console)
    if options.plot:
        plot(report, options.plot)
    write_json(options.json, report)
    return 0


def _summary(outcomes: Sequence[tuple[int, Outcome]]) -> dict:
    """Means over the episodes; what was lost counts up to where it was lost."""
    outcomes = sorted(outcomes, key=lambda pair: pair[0])
    errors = np.array([outcome.errors for _, outcome in outcomes])
    length = min(len(outcome.curve) for _, outcome in outcomes)
    curve = np.mean([outcome.curve[:length] for _, outcome in outcomes], axis=0)
    known = [column[~np.isnan(column)] for column in errors.T]
    return {
        "episodes": len(outcomes),
        "stable": sum(outcome.stable for _, outcome in outcomes),
        "unstable_seeds": [seed for seed, outcome in outcomes if not outcome.stable],
        "error_rad": [float(column.mean()) if len(column) else None for column in known],
        "error_rad_worst": [float(column.max()) if len(column) else None for column in known],
        "frozen": sum(str(o.account.get("learning", "")).startswith("frozen") for _, o in outcomes),
        "saturated_most": max(float(str(o.account.get("learnt_saturated", 0))) for _, o in outcomes),
        "curve_rad": [round(float(value), 6) for value in curve],
    }


def print_table(report: dict, change: str, console: Console) -> None:
    """The errors of each window, and whether the goals are met."""
    results, seeds = report["changes"][change], report["seeds"]
    what = {"payload": "the payload changes", "motor": "a motor gives half from 20 s on", "none": "nothing changes"}
    table = Table(title=f"tracking error, mrad rms; {what[change]}; seeds {seeds[0]}:{seeds[1]}")
    table.add_column("controller")
    for begin, end in report["windows_s"]:
        table.add_column(f"{begin:g}–{end:g} s", justify="right")
    table.add_column("stable", justify="right")
    for name, result in results.items():
        cells = ["-" if error is None else f"{1e3 * error:.1f}" for error in result["error_rad"]]
        table.add_row(name, *cells, f"{result['stable']} of {result['episodes']}")
    console.print(table)
    pd, pid, learns = (results.get(name) for name in ("PD", "PID", "PD + spiking"))
    if pd and pid and learns:
        of_pd = learns["error_rad"][SETTLED] / pd["error_rad"][SETTLED]
        of_pid = [
            f"{learns['error_rad'][k] / pid['error_rad'][k]:.2f}" for k in CHANGED if learns["error_rad"][k] is not None
        ]
        console.print(f"PD + spiking: {of_pd:.3f} of PD's error at 15 to 20 s; of PID's after the changes:", *of_pid)


@in_print()
def plot(report: dict, path: Path) -> None:
    """Error over time, a panel for each change."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2 * len(report["changes"])), layout="constrained")
    panels = figure.subplots(len(report["changes"]), 1, squeeze=False)[:, 0]
    for axes, (change, results) in zip(panels, report["changes"].items(), strict=True):
        for name, result in results.items():
            curve = 1e3 * np.array(result["curve_rad"])
            axes.semilogy(POINT_S * (np.arange(len(curve)) + 0.5), curve, label=name)
        for at in CHANGES_S if change == "payload" else CHANGES_S[:1]:
            axes.axvline(at, color="0.7", linestyle=":")
        title = {"payload": "payload drawn anew at 20 and 40 s", "motor": "one motor gives half from 20 s on"}
        axes.set(ylabel="tracking error [mrad]", title=title.get(change, "nothing changes"))
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel("time [s]")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(f"arm, mean over seeds {report['seeds'][0]}:{report['seeds'][1]}", fontsize=10)
    save_figure(figure, path)
