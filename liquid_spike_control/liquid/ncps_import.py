# SPDX-License-Identifier: Apache-2.0
"""Networks trained with ncps as controller files.

``from_ncps`` takes modules of ``ncps.torch`` as they were trained, alone or one above the other. What ncps keeps
elsewhere is folded into the weights: the positive functions of an LTC's parameters, its output mapping, and the
projection of a CfC. Neurons are put in the order inter, command, motor, which ncps has for CfC but not for LTC.

Time spans: ncps takes numbers without a unit. A controller takes seconds, so give the time span of one nominal period
in training: ``timespan_of_period``, or None where the module was trained without time spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from ncps.torch import LTC, CfC, CfCCell, LTCCell, WiredCfCCell
from ncps.torch.cfc_cell import LeCun
from torch import nn

from ..checkpoint import ControllerFile
from ..errors import ModelError
from .architecture import Architecture
from .wiring import Wiring, WiringPlan

_ACTIVATIONS = {LeCun: "lecun_tanh", nn.Tanh: "tanh", nn.ReLU: "relu", nn.SiLU: "silu", nn.GELU: "gelu"}
_LTC_CONDUCTANCES = ("w", "sensory_w", "cm", "gleak")

Tensors = dict[str, np.ndarray]


@dataclass
class _Layer:
    """A module in our form: fields of the architecture, tensors, and the linear map from its state to its output."""

    n_inputs: int
    fields: dict[str, Any]
    tensors: Tensors
    weight: np.ndarray
    bias: np.ndarray
    wiring: Wiring | None = None
    plan: WiringPlan | None = None


def from_ncps(
    modules: nn.Module | Sequence[nn.Module],
    *,
    observation_names: Sequence[str],
    observation_units: Sequence[str],
    command_names: Sequence[str],
    command_units: Sequence[str],
    command_limits: Sequence[float],
    nominal_period_s: float,
    observation_scales: Sequence[float] | None = None,
    elapsed_input: bool = False,
    timespan_of_period: float | None = 1.0,
    readout: nn.Linear | None = None,
    output: str = "clip",
    task: str = "unknown",
    training_command: str = "ncps",
    training_seeds: tuple[int, int] = (0, 0),
) -> ControllerFile:
    """The controller that does what the modules do: ``limit * output(readout(modules(observation / scale)))``.

    Args:
        modules: ``ncps.torch.CfC`` or ``LTC``, wired or not; several are layers, the first sees the observation.
        observation_names, observation_units: of each input, in order.
        command_names, command_units: of each output, in order.
        command_limits: what an output of 1 is, in each command's unit.
        nominal_period_s: control period [s].
        observation_scales: what one unit of network input is, in each observation's unit; 1 if not given.
        elapsed_input: the last input of the network is elapsed time in nominal periods, not an observation.
        timespan_of_period: the time span that was given for one nominal period; None if none was given.
        readout: a linear layer that was trained behind the modules.
        output: tanh, or clip: outputs beyond 1 are held at the limit.
        task, training_command, training_seeds: see :class:`~liquid_spike_control.checkpoint.ControllerFile`.

    Raises:
        ModelError: a module is of another kind, or the parts do not fit each other.
    """
    every = [modules] if isinstance(modules, nn.Module) else list(modules)
    layers = [_layer(module) for module in every]
    if not layers:
        _refuse("modules", "at least one module", "none")
    if any(layer.fields != layers[0].fields or layer.plan != layers[0].plan for layer in layers):
        found = "; ".join(str(layer.fields) for layer in layers)
        _refuse("modules", "layers of the same kind and size", found)
    n_inputs = len(observation_names) + elapsed_input
    if layers[0].n_inputs != n_inputs:
        inputs = f"{len(observation_names)} observations" + (" and elapsed time" if elapsed_input else "")
        _refuse("inputs", f"{n_inputs}, {inputs}", layers[0].n_inputs)
    for below, above in zip(layers, layers[1:], strict=False):
        _fold(below, above)
    last = layers[-1]
    weight, bias = last.weight, last.bias
    if readout is not None:
        if readout.in_features != len(bias):
            _refuse("readout", f"a linear layer of {len(bias)} inputs", readout.in_features)
        matrix = _array(readout.weight)
        weight, offset = matrix @ weight, matrix @ bias
        bias = offset + (_array(readout.bias) if readout.bias is not None else 0)
    if len(bias) != len(command_names):
        _refuse("outputs", f"{len(command_names)}, one for each command", len(bias))
    tensors = {f"layers.{k}.{name}": v for k, layer in enumerate(layers) for name, v in layer.tensors.items()}
    tensors |= {"project.weight": weight, "project.bias": bias}
    wirings = {
        f"layers.{k}.cell.wiring_{name}": getattr(layer.wiring, name).astype(np.int8)
        for k, layer in enumerate(layers) if layer.wiring for name in ("sensory", "synapses")
    }  # fmt: skip
    return ControllerFile(
        observation_names=tuple(observation_names),
        observation_units=tuple(observation_units),
        observation_scales=tuple(float(s) for s in observation_scales or [1.0] * len(observation_names)),
        command_names=tuple(command_names),
        command_units=tuple(command_units),
        command_limits=tuple(float(limit) for limit in command_limits),
        nominal_period_s=float(nominal_period_s),
        task=task,
        architecture=Architecture(
            **last.fields,
            layers=len(layers),
            wiring=last.plan,
            elapsed_input=elapsed_input,
            elapsed_span=timespan_of_period is not None,
            period_span=1.0 if timespan_of_period is None else float(timespan_of_period),
            output=output,
        ),
        training_command=training_command,
        training_seeds=training_seeds,
        tensors={k: v.astype(np.float32) for k, v in tensors.items()} | wirings,
        source="the ncps network",
    )


def _layer(module: nn.Module) -> _Layer:
    if not isinstance(module, CfC | LTC):
        _refuse("module", "ncps.torch.CfC or ncps.torch.LTC", type(module).__name__)
    cell = module.rnn_cell
    if isinstance(cell, LTCCell):
        layer = _ltc(cell)
    elif isinstance(cell, WiredCfCCell):
        layer = _wired_cfc(cell)
    else:
        layer = _cfc([cell])
    layer.fields["mixed_memory"] = module.use_mixed
    if module.use_mixed:
        _remember(module, layer)
    if isinstance(getattr(module, "fc", None), nn.Linear):  # the projection of a CfC
        layer.weight, layer.bias = _array(module.fc.weight) @ layer.weight, _array(module.fc.bias)
    return layer


def _remember(module: CfC | LTC, layer: _Layer) -> None:
    """The LSTM of a mixed memory; its units are in the order of the cell's state."""
    joint = np.hstack([_array(module.lstm.input_map.weight), _array(module.lstm.recurrent_map.weight)])
    bias, units = _array(module.lstm.input_map.bias), layer.fields["units"]
    if isinstance(module, LTC) and layer.plan is not None:
        order = _order(module.rnn_cell._wiring)
        rows = np.concatenate([order + k * units for k in range(4)])
        n_inputs = joint.shape[1] - units
        joint = joint[rows][:, np.concatenate([np.arange(n_inputs), n_inputs + order])]
        bias = bias[rows]
    layer.tensors |= {"memory.weight": joint, "memory.bias": bias}


