# SPDX-License-Identifier: Apache-2.0
"""Shapes of the signals of a NIR graph: ``(n,)``, ``(channels, length)`` or ``(channels, rows, columns)``.

Exporters write the shape of their Input with a batch or time in front of it, or not at all; the weights decide.
"""

from __future__ import annotations

import numpy as np

from ..errors import ModelError
from .nir_file import JUNCTION, NirFile, Node

Shape = tuple[int, ...]

#: Kinds of node that hold neurons, and by which parameter their number is known.
NEURONS = {
    "CubaLI": "tau_mem",
    "CubaLIF": "v_threshold",
    "I": "r",
    "IF": "v_threshold",
    "LI": "tau",
    "LIF": "v_threshold",
    "Threshold": "threshold",
}
POOLS = ("SumPool2d", "AvgPool2d")


def infer_shapes(file: NirFile, input_shape: Shape | None = None) -> dict[str, Shape]:
    """The shape of what every node that the input reaches sends.

    Args:
        file: nodes and edges, with one Input.
        input_shape: of the input, if it is known.

    Raises:
        ModelError: shapes do not meet; the message names the node.
    """
    inputs = [name for name, node in file.nodes.items() if node.kind == "Input"]
    if len(inputs) != 1:
        raise ModelError(f"it has {len(inputs)} Input nodes; one is needed: join them")
    error = None
    for shape in [tuple(input_shape)] if input_shape else _candidates(file, inputs[0]):
        try:
            return _propagate(file, inputs[0], shape)
        except ModelError as found:
            error = error or found
    raise error or ModelError(f"node {inputs[0]}: its shape is unknown; give input_shape, e.g. (2, 128, 128)")


def _candidates(file: NirFile, name: str) -> list[Shape]:
    """What the input may be: its shape as written, without leading dimensions, and what its targets ask for."""
    written = file.nodes[name].values.get("shape", ())
    shape = tuple(int(n) for n in np.ravel(written))
    found = [shape[i:] for i in range(len(shape))] if shape and min(shape) > 0 else []
    front, seen = [name], {name}
    while front:
        at = front.pop()
        for target in (b for a, b in file.edges if a == at and b not in seen):
            seen.add(target)
            node, asks = file.nodes[target], None
            if node.kind in ("Linear", "Affine"):
                asks = (node.values["weight"].shape[-1],)
            elif node.kind in ("Conv1d", "Conv2d") and "input_shape" in node.values:
                channels = node.values["weight"].shape[1] * int(node.values["groups"])
                asks = (channels, *(int(n) for n in np.ravel(node.values["input_shape"])))
            elif node.kind in NEURONS and node.values[NEURONS[node.kind]].size > 1:
                asks = node.values[NEURONS[node.kind]].shape
            elif node.kind in (JUNCTION, "Flatten", "Scale", "Delay"):
                front.append(target)
            if asks and asks not in found:
                found.append(asks)
    return found


def _propagate(file: NirFile, start: str, shape: Shape) -> dict[str, Shape]:
    shapes = {start: shape}
    front = [start]
    while front:
        at = front.pop(0)
        for target in (b for a, b in file.edges if a == at):
            node = file.nodes[target]
            found = output_shape(target, node, shapes[at])
            if target not in shapes:
                shapes[target] = found
                front.append(target)
            elif int(np.prod(found)) != int(np.prod(shapes[target])):
                raise ModelError(f"node {target}: {at} sends {found}, other nodes {shapes[target]}; they must agree")
    return shapes


