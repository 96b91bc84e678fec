# SPDX-License-Identifier: Apache-2.0
"""A picture of a wired controller: its neurons in layers and its synapses, as they were trained."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from ..checkpoint import ControllerFile
from ..errors import ModelError
from ..outputs import in_print
from .architecture import wirings_of
from .wiring import Wiring

EXCITATORY, INHIBITORY = "#d95f02", "#1f6fb4"
_NEURON, _RIM = "#fbfbf8", "#55554f"
_THIN, _THICK = 0.25, 2.2  # lines of the weakest and of the strongest synapse [points]
_STAGES = ("inter", "command", "motor")


@in_print()
def figure(file: ControllerFile) -> Figure:
    """Draw the layers of a controller, one above the other.

    From left to right: what it observes (sensory neurons), its layers of neurons, its commands. A line is as wide as
    its synapse is strong beside the others between the same two columns. Of an LTC the strength is conductance times
    reversal potential, positive if excitatory; of a CfC it is the mean of the weights of its two candidates, and
    synapses within a layer are not drawn, as all its neurons see each other.

    Raises:
        ModelError: it is not wired.
    """
    wirings = [w for w in wirings_of(file.architecture, file.tensors, len(file.command_names)) if w is not None]
    if not wirings:
        found = f"{file.architecture.cell} connected all to all"
        raise ModelError(f"{file.source}: wiring: expected one to draw, found {found}; leave --plot out")
    most = max(max(len(w.sensory), *w.stages) for w in wirings)
    height = max(3.2, 0.3 * most)
    drawing = Figure(figsize=(9.5, height * len(wirings) + 0.6), layout="constrained")
    panels = drawing.subplots(len(wirings), 1, squeeze=False)[:, 0]
    for k, (panel, wiring) in enumerate(zip(panels, wirings, strict=True)):
        _draw(panel, file, k, wiring)
    a = file.architecture
    n = sum(np.count_nonzero(part) for k, w in enumerate(wirings) for part in strengths(file, k, w))
    kind = {"ltc": "LTC", "cfc": "CfC"}[a.cell]
    drawing.suptitle(f"{file.task}: {a.units * a.layers} {kind} neurons, {n} synapses", fontsize=11)
    named = (EXCITATORY, "excitatory"), (INHIBITORY, "inhibitory")
    lines = [Line2D([], [], color=colour, lw=1.6, label=name) for colour, name in named]
    drawing.legend(handles=lines, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return drawing


def strengths(file: ControllerFile, layer: int, wiring: Wiring) -> tuple[np.ndarray, np.ndarray]:
    """Signed strengths of a layer's synapses: from its inputs and from its neurons, as rows, to its neurons."""
    cell, a, t = f"layers.{layer}.cell", file.architecture, file.tensors
    sensory, inner = np.zeros(wiring.sensory.shape), np.zeros(wiring.synapses.shape)
    if a.cell == "ltc":
        sensory[:] = t[f"{cell}.sensory_w"] * t[f"{cell}.sensory_erev"] * np.abs(wiring.sensory)
        inner[:] = t[f"{cell}.w"] * t[f"{cell}.erev"] * np.abs(wiring.synapses)
        return sensory, inner
    first = 0
    for j, size in enumerate(wiring.stages):
        heads = t[f"{cell}.stages.{j}.weight"] * a.head_mask(wiring, j)
        candidates = heads[: min(a.heads, 2) * size].reshape(-1, size, heads.shape[1]).mean(0)
        below, here = candidates[:, :-size].T, slice(first, first + size)
        if j == 0:
            sensory[:, here] = below
        else:
            inner[first - wiring.stages[j - 1] : first, here] = below
        first += size
    return sensory, inner


def _draw(panel: Axes, file: ControllerFile, layer: int, wiring: Wiring) -> None:
    sensory, inner = strengths(file, layer, wiring)
    bounds = np.cumsum([0, *wiring.stages])
    stages = [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]
    last = layer == file.architecture.layers - 1
    columns = [len(sensory), *wiring.stages] + [len(file.command_names)] * last
    x, places = np.arange(len(columns)) * 1.0, [_column(n) for n in columns]

    _lines(panel, x[:2], places[0], places[1], sensory[:, stages[0]])
    for j, (below, above) in enumerate(zip(stages, stages[1:], strict=False), 1):
        _lines(panel, x[j : j + 2], places[j], places[j + 1], inner[below, above])
    for j, stage in enumerate(stages, 1):
        _arcs(panel, x[j], places[j], inner[stage, stage])
    if last:
        _lines(panel, x[-2:], places[-2], places[-1], file.tensors["project.weight"].T)
    names = _STAGES if len(stages) == 3 else ("neurons",)
    titles = ["sensory" if layer == 0 else "layer below", *names] + ["commands"] * last
    for at, place, title in zip(x, places, titles, strict=True):
        panel.scatter(np.full(len(place), at), place, s=85, color=_NEURON, edgecolor=_RIM, linewidth=1.0, zorder=3)
        panel.text(at, 1.06, f"{title} ({len(place)})", ha="center", va="bottom", fontsize=9)
    if layer == 0 and not file.architecture.encoder_units:
        labels = [*file.observation_names, *["elapsed time"] * file.architecture.elapsed_input]
        for at, label in zip(places[0], labels, strict=True):
            panel.text(x[0] - 0.07, at, label.replace("_", " "), ha="right", va="center", fontsize=8)
    if last:
        for at, label in zip(places[-1], file.command_names, strict=True):
            panel.text(x[-1] + 0.07, at, label.replace("_", " "), ha="left", va="center", fontsize=8)
    panel.set(xlim=(-0.65, x[-1] + 0.55), ylim=(-0.06, 1.14))
    panel.axis("off")


def _column(n: int) -> np.ndarray:
    """Heights of neurons, from the top, closer together where there are few."""
    half = 0.5 * min(1.0, 0.3 + 0.09 * n) if n > 1 else 0.0
    return np.linspace(0.5 + half, 0.5 - half, n)


def _widths(strength: np.ndarray) -> np.ndarray:
    greatest = np.abs(strength).max(initial=0)
    return _THIN + (_THICK - _THIN) * np.abs(strength) / (greatest or 1)


def _lines(panel: Axes, x: np.ndarray, left: np.ndarray, right: np.ndarray, strength: np.ndarray) -> None:
    sources, targets = np.nonzero(strength)
    values = strength[sources, targets]
    order = np.argsort(np.abs(values))  # strong ones above
    ends = [[(x[0], left[i]), (x[1], right[j])] for i, j in zip(sources[order], targets[order], strict=True)]
    colours = np.where(values[order] > 0, EXCITATORY, INHIBITORY)
    panel.add_collection(LineCollection(ends, linewidths=_widths(values)[order], colors=colours, alpha=0.7, zorder=1))


def _arcs(panel: Axes, x: float, places: np.ndarray, strength: np.ndarray) -> None:
    """Synapses within a column: arcs on its right; to itself a small loop above the neuron."""
    widths = _widths(strength)
    for i, j in zip(*np.nonzero(strength), strict=True):
        colour = EXCITATORY if strength[i, j] > 0 else INHIBITORY
        if i == j:
            panel.scatter([x], [places[i]], s=260, facecolor="none", edgecolor=colour, linewidth=widths[i, j], zorder=2)
            continue
        bend = -0.45 if places[i] > places[j] else 0.45
        panel.add_patch(
            FancyArrowPatch(
                (x, places[i]), (x, places[j]), connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=7,
                shrinkA=5, shrinkB=5, linewidth=widths[i, j], color=colour, alpha=0.7, zorder=2,
            )  # fmt: skip
        )