def _cfc(cells: Sequence[CfCCell]) -> _Layer:
    """Cells of one layer: one, or a wired layer's stages."""
    names = ("ff1",) if cells[0].mode == "pure" else ("ff1", "ff2", "time_a", "time_b")
    tensors: Tensors = {}
    fields: dict[str, Any] = {"cell": "cfc", "units": sum(c.hidden_size for c in cells), "mode": cells[0].mode}
    for k, cell in enumerate(cells):
        heads = [getattr(cell, name) for name in names]
        tensors[f"cell.stages.{k}.weight"] = np.concatenate([_array(head.weight) for head in heads])
        tensors[f"cell.stages.{k}.bias"] = np.concatenate([_array(head.bias) for head in heads])
    if cells[0].mode == "pure":
        tensors["cell.w_tau"] = np.concatenate([_array(c.w_tau)[0] for c in cells])
        tensors["cell.asymptote"] = np.concatenate([_array(c.A)[0] for c in cells])
    if cells[0].backbone_layers:
        linear = [m for m in cells[0].backbone if isinstance(m, nn.Linear)]
        for k, part in enumerate(linear):
            tensors |= {f"cell.backbone.{k}.weight": _array(part.weight), f"cell.backbone.{k}.bias": _array(part.bias)}
        fields |= {"backbone_units": linear[0].out_features, "backbone_layers": len(linear)}
        fields["activation"] = _ACTIVATIONS[type(cells[0].backbone[1])]
    units = cells[-1].hidden_size
    return _Layer(cells[0].input_size, fields, tensors, np.eye(units), np.zeros(units))


def _wired_cfc(cell: WiredCfCCell) -> _Layer:
    layer = _cfc(cell._layers)
    layer.wiring, layer.plan = _wiring(cell._wiring)
    return layer


