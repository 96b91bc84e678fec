# SPDX-License-Identifier: Apache-2.0
"""The nodes and edges of a NIR file, as they stand, with subgraphs laid flat.

The HDF5 layout is that of :func:`nir.write` (nir 1.0). It is read here because :func:`nir.read` checks the types of
subgraphs, which several exporters leave undefined.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import ModelError
from ..hdf5 import open_hdf5

#: Parameters that each kind of node must have.
PARAMETERS = {
    "Affine": ("weight", "bias"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Conv1d": ("weight", "stride", "padding", "dilation", "groups", "bias"),
    "Conv2d": ("weight", "stride", "padding", "dilation", "groups", "bias"),
    "CubaLI": ("tau_mem", "tau_syn", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "w_in"),
    "Delay": ("delay",),
    "Flatten": ("start_dim", "end_dim"),
    "I": ("r",),
    "IF": ("r", "v_threshold"),
    "Input": (),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "Linear": ("weight",),
    "Output": (),
    "Scale": ("scale",),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "Threshold": ("threshold",),
}
_DIMENSIONS = {"Affine": 2, "Conv1d": 3, "Conv2d": 4, "Linear": 2}
#: Ends of a subgraph, which pass their input on.
JUNCTION = "Junction"


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One node: its kind, its parameters as arrays (or text, for padding), and its metadata."""

    kind: str
    values: Mapping[str, Any]
    metadata: Mapping[str, Any]


@dataclass(frozen=True, eq=False, slots=True)
class NirFile:
    """Nodes by name; those of subgraphs are named ``subgraph.node``. ``hash`` is the hex SHA-256 of the content."""

    nodes: Mapping[str, Node]
    edges: tuple[tuple[str, str], ...]
    hash: str


def read_nir_file(path: str | Path) -> NirFile:
    """Read nodes and edges.

    Raises:
        ModelError: the file is missing, damaged or foreign, or a node is unknown, lacks a parameter or holds NaN.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; name a NIR file")
    try:
        with open_hdf5(path) as file:
            content = _content(file["node"])
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise ModelError(f"{path}: not a whole NIR file ({what}); fetch or write it again") from None
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    try:
        _flatten(content, "", nodes, edges)
        for end in sorted({end for edge in edges for end in edge} - set(nodes)):
            raise ModelError(f"an edge names node {end}, which is missing; write the file again")
    except ModelError as error:
        raise ModelError(f"{path}: {' '.join(str(error).split())}") from None
    edges = list(dict.fromkeys(edges))
    return NirFile(nodes, tuple(edges), _hash(nodes, edges))


def _content(group: h5py.Group) -> dict[str, Any]:
    def text(x: Any) -> Any:
        return x.decode(errors="replace") if isinstance(x, bytes) else x

    return {text(k): _content(v) if isinstance(v, h5py.Group) else text(v[()]) for k, v in group.items()}


def _flatten(graph: dict[str, Any], prefix: str, nodes: dict[str, Node], edges: list[tuple[str, str]]) -> None:
    """Add the nodes of a graph; edges to a subgraph end at its Input, edges from it begin at its Output."""
    where = prefix[:-1] or "the graph"
    if _kind(graph) != "NIRGraph" or not isinstance(graph.get("nodes"), dict):
        raise ModelError(f"{where} is no NIRGraph; write the file with nir.write")
    entry: dict[str, str] = {}
    leave: dict[str, str] = {}
    for name, content in graph["nodes"].items():
        full = prefix + name
        kind = _kind(content)
        if kind == "NIRGraph":
            _flatten(content, f"{full}.", nodes, edges)
            ends = {k: [m for m, x in content["nodes"].items() if _kind(x) == k] for k in ("Input", "Output")}
            if any(len(names) != 1 for names in ends.values()):
                raise ModelError(f"node {full}: a subgraph needs one Input and one Output; split it")
            entry[name], leave[name] = f"{full}.{ends['Input'][0]}", f"{full}.{ends['Output'][0]}"
            continue
        nodes[full] = _node(full, kind, content, inner=bool(prefix))
    pairs = np.asarray(graph.get("edges", ()))
    if pairs.size and (pairs.ndim != 2 or pairs.shape[1] != 2):
        raise ModelError(f"the edges of {where} are no pairs of names; write the file again")
    for pair in pairs.reshape(-1, 2):
        a, b = (x.decode(errors="replace") if isinstance(x, bytes) else str(x) for x in pair)
        edges.append((prefix + a if a not in leave else leave[a], prefix + b if b not in entry else entry[b]))


def _kind(content: Any) -> str:
    kind = content.get("type") if isinstance(content, dict) else None
    return kind if isinstance(kind, str) else "node without a type"


def _node(name: str, kind: str, content: Any, inner: bool) -> Node:
    if kind not in PARAMETERS:
        raise ModelError(f"node {name} is a {kind}; rebuild the network from {', '.join(sorted(PARAMETERS))}")
    values = {key: x for key, x in content.items() if key not in ("type", "metadata", "input_type", "output_type")}
    for key in PARAMETERS[kind]:
        if key not in values:
            raise ModelError(f"node {name}: it has no {key}; write it again with nir 1.0 or newer")
    for key, x in values.items():
        if isinstance(x, str) and key == "padding" and kind in ("Conv1d", "Conv2d"):
            continue
        x = np.asarray(x)
        if x.dtype.kind not in "fiub":
            raise ModelError(f"node {name}: {key} is no number; write the file again")
        if np.isnan(x).any():
            raise ModelError(f"node {name}: {key} holds NaN; train it again")
        if key in ("weight", "bias", "scale", "delay") and not np.isfinite(x).all():
            raise ModelError(f"node {name}: {key} is not finite; train it again")
        values[key] = x.astype(float) if x.dtype.kind == "f" else x
        if key == "weight" and (values[key].ndim != _DIMENSIONS.get(kind) or not x.size):
            raise ModelError(f"node {name}: weight has shape {x.shape}; it needs {_DIMENSIONS.get(kind)} dimensions")
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return Node(JUNCTION if inner and kind in ("Input", "Output") else kind, values, metadata)


def _hash(nodes: dict[str, Node], edges: list[tuple[str, str]]) -> str:
    sha = hashlib.sha256(b"NIR 1\n")
    for name in sorted(nodes):
        sha.update(f"{name} {nodes[name].kind}\n".encode())
        for key, x in sorted(nodes[name].values.items()):
            x = x if isinstance(x, str) else np.ascontiguousarray(x)
            sha.update(f"{key} {x if isinstance(x, str) else (x.shape, x.dtype.str)}\n".encode())
            if isinstance(x, np.ndarray):
                sha.update(x.tobytes())
    sha.update(str(sorted(edges)).encode())
    return sha.hexdigest()
