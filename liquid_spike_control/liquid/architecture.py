# SPDX-License-Identifier: Apache-2.0
"""Architecture of a controller: cells, sizes, wiring; its tensors, parameters and synapses. No torch.

The chain of every controller, with scaled observations ``o`` and elapsed time ``tau`` in nominal periods::

    x = (o, tau) -> [linear projection] -> layers of cells -> linear projection -> tanh or clip -> limits
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NoReturn

import numpy as np

from ..errors import ModelError, TaskError
from .wiring import Wiring, WiringPlan

CELLS = ("cfc", "ltc", "gru", "lstm", "mlp", "s5")
MODES = ("default", "pure", "no_gate")
ACTIVATIONS = ("lecun_tanh", "tanh", "relu", "silu", "gelu")
OUTPUTS = ("tanh", "clip")
MAX_WIDTH = 4096  # of any layer
#: Elapsed time is held within these multiples of the nominal period, in training as at run time.
ELAPSED_RANGE = (0.1, 10.0)

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Architecture:
    """Of a controller. Checked when made.

    Attributes:
        cell: cfc (closed-form continuous time), ltc (liquid time constant), gru, lstm, mlp, s5 (state space).
        units: neurons of each layer.
        layers: of cells, one above the other.
        mode: of CfC: default (two heads and a time gate), pure (the solution of the equation) or no_gate.
        mixed_memory: an LSTM memory before each cell (cfc, ltc).
        backbone_units, backbone_layers: of the network below the heads of a CfC; 0: none.
        activation: of the backbone.
        wiring: of the neurons (cfc, ltc); None: all to all.
        unfolds: steps of the LTC's equation solver in one step of the controller.
        encoder_units: width of a linear projection of the inputs; 0: none. That of an s5 has as many as a layer.
        elapsed_input: elapsed time is an input.
        elapsed_span: elapsed time is the cell's time span; if not, each step spans one nominal period.
        period_span: the cell's time span of one nominal period.
        output: how commands are kept within their limits.
        stacked: samples of the inputs that an mlp sees side by side, the newest first; zeros from before the episode.

    Raises:
        ModelError: a field is unknown, of the wrong type, or does not go with the others.
    """

    cell: str
    units: int
    layers: int = 1
    mode: str = "default"
    mixed_memory: bool = False
    backbone_units: int = 0
    backbone_layers: int = 0
    activation: str = "lecun_tanh"
    wiring: WiringPlan | None = None
    unfolds: int = 6
    encoder_units: int = 0
    elapsed_input: bool = True
    elapsed_span: bool = True
    period_span: float = 1.0
    output: str = "tanh"
    stacked: int = 1

    def __post_init__(self) -> None:
        choices = (("cell", CELLS), ("mode", MODES), ("activation", ACTIVATIONS), ("output", OUTPUTS))
        for field, known in choices:
            if getattr(self, field) not in known:
                _refuse(field, f"one of {', '.join(known)}", getattr(self, field))
        for field, least, most in (
            ("units", 1, MAX_WIDTH), ("layers", 1, 16), ("backbone_units", 0, MAX_WIDTH), ("backbone_layers", 0, 16),
            ("unfolds", 1, 100), ("encoder_units", 0, MAX_WIDTH), ("stacked", 1, 256),
        ):  # fmt: skip
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                _refuse(field, f"a whole number from {least} to {most}", value)
        for field in ("mixed_memory", "elapsed_input", "elapsed_span"):
            if not isinstance(getattr(self, field), bool):
                _refuse(field, "true or false", getattr(self, field))
        span = self.period_span
        if not isinstance(span, int | float) or isinstance(span, bool) or not (0 < span and math.isfinite(span)):
            _refuse("period_span", "a finite number above 0", span)
        if self.wiring is not None and not isinstance(self.wiring, WiringPlan):
            _refuse("wiring", "a plan", self.wiring)
        if (self.backbone_units > 0) != (self.backbone_layers > 0):
            _refuse("backbone_layers", "both backbone_units and backbone_layers, or neither", self.backbone_layers)
        if self.backbone_layers and (self.cell != "cfc" or self.wiring is not None):
            _refuse("backbone_layers", "0, as only a CfC without wiring has a backbone", self.backbone_layers)
        if self.mode != "default" and self.cell != "cfc":
            _refuse("mode", f"default for {self.cell}", self.mode)
        if self.stacked > 1 and self.cell != "mlp":
            _refuse("stacked", f"1 for {self.cell}, which has a state", self.stacked)
        if self.cell == "s5" and self.encoder_units != self.units:
            _refuse("encoder_units", f"{self.units}, as many as units, for s5", self.encoder_units)
        for field in ("mixed_memory", "wiring"):
            if getattr(self, field) and self.cell not in ("cfc", "ltc"):
                _refuse(field, f"none for {self.cell}", getattr(self, field))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; what other networks do not have is left out, so that their files stay as they were."""
        values = asdict(self)
        if self.stacked == 1:
            del values["stacked"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Architecture:
        """From JSON.

        Raises:
            ModelError: a field is missing, unknown or wrong.
        """
        if not isinstance(values, Mapping):
            _refuse("architecture", "an object", values)
        known = {f.name for f in fields(cls)}
        for field in sorted({"cell", "units"} - values.keys()):
            _refuse(field, "a value", "none")
        for field in sorted(values.keys() - known, key=str):
            _refuse(str(field), f"one of the fields {', '.join(sorted(known))}", values[field])
        wiring = values.get("wiring")
        if isinstance(wiring, Mapping):
            if foreign := sorted(wiring.keys() - {f.name for f in fields(WiringPlan)}, key=str):
                _refuse("wiring", "the fields of a plan", foreign[0])
            wiring = WiringPlan(**wiring)
        return cls(**{**values, "wiring": wiring})

    # What follows from the fields

    def sample_inputs(self, n_observations: int) -> int:
        """Width of what the network takes of one sample."""
        return n_observations + self.elapsed_input

    def layer_inputs(self, n_observations: int, n_commands: int) -> list[int]:
        """Width of what enters each layer."""
        first = self.encoder_units or self.stacked * self.sample_inputs(n_observations)
        return [first] + [self.stages(n_commands)[-1]] * (self.layers - 1)

    def stages(self, n_commands: int) -> tuple[int, ...]:
        """Sizes of the groups of neurons in a layer; the last group is its output."""
        return self.wiring.stages(self.units, n_commands) if self.wiring else (self.units,)

    @property
    def heads(self) -> int:
        """Affine maps side by side on top of a CfC: two candidates and two time gates, or one in pure mode."""
        return 1 if self.mode == "pure" else 4

    def head_mask(self, wiring: Wiring, stage: int) -> np.ndarray:
        """Return which weights of a wired CfC's heads exist: bool, of the shape of the weights."""
        mask = wiring.stage_mask(stage)
        sparse = self.heads if self.wiring is None or self.wiring.sparse_gates else min(self.heads, 2)
        return np.concatenate([mask] * sparse + [np.ones_like(mask)] * (self.heads - sparse))

    def state_sizes(self, n_observations: int) -> tuple[int, ...]:
        """Width of each part of the state: for each layer the hidden state, then its memory cell if it has one, or the
        real and the imaginary parts of an s5; of stacked samples all but the newest, as one part.
        """
        if self.cell == "mlp":
            past = (self.stacked - 1) * self.sample_inputs(n_observations)
            return (past,) if past else ()
        return (self.units,) * self.layers * (2 if self.mixed_memory or self.cell in ("lstm", "s5") else 1)

    def wirings(self, n_observations: int, n_commands: int) -> list[Wiring | None]:
        """The wiring of each layer, drawn from the plan; None where all is connected to all.

        Raises:
            ModelError: the plan cannot be drawn.
        """
        widths = self.layer_inputs(n_observations, n_commands)
        if self.wiring is None:
            return [None] * self.layers
        return [self.wiring.build(n, self.units, n_commands, k) for k, n in enumerate(widths)]


#: The architecture of each name. A CfC's backbone is twice as wide as the cell unless it is given, and the encoder of
#: an s5 as wide as its layers.
NAMES: dict[str, dict[str, Any]] = {
    "cfc": {"cell": "cfc", "units": 32},
    "cfc_mm": {"cell": "cfc", "units": 32, "mixed_memory": True},
    "ltc": {"cell": "ltc", "units": 32},
    "ncp": {"cell": "ltc", "units": 19, "wiring": WiringPlan("auto_ncp")},
    "gru": {"cell": "gru", "units": 32},
    "lstm": {"cell": "lstm", "units": 32},
    "mlp": {"cell": "mlp", "units": 64, "layers": 2},
    "mlp_stacked": {"cell": "mlp", "units": 64, "layers": 2, "stacked": 8},
    "s5": {"cell": "s5", "units": 32, "layers": 2},
}


def named(name: str, **changes: Any) -> Architecture:
    """An architecture by its name, with fields changed, e.g. ``named("ncp", cell="cfc", units=32)``.

    Raises:
        TaskError: an unknown name; the known ones are listed.
        ModelError: the changes do not go together.
    """
    if name not in NAMES:
        raise TaskError(f"unknown architecture '{name}'; known architectures: {', '.join(NAMES)}")
    values = NAMES[name] | changes
    if values["cell"] == "cfc" and not values.get("wiring") and values.get("backbone_layers") != 0:
        values.setdefault("backbone_units", 2 * values["units"])
        values.setdefault("backbone_layers", 1 if values["backbone_units"] else 0)
    if values["cell"] == "s5":
        values.setdefault("encoder_units", values["units"])
    return Architecture(**values)


def tensor_shapes(architecture: Architecture, n_observations: int, n_commands: int) -> Shapes:
    """Names and shapes of a controller's tensors; weights as (outputs, inputs).

    All are float32, except those whose names end with ``wiring_sensory`` and ``wiring_synapses``, which are int8.
    """
    a, units = architecture, architecture.units

    def affine(name: str, n_in: int, n_out: int) -> Shapes:
        return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}

    shapes: Shapes = {}
    if a.encoder_units:
        shapes |= affine("encode", a.stacked * a.sample_inputs(n_observations), a.encoder_units)
    stages = a.stages(n_commands)
    for k, n_x in enumerate(a.layer_inputs(n_observations, n_commands)):
        layer, cell = f"layers.{k}", f"layers.{k}.cell"
        if a.cell == "mlp":
            shapes |= affine(layer, n_x, units)
            continue
        if a.cell == "s5":
            shapes |= {f"{layer}.{name}": (units,) for name in ("log_rate", "frequency", "log_step", "skip")}
            shapes |= {f"{layer}.input.weight": (2 * units, n_x), f"{layer}.output.weight": (units, 2 * units)}
            shapes |= affine(f"{layer}.gate", units, units)
            continue
        if a.mixed_memory or a.cell == "lstm":
            shapes |= affine(f"{layer}.memory", n_x + units, 4 * units)
        if a.cell == "gru":
            shapes |= affine(f"{cell}.input", n_x, 3 * units) | affine(f"{cell}.recurrent", units, 3 * units)
        if a.cell == "cfc":
            below = n_x
            for j in range(a.backbone_layers):
                shapes |= affine(f"{cell}.backbone.{j}", a.backbone_units if j else n_x + units, a.backbone_units)
            for j, size in enumerate(stages):
                shapes |= affine(f"{cell}.stages.{j}", a.backbone_units or below + size, a.heads * size)
                below = size
            if a.mode == "pure":
                shapes |= {f"{cell}.w_tau": (units,), f"{cell}.asymptote": (units,)}
        if a.cell == "ltc":
            shapes |= {f"{cell}.{name}": (units,) for name in ("gleak", "vleak", "cm")}
            shapes |= {f"{cell}.{name}": (n_x,) for name in ("input_w", "input_b")}
            for name in ("w", "mu", "sigma", "erev"):
                shapes |= {f"{cell}.{name}": (units, units), f"{cell}.sensory_{name}": (n_x, units)}
        if a.wiring:
            shapes |= {f"{cell}.wiring_sensory": (n_x, units), f"{cell}.wiring_synapses": (units, units)}
    return shapes | affine("project", stages[-1] if a.cell != "mlp" else units, n_commands)


