# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike neuromorphic energy``: what the network's work would take on several devices, by published prices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...outputs import write_json
from ...terminal import Console
from ..energy.devices import compare_devices, table
from ..energy.devices_figure import plot
from .given import Output, given_model, given_spikes, step_of

if TYPE_CHECKING:
    from ...options import EnergyOptions


def energy_command(options: EnergyOptions) -> int:
    """Place the network on cores, run it, price its work and its messages."""
    model = given_model(options)
    spikes, what = given_spikes(options, model)
    title, output = f"{Path(model.source).name}, input {what}", Output()
    with Console(stderr=True).status(f"{spikes.n_steps} steps"):
        report = compare_devices(model.network(), spikes, step_of(model), options.inference, title=title)
    table(report, output.console)
    output.show(*model.notes)
    if options.plot is not None:
        plot(report, options.plot)
    write_json(options.json, report.as_dict())
    return 0
