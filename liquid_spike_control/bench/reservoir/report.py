# SPDX-License-Identifier: Apache-2.0
"""Table and picture of the reservoir benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from ...outputs import in_print, save_figure
from ...terminal import Console
from .measures import APART, DISTANCES

NAMES = {
    "loihi": "reservoir, integers",
    "float": "reservoir, float64",
    "rls": "reservoir, on line (rls)",
    "pes": "reservoir, on line (pes)",
    "esn": "echo-state network",
    "cfc": "CfC",
}
COLOURS = {
    "loihi": "tab:blue",
    "float": "tab:cyan",
    "rls": "tab:purple",
    "pes": "tab:pink",
    "esn": "tab:orange",
    "cfc": "tab:green",
}

CAPTION = "memory: capacity in samples; ranks: of {streams} streams; rate: spikes a neuron and step; trained: numbers"


def by_model(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Results of each model, one a seed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for result in document["results"]:
        found.setdefault(result["model"], []).append(result)
    return found


def _text(results: list[dict[str, Any]], key: str, digits: int, ends: bool = False) -> str:
    """Mean over the seeds, with ``ends`` the least and the greatest too where there are several."""
    values = [result[key] for result in results if key in result]
    if not values:
        return "-"
    text = f"{np.mean(values):.{digits}f}"
    return f"{text} ({min(values):.{digits}f} to {max(values):.{digits}f})" if ends and len(values) > 1 else text


def print_table(document: dict[str, Any], console: Console) -> None:
    """One row a model: mean over the seeds, with the least and the greatest."""
    d = document["reservoir"]
    title = (
        f"{d['n_neurons']} neurons, {d['topology']}, gain {d['gain']:g}; {document['training_samples']} samples to "
        f"learn from, {document['test_samples']} to test on, {len(document['seeds'])} seeds"
    )
    streams = next((r["streams"] for r in document["results"] if "streams" in r), 0)
    table = Table(title=title, caption=CAPTION.format(streams=streams), box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for name in ("NARMA-10 NRMSE", "memory", "kernel rank", "noise rank", "rate", "trained"):
        table.add_column(name, justify="right")
    for model, results in by_model(document).items():
        table.add_row(
            NAMES[model],
            _text(results, "nrmse", 3, ends=True),
            _text(results, "memory_capacity", 1),
            _text(results, "kernel_rank", 0),
            _text(results, "noise_rank", 0),
            _text(results, "rate", 3),
            f"{results[0]['trained_numbers']}",
        )
    console.print(table)
    for result in document["results"]:
        if result.get("frozen"):
            console.print(f"seed {result['seed']}: learning on line froze: {result['frozen']}", soft_wrap=True)


def print_topologies(document: dict[str, Any], console: Console) -> None:
    """One row a topology and spectral radius: mean over the seeds, with the least and the greatest error."""
    title = (
        f"{document['reservoir']['n_neurons']} neurons, integers; {document['training_samples']} samples to learn "
        f"from, {document['test_samples']} to test on, {len(document['seeds'])} seeds"
    )
    table = Table(title=title, caption="memory: capacity in samples; rate: spikes a neuron and step", box=SIMPLE)
    table.add_column("topology", no_wrap=True)
    for name in ("spectral radius", "NARMA-10 NRMSE", "memory", "rate"):
        table.add_column(name, justify="right")
    cells: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for result in document["results"]:
        cells.setdefault((result["topology"], result["gain"]), []).append(result)
    for (topology, gain), results in cells.items():
        error, memory = _text(results, "nrmse", 3, ends=True), _text(results, "memory_capacity", 1)
        table.add_row(topology, f"{gain:g}", error, memory, _text(results, "rate", 3))
    console.print(table)


@in_print()
def plot(document: dict[str, Any], path: Path) -> None:
    """Memory by lag, a piece of NARMA-10, and the distance of two streams' states over time.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    models = by_model(document)
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    memory, apart, series = (figure.add_subplot(place) for place in (grid[0, 0], grid[0, 1], grid[1, :]))
    for model, results in models.items():
        if "memory_curve" not in results[0]:
            continue
        curve = np.mean([result["memory_curve"] for result in results], 0)
        memory.plot(np.arange(1, len(curve) + 1), curve, color=COLOURS[model], label=NAMES[model])
        if model == "float":
            continue
        styles = (":", "--", "-")
        for distance, line, style in zip(
            DISTANCES, np.mean([result["separation"] for result in results], 0), styles, strict=True
        ):
            label = f"{NAMES[model]}, {distance:g} apart"
            apart.semilogy(np.maximum(line, 1e-5), color=COLOURS[model], linestyle=style, label=label)
    memory.set(xlabel="samples ago", ylabel="r² of the input", title="memory", ylim=(0, 1.02))
    apart.axvspan(0, APART - 1, color="0.9")
    apart.set(xlabel="sample", ylabel="distance of states", ylim=(1e-5, 3))
    apart.set_title("two streams: apart (grey), then the same")
    drawn = next((r for name in ("loihi", "float", "esn") for r in models.get(name, [])), None)
    if drawn:
        series.plot(drawn["target"], color="0.3", label="target")
        series.plot(drawn["output"], color=COLOURS[drawn["model"]], label=NAMES[drawn["model"]])
        series.set(title="NARMA-10 on samples not learnt from", xlabel="sample", ylabel="y")
    for axes in (memory, apart, series):
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    save_figure(figure, path)
