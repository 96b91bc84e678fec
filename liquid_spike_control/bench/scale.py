# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench scale``: measure what chance and the expert earn on a task, and record it if asked to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rich.progress import Progress
from rich.table import Table

from ..robots.catalogue import TASKS, sensed_task_named
from ..tasks.scale import Anchors, measure, write
from ..terminal import Console
from .entry import seed_range

if TYPE_CHECKING:
    from ..options import ScaleOptions


def scale_command(options: ScaleOptions) -> int:
    """Measure, print and record the anchors of the tasks that were named."""
    console, seeds = Console(), seed_range(options.seeds)
    names = options.tasks or tuple(TASKS)
    for name in names:  # all of them now, not after minutes of work
        sensed_task_named(name).expert()
    measured = {}
    with Progress(console=console, transient=True) as progress:
        for name in names:
            bar = progress.add_task(name, total=2 * len(seeds))
            measured[name] = measure(name, seeds, partial(progress.advance, bar))
    console.print(_table(measured))
    if options.record:
        console.print(f"recorded in {', '.join(map(str, write(measured)))}", soft_wrap=True)
    return 0


def _table(measured: dict[str, Anchors]) -> Table:
    some = next(iter(measured.values()))
    table = Table(title=f"seeds {some.first_seed} to {some.first_seed + some.episodes - 1}")
    for title in ("task", "version", "random earns", "succeeds", "expert earns", "succeeds"):
        table.add_column(title, justify="left" if title == "task" else "right")
    for name, anchors in measured.items():
        earned = [cell for e in (anchors.random, anchors.expert) for cell in (f"{e.reward:.4g}", f"{e.success:.0%}")]
        table.add_row(name, str(anchors.version), *earned)
    return table
