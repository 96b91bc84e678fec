# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench pencil``: closed-loop figures of five ways to balance the pencil, on held-out seeds."""

from __future__ import annotations

import multiprocessing
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE
from rich.progress import Progress
from rich.table import Table

from ... import __version__
from ...assembly import check_seeds_are_held_out, new_backend, read_robot_controller, read_robot_perception
from ...bench.episodes import EpisodeFigures, run_episode, summarise
from ...control.files import read_controller_file
from ...errors import TaskError
from ...liquid.controller import LiquidController
from ...loop import Estimator, Loop, SpikingEstimator, TruthEstimator
from ...neuromorphic.backend import BackendStats
from ...neuromorphic.energy.estimate import estimate as estimate_energy
from ...parent_death import end_with_parent
from ...perception import Perception
from ...resources import zoo
from ...robot import names
from ...sim.world import World
from ...spiking.nir_io import read_perception_model
from ...tasks.of_robot import task_of
from ...terminal import Console
from .description import ROBOT
from .episodes import PencilEpisodes
from .expert import cart_pole_lqr
from .frames import FrameEstimator

if TYPE_CHECKING:
    from ...control.spiking import SpikingController

#: Name in the results -> (how the pole is seen, who decides).
VARIANTS = {
    "lqr_true": ("truth", "lqr"),
    "lqr_spiking": ("loihi", "lqr"),
    "cfc_float": ("float", "cfc"),
    "cfc_loihi": ("loihi", "cfc"),
    "cfc_frames": ("frames", "cfc"),
}


class LqrController:
    """The expert under the :class:`~liquid_spike_control.liquid.controller.Controller` protocol."""

    observation_names: tuple[str, ...] = names(ROBOT.observations)
    command_names: tuple[str, ...] = names(ROBOT.commands)
    command_limits = ROBOT.greatest_commands

    def __init__(self) -> None:
        self.nominal_period_s = ROBOT.period_s
        self._lqr = cart_pole_lqr(ROBOT, ROBOT.period_s)

    def reset(self) -> None:
        """It has no state."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Force [N] for the observation; the time step does not matter to it."""
        return self._lqr.step(observation)


@dataclass(frozen=True)
class PencilBenchmark:
    """What is run.

    Attributes:
        task: with its duration and pushes.
        seeds: of the episodes; none may be a training seed.
        variants: names from :data:`VARIANTS`.
        perception_model, controller_model: files.
        jobs: processes.

    Raises:
        TaskError: a variant is unknown, the range is empty or has training seeds in it.
        ModelError: a file is damaged or does not fit.
    """

    task: PencilEpisodes
    seeds: range
    variants: tuple[str, ...] = tuple(VARIANTS)
    perception_model: Path = zoo("pencil_perception.nir")
    controller_model: Path = zoo("pencil_controller.safetensors")
    jobs: int = 2

    def __post_init__(self) -> None:
        for name in self.variants:
            if name not in VARIANTS:
                raise TaskError(f"unknown variant '{name}'; known variants: {', '.join(VARIANTS)}")
        if not self.variants or self.jobs < 1:
            raise TaskError("give at least one variant and one job")
        if self.seeds and self.seeds.start < 0:
            raise TaskError(f"seeds {self.seeds.start}:{self.seeds.stop}: a seed is at least 0")
        perception = read_robot_perception(ROBOT, self.perception_model)
        read_robot_controller(ROBOT, self.controller_model)
        controller = read_controller_file(self.controller_model)
        check_seeds_are_held_out(self.seeds, tuple(perception.metadata["training_seeds"]), self.perception_model)
        check_seeds_are_held_out(self.seeds, controller.training_seeds, self.controller_model)

    @property
    def title(self) -> str:
        """What is run, in a line."""
        task, seeds = self.task, self.seeds
        return f"pencil, seeds {seeds.start}:{seeds.stop}, {task.duration_s:g} s, pushes of {task.push:g} N s"

    def loop(self, name: str) -> Loop:
        """The loop of a variant."""
        return new_loop(self, name)

    def episodes(self) -> Iterator[tuple[str, EpisodeFigures]]:
        """Run everything; yields variant and figures as they come."""
        work = [(self, name, seed) for seed in self.seeds for name in self.variants]
        if self.jobs == 1:
            yield from map(_run_one, work)
            return
        with multiprocessing.get_context("spawn").Pool(self.jobs, end_with_parent, (os.getpid(),)) as pool:
            yield from pool.imap_unordered(_run_one, work)


