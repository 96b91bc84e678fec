# SPDX-License-Identifier: Apache-2.0
"""Read and write perception models: one NIR file with the spiking network, the readout and the metadata.

``Input -> Linear -> CubaLIF [-> Linear -> CubaLIF ...]`` with optional recurrence (``CubaLIF -> Linear ->
the same CubaLIF``), ``Conv2d`` or ``LIF`` too, with a ``Delay`` before the weights where there is one; then,
from one population or several, ``Linear -> LI -> Linear -> Output``.

NIR (Pedersen et al. 2024, Nature Communications 15) states differential equations; a step must be chosen:

``tau_syn I' = w_in s - I``, ``tau_mem v' = v_leak - v + r I`` become, with ``u = dv r I``,
``u <- (1 - du) u + dv r du w_in W s(t - 1)`` and ``v <- (1 - dv) v + u + dv v_leak`` (v sees the new u),
where
``du = dt / tau_syn`` by the rule ``"euler"`` or ``1 - exp(-dt / tau_syn)`` by ``"exponential"``, and dv
alike from
``tau_mem``. Decays within 1e-9 of the 12-bit grid, and gains within 1e-9 of 1, are taken to lie there, so
that what was written as ``tau = dt / du`` reads back to the bit.

NIR has no neuron whose threshold adapts, and does not say how a neuron is reset. An adaptive one is a CubaLIF with two
arrays in its metadata: ``adaptation_rise``, what a spike adds to the threshold, and ``adaptation_tau``, the time
constant with which that decays. A reader that does not know them takes the neuron for one that does not adapt. Likewise
``neuron``, ``reset_drop`` and ``membrane_decay`` hold what neurons of other frameworks have (:mod:`.nir_reader`), whose
networks :func:`expressible` brings into this form.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np

from ..errors import ModelError
from ..hdf5 import open_hdf5
from ..outputs import write_file
from ..resources import model_file
from .graph import INPUT, Connection, Correlation, CubaPopulation, Linear, SpikingGraph
from .nir_reader import DROP, FIELDS, LEAK, NEURON, NEURONS, RISE, TAU, WEIGHTS, Reader
from .readout import Readout

_KEY = "liquid_spike_control"
#: Weights of a matrix that takes the place of single synapses, at most.
MOST_WEIGHTS = 1 << 25
_KNOWN = (nir.Input, nir.Output, nir.Flatten, nir.Delay, nir.LI, *WEIGHTS, *NEURONS)


@dataclass(frozen=True, eq=False)
class PerceptionModel:
    """Contents of a perception file.

    Attributes:
        graph: the spiking part; ``graph.outputs`` are the populations that feed the readout, in order.
        readout: takes the spikes of those populations, numbered one population after the other.
        metadata: JSON values: feature names, units, dt, rule, encoding of the input, how it was trained.
        hash: hex SHA-256 of nodes, edges and metadata.
        source: where it came from; the subject of error messages.
    """

    graph: SpikingGraph
    readout: Readout
    metadata: dict[str, Any]
    hash: str
    source: str = "the perception model"


def read_perception_model(
    path: str | Path, dt: float | None = None, rule: str | None = None
) -> PerceptionModel:
    """Read a perception model.

    Args:
        path: a NIR file, or the name of a shipped one, such as ``pencil/perception.nir``.
        dt: time step [s]; by default what the metadata states.
        rule: ``"euler"`` or ``"exponential"``; by default what the metadata states.

    Raises:
        ModelError: the file is damaged, foreign, or holds what the backends cannot run; one line that names
            the file, the node and the remedy.
    """
    path = model_file(path)
    nodes, edges, metadata = _read(path)
    content = _hash(nodes, edges, metadata)
    if metadata.get("hash", content) != content:
        raise ModelError(
            f"{path}: its content does not match the hash it states; fetch it afresh or write it again"
        )
    dt, rule = dt or metadata.get("dt"), rule or metadata.get("rule", "euler")
    if not isinstance(dt, int | float) or not 0 < dt < np.inf:
        raise ModelError(f"{path}: no time step; give dt in seconds, or write it into the metadata")
    if rule not in ("euler", "exponential"):
        raise ModelError(f'{path}: rule {rule} is unknown; use "euler" or "exponential"')
    try:
        reader = Reader(nodes, edges, float(dt), rule)
        graph = reader.graph()
        return PerceptionModel(graph, reader.readout(graph), metadata, content, str(path))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def write_perception_model(
    path: str | Path, graph: SpikingGraph, readout: Readout, metadata: dict[str, Any], dt: float
) -> str:
    """Write a perception model by the rule ``"euler"``, such that it reads back to the bit.

    Args:
        path: where to; replaced at once or not at all.
        graph: linear connections and convolutions, each with one delay; its outputs feed the readout.
        readout: takes the spikes of ``graph.outputs``.
        metadata: JSON values; ``dt``, ``rule`` and ``hash`` are added.
        dt: time step [s].

    Returns:
        The hash of what was written.

    Raises:
        ModelError: the graph has other connections, or a decay of 0, which has no time constant.
    """
    if readout.n_neurons != graph.n_outputs:
        raise ModelError(
            f"{path}: the readout takes {readout.n_neurons} neurons, the graph gives {graph.n_outputs}"
        )
    nodes: dict[str, Any] = {INPUT: nir.Input({"input": np.array([graph.n_inputs])})}
    edges: list[tuple[str, str]] = []
    images = {c.target: c.output_shape for c in graph.connections if isinstance(c, Correlation)}
    for name, p in graph.populations.items():
        if p.du.min() <= 0:
            raise ModelError(
                f"{path}: {name} has a decay of 0, which has no time constant; use at least 1/4096"
            )
        if not p.spiking:
            raise ModelError(f"{path}: {name} does not spike; a readout takes spikes")
        image = images.get(name)
        dv = np.where(p.dv > 0, p.dv, 1 / 4096)  # for other readers a slow leak, the true one is in the metadata
        numbers = {
            "tau_syn": dt / p.du, "tau_mem": dt / dv, "r": 1 / dv, "v_leak": p.bias / dv, "v_reset": np.zeros(p.n),
            "v_threshold": p.vth, "w_in": 1 / p.du,
        }  # fmt: skip
        by_channel = image is None or all(_each(x, image).shape[1:] == (1, 1) for x in numbers.values())
        each = {key: _each(x, image, by_channel) for key, x in numbers.items()}
        nodes[name] = nir.CubaLIF(**each, metadata=_beyond_nir(p, image, dt))
    for c in graph.connections:
        _join(nodes, edges, c.source, _weights(c, images, path), c.target, _delay(c, path) * dt)
    if readout.decay.min() <= 0:
        raise ModelError(f"{path}: the readout has a decay of 0, which has no time constant; use more")
    keep = np.zeros_like(readout.decay)
    nodes["readout"] = nir.LI(tau=dt / readout.decay, r=1 / readout.decay, v_leak=keep)
    first = 0
    for name in graph.outputs:
        n = graph.size(name)
        _join(nodes, edges, name, nir.Linear(_channels_first(readout.weight[:, first : first + n], images.get(name))),
              "readout")  # fmt: skip
        first += n
    nodes["output"] = nir.Output({"output": np.array([readout.n_features])})
    _join(nodes, edges, "readout", nir.Affine(readout.mix, readout.offset), "output")

    metadata = {**metadata, "dt": dt, "rule": "euler", "outputs": list(graph.outputs)}
    metadata["populations"] = list(graph.populations)
    metadata.pop("hash", None)
    metadata["hash"] = _hash(nodes, edges, metadata)
    stored = {_KEY: json.dumps(metadata, sort_keys=True)}
    buffer = io.BytesIO()  # HDF5 that meets a full disk takes the process with it
    nir.write(buffer, nir.NIRGraph(nodes, edges, metadata=stored, type_check=False))
    write_file(path, buffer.getbuffer())
    return metadata["hash"]


def expressible(graph: SpikingGraph) -> SpikingGraph:
    """The same network in the connections that :func:`write_perception_model` writes; all its populations spike.

    Raises:
        ModelError: a connection would need more than :data:`MOST_WEIGHTS` weights as a matrix.
    """
    connections: list[Connection] = []
    images: set[str] = {INPUT}
    for name in graph.populations:
        incoming = [c for c in graph.connections if c.target == name]
        pictures = {c.output_shape for c in incoming if isinstance(c, Correlation) and c.source in images}
        if len(pictures) == 1:
            images.add(name)
        for c in incoming:
            kept = isinstance(c, Correlation) and c.source in images and len(pictures) == 1
            connections += [c] if kept or isinstance(c, Linear) else _matrices(c)
        if not incoming:  # a population that its bias drives alone: a reader finds it by a path from the input
            connections.append(Linear(INPUT, name, np.zeros((graph.size(name), graph.n_inputs))))
    return SpikingGraph(graph.n_inputs, graph.populations, connections, graph.outputs)


def _matrices(c: Connection) -> list[Connection]:
    """A connection as matrices, one for each of its delays."""
    if math.prod(c.shape) > MOST_WEIGHTS:
        raise ModelError(f"{c.source} -> {c.target}: {math.prod(c.shape)} weights as a matrix; at most {MOST_WEIGHTS}")
    source, target, weight = c.synapses()
    delays = np.broadcast_to(np.asarray(c.delay), len(weight))
    found: list[Connection] = []
    for delay in np.unique(delays).tolist() or [0]:
        matrix, own = np.zeros(c.shape), delays == delay
        matrix[target[own], source[own]] = weight[own]
        found.append(Linear(c.source, c.target, matrix, int(delay)))
    return found


def _beyond_nir(p: CubaPopulation, image: tuple[int, int, int] | None, dt: float) -> dict[str, Any]:
    """What of a population no NIR node has, as a node's metadata."""
    found: dict[str, Any] = {}
    if p.rise is not None and p.dh is not None:
        found |= {RISE: _each(p.rise, image), TAU: _each(dt / p.dh, image)}
    plain = CubaPopulation(p.du, p.dv, p.vth, p.bias)
    fields = {key: getattr(p, key) for key in FIELDS if getattr(p, key) != getattr(plain, key)}
    if fields:
        found[NEURON] = json.dumps(fields, sort_keys=True)
    if p.drop is not None:
        found[DROP] = _each(p.drop, image)
    if p.dv.min() <= 0:
        found[LEAK] = _each(p.dv, image)
    return found


