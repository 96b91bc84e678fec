# SPDX-License-Identifier: Apache-2.0
"""Spiking controllers as files: one NIR graph with the network, its readout and all that is needed to use it safely.

``Input (axons of the population code) -> Linear -> CubaLIF (recurrent) -> Linear -> LI -> Linear -> Output``; the
command is ``limit * tanh(output)``. The metadata hold the fields of :class:`SpikingControllerFile`. Nothing here needs
torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..controller_description import RETRAIN, ControllerDescription, is_integer, is_positive, refuse
from ..errors import ModelError
from .graph import SpikingGraph
from .nir_io import read_perception_model, write_perception_model
from .readout import Readout

KIND = "spiking_controller"
VERSION = 1
#: The one population of the graph.
POPULATION = "hidden"
#: Elapsed time is held within these multiples of the nominal period, as it is for the networks of the room ``liquid``.
ELAPSED_RANGE = (0.1, 10.0)
_ARCHITECTURE = "the spiking architecture"


@dataclass(frozen=True)
class SpikingArchitecture:
    """Architecture of a spiking policy.

    Attributes:
        units: neurons of each layer. All layers are blocks of one population, so that each costs one step of delay.
        recurrent: whether the neurons of a layer reach each other.
        fields: receptive fields of each observation, at least 2.
        steps: SNN steps in a control period of any length; at least one more than there are layers. Elapsed
            time is an input, coded like an observation.
        resolution: integer weights in a weight of 1; 8 bit weights reach ``254 / resolution``, in steps of
            ``2 / resolution``.
        synaptic_taus, membrane_taus: initial time constants [steps]; shared by groups of neurons, and trained.
        readout_taus: initial time constants of the traces that every command is read from [steps].
        elapsed_input: whether the time since the previous observation is an input.
    """

    units: tuple[int, ...] = (128,)
    recurrent: bool = True
    fields: int = 24
    steps: int = 6
    resolution: int = 1024
    synaptic_taus: tuple[float, ...] = (1.5, 2.0, 3.0, 5.0)
    membrane_taus: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0)
    readout_taus: tuple[float, ...] = (2.0, 6.0, 20.0)
    elapsed_input: bool = True

    def __post_init__(self) -> None:
        for name in ("fields", "steps", "resolution"):
            if not is_integer(getattr(self, name)):
                refuse(_ARCHITECTURE, name, "an integer", getattr(self, name))
        for name in ("units", "synaptic_taus", "membrane_taus", "readout_taus"):
            values = tuple(getattr(self, name))
            if not values or not all(is_positive(value) for value in values):
                refuse(_ARCHITECTURE, name, "numbers above 0", values)
            object.__setattr__(self, name, values)
        if not all(is_integer(n) and n <= 4096 for n in self.units):
            refuse(_ARCHITECTURE, "units", "integers from 1 to 4096", self.units)
        if len(self.synaptic_taus) != len(self.membrane_taus):
            expected = f"{len(self.synaptic_taus)} of them, as of synaptic_taus"
            refuse(_ARCHITECTURE, "membrane_taus", expected, self.membrane_taus)
        for name, least, most in (("fields", 2, 256), ("steps", len(self.units) + 1, 64), ("resolution", 64, 4096)):
            if not least <= getattr(self, name) <= most:
                refuse(_ARCHITECTURE, name, f"{least} to {most}", getattr(self, name))

    @property
    def lowest_potential(self) -> float:
        """The membrane potential that none falls below, in the unit of the weights: on the chip it is ``1 - 2^23``."""
        return (1 - 2**23) / (64 * self.resolution)

    def n_axons(self, n_observations: int) -> int:
        """Number of input axons."""
        return self.fields * (n_observations + self.elapsed_input)

    def n_parameters(self, n_observations: int, n_commands: int) -> int:
        """Number of trained numbers: synapses, biases, time constants and readout."""
        before = (self.n_axons(n_observations), *self.units[:-1])
        synapses = sum(n * m for n, m in zip(before, self.units, strict=True))
        synapses += sum(n * (n - 1) for n in self.units) if self.recurrent else 0
        traces = n_commands * len(self.readout_taus)
        return synapses + sum(self.units) + 2 * len(self.synaptic_taus) + (sum(self.units) + 1) * traces + n_commands


@dataclass(frozen=True, eq=False, kw_only=True)
class SpikingControllerFile(ControllerDescription):
    """A trained spiking controller and what it was trained for. Checked when made; raises ModelError.

    Attributes:
        architecture: how observations become spikes, and how many steps a period has.
        graph: one population.
        readout: from its spikes to one number a command, of which the tanh is taken.
        hash: hex SHA-256 of the file's content; empty before it is written.
    """

    architecture: SpikingArchitecture
    graph: SpikingGraph
    readout: Readout
    hash: str = ""
    source: str = "the spiking controller"

    def __post_init__(self) -> None:
        super().__post_init__()
        n_axons, n = self.architecture.n_axons(len(self.observation_names)), sum(self.architecture.units)
        for field, expected, found in (
            ("input", n_axons, self.graph.n_inputs),
            ("populations", {POPULATION: n}, {name: p.n for name, p in self.graph.populations.items()}),
            ("outputs", (POPULATION,), self.graph.outputs),
            ("readout", len(self.command_names), self.readout.n_features),
        ):
            if expected != found:
                self._refuse(field, expected, found)

    @property
    def step_s(self) -> float:
        """Length of an SNN step in a nominal control period [s]."""
        return self.nominal_period_s / self.architecture.steps

    @property
    def weight_scale(self) -> Mapping[str, float]:
        """The grid the weights were trained on, for :func:`~..neuromorphic.quantisation.quantize.quantise`."""
        return {POPULATION: 1.0 / self.architecture.resolution}


_METADATA = tuple(f.name for f in fields(ControllerDescription) if f.name != "source")


def write_spiking_controller(path: str | Path, file: SpikingControllerFile) -> str:
    """Write a spiking controller, whole or not at all; it reads back to the bit, biases to the last bit of a float64.

    Returns:
        The hash of its content.

    Raises:
        OutputError: it cannot be written.
    """
    metadata = {name: getattr(file, name) for name in _METADATA}
    metadata |= {"kind": KIND, "version": VERSION, "architecture": asdict(file.architecture)}
    metadata |= {"weight_scale": dict(file.weight_scale)}
    return write_perception_model(path, file.graph, file.readout, metadata, dt=file.step_s)


def read_spiking_controller(path: str | Path) -> SpikingControllerFile:
    """Read and check a spiking controller.

    Raises:
        ModelError: it is missing, damaged, no spiking controller, or not fit for use.
    """
    model = read_perception_model(path)
    metadata = model.metadata
    for field, known in (("kind", KIND), ("version", VERSION)):
        if metadata.get(field) != known:
            refuse(str(path), field, known, metadata.get(field, "none"), "give a spiking controller of this version")
    for field in (*_METADATA, "architecture"):
        if field not in metadata:
            refuse(str(path), field, "a value", "none")
    try:
        architecture = SpikingArchitecture(**metadata["architecture"])
    except TypeError as error:
        raise ModelError(f"{path}: architecture: it is spoilt ({error}); {RETRAIN}") from None
    values = {name: metadata[name] for name in _METADATA}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return SpikingControllerFile(
        **values, architecture=architecture, graph=model.graph, readout=model.readout, hash=model.hash,
        source=str(path),
    )  # fmt: skip
