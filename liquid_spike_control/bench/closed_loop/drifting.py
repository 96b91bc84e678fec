# SPDX-License-Identifier: Apache-2.0
"""Comparison of liquid networks with others where something changes within an episode, or where it lasts long.

Each liquid network is compared with every other kind, and each network that adapts with the same one that does not: in
the mean over all perturbations of :data:`~...tasks.perturbations.DRIFTS` that change something, and that both have met
on as many episodes, and in each long episode that changes nothing. The p values of all comparisons of a report are
adjusted together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ...tasks.perturbations import DRIFTS
from .claims import Comparison
from .statistics import holm
from .summary import Standing
from .tables import Entry, Table, percent

LIQUID, OTHERS = ("ltc", "cfc_mm"), ("mlp_stacked", "gru", "s5")
#: Under this nothing changes, and it is as long as those under which something does: what they are compared with.
CALM = "steady"
#: What is judged together.
GROUPS = (
    tuple(name for name, p in DRIFTS.items() if p.changes),
    *((name,) for name, p in DRIFTS.items() if not p.changes and name != CALM),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two that are compared on a task.

    Attributes:
        task: its name.
        first, second: who.
        perturbations: over which.
        comparison: of their success.
    """

    task: str
    first: Standing
    second: Standing
    perturbations: tuple[str, ...]
    comparison: Comparison


def pairs(by_task: Mapping[str, Mapping[str, Standing]]) -> list[Pair]:
    """All comparisons that the standings of a report allow, with adjusted p values; none where nothing changes."""
    found = [pair for task, mine in by_task.items() for pair in _pairs(task, mine)]
    adjusted = holm([pair.comparison.p for pair in found])
    return [replace(x, comparison=replace(x.comparison, adjusted=p)) for x, p in zip(found, adjusted, strict=True)]


def _pairs(task: str, mine: Mapping[str, Standing]) -> Iterator[Pair]:
    names = [(a, b) for a in LIQUID for b in OTHERS]
    names += [(name, s.candidate.learner) for name, s in mine.items() if s.candidate.adapts]
    for first, second in ((mine[a], mine[b]) for a, b in names if a in mine and b in mine):
        for group in GROUPS:
            both = [p for p in group if p in first.perturbations and p in second.perturbations]
            met = tuple(p for p in both if first.episodes(p) == second.episodes(p) == first.episodes(both[0]))
            if not met:
                continue
            ahead, behind = (f"{s.candidate.title} is ahead" for s in (first, second))
            p = first.p_of_lead(second, met)
            comparison = Comparison(ahead, behind, "no difference that counts", first.lead(second, met), p, p)
            yield Pair(task, first, second, met, comparison)


def table(found: list[Pair]) -> Table:
    """For the report."""
    header = ("task", "under", "compared", "success [%]", "with", "success [%]", "found")
    rows = []
    for pair in found:
        sides = [(s.candidate.title, _mean(s, pair.perturbations)) for s in (pair.first, pair.second)]
        under = pair.perturbations[0] if len(pair.perturbations) == 1 else f"{len(pair.perturbations)} drifts"
        rows.append(tuple(map(Entry, (pair.task, under, *sides[0], *sides[1], str(pair.comparison)))))
    return Table(header, tuple(rows), words=True)


def _mean(standing: Standing, perturbations: tuple[str, ...]) -> str:
    rates = [standing.success(p) for p in perturbations]
    mean = 100 * sum(rate.mean for rate in rates) / len(rates)
    return percent(rates[0]) if len(rates) == 1 else f"{mean:.1f}"
