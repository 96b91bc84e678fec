# SPDX-License-Identifier: Apache-2.0
"""What ``liquid-spike bench`` does with its options."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

from ..errors import TaskError
from ..options import BenchOptions, BenchRobotOptions
from ..outputs import write_json
from ..terminal import Console
from ..video.encoding import check_encoder
from . import conditions, lava, neurons, robot, snn_step, sweep
from .robot import RobotBenchmark, Setting


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


def numbers_in(text: str, option: str) -> tuple[float, ...]:
    """Numbers out of a comma-separated option.

    Raises:
        TaskError: one of them is no finite number.
    """
    numbers = []
    for name in names_in(text):
        try:
            numbers.append(float(name))
        except ValueError:
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise TaskError(f"{option} {text}: {name} is no finite number; give e.g. 0.5,1,2")
    return tuple(numbers)


def settings_in(texts: tuple[str, ...], option: str = "--set") -> tuple[tuple[str, Setting], ...]:
    """Settings out of ``name=value`` texts: numbers, true, false or a text; errors name the option.

    Raises:
        TaskError: a text is of another form, or a number is not finite.
    """
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier() and value):
            raise TaskError(f"{option} {text}; give name=value, e.g. push=0.06")
        settings[name] = setting = _setting(value)
        if isinstance(setting, float) and not math.isfinite(setting):
            raise TaskError(f"{option} {text}; give a finite number")
    return tuple(settings.items())


def conditions_in(texts: tuple[str, ...]) -> dict[str, tuple[tuple[str, Setting], ...]]:
    """Conditions out of texts such as ``none`` and ``noise=10,lighting=dusk``: settings by text.

    Raises:
        TaskError: a text is of another form, or is given twice.
    """
    found: dict[str, tuple[tuple[str, Setting], ...]] = {}
    for text in texts:
        if text in found:
            raise TaskError(f"--conditions {text}: given twice; leave one out")
        found[text] = () if text == "none" else settings_in(tuple(text.split(",")), "--conditions")
    return found


def _setting(text: str) -> Setting:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def robot_command(options: BenchRobotOptions) -> int:
    """Compare the ways to drive a robot, print the table and write what was asked for.

    Raises:
        LiquidSpikeError: an option, the robot or a model is wrong.
    """
    console = Console()
    if options.plot and not (options.sweep or options.conditions):
        raise TaskError("--plot belongs to --sweep and --conditions; leave it out")
    if options.sweep and options.conditions:
        raise TaskError("--sweep and --conditions both vary the settings; leave one out")
    if options.against and not options.conditions:
        raise TaskError("--against belongs to --conditions; leave it out")
    under = conditions_in(options.conditions)
    swept = sweep.sweep_of(options.sweep) if options.sweep else None
    settings = settings_in(options.set)
    benchmark = RobotBenchmark(
        source=options.robot,
        seeds=seed_range(options.seeds),
        names=names_in(options.variants),
        settings=(*settings, (swept[0], swept[1][0])) if swept else settings,
        duration_s=options.duration,
        perception=options.perception_model,
        controller=options.controller_model,
        jobs=options.jobs,
        rendered=options.rendered,
    )
    for name in ("video", "neurons"):
        if getattr(options, name) is not None:
            if swept or under:
                raise TaskError(f"--{name} shows one episode; leave --{'sweep' if swept else 'conditions'} out")
            if len(benchmark.names) > 1:
                known = ", ".join(benchmark.names)
                raise TaskError(f"--{name} shows one variant; give --variants with one of {known}")
    if options.video is not None:
        check_encoder(options.video)
    if under:
        return _finish(conditions, conditions.run(benchmark, under, options.against, console), options, console)
    if swept:
        return _finish(sweep, sweep.run(benchmark, *swept, console), options, console)
    _finish(robot, robot.run(benchmark, console), options, console)
    if options.video is not None:
        robot.film_first(benchmark, options.video, console)
    if options.neurons is not None:
        neurons.plot(neurons.record(benchmark), options.neurons)
    return 0


def bench_command(what: str, options: BenchOptions) -> int:
    """Run the benchmark of that name, print its table and write what was asked for."""
    console = Console()
    if what == "snn":
        return _finish(snn_step, snn_step.run(console), options, console)
    if options.plot:
        raise TaskError("--plot belongs to bench snn, robot and energy; leave it out")
    return _finish(lava, lava.run(console), options, console)


def _finish(benchmark: ModuleType, report: dict[str, Any], options: BenchOptions, console: Console) -> int:
    """Print the table of a benchmark's module and write what was asked for."""
    benchmark.print_table(report, console)
    if options.plot:
        benchmark.plot(report, options.plot)
    write_json(options.json, report)
    return 0