def wirings_of(architecture: Architecture, tensors: Mapping[str, np.ndarray], n_commands: int) -> list[Wiring | None]:
    """The wiring of each layer as a controller's tensors have it; None where all is connected to all."""
    if not architecture.wiring:
        return [None] * architecture.layers
    stages = architecture.stages(n_commands)
    cells = [f"layers.{k}.cell" for k in range(architecture.layers)]
    return [Wiring(tensors[f"{c}.wiring_sensory"], tensors[f"{c}.wiring_synapses"], stages) for c in cells]


def used(architecture: Architecture, shapes: Shapes, wirings: Sequence[Wiring | None]) -> dict[str, int]:
    """Return how many numbers of each trained tensor have an effect: those of missing synapses have none."""
    counts = {name: math.prod(shape) for name, shape in shapes.items() if ".wiring_" not in name}
    for k, wiring in enumerate(wirings):
        if wiring is None:
            continue
        cell = f"layers.{k}.cell"
        if architecture.cell == "ltc":
            for name in ("w", "mu", "sigma", "erev"):
                counts[f"{cell}.{name}"] = int(np.count_nonzero(wiring.synapses))
                counts[f"{cell}.sensory_{name}"] = int(np.count_nonzero(wiring.sensory))
            continue
        for j in range(len(wiring.stages)):
            counts[f"{cell}.stages.{j}.weight"] = int(architecture.head_mask(wiring, j).sum())
    return counts


