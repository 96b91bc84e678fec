# SPDX-License-Identifier: Apache-2.0
"""Controller files: one safetensors file holds the weights and all that is needed to use them safely.

The safetensors metadata has one entry, ``controller``, a JSON object with the fields of
:class:`ControllerFile` (except the tensors), ``kind``, ``version`` and ``sha256``, the hash of everything
else in the file. A file is read whole, within bounds, and checked before it is used; whatever is wrong is a
:class:`ModelError` of one line that names the file, the field, what was expected, what was found and the
remedy.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
import safetensors.numpy

from .errors import ModelError
from .liquid.architecture import Architecture, tensor_shapes

KIND = "controller"
VERSION = 2
MAX_FILE_BYTES = 64 << 20
MAX_HEADER_BYTES = 1 << 20

_RETRAIN = "train it again (liquid-spike train)"
_RECOPY = "copy or download the file again"
_ENTRY = "controller"


@dataclass(frozen=True, eq=False)
class ControllerFile:
    """A trained controller and what it was trained for. Checked when made; raises ModelError.

    Attributes:
        observation_names, observation_units: of each input, in order, e.g. ``"cart_position"``, ``"m"``.
        observation_scales: what one unit of network input is, in each observation's unit; positive.
        command_names, command_units: of each output, in order, e.g. ``"cart_slide"``, ``"N"``.
        command_limits: greatest magnitude of each command, in its unit; positive.
        nominal_period_s: the control period [s] that counts as an elapsed time of 1.
        task: what it was trained on, e.g. ``"pencil"``.
        architecture: what it is made of.
        training_command: the command line that made it.
        training_seeds: first and last seed of the episodes it was trained on.
        tensors: float32 arrays with the names and shapes of :func:`.liquid.architecture.tensor_shapes`; of a wiring
            int8.
        source: where it came from; the subject of error messages.
    """

    observation_names: tuple[str, ...]
    observation_units: tuple[str, ...]
    observation_scales: tuple[float, ...]
    command_names: tuple[str, ...]
    command_units: tuple[str, ...]
    command_limits: tuple[float, ...]
    nominal_period_s: float
    task: str
    architecture: Architecture
    training_command: str
    training_seeds: tuple[int, int]
    tensors: Mapping[str, np.ndarray]
    source: str = "the controller"

    def __post_init__(self) -> None:
        for quantity in ("observation", "command"):
            names = self._strings(f"{quantity}_names")
            if not names or len(set(names)) < len(names):
                self._refuse(f"{quantity}_names", "at least one name, none twice", list(names))
            for other in ("units", "scales" if quantity == "observation" else "limits"):
                values = getattr(self, f"{quantity}_{other}")
                if not isinstance(values, tuple) or len(values) != len(names):
                    self._refuse(f"{quantity}_{other}", f"one for each of {len(names)} names", values)
        self._strings("observation_units")
        self._strings("command_units")
        for field in ("observation_scales", "command_limits"):
            if not all(_positive(v) for v in getattr(self, field)):
                self._refuse(field, "finite numbers above 0", list(getattr(self, field)))
        if not _positive(self.nominal_period_s):
            self._refuse("nominal_period_s", "a finite number above 0", self.nominal_period_s)
        if not isinstance(self.architecture, Architecture):
            self._refuse("architecture", "an architecture", self.architecture)
        for field in ("task", "training_command"):
            if not isinstance(getattr(self, field), str):
                self._refuse(field, "a string", getattr(self, field))
        seeds = self.training_seeds
        two = isinstance(seeds, tuple) and len(seeds) == 2 and all(map(_integer, seeds))
        if not two or seeds[0] > seeds[1]:
            self._refuse("training_seeds", "first and last seed", seeds)
        self._check_tensors()

    def _strings(self, field: str) -> tuple[str, ...]:
        value = getattr(self, field)
        if not isinstance(value, tuple) or not all(isinstance(v, str) and v for v in value):
            self._refuse(field, "a list of strings", value)
        return value

    def _check_tensors(self) -> None:
        try:
            shapes = tensor_shapes(self.architecture, len(self.observation_names), len(self.command_names))
        except ModelError as error:
            raise ModelError(f"{self.source}: {error}") from None
        if missing := sorted(shapes.keys() - self.tensors.keys()):
            self._refuse(f"tensor {missing[0]}", f"float32 {shapes[missing[0]]}", "none")
        if foreign := sorted(self.tensors.keys() - shapes.keys()):
            self._refuse(f"tensor {foreign[0]}", "no such tensor", self.tensors[foreign[0]].shape)
        for name, shape in shapes.items():
            tensor, wiring = self.tensors[name], ".wiring_" in name
            dtype = np.dtype(np.int8 if wiring else np.float32)
            if tensor.shape != shape or tensor.dtype != dtype:
                self._refuse(f"tensor {name}", f"{dtype} {shape}", f"{tensor.dtype} {tensor.shape}")
            if wiring and np.abs(tensor.astype(int)).max(initial=0) > 1:
                self._refuse(f"tensor {name}", "-1, 0 or 1", "other numbers")
            if not np.isfinite(tensor).all():
                bad = int(np.count_nonzero(~np.isfinite(tensor)))
                self._refuse(f"tensor {name}", "finite weights", f"{bad} that are not")

    def _refuse(self, field: str, expected: Any, found: Any) -> NoReturn:
        _refuse(self.source, field, expected, found, _RETRAIN)

    @property
    def sha256(self) -> str:
        """Hash over the metadata and the tensors: 64 hex digits."""
        digest = hashlib.sha256(json.dumps(self.metadata(), sort_keys=True).encode())
        for name in sorted(self.tensors):
            tensor = self.tensors[name]
            digest.update(f"{name}{tensor.shape}".encode())
            digest.update(tensor.astype("<f4").tobytes())
        return digest.hexdigest()

    def metadata(self) -> dict[str, Any]:
        """All but the tensors and the hash, for JSON."""
        values = {f: getattr(self, f) for f in _METADATA} | {"architecture": self.architecture.as_dict()}
        return {"kind": KIND, "version": VERSION} | values


_METADATA = tuple(f.name for f in fields(ControllerFile) if f.name not in ("tensors", "source"))
_LISTS = tuple(f.name for f in fields(ControllerFile) if str(f.type).startswith("tuple"))


def write_controller(path: str | Path, controller: ControllerFile) -> None:
    """Write a controller file. It appears whole or not at all, and the same controller gives the same bytes.

    Raises:
        ModelError: the file cannot be written.
    """
    path = Path(path)
    metadata = json.dumps(controller.metadata() | {"sha256": controller.sha256}, sort_keys=True)
    tensors = {k: np.ascontiguousarray(v) for k, v in controller.tensors.items()}
    data = safetensors.numpy.save(tensors, {_ENTRY: metadata})
    replace_file(path, data)


def replace_file(path: Path, data: bytes) -> None:
    """Write a model file, whole or not at all.

    Raises:
        ModelError: it cannot be written.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise ModelError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None