def _join(nodes: dict, edges: list, source: str, weight: Any, target: str, delay: float = 0.0) -> None:
    name = f"{source}_to_{target}"
    if name in nodes:
        name = f"{name}_{sum(known.startswith(name) for known in nodes)}"
    nodes[name] = weight
    if delay:
        nodes[f"{name}_delay"] = nir.Delay(np.array([delay]))
        edges.append((source, f"{name}_delay"))
        source = f"{name}_delay"
    edges += [(source, name), (name, target)]


def _each(x: np.ndarray, image: tuple[int, int, int] | None, by_channel: bool = True) -> np.ndarray:
    """A parameter of each neuron; of an image, where it is wanted and the same in a channel, of each ``(C, 1, 1)``."""
    if image is None:
        return x
    channels = x.reshape(-1, image[0])
    if by_channel and (channels == channels[:1]).all():
        return channels[0][:, None, None].copy()
    return x.reshape(*image[1:], image[0]).transpose(2, 0, 1).copy()


def _channels_first(weight: np.ndarray, image: tuple[int, int, int] | None) -> np.ndarray:
    """Columns in NIR's order, which flattens images with the channels first."""
    if image is None:
        return weight
    return np.ascontiguousarray(
        weight.reshape(len(weight), *image[1:], image[0]).transpose(0, 3, 1, 2).reshape(weight.shape)
    )


