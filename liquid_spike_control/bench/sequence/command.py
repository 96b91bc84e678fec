# SPDX-License-Identifier: Apache-2.0
"""The command ``liquid-spike bench sequence``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ... import __version__
from ...errors import LiquidSpikeError
from ...outputs import check_folder, write_json
from ...terminal import Console
from ..closed_loop.command import default_cache
from ..entry import names_in, seed_range
from . import report
from .experiments import EXPERIMENTS, MODELS, Experiment
from .results import Folder, provenance

if TYPE_CHECKING:
    from ...options import SequenceOptions


def sequence_command(options: SequenceOptions) -> int:
    """Run the fits that are not in the cache, then print the table and write the requested files."""
    console = Console()
    experiment = EXPERIMENTS[options.task]
    if options.small:
        experiment = experiment.small()
    models = names_in(options.models) or MODELS
    work = [provenance(experiment, model, seed) for model in models for seed in seed_range(options.seeds)]
    results = run(experiment, work, Folder(options.cache or default_cache().with_name("sequence")), console)
    document = {
        "benchmark": "sequence",
        "version": __version__,
        "task": experiment.name,
        "small": options.small,
        "measure": experiment.measure,
        "published": experiment.published,
        "results": results,
    }
    report.print_table(document, console)
    if options.plot:
        report.plot(document, options.plot)
    write_json(options.json, document)
    return 0


def run(experiment: Experiment, work: list[dict[str, Any]], folder: Folder, console: Console) -> list[dict[str, Any]]:
    """Results of fits, made here or kept from before.

    Args:
        experiment: the task.
        work: provenance of each fit.
        folder: where results are kept.
        console: for the progress.

    Raises:
        LiquidSpikeError: a fit is missing and torch is not installed.
        OutputError, TaskError: the folder cannot be written.
    """
    found = [folder.result(made_by) for made_by in work]
    if all(found):
        return [result for result in found if result]
    check_folder(folder.path, f"--cache {folder.path}")
    try:
        from .running import fitted
    except ImportError:
        raise LiquidSpikeError("bench sequence trains networks and needs torch; pip install torch") from None
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[now]}"), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task(f"{experiment.name}: making sequences", total=None, now="")
        sequences = folder.sequences(experiment)
        bars.remove_task(bar)
        results = []
        for made_by, result in zip(work, found, strict=True):
            if result is None:
                title = f"{experiment.name}: {made_by['model']}, seed {made_by['seed']}"
                epochs = experiment.recipe(made_by["model"]).fitting.epochs
                bar = bars.add_task(title, total=epochs, now="")
                show = partial(_show, bars, bar)
                result = fitted(experiment, made_by, sequences, folder, show)
            results.append(result)
    return results


def _show(bars: Progress, bar: TaskID, done: float, now: str) -> None:
    bars.update(bar, completed=done, now=now)
