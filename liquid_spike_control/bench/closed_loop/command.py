# SPDX-License-Identifier: Apache-2.0
"""The command ``liquid-spike bench closed-loop``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table as Printed

from ...errors import TaskError
from ...outputs import check_folder, make_folder, write_file
from ...tasks.perturbations import perturbation_named
from ...terminal import Console
from ..entry import names_in, seed_range
from . import html, markdown, running, tables
from .benchmark import Benchmark, Progress
from .engines import Engine, Failure, Processes, Ray
from .plan import Cell, Plan, changed, plan_named
from .procedure import procedure_named
from .record import Cache, Record
from .report import Picture, Section, sections
from .summary import standings
from .verify import cell_named, compare

if TYPE_CHECKING:
    from ...options import ClosedLoopOptions


def closed_loop_command(options: ClosedLoopOptions) -> int:
    """Run what is open of the plan, then report on all of it. Status 1: cells came to nothing, or --verify differs."""
    console = Console()
    if options.verify:
        return _verified(options, console)
    if options.jobs < 1:
        raise TaskError(f"--jobs {options.jobs}: give at least 1")
    if options.out:
        make_folders(options.out, options.tables_only)  # now, not after hours of work
    cache = options.cache or default_cache()
    if not options.report_only:
        check_folder(cache, f"--cache {cache}")
    benchmark = Benchmark(chosen_plan(options), Cache(cache, options.results))
    open_cells = len(benchmark.open_cells())
    engine: Engine | None = None
    if open_cells and not options.report_only:
        engine = Ray(running.run) if options.engine == "ray" else Processes(running.run, options.jobs)
    slots = engine.slots if engine else options.jobs
    console.print(
        f"plan {benchmark.plan.name}: {len(benchmark.cells)} cells, {len(benchmark.cells) - open_cells} of them in the "
        f"cache; the rest takes about {in_hours(benchmark.estimate_s(slots))}, {slots} at once"
    )
    status = 0
    if engine:
        try:
            status = 1 if _watched(benchmark, engine, console).failed else 0
        except KeyboardInterrupt:
            console.print("interrupted; finished cells are stored: the same command resumes the run")
            raise
    records = {cell: r for cell in benchmark.cells if not benchmark.missing(cell) and (r := benchmark.record(cell))}
    for task, mine in standings(records.values()).items():
        console.print(printed(f"{task}: success [%]", tables.brief(mine)))
    if options.out and records:
        found = sections(benchmark.plan, records, command_line(options))
        page = write_report(options.out, found, records, options.tables_only)
        console.print(f"report: {page}", soft_wrap=True)
    return status


def _verified(options: ClosedLoopOptions, console: Console) -> int:
    """Compute a cell again and print the differences. Status 1: it differs.

    Raises:
        TaskError: the cell has no result, or none of the chosen perturbations, or an option is wrong.
    """
    for task in names_in(options.tasks):
        procedure_named(task)  # so that a robot of a folder is known by its name
    cell, tolerance = cell_named(options.verify, options.rounds), options.tolerance
    if tolerance is not None and not 0 <= tolerance < 1:
        raise TaskError(f"--tolerance {tolerance:g}: give at least 0 and less than 1")
    cache = Cache(options.cache or default_cache(), options.results)
    kept = cache.find(cell.name, running.provenance(cell))
    if kept is None:
        raise TaskError(f"--verify {options.verify}: no result of its present versions; give its folder by --results")
    names = names_in(options.perturbations) or tuple(kept.evaluations)
    if missing := [name for name in names if name not in kept.evaluations]:
        known = ", ".join(kept.evaluations)
        raise TaskError(f"--perturbations {missing[0]}: the kept result has {known}")
    least = min(len(kept.evaluations[name].success) for name in names)
    episodes = least if options.episodes is None else options.episodes
    if not 1 <= episodes <= least:
        raise TaskError(f"--episodes {episodes}: the kept result has {least}")
    cell = replace(cell, perturbations=tuple(names), episodes=episodes)
    for name in names:
        if kept.evaluations[name].perturbation != perturbation_named(name).described():
            raise TaskError(f"perturbation '{name}': the kept result is of other numbers; compute it again")
    first = ", training first" if kept.training else ""
    console.print(f"{cell}: {len(names)} perturbations, {episodes} episodes each{first}")
    engine = Processes(running.run, 1)
    try:
        engine.submit(running.Job(cell, None, None, cell.perturbations))
        _, outcome = engine.next()
    finally:
        engine.close()
    if isinstance(outcome, Failure):
        raise TaskError(f"--verify {options.verify}: {outcome.reason}")
    verdict = compare(kept, outcome.record, tolerance)
    for line in verdict.lines():
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    return 0 if verdict.agrees else 1


def printed(title: str, table: tables.Table) -> Printed:
    """A table for a terminal."""
    shown = Printed(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    for k, name in enumerate(table.header):
        shown.add_column(name, justify="right" if k else "left")
    for row in table.rows:
        shown.add_row(*(entry.text for entry in row))
    return shown


def make_folders(out: Path, tables_only: bool = False) -> None:
    """Make the folders of a report.

    Raises:
        OutputError: they cannot be made.
    """
    for name in ("results",) if tables_only else ("figures", "results"):
        make_folder(out / name)


def write_report(
    folder: Path, found: Sequence[Section], records: Mapping[Cell, Record], tables_only: bool = False
) -> Path:
    """``report.html``, ``report.md``, ``figures/`` and ``results/``, each file whole or not at all.

    Args:
        folder: with those of :func:`make_folders`.
        found: the report.
        records: what it reports on.
        tables_only: no ``report.html`` and no pictures.

    Returns:
        The page to begin with.

    Raises:
        OutputError: a file cannot be written.
    """
    results = Cache(folder / "results")
    for cell, record in records.items():
        results.store(cell.name, record)
    if tables_only:
        found = [replace(s, parts=tuple(p for p in s.parts if not isinstance(p, Picture))) for s in found]
        write_file(folder / "report.md", markdown.write([s for s in found if s.parts], "").encode())
        return folder / "report.md"
    for section in found:
        for part in section.parts:
            if isinstance(part, Picture):
                write_file(folder / "figures" / f"{part.name}.svg", part.svg.encode())
    write_file(folder / "report.html", html.write(found).encode())
    write_file(folder / "report.md", markdown.write(found, "figures").encode())
    return folder / "report.html"


def command_line(options: ClosedLoopOptions) -> str:
    """Return the command that makes the same report, without paths of the present machine."""
    given = [f"--plan {options.plan}"]
    for name in ("controllers", "tasks", "perturbations", "training_seeds", "episodes", "rounds"):
        if (value := getattr(options, name)) not in ("", None):
            given.append(f"--{name.replace('_', '-')} {value}")
    return " ".join(["liquid-spike bench closed-loop", *given, "--out REPORT"])


def chosen_plan(options: ClosedLoopOptions) -> Plan:
    """Return the plan of the options.

    Raises:
        TaskError: an option is wrong.
    """
    return changed(
        plan_named(options.plan),
        controllers=names_in(options.controllers),
        tasks=names_in(options.tasks),
        perturbations=names_in(options.perturbations),
        training_seeds=seed_range(options.training_seeds, "--training-seeds") if options.training_seeds else None,
        episodes=options.episodes,
        rounds=options.rounds,
    )


def default_cache() -> Path:
    """Return the folder of the user's cache (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "liquid_spike_control" / "closed_loop"


def in_hours(seconds: float) -> str:
    """``"40 s"``, ``"12 min"`` or ``"5.6 h"``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _watched(benchmark: Benchmark, engine: Engine, console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=console) as bar:
        shown = bar.add_task("cells", total=len(benchmark.cells), left="")

        def report(progress: Progress) -> None:
            left = f"about {in_hours(progress.left_s)} left" if progress.left_s else ""
            bar.update(shown, completed=progress.done, left=left)

        progress = benchmark.run(engine, report)
    for cell, reason in progress.failed.items():
        console.print(f"{cell}: {reason}", style="red")
    return progress
