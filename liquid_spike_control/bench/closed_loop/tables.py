# SPDX-License-Identifier: Apache-2.0
"""The report's tables, for HTML and Markdown alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...neuromorphic.energy.estimate import joules
from .candidates import CANDIDATES
from .statistics import Interval
from .summary import Standing


@dataclass(frozen=True, slots=True)
class Entry:
    """Of a table.

    Attributes:
        text: of the cell.
        share: 0 to 1, how good it is, for a background; None: none.
        more: text of the tooltip.
    """

    text: str
    share: float | None = None
    more: str = ""


@dataclass(frozen=True)
class Table:
    """Header and rows of equal length; the first column names the row. ``words``: its entries are sentences."""

    header: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    words: bool = False


NOTHING = Entry("–")


def success(standings: Mapping[str, Standing]) -> Table:
    """Successes [%] with Wilson's interval."""
    return _by_perturbation(standings, _success)


def brief(standings: Mapping[str, Standing]) -> Table:
    """Return a table for a terminal: success [%] clean, on average and at its lowest, training and latency."""
    rows = []
    for standing in standings.values():
        rates = {name: 100 * standing.success(name).mean for name in standing.perturbations}
        lowest = min(rates, key=lambda name: rates[name])
        rows.append(
            (
                Entry(standing.candidate.title),
                Entry(seeds(standing)),
                _number(rates.get("clean"), ".0f"),
                Entry(f"{sum(rates.values()) / len(rates):.0f}"),
                Entry(f"{rates[lowest]:.0f}"),
                Entry(lowest if rates[lowest] < max(rates.values()) else "–"),
                _number(standing.training_s, ".0f"),
                Entry(f"{standing.latency_us[0]:.1f}"),
            )
        )
    return Table(("controller", "episodes", "clean", "mean", "lowest", "under", "training, s", "step, us"), tuple(rows))


def score(standings: Mapping[str, Standing]) -> Table:
    """Scores with their bootstrap interval."""
    return _by_perturbation(standings, _score)


def _by_perturbation(standings: Mapping[str, Standing], entry) -> Table:
    names = list(dict.fromkeys(p for standing in standings.values() for p in standing.perturbations))
    rows = [
        (
            Entry(standing.candidate.title, more=standing.candidate.remark),
            Entry(seeds(standing)),
            *(entry(standing, name) if name in standing.perturbations else NOTHING for name in names),
        )
        for standing in standings.values()
    ]
    return Table(("controller", "n", *names), tuple(rows))


def seeds(standing: Standing) -> str:
    """``"5 x 100"``; a controller that learns nothing has no training seeds: ``"100"``."""
    episodes = standing.episodes(standing.perturbations[0])
    return f"{len(standing.records)} x {episodes}" if standing.candidate.learns else str(episodes)


def percent(rate: Interval) -> str:
    """``"97 (93-99)"``."""
    return f"{100 * rate.mean:.0f} ({100 * rate.low:.0f}–{100 * rate.high:.0f})"


def _success(standing: Standing, perturbation: str) -> Entry:
    rate = standing.success(perturbation)
    seeds = ", ".join(f"{100 * r:.0f}" for r in standing.success_by_seed(perturbation))
    return Entry(percent(rate), rate.mean, f"by training seed: {seeds} %" if standing.candidate.learns else "")


def _score(standing: Standing, perturbation: str) -> Entry:
    mean = standing.score(perturbation)
    return Entry(f"{mean.mean:.0f} ({mean.low:.0f}–{mean.high:.0f})", min(max(mean.mean / 100, 0.0), 1.0))


def cost(standings: Mapping[str, Standing]) -> Table:
    """Sizes, times, operations and energy of a control step."""
    header = (
        "controller", "numbers", "training [s]", "p50 [us]", "p99 [us]", "synapses", "45 nm", "KerasSpiking",
        "davies2018", "x real time", "made of",
    )  # fmt: skip
    rows = []
    for standing in standings.values():
        paid, (p50, p99) = standing.energy(), standing.latency_us
        rows.append(
            (
                Entry(standing.candidate.title),
                _number(standing.parameters, ","),
                _number(standing.training_s, ".0f"),
                Entry(f"{p50:.1f}"),
                Entry(f"{p99:.1f}"),
                _number(standing.operations, ",.0f"),
                *(_first(paid, names) for names in (_ARITHMETIC, _KERASSPIKING, ("davies2018",))),
                Entry(f"{standing.real_time_factor:.0f}"),
                Entry(standing.architecture if standing.candidate.learns else "–"),
            )
        )
    return Table(header, tuple(rows))


_ARITHMETIC = ("horowitz45nm:mac", "horowitz45nm:ac")
_KERASSPIKING = ("kerasspiking:arm", "kerasspiking:loihi")


def _first(paid: Mapping[str, float], names: tuple[str, ...]) -> Entry:
    return next((Entry(joules(paid[name]), more=name) for name in names if name in paid), NOTHING)


def _number(value: float | None, form: str) -> Entry:
    return NOTHING if value is None else Entry(format(value, form))


def contestants(names: list[str]) -> Table:
    """Return a table of the candidates, with the properties of each."""
    rows = [(Entry(CANDIDATES[n].title), Entry(n), Entry(CANDIDATES[n].remark or "–")) for n in names]
    return Table(("controller", "name", "remark"), tuple(rows), words=True)
