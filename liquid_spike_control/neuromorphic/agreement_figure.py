# SPDX-License-Identifier: Apache-2.0
"""The picture of an agreement report: figures of each layer, membranes and spikes, float against fixed point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..outputs import in_print
from .agreement import AgreementReport, Traces

FLOAT, FIXED, BOTH = "#2b6cb0", "#dd6b20", "#a0a8b4"
#: Membranes drawn of each population, one above the other.
N_MEMBRANES = 3


@in_print()
def agreement_figure(report: AgreementReport, populations: Sequence[str] | None = None, n_steps: int = 150) -> Figure:
    """Bars of every population; membranes and spikes of some.

    Args:
        report: with traces.
        populations: whose membranes and spikes are drawn; by default the first four.
        n_steps: how many steps of them.

    Raises:
        ValueError: a population has no traces.
    """
    shown = list(report.traces)[:4] if populations is None else list(populations)
    for name in shown:
        if name not in report.traces:
            raise ValueError(f"{name} has no traces; there are {list(report.traces)}")
    figure = Figure(figsize=(11, 2.6 + 2.5 * len(shown)), layout="constrained")
    figure.suptitle(f" Float against fixed point, {report.n_steps} steps", x=0, ha="left", weight="bold")
    heights = [1, *[1.05] * len(shown)]
    top, *rows = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _bars(top.subplots(1, 3), report)
    for part, name in zip(rows, shown, strict=True):
        left, right = part.subplots(1, 2)
        traces = report.traces[name]
        _membranes(left, name, traces, n_steps)
        if traces.float_spikes.any() or traces.fixed_spikes.any():
            _raster(right, name, traces, n_steps)
        else:
            _scatter(right, name, traces)
    marks = [
        Line2D([], [], color=FLOAT, lw=3, alpha=0.5, label="float"),
        Line2D([], [], color=FIXED, lw=1.2, label="fixed point"),
        Line2D([], [], color=BOTH, marker="|", ls="", ms=9, mew=1.6, label="spike in both"),
        Line2D([], [], color=FLOAT, marker="|", ls="", ms=9, mew=1.6, label="in float only"),
        Line2D([], [], color=FIXED, marker="|", ls="", ms=9, mew=1.6, label="in fixed point only"),
    ]
    figure.legend(handles=marks, loc="outside upper right", ncols=5, frameon=False, fontsize=9)
    return figure


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def _bars(axes: Sequence[Axes], report: AgreementReport) -> None:
    rows, at = report.populations, np.arange(len(report.populations))
    rates, f1, membranes = axes
    rates.bar(at - 0.2, [a.float_rate for a in rows], 0.38, color=FLOAT, alpha=0.6)
    rates.bar(at + 0.2, [a.fixed_rate for a in rows], 0.38, color=FIXED)
    rates.set_title("spikes a neuron and step", fontsize=10)
    active = [a.f1 if a.float_rate or a.fixed_rate else np.nan for a in rows]
    f1.bar(at, np.nan_to_num(active), 0.6, color=BOTH)
    f1.set_ylim(0, 1.12)
    f1.set_title("F1 of the spikes", fontsize=10)
    membranes.bar(at, np.nan_to_num([a.membrane_error for a in rows]), 0.6, color=BOTH)
    membranes.margins(y=0.2)
    membranes.set_title("RMS membrane error", fontsize=10)
    for panel, values in ((f1, active), (membranes, [a.membrane_error for a in rows])):
        for x, value in zip(at, values, strict=True):
            label = "none" if np.isnan(value) else f"{value:.3g}"
            above = x, float(np.nan_to_num(value))
            panel.annotate(label, above, (0, 1), textcoords="offset points", ha="center", va="bottom", fontsize=8)
    rotation = 0 if len(rows) <= 6 else 60
    for panel in axes:
        panel.set_xticks(at, [a.name for a in rows], rotation=rotation)
        _plain(panel)


def _membranes(axes: Axes, name: str, traces: Traces, n_steps: int) -> None:
    a, b = (v[:n_steps, :N_MEMBRANES] for v in (traces.float_voltage, traces.fixed_voltage))
    both = np.concatenate([a, b])
    low, high = both.min(initial=-0.2), both.max(initial=1.2)
    time, pitch = np.arange(len(a)), 1.1 * (high - low)
    spikes = bool(traces.float_spikes.any() or traces.fixed_spikes.any())
    for k in range(a.shape[1]):
        base = -k * pitch
        if spikes:
            axes.axhline(base + 1, color="#888888", lw=0.6, ls=(0, (4, 3)))
        axes.plot(time, base + a[:, k], color=FLOAT, lw=2.6, alpha=0.45)
        axes.plot(time, base + b[:, k], color=FIXED, lw=0.9)
    axes.set_yticks([-k * pitch for k in range(a.shape[1])], [f"{i}" for i in traces.neurons[: a.shape[1]]])
    axes.set_ylabel("neuron")
    axes.set_xlabel("step")
    unit = "dashed: threshold" if spikes else "in thresholds"
    axes.set_title(f"{name}: voltage before reset ({unit})", fontsize=10, loc="left")
    _plain(axes)


def _raster(axes: Axes, name: str, traces: Traces, n_steps: int) -> None:
    a, b = traces.float_spikes[:n_steps], traces.fixed_spikes[:n_steps]
    height = max(2.0, min(9.0, 150 / max(a.shape[1], 1)))
    for spikes, colour in ((a & b, BOTH), (a & ~b, FLOAT), (b & ~a, FIXED)):
        step, neuron = np.nonzero(spikes)
        axes.plot(step, neuron, ls="", marker="|", ms=height, mew=1.3, color=colour)
    axes.set_ylim(a.shape[1] - 0.5, -0.5)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_ylabel("neuron, by activity")
    axes.set_xlabel("step")
    axes.set_title(f"{name}: spikes of the {a.shape[1]} busiest neurons", fontsize=10, loc="left")
    _plain(axes)


def _scatter(axes: Axes, name: str, traces: Traces) -> None:
    a, b = traces.float_voltage, traces.fixed_voltage
    ends = [min(a.min(initial=0), b.min(initial=0)), max(a.max(initial=0), b.max(initial=0))]
    axes.plot(ends, ends, color="#888888", lw=0.6, ls=(0, (4, 3)))
    axes.plot(a.ravel(), b.ravel(), ls="", marker=".", ms=2, mew=0, color=FIXED, rasterized=True)
    axes.set_xlabel("float")
    axes.set_ylabel("fixed point")
    axes.set_title(f"{name}: no spikes; voltages of {a.shape[1]} neurons [thresholds]", fontsize=10, loc="left")
    _plain(axes)
