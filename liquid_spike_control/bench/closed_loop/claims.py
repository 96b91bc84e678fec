# SPDX-License-Identifier: Apache-2.0
"""Liquid against spiking: what is said of both, and what the run has measured.

Each row holds a claim against the figures of one task on which both were trained alike: by the same expert, the same
recipe, the same episodes. The gated networks stand beside them, because a claim against the wrong opponent is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...neuromorphic.energy import joules
from .course import course_named
from .statistics import Interval
from .summary import Standing
from .tables import Entry, Table

#: Whom each column takes, the first of them that has run.
LIQUID, GATED, SPIKING = ("cfc_mm", "cfc", "ltc"), ("gru", "lstm"), ("spiking_loihi",)
#: Perturbations by what they ask for.
TIMING, SENSING, PLANT = ("jitter40", "drop30"), ("noise", "latency1", "noise_latency1"), ("mass", "length", "friction",
                                                                                         "actuator")  # fmt: skip

Standings = Mapping[str, Standing]


@dataclass(frozen=True, slots=True)
class Claim:
    """One row.

    Attributes:
        subject: e.g. ``"energy"``.
        said: the claim.
        measured: what stands in the columns.
        figures: liquid, gated, spiking.
        perturbations: that the figures come from; empty if from all.
        controllers: other than those of the columns that it needs.
        finding: what they say, in words that the figures decide.
    """

    subject: str
    said: str
    measured: str
    figures: tuple[str, str, str]
    finding: str
    perturbations: tuple[str, ...] = ()
    controllers: tuple[str, ...] = ()


def claims(standings: Standings) -> list[Claim]:
    """All rows that the standings of a task can fill; none if a liquid or a spiking contender is missing."""
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
    """For the report; the columns name who stands in them, and the last holds the options that make the row."""
    chosen = [s for names in (LIQUID, GATED, SPIKING) if (s := _first(standings, names))]
    columns = [f"{s.contender.title}" for s in chosen]
    if len(columns) == 2:
        columns.insert(1, "–")
    header = ("", "said", "measured", *columns, "found", "options")
    entries = []
    for row in rows:
        options = f"--controllers {','.join(dict.fromkeys([s.contender.name for s in chosen] + [*row.controllers]))}"
        if row.perturbations:
            options += f" --perturbations {','.join(row.perturbations)}"
        texts = (row.subject, row.said, row.measured, *row.figures, row.finding, options)
        entries.append(tuple(map(Entry, texts)))
    return Table(header, tuple(entries), words=True)


Three = tuple[Standing, Standing | None, Standing]


def _first(standings: Standings, names: Sequence[str]) -> Standing | None:
    return next((standings[name] for name in names if name in standings), None)


def _texts(three: Three, text: Callable[[Standing], str]) -> tuple[str, str, str]:
    liquid, gated, spiking = three
    return text(liquid), text(gated) if gated else "–", text(spiking)


def _less(liquid: float, spiking: float, what: str) -> str:
    ratio = liquid / spiking
    if 1 / 1.1 < ratio < 1.1:
        return f"no difference worth a name in {what}"
    times = max(ratio, 1 / ratio)
    return f"{'spiking' if ratio > 1 else 'liquid'} takes {format(times, ',.0f' if times >= 10 else '.1f')} times less"


def _computation(three: Three) -> Claim:
    texts = _texts(three, lambda s: f"{s.operations or 0:,.0f}")
    finding = _less(three[0].operations or 1, three[2].operations or 1, "operations")
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
        finding = _less(figures[0] or 1.0, figures[2] or 1.0, "energy") + ", by estimate"
        rows.append(Claim("energy", "Spiking chips take a small part of the energy.", f"a control step on {about}",
                          (texts[0], texts[1], texts[2]), finding))  # fmt: skip
    return rows


def _training(three: Three) -> Claim:
    texts = _texts(three, lambda s: f"{s.training_s or 0:.0f} s, {s.parameters or 0:,} numbers")
    return Claim("training time", "Liquid networks are quick to train, spiking ones slow.",
                 "the same DAgger on one core, median", texts,
                 _less(three[0].training_s or 1, three[2].training_s or 1, "time"))  # fmt: skip


def _latency(three: Three) -> Claim:
    texts = _texts(three, lambda s: "{:.1f}, {:.1f} us".format(*s.latency_us))
    what = "a control step" + " and the perception before it" * course_named(three[0].task).own_faults
    return Claim("latency", "Both decide within a small part of a control period.",
                 f"{what}, p50 and p99, compiled; the spiking one emulates a chip's integers", texts,
                 _less(three[0].latency_us[0], three[2].latency_us[0], "latency") + " on a processor")  # fmt: skip


def _rates(subject: str, said: str, wanted: Sequence[str], three: Three) -> Claim:
    names, faults = _met(three, wanted)
    if not names:
        return Claim(subject, said, f"success under {faults}", ("–", "–", "–"), "not measured")
    texts = _texts(three, lambda s: f"{100 * _mean(s, names):.0f} %")
    return Claim(subject, said, f"success under {faults}", texts, _ahead(three[0], three[2], names), names)


def _adaptivity(three: Three, standings: Standings) -> list[Claim]:
    rows = [_rates("adaptivity", "Liquid networks adapt to irregular time.", TIMING, three)]
    blind = standings.get("cfc_mm_timeless")
    sighted = standings.get("cfc_mm")
    if blind and sighted and (met := _met((sighted, blind, sighted), TIMING))[0]:
        names, faults = met
        lead = sighted.lead(blind, names)
        rows.append(
            Claim("adaptivity", "It is the elapsed time that they use.",
                  f"success under {faults} with elapsed time, and with it hidden",
                  (f"{100 * _mean(sighted, names):.0f} %, hidden {100 * _mean(blind, names):.0f} %", "–", "–"),
                  _by(lead, "seeing the time helps", "hiding the time helps", "no difference that shows"),
                  names, ("cfc_mm_timeless",))
        )  # fmt: skip
    return rows


def _robustness(three: Three) -> list[Claim]:
    if course_named(three[0].task).own_faults:
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
        lead = spiking.lead(floats, names)
        rows.append(
            Claim("hardware", "The chip's small integers cost accuracy.",
                  "success of the same network on integers, and in floats, all perturbations",
                  ("–", "–", f"{100 * _mean(spiking, names):.0f} %, floats {100 * _mean(floats, names):.0f} %"),
                  _by(lead, "the integers are ahead", "the floats are ahead", "no difference that shows"),
                  names, ("spiking_float",))
        )  # fmt: skip
    return rows


def _on_chip(spiking: Standing) -> str:
    training = spiking.records[0].training
    cores = f" on {training.cores} of a Loihi's 128 cores" if training and training.cores else ""
    return f"{(spiking.parameters or 0) / 1e3:.0f} kB of 8 bit integers{cores}"


def _met(three: Three, wanted: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Those of the wanted perturbations that all have met, and in words; ``clean`` where a task brings its own."""
    if course_named(three[0].task).own_faults:
        return _common(three, ("clean",)), "the task's own faults"
    names = _common(three, wanted)
    return names, ", ".join(names or wanted)


def _common(three: Three, wanted: Sequence[str]) -> tuple[str, ...]:
    have = [set(s.perturbations) for s in three if s]
    return tuple(name for name in wanted if all(name in h for h in have))


def _mean(standing: Standing, names: Sequence[str]) -> float:
    return float(np.mean([standing.success(name).mean for name in names]))


def _ahead(liquid: Standing, spiking: Standing, names: Sequence[str]) -> str:
    lead = liquid.lead(spiking, names)
    return _by(lead, "liquid is ahead", "spiking is ahead", "no difference that shows")


def _by(lead: Interval, if_above: str, if_below: str, otherwise: str) -> str:
    text = if_above if lead.low > 0 else if_below if lead.high < 0 else otherwise
    return f"{text}: {100 * lead.mean:+.0f} points ({100 * lead.low:+.0f} to {100 * lead.high:+.0f})"
