# SPDX-License-Identifier: Apache-2.0
"""The picture and the table of docs/neurons.md: ten regimes of Izhikevich's neuron and AdEx under a constant current.

    python -m liquid_spike_control.neuromorphic.regimes_figure docs/neurons.png
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from ..outputs import in_print, save_figure
from ..spiking.nonlinear_neurons import REGIMES, AdEx, Izhikevich
from ..terminal import Console
from ..types import SpikeTrain
from .emulator.loihi2 import Loihi2Emulator
from .integers.network import LoihiNetwork
from .integers.nonlinear_neurons import PLACES, nonlinear_population

STEPS, SHOWN = 1000, 300


def in_integers(p: Izhikevich | AdEx, current: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Spikes bool ``(steps,)`` and voltages [mV] ``(steps,)`` of a neuron on the emulator."""
    network = LoihiNetwork(1, {"n": nonlinear_population(1, p, bias=current)}, [])
    silence = SpikeTrain.from_dense(np.zeros((steps, 1), bool))
    trace = Loihi2Emulator(network).probe(silence)["n"]
    return trace.payloads[:, 0] > 0, trace.states["v"][:, 0] / 2**PLACES


@in_print()
def regimes_figure() -> Figure:
    """Voltages over time: lines are float64, dots integers, ticks the integers' spikes."""
    figure = Figure(figsize=(11.0, 4.2), layout="constrained")
    panels = figure.subplots(2, 5, sharex=True, sharey=True)
    for panel, (name, (p, current)) in zip(panels.ravel(), REGIMES.items(), strict=True):
        _, v = p.run(np.full(SHOWN, current))
        spikes, at = in_integers(p, current, SHOWN)
        panel.plot(v, color="0.6", linewidth=1.6, label="float64")
        panel.plot(at, ".", markersize=1.8, color="#2b6cb0", label="integers")
        when = np.flatnonzero(spikes)
        panel.plot(when, np.full(len(when), -32.0), "|", markersize=7, color="#dd6b20", label="spikes")
        panel.set(title=name.replace("izhikevich", "Izhikevich:").replace("adex", "AdEx:"), ylim=(-80, -26))
        panel.title.set_fontsize(9)
    for panel in panels[1]:
        panel.set_xlabel("ms")
    for panel in panels[:, 0]:
        panel.set_ylabel("mV")
    panels[0, 0].legend(fontsize=7, loc="lower right", framealpha=1.0)
    return figure


def regimes_table() -> Table:
    """Spikes in floats and integers, and how far they are apart."""
    table = Table("regime", "spikes, floats and integers", "largest error of a spike's time, steps", "of an interval")
    for name, (p, current) in REGIMES.items():
        floats = np.flatnonzero(p.run(np.full(STEPS, current))[0])
        integers = np.flatnonzero(in_integers(p, current, STEPS)[0])
        n = min(len(floats), len(integers))
        apart, gaps = np.abs(floats[:n] - integers[:n]), np.abs(np.diff(floats[:n]) - np.diff(integers[:n]))
        table.add_row(name, f"{len(floats)}, {len(integers)}", str(apart.max()), str(gaps.max()))
    return table


if __name__ == "__main__":
    save_figure(regimes_figure(), sys.argv[1])
    Console().print(regimes_table())
