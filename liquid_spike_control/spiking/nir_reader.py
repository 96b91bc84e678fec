# SPDX-License-Identifier: Apache-2.0
"""From the nodes and edges of a NIR file to a :class:`~.graph.SpikingGraph` and a readout; the rules are in
:mod:`.nir_io`.
"""

from __future__ import annotations

import json
from typing import Any

import nir
import numpy as np

from ..errors import ModelError
from .graph import INPUT, Correlation, CubaPopulation, Linear, SpikingGraph
from .readout import Readout

WEIGHTS = (nir.Linear, nir.Affine, nir.Conv2d)
NEURONS = (nir.CubaLIF, nir.LIF)
#: Metadata of neurons whose threshold adapts, see :mod:`.nir_io`.
RISE, TAU = "adaptation_rise", "adaptation_tau"
#: Metadata of neurons that differ from NIR's in more: a table of :data:`FIELDS` as JSON, and arrays in place of what a
#: subtracting reset takes off, and of the voltage lost in a step, where that is 0 and has no time constant.
NEURON, DROP, LEAK = "neuron", "reset_drop", "membrane_decay"
#: Fields of a population in :data:`NEURON`, with their types.
FIELDS: dict[str, type] = {
    "inclusive": bool, "reset": str, "refractory": int, "start": int, "most_spikes": int, "lowest": float,
}  # fmt: skip

_RESETS = ("zero", "subtract")


def _snap(x: np.ndarray, grid: float) -> np.ndarray:
    """``x`` moved to multiples of ``1 / grid`` where it is within 1e-9 of one, relatively."""
    near = np.rint(x * grid) / grid
    return np.where((near > 0) & (np.abs(x - near) <= 1e-9 * near), near, x)


