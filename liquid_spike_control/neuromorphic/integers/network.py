# SPDX-License-Identifier: Apache-2.0
"""An integer spiking network in Loihi's terms: populations of neurons and what connects them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .neurons import Neurons, Population, check
from .synapses import Conv, Dense, Sparse

#: Name of the source that represents the input spikes.
INPUT = "input"
# Numbers that are hashed at once.
_PIECE = 1 << 20


@dataclass(frozen=True, eq=False)
class LoihiNetwork:
    """Populations, connections, and the populations whose spikes are the output.

    Attributes:
        n_inputs: number of input axons.
        populations: by name, in order; any of :mod:`.neurons`.
        connections: between them; a source named ``"input"`` is the input axons. The target is as many neurons,
            or as many inputs where a neuron has several (:class:`~.neurons.ResonateAndFire`).
        outputs: populations whose spikes are reported, their neurons numbered one population after the other;
            the last population if empty.

    Raises:
        ModelError: a name is unknown or shapes do not match; the message names them.
    """

    n_inputs: int
    populations: Mapping[str, Neurons]
    connections: Sequence[Dense | Sparse | Conv]
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self.n_inputs > 0, "a network needs at least one input axon")
        check(len(self.populations) > 0, "a network needs at least one population")
        check(
            INPUT not in self.populations, f'no population can be named "{INPUT}"; the name is reserved for the axons'
        )
        object.__setattr__(self, "populations", dict(self.populations))
        object.__setattr__(self, "connections", tuple(self.connections))
        object.__setattr__(self, "outputs", tuple(self.outputs) or (list(self.populations)[-1],))
        for name in self.outputs:
            check(
                name in self.populations,
                f"output {name} is no population; there are {list(self.populations)}",
            )
        for c in self.connections:
            where = f"{type(c).__name__} {c.source} -> {c.target}"
            for name in {c.source, c.target} - {INPUT}:
                check(name in self.populations, f"{where}: {name} is no population")
            check(c.target != INPUT, f"{where}: spikes cannot be sent to the input")
            n_target, n_source = c.shape
            have = self.size(c.source), self.size(c.target)
            ports = self.populations[c.target].ports
            check(
                n_source == have[0] and n_target in (have[1], ports * have[1]),
                f"{where}: it joins {n_source} to {n_target}, there are {have}",
            )

    def size(self, name: str) -> int:
        """Number of neurons of a population, or of axons for ``"input"``."""
        return self.n_inputs if name == INPUT else self.populations[name].n

    def numbered(self, names: Sequence[str]) -> np.ndarray:
        """Of some populations the places in :attr:`populations`, and their first ids if numbered one after the other.

        Returns:
            int64 ``(len(names), 2)``.
        """
        order, sizes = list(self.populations), [self.size(name) for name in names]
        return np.array([[order.index(name), sum(sizes[:i])] for i, name in enumerate(names)], np.int64)

    @property
    def n_outputs(self) -> int:
        """Number of neurons of the output populations."""
        return sum(self.size(name) for name in self.outputs)

    @property
    def n_neurons(self) -> int:
        """Number of neurons of all populations."""
        return sum(p.n for p in self.populations.values())

    @property
    def learns(self) -> bool:
        """Whether a connection is plastic."""
        return any(isinstance(c, Dense) and c.learning is not None for c in self.connections)

    @cached_property
    def hash(self) -> str:
        """Hex SHA-256 of everything that decides the spikes, independent of platform and of array layout."""
        sha = hashlib.sha256(b"liquid_spike_control LoihiNetwork 2\n")

        def put(label: str, value) -> None:
            array = np.atleast_1d(value)
            sha.update(f"{label} {array.shape}\n".encode())
            rows = max(1, _PIECE // max(array[:1].size, 1))
            for k in range(0, len(array), rows):  # of a large network a copy would fill the memory
                sha.update(np.ascontiguousarray(array[k : k + rows], "<i8").data)

        put("inputs", self.n_inputs)
        for name, p in self.populations.items():
            kind = "" if isinstance(p, Population) else f" {type(p).__name__} {p.n}"
            sha.update(f"population {name}{kind}\n".encode())
            for label in p.identity:
                value = getattr(p, label)
                if isinstance(value, str | bool):
                    sha.update(f"{label} {value}\n".encode())
                else:
                    put(label, np.broadcast_to(value, p.n))
        for c in self.connections:
            sha.update(f"{type(c).__name__} {c.source} {c.target}\n".encode())
            if isinstance(c, Conv):
                put("weight_exp", c.weight_exp)
                put("weights", c.weights)
                put("geometry", [*c.input_shape, *c.strides, *c.paddings, c.channels_first, c.delay])
                continue
            put("weight_exp", c.shift)
            put("weights", c.narrow_synapses if isinstance(c, Sparse) else c.synapses)
            put("delays", np.broadcast_to(c.delays, c.weights.shape))
            if isinstance(c, Dense) and c.learning is not None:
                sha.update(f"learning {json.dumps(c.learning.to_table(), sort_keys=True)}\n".encode())
            if isinstance(c, Sparse):
                put("targets", c.targets)
                put("sources", c.sources)
        sha.update(" ".join(self.outputs).encode())
        return sha.hexdigest()
