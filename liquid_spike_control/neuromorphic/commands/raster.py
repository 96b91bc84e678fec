# SPDX-License-Identifier: Apache-2.0
"""A picture of a run: every population's spikes, and the membranes of a few neurons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ...outputs import in_print, save_figure
from ...types import SpikeTrain
from ..emulator.loihi import LoihiEmulator
from ..integers.neurons import Population
from ..model import SpikingModel
from ..reference import FloatReference
from .drive import Train

#: Voltages that are kept for the picture.
_MOST_VOLTAGES = 1 << 24
#: Spikes of a population that are drawn as dots; of more, their density in so many pieces of time and neurons.
_MOST_DOTS, _BINS = 30_000, (700, 100)


@in_print()
def plot(
    model: SpikingModel,
    backend: str,
    spikes: Train,
    trains: Mapping[str, Train],
    sizes: Mapping[str, int],
    dt: float,
    n_traces: int,
    path: Path,
) -> None:
    """Write the picture; the format is the suffix's.

    Args:
        model: what ran.
        backend: on what; there are membranes of CUBA-LIF neurons on ``loihi`` and ``float``.
        spikes: what came in.
        trains: what every population did.
        sizes: neurons of each.
        dt: length of a step [s].
        n_traces: membranes for each population.
        path: where to.

    Raises:
        TaskError: the suffix is no format, or the file cannot be written.
    """
    voltages = _voltages(model, backend, spikes) if n_traces and backend in ("loihi", "float") else {}
    rows = [("input", spikes, model.n_inputs), *((name, train, sizes[name]) for name, train in trains.items())]
    heights = [2.0] + [3.0 if name in voltages else 2.0 for name in trains]
    panels = sum(2 if name in voltages else 1 for name in trains) + 1
    figure = Figure(figsize=(11, 1.2 + 1.5 * panels), layout="constrained")
    ratios = [h for (name, *_), height in zip(rows, heights, strict=True)
              for h in ((2.0, 1.8) if name in voltages else (height,))]  # fmt: skip
    axes = list(figure.subplots(panels, 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0])
    axes[0].set_title(f"{Path(model.source).name} on {backend}, {spikes.n_steps} steps of {dt * 1e3:g} ms")
    for name, train, n in rows:
        axis = axes.pop(0)
        _raster(axis, name, train, n, dt)
        if name in voltages:
            axis = axes.pop(0)
            _membranes(axis, voltages[name], train, n, n_traces, dt)
    axis.set_xlabel("time [s]")
    axis.set_xlim(0, spikes.n_steps * dt)
    figure.align_ylabels()
    save_figure(figure, path)


def _voltages(model: SpikingModel, backend: str, spikes: Train) -> dict[str, np.ndarray]:
    """Voltages of every population in the first steps, in thresholds."""
    if backend == "float":
        graph = model.float_graph()
        n = sum(p.n for p in graph.populations.values())
        traces = FloatReference(graph).voltages(_first(spikes, n))
        return {name: v / graph.populations[name].vth for name, v in traces.items()}
    network = model.network()
    lif = {name: p for name, p in network.populations.items() if isinstance(p, Population)}
    if len(lif) < len(network.populations):
        return {}
    probes = LoihiEmulator(network).probe(_first(spikes, network.n_neurons))
    return {name: probes[name].v / (64 * np.maximum(p.vth, 1)) for name, p in lif.items()}


def _first(spikes: Train, n_neurons: int) -> SpikeTrain:
    n_steps = min(spikes.n_steps, max(1, _MOST_VOLTAGES // n_neurons))
    return SpikeTrain(spikes.indptr[: n_steps + 1], spikes.ids[: spikes.indptr[n_steps]])


def _raster(axis, name: str, train: Train, n: int, dt: float) -> None:
    """A dot a spike; where dots would run together, how many there are in each piece of the picture."""
    times = np.repeat(np.arange(train.n_steps), np.diff(train.indptr)) * dt
    whole = (0.0, train.n_steps * dt), (-0.5, n - 0.5)
    if len(times) > _MOST_DOTS:
        bins = min(train.n_steps, _BINS[0]), min(n, _BINS[1])
        density = np.histogram2d(times, train.ids, bins, whole)[0].T
        dark = float(np.percentile(density, 99)) or 1.0
        axis.imshow(
            density, cmap="Greys", vmin=0, vmax=dark, extent=(*whole[0], *whole[1]), origin="lower", aspect="auto"
        )
    else:
        size = float(np.clip(2e4 / max(len(times), 1), 0.6, 6.0))
        axis.scatter(times, train.ids, s=size, color="black", linewidths=0, rasterized=True)
    axis.set_ylim(*whole[1])
    axis.set_ylabel(f"{name}\nneuron")
    axis.margins(x=0)


def _membranes(axis, voltages: np.ndarray, train: Train, n: int, n_traces: int, dt: float) -> None:
    """A few neurons, from the busy to the quiet, one above the other; far below zero they are cut off."""
    order = np.argsort(-np.bincount(train.ids, minlength=n), kind="stable")
    active = max(len(np.unique(train.ids)), 1)
    # Not the busiest itself, which often spikes in every step.
    chosen = np.unique(order[np.unique((np.arange(n_traces) + 0.5) / n_traces * active).astype(int)])
    for k, i in enumerate(chosen):
        times = np.arange(len(voltages)) * dt
        axis.step(times, 2.2 * k + voltages[:, i].clip(-1, 1), where="post", lw=0.7)
        axis.axhline(2.2 * k + 1, color="grey", lw=0.5, ls="--")
    axis.set_yticks(2.2 * np.arange(len(chosen)), [str(i) for i in chosen])
    axis.set_ylabel("voltage\n(--: threshold)")
