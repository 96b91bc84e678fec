# SPDX-License-Identifier: Apache-2.0
"""Reservoirs with a trained readout as files: one NIR graph, like every other network; metadata name its signals.

``Input (axons of the code) -> Linear -> CubaLIF (excitatory, inhibitory) <-> Linear, Delay -> Linear -> LI -> Output``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..controller_description import is_integer, is_positive, refuse
from ..errors import LiquidSpikeError
from .coding.windows import CODES, WindowCode
from .graph import SpikingGraph
from .nir_io import read_perception_model, write_perception_model
from .readout import Readout
from .reservoir import ReservoirDescription, weight_unit

KIND = "reservoir"
VERSION = 1


@dataclass(frozen=True)
class Signal:
    """A signal of a reservoir: a number a sample.

    Attributes:
        name: of it.
        middle, half: -1 .. 1 of the network is ``middle - half .. middle + half``; half is positive.
    """

    name: str
    middle: float
    half: float


@dataclass(frozen=True, eq=False)
class ReservoirFile:
    """A reservoir, its code and its readout. Checked when made.

    Attributes:
        inputs, outputs: signals, in order. Outputs are given by the readout as they are.
        feedback: whether the outputs of a sample are inputs of the next one, behind the others.
        code, fields, steps: how the inputs of a sample become a window of spikes, see :class:`.WindowCode`.
        step_s: length of an SNN step [s].
        description: what the graph was drawn from.
        graph, readout: the network.
        metadata: JSON values: how it was trained, with what result.
        hash: hex SHA-256 of the file's content; empty before it is written.

    Raises:
        ModelError: a field is wrong, or two do not fit.
    """

    inputs: tuple[Signal, ...]
    outputs: tuple[Signal, ...]
    feedback: bool
    code: str
    fields: int
    steps: int
    step_s: float
    description: ReservoirDescription
    graph: SpikingGraph
    readout: Readout
    metadata: Mapping[str, Any]
    hash: str = ""
    source: str = "the reservoir"

    def __post_init__(self) -> None:
        if not self.outputs or not self.heard:
            refuse(self.source, "outputs", "an output, and an input or feedback", f"{self.inputs}, {self.outputs}")
        for signal in (*self.inputs, *self.outputs):
            finite = isinstance(signal.middle, int | float) and np.isfinite(signal.middle)
            if not isinstance(signal.name, str) or not finite or not is_positive(signal.half):
                refuse(self.source, "signals", "a name, a finite middle and a half above 0", signal)
        if self.code not in CODES:
            refuse(self.source, "code", f"one of {', '.join(CODES)}", self.code)
        for name in ("fields", "steps"):
            if not is_integer(getattr(self, name)):
                refuse(self.source, name, "an integer", getattr(self, name))
        if not is_positive(self.step_s):
            refuse(self.source, "step_s", "a finite number above 0", self.step_s)
        try:
            n_axons = self.new_code().n_axons
        except LiquidSpikeError as error:
            refuse(self.source, "code", "a code that can be used", error)
        for name, expected, found in (
            ("axons", n_axons, self.graph.n_inputs),
            ("readout neurons", self.graph.n_outputs, self.readout.n_neurons),
            ("readout outputs", len(self.outputs), self.readout.n_features),
        ):
            if expected != found:
                refuse(self.source, name, expected, found)

    def new_code(self) -> WindowCode:
        """The encoder of the inputs, at rest."""
        return WindowCode(self.code, len(self.heard), self.steps, self.fields)

    @property
    def weight_scale(self) -> Mapping[str, float]:
        """The grid that the weights lie on, for :func:`~..neuromorphic.quantisation.quantize.quantise`."""
        unit = weight_unit(*(c.weight for c in self.graph.connections))
        return {name: unit for name in self.graph.populations}

    @property
    def heard(self) -> tuple[Signal, ...]:
        """The signals that become spikes: the inputs, and outputs that are fed back."""
        return self.inputs + (self.outputs if self.feedback else ())


def write_reservoir(path: str | Path, file: ReservoirFile) -> str:
    """Write a reservoir, whole or not at all; it reads back to the bit.

    Returns:
        The hash of its content.

    Raises:
        OutputError: it cannot be written.
    """
    metadata = dict(file.metadata) | {
        "kind": KIND,
        "version": VERSION,
        "inputs": [asdict(signal) for signal in file.inputs],
        "signals_out": [asdict(signal) for signal in file.outputs],
        "feedback": file.feedback,
        "input_code": {"code": file.code, "fields": file.fields, "steps": file.steps},
        "reservoir": asdict(file.description),
        "weight_scale": dict(file.weight_scale),
    }
    return write_perception_model(path, file.graph, file.readout, metadata, dt=file.step_s)


def read_reservoir(path: str | Path) -> ReservoirFile:
    """Read and check a reservoir.

    Raises:
        ModelError: it is missing, damaged, no reservoir, or not fit for use; names the field.
    """
    model = read_perception_model(path)
    metadata = model.metadata
    for field, known in (("kind", KIND), ("version", VERSION)):
        if metadata.get(field) != known:
            remedy = "give a file that liquid-spike train reservoir wrote"
            refuse(str(path), field, known, metadata.get(field, "none"), remedy)
    try:
        return ReservoirFile(
            inputs=tuple(Signal(**signal) for signal in metadata["inputs"]),
            outputs=tuple(Signal(**signal) for signal in metadata["signals_out"]),
            feedback=metadata["feedback"] is True,
            **metadata["input_code"],
            step_s=metadata["dt"],
            description=ReservoirDescription(**metadata["reservoir"]),
            graph=model.graph,
            readout=model.readout,
            metadata=metadata,
            hash=model.hash,
            source=str(path),
        )
    except (KeyError, TypeError) as error:
        refuse(str(path), "metadata", "those of a reservoir", f"{type(error).__name__}: {error}")