def output_shape(name: str, node: Node, shape: Shape) -> Shape:
    """The shape of what a node sends when it takes a signal of the given shape.

    Raises:
        ModelError: the node cannot take it.
    """
    n, v = int(np.prod(shape)), node.values
    if node.kind in ("Linear", "Affine"):
        weight = v["weight"]
        if weight.ndim != 2:
            raise ModelError(f"node {name}: its weight has {weight.ndim} dimensions; two are needed")
        if weight.shape[1] != n:
            raise ModelError(f"node {name}: it takes {weight.shape[1]} values, it gets {n} of shape {shape}")
        return (weight.shape[0],)
    if node.kind in ("Conv1d", "Conv2d"):
        return _convolved(name, node, shape)
    if node.kind in POOLS:
        if len(shape) != 3:
            raise ModelError(f"node {name}: it needs (channels, rows, columns), not {shape}; give input_shape")
        sizes = zip(shape[1:], *(pair(v[key]) for key in ("kernel_size", "stride", "padding")), strict=True)
        return (shape[0], *(_windows(name, m + 2 * p, k, s) for m, k, s, p in sizes))
    if node.kind == "Flatten":
        end = int(v["end_dim"]) % len(shape)
        first = min(int(v["start_dim"]) % len(shape) if v["start_dim"] < 0 else int(v["start_dim"]), end)
        return (*shape[:first], int(np.prod(shape[first : end + 1])), *shape[end + 1 :])
    if node.kind in NEURONS:
        expand(name, NEURONS[node.kind], v[NEURONS[node.kind]], shape)
    return shape


def expand(name: str, key: str, values: np.ndarray, shape: Shape) -> np.ndarray:
    """Values for one, every channel or all of a signal's elements, as float64 ``shape``.

    Raises:
        ModelError: there are neither one, nor as many as channels or elements.
    """
    values = np.asarray(values, float)
    if values.size == 1:
        return np.full(shape, values.item())
    if values.size == int(np.prod(shape)):
        return values.reshape(shape)
    per_channel = values.shape[1:] in ((), (1,) * (len(shape) - 1))
    if len(shape) > 1 and per_channel and values.size == shape[0]:
        return np.broadcast_to(values.reshape(-1, *(1,) * (len(shape) - 1)), shape).copy()
    raise ModelError(f"node {name}: {key} has shape {values.shape}, its input {shape}; they must agree")


def pair(value: np.ndarray) -> tuple[int, int]:
    """A number, or two of them, as (rows, columns)."""
    rows, columns = np.broadcast_to(np.ravel(value), 2)
    return int(rows), int(columns)


def padded(node: Node, dims: int) -> list[tuple[int, int]]:
    """Zeros before and after every dimension; ``"same"`` puts an odd one behind, as torch does."""
    padding, kernel = node.values["padding"], node.values["weight"].shape[2:]
    if not isinstance(padding, str):
        return [(int(p), int(p)) for p in np.broadcast_to(np.ravel(padding), dims)]
    if padding == "valid":
        return [(0, 0)] * dims
    dilation = np.broadcast_to(np.ravel(node.values["dilation"]), dims)
    spans = [int(d) * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return [(span // 2, span - span // 2) for span in spans]


def _convolved(name: str, node: Node, shape: Shape) -> Shape:
    v, dims = node.values, 1 if node.kind == "Conv1d" else 2
    weight, groups = v["weight"], int(v["groups"])
    if weight.ndim != dims + 2 or len(shape) != dims + 1:
        raise ModelError(f"node {name}: a {node.kind} with weight {weight.shape} cannot take {shape}; give input_shape")
    if weight.shape[1] * groups != shape[0] or weight.shape[0] % groups:
        raise ModelError(f"node {name}: it takes {weight.shape[1] * groups} channels, it gets {shape[0]}")
    if isinstance(v["padding"], str) and v["padding"] not in ("same", "valid"):
        raise ModelError(f'node {name}: padding {v["padding"]} is unknown; use "same", "valid" or numbers')
    stride, dilation = (np.broadcast_to(np.ravel(v[key]), dims) for key in ("stride", "dilation"))
    sizes = []
    for i, (before, after) in enumerate(padded(node, dims)):
        span = int(dilation[i]) * (weight.shape[2 + i] - 1) + 1
        sizes.append(_windows(name, shape[1 + i] + before + after, span, int(stride[i])))
    return (weight.shape[0], *sizes)


def _windows(name: str, n: int, span: int, stride: int) -> int:
    if span > n or stride < 1:
        raise ModelError(f"node {name}: a kernel of {span} does not fit {n} elements with stride {stride}")
    return (n - span) // stride + 1
