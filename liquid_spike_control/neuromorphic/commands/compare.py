# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike neuromorphic compare``: the float network and its integers on the same spikes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ...outputs import save_figure, write_json
from ...terminal import Console
from ..agreement import compare
from ..agreement_figure import agreement_figure
from .given import Output, given_model, given_spikes

if TYPE_CHECKING:
    from ...options import CompareOptions


def compare_command(options: CompareOptions) -> int:
    """Run both networks and report how well they agree."""
    model = given_model(options)
    spikes, what = given_spikes(options, model)
    network, quantisation = model.quantised(options.bits)
    with Console(stderr=True).status(f"{spikes.n_steps} steps in floats and in integers"):
        report = compare(model.float_graph(), network, spikes, quantisation.units)
    head = f"{model.source}, {options.bits} bits; input: {what}"
    Output().show(head, quantisation.table(), report.table(), *model.notes, *quantisation.notes)
    if options.plot is not None:
        save_figure(agreement_figure(report), options.plot)
    write_json(
        options.json,
        {"model": model.source, "hash": model.hash, "input": what, "bits": options.bits, "steps": report.n_steps,
         "agreement": [asdict(p) for p in report.populations], "quantisation": asdict(quantisation)},
    )  # fmt: skip
    return 0
