# SPDX-License-Identifier: Apache-2.0
"""The picture and the table of docs/encoding.md: a number as spikes that arise on the chip.

    python -m liquid_spike_control.neuromorphic.encoding.figure docs/encoding.png
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from ...outputs import in_print, save_figure
from ...spiking.coding.delta import DeltaCode
from ...spiking.coding.interval import Interval
from ...spiking.coding.latency import LatencyCode
from ...spiking.coding.phase import PhaseCode
from ...spiking.coding.population import PopulationCode
from ...spiking.coding.rate import RateCode
from ...terminal import Console
from ...types import SpikeTrain
from ..chip.chips import LOIHI2
from ..chip.mapping import place
from ..emulator.loihi2 import Loihi2Emulator
from .encoders import Code, encoder

STEPS, WINDOW, NUMBERS = 400, 20, 100
CODES: dict[str, Code] = {
    "rate": RateCode(Interval(-1, 1), WINDOW),
    "latency": LatencyCode(Interval(-1, 1), WINDOW),
    "phase": PhaseCode(Interval(-1, 1), 10, 2),
    "population": PopulationCode(8, WINDOW),
    "threshold-delta": DeltaCode(0.1),
}


def decoded(code: Code, spikes: SpikeTrain, n: int) -> np.ndarray:
    """Numbers that the host decodes, a row a window, or a step of a threshold-delta code."""
    if isinstance(code, DeltaCode):
        return code.decode(spikes, np.zeros(n))
    dense = spikes.to_dense(n * getattr(code, "n_fields", 1))
    windows = dense.reshape(-1, code.steps, dense.shape[1])
    return np.stack([code.decode(SpikeTrain.from_dense(window), n) for window in windows])


@in_print()
def encoding_figure() -> Figure:
    """A sine: above the spikes of the emulated chip, below the sine and what the spikes give back."""
    figure = Figure(figsize=(11.0, 3.6), layout="constrained")
    rows = figure.subplots(2, len(CODES), sharex=True, height_ratios=(1, 1.4))
    time = np.arange(STEPS)
    for above, below, (name, code) in zip(*rows, CODES.items(), strict=True):
        delta = isinstance(code, DeltaCode)
        begins = time[:: 1 if delta else WINDOW]
        values = np.sin(2 * np.pi * begins / STEPS)[:, None]
        net = encoder(code, 1)
        spikes = net.encode(values)
        n_axons = net.network.n_outputs
        when, which = np.nonzero(spikes.to_dense(n_axons))
        above.scatter(when, which, marker="|", s=40 if n_axons > 2 else 150, linewidths=0.8, color="#2b6cb0")
        above.set(title=name, ylim=(-0.7, n_axons - 0.3), yticks=[])
        back = decoded(code, spikes, 1)[:, 0]
        below.plot(begins, values[:, 0], color="0.6", linewidth=3, label="number")
        below.step(begins, back, where="post", color="#dd6b20", linewidth=1.2, label="decoded")
        below.set(xlabel="step", ylim=(-1.25, 1.25))
    rows[0, 0].set_ylabel("axons")
    rows[1, 0].legend(fontsize=8, loc="lower left")
    return figure


def encoding_table() -> Table:
    """What each code takes for a number that changes in every window; numbers are drawn evenly, -1 .. 1."""
    table = Table("code", "neurons a number", "cores", "payloads", "spikes", "synaptic operations", "largest error")
    for name, code in CODES.items():
        n, rng = NUMBERS, np.random.default_rng(0)
        delta = isinstance(code, DeltaCode)
        values = np.cumsum(rng.uniform(-0.05, 0.05, (STEPS, n)), axis=0) if delta else rng.uniform(-1, 1, (20, n))
        net = encoder(code, n)
        emulator = Loihi2Emulator(net.network)
        sent = net.payloads(values)
        emulator.run_graded(sent)
        spikes = net.encode(values)
        per = n * STEPS / WINDOW
        table.add_row(
            name,
            f"{net.network.n_neurons / n:g}",
            str(place(net.network, LOIHI2).n_cores),
            f"{len(sent.ids) / per:.1f}",
            f"{len(spikes.ids) / per:.1f}",
            f"{emulator.stats().synaptic_operations / per:.1f}",
            f"{np.abs(decoded(code, spikes, n) - values).max():.3f}",
        )
    return table


if __name__ == "__main__":
    save_figure(encoding_figure(), sys.argv[1])
    Console().print(encoding_table())
