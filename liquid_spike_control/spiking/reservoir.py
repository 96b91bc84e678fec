# SPDX-License-Identifier: Apache-2.0
"""A reservoir of spiking neurons, a liquid state machine: random, recurrent, its own weights not trained.

Excitatory and inhibitory neurons are two populations; what leaves a neuron has one sign (Dale's law). The gain of the
recurrence is the spectral radius of ``G = W / (du vth)``: a spike of weight w adds ``w / du`` to the voltage in all, so
G is the slope of a neuron's rate over the rates of its sources where leaks and resets count for little. All recurrent
weights are scaled such that it is what was asked for; above 1 activity may sustain itself.

The graph is one like any other (:mod:`.graph`): it is written as NIR, quantised, mapped to cores and run by any
backend. Its weights are multiples of one unit, so that floats and integers have the same ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from ..errors import ModelError
from .graph import INPUT, CubaPopulation, Linear, SpikingGraph
from .loihi_limits import MOST_DELAY
from .topology import TOPOLOGIES, Wires, wires

#: Of a controller that is one.
NAME = "reservoir"
#: Names of the two populations, both of which are the output.
EXCITATORY, INHIBITORY = "excitatory", "inhibitory"
#: Beyond as many neurons the largest eigenvalue is sought by itself.
_DENSE = 500
#: Most neurons: synapses are drawn from a matrix of all pairs.
MOST_NEURONS = 8192


@dataclass(frozen=True)
class ReservoirDescription:
    """What a reservoir is drawn from. Checked when made.

    Attributes:
        n_neurons: of both kinds.
        topology: one of :data:`~.topology.TOPOLOGIES`.
        gain: spectral radius of the recurrent gain, see above; 0 leaves the neurons unconnected.
        inhibitory: part of the neurons that are.
        inhibition: weight of an inhibitory synapse, relative to an excitatory one.
        spread: standard deviation of the weights' magnitudes over their mean, which are gamma distributed.
        degree, reach, rewired: of the topology, see :func:`~.topology.wires`.
        longest_delay: delays of recurrent synapses are a third, two thirds and all of it [extra steps]: few enough for
            the axons and the synapse formats of a Loihi core.
        longest_input_delay: each neuron gets the input without delay, by half or by all of this [extra steps].
        fan_in: axons that reach a neuron.
        input_gain: what spikes of all its axons at once add to a neuron's voltage in all, in thresholds.
        synaptic_taus, membrane_taus: of which each neuron has one, at random [steps].
        seed: decides everything that is random.

    Raises:
        ModelError: a number is out of its range; names it.
    """

    n_neurons: int = 400
    topology: str = "distance"
    gain: float = 1.0
    inhibitory: float = 0.2
    inhibition: float = 4.0
    spread: float = 0.7
    degree: int = 20
    reach: float = 2.0
    rewired: float = 0.1
    longest_delay: int = 60
    longest_input_delay: int = 60
    fan_in: int = 2
    input_gain: float = 1.0
    synaptic_taus: tuple[float, ...] = (1.0, 2.0, 4.0)
    membrane_taus: tuple[float, ...] = (4.0, 8.0, 16.0)
    seed: int = 1

    def __post_init__(self) -> None:
        def check(name: str, least: float, most: float, whole: bool = False) -> None:
            value = getattr(self, name)
            number = isinstance(value, int | np.integer if whole else int | float | np.number)
            if isinstance(value, bool) or not number or not math.isfinite(value) or not least <= value <= most:
                kind = "a whole number" if whole else "a number"
                raise ModelError(f"reservoir: {name} {value!r}; give {kind} from {least:g} to {most:g}")

        check("n_neurons", 2, MOST_NEURONS, whole=True)
        if self.topology not in TOPOLOGIES:
            raise ModelError(f"reservoir: topology {self.topology!r}; give one of {', '.join(TOPOLOGIES)}")
        check("gain", 0.0, 100.0)
        check("inhibitory", 0.0, 0.9)
        for name, most in (("inhibition", 100.0), ("spread", 2.0), ("reach", 100.0), ("input_gain", 1000.0)):
            check(name, 1e-3, most)
        check("rewired", 0.0, 1.0)
        check("degree", 1, MOST_NEURONS, whole=True)
        check("longest_delay", 0, MOST_DELAY, whole=True)
        check("longest_input_delay", 0, MOST_DELAY, whole=True)
        check("fan_in", 1, MOST_NEURONS, whole=True)
        check("seed", 0, 2**63, whole=True)
        for name in ("synaptic_taus", "membrane_taus"):
            taus = tuple(getattr(self, name))
            if not taus or not all(1 <= tau <= 4096 for tau in taus):
                raise ModelError(f"reservoir: {name} {taus}; give time constants from 1 to 4096 steps")
            object.__setattr__(self, name, taus)


def reservoir_graph(description: ReservoirDescription, n_inputs: int) -> SpikingGraph:
    """Draw a reservoir; the same description gives the same one.

    Args:
        description: see :class:`ReservoirDescription`.
        n_inputs: number of input axons.

    Raises:
        ModelError: there are no axons, or no synapse.
    """
    if n_inputs < 1:
        raise ModelError(f"reservoir: {n_inputs} input axons; give at least one")
    d, rng = description, np.random.default_rng(description.seed)
    n = d.n_neurons
    inhibitory = _inhibitory(d, rng)
    # On the 12-bit grid of the chip's decays, so that floats and integers decay alike.
    du, dv = (np.rint(4096 / rng.choice(taus, n)) / 4096 for taus in (d.synaptic_taus, d.membrane_taus))
    recurrent, magnitude = _recurrent(d, inhibitory, du, rng)
    fan_in = min(d.fan_in, n_inputs)
    from_input = np.zeros((n, n_inputs))
    for row in from_input:
        row[rng.choice(n_inputs, fan_in, replace=False)] = rng.uniform(0.5, 1.5, fan_in) / fan_in
    from_input *= d.input_gain * du[:, None]

    unit = weight_unit(from_input, magnitude)
    from_input, magnitude = np.rint(from_input / unit) * unit, np.rint(magnitude / unit) * unit

    kinds = {EXCITATORY: np.flatnonzero(~inhibitory), INHIBITORY: np.flatnonzero(inhibitory)}
    kinds = {name: which for name, which in kinds.items() if len(which)}
    one = np.ones(n)
    populations = {name: CubaPopulation(du[w], dv[w], one[w], 0 * one[w]) for name, w in kinds.items()}
    heard = rng.choice([0, d.longest_input_delay // 2, d.longest_input_delay], n)
    connections = [
        Linear(INPUT, name, from_input[which] * (heard[which] == delay)[:, None], int(delay))
        for name, which in kinds.items()
        for delay in np.unique(heard[which])
    ]
    for delay in np.unique(recurrent.delays) if d.gain else ():
        chosen = recurrent.delays == delay
        weight = np.zeros((n, n))
        weight[recurrent.targets[chosen], recurrent.sources[chosen]] = magnitude[chosen]
        for source, from_ in kinds.items():
            for target, to in kinds.items():
                part = weight[np.ix_(to, from_)]
                if part.any():
                    connections.append(Linear(source, target, part, int(delay)))
    # By target, as a file reads back: the graph and its hash are then the same.
    connections.sort(key=lambda c: list(kinds).index(c.target))
    return SpikingGraph(n_inputs, populations, connections, tuple(kinds))


def recurrent_weights(description: ReservoirDescription, du: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Recurrent weights alone, float64 ``(targets, sources)``, for neurons with thresholds of 1.

    Args:
        description: of which the inputs, delays, time constants and seed play no part.
        du: what each neuron's current loses in a step.
        rng: draws everything.

    Raises:
        ModelError: there is no synapse.
    """
    recurrent, magnitude = _recurrent(description, _inhibitory(description, rng), du, rng)
    weights = np.zeros((description.n_neurons,) * 2)
    weights[recurrent.targets, recurrent.sources] = magnitude
    return weights