def n_parameters(architecture: Architecture, n_observations: int, n_commands: int) -> int:
    """Trained numbers that have an effect."""
    shapes = tensor_shapes(architecture, n_observations, n_commands)
    return sum(used(architecture, shapes, architecture.wirings(n_observations, n_commands)).values())


def synapses_in(counts: Mapping[str, int]) -> int:
    """Of :func:`used`: connections with a weight; an LTC's synapse is one, though it has four numbers."""
    return sum(n for name, n in counts.items() if name.endswith(("weight", ".w", ".sensory_w")))


def n_synapses(architecture: Architecture, n_observations: int, n_commands: int) -> int:
    """Connections with a weight: from inputs or neurons to neurons, each head of a CfC counted."""
    shapes = tensor_shapes(architecture, n_observations, n_commands)
    return synapses_in(used(architecture, shapes, architecture.wirings(n_observations, n_commands)))


def matched(name: str, budget: int, n_observations: int, n_commands: int, **changes: Any) -> Architecture:
    """The size of a named architecture whose number of parameters is nearest to a budget.

    Args:
        name: see :func:`named`.
        budget: parameters.
        n_observations, n_commands: of the controller.
        changes: as for :func:`named`, except the units.

    Raises:
        TaskError: an unknown name.
        ModelError: no size can be made.
    """

    def size(units: int) -> int:
        return n_parameters(named(name, **changes, units=units), n_observations, n_commands)

    wiring = named(name, **changes).wiring
    least = (wiring.motor or n_commands) + 3 if wiring else 1  # the smallest circuit has one inter and command neuron
    low, high = least, least + 1
    while size(high) < budget and high < MAX_WIDTH // 2:
        low, high = high, min(2 * high, MAX_WIDTH // 2)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < budget else (low, middle)
    # A sparse wiring grows by whole synapses, not quite evenly, so the neighbours are asked too.
    candidates = range(max(least, low - 2), high + 3)
    best = min(candidates, key=lambda units: abs(size(units) - budget))
    return named(name, **changes, units=best)


def _refuse(field: str, expected: str, found: Any) -> NoReturn:
    raise ModelError(f"architecture: {field}: expected {expected}, found {str(found)[:100]!r}; change it")
