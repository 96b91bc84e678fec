# SPDX-License-Identifier: Apache-2.0
"""NeuroBench's metrics of the algorithm track, for our networks (Yik et al., Nature Communications 16, 2025).

Counted as the ``neurobench`` package counts them; where that cannot be, we differ as follows.

- A spike counts in the step that sends it. NeuroBench counts a layer's input when the layer is called: the same
  for feed-forward layers; a recurrent layer of torch never sees the last step's spikes, so ours is larger by them.
- Synapses given one by one (:class:`~.synapses.Sparse`, pools) count as stored; the pairs that have none are no
  weights, as the pixels outside a convolution's kernel are none.
- Footprint: a parameter that all neurons of a population share is stored once, and one that does nothing (no
  bias, no synaptic current) is not stored. Weights, parameters and state are counted apart: torch frameworks hold
  the state in buffers that have their size only after the first step.
- An operation is an accumulate (AC), or a multiply-accumulate (MAC) where the source sends anything but 0 and +-1
  in that step; payloads that are not known (a population of graded spikes, a train without them) count as MACs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from ...spiking.graph import Correlation, CubaPopulation, Linear, SpikingGraph, Synapses
from ...types import SpikeTrain
from ..emulator.graded import GradedTrain
from ..integers.network import INPUT, LoihiNetwork
from ..integers.neurons import (
    AdaptivePopulation,
    AdExPopulation,
    AlifPopulation,
    Delta,
    IzhikevichPopulation,
    Neurons,
    Population,
    ProgrammedPopulation,
    ResonateAndFire,
    Sigma,
    SigmaDelta,
)
from ..integers.synapses import Conv, Dense, Sparse

Network = LoihiNetwork | SpikingGraph

#: Bits of a number of a float network, as torch stores it.
FLOAT_BITS = 32
# Words of state of a neuron of Loihi 2's kinds.
# Values with which a parameter does nothing; None: it always does. Of those not named it is 0.
_IDLE = {"du": 4095, "dv": None, "vth": None, "threshold": None, "depth": 2**23 - 1, "most_spikes": 1, "dh": 4096}
_STATES = {
    ProgrammedPopulation: 2, AlifPopulation: 3, AdaptivePopulation: 4, SigmaDelta: 3, Delta: 2, Sigma: 1,
    ResonateAndFire: 2, IzhikevichPopulation: 3, AdExPopulation: 3,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory [bytes]: synaptic weights, parameters of the neurons, and their state (current and voltage).

    A float network in 32-bit floats; an integer network in Loihi's widths (weights 1 .. 8 bits, decays 12,
    thresholds 17, biases 13 + 3, current and voltage 24 each), rounded up to a byte a kind.
    """

    weights: int
    parameters: int
    state: int

    @property
    def total(self) -> int:
        """Parameters and buffers [bytes]."""
        return self.weights + self.parameters + self.state


@dataclass(frozen=True, slots=True)
class SynapticOperations:
    """Synaptic operations of a run.

    Attributes:
        dense: every stored weight in every step, zeros too; taps in the padding are none.
        effective_macs: over weights and activations that are not 0, in steps where the source is not binary.
        effective_acs: the same, where the source is binary.
    """

    dense: int
    effective_macs: int
    effective_acs: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """NeuroBench's metrics of a network on some input.

    Attributes:
        network: hash.
        steps: of the run; divide the operations by them, or by the inferences.
        footprint: see :class:`Footprint`.
        connection_sparsity: weights that are 0 of all stored weights.
        activation_sparsity: neurons and steps without a spike of all neurons and steps.
        activation_sparsity_by_population: the same, one by one.
        synaptic_operations: see :class:`SynapticOperations`.
    """

    network: str
    steps: int
    footprint: Footprint
    connection_sparsity: float
    activation_sparsity: float
    activation_sparsity_by_population: dict[str, float]
    synaptic_operations: SynapticOperations

    def as_dict(self) -> dict:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        kilobytes, steps = self.footprint.total / 1e3, max(1, self.steps)
        dense, macs, acs = (
            f"{getattr(self.synaptic_operations, m) / steps:.4g}" for m in ("dense", "effective_macs", "effective_acs")
        )
        return (
            f"footprint {kilobytes:.4g} kB, connection sparsity {self.connection_sparsity:.1%}, activation sparsity "
            f"{self.activation_sparsity:.1%}; operations a step: dense {dense}, effective MACs {macs}, ACs {acs}"
        )


def measure(network: Network, trains: Mapping[str, SpikeTrain | GradedTrain]) -> Metrics:
    """All metrics of a run.

    Args:
        network: what ran.
        trains: spikes of every population (``run_all`` of a backend), and those of the axons as ``"input"``.

    Raises:
        ValueError: trains are missing or of different lengths.
    """
    missing = {INPUT, *network.populations} - set(trains)
    if missing:
        raise ValueError(f"no spikes of {', '.join(sorted(missing))}")
    steps = {t.n_steps for t in trains.values()}
    if len(steps) != 1:
        raise ValueError(f"trains of {sorted(steps)} steps; give all of one run")
    spiking = {m: p for m, p in network.populations.items() if getattr(p, "spiking", True)}
    n_steps = steps.pop()
    sparsity = {m: 1 - len(trains[m].ids) / max(1, n_steps * p.n) for m, p in spiking.items()}
    spikes, places = (sum(len(trains[m].ids) for m in spiking), n_steps * sum(p.n for p in spiking.values()))
    return Metrics(
        network=network.hash,
        steps=n_steps,
        footprint=footprint(network),
        connection_sparsity=connection_sparsity(network),
        activation_sparsity=1 - spikes / max(1, places),
        activation_sparsity_by_population=sparsity,
        synaptic_operations=synaptic_operations(network, trains),
    )


