# SPDX-License-Identifier: Apache-2.0
"""Contents of a report, in order; :mod:`.html` and :mod:`.markdown` write it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import claims, drifting, figures, tables
from .plan import Cell, Plan
from .procedure import procedure_named
from .record import Record
from .summary import Standing, standings
from .tables import Table

#: Under these a score and a training are summed up in one number.
HARD = ("noise", "drop30", "jitter40", "latency1")
_COST = (
    "What it takes: trained numbers, seconds of training on one core, latency of a control step, synapses computed in "
    "one and their energy by three models (45 nm: horowitz45nm, MAC for networks that are computed whole, AC for "
    "spikes; kerasspiking: ARM and Loihi), and how much faster than real time an evaluation runs."
)


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG, the name of its file without suffix, and what it shows."""

    name: str
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be typed, or read as they are."""

    text: str


@dataclass(frozen=True)
class Section:
    """A heading of level 1 or 2, and what stands under it: paragraphs, tables, pictures, code."""

    level: int
    heading: str
    parts: tuple[str | Table | Picture | Code, ...]


def sections(plan: Plan, records: Mapping[Cell, Record], command: str) -> list[Section]:
    """Return the report of a run.

    Args:
        plan: of the run.
        records: of the cells that are whole, at least one.
        command: the command line that makes the report again.
    """
    by_task = standings(records.values())
    names = list(dict.fromkeys(name for mine in by_task.values() for name in mine))
    found = [
        Section(1, "Closed-loop benchmark", (_extent(plan, records), _how_to_read())),
        Section(2, "Who competes", (tables.contestants(names),)),
    ]
    for task, mine in by_task.items():
        found += _task(task, mine)
    found += _drifting(by_task) + _liquid_against_spiking(by_task)
    found.append(_repeat(plan, records, command))
    return found


def _extent(plan: Plan, records: Mapping[Cell, Record]) -> str:
    planned, tasks = len(plan.cells()), len({cell.task for cell in records})
    episodes = sum(len(e.success) for r in records.values() for e in r.evaluations.values())
    seeds = sorted({cell.training_seed for cell in records} - {0})
    training_s = sum(_training_times(records).values())
    whole = f"All {planned} cells of the plan '{plan.name}' have been run"
    part = f"PARTIAL: {len(records)} of the {planned} cells of the plan '{plan.name}' have been run"
    return (
        f"{whole if len(records) == planned else part}: {tasks} {'tasks' if tasks > 1 else 'task'}, "
        f"{f'training seeds {_listed(seeds)}' if seeds else 'nothing that learns'}, {episodes:,} episodes. "
        f"{f'Trainings took {_hours(training_s)} and episodes' if training_s else 'They took'} "
        f"{_hours(sum(e.wall_s for r in records.values() for e in r.evaluations.values()))} of one core."
    )


def _how_to_read() -> str:
    return (
        "A cell is a controller on a task from one training seed; it trains once, then meets every perturbation on the "
        "same held-out episodes; n counts training seeds x episodes. Success is in percent with Wilson's 95 % interval "
        "over all episodes, which does not know that episodes of one training resemble each other: the figures of "
        "single training seeds stand in the pictures. Scores are 0 for random commands and 100 for the expert, clean, "
        "with a 95 % bootstrap interval over training seeds and episodes; one training seed has no spread of its own. "
        "Energy is an estimate by published prices of operations, nothing is measured. Latency is wall time in the "
        "process that drives, on a machine that may have been busy: its medians compare, its tails do so less."
    )


def _task(task: str, mine: Mapping[str, Standing]) -> list[Section]:
    own, stem = procedure_named(task).own_faults, task.replace("?", "-")  # a URL would end at the mark
    shown = [
        Section(2, f"Task {task}", (
            "Success under each perturbation [%].", tables.success(mine),
            Picture(f"{stem}-success", figures.success(mine),
                    "Success by perturbation: dot and band are the mean and its interval, strokes single trainings."),
            "Score under each perturbation.", tables.score(mine),
            _COST, tables.cost(mine),
            Picture(f"{stem}-latency", figures.latency(mine), "Latency of a control step, observation to command."),
        )),
    ]  # fmt: skip
    trained = {name: s for name, s in mine.items() if s.candidate.learns}
    hard = [p for p in (("clean",) if own else HARD) if all(p in s.perturbations for s in trained.values())]
    if trained and hard:
        about = "under the task's own faults" if own else f"mean over {', '.join(hard)}"
        shown.append(Section(2, f"Task {task}: what it is worth", (
            Picture(f"{stem}-parameters", figures.score_against_parameters(trained, hard),
                    f"Score against trained numbers, {about}."),
            Picture(f"{stem}-training", figures.training(trained, hard), f"Success against training time, {about}."),
            Picture(f"{stem}-energy", figures.energy(trained), "Energy of a control step by named model."),
        )))  # fmt: skip
    return shown


def _drifting(by_task: Mapping[str, Mapping[str, Standing]]) -> list[Section]:
    pairs = drifting.pairs(by_task)
    if not pairs:
        return []
    return [Section(2, "What changes within an episode, or lasts long", (
        "Success is that the aim was never lost, from when it had to be reached to the end of the episode. Differences "
        f"are over {', '.join(dict.fromkeys(p for pair in pairs for p in pair.perturbations))}, in points, with the "
        "95 % interval of each alone, and tested by the bootstrap over training seeds and episodes. The p values "
        f"of these {len(pairs)} tests are adjusted by Holm's rule, and one below {claims.LEVEL:g} counts. With few "
        "training seeds the bootstrap is a little too sure.",
        drifting.table(pairs),
    ))]  # fmt: skip


def _liquid_against_spiking(by_task: Mapping[str, Mapping[str, Standing]]) -> list[Section]:
    shown = []
    made = claims.adjusted({task: claims.claims(mine) for task, mine in by_task.items()})
    n_tests = sum(len(row.comparisons) for rows in made.values() for row in rows)
    for task, mine in by_task.items():
        if rows := made[task]:
            shown.append(Section(2, f"Liquid against spiking, on {task}", (
                "Common claims about both, beside what this run has measured on one task, with the same expert and "
                "recipe. Liquid is compared with spiking, and with a gated network: an advantage that the gated "
                "network shares is not due to liquid neurons. Differences of success are in points, with the 95 % "
                "interval of each alone, and tested by the bootstrap over training seeds and episodes. The p values "
                "of all "
                f"{n_tests} tests of this report are adjusted by Holm's rule, and one below {claims.LEVEL:g} counts. "
                "With few training seeds the bootstrap is a little too sure. "
                "Each row comes from the command below with its options behind it.",
                claims.table(rows, mine),
                Code(f"liquid-spike bench closed-loop --plan published --tasks {task} --out REPORT ..."),
            )))  # fmt: skip
    return shown


def _repeat(plan: Plan, records: Mapping[Cell, Record], command: str) -> Section:
    environments = Counter(_line(e) for r in records.values() for e in _environments(r))
    recipes = sorted({_line(r.training.recipe | {"seed": "training seed"}) for r in records.values() if r.training})
    cells = [f"{cell}: {r.key}" for cell, r in records.items()]
    lines = ["environments:", *(f"{n} trainings and evaluations: {e}" for e, n in sorted(environments.items()))]
    lines += ["", "training:", *recipes]
    seeds = {cell.task: cell.episode_seeds for cell in records}
    lines += ["", "episodes:", *(f"{task}: seeds {s.start} to {s.stop - 1}" for task, s in seeds.items())]
    return Section(2, "To repeat it", (
        Code(command),
        "The same seeds give the same networks and the same episodes on the same class of processor and the same "
        "libraries; elsewhere rounding differs, and a network is one of another training. Latencies are the machine's. "
        "Cells whose declared versions, options and data files are unchanged come from the cache; "
        "`liquid-spike bench closed-loop --verify CELL` repeats one of them and compares.",
        Code("\n".join(lines)),
        "Cells, with the keys of what decides them:",
        Code("\n".join(cells)),
    ))  # fmt: skip


def _environments(record: Record) -> list[dict[str, Any]]:
    made: list[Any] = [record.training] if record.training else []
    return [part.environment for part in (*made, *record.evaluations.values())]


def _training_times(records: Mapping[Cell, Record]) -> dict[str, float]:
    """Return the training time of each network, once, even if several cells use it."""
    return {r.training.model: r.training.seconds for r in records.values() if r.training}


def _line(value: Mapping) -> str:
    return json.dumps(value, sort_keys=True).strip("{}").replace('"', "")


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _hours(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
