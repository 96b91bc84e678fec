# SPDX-License-Identifier: Apache-2.0
"""Inputs of the nodes of a NIR graph: linear maps of delayed spikes of populations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from ..errors import ModelError
from .discretisation import INTEGRATORS, Discretisation
from .graph import INPUT
from .linear_maps import Map
from .nir_file import JUNCTION, NirFile, Node
from .shapes import NEURONS, Shape, expand

#: Source of what is there in every step.
CONSTANT = "constant"


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """Spikes of one source, ``delay`` steps ago, through a map.

    Attributes:
        source: a population, ``"input"``, or :data:`CONSTANT`, which sends 1 in every step.
        filtered_by: the LI that the sum of what arrives passes, if one does.
        lost: what that LI loses in a step, in the shape of its signal.
    """

    source: str
    delay: int
    map: Map
    filtered_by: str | None = None
    lost: np.ndarray | None = None


class Signals:
    """The terms that every node sends and receives.

    Args:
        file: nodes and edges.
        shapes: of what the nodes send.
        rule: how neurons step.

    Attributes:
        inputs: number of axons of each input, by its name.
    """

    def __init__(self, file: NirFile, shapes: dict[str, Shape], rule: Discretisation):
        self.file, self.shapes, self.rule = file, shapes, rule
        self.before: dict[str, list[str]] = {name: [] for name in file.nodes}
        for a, b in file.edges:
            if a in shapes:  # what the input does not reach sends nothing
                self.before[b].append(a)
        self.inputs = {m: int(np.prod(shapes[m])) for m, node in file.nodes.items() if node.kind == "Input"}
        self._sent: dict[str, list[Term]] = {}
        self._open: list[str] = []

    def received(self, name: str) -> list[Term]:
        """Return the inputs of a node, one term for every source, delay and filter."""
        merged: dict[tuple, Term] = {}
        shape = next((self.shapes[a] for a in self.before[name]), ())
        for term in (term for a in self.before[name] for term in self.sent(a)):
            term = replace(term, map=term.map.reshaped(shape))
            key = term.source, term.delay, term.filtered_by
            if key in merged:
                term = replace(term, map=merged[key].map.plus(term.map))
            merged[key] = term
        return list(merged.values())

    def sent(self, name: str) -> list[Term]:
        """Return the output of a node, as terms.

        Raises:
            ModelError: nodes feed each other without neurons between them, or a node is not linear.
        """
        if name not in self._sent:
            if name in self._open:
                circle = " -> ".join([*self._open[self._open.index(name) :], name])
                raise ModelError(f"node {name}: {circle} is a circle without neurons; put neurons into it")
            self._open.append(name)
            self._sent[name] = self._made(name, self.file.nodes[name])
            self._open.pop()
        return self._sent[name]

    def _made(self, name: str, node: Node) -> list[Term]:
        shape = self.shapes[name]
        if node.kind == "Input":
            return [Term(INPUT, 0, self._axons(name, shape))]
        if node.kind in INTEGRATORS:
            return self._filtered(name, node)
        if node.kind in NEURONS:
            return [Term(name, 0, Map(shape, shape))]
        terms = self.received(name)
        if node.kind in (JUNCTION, "Output"):
            return terms
        if node.kind == "Flatten":
            return [replace(t, map=t.map.reshaped(shape)) for t in terms]
        for t in terms:
            if t.lost is not None and (t.lost != t.lost.flat[0]).any():
                raise ModelError(
                    f"node {t.filtered_by}: its time constants differ and {name} mixes them; give it one, or put it "
                    "right in front of the neurons"
                )
        if node.kind == "Delay":
            return self._delayed(name, node, terms)
        made = [replace(t, map=t.map.then(name, node, shape)) for t in terms]
        bias = node.values.get("bias")
        if bias is not None and np.any(bias):
            made = self._with_constant(name, made, bias, shape)
        return made

    def _axons(self, name: str, shape: Shape) -> Map:
        """The axons of an input: all, or its own where there are several, numbered one input after the other."""
        if len(self.inputs) == 1:
            return Map(shape, shape)
        n, total = int(np.prod(shape)), sum(self.inputs.values())
        before = list(self.inputs)[: list(self.inputs).index(name)]
        columns = sum(self.inputs[other] for other in before) + np.arange(n)
        chosen = sparse.csr_array((np.ones(n), (np.arange(n), columns)), shape=(n, total))
        return Map((total,), shape, chosen)

    def _with_constant(self, name: str, terms: list[Term], bias: np.ndarray, shape: Shape) -> list[Term]:
        if np.size(bias) != shape[0]:
            raise ModelError(f"node {name}: it has {np.size(bias)} biases for {shape[0]} channels; give one for each")
        columns = np.repeat(np.ravel(bias), int(np.prod(shape[1:])))[:, None]
        constant = Term(CONSTANT, 0, Map((1,), shape, columns))
        for i, t in enumerate(terms):
            if (t.source, t.delay, t.filtered_by) == (CONSTANT, 0, None):
                return [*terms[:i], replace(t, map=t.map.plus(constant.map)), *terms[i + 1 :]]
        return [*terms, constant]

    def _delayed(self, name: str, node: Node, terms: list[Term]) -> list[Term]:
        made = []
        for t in terms:
            steps = self.rule.steps(name, expand(name, "delay", node.values["delay"], t.map.shape_out))
            for d in np.unique(steps):
                made.append(replace(t, delay=t.delay + int(d), map=t.map.rows(steps == d)))
        return made

    def _filtered(self, name: str, node: Node) -> list[Term]:
        """Return an LI as the terms that neurons receive: it becomes the decay of their synaptic current."""
        if node.kind != "LI":
            raise ModelError(f"node {name}: a {node.kind} can only be an output; neurons take spikes, or an LI")
        neurons = self.rule.neurons(name, node, self.shapes[name])
        made = []
        for t in self.received(name):
            if t.filtered_by:
                raise ModelError(f"node {name}: its input has passed {t.filtered_by}, an LI; put neurons between them")
            made.append(replace(t, map=t.map.scaled(neurons.gain)))
        if np.any(neurons.bias):
            shape = self.shapes[name]
            constant = Term(CONSTANT, 0, Map((1,), shape, neurons.bias.reshape(-1, 1)))
            made.append(constant)
        # An LI with gain g loses dv of its voltage: as the current of a neuron does.
        later = self.rule.preset.filter_delay
        return [replace(t, delay=t.delay + later, filtered_by=name, lost=neurons.dv) for t in made]
