# SPDX-License-Identifier: Apache-2.0
"""Codes as neurons of Loihi 2: the host sends a number as a payload, and neurons of the chip turn it into spikes.

A host that encodes sends every spike to the chip; one that sends the number sends it once a window, and once only while
it stays the same. Numbers are integers k on the grid of their code. With T steps a window and P a period:

``rate``
    k is the spikes of a window, 0 .. T. A Sigma neuron holds it; ``v += k`` in every step, spike where ``2 v >= T``,
    then ``v -= T``.
``population``
    k is an activation in 2^-12; the same neurons, with 2^12 for T.
``latency``
    k is T - 1 less the step of the spike. The neuron is a clock that k moves: ``v += 1`` in every step, spike where
    ``v >= T``, then ``v -= T``.
``phase``
    k has P binary digits, each a neuron. Digit j spikes in step j where k without the higher digits is
    ``2^(P - 1 - j)`` or more. A relay joins them.
``threshold-delta``
    k is the signal in 128ths of the threshold. Two neurons hold ``x - r`` and ``r - x``: spike where
    ``v >= threshold``, then ``v -= threshold``, and the other one gains as much a step later.

They are our own arrangements, of neurons that :mod:`..integers.neurons` has; Loihi 1 takes no payloads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ...errors import ModelError, TaskError
from ...spiking.coding.delta import DeltaCode
from ...spiking.coding.latency import LatencyCode
from ...spiking.coding.phase import PhaseCode
from ...spiking.coding.population import PopulationCode
from ...spiking.coding.rate import RateCode
from ...types import SpikeTrain
from ..emulator.graded import GradedTrain
from ..emulator.loihi2 import Loihi2Emulator
from ..integers.network import INPUT, LoihiNetwork
from ..integers.neurons import Neurons, Population, ProgrammedPopulation, Sigma
from ..integers.synapses import Conv, Dense, Sparse

Code = RateCode | LatencyCode | PhaseCode | PopulationCode | DeltaCode

#: Population whose spikes are those of the code.
ENCODER = "encoder"
#: Parts of a threshold that a signal is rounded to, and the furthest that it may run ahead of its spikes.
PARTS, AHEAD = 128, 500
#: Binary places of an activation; the longest window and period whose numbers fit 24 bits.
PLACES, LONGEST, DIGITS = 12, 2**15, 15
#: Largest number of steps that a population starts later.
LATEST = 63
_HELD, _DIGITS = "encoder_held", "encoder_digits"
# Neurons that forget currents and keep voltages, 64 of which are a unit of current.
_UNIT = 64


@dataclass(frozen=True, slots=True)
class Encoder:
    """A code as a network whose input axons are numbers.

    Attributes:
        code: what it computes.
        n: numbers.
        network: its last population, ``encoder``, spikes as ``code.encode`` does for the numbers on their grid.
        latency: steps from a number to the first step of its window.
        period: steps between two rows of numbers; the code's window, a phase code's period, or 1.
        holds: whether the network keeps a number, so that changes are sent and not numbers.
    """

    code: Code
    n: int
    network: LoihiNetwork
    latency: int
    period: int
    holds: bool

    def integers(self, values: np.ndarray) -> np.ndarray:
        """Numbers on the grid of the code.

        Args:
            values: ``(n_rows, n)``; a row a window, or a step for a threshold-delta code.

        Returns:
            int64 ``(n_rows, n_inputs)``, a row a period.

        Raises:
            TaskError: a value is no number, or a signal is not finite.
        """
        code, values = self.code, np.asarray(values, np.float64)
        if isinstance(code, RateCode):
            return np.floor(code.interval.fractions(values) * code.steps + 0.5).astype(np.int64)
        if isinstance(code, LatencyCode):
            return code.steps - 1 - code.first_spikes(values)
        if isinstance(code, PhaseCode):
            return np.repeat(code.numbers(values), code.periods, axis=0)
        if isinstance(code, PopulationCode):
            rates = code.activations(values)
            return np.rint(rates * 2**PLACES).astype(np.int64).reshape(len(values), -1)
        if not np.isfinite(values).all():
            raise TaskError("a signal to be encoded is not finite; hold the last value in its place")
        return np.rint(values / code.threshold * PARTS).astype(np.int64)

    def payloads(self, values: np.ndarray, before: np.ndarray | None = None) -> GradedTrain:
        """What the host sends: a row of payloads at the first step of each period; where one is 0, nothing.

        Args:
            values: as in :meth:`integers`.
            before: the row of integers that was sent last; zeros by default, as after a reset. Before the first row of
                a threshold-delta code it is what the receiver believes.

        Raises:
            TaskError: a value is no number, or a signal runs more than 500 thresholds ahead of its spikes.
        """
        integers = self.integers(values)
        start = np.zeros(self.network.n_inputs, np.int64) if before is None else np.asarray(before, np.int64)
        if isinstance(self.code, DeltaCode):
            self._check_pace(integers, start)
        sent = np.diff(integers, axis=0, prepend=start[None]) if self.holds else integers
        dense = np.zeros((len(sent) * self.period, sent.shape[1]), np.int64)
        dense[:: self.period] = sent
        return GradedTrain.from_dense(dense)

    def encode(self, values: np.ndarray, before: np.ndarray | None = None) -> SpikeTrain:
        """Spikes of the emulated network from its reset on, without those of the latency.

        Args:
            values, before: as in :meth:`payloads`.

        Returns:
            As many steps as the payloads have; a window of the code is one of it.
        """
        train = self.payloads(values, before)
        rest = np.full(self.latency, train.indptr[-1])
        longer = GradedTrain(np.concatenate([train.indptr, rest]), train.ids, train.payloads)
        spikes = Loihi2Emulator(self.network).run_graded(longer).spikes
        first = spikes.indptr[self.latency]
        return SpikeTrain(spikes.indptr[self.latency :] - first, spikes.ids[first:])

    def before(self, network: LoihiNetwork) -> LoihiNetwork:
        """The network with this encoder in place of its input: it takes numbers, and spikes :attr:`latency` later.

        Its populations begin to integrate their biases later by as much.

        Args:
            network: with one input axon for each neuron of the encoder.

        Raises:
            ModelError: it has another number of axons, a population of an encoder, or a bias that cannot wait.
        """
        mine = self.network
        if network.n_inputs != mine.n_outputs:
            raise ModelError(f"the network has {network.n_inputs} input axons, the encoder {mine.n_outputs} neurons")
        if taken := sorted(set(network.populations) & set(mine.populations)):
            raise ModelError(f"the network has a population {taken[0]} already; rename it")
        populations = {name: _later(name, p, self.latency) for name, p in network.populations.items()}
        connections = [replace(c, source=ENCODER) if c.source == INPUT else c for c in network.connections]
        return LoihiNetwork(
            mine.n_inputs,
            {**mine.populations, **populations},
            [*mine.connections, *connections],
            network.outputs,
        )

    def _check_pace(self, integers: np.ndarray, start: np.ndarray) -> None:
        whole = DeltaCode(PARTS)
        spikes, _ = whole.encode(integers, start)
        ahead = np.abs(integers - whole.decode(spikes, start)).max(initial=0) / PARTS
        if ahead > AHEAD:
            raise TaskError(
                f"a signal runs {ahead:.0f} thresholds ahead of its spikes, the neurons hold {AHEAD}; "
                f"give a larger threshold than {cast(DeltaCode, self.code).threshold:g}, or shorter steps"
            )


def encoder(code: Code, n: int) -> Encoder:
    """Build the neurons of a code.

    Args:
        code: any of :data:`Code`. Of a population code the host computes the activations of the fields, and the chip
            accumulates them.
        n: numbers.

    Raises:
        TaskError: the code is random, or its windows or digits do not fit the neurons.
    """
    if isinstance(code, RateCode):
        if code.seed is not None:
            raise TaskError("random spikes need noise, which the emulator's neurons do not have; leave the seed out")
        _check_window("rate", code.steps)
        return Encoder(code, n, _accumulating(n, code.steps), latency=2, period=code.steps, holds=True)
    if isinstance(code, PopulationCode):
        network = _accumulating(n * code.n_fields, 2**PLACES)
        return Encoder(code, n, network, latency=2, period=code.steps, holds=True)
    if isinstance(code, LatencyCode):
        _check_window("latency", code.steps)
        return Encoder(code, n, _clocks(n, code.steps), latency=1, period=code.steps, holds=True)
    if isinstance(code, PhaseCode):
        if code.period > DIGITS:
            raise TaskError(f"a phase code of {code.period} digits; the neurons hold {DIGITS}")
        return Encoder(code, n, _digits(n, code.period), latency=2, period=code.period, holds=False)
    return Encoder(code, n, _differences(n), latency=1, period=1, holds=True)


def _check_window(name: str, steps: int) -> None:
    if steps > LONGEST:
        raise TaskError(f"a {name} code of {steps} steps; the neurons hold {LONGEST}")


def _integrator(n: int, full: int, **more: Any) -> ProgrammedPopulation:
    """Neurons that add up what they get, spike at ``full`` units and lose as much."""
    return ProgrammedPopulation(n, du=4095, dv=0, threshold=full * _UNIT - 1, drop=full * _UNIT, **more)


def _accumulating(n: int, full: int) -> LoihiNetwork:
    """Twice the number in every step, so that half of ``full`` is whole."""
    each = np.eye(n, dtype=np.int64)
    half = replace(_integrator(n, 2 * full), threshold=full * _UNIT - 1)
    return LoihiNetwork(
        n,
        {_HELD: Sigma(n), ENCODER: half},
        [Dense(INPUT, _HELD, each), Dense(_HELD, ENCODER, 2 * each)],
        (ENCODER,),
    )


def _clocks(n: int, steps: int) -> LoihiNetwork:
    clock = _integrator(n, steps, bias_mant=_UNIT, start=1)
    return LoihiNetwork(n, {ENCODER: clock}, [Dense(INPUT, ENCODER, np.eye(n, dtype=np.int64))])


def _digits(n: int, period: int) -> LoihiNetwork:
    """Digit j of number q is neuron ``q * period + j``; all that it is compared with comes in one step."""
    digit = np.tile(np.arange(period), n)
    comparing = Population(n * period, du=4095, dv=4096, vth=2 ** (period - 1 - digit) - 1)
    higher, lower = np.triu_indices(period, 1)
    first = np.arange(n)[:, None] * period
    sources, targets = (first + higher).ravel(), (first + lower).ravel()
    place, wait = np.tile(period - 1 - higher, n), np.tile(lower - higher - 1, n)
    shape = n * period, n * period
    connections: list[Dense | Sparse | Conv] = [
        Sparse(INPUT, _DIGITS, (n * period, n), np.arange(n * period), np.repeat(np.arange(n), period),
               np.ones(n * period, np.int64), delays=digit),
        Sparse(_DIGITS, ENCODER, (n, n * period), np.repeat(np.arange(n), period), np.arange(n * period),
               np.ones(n * period, np.int64)),
    ]  # fmt: skip
    for exponent, some in ((0, place < 8), (7, place >= 8)):  # weights have 8 bits
        if some.any():
            weights = -(2 ** (place[some] - exponent))
            connections.append(
                Sparse(_DIGITS, _DIGITS, shape, targets[some], sources[some], weights,
                       weight_exp=exponent, delays=wait[some])
            )  # fmt: skip
    return LoihiNetwork(
        n, {_DIGITS: comparing, ENCODER: Population(n, du=4095, dv=4096, vth=0)}, connections, (ENCODER,)
    )


def _differences(n: int) -> LoihiNetwork:
    """Twice the signal, as weights of both signs are even."""
    each, both = np.eye(n, dtype=np.int64), np.arange(2 * n)
    connections: list[Dense | Sparse] = [
        Dense(INPUT, ENCODER, np.concatenate([2 * each, -2 * each])),
        Sparse(ENCODER, ENCODER, (2 * n, 2 * n), (both + n) % (2 * n), both, np.full(2 * n, PARTS), weight_exp=1),
    ]
    return LoihiNetwork(n, {ENCODER: _integrator(2 * n, 2 * PARTS)}, connections)


def _later(name: str, p: Neurons, steps: int) -> Neurons:
    """A population that begins to integrate its bias later."""
    if hasattr(p, "start"):
        late = int(np.max(p.start)) + steps
        if late > LATEST:
            raise ModelError(f"{name}: start must lie in 0 .. {LATEST}, with the encoder's {steps} steps it is {late}")
        return replace(cast(Population, p), start=p.start + steps)
    if np.any(getattr(p, "bias", 0)):
        raise ModelError(f"{name}: {type(p).__name__} has a bias, which cannot wait for the encoder; leave it out")
    return p