class Reader:
    """One pass over the nodes of a file, in the order of the populations."""

    def __init__(self, nodes: dict[str, Any], edges: list[tuple[str, str]], dt: float, rule: str):
        self.nodes, self.dt, self.rule = nodes, dt, rule
        self.before = {name: [a for a, b in edges if b == name] for name in nodes}
        self.after = {name: [b for a, b in edges if a == name] for name in nodes}
        self.shapes: dict[str, tuple[int, int, int] | None] = {}  # (C, H, W) of populations that are images
        inputs = [name for name, node in nodes.items() if isinstance(node, nir.Input)]
        if len(inputs) != 1:
            raise ModelError(f"it has {len(inputs)} Input nodes; one is needed")
        self.input = inputs[0]
        shape = tuple(int(n) for n in np.ravel(nodes[self.input].input_type["input"]))
        self.n_inputs = int(np.prod(shape))
        self.shapes[INPUT] = (shape[0], shape[1], shape[2]) if len(shape) == 3 else None

    def graph(self) -> SpikingGraph:
        """The spiking part, with gains and leaks folded into weights and biases."""
        populations: dict[str, CubaPopulation] = {}
        connections: list[Linear | Correlation] = []
        order = self._populations()
        for name in order:
            incoming = [self._connection(w, name) for w in self._weights_before(name)]
            images = {c.output_shape for c in incoming if isinstance(c, Correlation)}
            n = {
                int(np.prod(c.output_shape)) if isinstance(c, Correlation) else len(c.weight)
                for c in incoming
            }
            if len(n) != 1 or len(images) > 1:
                raise ModelError(f"node {name}: its inputs have {sorted(n)} neurons; they must agree")
            self.shapes[name] = images.pop() if images else None
            populations[name], gain = self._population(name, n.pop())
            connections += [self._scaled(c, gain) for c in incoming]
        feeding = {self._source(w) for w in self._weights_before(self._integrator())}
        outputs = tuple(name for name in order if name in feeding)
        return SpikingGraph(self.n_inputs, populations, connections, outputs)

    def _populations(self) -> list[str]:
        """Spiking nodes, breadth first from the input."""
        order: list[str] = []
        seen, front = {self.input}, [self.input]
        while front:
            front = [b for a in front for b in self.after[a] if b not in seen]
            front = list(dict.fromkeys(front))
            seen.update(front)
            order += [name for name in front if isinstance(self.nodes[name], NEURONS)]
        apart = sorted(
            name for name, node in self.nodes.items() if isinstance(node, NEURONS) and name not in order
        )
        if apart or not order:
            raise ModelError(
                f"node {(apart or [self.input])[0]}: no path joins input and neurons; add the edge"
            )
        return order

    def _weights_before(self, name: str) -> list[str]:
        for w in self.before[name]:
            if not isinstance(self.nodes[w], WEIGHTS):
                raise ModelError(f"node {name}: {w} reaches it without weights; put a Linear between them")
        if not self.before[name]:
            raise ModelError(f"node {name}: nothing reaches it; add an edge or remove it")
        return self.before[name]

    def _source(self, weight: str) -> str:
        """The population, or the input, whose spikes a weight node takes; Flatten and Delay are passed over."""
        return self._path(weight)[0]

    def _path(self, weight: str) -> tuple[str, int]:
        """The source of a weight node, and the delay between them [steps]."""
        at, delay = weight, 0
        while True:
            before = self.before[at]
            if len(before) != 1:
                raise ModelError(f"node {at}: {len(before)} nodes reach it; give it one source")
            at = before[0]
            if at == self.input:
                return INPUT, delay
            if isinstance(self.nodes[at], NEURONS):
                return at, delay
            if isinstance(self.nodes[at], nir.Delay):
                delay += self._steps(at)
                continue
            if not isinstance(self.nodes[at], nir.Flatten):
                raise ModelError(f"node {weight}: its source {at} does not spike; put neurons between them")

    def _steps(self, name: str) -> int:
        """A delay in whole steps."""
        delays = np.ravel(np.asarray(self.nodes[name].delay, float)) / self.dt
        if delays.size < 1 or not (delays == delays[0]).all() or not np.isfinite(delays[0]):
            raise ModelError(f"node {name}: its delays differ; give each connection one")
        if abs(delays[0] - round(delays[0])) > 1e-6 or delays[0] < 0:
            raise ModelError(f"node {name}: a delay of {delays[0]:g} steps of {self.dt} s; give whole steps")
        return round(delays[0])

    def _connection(self, name: str, target: str) -> Linear | Correlation:
        node = self.nodes[name]
        source, delay = self._path(name)
        bias = getattr(node, "bias", None)
        if bias is not None and np.any(bias):
            raise ModelError(
                f"node {name}: its bias would flow into the current; give v_leak of {target} instead"
            )
        if not isinstance(node, nir.Conv2d):
            return Linear(source, target, self._columns(name, np.asarray(node.weight, float), source), delay)
        shape = self.shapes.get(source)
        if shape is None and getattr(node, "input_shape", None) is not None and source == INPUT:
            shape = (node.weight.shape[1], *(int(n) for n in np.ravel(node.input_shape)))
            self.shapes[INPUT] = shape
        if shape is None:
            raise ModelError(
                f"node {name}: the image shape of its source is unknown; give Input the shape (C, H, W)"
            )
        if np.any(np.asarray(node.dilation) != 1) or np.any(np.asarray(node.groups) != 1):
            raise ModelError(f"node {name}: dilation and groups are not supported; set both to 1")
        if isinstance(node.padding, str):
            raise ModelError(f"node {name}: padding {node.padding!r} is not supported; give it in pixels")
        sy, sx, py, px = (int(n) for x in (node.stride, node.padding) for n in np.broadcast_to(x, 2))
        weight = np.asarray(node.weight, float)
        if weight.shape[1] != shape[0]:
            raise ModelError(f"node {name}: it takes {weight.shape[1]} channels, {source} has {shape[0]}")
        return Correlation(source, target, weight, shape, (sy, sx), (py, px), source == INPUT, delay)

    def _columns(self, name: str, weight: np.ndarray, source: str) -> np.ndarray:
        """Columns of a Linear in the order of our neurons; NIR flattens images with the channels first."""
        shape = self.shapes.get(source)
        n = self.n_inputs if source == INPUT else None
        if weight.ndim != 2 or (n is not None and weight.shape[1] != n):
            raise ModelError(f"node {name}: weight of shape {weight.shape} does not fit {n} axons")
        if source == INPUT or shape is None:
            return weight
        if weight.shape[1] != np.prod(shape):
            raise ModelError(
                f"node {name}: it takes {weight.shape[1]} neurons, {source} has {int(np.prod(shape))}"
            )
        return weight.reshape(-1, *shape).transpose(0, 2, 3, 1).reshape(len(weight), -1)

    def _population(self, name: str, n: int) -> tuple[CubaPopulation, np.ndarray]:
        """Return the population, and the factor of the weights into each of its neurons."""
        node = self.nodes[name]

        def value(key: str) -> np.ndarray:
            x = np.asarray(node.metadata[key] if key in (RISE, TAU, DROP, LEAK) else getattr(node, key), float)
            if x.ndim == 3 and self.shapes.get(name) == x.shape:
                x = x.transpose(1, 2, 0).ravel()
            elif x.ndim == 3 and self.shapes.get(name) and x.shape[1:] == (1, 1):
                x = np.tile(x.ravel(), n // len(x.ravel()))
            if x.size not in (1, n):
                raise ModelError(f"node {name}: {key} has shape {x.shape}; its inputs give {n} neurons")
            return np.broadcast_to(x.ravel(), n).copy()

        reset = node.metadata.get("reset", node.metadata.get("reset_mechanism", "zero"))
        if str(reset) not in ("zero", "hard"):
            raise ModelError(f"node {name}: reset {reset} is not Loihi's; train it with a hard reset to 0")
        if np.any(value("v_reset")):
            raise ModelError(
                f"node {name}: v_reset is not 0; shift thresholds and leak, and train with reset to 0"
            )
        if isinstance(node, nir.CubaLIF):
            du, w_in = self._decay(name, value("tau_syn")), value("w_in")
            dv = self._decay(name, value("tau_mem"))
        else:
            du, w_in = np.ones(n), np.ones(n)
            dv = self._decay(name, value("tau"))
        # Products in this order are exactly 1 or near it for what write_perception_model wrote.
        gain = _snap(_snap(dv * value("r"), 1) * _snap(du * w_in, 1), 1)
        rise = dh = None
        if RISE in node.metadata or TAU in node.metadata:
            if RISE not in node.metadata or TAU not in node.metadata:
                raise ModelError(f"node {name}: {RISE} and {TAU} belong together; write the file again")
            rise, dh = value(RISE), self._decay(name, value(TAU))
        bias = dv * value("v_leak")
        more = self._more(name, node.metadata)
        if DROP in node.metadata:
            more["drop"] = value(DROP)
        if LEAK in node.metadata:
            dv = value(LEAK)
        try:
            return CubaPopulation(du, dv, value("v_threshold"), bias, rise=rise, dh=dh, **more), gain
        except ModelError as error:
            raise ModelError(f"node {name}: {error}") from None

    @staticmethod
    def _more(name: str, metadata: dict[str, Any]) -> dict[str, Any]:
        """Fields of a population that NIR does not have."""
        if NEURON not in metadata:
            return {}
        try:
            found = json.loads(str(metadata[NEURON]))
            sound = all(type(found[key]) is FIELDS[key] for key in found) and found.get("reset", "zero") in _RESETS
        except (ValueError, TypeError, KeyError):
            sound = False
        if not sound:
            raise ModelError(f"node {name}: {NEURON}: not a table of {', '.join(FIELDS)}; write the file again")
        return found

    def _decay(self, name: str, tau: np.ndarray) -> np.ndarray:
        if tau.min() <= 0:
            raise ModelError(f"node {name}: a time constant is not positive; train it again")
        return _snap(self.dt / tau if self.rule == "euler" else -np.expm1(-self.dt / tau), 4096)

    @staticmethod
    def _scaled(c: Linear | Correlation, gain: np.ndarray) -> Linear | Correlation:
        if (gain == 1).all():
            return c
        if isinstance(c, Linear):
            return Linear(c.source, c.target, c.weight * gain[:, None], c.delay)
        channels = gain.reshape(-1, len(c.weight))
        if not (channels == channels[:1]).all():
            raise ModelError(
                f"node {c.target}: r or w_in differ inside a channel; make them alike for a convolution"
            )
        weight = c.weight * channels[0][:, None, None, None]
        return Correlation(
            c.source, c.target, weight, c.input_shape, c.stride, c.padding, c.channels_first, c.delay
        )

    def _integrator(self) -> str:
        names = [name for name, node in self.nodes.items() if isinstance(node, nir.LI)]
        if len(names) != 1:
            raise ModelError(
                f"it has {len(names)} LI nodes; a readout needs one: Linear -> LI -> Linear -> Output"
            )
        return names[0]

    def readout(self, graph: SpikingGraph) -> Readout:
        """The readout behind ``graph.outputs``."""
        name = self._integrator()
        node = self.nodes[name]
        parts = {}
        for w in self._weights_before(name):
            linear, source = self.nodes[w], self._source(w)
            if isinstance(linear, nir.Conv2d) or np.any(getattr(linear, "bias", 0)) or source in parts:
                raise ModelError(f"node {w}: a readout takes one Linear without bias from each population")
            parts[source] = self._columns(w, np.asarray(linear.weight, float), source)
        if set(parts) != set(graph.outputs) or any(parts[m].shape[1] != graph.size(m) for m in parts):
            raise ModelError(f"node {name}: the weights before it do not fit {list(graph.outputs)}")
        if len({len(part) for part in parts.values()}) != 1:
            raise ModelError(f"node {name}: the weights before it differ in size; give each as many rows")
        weight = np.hstack([parts[m] for m in graph.outputs])
        after = [b for b in self.after[name] if isinstance(self.nodes[b], nir.Linear | nir.Affine)]
        if len(after) != 1 or not any(isinstance(self.nodes[b], nir.Output) for b in self.after[after[0]]):
            raise ModelError(f"node {name}: a readout ends in Linear -> Output; add them")
        mix = self.nodes[after[0]]
        n = len(weight)
        try:
            tau, r, leak = (
                np.broadcast_to(np.ravel(x), n).astype(float) for x in (node.tau, node.r, node.v_leak)
            )
        except ValueError:
            raise ModelError(f"node {name}: it has {np.size(node.tau)} units, the weights give {n}") from None
        if np.any(leak):
            raise ModelError(f"node {name}: v_leak is not 0; put the offset into the Affine behind it")
        decay = self._decay(name, tau)
        gain = _snap(decay * r, 1)
        return Readout(gain[:, None] * weight, decay, mix.weight, getattr(mix, "bias", 0.0))
