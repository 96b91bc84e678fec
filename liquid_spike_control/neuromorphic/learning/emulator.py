# SPDX-License-Identifier: Apache-2.0
"""An emulator whose plastic connections learn while it runs.

>>> rule = LearningRule(
...     "2^-2*x1*y0 - 2^-2*y1*x0", x1=Trace(16, 10), y1=Trace(16, 10), name="pairs"
... )
>>> network = LoihiNetwork(
...     n_inputs=1,
...     populations={"neuron": Population(1, du=4095, dv=4095, vth=20)},
...     connections=[Dense("input", "neuron", [[100]], learning=rule)],
... )
>>> emulator = PlasticEmulator(network)
>>> _ = emulator.run(SpikeTrain.from_steps([[0], [], [], []]))  # spikes in step 0, is answered in step 1
>>> emulator.plastic[0].weights  # 100 + 16 exp(-1/10) / 4, less nothing; the fraction is rounded at random
array([[104]])
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ...errors import LearningRuleError
from ...types import SpikeTrain
from ..emulator import delivery as d
from ..emulator import kernels
from ..emulator.block_schedule import P_SPIKES, P_START
from ..emulator.loihi import LoihiEmulator
from ..emulator.membrane import V
from ..integers.network import INPUT, LoihiNetwork
from ..integers.neurons import Population
from ..integers.synapses import Dense
from .engine import advance_and_learn
from .plastic import PlasticSynapses
from .rule import LearningRule, Trace

__all__ = ["Dense", "LearningRule", "LoihiNetwork", "PlasticEmulator", "Population", "SpikeTrain", "Trace"]


class PlasticEmulator(LoihiEmulator):
    """A :class:`~..loihi.LoihiEmulator` of a network with plastic connections, in one thread.

    The same network, seed and input give the same bytes, in whatever pieces it is run. A plastic synapse counts among
    the synaptic operations whatever its weight is.

    Args:
        network: of CUBA-LIF neurons; ``Dense(..., learning=rule)`` makes a connection plastic.

    Attributes:
        plastic: the synapses of the plastic connections, in the order of the network.
    """

    _learns = True

    def __init__(self, network: LoihiNetwork):
        self.plastic: tuple[PlasticSynapses, ...] = ()
        self._learning = True
        super().__init__(network, threads=1)
        names = [INPUT, *network.populations]
        self.plastic = tuple(
            self._synapses(number, c, self._layout.connections[row], names)
            for number, (c, row) in enumerate(zip(_plastic(network), self._layout.plastic, strict=True))
        )
        self._changing = (*self._changing, *(array for synapses in self.plastic for array in synapses.changing))

    def _synapses(self, number: int, c: Dense, row: np.ndarray, names: list[str]) -> PlasticSynapses:
        assert c.learning is not None
        for axon, _ in c.learning.reward_axons or ():
            if axon >= self.n_inputs:
                remedy = f"the network has inputs 0 .. {self.n_inputs - 1}"
                raise LearningRuleError(f"{c.learning.name}: reward_axons: {axon}; {remedy}")
        n_target, n_source = c.shape
        delayed = row[d.C_KIND] == d.DELAYED
        length = n_target if delayed else int(row[d.C_ROW])
        start = int(row[d.C_WEIGHTS])
        weights = self._layout.weights[start : start + n_source * length].reshape(n_source, length)[:, :n_target]
        pairs, first = None, -1
        if delayed:
            first = int(row[d.C_ROW])
            pairs = self._layout.index[first : first + 2 * c.weights.size].reshape(-1, 2)
        place = names.index(c.source) - 1, names.index(c.target) - 1, start, length, first
        return PlasticSynapses(c.learning, c.shape, weights, np.asarray(c.delays), place, pairs, number, c.target)

    @property
    def learning(self) -> bool:
        """Whether it learns. Off, the weights stay and traces are cleared; the step costs nothing more."""
        return self._learning

    @learning.setter
    def learning(self, on: bool) -> None:
        self._learning = bool(on)
        if not on:
            for synapses in self.plastic:
                synapses.forget()

    def reset(self) -> None:
        """To the initial state, weights included."""
        super().reset()
        for synapses in self.plastic:
            synapses.reset()

    def rest(self) -> None:
        """Zero currents, voltages, traces and counts; weights, delays and tags stay as they were learnt."""
        super().reset()
        for synapses in self.plastic:
            synapses.forget()

    @property
    def state(self) -> tuple[np.ndarray, ...]:
        """Copies of all that the next step depends on, learnt numbers included; assign it to restore."""
        return tuple(array.copy() for array in self._changing)

    @state.setter
    def state(self, state: tuple[np.ndarray, ...]) -> None:
        for array, value in zip(self._changing, state, strict=True):
            array[:] = value
        for synapses in self.plastic:
            synapses.settle()

    def learnt(self) -> LoihiNetwork:
        """The network with the weights and delays as they are now; its hash is that of what was learnt.

        Tags and traces are part of :attr:`state` only.
        """
        learnt = iter(self.plastic)
        connections = []
        for c in self.network.connections:
            if isinstance(c, Dense) and c.learning is not None:
                synapses = next(learnt)
                delays = synapses.delays if np.ndim(c.delays) or c.learning.dd is not None else c.delays
                c = dataclasses.replace(c, weights=synapses.weights, delays=delays)
            connections.append(c)
        return dataclasses.replace(self.network, connections=connections)

    def _call(self, outputs, indptr, ids, out_indptr, out_ids) -> None:
        if not self._learning:
            super()._call(outputs, indptr, ids, out_indptr, out_ids)
            return
        mine = ids[indptr[0] : indptr[-1]]
        if len(mine) and (mine.min() < 0 or mine.max() >= self.n_inputs):
            raise ValueError(f"input spikes must have indices in 0 .. {self.n_inputs - 1}")
        until = int(self._counters[kernels.N_STEPS]) + len(indptr) - 1
        tables = np.stack([synapses.table(until) for synapses in self.plastic])
        if not any(synapses.rule.surrogate or synapses.rule.reward_axons for synapses in self.plastic):
            advance_and_learn(self._memory, tables, outputs, indptr, ids, self.n_inputs, out_indptr, out_ids)
            return
        out_indptr[0] = end = 0
        one = np.zeros(2, np.int64)
        for k in range(len(indptr) - 1):
            for synapses in self.plastic:
                synapses.take_rewards(ids[indptr[k] : indptr[k + 1]])
            advance_and_learn(self._memory, tables, outputs, indptr[k : k + 2], ids, self.n_inputs, one, out_ids[end:])
            out_indptr[k + 1] = end = end + int(one[1])
            kernels.settle(self._memory)
            for synapses in self.plastic:
                if synapses.rule.surrogate:
                    synapses.approach(self._nearness(synapses.target))

    def _nearness(self, target: str) -> np.ndarray:
        """Pseudo-derivatives of a population after a step, 0 .. 1; a spike has reset the voltage, and counts as 1."""
        k, p = list(self.network.populations).index(target), self.network.populations[target]
        assert isinstance(p, Population)  # no other neurons learn
        start, first = (int(self._layout.populations[k, column]) for column in (P_START, P_SPIKES))
        threshold = np.maximum(np.broadcast_to(p.vth, p.n) << 6, 1)
        nearness = np.maximum(0.0, 1 - np.abs(self._state[V, start : start + p.n] - threshold) / threshold)
        n_spikes = int(self._arrays[kernels.COUNTS][k])
        nearness[self._arrays[kernels.SPIKES][first : first + n_spikes]] = 1.0
        return nearness


def _plastic(network: LoihiNetwork) -> list[Dense]:
    return [c for c in network.connections if isinstance(c, Dense) and c.learning is not None]


