# SPDX-License-Identifier: Apache-2.0
"""Compiled networks: one safetensors file holds an integer network and its metadata.

The safetensors metadata has one entry, ``network``, a JSON object: the classes and the small fields of populations
and connections in order, the arrays' names, entries that the writer adds (``metadata``), the network's hash, and
``sha256`` over all of that and the arrays. Arrays are stored in the narrowest integers that hold them. Nothing in
the file is executed, and nothing is allocated before its size is known to be within bounds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from ...errors import ModelError
from ...inputs import parse_json, read_input
from ...outputs import write_file
from ..integers import neurons, nonlinear_neurons, synapses
from ..integers.network import LoihiNetwork
from ..learning.rule import LearningRule

KIND = "loihi_network"
VERSION = 1
MAX_FILE_BYTES = 1 << 30
MAX_HEADER_BYTES = 16 << 20
MAX_NEURONS = 1 << 24  # of a network: 128 chips of Loihi 1

_ENTRY = "network"
_RECOPY = "copy the file again, or compile the network again"
_GIVE = "give a file that `liquid-spike neuromorphic compile` wrote"


def _classes(module) -> dict[str, type]:
    return {
        name: kind
        for name, kind in vars(module).items()
        if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == module.__name__
    }


#: Every neuron model and kind of connection that there is, by its name.
POPULATIONS = _classes(neurons) | _classes(nonlinear_neurons)
CONNECTIONS = _classes(synapses)


@dataclass(frozen=True, eq=False)
class CompiledNetwork:
    """Contents of a compiled file.

    Attributes:
        network: the integer network.
        metadata: JSON values, as they were given to :func:`write_network`.
        hash: the network's hash, hex SHA-256: what spike packets name it by.
        source: where it came from; the subject of error messages.
    """

    network: LoihiNetwork
    metadata: dict[str, Any]
    hash: str
    source: str


def write_network(path: str | Path, network: LoihiNetwork, metadata: Mapping[str, Any]) -> str:
    """Write a network. The file appears whole or not at all; the same arguments give the same bytes.

    Args:
        path: where to, ``.safetensors``.
        network: any populations and connections.
        metadata: JSON values; ``step_s`` [s] is how long a step lasts, which the offload node needs.

    Returns:
        The network's hash.

    Raises:
        ModelError: the metadata are not JSON.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    tensors: dict[str, np.ndarray] = {}
    header: dict[str, Any] = {
        "kind": KIND,
        "version": VERSION,
        "n_inputs": int(network.n_inputs),
        "outputs": list(network.outputs),
        "populations": [
            {"name": name} | _take_apart(p, f"population{i}", tensors)
            for i, (name, p) in enumerate(network.populations.items())
        ],
        "connections": [
            _take_apart(c, f"connection{i}", tensors) for i, c in enumerate(network.connections)
        ],
        "metadata": dict(metadata),
        "hash": network.hash,
    }
    try:
        header = json.loads(json.dumps(header, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: metadata: {error}; give texts, finite numbers, lists and tables") from None
    header["sha256"] = _digest(header, tensors)
    # Ordered by name, so that it does not matter in which order they came.
    data = safetensors.numpy.save(dict(sorted(tensors.items())), {_ENTRY: json.dumps(header, sort_keys=True)})
    write_file(path, data)
    return network.hash


def read_network(path: str | Path) -> CompiledNetwork:
    """Read and check a compiled network.

    Raises:
        ModelError: it is missing, too large, damaged, foreign, or not a network that can run.
    """
    source = str(path)
    tensors, header = _load(source)
    tables = [header["populations"], header["connections"]]
    if not all(isinstance(t, list) and all(isinstance(row, dict) for row in t) for t in tables):
        raise ModelError(f"{source}: populations and connections must be lists of tables; {_RECOPY}")
    try:
        populations = {row.pop("name"): _put_together(row, POPULATIONS, tensors) for row in tables[0]}
        if sum(p.n for p in populations.values()) > MAX_NEURONS:
            raise ModelError(f"more than {MAX_NEURONS} neurons")
        if len(populations) < len(tables[0]):
            raise ModelError("two populations have one name")
        connections = [_put_together(row, CONNECTIONS, tensors) for row in tables[1]]
        n_inputs, outputs = int(header["n_inputs"]), tuple(header["outputs"])
        if n_inputs > MAX_NEURONS:
            raise ModelError(f"more than {MAX_NEURONS} inputs")
        network = LoihiNetwork(n_inputs, populations, connections, outputs)
    except ModelError as error:
        raise ModelError(f"{source}: {error}; {_RECOPY}") from None
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, MemoryError) as error:
        raise ModelError(f"{source}: not a network ({_line(error)}); {_RECOPY}") from None
    if network.hash != header["hash"]:
        raise ModelError(
            f"{source}: hash: expected {header['hash']}, found {network.hash}: it was compiled by a version that"
            " counts otherwise; compile it again"
        )
    return CompiledNetwork(network, header["metadata"], network.hash, source)


def _take_apart(part: Any, prefix: str, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Fields of a population or a connection as JSON, its arrays put among the tensors."""
    table: dict[str, Any] = {"class": type(part).__name__}
    for field in dataclasses.fields(part):
        if not field.init:
            continue
        value = getattr(part, field.name)
        if value is None:
            continue
        if isinstance(value, LearningRule):
            value = value.to_table()
        if isinstance(value, np.ndarray) and value.ndim:
            name = f"{prefix}.{field.name}"
            tensors[name] = _narrow(value)
            value = {"tensor": name}
        elif isinstance(value, np.ndarray | np.generic):
            value = value.item()
        elif isinstance(value, tuple):
            value = [int(v) if isinstance(v, np.integer) else v for v in value]
        table[field.name] = value
    return table


def _put_together(table: dict[str, Any], classes: Mapping[str, type], tensors: Mapping[str, np.ndarray]) -> Any:
    kind = table.pop("class")
    if kind not in classes:
        raise ModelError(f"{kind} is none of {', '.join(classes)}")
    fields = {}
    for name, value in table.items():
        if name == "learning":
            value = LearningRule.from_table(value)
        elif isinstance(value, dict):
            value = tensors[value["tensor"]]
            value = value.astype(np.int64) if value.dtype.kind in "iu" else value
        elif isinstance(value, list):
            value = tuple(value)
        fields[name] = value
    if isinstance(fields.get("n", 0), bool) or not 0 <= fields.get("n", 0) <= MAX_NEURONS:
        raise ModelError(f"{kind}: n must lie in 1 .. {MAX_NEURONS}, not {fields['n']}")
    return classes[kind](**fields)


def _narrow(array: np.ndarray) -> np.ndarray:
    """The same numbers in the narrowest signed integers; anything but integers as it is."""
    array = np.ascontiguousarray(array)
    if array.dtype.kind not in "iu":
        return array
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return array.astype(np.int64)


def _digest(header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(
        json.dumps({k: v for k, v in header.items() if k != "sha256"}, sort_keys=True).encode()
    )
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype.str} {tensor.shape}\n".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def _load(source: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read tensors and header of a complete file of this format."""
    try:
        data = read_input(source, MAX_FILE_BYTES)
    except OSError as error:
        raise ModelError(f"{source}: cannot be read ({error.strerror}); check the path") from None
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, len(data) - 8):
        raise ModelError(f"{source}: not a whole safetensors file; {_RECOPY}")
    try:
        tensors = safetensors.numpy.load(data)
        entries = parse_json(data[8 : 8 + length]).get("__metadata__") or {}
    # numpy has no name for some of the types that safetensors allows; this raises more than ValueError.
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{source}: not a whole safetensors file ({_line(error)}); {_RECOPY}") from None
    if _ENTRY not in entries:
        what = "a controller" if "controller" in entries else "no network"
        raise ModelError(f"{source}: it holds {what}; {_GIVE}")
    try:
        header = parse_json(entries[_ENTRY])
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise ModelError(f"{source}: its header is no table; {_RECOPY}")
    for field, known in (("kind", KIND), ("version", VERSION)):
        if header.get(field) != known:
            raise ModelError(
                f"{source}: {field}: expected {known}, found {str(header.get(field))[:40]}; compile it again"
            )
    for field in ("n_inputs", "outputs", "populations", "connections", "metadata", "hash", "sha256"):
        if field not in header:
            raise ModelError(f"{source}: {field}: missing; {_RECOPY}")
    if not isinstance(header["metadata"], dict):
        raise ModelError(f"{source}: its metadata are no table; {_RECOPY}")
    if header["sha256"] != (found := _digest(header, tensors)):
        raise ModelError(f"{source}: sha256: expected {str(header['sha256'])[:64]}, found {found}; {_RECOPY}")
    return tensors, header


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:160]
