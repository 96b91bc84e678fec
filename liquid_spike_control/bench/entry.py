# SPDX-License-Identifier: Apache-2.0
"""What ``liquid-spike bench`` does with its options."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from ..errors import TaskError
from ..options import BenchOptions, BenchPencilOptions
from ..outputs import write_json
from ..resources import zoo
from ..robots.pencil import benchmark as pencil
from ..robots.pencil import push
from ..robots.pencil.episodes import PencilEpisodes
from ..robots.pencil_hard import benchmark as pencil_hard
from ..robots.pencil_hard.task import POLE_MASS_KG, PencilHardEpisodes
from ..terminal import Console
from . import energy, lava, snn_step


def seed_range(text: str, option: str = "--seeds") -> range:
    """``"1000:1100"`` as a range; errors name the option.

    Raises:
        TaskError: it is not two whole numbers, or the range is empty.
    """
    first, colon, stop = text.partition(":")
    if not colon or not first.isdecimal() or not stop.isdecimal():
        raise TaskError(f"{option} {text}; give first:last+1, e.g. 1000:1100")
    if len(first) > 18 or len(stop) > 18:
        raise TaskError(f"{option} {text}: too large; give seeds below 10^18")
    seeds = range(int(first), int(stop))
    if not seeds:
        raise TaskError(f"{option} {text} is empty; give first:last+1, e.g. 1000:1100")
    return seeds


def names_in(text: str) -> tuple[str, ...]:
    """Names out of a comma-separated option; none out of an empty one."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def bench_command(what: str, options: BenchOptions) -> int:
    """Run the benchmark of that name as the options say, print its table and write what was asked for."""
    console = Console()
    if what == "snn":
        return _finish(snn_step, snn_step.run(console), options, console)
    if options.plot and what in ("pencil", "lava"):
        raise TaskError("--plot belongs to bench push, snn and energy; leave it out")
    if what == "lava":
        return _finish(lava, lava.run(console), options, console)
    everything = tuple(pencil.VARIANTS)
    chosen = names_in(options.variants)
    if isinstance(options, BenchPencilOptions) and options.task == "pencil-hard":
        return _finish(pencil, pencil.run(_hard_benchmark(options, chosen), console), options, console)
    duration_s = 60.0 if options.duration is None else options.duration
    push_n_s = 0.06 if options.push is None else options.push
    benchmark = pencil.PencilBenchmark(
        task=PencilEpisodes(duration_s=duration_s, push=push_n_s),
        seeds=seed_range(options.seeds),
        variants=chosen or (everything if what == "pencil" else ("lqr_true", "cfc_loihi")),
        perception_model=options.perception_model or zoo("pencil_perception.nir"),
        controller_model=options.controller_model or zoo("pencil_controller.safetensors"),
        jobs=options.jobs,
    )
    if what == "energy":
        return energy.energy_command(benchmark, options, console)
    if what == "push":
        return _finish(push, push.run(benchmark, console), options, console)
    return _finish(pencil, pencil.run(benchmark, console), options, console)


def _hard_benchmark(options: BenchPencilOptions, chosen: tuple[str, ...]) -> pencil_hard.PencilHardBenchmark:
    task = PencilHardEpisodes()
    if options.duration is not None:
        task = replace(task, duration_s=options.duration)
    if options.push is not None:
        task = replace(task, gust=options.push / POLE_MASS_KG)
    return pencil_hard.PencilHardBenchmark(
        task=task,
        seeds=seed_range(options.seeds),
        variants=chosen or tuple(pencil_hard.HARD_VARIANTS),
        perception_model=options.perception_model or zoo("pencil_hard_perception.nir"),
        controller_model=options.controller_model or zoo("pencil_hard_controller.safetensors"),
        jobs=options.jobs,
        rendered=options.rendered,
    )


def _finish(benchmark: ModuleType, report: dict, options: BenchOptions, console: Console) -> int:
    """Print the table of a benchmark's module and write what was asked for."""
    benchmark.print_table(report, console)
    if options.plot:
        benchmark.plot(report, options.plot)
    write_json(options.json, report)
    return 0
