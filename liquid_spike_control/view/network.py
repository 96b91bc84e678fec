# SPDX-License-Identifier: Apache-2.0
"""The spiking network of a view: it runs on the same events as the robot's, which is then asked for nothing."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from ..neuromorphic.backend import BackendStats
from ..neuromorphic.emulator.loihi import LoihiEmulator
from ..neuromorphic.energy.estimate import estimate
from ..neuromorphic.integers.network import INPUT
from ..perception import Perception

#: Most neurons whose potentials are shown, and how many of the first layer are at first.
MOST_WATCHED, FIRST_WATCHED = 8, 3
#: Rates and power are means over this time of the run [ns].
MEAN_NS = 500_000_000


class NetworkView:
    """A perception whose layers are looked into; not for several threads.

    Args:
        perception, backend: with the state that they begin with.
    """

    def __init__(self, perception: Perception, backend: LoihiEmulator) -> None:
        self.perception, self._backend = perception, backend
        network = backend.network
        self.sizes = {name: network.size(name) for name in network.populations}
        self._firsts = dict(zip(self.sizes, np.cumsum([0, *self.sizes.values()]).tolist(), strict=False))
        layer, n = next(iter(self.sizes.items()))
        chosen = range(n // (2 * FIRST_WATCHED), n, max(1, n // FIRST_WATCHED))[:FIRST_WATCHED]
        self.watched: list[tuple[str, int]] = [(layer, neuron) for neuron in chosen or range(n)]
        self.clear()
        self.restart(0)

    def describe(self) -> dict[str, Any]:
        """What a page must know once: layers, and what connects them."""
        network = self._backend.network
        connections = [
            {"source": c.source, "target": c.target, "weights": int(np.count_nonzero(c.weights))}
            for c in network.connections
        ]
        return {"sizes": {INPUT: network.n_inputs, **self.sizes}, "connections": connections}

    def watch(self, layer: str, neuron: float, wanted: bool = True) -> None:
        """Show the membrane potential of a neuron, or no longer; of too many the oldest goes.

        Raises:
            ValueError: there is no such neuron; says which there are.
        """
        if layer not in self.sizes:
            raise ValueError(f"layer: '{layer}'; give one of {', '.join(self.sizes)}")
        if neuron not in range(self.sizes[layer]):
            raise ValueError(f"neuron: {neuron:g}; give 0 to {self.sizes[layer] - 1}")
        chosen = layer, int(neuron)
        others = [one for one in self.watched if one != chosen]
        self.watched = (others + [chosen] if wanted else others)[-MOST_WATCHED:]

    def restart(self, stamp_ns: int) -> None:
        """Begin an episode; what comes next is later than ``stamp_ns``."""
        self.perception.reset(stamp_ns)
        self._backend.reset()
        self._spiked = dict.fromkeys((INPUT, *self.sizes), 0)
        self._past = deque([(stamp_ns, dict(self._spiked), self._backend.stats())])

    def clear(self) -> None:
        """Forget spikes and potentials that were given to a page."""
        self.spikes: dict[str, list[np.ndarray]] = {}
        self.potentials: dict[tuple[str, int], list[np.ndarray]] = {}

    def take(self, events: np.ndarray, stamp_ns: int) -> None:
        """Run the network on the events up to a stamp [ns]."""
        train = self.perception.encode(events, stamp_ns)
        start, step_ns = stamp_ns - train.n_steps * self.perception.step_ns, self.perception.step_ns
        places = np.array([self._firsts[layer] + neuron for layer, neuron in self.watched], np.int64)
        spikes, potentials = self._backend.run_watched(train, places)
        self._spiked[INPUT] += len(train.ids)
        for name, fired in spikes.items():
            steps = np.repeat(np.arange(1, fired.n_steps + 1), np.diff(fired.indptr))
            pairs = np.stack([(start + steps * step_ns) * 1e-9, fired.ids], axis=1)
            self.spikes.setdefault(name, []).append(pairs)
            self._spiked[name] += len(fired.ids)
        times = (start + np.arange(1, train.n_steps + 1) * step_ns) * 1e-9
        for (layer, neuron), v in zip(self.watched, potentials.T, strict=True):
            part = np.stack([times, v / self._threshold(layer, neuron)], axis=1)
            self.potentials.setdefault((layer, neuron), []).append(part)
        self._past.append((stamp_ns, dict(self._spiked), self._backend.stats()))
        while len(self._past) > 2 and self._past[1][0] <= stamp_ns - MEAN_NS:
            self._past.popleft()

    def _threshold(self, layer: str, neuron: int) -> int:
        population: Any = self._backend.network.populations[layer]
        return max(1, int(np.broadcast_to(population.vth, population.n)[neuron]) << 6)

    def work(self) -> dict[str, Any]:
        """Means over the last :data:`MEAN_NS`: spikes a second of each layer, synaptic operations a second, power."""
        (since_ns, before, then), (now_ns, after, now) = self._past[0], self._past[-1]
        if now_ns <= since_ns:
            return {}
        seconds = (now_ns - since_ns) * 1e-9
        names = BackendStats.__dataclass_fields__
        stats = BackendStats(**{name: getattr(now, name) - getattr(then, name) for name in names})
        energy = estimate(stats, self.perception.step_ns * 1e-9)
        return {
            "rates": {name: (after[name] - before[name]) / seconds for name in after},
            "synaptic_operations": stats.synaptic_operations / seconds,
            "power": {"model": energy.model.name, "dynamic_w": energy.dynamic_power, "static_w": energy.static_power},
        }
