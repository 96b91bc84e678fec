# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike neuromorphic inspect``: what is in a model file, and what it takes on a chip."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from ...errors import ModelError
from ...outputs import save_figure, write_json
from ...spiking.loihi_limits import programmable_neurons, unsupported_on_loihi
from ...terminal import Console
from ..chip.chips import LOIHI1, LOIHI2
from ..chip.floorplan import figure
from ..chip.mapping import place
from ..chip.traffic import traffic
from ..emulator.engine import emulate
from ..energy.metrics import fan_out
from ..integers.network import LoihiNetwork
from ..integers.neurons import Population
from ..model import SpikingModel
from ..quantisation.equivalents import with_readouts
from .drive import drive, without_payloads
from .given import Output, given_model, given_spikes

if TYPE_CHECKING:
    from ...options import InspectOptions

#: Fields that are not parameters of the neurons or synapses, or have columns of their own.
_SEPARATE = {"n", "source", "target", "weight", "weights", "shape", "input_shape", "sources", "targets"}


def inspect_command(options: InspectOptions) -> int:
    """Print the contents of the file, then place it on Loihi's cores."""
    model = given_model(options)
    held = model.graph or model.network()
    output = Output()
    output.show(
        f"{model.source}: {'floats' if model.graph else 'integers'}, hash {model.hash}",
        f"{held.n_inputs} inputs {_shape(model.input_shape)}, {held.n_outputs} outputs ({', '.join(held.outputs)}), "
        + (f"steps of {model.step_s * 1e3:g} ms" if model.step_s else "steps of no stated length"),
        _populations(held.populations),
        _connections(held.connections),
        *(f"note: {note}" for note in model.notes),
    )
    numbers: dict[str, Any] = {
        "model": model.source, "hash": model.hash, "step_s": model.step_s, "input_shape": model.input_shape,
        "inputs": held.n_inputs, "outputs": held.n_outputs, "notes": model.notes,
        "populations": {name: {"neurons": p.n, "kind": type(p).__name__} for name, p in held.populations.items()},
        "connections": [{"from": c.source, "to": c.target, "kind": type(c).__name__, "shape": c.shape,
                         "synapses": int(fan_out(c).sum())} for c in held.connections],
    }  # fmt: skip
    network, unsupported = _on_loihi(model)
    output.show(*(f"not on Loihi: {reason}" for reason in unsupported))
    programs = programmable_neurons(model.graph.populations) if model.graph else {}
    output.show(*(f"{name}: {why}" for name, why in programs.items()))
    numbers["unsupported"] = unsupported
    if network is not None:
        loihi_1 = all(isinstance(p, Population) for p in network.populations.values())
        placement = place(network, LOIHI1 if loihi_1 else LOIHI2)
        placement.table(output.console)
        numbers |= {"cores": placement.n_cores, "chips": placement.n_chips}
        numbers["misfits"] = [str(misfit) for misfit in placement.misfits]
        if options.plot is not None:
            spikes, what = given_spikes(options, model)
            trains, _ = drive(emulate(network), spikes, Console(stderr=True))
            messages = traffic(placement, {name: without_payloads(t) for name, t in trains.items()}, spikes)
            output.show(f"messages, input {what}: {messages}")
            save_figure(figure(placement, messages), options.plot)
    write_json(options.json, numbers)
    return 0


def _on_loihi(model: SpikingModel) -> tuple[LoihiNetwork | None, list[str]]:
    """Return the network in integers, or what Loihi does not have; a float network can be inspected without it."""
    unsupported = unsupported_on_loihi(with_readouts(model.graph)) if model.graph else []
    if unsupported:
        return None, unsupported
    try:
        return model.network(), []
    except ModelError as error:
        return None, [str(error)]


def _populations(populations) -> Table:
    table = Table("population", "kind", "neurons", "parameters")
    table.columns[2].justify = "right"
    for name, p in populations.items():
        table.add_row(name, type(p).__name__, str(p.n), ", ".join(_parameters(p)))
    return table


def _connections(connections: Iterable) -> Table:
    table = Table("from", "to", "kind", "shape", "synapses", "weights", "parameters")
    table.columns[4].justify = "right"
    for c in connections:
        weights = c.weight if hasattr(c, "weight") else c.weights
        shape = getattr(c, "input_shape", None)
        across = _shape(shape) + " -> " + _shape(c.output_shape) if shape else _shape(c.shape[::-1], " -> ")
        table.add_row(
            c.source,
            c.target,
            type(c).__name__,
            across,
            str(int(fan_out(c).sum())),
            f"{_shape(weights.shape)} {_range(weights)}",
            ", ".join(_parameters(c)),
        )
    return table


def _parameters(part: Any) -> Iterator[str]:
    """Names and values of what is not as it would be by default."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.name in _SEPARATE or (field.default is not dataclasses.MISSING and np.all(value == field.default)):
            continue
        yield f"{field.name} {_range(value)}"


def _range(value: Any) -> str:
    if isinstance(value, tuple):
        return _shape(value)
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or not array.size:
        return str(value)
    low, high = array.min(), array.max()
    return f"{low:.4g}" if low == high else f"{low:.4g} .. {high:.4g}"


def _shape(shape: Iterable[int] | None, joint: str = " x ") -> str:
    return joint.join(map(str, shape)) if shape else ""
