# SPDX-License-Identifier: Apache-2.0
"""The picture of docs/adaptation.md: a step of current into neurons that adapt and that do not.

    python -m liquid_spike_control.neuromorphic.adaptation_figure docs/adaptation.png
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure

from ..outputs import in_print, save_figure
from ..spiking.graph import CubaPopulation, Linear, SpikingGraph
from ..types import SpikeTrain
from .emulator.loihi2 import Loihi2Emulator
from .quantisation.quantize import quantise_reported
from .reference import FloatReference

STEPS, BEGIN = 600, 50


@in_print()
def adaptation_figure() -> Figure:
    """Left: voltage and threshold of one neuron in integers. Right: intervals between spikes, by the rise."""
    rises = np.array([0.0, 0.1, 0.3])
    one = np.ones(3)
    p = CubaPopulation(0.5 * one, 0.1 * one, one, 0 * one, rise=rises, dh=one / 128)
    graph = SpikingGraph(1, {"a": p}, [Linear("input", "a", np.full((3, 1), 0.1))], ("a",))
    spikes = SpikeTrain.from_dense(np.arange(STEPS)[:, None] >= BEGIN)
    network, report = quantise_reported(graph)
    trace = Loihi2Emulator(network).probe(spikes)["a"]
    floats = FloatReference(graph).run(spikes).to_dense(3)
    unit = report.populations[0].unit / 64
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(trace.states["v"][:, 1] * unit, color="#2b6cb0", label="voltage")
    left.plot(1 + trace.states["h"][:, 1] * unit, color="#dd6b20", label="threshold 1 + h")
    left.set(xlabel="step", ylabel="in thresholds at rest", title="one neuron in integers, rise 0.1")
    left.legend(fontsize=8, loc="lower right", framealpha=1.0)
    for k, colour in enumerate(("0.5", "#2b6cb0", "#dd6b20")):
        for dense, style in ((floats, "-"), (trace.payloads > 0, ".")):
            when = np.flatnonzero(dense[:, k])
            label = f"rise {rises[k]:g}" if style == "-" else None
            right.plot(when[1:], np.diff(when), style, color=colour, label=label, linewidth=1)
    right.set(xlabel="step", ylabel="steps since the spike before", ylim=(0, None))
    right.set_title("lines: floats, dots: integers")
    right.legend(fontsize=8, loc="center right")
    return figure


if __name__ == "__main__":
    save_figure(adaptation_figure(), sys.argv[1])
