# SPDX-License-Identifier: Apache-2.0
"""Shapes of the signals of a NIR graph: ``(n,)``, ``(channels, length)`` or ``(channels, rows, columns)``.

Exporters write the shape of their Input with a batch or time in front of it, or not at all; the weights decide.
"""

from __future__ import annotations

from itertools import islice, product
from math import prod

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
#: Most elements of one signal.
MOST_ELEMENTS = 2**27
#: Shapes of several inputs that are tried together.
MOST_TRIALS = 256


def infer_shapes(file: NirFile, input_shape: Shape | None = None) -> dict[str, Shape]:
    """The shape of what every node that the input reaches sends.

    Args:
        file: nodes and edges, with one Input or several.
        input_shape: of the input, if it is known and the only one.

    Raises:
        ModelError: shapes do not meet; the message names the node.
    """
    inputs = [name for name, node in file.nodes.items() if node.kind == "Input"]
    if not inputs:
        raise ModelError("it has no Input node; add one and join it to the first layer")
    if input_shape and len(inputs) > 1:
        raise ModelError(f"it has inputs {', '.join(inputs)}, and one shape is given; write their shapes into the file")
    for name in inputs:
        if len(inputs) > 1 and all(a != name for a, _ in file.edges):
            raise ModelError(f"node {name}: an Input that feeds nothing; join it to a layer or remove it")
    error = None
    possible = [[tuple(input_shape)] if input_shape else _candidates(file, name) for name in inputs]
    for name, shapes in zip(inputs, possible, strict=True):
        if not shapes:
            raise ModelError(f"node {name}: its shape is unknown; give input_shape, e.g. (2, 128, 128)")
    for chosen in islice(product(*possible), MOST_TRIALS):
        try:
            return _propagate(file, dict(zip(inputs, chosen, strict=True)))
        except ModelError as found:
            error = error or found
    assert error is not None
    raise error


def _candidates(file: NirFile, name: str) -> list[Shape]:
    """Return the possible shapes of the input: as written, without leading dimensions, and as its targets require."""
    written = file.nodes[name].values.get("shape", ())
    shape = tuple(int(n) for n in np.ravel(written) if 0 < n <= MOST_ELEMENTS)
    found = [shape[i:] for i in range(len(shape))] if len(shape) == np.size(written) else []
    front, seen = [name], {name}
    while front:
        at = front.pop()
        for target in (b for a, b in file.edges if a == at and b not in seen):
            seen.add(target)
            node, asks = file.nodes[target], None
            if node.kind in ("Linear", "Affine"):
                asks = (node.values["weight"].shape[-1],)
            elif node.kind in ("Conv1d", "Conv2d") and "input_shape" in node.values:
                dims = node.values["weight"].ndim - 2
                channels = node.values["weight"].shape[1] * integers(target, node, "groups", 1)[0]
                asks = (channels, *integers(target, node, "input_shape", dims))
            elif node.kind in NEURONS and node.values[NEURONS[node.kind]].size > 1:
                asks = node.values[NEURONS[node.kind]].shape
            elif node.kind in (JUNCTION, "Flatten", "Scale", "Delay"):
                front.append(target)
            if asks and asks not in found:
                found.append(asks)
    return found


def _propagate(file: NirFile, shapes: dict[str, Shape]) -> dict[str, Shape]:
    front = list(shapes)
    while front:
        at = front.pop(0)
        for target in (b for a, b in file.edges if a == at):
            node = file.nodes[target]
            found = output_shape(target, node, shapes[at])
            if prod(found) > MOST_ELEMENTS:
                raise ModelError(f"node {target}: it would send {prod(found):,} values; the limit is {MOST_ELEMENTS:,}")
            if target not in shapes:
                shapes[target] = found
                front.append(target)
            elif prod(found) != prod(shapes[target]):
                raise ModelError(f"node {target}: {at} sends {found}, other nodes {shapes[target]}; they must agree")
    return shapes