def read_controller(path: str | Path) -> ControllerFile:
    """Read and check a controller file.

    Raises:
        ModelError: it is missing, too large, damaged, not a controller, or not fit for use.
    """
    path = str(path)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        _refuse(path, "file", "a controller file", error.strerror, "check the path")
    if len(data) > MAX_FILE_BYTES:
        _refuse(path, "size", f"at most {MAX_FILE_BYTES} bytes", "more", "give a controller file")
    header_bytes = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= header_bytes <= min(MAX_HEADER_BYTES, len(data) - 8):
        _refuse(path, "header", "a safetensors header", f"{len(data)} bytes of something else", _RECOPY)
    try:
        tensors = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + header_bytes])
    # numpy has no name for some of the types that safetensors allows, hence more than ValueError.
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        _refuse(path, "tensors", "a whole safetensors file", str(error).replace("\n", " "), _RECOPY)
    metadata = _parse(path, header.get("__metadata__") or {})
    controller = ControllerFile(tensors=tensors, source=path, **{k: metadata[k] for k in _METADATA})
    if metadata["sha256"] != controller.sha256:
        _refuse(path, "sha256", metadata["sha256"], controller.sha256, _RECOPY)
    return controller


def _parse(path: str, entries: Mapping[str, str]) -> dict[str, Any]:
    """The metadata of a controller file, as Python values of whatever type."""
    if _ENTRY not in entries:
        _refuse(path, "metadata", f"an entry '{_ENTRY}'", sorted(entries) or "none", "give a controller file")
    try:
        metadata = json.loads(entries[_ENTRY])
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        _refuse(path, "metadata", "a JSON object", entries[_ENTRY][:40], _RETRAIN)
    for field, known in (("kind", KIND), ("version", VERSION)):
        if metadata.get(field) != known:
            _refuse(path, field, known, metadata.get(field, "none"), "give a controller made by this version")
    for field in (*_METADATA, "sha256"):
        if field not in metadata:
            _refuse(path, field, "a value", "none", _RETRAIN)
    try:
        metadata["architecture"] = Architecture.from_dict(metadata["architecture"])
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return {k: tuple(v) if k in _LISTS and isinstance(v, list) else v for k, v in metadata.items()}


