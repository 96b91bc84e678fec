# SPDX-License-Identifier: Apache-2.0
"""The picture of energies by device, beside the claim."""

from __future__ import annotations

from pathlib import Path

from ...outputs import in_print, save_figure
from .devices import CLAIM, WHAT, DeviceComparison, times
from .estimate import joules

_COLOURS = {
    "events": "tab:blue",
    "static": "lightsteelblue",
    "flat out": "cornflowerblue",
    "every step": "tab:red",
    "one pass": "tab:orange",
}


@in_print()
def plot(report: DeviceComparison, path: Path, *more: DeviceComparison) -> None:
    """Bars on a logarithmic axis beside the claim, one panel below the other: a page shows them without shrinking them.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    reports = (report, *more)
    rows = [len(r.devices) for r in reports]
    figure = Figure(figsize=(8.4, 0.33 * sum(rows) + 1.2 * len(rows) + 1.2), layout="constrained")
    panels = figure.subplots(len(reports), 1, squeeze=False, height_ratios=rows)[:, 0]
    for axes, r in zip(panels, reports, strict=True):
        _panel(axes, r)
    used = dict.fromkeys(d.what for r in reports for d in r.devices)
    figure.legend(
        handles=[Patch(color=_COLOURS[what], label=WHAT[what][1]) for what in used],
        loc="outside lower center",
        ncols=2,
        fontsize=9,
        frameon=False,
    )
    title = "Energy of one inference of the same network\nestimates by published prices, nothing was measured"
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path, dpi=110)


def labels(comparison: DeviceComparison) -> list[str]:
    """Names of the bars: several are of one device and model, which differ in what is counted."""
    return [f"{d.name}, {d.estimate.model.name}: {WHAT[d.what][0]}" for d in comparison.devices]


def _panel(axes, r: DeviceComparison) -> None:
    from matplotlib.ticker import EngFormatter

    first, energies = r.devices[0].energy, [d.energy for d in r.devices if d.energy]
    low, high = min(energies) / 4, max(*energies, CLAIM * first)
    axes.axvspan(first, CLAIM * first, color="gold", alpha=0.18, lw=0)
    for factor, style in ((1, ":"), (CLAIM, "--")):
        axes.axvline(factor * first, color="darkgoldenrod", ls=style, lw=1)
    middle = first * CLAIM**0.5
    axes.annotate("claim (Intel 2017): up to 1000x", (middle, -0.95), ha="center", fontsize=8, color="#5c4400")
    for row, d in enumerate(r.devices):
        end = max(d.energy, low)  # without a single spike some devices take nothing
        axes.barh(row, end - low, left=low, color=_COLOURS[d.what], height=0.7)
        axes.annotate(
            f"{joules(d.energy)}  ({times(d.factor)})",
            (end, row),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )
    axes.set_yticks(range(len(r.devices)), labels(r), fontsize=8)
    axes.set(xscale="log", xlim=(low, high * (high / low) ** 0.3), ylim=(len(r.devices) - 0.4, -1.5))
    steps = "1 step" if r.inference_steps == 1 else f"{r.inference_steps} steps"
    fits = "\n(too large for Loihi's cores as it is)" if r.misfits else ""
    axes.set_title(f"{r.title}; one inference: {steps} of {r.step_s * 1e3:g} ms{fits}", fontsize=10)
    axes.set_xlabel("estimated energy (in brackets: over Loihi's dynamic energy by davies2018)", fontsize=9)
    axes.xaxis.set_major_formatter(EngFormatter(unit="J"))
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
