# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench robot``: closed-loop figures of the ways to drive a robot, on held-out seeds."""

from __future__ import annotations

import math
import multiprocessing
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.progress import Progress
from rich.table import Table

from .. import __version__
from ..assembly import check_seeds_are_held_out, read_robot_controller, read_robot_perception
from ..control.files import read_controller_file
from ..errors import TaskError
from ..history import History
from ..loop import Loop
from ..neuromorphic.backend import BackendStats
from ..neuromorphic.energy.estimate import estimate as estimate_energy
from ..parent_death import end_with_parent
from ..robot import Robot
from ..robots.catalogue import robot_named
from ..tasks.of_robot import task_of
from ..terminal import Console
from ..video.film import film
from .episodes import EpisodeFigures, run_episode, summarise
from .variants import chosen_variants, controller_file, loop_of_variant

#: A setting of a task.
Setting = bool | int | float | str


@dataclass(frozen=True)
class RobotBenchmark:
    """What is run.

    Attributes:
        source: name, folder or yaml file of the robot.
        seeds: of the episodes; none may be a training seed.
        names: of variants, see :func:`~.variants.variants_of`; all if empty.
        settings: of the task, name and value.
        duration_s: of an episode [s]; the task's own by default.
        perception, controller: take the place of the description's models.
        jobs: processes.
        rendered: see :class:`~..sim.world.World`.

    Raises:
        RobotError: there is no such robot, or its task has no such setting.
        TaskError: a variant is unknown, a setting is out of range, or the seeds are none or have a training seed.
        ModelError: a file is damaged or does not fit.
    """

    source: str
    seeds: range
    names: tuple[str, ...] = ()
    settings: tuple[tuple[str, Setting], ...] = ()
    duration_s: float | None = None
    perception: Path | None = None
    controller: Path | None = None
    jobs: int = 2
    rendered: bool = False

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise TaskError("give at least one job")
        robot = self.robot
        chosen = chosen_variants(robot, self.names)
        object.__setattr__(self, "names", tuple(chosen))
        object.__setattr__(self, "duration_s", task_of(robot, self.duration_s, **dict(self.settings)).duration_s)
        if not self.seeds:
            raise TaskError(f"the seed range {self.seeds.start}:{self.seeds.stop} is empty; give first:last+1")
        if self.perceives:
            model = read_robot_perception(robot, self.perception)
            trained_on = model.metadata.get("training_seeds")
            if trained_on:
                source = self.perception or robot.model("perception")
                check_seeds_are_held_out(self.seeds, tuple(trained_on), source)
        for path in {controller_file(robot, variant, self.controller) for variant in chosen.values()}:
            if path is not None:
                read_robot_controller(robot, path)
                check_seeds_are_held_out(self.seeds, read_controller_file(path).training_seeds, path)

    @property
    def robot(self) -> Robot:
        """The robot."""
        return robot_named(self.source)

    @property
    def perceives(self) -> bool:
        """Whether a variant has the robot's spiking perception."""
        robot = self.robot
        chosen = chosen_variants(robot, self.names).values()
        return bool(robot.estimates) and any(variant.estimates == "perception" for variant in chosen)

    @property
    def title(self) -> str:
        """What is run, in a line."""
        settings = "".join(f", {name}={value}" for name, value in self.settings)
        return f"{self.robot.name}, seeds {self.seeds.start}:{self.seeds.stop}, {self.duration_s:g} s{settings}"

    def loop(self, name: str) -> Loop:
        """The loop of a variant."""
        robot = self.robot
        return loop_of_variant(
            robot, chosen_variants(robot, (name,))[name], perception=self.perception, controller=self.controller,
            rendered=self.rendered, duration_s=self.duration_s, **dict(self.settings),
        )  # fmt: skip

    def episodes(self) -> Iterator[tuple[str, EpisodeFigures]]:
        """Run everything; yields variant and figures as they come."""
        work = self.work()
        for number, figures in run_work(work, self.jobs):
            yield work[number][1], figures

    def work(self) -> list[tuple[RobotBenchmark, str, int]]:
        """The episodes: this, variant and seed of each."""
        return [(self, name, seed) for seed in self.seeds for name in self.names]


def run_work(work: Sequence[tuple[RobotBenchmark, str, int]], jobs: int) -> Iterator[tuple[int, EpisodeFigures]]:
    """Run episodes of one or more benchmarks; yields number and figures of each as they come.

    Args:
        work: benchmark, variant and seed; those of one benchmark one after the other.
        jobs: processes.
    """
    if jobs == 1:
        yield from map(_run_one, enumerate(work))
        return
    with multiprocessing.get_context("spawn").Pool(jobs, end_with_parent, (os.getpid(),)) as pool:
        yield from pool.imap_unordered(_run_one, enumerate(work))


#: The loops of this process, of one benchmark, by variant: GL contexts and models are made once.
_loops: dict[tuple[RobotBenchmark, str], Loop] = {}


def _run_one(item: tuple[int, tuple[RobotBenchmark, str, int]]) -> tuple[int, EpisodeFigures]:
    number, (benchmark, name, seed) = item
    for key in [key for key in _loops if key[0] != benchmark]:
        _loops.pop(key).world.close()
    if (benchmark, name) not in _loops:
        _loops[benchmark, name] = benchmark.loop(name)
    return number, run_episode(_loops[benchmark, name], seed)


