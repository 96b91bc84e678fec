# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike controller``: inspect a controller file, export it to other runtimes."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.table import Table

from ..checkpoint import ControllerFile, read_controller
from ..options import ControllerExportOptions, ControllerInspectOptions
from ..outputs import save_figure, write_file, write_json
from ..resources import model_file
from ..terminal import Console
from .architecture import synapses_in, tensor_shapes, used, wirings_of

#: The most that an exported graph may differ from the compiled controller, in parts of a command's limit.
TOLERANCE = 1e-5


def summary(file: ControllerFile) -> dict[str, Any]:
    """Return the output of ``controller inspect --json``: the file without its weights, and counts of its parts."""
    a, n_commands = file.architecture, len(file.command_names)
    counts = used(a, tensor_shapes(a, len(file.observation_names), n_commands), wirings_of(a, file.tensors, n_commands))
    parts: dict[str, int] = {}
    for name, count in counts.items():
        words = name.split(".")
        # An LTC's tensors belong to the cell, the others to the affine layer they are a weight or a bias of.
        part = ".".join(words[:-1])
        parts[part] = parts.get(part, 0) + count
    wirings = []
    for wiring in wirings_of(a, file.tensors, n_commands):
        if wiring is None:
            continue
        drawn = wiring.n_synapses
        wiring = wiring.within_stages() if a.cell == "cfc" else wiring
        signs = np.concatenate([wiring.sensory.ravel(), wiring.synapses.ravel()])
        wirings.append({
            "stages": list(wiring.stages),
            "sensory_synapses": int(np.count_nonzero(wiring.sensory)),
            "synapses": int(np.count_nonzero(wiring.synapses)),
            "drawn_excitatory": int((signs > 0).sum()),
            "drawn_inhibitory": int((signs < 0).sum()),
            "drawn_without_effect": drawn - wiring.n_synapses,
        })  # fmt: skip
    totals = {"parameters": sum(counts.values()), "weighted_connections": synapses_in(counts)}
    return file.metadata() | {"sha256": file.sha256} | totals | {"parameters_of": parts, "wirings": wirings}


def inspect_command(options: ControllerInspectOptions) -> int:
    """Print the interface and the structure of a controller, and write the requested files.

    Raises:
        ModelError: the file is no controller, or there is no wiring to draw.
    """
    console, file = Console(), read_controller(model_file(options.model))
    report = summary(file)
    if options.plot:
        from .wiring_figure import figure

        save_figure(figure(file), options.plot, dpi=150)
    _print(file, report, console)
    write_json(options.json, report)
    return 0


def _print(file: ControllerFile, report: dict[str, Any], console: Console) -> None:
    a = file.architecture
    console.print(f"{file.source}: {file.task}, every {file.nominal_period_s * 1e3:g} ms", soft_wrap=True)
    table = Table()
    for heading in ("", "name", "unit", "scale or limit"):
        table.add_column(heading)
    for k, (name, unit, scale) in enumerate(
        zip(file.observation_names, file.observation_units, file.observation_scales, strict=True)
    ):
        table.add_row("observes" if k == 0 else "", name, unit, f"{scale:g}")
    for k, (name, unit, limit) in enumerate(
        zip(file.command_names, file.command_units, file.command_limits, strict=True)
    ):
        table.add_row("commands" if k == 0 else "", name, unit, f"+-{limit:g}")
    console.print(table)
    made = [f"{a.layers} x {a.units} {a.cell}" if a.layers > 1 else f"{a.units} {a.cell}"]
    made += [f"mode {a.mode}"] * (a.mode != "default") + ["mixed memory"] * a.mixed_memory
    made += [f"{a.stacked} samples stacked"] * (a.stacked > 1)
    made += [f"backbone {a.backbone_layers} x {a.backbone_units} {a.activation}"] * (a.backbone_layers > 0)
    made += [f"{a.unfolds} solver steps"] * (a.cell == "ltc")
    made += [f"wiring {a.wiring.kind}"] if a.wiring else []
    made += [f"inputs projected to {a.encoder_units}"] * (a.encoder_units > 0)
    hidden = [f"elapsed time not as {w}" for w, on in (("input", a.elapsed_input), ("span", a.elapsed_span)) if not on]
    lines = ["network      " + ", ".join(made + hidden)]
    parts = ", ".join(f"{name} {count}" for name, count in report["parameters_of"].items())
    lines.append(f"parameters   {report['parameters']} in use: {parts}")
    lines.append(f"synapses     {report['weighted_connections']} weighted connections")
    for wiring in report["wirings"]:
        stages = ", ".join(map(str, wiring["stages"]))
        lines.append(
            f"wiring       layers of {stages} neurons; {wiring['sensory_synapses']} synapses from inputs, "
            f"{wiring['synapses']} between neurons; drawn {wiring['drawn_excitatory']} excitatory, "
            f"{wiring['drawn_inhibitory']} inhibitory"
        )
        if n := wiring["drawn_without_effect"]:
            lines.append(f"             {n} more are drawn within a layer, whose neurons a CfC joins anyway")
    first, last = file.training_seeds
    lines.append(f"trained by   {file.training_command}, on seeds {first} to {last}")
    lines.append(f"sha256       {report['sha256']}")
    console.print("\n".join(lines), soft_wrap=True, highlight=False)


def export_command(options: ControllerExportOptions) -> int:
    """Write a controller as ONNX, run it on onnxruntime beside ours, and print their difference.

    Exit status 1: further than :data:`TOLERANCE` of a command's limit.

    Raises:
        ModelError: the file is no controller, or the other cannot be written.
    """
    from .onnx_export import disagreement, onnx_bytes

    file = read_controller(model_file(options.model))
    model = onnx_bytes(file)
    write_file(options.out, model)
    apart = disagreement(model, file)  # not of the file, which may be a FIFO
    verdict = "agrees" if apart <= TOLERANCE else f"DIFFERS by more than {TOLERANCE:g}"
    Console().print(
        f"{options.out}: one step of {file.source}; on onnxruntime it {verdict}: {apart:.1e} of a command's limit over "
        "500 irregular steps",
        soft_wrap=True,
    )
    return 0 if apart <= TOLERANCE else 1
