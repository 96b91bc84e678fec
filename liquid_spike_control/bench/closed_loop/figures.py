# SPDX-License-Identifier: Apache-2.0
"""The report's pictures, as SVG: the same standings give the same bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from ...outputs import in_print
from .candidates import CANDIDATES
from .summary import DENSE_MODELS, SPIKING_MODELS, Standing

#: A hue for each family: laws grey, memoryless and gated networks blue, liquid ones green, spiking ones red.
COLOURS = {
    "expert": "#333333", "model_based": "#8a8a8a", "mlp": "#9bbfe3", "mlp_stacked": "#6a8fd0",
    "s5": "#7a4fb5", "gru": "#3a7cc4", "lstm": "#1f4e8c",
    "ltc": "#a6d96a", "cfc": "#4dae4a", "cfc_mm": "#1a7a37", "cfc_mm_timeless": "#9a8f2f", "ncp": "#00b0a0",
    "spiking_float": "#f4a582", "spiking_loihi": "#c8302b", "reservoir": "#8c2d6a", "esn": "#c994c7",
}  # fmt: skip
COLOURS |= {name: COLOURS[c.learner] for name, c in CANDIDATES.items() if c.adapts}
_STYLE: Any = {
    "font.size": 9, "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "svg.fonttype": "path",
    "svg.hashsalt": "liquid_spike_control", "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip

Standings = Mapping[str, Standing]


def success(standings: Standings) -> str:
    """Success under each perturbation, one panel each, with Wilson's intervals; small marks are training seeds."""
    names = _shared_perturbations(standings)
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    size = (2.6 * columns + 1.2, (0.2 * len(standings) + 0.75) * rows + 0.4)
    lowest = min(min(s.success(p).low, *s.success_by_seed(p)) for s in standings.values() for p in s.perturbations)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for k, axes in enumerate(panels.flat):
            if k >= len(names):
                axes.set_visible(False)
                continue
            for y, (name, standing) in enumerate(standings.items()):
                if names[k] not in standing.perturbations:
                    continue
                rate = standing.success(names[k])
                axes.plot([100 * rate.low, 100 * rate.high], [y, y], color=COLOURS[name], lw=3, alpha=0.45,
                          solid_capstyle="butt")  # fmt: skip
                hollow = standing.candidate.adapts
                axes.plot(100 * rate.mean, y, "o", color=COLOURS[name], ms=5, mfc="white" if hollow else COLOURS[name])
                if len(standing.records) > 1:
                    seeds = 100 * np.array(standing.success_by_seed(names[k]))
                    axes.plot(seeds, np.full(len(seeds), y), "|", color=COLOURS[name], ms=7, mew=1)
            axes.set_title(names[k], fontsize=9, loc="left")
            axes.grid(axis="x", color="0.9")
            axes.set_axisbelow(True)
        first = panels[0][0]
        first.set_yticks(range(len(standings)), [CANDIDATES[name].title for name in standings])
        first.set_ylim(len(standings) - 0.5, -0.5)
        first.set_xlim(_percents(100 * lowest))
        for axes in panels.flat[len(names) - columns : len(names)]:  # nothing stands below these
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("success [%]")

    return _svg(size, draw)