def run(benchmark: RobotBenchmark, console: Console) -> dict[str, Any]:
    """Run with a progress bar and return what is written as JSON."""
    episodes: dict[str, list[EpisodeFigures]] = {name: [] for name in benchmark.names}
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("episodes", total=len(benchmark.seeds) * len(benchmark.names))
        for name, figures in benchmark.episodes():
            episodes[name].append(figures)
            progress.advance(bar)
    robot = benchmark.robot
    step_s = float(read_robot_perception(robot, benchmark.perception).metadata["dt"]) if benchmark.perceives else None
    results = {}
    for name, mine in episodes.items():
        mine.sort(key=lambda e: e.seed)
        results[name] = summarise(mine, [e.name for e in robot.estimates])
        results[name] |= _energy([e.stats for e in mine if e.stats is not None], step_s)
    return {
        "benchmark": "robot",
        "title": benchmark.title,
        "version": __version__,
        "robot": robot.name,
        "failure": robot.failure,
        "units": {e.name: e.unit for e in robot.estimates},
        "settings": dict(benchmark.settings),
        "duration_s": benchmark.duration_s,
        "seeds": [benchmark.seeds.start, benchmark.seeds.stop],
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "results": results,
    }


def film_first(benchmark: RobotBenchmark, path: Path, console: Console) -> None:
    """Write a video of the first seed's episode, driven by the first variant: run anew, hence the same.

    Raises:
        LiquidSpikeError: there is no off-screen GL, no encoder, or the file cannot be written.
    """
    name, seed, history = benchmark.names[0], benchmark.seeds[0], History(benchmark.robot)
    loop = benchmark.loop(name)
    try:
        figures = run_episode(loop, seed, history)
    finally:
        loop.world.close()
    robot = benchmark.robot
    title = f"{robot.name}, {name}, seed {seed}: {robot.success if figures.success else robot.failure}"
    film(history, path, title, seed, benchmark.duration_s, dict(benchmark.settings), console)


def _energy(stats: list[BackendStats], step_s: float | None) -> dict[str, Any]:
    if not stats or step_s is None:
        return {"energy_model": None, "dynamic_power_uw": None}
    names = BackendStats.__dataclass_fields__
    energy = estimate_energy(BackendStats(**{n: sum(getattr(s, n) for s in stats) for n in names}), step_s)
    return {"energy_model": f"{energy.model.name} (estimate)", "dynamic_power_uw": energy.dynamic_power * 1e6}


def task_figures(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Of the task's own figures: name, kind (``share``, ``median`` or ``p95``) and what a table calls it."""
    return [(name, kind, name if kind == "share" else f"{name}, {kind}")
            for name, kinds in summary["figures"].items() for kind in kinds]  # fmt: skip


def task_figure(summary: dict[str, Any], name: str, kind: str) -> str:
    """One of a task's own figures as a table shows it."""
    value = summary["figures"].get(name, {}).get(kind)
    if value is None:
        return "-"
    return f"{100 * value:.0f} %" if kind == "share" else f"{value:.2f}"


def print_table(report: dict[str, Any], console: Console) -> None:
    """One column a variant; angles in degrees."""
    results = report["results"]
    caption = "latency: sensing to command, in process"
    if any(r["energy_model"] for r in results.values()):
        caption = f"energy: an estimate by davies2018, dynamic only; {caption}"
    table = Table(title=report["title"], caption=caption, box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for name in results:
        table.add_column(name, justify="right")

    def row(label: str, cells: list[str]) -> None:
        if any(cell != "-" for cell in cells):
            table.add_row(label, *cells)

    def number(label: str, key: str, form: str, scale: float = 1.0) -> None:
        row(label, ["-" if r[key] is None else format(r[key] * scale, form) for r in results.values()])

    row("success", [f"{100 * r['success_rate']:.1f} %" for r in results.values()])
    intervals = [[100 * x for x in r["success_interval_95"]] for r in results.values()]
    row("95 % interval", [f"{low:.0f}-{high:.0f}" for low, high in intervals])
    number(f"{report['failure']}, per km", "failures_per_km", ".2f")
    for name, kind, shown in task_figures(next(iter(results.values()))):
        row(shown, [task_figure(r, name, kind) for r in results.values()])
    number("lasted, s", "lasted_s_mean", ".1f")
    number("reward", "reward_mean", ".4g")
    for key, title in (("estimate_rmse", "error, rms"), ("truth_rms", "true, rms")):
        if report["units"]:
            table.add_row(title)
        for name, unit in report["units"].items():
            scale, shown = (math.degrees(1), "deg") if unit == "rad" else (1.0, unit)
            row(f"  {name}, {shown}", [f"{r[key][name] * scale:.3g}" for r in results.values()])
    if report["units"]:
        number("events/s", "events_per_s", ".0f")
    number("spikes/s", "spikes_per_s", ".0f")
    number("syn. ops, k/s", "synaptic_operations_per_s", ".1f", 1e-3)
    number("energy, uW", "dynamic_power_uw", ".1f")
    number("latency p50, us", "latency_p50_us", ".1f")
    number("latency p99, us", "latency_p99_us", ".1f")
    number("x real time", "real_time_factor", ".2f")
    console.print(table)
