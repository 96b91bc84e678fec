# SPDX-License-Identifier: Apache-2.0
"""Liquid against spiking: claims about both, and the measurements of the run.

Each row holds a claim against the figures of one task on which both were trained alike: by the same expert, the same
recipe, the same episodes. Liquid is compared with spiking and with a gated network, because what a gated network does
as well is no merit of liquid neurons. All differences of success in a report are one family: their p values are
adjusted together, and one counts as a difference only below :data:`LEVEL` after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...neuromorphic.energy.estimate import joules
from .procedure import procedure_named
from .statistics import Interval, holm
from .summary import Standing
from .tables import Entry, Table

#: Candidates of each column; it shows the first that has run.
LIQUID, GATED, SPIKING = ("cfc_mm", "cfc", "ltc"), ("gru", "lstm"), ("spiking_loihi",)
#: Perturbations by the part that they disturb.
TIMING, SENSING, PLANT = ("jitter40", "drop30"), ("noise", "latency1", "noise_latency1"), ("mass", "length", "friction",
                                                                                         "actuator")  # fmt: skip

#: Adjusted p value below which a difference counts: the probability of one false claim in a whole report.
LEVEL = 0.05

Standings = Mapping[str, Standing]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A difference of success between two, and what it would mean.

    Attributes:
        ahead, behind, even: its text: where the first is ahead, where the second is, and otherwise.
        lead: of the first, in parts of the episodes.
        p: two-sided, of this test alone.
        adjusted: for all tests of the report, see :func:`adjusted`; ``p`` as long as it is the only one.
    """

    ahead: str
    behind: str
    even: str
    lead: Interval
    p: float
    adjusted: float

    def __str__(self) -> str:
        lead, certain = self.lead, self.adjusted < LEVEL
        text = self.even if not certain else self.ahead if lead.mean > 0 else self.behind
        p = f"p = {self.adjusted:.2g}" if self.adjusted >= 0.001 else "p < 0.001"
        return f"{text}: {100 * lead.mean:+.0f} points ({100 * lead.low:+.0f} to {100 * lead.high:+.0f}; {p})"


@dataclass(frozen=True, slots=True)
class Claim:
    """One row.

    Attributes:
        subject: e.g. ``"energy"``.
        claim: in words.
        measured: quantity in the columns.
        figures: liquid, gated, spiking.
        perturbations: that the figures come from; empty if from all.
        controllers: other than those of the columns that it needs.
        observation: finding from the figures where nothing is tested.
        comparisons: tests of the figures.
    """

    subject: str
    claim: str
    measured: str
    figures: tuple[str, str, str]
    observation: str = ""
    perturbations: tuple[str, ...] = ()
    controllers: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()

    @property
    def finding(self) -> str:
        """The finding from the figures, in words."""
        return "; ".join([*([self.observation] if self.observation else []), *map(str, self.comparisons)])


def adjusted(claims_of: Mapping[str, Sequence[Claim]]) -> dict[str, list[Claim]]:
    """The claims of a whole report, by task, with the p values of all their tests adjusted by Holm's rule."""
    p_values = [c.p for rows in claims_of.values() for row in rows for c in row.comparisons]
    left = iter(holm(p_values))
    return {
        task: [
            replace(row, comparisons=tuple(replace(c, adjusted=next(left)) for c in row.comparisons)) for row in rows
        ]
        for task, rows in claims_of.items()
    }


def claims(standings: Standings) -> list[Claim]:
    """All rows that the standings of a task can fill; none if a liquid or a spiking candidate is missing."""
    liquid, gated, spiking = (_first(standings, names) for names in (LIQUID, GATED, SPIKING))
    if liquid is None or spiking is None:
        return []
    three = (liquid, gated, spiking)
    return [
        _computation(three),
        *_energy(three),
        _training(three),
        _latency(three),
        *_adaptivity(three, standings),
        *_robustness(three),
        *_hardware(three, standings),
    ]


