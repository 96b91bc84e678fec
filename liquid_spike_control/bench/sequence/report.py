# SPDX-License-Identifier: Apache-2.0
"""Table and learning curves of the sequence benchmark, our figures beside the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from ...outputs import in_print, save_figure
from ...terminal import Console

#: Names as the paper has them.
NAMES = {"cfc_mm": "CfC-mm", "cfc": "CfC", "lstm": "LSTM + time", "gru_d": "GRU-D", "ltc": "LTC"}
UNITS = {"accuracy": "accuracy [%]", "mse": "mean squared error"}
COLOURS = {"cfc_mm": "tab:blue", "cfc": "tab:cyan", "lstm": "tab:orange", "gru_d": "tab:green", "ltc": "tab:red"}


def by_model(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Results of each model, one a seed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for result in document["results"]:
        found.setdefault(result["provenance"]["model"], []).append(result)
    return found


def print_table(document: dict[str, Any], console: Console) -> None:
    """One row a model: mean over the seeds, with the least and the greatest."""
    accuracy = document["measure"] == "accuracy"
    n_training, n_test = document["results"][0]["provenance"]["sequences"]
    what = "streams" if document["task"] == "xor" else "recordings"
    title = f"{document['task']}: {n_training} {what} to learn from, {n_test} to test on"
    small = "a small size: its figures mean nothing" if document["small"] else None
    table = Table(title=title, caption=small, box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("")
    for name in (UNITS[document["measure"]], "paper", "parameters", "epochs", "training, CPU", "seeds"):
        table.add_column(name, justify="right")
    for model, results in by_model(document).items():
        scores = np.array([result["score"] for result in results])
        digits = 2 if accuracy else 3
        text = f"{scores.mean():.{digits}f}"
        if len(scores) > 1:
            text += f" ({scores.min():.{digits}f} to {scores.max():.{digits}f})"
        published = document["published"].get(model)
        table.add_row(
            NAMES[model],
            text,
            "-" if published is None else f"{published:.{digits}f}",
            f"{results[0]['parameters']}",
            f"{len(results[0]['epochs'])}",
            f"{np.mean([result['training_cpu_s'] for result in results]):.0f} s",
            ", ".join(str(result["provenance"]["seed"]) for result in results),
        )
    console.print(table)


@in_print()
def plot(document: dict[str, Any], path: Path) -> None:
    """Test figure after each epoch against processor time; the paper's accuracies as dotted lines.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    accuracy = document["measure"] == "accuracy"
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for model, results in by_model(document).items():
        for k, result in enumerate(results):
            x = [epoch["cpu_s"] for epoch in result["epochs"]]
            y = [100 - epoch["test"] if accuracy else epoch["test"] for epoch in result["epochs"]]
            axes.plot(x, y, color=COLOURS[model], label=None if k else NAMES[model])
        if accuracy and model in document["published"]:  # errors on other recordings cannot be compared
            axes.axhline(100 - document["published"][model], color=COLOURS[model], linestyle=":", linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("training: processor time of one core [s]")
    axes.set_ylabel("wrong answers on the test streams [%]" if accuracy else "mean squared error on the test windows")
    axes.grid(which="both", alpha=0.25)
    axes.legend(title="dotted: the paper" if accuracy else None, fontsize=8, title_fontsize=8)
    save_figure(figure, path)
