# SPDX-License-Identifier: Apache-2.0
"""A spiking network out of any model file, and the backends that run it.

The suffix says what a file is: ``.nir`` is a NIR graph, of ours or foreign; ``.net`` and ``.h5`` are lava-dl's netx;
``.safetensors`` is a compiled network. The first holds floats, which are quantised on the way to the integer
backends; the others hold integers already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from ..errors import ModelError, TaskError
from ..spiking.graph import SpikingGraph
from ..spiking.nir_io import PerceptionModel, read_perception_model
from .backend import Backend
from .compiled import read_network
from .loihi import LoihiEmulator
from .network import LoihiNetwork
from .quantize import quantise
from .reference import FloatReference

#: What can run a model: the emulator, float64, and other people's simulators in processes of their own.
BACKENDS = ("loihi", "float", "lava", "nengo_loihi")
SUFFIXES = (".nir", ".net", ".h5", ".safetensors")


@dataclass(frozen=True, eq=False)
class SpikingModel:
    """What a model file holds, whatever its format.

    Attributes:
        graph: float64; None where the file holds integers.
        compiled: integers; None where the file holds floats.
        hash: hex SHA-256 of the content; spike packets name the network by it.
        dt: length of a step [s]; None where the file does not say.
        input_shape: ``(channels, height, width)``, where it is known.
        weight_scale: grid that the weights were trained on, for :func:`~.quantize.quantise`.
        notes: what was assumed or lost on reading, one line each.
        source: where it came from; the subject of error messages.
    """

    graph: SpikingGraph | None
    compiled: LoihiNetwork | None
    hash: str
    dt: float | None
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
        """The integer network: the compiled one, or the graph quantised as the file says.

        Raises:
            ModelError: the graph does not fit Loihi's arithmetic.
        """
        if self.compiled is not None:
            return self.compiled
        try:
            return quantise(self.float_graph(), self.weight_scale)
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


def read_model(path: str | Path, preset: str | None = None, dt: float | None = None) -> SpikingModel:
    """Read a model file.

    Args:
        path: ``.nir``, ``.net``, ``.h5`` or ``.safetensors``.
        preset: how a foreign NIR graph becomes steps, see :mod:`~..spiking.nir_import`.
        dt: length of a step [s], where the file does not say or another is wanted.

    Raises:
        ModelError: the file is missing, damaged, of another kind, or holds what cannot be run.
        TaskError: dt is no time.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ModelError(f"{path}: {suffix or 'no suffix'} is no model; give one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise ModelError(f"{path}: no such file; check the path")
    if dt is not None and not 1e-9 <= dt <= 10:
        raise TaskError(f"--dt {dt:g}; give the length of a step in seconds, e.g. 0.001")
    if preset is not None and suffix != ".nir":
        raise TaskError(f"{path}: --preset {preset} is for .nir files; leave it out")
    if suffix == ".safetensors":
        return _compiled(path, dt)
    if suffix != ".nir":
        return _netx(path, dt)
    if preset is None and _is_ours(path):
        return of_perception(read_perception_model(path, dt))
    return _foreign(path, preset, dt)


def of_perception(model: PerceptionModel) -> SpikingModel:
    """The spiking part of a perception model."""
    encoding, shape = model.metadata.get("input_encoding"), None
    if isinstance(encoding, dict) and {"width", "height", "row_group"} <= encoding.keys():
        shape = (2, int(encoding["height"]) // int(encoding["row_group"]), int(encoding["width"]))
    return SpikingModel(
        graph=model.graph,
        compiled=None,
        hash=model.hash,
        dt=float(model.metadata["dt"]),
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
        return LoihiEmulator(model.network())
    from .workers import new_worker

    return new_worker(kind, model.network())


def _compiled(path: Path, dt: float | None) -> SpikingModel:
    read = read_network(path)
    stated, shape, notes = (read.metadata.get(key) for key in ("dt", "input_shape", "notes"))
    if stated is not None and not (_is_number(stated) and 1e-9 <= stated <= 10):
        raise ModelError(f"{path}: dt: {str(stated)[:40]} is no time in seconds; compile it again")
    if dt is not None and stated is not None and dt != stated:
        raise ModelError(f"{path}: it was compiled for steps of {stated:g} s, not {dt:g} s; compile it again")
    return SpikingModel(
        graph=None,
        compiled=read.network,
        hash=read.hash,
        dt=stated or dt,
        input_shape=_shape(shape, read.network.n_inputs),
        notes=tuple(str(note) for note in notes) if isinstance(notes, list) else (),
        metadata=read.metadata,
        source=str(path),
    )


def _netx(path: Path, dt: float | None) -> SpikingModel:
    from .netx import read_netx

    network = read_netx(path)
    return SpikingModel(graph=None, compiled=network, hash=network.hash, dt=dt, source=str(path))


def _foreign(path: Path, preset: str | None, dt: float | None) -> SpikingModel:
    from ..spiking.nir_import import PRESETS, read_nir

    if preset is None:
        raise ModelError(
            f"{path}: NIR leaves the time step to the reader; give --preset, one of {', '.join(PRESETS)}"
        )
    read = read_nir(path, preset, dt)
    return SpikingModel(
        graph=read.graph, compiled=None, hash=read.hash, dt=read.dt, notes=read.notes, source=str(path)
    )


def _is_ours(path: Path) -> bool:
    """Whether a NIR file has our metadata, and with them its own time step."""
    try:
        with h5py.File(path, "r") as file:
            return "node/metadata/liquid_spike_control" in file
    except OSError:
        raise ModelError(f"{path}: not a whole NIR file; fetch or write it again") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shape(value: Any, n: int) -> tuple[int, ...] | None:
    """A shape out of a file, if it is one of n numbers."""
    whole = isinstance(value, list) and all(isinstance(v, int) and v > 0 for v in value)
    return tuple(value) if whole and math.prod(value) == n else None
