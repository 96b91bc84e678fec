# SPDX-License-Identifier: Apache-2.0
"""Bring the work of a network down while it is trained: shrink the weights that cost most, take the weakest away."""

from __future__ import annotations

import math

import numpy as np

from ..spiking.network import SpikingNetwork

#: The part of a stage in which synapses are taken away; after it what is none stays none, and the rest settle.
SHRUNK, PRUNED = (0.3, 0.7), (0.05, 0.5)
#: The part of the pruning after which its aim should be met; the remainder lowers what rises again.
PRUNED_BY = 0.8
#: Weight of the newest figure in the running averages.
NEWEST = 0.02


class Pruning:
    """What is done to a network's synapses in the stages ``learning`` and ``pruning``.

    Args:
        network: whose synapses.
        operations_per_s: synaptic operations a second that ``learning`` aims at.
        pruned_operations_per_s: the same for ``pruning``.
    """

    def __init__(self, network: SpikingNetwork, operations_per_s: float, pruned_operations_per_s: float) -> None:
        self._network = network
        self._aim, self._pruned_aim = operations_per_s, pruned_operations_per_s
        self._pressure, self._floor = 1e-3, 1.0 / network.threshold
        self._work: float | None = None
        self._unpruned: float | None = None
        self._axon_rate, self._spike_rate = np.zeros(network.n_axons), np.zeros(network.n_neurons)

    def observe(self, axon_rate: np.ndarray, spike_rate: np.ndarray) -> None:
        """Take note of spikes a second of every axon and every neuron, ``(n_axons,)`` and ``(n_neurons,)``."""
        self._axon_rate += NEWEST * (axon_rate - self._axon_rate)
        self._spike_rate += NEWEST * (spike_rate - self._spike_rate)

    def freeze(self, stage: str, n_done: int, n_updates: int) -> None:
        """Let what is no synapse never be one again, once a stage has taken away what it takes.

        Args:
            stage: name of the stage.
            n_done: its updates so far.
            n_updates: all of its updates.
        """
        ends = {"learning": SHRUNK[1], "pruning": PRUNED[1]}
        if stage in ends and n_done == int(ends[stage] * n_updates):
            self._network.freeze_synapses()

    def lessen(self, stage: str, fraction: float, operations_per_s: float, learning_rate: float) -> None:
        """Take synapses away after an update.

        Args:
            stage: name of the stage.
            fraction: of the stage that is over.
            operations_per_s: synaptic operations a second, just now.
            learning_rate: of the update.
        """
        if stage == "learning":
            self._shrink(fraction, operations_per_s, learning_rate)
        elif stage == "pruning":
            self._prune(fraction, operations_per_s)

    def _shrink(self, fraction: float, operations_per_s: float, learning_rate: float) -> None:
        """Shrink the weights that cost the most, until the network works as little as it should."""
        if not SHRUNK[0] <= fraction < SHRUNK[1]:
            return
        self._pressure *= math.exp(0.01 * np.clip(operations_per_s / self._aim - 1, -1, 1))
        pressure = learning_rate * self._pressure
        self._network.shrink(pressure * self._axon_rate, pressure * self._spike_rate)

    def _prune(self, fraction: float, operations_per_s: float) -> None:
        """Take away the weakest synapses, as many as bring the work down to what it should be by now.

        Gradual pruning by magnitude (Zhu and Gupta 2017, eq. 1: most of it early, while much can still be learnt).
        A spike costs one operation a synapse however strong, so one threshold for all takes what matters least.
        """
        aim, last = self._pruned_aim, self._work or operations_per_s
        work = self._work = last + NEWEST * (operations_per_s - last)
        if not PRUNED[0] <= fraction < PRUNED[1]:
            return
        self._unpruned = self._unpruned or work
        left = max(0.0, 1 - (fraction - PRUNED[0]) / (PRUNED_BY * (PRUNED[1] - PRUNED[0])))
        now = aim + (self._unpruned - aim) * left**3
        if work > now:
            self._floor *= 1 + min(0.01, 0.05 * (work / now - 1))
        self._network.prune(self._floor)