def _inhibitory(d: ReservoirDescription, rng: np.random.Generator) -> np.ndarray:
    """Which neurons are: bool ``(n_neurons,)``; at least one is not."""
    inhibitory = np.zeros(d.n_neurons, bool)
    inhibitory[rng.permutation(d.n_neurons)[: min(d.n_neurons - 1, round(d.inhibitory * d.n_neurons))]] = True
    return inhibitory


def _recurrent(
    d: ReservoirDescription, inhibitory: np.ndarray, du: np.ndarray, rng: np.random.Generator
) -> tuple[Wires, np.ndarray]:
    """The synapses between neurons, and their weights."""
    recurrent = wires(d.topology, inhibitory, rng, d.degree, d.reach, d.rewired, _delays(d.longest_delay))
    magnitude = rng.gamma(1 / d.spread**2, d.spread**2, len(recurrent.sources))
    magnitude *= np.where(inhibitory[recurrent.sources], -d.inhibition, 1.0) * du[recurrent.targets]
    return recurrent, magnitude * _scale(recurrent, magnitude, du, d.gain)


def weight_unit(*weights: np.ndarray) -> float:
    """The weight of an integer of the chip: the largest one is 255 of them, which 8 bits and a sign of its own hold."""
    return max(float(np.abs(w).max(initial=0.0)) for w in weights) / 255 or 1.0


def _delays(longest: int) -> np.ndarray:
    return np.unique(np.rint(longest * np.arange(1, 4) / 3)).astype(np.int64)


def spectral_radius(graph: SpikingGraph) -> float:
    """The gain of the recurrence: the spectral radius of ``W / (du vth)``, of all delays together."""
    names = list(graph.populations)
    first = dict(zip(names, np.cumsum([0, *(graph.size(name) for name in names[:-1])]), strict=True))
    n = sum(graph.size(name) for name in names)
    gain = np.zeros((n, n))
    for c in graph.connections:
        if c.source == INPUT:
            continue
        p = graph.populations[c.target]
        source, target, weight = c.synapses()
        np.add.at(gain, (first[c.target] + target, first[c.source] + source), weight / (p.du * p.vth)[target])
    return _radius(gain)


def _radius(gain: np.ndarray) -> float:
    if len(gain) > _DENSE:
        try:
            start = np.ones(len(gain))
            return float(np.abs(linalg.eigs(sparse.csr_array(gain), 1, v0=start, return_eigenvectors=False)).max())
        except (linalg.ArpackNoConvergence, linalg.ArpackError):
            pass  # the dense way then, which takes longer
    return float(np.abs(np.linalg.eigvals(gain)).max(initial=0.0))


def _scale(recurrent: Wires, weight: np.ndarray, du: np.ndarray, wanted: float) -> float:
    """The factor on the weights that gives the wanted spectral radius.

    Raises:
        ModelError: no cycle leads back to a neuron, so that the radius is 0 whatever the weights.
    """
    if not wanted:
        return 0.0
    gain = np.zeros((len(du), len(du)))
    gain[recurrent.targets, recurrent.sources] = weight / du[recurrent.targets]
    radius = _radius(gain)
    if radius < 1e-9:
        raise ModelError("reservoir: its synapses form no cycle, so no gain can be set; give more synapses, or gain 0")
    return wanted / radius