#: The loops of this process, by benchmark and variant: GL contexts and models are made once.
_loops: dict[tuple[PencilBenchmark, str], Loop] = {}


def _run_one(item: tuple[PencilBenchmark, str, int]) -> tuple[str, EpisodeFigures]:
    benchmark, name, seed = item
    if (benchmark, name) not in _loops:
        _loops[benchmark, name] = benchmark.loop(name)
    return name, run_episode(_loops[benchmark, name], seed)


def new_loop(benchmark: PencilBenchmark, name: str) -> Loop:
    """The loop of one of the :data:`VARIANTS`."""
    sight, decider = VARIANTS[name]
    world = World(task_of(ROBOT, **asdict(benchmark.task)))
    controller: LqrController | LiquidController | SpikingController
    if decider == "lqr":
        controller = LqrController()
    else:
        controller = read_robot_controller(ROBOT, benchmark.controller_model)
        controller.warm()
    estimator: Estimator
    if sight == "truth":
        estimator = TruthEstimator(world)
    elif sight == "frames":
        estimator = FrameEstimator(world)
    else:
        model = read_perception_model(benchmark.perception_model)
        estimator = SpikingEstimator(Perception(model), new_backend(model, sight))
    return Loop(world, estimator, controller, ROBOT.gate_limits(controller.command_limits))


def run(benchmark: PencilBenchmark, console: Console) -> dict:
    """Run with a progress bar and return what is written as JSON."""
    episodes: dict[str, list[EpisodeFigures]] = {name: [] for name in benchmark.variants}
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("episodes", total=len(benchmark.seeds) * len(benchmark.variants))
        for name, figures in benchmark.episodes():
            episodes[name].append(figures)
            progress.advance(bar)
    dt = float(read_perception_model(benchmark.perception_model).metadata["dt"])
    results = {}
    for name, mine in episodes.items():
        mine.sort(key=lambda e: e.seed)
        results[name] = summarise(mine) | _energy([e.stats for e in mine if e.stats is not None], dt)
    return {
        "benchmark": "pencil",
        "title": benchmark.title,
        "version": __version__,
        "task": asdict(benchmark.task),
        "seeds": [benchmark.seeds.start, benchmark.seeds.stop],
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "results": results,
    }


def _energy(stats: list[BackendStats], dt: float) -> dict:
    if not stats:
        return {"energy_model": None, "dynamic_power_uw": None}
    names = BackendStats.__dataclass_fields__
    energy = estimate_energy(BackendStats(**{n: sum(getattr(s, n) for s in stats) for n in names}), dt)
    return {"energy_model": f"{energy.model.name} (estimate)", "dynamic_power_uw": energy.dynamic_power * 1e6}


def print_table(report: dict, console: Console) -> None:
    """One column a variant."""
    results = report["results"]
    table = Table(
        title=report["title"],
        caption="energy: an estimate by davies2018, dynamic only; latency: sensing to command, in process",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("")
    for name in results:
        table.add_column(name, justify="right")

    def row(label: str, text) -> None:
        table.add_row(label, *(text(r) for r in results.values()))

    def number(key: str, form: str, scale: float = 1.0):
        return lambda r: "-" if r[key] is None else format(r[key] * scale, form)

    row("success", lambda r: f"{100 * r['success_rate']:.1f} %")
    row("95 % interval", lambda r: "{:.1f}-{:.1f}".format(*(100 * x for x in r["success_interval_95"])))
    row("balanced, s", number("balanced_s_mean", ".1f"))
    row("angle RMSE, deg", number("angle_rmse_deg", ".3f"))
    row("rate RMSE, rad/s", number("rate_rmse_rad_s", ".4f"))
    row("true tilt, deg", number("tilt_rms_deg", ".2f"))
    row("events/s", number("events_per_s", ".0f"))
    row("spikes/s", number("spikes_per_s", ".0f"))
    row("syn. ops, k/s", number("synaptic_operations_per_s", ".1f", 1e-3))
    row("energy, uW", number("dynamic_power_uw", ".1f"))
    row("latency p50, us", number("latency_p50_us", ".1f"))
    row("latency p99, us", number("latency_p99_us", ".1f"))
    row("x real time", number("real_time_factor", ".2f"))
    console.print(table)