def _ltc(cell: LTCCell) -> _Layer:
    wiring, n = cell._wiring, cell.state_size
    order = _order(wiring)
    ours, given = _wiring(wiring)
    full = ours.synapses.all() and ours.sensory.all() and len(ours.stages) == 1
    plan = None if full else given
    tensors: Tensors = {}
    for name in ("gleak", "vleak", "cm", "w", "mu", "sigma", "erev"):
        value = _array(getattr(cell, name))
        tensors[f"cell.{name}"] = value[order] if value.ndim == 1 else value[np.ix_(order, order)]
    for name in ("sensory_w", "sensory_mu", "sensory_sigma", "sensory_erev"):
        tensors[f"cell.{name}"] = _array(getattr(cell, name))[:, order]
    if cell._implicit_param_constraints:
        for name in _LTC_CONDUCTANCES:
            tensors[f"cell.{name}"] = np.logaddexp(0, tensors[f"cell.{name}"])  # softplus
    n_inputs, n_outputs = cell.sensory_size, cell.motor_size
    for name, default in (("input_w", 1.0), ("input_b", 0.0)):
        tensors[f"cell.{name}"] = _parameter(cell, name, np.full(n_inputs, default))
    # Motor neurons come first in ncps, under any layer name.
    stage = order[n - ours.stages[-1] :] if plan else order
    weight = np.zeros((n_outputs, len(stage)))
    for k in range(n_outputs):
        weight[k, np.flatnonzero(stage == k)] = 1
    weight *= _parameter(cell, "output_w", np.ones(n_outputs))[:, None]
    bias = _parameter(cell, "output_b", np.zeros(n_outputs))
    fields = {"cell": "ltc", "units": n, "unfolds": cell._ode_unfolds}
    return _Layer(n_inputs, fields, tensors, weight, bias, ours if plan else None, plan)


def _order(wiring: Any) -> np.ndarray:
    """Numbers of ncps's neurons in our order."""
    stages = [wiring.get_neurons_of_layer(k) for k in range(wiring.num_layers)]
    return np.array([neuron for stage in stages for neuron in stage])


def _wiring(wiring: Any) -> tuple[Wiring, WiringPlan]:
    sizes = tuple(len(wiring.get_neurons_of_layer(k)) for k in range(wiring.num_layers))
    if len(sizes) not in (1, 3):
        _refuse("wiring", "1 or 3 layers of neurons", len(sizes))
    order = _order(wiring)
    signs = np.sign(wiring.adjacency_matrix)[np.ix_(order, order)], np.sign(wiring.sensory_adjacency_matrix)[:, order]
    inter, command, motor = sizes if len(sizes) == 3 else (0, 0, 0)
    plan = WiringPlan("given", inter=inter, command=command, motor=motor, sparse_gates=False)
    return Wiring(signs[1].astype(np.int8), signs[0].astype(np.int8), sizes), plan


def _fold(below: _Layer, above: _Layer) -> None:
    """Let a layer see the state below it instead of what was made of that state."""
    scale, offset = np.diag(below.weight), below.bias
    square = below.weight.shape[0] == below.weight.shape[1]
    diagonal = square and not np.any(below.weight - np.diag(scale))
    if above.fields["cell"] == "ltc" or above.plan:
        if not diagonal:
            _refuse("modules", "layers of these cells without a projection between them", "a projection")
    tensors, n = above.tensors, len(offset)
    if above.fields["cell"] == "ltc":
        tensors["cell.input_b"] = tensors["cell.input_b"] + tensors["cell.input_w"] * offset
        tensors["cell.input_w"] = tensors["cell.input_w"] * scale
    first = "cell.backbone.0" if "cell.backbone.0.weight" in tensors else "cell.stages.0"
    for name in [first] * (above.fields["cell"] == "cfc") + ["memory"] * above.fields["mixed_memory"]:
        weight = tensors[f"{name}.weight"]
        effective = weight[:, :n]
        if above.wiring and name == first:
            plan = Architecture(**above.fields, wiring=above.plan)
            effective = effective * plan.head_mask(above.wiring, 0)[:, :n]
        tensors[f"{name}.bias"] = tensors[f"{name}.bias"] + effective @ offset
        tensors[f"{name}.weight"] = np.hstack([weight[:, :n] @ below.weight, weight[:, n:]])


def _parameter(cell: LTCCell, name: str, default: np.ndarray) -> np.ndarray:
    value = getattr(cell, name, None)
    return default if value is None else _array(value)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def _refuse(part: str, expected: str, found: Any) -> NoReturn:
    raise ModelError(f"ncps import: {part}: expected {expected}, found {found}; change the network or its description")
