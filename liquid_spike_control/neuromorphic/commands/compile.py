# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike neuromorphic compile``: write a network as a file of integers, and report the loss of accuracy."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ...errors import TaskError
from ...outputs import check_outputs, write_json
from ...terminal import Console
from ..files.compiled import write_network
from ..files.spike_files import read_spikes
from ..integers.network import LoihiNetwork
from ..model import SpikingModel
from ..quantisation.calibration import calibrate
from ..quantisation.report import QuantisationReport
from .given import Output, given_model, step_of

if TYPE_CHECKING:
    from ...options import CompileOptions


def compile_command(options: CompileOptions) -> int:
    """Quantise what is in floats, report, write."""
    model = given_model(options)
    out = options.out or Path(options.model.with_suffix(".safetensors").name)
    if out.suffix != ".safetensors":
        raise TaskError(f"--out {out}: compiled networks are .safetensors files; give that suffix")
    if out.absolute() == options.model.absolute():
        raise TaskError(f"--out {out}: that is the model itself; give another name")
    check_outputs(out=out)
    network, report, tables = _integers(model, options)
    notes = [*model.notes, *(report.notes if report else ())]
    metadata: dict[str, Any] = {
        "step_s": model.step_s,
        "input_shape": list(model.input_shape) if model.input_shape else None,
        "notes": notes,
        "source": model.source,
        "source_hash": model.hash,
    }
    if report is not None:
        metadata["losses"] = asdict(report)["populations"]
    written = write_network(out, network, metadata)
    Output().show(*tables, *notes, f"{out}: {network.n_neurons} neurons, hash {written}")
    write_json(options.json, metadata | {"file": str(out), "hash": written})
    return 0


def _integers(
    model: SpikingModel, options: CompileOptions
) -> tuple[LoihiNetwork, QuantisationReport | None, list[Table]]:
    """The network, what it lost, and the tables about that."""
    if model.compiled is not None:
        for name, value, default in (
            ("bits", options.bits, 8), ("exponent", options.exponent, None), ("calibration", options.calibration, None)
        ):  # fmt: skip
            if value != default:
                raise TaskError(f"{model.source}: it holds integers already; leave --{name} out, or give the .nir")
        return model.compiled, None, []
    if options.calibration is None:
        network, report = model.quantised(options.bits, options.exponent)
        return network, report, [report.table()]
    if options.exponent is not None:
        raise TaskError("--exponent and --calibration: the calibration chooses it; leave one out")
    shape = options.shape or model.input_shape
    spikes = read_spikes(options.calibration, model.n_inputs, step_of(model), shape, options.node)
    with Console(stderr=True).status("calibrating") as status:
        chosen = calibrate(
            model.float_graph(), spikes, options.bits, progress=lambda name: status.update(f"calibrating {name}")
        )
    return chosen.network, chosen.report, [chosen.table(), chosen.report.table()]