def score_against_parameters(standings: Standings, perturbations: Sequence[str]) -> str:
    """Mean score over some perturbations against trained numbers."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for name, standing in standings.items():
            if not standing.parameters:
                continue
            mean = float(np.mean([standing.score(p).mean for p in perturbations]))
            seeds = [
                np.mean([standing.score_by_seed(p)[k] for p in perturbations]) for k in range(len(standing.records))
            ]
            axes.plot([standing.parameters] * 2, [min(seeds), max(seeds)], color=COLOURS[name], lw=3, alpha=0.45)
            axes.plot(standing.parameters, mean, "o", color=COLOURS[name], ms=7, label=standing.candidate.title)
        _legend(axes)
        axes.axhline(100, color="0.5", lw=0.8, ls=":")
        low, high = axes.get_ylim()
        bottom, top = _percents(low)
        axes.set_ylim(min(bottom, low), max(top, high))
        counts = [standing.parameters for standing in standings.values() if standing.parameters]
        _logarithmic(axes)
        axes.set(xlabel="trained numbers", ylabel="score (random 0, expert 100)")
        axes.set_xlim(min(counts) / 1.5, max(counts) * 1.5)
        axes.grid(color="0.92")

    return _svg((7.4, 3.8), draw)


def latency(standings: Standings) -> str:
    """Median and 99th percentile of a control step."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for y, (name, standing) in enumerate(standings.items()):
            p50, p99 = standing.latency_us
            axes.plot([p50, p99], [y, y], color=COLOURS[name], lw=3, alpha=0.45, solid_capstyle="butt")
            axes.plot(p50, y, "o", color=COLOURS[name], ms=6)
            axes.plot(p99, y, "|", color=COLOURS[name], ms=9, mew=2)
            axes.annotate(f"{p50:.3g}", (p50, y), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=7.5)
        _names_on_y(axes, standings)
        _logarithmic(axes)
        axes.set(xlabel="control step, median (dot) to 99th percentile (bar) [us]")

    return _svg((6.4, 0.28 * len(standings) + 0.9), draw)


def energy(standings: Standings) -> str:
    """Energy of one control step by several models, on a logarithmic axis."""
    paid = {name: standing for name, standing in standings.items() if standing.energy()}
    markers = dict(zip((*DENSE_MODELS, *SPIKING_MODELS), "o^sovD", strict=True))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for y, (name, standing) in enumerate(paid.items()):
            for model, joules in standing.energy().items():
                filled = model in SPIKING_MODELS
                axes.plot(joules * 1e9, y, markers[model], color=COLOURS[name], ms=6,
                          mfc=COLOURS[name] if filled else "white")  # fmt: skip
        for model, marker in markers.items():
            axes.plot([], [], marker, color="0.35", mfc="0.35" if model in SPIKING_MODELS else "white", label=model)
        _legend(axes)
        _names_on_y(axes, paid)
        axes.set(xscale="log", xlabel="estimate of one control step, dynamic [nJ]")

    return _svg((7.4, 0.28 * len(paid) + 1.2), draw)


def training(standings: Standings, perturbations: Sequence[str]) -> str:
    """Mean success over some perturbations against the time of a training."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for name, standing in standings.items():
            if not standing.training_s:
                continue
            rate = 100 * float(np.mean([standing.success(p).mean for p in perturbations]))
            axes.plot(standing.training_s, rate, "o", color=COLOURS[name], ms=7, label=standing.candidate.title)
        _legend(axes)
        axes.set(xlabel="training, one core [s]", ylabel="success [%]", ylim=_percents(axes.get_ylim()[0]))
        axes.set_xlim(0, 1.1 * max(standing.training_s or 0 for standing in standings.values()))
        axes.grid(color="0.92")

    return _svg((7.4, 3.6), draw)


def _percents(lowest: float) -> tuple[float, float]:
    """Limits of an axis of percents: from 0, unless all that it shows would then crowd into its upper half."""
    begin = 10 * math.floor((lowest - 1) / 10) if lowest > 50 else 0
    margin = (100 - begin) / 25
    return begin - margin, 100 + margin


def _legend(axes) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)


def _logarithmic(axes) -> None:
    """Numbers as people write them, also where the axis spans less than a decade."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.6g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _names_on_y(axes, standings: Standings) -> None:
    axes.set_yticks(range(len(standings)), [CANDIDATES[name].title for name in standings])
    axes.set_ylim(len(standings) - 0.4, -0.7)
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)


def _shared_perturbations(standings: Standings) -> list[str]:
    """In the order in which they were met."""
    return list(dict.fromkeys(name for standing in standings.values() for name in standing.perturbations))


def _svg(size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    with in_print(), matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return text[text.index("<svg") :]
