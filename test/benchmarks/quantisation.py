# SPDX-License-Identifier: Apache-2.0
"""What 8 to 1 weight bits leave of a trained network in Loihi's integers: by the largest weight, calibrated, tuned.

A recurrent network (``test/spike_patterns.py``) learns to tell eight noisy patterns of spikes apart. All figures are
from samples that neither training nor calibration has seen. 1-bit weights are of one sign: every connection is split.

Run: ``python test/benchmarks/quantisation.py``; with ``--out FOLDER`` it draws the pictures of docs/neuromorphic too.
"""

from __future__ import annotations

import argparse
import copy
import sys
import warnings
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from liquid_spike_control.neuromorphic.agreement import compare
from liquid_spike_control.neuromorphic.agreement_figure import agreement_figure
from liquid_spike_control.neuromorphic.quantisation.calibration import calibrate
from liquid_spike_control.neuromorphic.quantisation.quantize import quantise_reported, split_signs
from liquid_spike_control.outputs import save_figure
from liquid_spike_control.training.quantisation_aware import bake, quantisation_aware

sys.path.append(str(Path(__file__).parents[1]))
from spike_patterns import accuracy, emulated_accuracy, fit, graph_of, samples, trained

N_TEST, SHOWN, HELD_OUT = 1000, 40, 60
UPDATES, LEARNING_RATE = 150, 0.003


def main() -> None:
    """Print the table, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    network = trained(200)
    exact = accuracy(network, n=N_TEST)
    longer = copy.deepcopy(network)
    fit(longer, UPDATES, LEARNING_RATE, 50_000)
    shown, held_out = samples(5, SHOWN), samples(6, HELD_OUT)
    title = f"accuracy (float: {exact:.1%}; trained on as long as the fine-tuned: {accuracy(longer, n=N_TEST):.1%})"
    table = Table(box=SIMPLE, title=f"{title}\nF1 and rate error are the hidden layer's")
    table.add_column("bits", justify="right")
    for head in ("largest weight", "F1", "rate error", "calibrated", "F1", "rate error", "fine-tuned"):
        table.add_column(head, justify="right")
    lines: dict[str, list[tuple[int, float]]] = {"largest weight": [], "calibrated": [], "fine-tuned": []}
    for bits in range(8, 0, -1):
        graph = graph_of(network) if bits > 1 else split_signs(graph_of(network))
        calibration = calibrate(graph, shown, bits)
        row = [str(bits)]
        forms = quantise_reported(graph, num_weight_bits=bits), (calibration.network, calibration.report)
        for name, (integers, losses) in zip(lines, forms, strict=False):
            report = compare(graph, integers, held_out, losses.units)
            hidden = report.populations[0]
            lines[name].append((bits, emulated_accuracy(integers, n=N_TEST)))
            row += [f"{lines[name][-1][1]:.1%}", f"{hidden.f1:.3f}", f"{hidden.rate_error / hidden.float_rate:.1%}"]
        if bits > 1:
            tuned = copy.deepcopy(network)
            scales = quantisation_aware(tuned, bits, threshold=1.0, joint=[("inward", "recurrent")])
            fit(tuned, UPDATES, LEARNING_RATE, 50_000)
            bake(tuned)
            scale = {"hidden": scales["inward"], "out": scales["outward"]}
            integers, losses = quantise_reported(graph_of(tuned), scale, bits)
            if any(p.weight_error > 1e-6 for p in losses.populations):
                raise RuntimeError(f"{bits} bits: the integers are not those that were trained")
            lines["fine-tuned"].append((bits, emulated_accuracy(integers, n=N_TEST)))
            row.append(f"{lines['fine-tuned'][-1][1]:.1%}")
        table.add_row(*row)
        if out and bits == 3:
            save_figure(agreement_figure(report), out / "agreement.png", dpi=90)
    Console(width=120).print(table)
    if out:
        save_figure(draw(lines, exact), out / "quantisation.png", dpi=110)


def draw(lines: dict[str, list[tuple[int, float]]], exact: float) -> Figure:
    """Accuracy over bits."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.axhline(100 * exact, color="#888888", lw=1, ls=(0, (4, 3)))
    axes.annotate("float", (1, 100 * exact), xytext=(0, 4), textcoords="offset points", color="#555555", fontsize=9)
    for (name, points), colour in zip(lines.items(), ("#a0a8b4", "#2b6cb0", "#dd6b20"), strict=True):
        bits, values = zip(*points, strict=True)
        axes.plot(bits, [100 * v for v in values], marker="o", ms=5, lw=2, color=colour, label=name)
    axes.set_ylim(0, 102)
    axes.set_xlabel("weight bits (1: each sign by itself)")
    axes.set_ylabel("accuracy in Loihi's integers [%]")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    return figure


if __name__ == "__main__":
    main()
