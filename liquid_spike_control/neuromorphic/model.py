# SPDX-License-Identifier: Apache-2.0
"""A spiking network out of any model file, and the backends that run it.

The suffix selects the format: ``.nir`` is a NIR graph, of ours or foreign; ``.net`` and ``.h5`` are lava-dl's netx;
``.safetensors`` is a compiled network. The first holds floats, which are quantised on the way to the integer
backends; the others hold integers already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import h5py

from ..errors import ModelError, TaskError
from ..resources import model_file
from ..spiking.graph import INPUT, SpikingGraph
from ..spiking.nir_import import read_nir
from ..spiking.nir_io import PerceptionModel, read_perception_model
from ..spiking.presets import PRESETS
from .backend import Backend
from .emulator.engine import emulate
from .files.compiled import read_network
from .files.netx import read_netx
from .integers.network import LoihiNetwork
from .quantisation.quantize import quantise_reported
from .quantisation.report import QuantisationReport
from .reference import FloatReference

#: Backends that run a model: the emulator, float64, and external simulators in processes of their own.
BACKENDS = ("loihi", "float", "lava", "nengo_loihi", "brian2_loihi")
SUFFIXES = (".nir", ".net", ".h5", ".safetensors")


@dataclass(frozen=True, eq=False)
class SpikingModel:
    """A spiking network from a model file of any format.

    Attributes:
        graph: float64; None where the file holds integers.
        compiled: integers; None where the file holds floats.
        hash: hex SHA-256 of the content; spike packets name the network by it.
        step_s: length of a step [s]; None if neither file nor option gives it.
        input_shape: as the input is flattened, ``(channels, height, width)`` of pictures, where it is known.
        weight_scale: grid that the weights were trained on, for :func:`~.quantize.quantise_reported`.
        notes: what was assumed or lost on reading, one line each.
        source: where it came from; the subject of error messages.
    """

    graph: SpikingGraph | None
    compiled: LoihiNetwork | None
    hash: str
    step_s: float | None
    input_shape: tuple[int, ...] | None = None
    weight_scale: Mapping[str, float] | None = None
    notes: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    source: str = "the model"

    @property
    def n_inputs(self) -> int:
        """Number of input axons."""
        return (self.graph or self.network()).n_inputs

    def network(self) -> LoihiNetwork:
        """Return the integer network: the compiled one, or the graph quantised by the file's settings.

        Raises:
            ModelError: the graph does not fit Loihi's arithmetic.
        """
        return self.compiled if self.compiled is not None else self.quantised()[0]

    def quantised(self, bits: int = 8, exponent: int | None = None) -> tuple[LoihiNetwork, QuantisationReport]:
        """The float graph in integers, and what was lost.

        Args:
            bits: of a weight, 1 .. 8.
            exponent: of all weights; by default each connection's own.

        Raises:
            ModelError: the file holds integers already, or the graph does not fit Loihi's arithmetic.
        """
        graph = self.float_graph()
        try:
            return quantise_reported(graph, self.weight_scale, bits, exponent)
        except ModelError as error:
            raise ModelError(f"{self.source}: {error}") from None

    def float_graph(self) -> SpikingGraph:
        """The float graph.

        Raises:
            ModelError: the file holds integers only.
        """
        if self.graph is None:
            raise ModelError(f"{self.source}: it holds integers, no float network; give the .nir that it was made of")
        return self.graph


def read_model(
    path: str | Path,
    preset: str | None = None,
    dt: float | None = None,
    step_s: float | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> SpikingModel:
    """Read a model file.

    Args:
        path: ``.nir``, ``.net``, ``.h5`` or ``.safetensors``; a shipped model by its name alone.
        preset: whose discretisation a foreign NIR graph follows, a key of :data:`~..spiking.presets.PRESETS`.
        dt: step of a NIR graph, in the unit of its time constants, if preset and file do not give it.
        step_s: length of a step [s], if the file does not contain it. It is independent of ``dt``: time constants of
            a foreign file may be in any unit.
        input_shape: ``(channels, height, width)`` of pictures, if the file does not contain it.

    Returns:
        The network, as float graph, as integers, or both.

    Raises:
        ModelError: the file is missing, damaged, of another kind, or holds what cannot be run.
        TaskError: a time is not a positive number, or an option is not for this kind of file.
    """
    path = model_file(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ModelError(f"{path}: {suffix or 'no suffix'} is no model; give one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise ModelError(f"{path}: no such file; check the path")
    for name, time in (("dt", dt), ("step", step_s)):
        if time is not None and not 1e-9 <= time <= 1e3:
            raise TaskError(f"--{name} {time:g}; give the length of a step, e.g. 0.001")
    for name, value in (("preset", preset), ("dt", dt)):
        if value is not None and suffix != ".nir":
            raise TaskError(f"{path}: --{name} {value} is for .nir files; leave it out")
    if suffix == ".safetensors":
        return _compiled(path, step_s)
    if suffix != ".nir":
        return _netx(path, step_s, input_shape)
    if preset is None and _is_ours(path):
        return of_perception(read_perception_model(path, dt), dt)
    return _foreign(path, preset, dt, step_s, input_shape)


def of_perception(model: PerceptionModel, dt: float | None = None) -> SpikingModel:
    """The spiking part of a perception model; ``dt`` if it was read with another step than its own."""
    encoding, shape = model.metadata.get("input_encoding"), None
    if isinstance(encoding, dict) and {"width", "height", "row_group"} <= encoding.keys():
        shape = (2, int(encoding["height"]) // int(encoding["row_group"]), int(encoding["width"]))
    return SpikingModel(
        graph=model.graph,
        compiled=None,
        hash=model.hash,
        step_s=float(dt or model.metadata["dt"]),
        input_shape=shape,
        weight_scale=model.metadata.get("weight_scale"),
        metadata=model.metadata,
        source=model.source,
    )


def new_backend(model: SpikingModel, kind: str = "loihi") -> Backend:
    """A backend with the model's network, at rest.

    Args:
        model: from :func:`read_model`.
        kind: one of :data:`BACKENDS`.

    Raises:
        TaskError: the kind is unknown.
        ModelError: the network does not fit the backend.
        LiquidSpikeError: another simulator is not installed, or cannot run this network.
    """
    if kind not in BACKENDS:
        raise TaskError(f"unknown backend '{kind}'; known backends: {', '.join(BACKENDS)}")
    if kind == "float":
        return FloatReference(model.float_graph())
    if kind == "loihi":
        return emulate(model.network())
    from .workers.backend import Kind, new_worker

    return new_worker(cast(Kind, kind), model.network())


def _compiled(path: Path, step_s: float | None) -> SpikingModel:
    read = read_network(path)
    stated, shape, notes = (read.metadata.get(key) for key in ("step_s", "input_shape", "notes"))
    if stated is not None and not (_is_number(stated) and 1e-9 <= stated <= 1e3):
        raise ModelError(f"{path}: step_s: {str(stated)[:40]} is no time in seconds; compile it again")
    return SpikingModel(
        graph=None,
        compiled=read.network,
        hash=read.hash,
        step_s=step_s or stated,
        input_shape=_shape(shape, read.network.n_inputs),
        notes=tuple(str(note) for note in notes) if isinstance(notes, list) else (),
        metadata=read.metadata,
        source=str(path),
    )


def _netx(path: Path, step_s: float | None, input_shape: tuple[int, ...] | None) -> SpikingModel:
    read = read_netx(path, input_shape=input_shape)
    numbers = ("its input is numbers, which go in as payloads; a spike counts as 1",) if read.graded_input else ()
    return SpikingModel(
        graph=None,
        compiled=read.network,
        hash=read.hash,
        step_s=step_s,
        input_shape=read.input_shape,
        notes=(*read.notes, *numbers, *_payloads(read.network)),
        source=str(path),
    )


def _payloads(network: LoihiNetwork) -> tuple[str, ...]:
    """A note about outputs that are more than spikes."""
    graded = [name for name in network.outputs if network.populations[name].graded]
    return (f"payloads of {', '.join(graded)} are not output; spike trains have no payloads",) if graded else ()


def _foreign(
    path: Path, preset: str | None, dt: float | None, step_s: float | None, input_shape: tuple[int, ...] | None
) -> SpikingModel:
    if preset is None and dt is None:
        raise ModelError(
            f"{path}: NIR leaves the step to the reader; give --preset, one of {', '.join(PRESETS)}, or --dt"
        )
    read = read_nir(path, preset or "euler", dt, input_shape)
    return SpikingModel(
        graph=read.graph,
        compiled=None,
        hash=read.hash,
        step_s=step_s,
        input_shape=read.shapes[INPUT],
        notes=read.notes,
        source=str(path),
    )


def _is_ours(path: Path) -> bool:
    """Whether a NIR file has our metadata, and with them its own time step."""
    try:
        with h5py.File(path, "r") as file:
            return "node/metadata/liquid_spike_control" in file
    except (OSError, RuntimeError, KeyError, ValueError):  # what h5py makes of damage
        raise ModelError(f"{path}: not a whole NIR file; fetch or write it again") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shape(value: Any, n: int) -> tuple[int, ...] | None:
    """A shape out of a file, if it is one of n numbers."""
    whole = isinstance(value, list) and all(isinstance(v, int) and v > 0 for v in value)
    return tuple(value) if whole and math.prod(value) == n else None
