# SPDX-License-Identifier: Apache-2.0
"""Controller files: one safetensors file holds the weights and all that is needed to use them safely.

The safetensors metadata has one entry, ``controller``, a JSON object with the fields of
:class:`ControllerFile` (except the tensors), ``kind``, ``version`` and ``sha256``, the hash of everything
else in the file. A file is read whole, within bounds, and checked before use; every fault raises a
:class:`ModelError` of one line that names the file, the field, the expected and the found value, and the
remedy.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from .controller_description import ControllerDescription, refuse
from .errors import ModelError
from .inputs import parse_json, read_input
from .liquid.architecture import Architecture, tensor_shapes
from .outputs import write_file

KIND = "controller"
VERSION = 2
MAX_FILE_BYTES = 64 << 20
MAX_HEADER_BYTES = 1 << 20

_RECOPY = "copy or download the file again"
_ENTRY = "controller"


@dataclass(frozen=True, eq=False, kw_only=True)
class ControllerFile(ControllerDescription):
    """A trained controller and what it was trained for. Checked when made; raises ModelError.

    Attributes:
        architecture: what it is made of.
        tensors: float32 arrays with the names and shapes of :func:`.liquid.architecture.tensor_shapes`; of a wiring
            int8.
    """

    architecture: Architecture
    tensors: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.architecture, Architecture):
            self._refuse("architecture", "an architecture", self.architecture)
        self._check_tensors()

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
        OutputError: the file cannot be written.
    """
    metadata = json.dumps(controller.metadata() | {"sha256": controller.sha256}, sort_keys=True)
    tensors = {k: np.ascontiguousarray(v) for k, v in controller.tensors.items()}
    data = safetensors.numpy.save(tensors, {_ENTRY: metadata})
    write_file(path, data)


def read_controller(path: str | Path) -> ControllerFile:
    """Read and check a controller file.

    Raises:
        ModelError: it is missing, too large, damaged, not a controller, or not fit for use.
    """
    path = str(path)
    try:
        data = read_input(path, MAX_FILE_BYTES)
    except OSError as error:
        field = "size" if error.errno == errno.EFBIG else "file"
        refuse(path, field, "a controller file", error.strerror, "check the path")
    if data.startswith(b"\x89HDF"):
        remedy = "give it to liquid-spike neuromorphic, which reads those"
        refuse(path, "file", "a liquid or gated controller, .safetensors", "HDF5, as spiking networks have it", remedy)
    if path.lower().endswith((".yaml", ".yml")):
        refuse(path, "file", "a network, .safetensors", "a text", "a controller in yaml is plain text: open it")
    header_bytes = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= header_bytes <= min(MAX_HEADER_BYTES, len(data) - 8):
        refuse(path, "header", "a safetensors header", f"{len(data)} bytes of something else", _RECOPY)
    try:
        tensors = safetensors.numpy.load(data)
        header = parse_json(data[8 : 8 + header_bytes])
    # numpy has no name for some of the types that safetensors allows; this raises more than ValueError.
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        refuse(path, "tensors", "a whole safetensors file", str(error).replace("\n", " "), _RECOPY)
    metadata = _parse(path, header.get("__metadata__") or {})
    controller = ControllerFile(tensors=tensors, source=path, **{k: metadata[k] for k in _METADATA})
    if metadata["sha256"] != controller.sha256:
        refuse(path, "sha256", metadata["sha256"], controller.sha256, _RECOPY)
    return controller


def _parse(path: str, entries: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata of a controller file, as unchecked Python values."""
    if _ENTRY not in entries:
        refuse(path, "metadata", f"an entry '{_ENTRY}'", sorted(entries) or "none", "give a controller file")
    try:
        metadata = parse_json(entries[_ENTRY])
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        refuse(path, "metadata", "a JSON object", entries[_ENTRY][:40])
    for field, known in (("kind", KIND), ("version", VERSION)):
        if metadata.get(field) != known:
            refuse(path, field, known, metadata.get(field, "none"), "give a controller made by this version")
    for field in (*_METADATA, "sha256"):
        if field not in metadata:
            refuse(path, field, "a value", "none")
    try:
        metadata["architecture"] = Architecture.from_dict(metadata["architecture"])
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return {k: tuple(v) if k in _LISTS and isinstance(v, list) else v for k, v in metadata.items()}


def check_fits(
    controller: ControllerDescription,
    *,
    observation_names: Sequence[str],
    observation_units: Sequence[str],
    command_names: Sequence[str],
    command_units: Sequence[str],
    period_s: float,
    command_limits: Sequence[float] | None = None,
    setpoints: Collection[str] = (),
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
        setpoints: the observations among these may be unknown to the controller, which then does not follow them.

    Raises:
        ModelError: the first misfit.
    """
    unknown = set(setpoints) - set(controller.observation_names)
    left_out = {k for k, name in enumerate(observation_names) if name in unknown}
    remedy = "give a controller trained for this robot and task, or change the configuration"
    for field, expected in (
        ("observation_names", [name for k, name in enumerate(observation_names) if k not in left_out]),
        ("observation_units", [unit for k, unit in enumerate(observation_units) if k not in left_out]),
        ("command_names", command_names),
        ("command_units", command_units),
    ):
        if getattr(controller, field) != tuple(expected):
            refuse(controller.source, field, list(expected), list(getattr(controller, field)), remedy)
    if not math.isclose(controller.nominal_period_s, period_s, rel_tol=1e-6):
        refuse(controller.source, "nominal_period_s", period_s, controller.nominal_period_s, remedy)
    if command_limits is not None:
        allowed = list(command_limits)
        # Written so that a limit of NaN is a misfit.
        within = [ours <= theirs for ours, theirs in zip(controller.command_limits, allowed, strict=False)]
        if len(allowed) != len(controller.command_limits) or not all(within):
            found = list(controller.command_limits)
            refuse(controller.source, "command_limits", f"at most {allowed}", found, remedy)


def check_commands(controller: ControllerDescription, names: Sequence[str], units: Sequence[str]) -> None:
    """Refuse a controller whose commands are not the robot's.

    Args:
        controller: from :func:`read_controller`.
        names, units: what the robot takes, in order.

    Raises:
        ModelError: the first misfit.
    """
    remedy = "give a controller trained for this robot, or change the configuration"
    for field, expected in (("command_names", names), ("command_units", units)):
        if getattr(controller, field) != tuple(expected):
            refuse(controller.source, field, list(expected), list(getattr(controller, field)), remedy)
