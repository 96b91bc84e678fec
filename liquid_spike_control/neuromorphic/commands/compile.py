# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike neuromorphic compile``: a float network becomes a file of integers, and what that cost is told."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import TaskError
from ..compiled import write_network
from .given import Output, given_model, write_json

if TYPE_CHECKING:
    from ...options import CompileOptions


def compile_command(options: CompileOptions) -> int:
    """Quantise, report, write."""
    model = given_model(options)
    out = options.out or Path(options.model.with_suffix(".safetensors").name)
    if out.suffix != ".safetensors":
        raise TaskError(f"--out {out}: compiled networks are .safetensors files; give that suffix")
    if out.absolute() == options.model.absolute():
        raise TaskError(f"--out {out}: that is the model itself; give another name")
    network, report = model.quantised(options.bits, options.exponent)
    metadata = {
        "step_s": model.step_s,
        "input_shape": list(model.input_shape) if model.input_shape else None,
        "notes": [*model.notes, *report.notes],
        "source": model.source,
        "source_hash": model.hash,
        "bits": options.bits,
        "exponent": options.exponent,
    }
    written = write_network(out, network, metadata)
    last = f"{out}: {network.n_neurons} neurons, hash {written}"
    Output().show(report.table(), *model.notes, *report.notes, last)
    write_json(options.json, metadata | {"file": str(out), "hash": written} | asdict(report))
    return 0