def output_shape(name: str, node: Node, shape: Shape) -> Shape:
    """The shape of what a node sends when it takes a signal of the given shape.

    Raises:
        ModelError: the node cannot take it.
    """
    n, v = prod(shape), node.values
    if node.kind in ("Linear", "Affine"):
        weight = v["weight"]
        if weight.shape[1] != n:
            raise ModelError(f"node {name}: it takes {weight.shape[1]} values, it gets {n} of shape {shape}")
        return (weight.shape[0],)
    if node.kind in ("Conv1d", "Conv2d"):
        return _convolved(name, node, shape)
    if node.kind in POOLS:
        if len(shape) != 3:
            raise ModelError(f"node {name}: it needs (channels, rows, columns), not {shape}; give input_shape")
        kernel, stride, padding = pool(name, node)
        sizes = zip(shape[1:], kernel, stride, padding, strict=True)
        return (shape[0], *(_windows(name, m + 2 * p, k, s) for m, k, s, p in sizes))
    if node.kind == "Flatten":
        # Dimensions beyond the signal's are those of a batch that some exporters count.
        (end,), (first,) = (integers(name, node, key, 1, least=-8) for key in ("end_dim", "start_dim"))
        end = min(end if end >= 0 else max(end + len(shape), 0), len(shape) - 1)
        first = min(first if first >= 0 else max(first + len(shape), 0), end)
        return (*shape[:first], prod(shape[first : end + 1]), *shape[end + 1 :])
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
    if values.size == prod(shape):
        return values.reshape(shape)
    per_channel = values.shape[1:] in ((), (1,) * (len(shape) - 1))
    if len(shape) > 1 and per_channel and values.size == shape[0]:
        return np.broadcast_to(values.reshape(-1, *(1,) * (len(shape) - 1)), shape).copy()
    raise ModelError(f"node {name}: {key} has shape {values.shape}, its input {shape}; they must agree")


def integers(name: str, node: Node, key: str, dims: int, least: int = 1) -> tuple[int, ...]:
    """A parameter that is one integer, or one for each dimension.

    Raises:
        ModelError: it is something else.
    """
    values = np.ravel(node.values[key])
    fits = len(values) in (1, dims) and values.dtype.kind in "fiu" and (np.abs(values) <= MOST_ELEMENTS).all()
    if not fits or (values != np.rint(values)).any() or values.min() < least:
        raise ModelError(f"node {name}: {key} is {node.values[key]}; give {dims} integers of {least} or more")
    return tuple(int(x) for x in np.broadcast_to(values, dims))


def padded(name: str, node: Node, dims: int) -> list[tuple[int, int]]:
    """Zeros before and after every dimension; ``"same"`` puts an odd one behind, as torch does.

    Raises:
        ModelError: the padding is neither a known word nor numbers.
    """
    padding, kernel = node.values["padding"], node.values["weight"].shape[2:]
    if not isinstance(padding, str):
        return [(p, p) for p in integers(name, node, "padding", dims, least=0)]
    if padding == "valid":
        return [(0, 0)] * dims
    if padding != "same":
        raise ModelError(f'node {name}: padding {padding} is unknown; use "same", "valid" or numbers')
    if integers(name, node, "stride", dims) != (1,) * dims:
        raise ModelError(f'node {name}: padding "same" needs a stride of 1; give the padding in numbers')
    spans = [d * (k - 1) for d, k in zip(integers(name, node, "dilation", dims), kernel, strict=True)]
    return [(span // 2, span - span // 2) for span in spans]


def _convolved(name: str, node: Node, shape: Shape) -> Shape:
    v, dims = node.values, 1 if node.kind == "Conv1d" else 2
    weight = v["weight"]
    (groups,) = integers(name, node, "groups", 1)
    if len(shape) != dims + 1:
        raise ModelError(f"node {name}: a {node.kind} with weight {weight.shape} cannot take {shape}; give input_shape")
    if weight.shape[1] * groups != shape[0] or weight.shape[0] % groups:
        raise ModelError(f"node {name}: it takes {weight.shape[1] * groups} channels, it gets {shape[0]}")
    if min(weight.shape) < 1:
        raise ModelError(f"node {name}: its weight {weight.shape} is empty; train it again")
    stride, dilation = (integers(name, node, key, dims) for key in ("stride", "dilation"))
    sizes = []
    for i, (before, after) in enumerate(padded(name, node, dims)):
        span = dilation[i] * (weight.shape[2 + i] - 1) + 1
        sizes.append(_windows(name, shape[1 + i] + before + after, span, stride[i]))
    return (weight.shape[0], *sizes)


def pool(name: str, node: Node) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel, stride and padding of a pool, (rows, columns) each."""
    kernel, stride = (integers(name, node, key, 2) for key in ("kernel_size", "stride"))
    return kernel, stride, integers(name, node, "padding", 2, least=0)


def _windows(name: str, n: int, span: int, stride: int) -> int:
    if span > n:
        raise ModelError(f"node {name}: a kernel of {span} does not fit {n} elements with stride {stride}")
    return (n - span) // stride + 1