def table(rows: Sequence[Claim], standings: Standings) -> Table:
    """Return the report's table; the columns name their candidates, and the last holds the options of the row."""
    chosen = [s for names in (LIQUID, GATED, SPIKING) if (s := _first(standings, names))]
    columns = [f"{s.candidate.title}" for s in chosen]
    if len(columns) == 2:
        columns.insert(1, "–")
    header = ("", "said", "measured", *columns, "found", "options")
    entries = []
    for row in rows:
        options = f"--controllers {','.join(dict.fromkeys([s.candidate.name for s in chosen] + [*row.controllers]))}"
        if row.perturbations:
            options += f" --perturbations {','.join(row.perturbations)}"
        texts = (row.subject, row.claim, row.measured, *row.figures, row.finding, options)
        entries.append(tuple(map(Entry, texts)))
    return Table(header, tuple(entries), words=True)


Three = tuple[Standing, Standing | None, Standing]


def _first(standings: Standings, names: Sequence[str]) -> Standing | None:
    return next((standings[name] for name in names if name in standings), None)


def _texts(three: Three, text: Callable[[Standing], str]) -> tuple[str, str, str]:
    liquid, gated, spiking = three
    return text(liquid), text(gated) if gated else "–", text(spiking)


def _less(figures: Sequence[float | None], what: str) -> str:
    """Of liquid, gated, spiking: who takes less than liquid, by how much; None where there is no figure."""
    liquid, gated, spiking = figures
    texts = []
    for name, other in (("spiking", spiking), ("the gated one", gated)):
        if not liquid or not other:
            continue
        ratio = liquid / other
        times = max(ratio, 1 / ratio)
        less = f"takes {format(times, ',.0f' if times >= 10 else '.1f')} times less {what}"
        if 1 / 1.1 < ratio < 1.1:
            texts.append(f"liquid and {name} take about as much {what}")
        else:
            texts.append(f"{name} {less} than liquid" if ratio > 1 else f"liquid {less} than {name}")
    return "; ".join(texts) or "not measured"


def _computation(three: Three) -> Claim:
    texts = _texts(three, lambda s: f"{s.operations or 0:,.0f}")
    finding = _less([s.operations if s else None for s in three], "computation")
    return Claim("computation", "A spiking network computes only where something happens.",
                 "synapses computed in a control step", texts, finding)  # fmt: skip


def _energy(three: Three) -> list[Claim]:
    rows = []
    for dense, sparse, about in (
        ("horowitz45nm:mac", "horowitz45nm:ac", "45 nm arithmetic alone (horowitz45nm, MAC or AC)"),
        ("kerasspiking:arm", "kerasspiking:loihi", "devices (kerasspiking, ARM or Loihi)"),
    ):
        paid = [s.energy() if s else {} for s in three]
        figures = [next((e[m] for m in (dense, sparse) if m in e), None) for e in paid]
        texts = tuple("–" if f is None else joules(f) for f in figures)
        finding = _less(figures, "energy") + ", by estimate"
        rows.append(Claim("energy", "Spiking chips take a small part of the energy.", f"a control step on {about}",
                          (texts[0], texts[1], texts[2]), finding))  # fmt: skip
    return rows


def _training(three: Three) -> Claim:
    texts = _texts(three, lambda s: f"{s.training_s or 0:.0f} s, {s.parameters or 0:,} numbers")
    return Claim("training time", "Liquid networks are quick to train, spiking ones slow.",
                 "the same DAgger on one core, median", texts,
                 _less([s.training_s if s else None for s in three], "time"))  # fmt: skip


def _latency(three: Three) -> Claim:
    texts = _texts(three, lambda s: "{:.1f}, {:.1f} us".format(*s.latency_us))
    return Claim("latency", "Both decide within a small part of a control period.",
                 "a control step, p50 and p99, compiled; the spiking one emulates a chip's integers", texts,
                 _less([s.latency_us[0] if s else None for s in three], "time") + ", on a processor")  # fmt: skip