def _weights(c: Connection, images: dict[str, tuple[int, int, int]], path: str | Path) -> Any:
    if isinstance(c, Linear):
        return nir.Linear(_channels_first(c.weight, images.get(c.source)))
    if not isinstance(c, Correlation):
        raise ModelError(f"{path}: {c.source} -> {c.target}: single synapses are read, not written; give a Linear")
    if c.channels_first != (c.source == INPUT):
        raise ModelError(f"{path}: {c.source} -> {c.target}: channels come first from the input, and only there")
    shape, one, bias = np.array(c.input_shape[1:]), np.array([1, 1]), np.zeros(len(c.weight))
    return nir.Conv2d(shape, c.weight, np.array(c.stride), np.array(c.padding), one, 1, bias)


def _delay(c: Connection, path: str | Path) -> int:
    if np.ndim(c.delay):
        raise ModelError(f"{path}: {c.source} -> {c.target}: give all its synapses one delay, or several connections")
    return int(np.asarray(c.delay))


def _read(path: Path) -> tuple[dict[str, Any], list[tuple[str, str]], dict[str, Any]]:
    if not path.is_file():
        raise ModelError(f"{path}: no such file; train it or name another")
    names = {kind.__name__ for kind in _KNOWN}
    try:
        with open_hdf5(path) as file:
            kinds = {name: node["type"][()].decode() for name, node in file["node/nodes"].items()}
    except Exception as error:
        raise ModelError(f"{path}: not a whole NIR file ({_line(error)}); fetch or write it again") from None
    for name, kind in kinds.items():
        if kind not in names:
            raise ModelError(
                f"{path}: node {name} is a {kind}; rebuild the network from {', '.join(sorted(names))}"
            )
    try:
        read = nir.read(path, type_check=False)
        metadata = json.loads(str(read.metadata.get(_KEY, "{}")))
        if not isinstance(metadata, dict):
            raise TypeError("its metadata is no table")
        nodes = dict(read.nodes)
        edges = [(str(a), str(b)) for a, b in read.edges]
    except Exception as error:
        raise ModelError(f"{path}: not a NIR graph ({_line(error)}); fetch or write it again") from None
    for name in {end for edge in edges for end in edge} - set(nodes):
        raise ModelError(f"{path}: an edge names node {name}, which is missing; write the file again")
    for name, node in nodes.items():
        for key, value in (vars(node) | node.metadata).items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.isnan(value).any():
                raise ModelError(f"{path}: node {name}: {key} holds NaN; train it again")
    return nodes, edges, metadata


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:160]


def _hash(nodes: dict[str, Any], edges: list[tuple[str, str]], metadata: dict[str, Any]) -> str:
    sha = hashlib.sha256(b"perception model 1\n")
    for name in sorted(nodes):
        sha.update(f"{name} {type(nodes[name]).__name__}\n".encode())
        adaptation = {key: value for key, value in nodes[name].metadata.items() if key in (RISE, TAU, DROP, LEAK)}
        if NEURON in nodes[name].metadata:
            sha.update(f"{NEURON} {nodes[name].metadata[NEURON]}\n".encode())
        for key, value in sorted((vars(nodes[name]) | adaptation).items()):
            if isinstance(value, np.ndarray):
                sha.update(f"{key} {value.shape} {value.dtype.str}\n".encode())
                sha.update(np.ascontiguousarray(value).tobytes())
    sha.update(json.dumps(sorted(edges)).encode())
    sha.update(json.dumps({k: v for k, v in metadata.items() if k != "hash"}, sort_keys=True).encode())
    return sha.hexdigest()
