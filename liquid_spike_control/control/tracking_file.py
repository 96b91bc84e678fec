# SPDX-License-Identifier: Apache-2.0
"""Reads a tracking controller's yaml file: gains, and what is learnt while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .adaptation import Adaptation
from .learnt_weights import learnt_weights
from .tracking import TrackingFile
from .yaml_file import Entry, Input, Observation, converted, observed, place, refuse

#: Of an axis, names of observations.
PLACES = ("position", "rate", "target", "target_rate")


class _Axis(Entry, frozen=True):
    command: str
    unit: str
    limit: float
    position: str
    rate: str
    target: str
    target_rate: str
    stiffness: float
    damping: float


class _Adaptation(Entry, frozen=True):
    inputs: list[Input]
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
    rate_weight: float = 1.0
    seed: int = 0
    weights: str | None = None
    weights_hash: str = ""


class _File(Entry, frozen=True):
    kind: str
    task: str
    period_s: float
    tuned_by: str
    tuned_seeds: tuple[int, int]
    observations: list[Observation]
    axes: list[_Axis]
    integral: list[float] = []
    adaptation: _Adaptation | None = None


def tracking_of(path: Path, values: dict[str, Any]) -> TrackingFile:
    """Make a tracking controller of the fields of its file.

    Raises:
        ModelError: a field is wrong; names the file, the field and the remedy.
    """
    file = converted(path, values, _File)
    names = [observation.name for observation in file.observations]
    integral = file.integral or [0.0] * len(file.axes)
    places = [
        [place(path, f"axes[{i}].{field}", getattr(axis, field), names) for field in PLACES]
        for i, axis in enumerate(file.axes)
    ]
    adaptation, weights = None, None
    if (given := file.adaptation) is not None:
        inputs = [place(path, f"adaptation.inputs[{i}].of", entry.of, names) for i, entry in enumerate(given.inputs)]
        adaptation = _adaptation(path, file, given)
        if given.weights is not None:
            weights = learnt_weights(path.parent / given.weights, adaptation, given.weights_hash)
    return TrackingFile(
        **observed(file.observations),
        command_names=tuple(axis.command for axis in file.axes),
        command_units=tuple(axis.unit for axis in file.axes),
        command_limits=tuple(axis.limit for axis in file.axes),
        nominal_period_s=file.period_s, task=file.task, training_command=file.tuned_by,
        training_seeds=file.tuned_seeds, source=str(path), places=np.array(places, int).reshape(-1, 4),
        stiffness=np.array([axis.stiffness for axis in file.axes]),
        damping=np.array([axis.damping for axis in file.axes]), integral=np.array(integral),
        adaptation=adaptation, rate_weight=1.0 if given is None else given.rate_weight,
        inputs=tuple(inputs) if given is not None else (), weights=weights,
    )  # fmt: skip


def _adaptation(path: Path, file: _File, given: _Adaptation) -> Adaptation:
    for field in ("limits", "errors"):
        if len(found := getattr(given, field)) != len(file.axes):
            refuse(path, f"adaptation.{field}", found, f"give {len(file.axes)} numbers, one for each axis")
    if not given.inputs:
        refuse(path, "adaptation.inputs", "none", "name at least one observation")
    if not 0 <= given.rate_weight <= 100:
        refuse(path, "adaptation.rate_weight", given.rate_weight, "give 0 to 100")
    fields = msgspec.structs.asdict(given)
    for field in ("inputs", "limits", "errors", "rate_weight", "weights", "weights_hash"):
        del fields[field]
    return Adaptation(
        centres=tuple(entry.centre for entry in given.inputs), scales=tuple(entry.scale for entry in given.inputs),
        limits=tuple(given.limits), errors=tuple(given.errors), period_s=file.period_s, source=str(path), **fields,
    )  # fmt: skip