def _rates(subject: str, claim: str, chosen: Sequence[str], three: Three) -> Claim:
    names, faults = _met(three, chosen)
    if not names:
        return Claim(subject, claim, f"success under {faults}", ("–", "–", "–"), "not measured")
    texts = _texts(three, lambda s: f"{100 * _mean(s, names):.0f} %")
    liquid, gated, spiking = three
    opponents = [(spiking, "spiking")] + ([(gated, gated.candidate.title)] if gated else [])
    tests = tuple(
        _compared(liquid, other, names, f"liquid is ahead of {name}", f"{name} is ahead of liquid",
                  f"no difference from {name} that shows")
        for other, name in opponents
    )  # fmt: skip
    return Claim(subject, claim, f"success under {faults}", texts, "", names, comparisons=tests)


def _adaptivity(three: Three, standings: Standings) -> list[Claim]:
    rows = [_rates("adaptivity", "Liquid networks adapt to irregular time.", TIMING, three)]
    blind = standings.get("cfc_mm_timeless")
    sighted = standings.get("cfc_mm")
    if blind and sighted and (met := _met((sighted, blind, sighted), TIMING))[0]:
        names, faults = met
        test = _compared(sighted, blind, names, "seeing the time helps", "hiding the time helps",
                         "no difference that shows")  # fmt: skip
        rows.append(
            Claim("adaptivity", "It is the elapsed time that they use.",
                  f"success under {faults} with elapsed time, and with it hidden",
                  (f"{100 * _mean(sighted, names):.0f} %, hidden {100 * _mean(blind, names):.0f} %", "–", "–"),
                  "", names, ("cfc_mm_timeless",), (test,))
        )  # fmt: skip
    return rows


def _robustness(three: Three) -> list[Claim]:
    if procedure_named(three[0].task).own_faults:
        return [_rates("robustness", "Both stand faults of sensing and other plants.", (*SENSING, *PLANT), three)]
    return [
        _rates("robustness", "Spikes and liquid states filter noise; both stand lateness.", SENSING, three),
        _rates("robustness", "Both carry over to a plant that differs from the one trained on.", PLANT, three),
    ]


def _hardware(three: Three, standings: Standings) -> list[Claim]:
    spiking, floats = three[2], standings.get("spiking_float")
    floating = _texts(three, lambda s: f"{4 * (s.parameters or 0) / 1e3:.0f} kB of float32")[:2]
    rows = [
        Claim("hardware", "Spiking networks run on neuromorphic chips, liquid ones on any processor.",
              "weights as they run", (*floating, _on_chip(spiking)),
              "both ran here on a processor; the chip was emulated, to the bit"),
    ]  # fmt: skip
    if floats and (names := _common((spiking, floats, spiking), spiking.perturbations)):
        test = _compared(spiking, floats, names, "the integers are ahead", "the floats are ahead",
                         "no difference that shows")  # fmt: skip
        rows.append(
            Claim("hardware", "The chip's small integers cost accuracy.",
                  "success of the same network on integers, and in floats, all perturbations",
                  ("–", "–", f"{100 * _mean(spiking, names):.0f} %, floats {100 * _mean(floats, names):.0f} %"),
                  "", names, ("spiking_float",), (test,))
        )  # fmt: skip
    return rows


def _on_chip(spiking: Standing) -> str:
    training = spiking.records[0].training
    cores = f" on {training.cores} of a Loihi's 128 cores" if training and training.cores else ""
    return f"{(spiking.parameters or 0) / 1e3:.0f} kB of 8 bit integers{cores}"


def _met(three: Three, chosen: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the chosen perturbations that all have run under, and their text; ``clean`` if a task has its own."""
    if procedure_named(three[0].task).own_faults:
        return _common(three, ("clean",)), "the task's own faults"
    names = _common(three, chosen)
    return names, ", ".join(names or chosen)


def _common(three: Three, chosen: Sequence[str]) -> tuple[str, ...]:
    have = [set(s.perturbations) for s in three if s]
    return tuple(name for name in chosen if all(name in h for h in have))


def _mean(standing: Standing, names: Sequence[str]) -> float:
    return float(np.mean([standing.success(name).mean for name in names]))


def _compared(ours: Standing, theirs: Standing, names: Sequence[str], ahead: str, behind: str, even: str) -> Comparison:
    p = ours.p_of_lead(theirs, names)
    return Comparison(ahead, behind, even, ours.lead(theirs, names), p, p)