def synaptic_operations(network: Network, trains: Mapping[str, SpikeTrain | GradedTrain]) -> SynapticOperations:
    """Operations of the spikes in ``trains``, which are as for :func:`measure`."""
    macs = acs = 0
    for c in network.connections:
        train = trains[c.source]
        operations = fan_out(c)[train.ids]
        binary = _binary(network, c.source, train)
        acs += int(operations[binary].sum())
        macs += int(operations[~binary].sum())
    return SynapticOperations(dense_operations(network) * trains[INPUT].n_steps, macs, acs)


def _binary(network: Network, source: str, train: SpikeTrain | GradedTrain) -> np.ndarray:
    """Return which of the spikes are sent in a step in which the source sends only 0 and +-1, bool ``(n_spikes,)``."""
    if not isinstance(train, GradedTrain):
        graded = source != INPUT and getattr(network.populations[source], "graded", False)
        return np.full(len(train.ids), not graded)
    step = np.repeat(np.arange(train.n_steps), np.diff(train.indptr))
    other = np.bincount(step[np.abs(train.payloads) > 1], minlength=train.n_steps)
    return other[step] == 0


def dense_operations(network: Network) -> int:
    """Operations of one step if every stored weight is used, spike or not."""
    return sum(int(fan_out(c, zeros=True).sum()) for c in network.connections)


def connection_sparsity(network: Network) -> float:
    """Weights that are 0 of all stored weights; a convolution's kernel counts once."""
    weights = [_weights(c) for c in network.connections]
    stored = sum(w.size for w in weights)
    return sum(int((w == 0).sum()) for w in weights) / stored if stored else 0.0


def fan_out(connection, zeros: bool = False) -> np.ndarray:
    """Synapses that a spike of each source neuron goes over.

    Args:
        connection: of either kind of network.
        zeros: count stored weights of 0 too.

    Returns:
        int64 ``(n_source,)``.
    """
    used = np.ones_like(_weights(connection), bool) if zeros else _weights(connection) != 0
    if isinstance(connection, (Linear, Dense)):
        return used.sum(axis=0, dtype=np.int64)
    n_source = connection.shape[1]
    if isinstance(connection, (Synapses, Sparse)):
        return np.bincount(connection.sources[used], minlength=n_source).astype(np.int64)
    if isinstance(connection, Conv):  # the kernel is flipped: the first tap is the last weight
        (n_rows, n_columns, _), (n_rows_out, n_columns_out, _) = connection.input_shape, connection.output_shape
        taps = used[:, ::-1, ::-1].sum(axis=0)
        strides, paddings = connection.strides, connection.paddings
    else:
        (_, n_rows, n_columns), (_, n_rows_out, n_columns_out) = connection.input_shape, connection.output_shape
        taps = used.sum(axis=0).transpose(1, 2, 0)
        strides, paddings = connection.stride, connection.padding
    rows = _reached(n_rows, n_rows_out, taps.shape[0], strides[0], paddings[0])
    columns = _reached(n_columns, n_columns_out, taps.shape[1], strides[1], paddings[1])
    counts = np.einsum("kx,ly,klc->xyc", rows, columns, taps, optimize=True)
    return (counts.transpose(2, 0, 1) if connection.channels_first else counts).ravel()


def _reached(n: int, n_out: int, taps: int, stride: int, padding: int) -> np.ndarray:
    """Whether tap k of some output falls on input i, int64 ``(taps, n)``."""
    where = np.arange(n_out) * stride - padding + np.arange(taps)[:, None]
    reached = np.zeros((taps, n), np.int64)
    tap, output = np.nonzero((where >= 0) & (where < n))
    reached[tap, where[tap, output]] = 1
    return reached


def _weights(connection) -> np.ndarray:
    """Weights as they act."""
    if isinstance(connection, (Dense, Sparse)):
        return connection.synapses
    return connection.weights if isinstance(connection, Conv) else connection.weight


def footprint(network: Network) -> Footprint:
    """Memory of a network, as NeuroBench counts parameters and buffers."""
    weights = sum(_weights(c).size * _weight_bits(c) for c in network.connections)
    parameters = sum(_parameter_bits(p) for p in network.populations.values())
    state = sum(_state_bits(p) for p in network.populations.values())
    return Footprint(*(math.ceil(bits / 8) for bits in (weights, parameters, state)))


def _weight_bits(connection) -> int:
    if isinstance(connection, (Linear, Synapses, Correlation)):
        return FLOAT_BITS
    return 8 if isinstance(connection, Conv) else connection.num_weight_bits


def _stored(values, n: int, idle: float | None) -> int:
    """Return how many numbers a parameter of n neurons takes: none if it does nothing, one if it is shared."""
    values = np.broadcast_to(values, n)
    if idle is not None and (values == idle).all():
        return 0
    return 1 if (values == values[0]).all() else n


def _parameter_bits(p: CubaPopulation | Neurons) -> int:
    if isinstance(p, CubaPopulation):
        idle = {"du": 1.0, "dv": None, "vth": None, "bias": 0.0}
        return FLOAT_BITS * sum(_stored(getattr(p, name), p.n, value) for name, value in idle.items())
    bits = 0
    for name, low, high in p._ranges:
        idle_value = _IDLE.get(name, 0)
        bits += (high - low).bit_length() * _stored(getattr(p, name), p.n, idle_value)
    return bits


def _state_bits(p: CubaPopulation | Neurons) -> int:
    if isinstance(p, CubaPopulation):
        return FLOAT_BITS * p.n * (1 + bool((p.du != 1).any()))
    if isinstance(p, Population):
        return 24 * p.n * (1 + bool(np.any(p.du != 4095)))
    return 32 * p.n * _STATES[type(p)]