class DescribedController(Protocol):
    """What every controller file says, that of a spiking network too; see :class:`ControllerFile`."""

    @property
    def observation_names(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def observation_units(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def command_names(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def command_units(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def command_limits(self) -> tuple[float, ...]: ...  # noqa: D102

    @property
    def nominal_period_s(self) -> float: ...  # noqa: D102

    @property
    def source(self) -> str: ...  # noqa: D102


def check_fits(
    controller: DescribedController,
    *,
    observation_names: Sequence[str],
    observation_units: Sequence[str],
    command_names: Sequence[str],
    command_units: Sequence[str],
    period_s: float,
    command_limits: Sequence[float] | None = None,
) -> None:
    """Refuse a controller that was made for something else.

    Args:
        controller: from :func:`read_controller`.
        observation_names: what the robot gives, in order.
        observation_units: their units.
        command_names: what the robot takes, in order.
        command_units: their units.
        period_s: the control period [s]; must equal the nominal period.
        command_limits: greatest magnitude the robot takes of each command; the controller's may be lower.

    Raises:
        ModelError: the first misfit.
    """
    remedy = "give a controller trained for this robot and task, or change the configuration"
    for field, wanted in (
        ("observation_names", observation_names),
        ("observation_units", observation_units),
        ("command_names", command_names),
        ("command_units", command_units),
    ):
        if getattr(controller, field) != tuple(wanted):
            _refuse(controller.source, field, list(wanted), list(getattr(controller, field)), remedy)
    if not math.isclose(controller.nominal_period_s, period_s, rel_tol=1e-6):
        _refuse(controller.source, "nominal_period_s", period_s, controller.nominal_period_s, remedy)
    if command_limits is not None:
        allowed = list(command_limits)
        # Written so that a limit of NaN is a misfit.
        within = [ours <= theirs for ours, theirs in zip(controller.command_limits, allowed, strict=False)]
        if len(allowed) != len(controller.command_limits) or not all(within):
            found = list(controller.command_limits)
            _refuse(controller.source, "command_limits", f"at most {allowed}", found, remedy)


def check_commands(controller: DescribedController, names: Sequence[str], units: Sequence[str]) -> None:
    """Refuse a controller whose commands are not the robot's.

    Args:
        controller: from :func:`read_controller`.
        names, units: what the robot takes, in order.

    Raises:
        ModelError: the first misfit.
    """
    remedy = "give a controller trained for this robot, or change the configuration"
    for field, wanted in (("command_names", names), ("command_units", units)):
        if getattr(controller, field) != tuple(wanted):
            _refuse(controller.source, field, list(wanted), list(getattr(controller, field)), remedy)


def _positive(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and value > 0 and math.isfinite(value)


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _refuse(source: str, field: str, expected: Any, found: Any, remedy: str) -> NoReturn:
    found = " ".join(str(found).split())[:300]
    raise ModelError(f"{source}: {field}: expected {expected}, found {found}; {remedy}")
