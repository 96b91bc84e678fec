# SPDX-License-Identifier: Apache-2.0
"""Reads a tracking controller's yaml file: gains, and what is learnt while it runs.

A file may extend another one of its folder, whose fields it takes the place of::

    extends: pd.yaml
    integral: [300.0, 500.0, 200.0]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import msgspec
import numpy as np

from ..errors import ModelError
from ..inputs import read_yaml
from ..neuromorphic.files.compiled import read_network, write_network
from ..neuromorphic.integers.network import LoihiNetwork
from ..neuromorphic.integers.synapses import Dense
from .adaptation import Adaptation, SpikingAdaptation
from .tracking import TrackingFile

KIND = "tracking"
#: Of the hash of what was learnt, so many digits are given.
HASH_DIGITS = 16


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry of the file; unknown fields are refused."""


class _Observation(_Entry, frozen=True):
    name: str
    unit: str
    scale: float


class _Axis(_Entry, frozen=True):
    command: str
    unit: str
    limit: float
    position: str
    rate: str
    target: str
    target_rate: str
    stiffness: float
    damping: float


class _Input(_Entry, frozen=True):
    of: str
    centre: float = 0.0
    scale: float = 1.0


class _Adaptation(_Entry, frozen=True):
    inputs: list[_Input]
    limits: list[float]
    errors: list[float]
    neurons: int = 800
    fields: int = 6
    pairs: int = 4
    steps: int = 5
    rate: float = 1 / 64
    tau: float = 20.0
    decimation: int = 3
    smoothing_s: float = 0.02
    seed: int = 0
    weights: str | None = None
    weights_hash: str = ""


class _File(_Entry, frozen=True):
    kind: str
    task: str
    period_s: float
    tuned_by: str
    tuned_seeds: tuple[int, int]
    observations: list[_Observation]
    axes: list[_Axis]
    integral: list[float] = []
    adaptation: _Adaptation | None = None


def read_tracking(path: str | Path) -> TrackingFile:
    """Read and check a tracking controller.

    Raises:
        ModelError: it is missing, no such file, or a field is wrong; names the file, the field and the remedy.
    """
    path = Path(path)
    values = _read(path)
    if (other := values.pop("extends", None)) is not None:
        if not isinstance(other, str) or Path(other).name != other or other == path.name:
            _refuse(path, "extends", repr(other), "give the name of another file in the same folder")
        base = _read(path.parent / other)
        if "extends" in base:
            _refuse(path, "extends", f"{other} extends a file itself", "extend that one")
        values = base | values
    if values.get("kind") != KIND:
        _refuse(path, "kind", repr(values.get("kind")), f"give {KIND}, the only kind of controller in yaml")
    try:
        file = msgspec.convert(values, _File, strict=False)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at ")
        _refuse(path, place.strip("`").removeprefix("$.") or "file", text, "correct that field")
    names = [observation.name for observation in file.observations]
    integral = file.integral or [0.0] * len(file.axes)

    def at(where: str, name: str) -> int:
        if name not in names:
            _refuse(path, where, f"'{name}'", f"name one of the observations: {', '.join(names)}")
        return names.index(name)

    places = [
        [at(f"axes[{i}].{field}", getattr(axis, field)) for field in ("position", "rate", "target", "target_rate")]
        for i, axis in enumerate(file.axes)
    ]
    adaptation, weights = None, None
    if (given := file.adaptation) is not None:
        inputs = [at(f"adaptation.inputs[{i}].of", entry.of) for i, entry in enumerate(given.inputs)]
        adaptation = _adaptation(path, file, given)
        if given.weights is not None:
            weights = learnt_weights(path.parent / given.weights, adaptation, given.weights_hash)
    return TrackingFile(
        observation_names=tuple(names),
        observation_units=tuple(observation.unit for observation in file.observations),
        observation_scales=tuple(observation.scale for observation in file.observations),
        command_names=tuple(axis.command for axis in file.axes),
        command_units=tuple(axis.unit for axis in file.axes),
        command_limits=tuple(axis.limit for axis in file.axes),
        nominal_period_s=file.period_s, task=file.task, training_command=file.tuned_by,
        training_seeds=file.tuned_seeds, source=str(path), places=np.array(places, int).reshape(-1, 4),
        stiffness=np.array([axis.stiffness for axis in file.axes]),
        damping=np.array([axis.damping for axis in file.axes]), integral=np.array(integral),
        adaptation=adaptation, inputs=tuple(inputs) if given is not None else (), weights=weights,
    )  # fmt: skip


def _read(path: Path) -> dict[str, Any]:
    try:
        values = read_yaml(path)
    except OSError as error:
        _refuse(path, "file", error.strerror, "check the path")
    except ValueError as error:
        _refuse(path, "file", error, "correct the yaml")
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        _refuse(path, "file", "no fields with values", "give a tracking controller")
    return values


def _adaptation(path: Path, file: _File, given: _Adaptation) -> Adaptation:
    for field in ("limits", "errors"):
        if len(found := getattr(given, field)) != len(file.axes):
            _refuse(path, f"adaptation.{field}", found, f"give {len(file.axes)} numbers, one for each axis")
    if not given.inputs:
        _refuse(path, "adaptation.inputs", "none", "name at least one observation")
    fields = msgspec.structs.asdict(given)
    for field in ("inputs", "limits", "errors", "weights", "weights_hash"):
        del fields[field]
    return Adaptation(
        centres=tuple(entry.centre for entry in given.inputs), scales=tuple(entry.scale for entry in given.inputs),
        limits=tuple(given.limits), errors=tuple(given.errors), period_s=file.period_s, source=str(path), **fields,
    )  # fmt: skip


def save_learnt(path: Path, adaptation: SpikingAdaptation) -> str:
    """Keep what was learnt; a controller file with ``weights`` and ``weights_hash`` begins with it.

    Returns:
        The hash, 16 hex digits.

    Raises:
        OutputError: the file cannot be written.
    """
    step_s = adaptation.description.period_s / adaptation.description.steps
    return write_network(path, adaptation.network, {"step_s": step_s})[:HASH_DIGITS]


def learnt_weights(path: Path, adaptation: Adaptation, wanted: str) -> np.ndarray:
    """Weights that were learnt and saved, int64 ``(n_outputs, neurons)``.

    Args:
        path: that :func:`save_learnt` wrote.
        adaptation: that goes on with them.
        wanted: the hash of what was learnt, so that the controller file says what it begins with.

    Raises:
        ModelError: the file is missing, damaged, or holds other weights, or weights of another network.
    """
    read = read_network(path)
    network, found = read.network, read.hash[:HASH_DIGITS]
    if wanted != found:
        remedy = f"{path} has {found}: give that, or another file"
        raise ModelError(f"{adaptation.source}: adaptation.weights_hash: '{wanted}'; {remedy}")
    learnt = [c for c in network.connections if isinstance(c, Dense) and c.learning is not None]
    if len(learnt) == 1:
        empty = [
            Dense(c.source, c.target, np.zeros_like(c.weights), learning=c.learning) if c is learnt[0] else c
            for c in network.connections
        ]
        bare = LoihiNetwork(network.n_inputs, network.populations, empty, network.outputs)
        if bare.hash == adaptation.network().hash:
            return np.asarray(learnt[0].weights, np.int64)
    raise ModelError(
        f"{path}: weights: they were learnt by another network than that of {adaptation.source}; give the same neurons,"
        " inputs, rate and seed, or let it learn anew"
    )


def _refuse(path: Path, field: str, found: object, remedy: str) -> NoReturn:
    raise ModelError(f"{path}: {field}: {' '.join(str(found).split())[:300]}; {remedy}")
