# SPDX-License-Identifier: Apache-2.0
"""Random integer networks and input spikes, for comparing simulators with each other.

They are drawn to reach the corners: both signs and one, every number of weight bits, exponents of either sign,
delays, recurrence and feedback, decays of 0 and of all, biases, refractory periods, silent and bursting inputs,
currents that overflow. Each simulator gets what it has; see :mod:`.workers.oracles`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...types import SpikeTrain
from ..workers.oracles import Kind
from .network import INPUT, LoihiNetwork
from .neurons import Population
from .synapses import Conv, Dense, Rounding, Sparse


@dataclass(frozen=True, slots=True)
class Scope:
    """Features of random networks for a simulator.

    Attributes:
        conv, bias, start: whether at all.
        each_neuron: decays and thresholds of each neuron.
        refractory: largest period.
        delay: largest delay.
        exponents: smallest and largest weight exponent.
        rounding: of weights.
        u_limit, v_limit: what currents and voltages must stay below because the simulator overflows otherwise than
            Lava; None if it does not.
        a_limit: what the synaptic input of a step, ``a << 6``, must stay below: beyond 2 ** 24 the chip's
            accumulator has long overflowed, and Lava's current leaves its 24 bits.
    """

    conv: bool
    bias: bool
    start: bool
    each_neuron: bool
    refractory: int
    delay: int
    exponents: tuple[int, int]
    rounding: Rounding
    a_limit: int = 2**24
    u_limit: int | None = None
    v_limit: int | None = None


SCOPES: dict[Kind, Scope] = {
    "lava": Scope(True, True, False, False, 1, 63, (-8, 7), "lava"),
    "nengo_loihi": Scope(False, True, True, True, 63, 0, (0, 7), "lava", a_limit=2**21, u_limit=2**22),
    "brian2_loihi": Scope(
        False, False, False, False, 63, 62, (-8, 6), "brian2loihi", u_limit=2**23 - 1, v_limit=2**23 - 1
    ),
}


def random_case(scope: Scope, seed: int) -> tuple[LoihiNetwork, SpikeTrain]:
    """A network of 1 to 4 populations, at most some 300 neurons, and input for 60 to 250 steps."""
    rng = np.random.default_rng(seed)
    conv = _conv(rng) if scope.conv and rng.random() < 0.25 else None
    n_inputs = conv.shape[1] if conv else int(rng.integers(1, 40))
    sizes = {f"p{k}": int(rng.integers(1, 80)) for k in range(rng.integers(1, 5))}
    if conv:
        sizes["p0"] = conv.shape[0]
    connections: list[Dense | Sparse | Conv] = [conv] if conv else []
    names = list(sizes)
    for k, target in enumerate(names):
        before = [INPUT, *names[:k]]
        sources = set() if conv and k == 0 else {before[rng.integers(len(before))]}
        # Recurrence and feedback too; two connections between the same populations as well.
        sources |= {name for name in (INPUT, *names) if rng.random() < 0.25}
        for source in sorted(sources):
            connections.append(_synapses(rng, scope, source, target, sizes.get(source, n_inputs), sizes[target]))
    rate = 10 ** rng.uniform(-2.5, -0.3)
    populations = {}
    for name, n in sizes.items():
        incoming = [c for c in connections if c.target == name]
        while (reach := sum(_reach(c) for c in incoming)) > scope.a_limit:
            largest = max((c for c in incoming if not isinstance(c, Conv)), key=_reach)
            weaker = replace(largest, weight_exp=largest.weight_exp - 1)
            incoming[incoming.index(largest)] = connections[connections.index(largest)] = weaker
        populations[name] = _population(rng, scope, n, reach, rate)
    outputs = tuple(name for name in names if rng.random() < 0.5)
    network = LoihiNetwork(n_inputs, populations, connections, outputs)
    n_steps = int(rng.integers(60, 251))
    spikes = rng.random((n_steps, n_inputs)) < rate
    if rng.random() < 0.3:  # bursts and silence: neurons that rest, and wake up
        spikes &= (np.sin(np.arange(n_steps) * rng.uniform(0.02, 0.5)) > 0)[:, None]
    return network, SpikeTrain.from_dense(spikes)


def _reach(c: Dense | Sparse | Conv) -> int:
    """Largest ``|a| << 6`` that a step can bring a neuron, if all delays and spikes meet."""
    if isinstance(c, Conv):
        largest = np.abs(c.weights).sum(axis=(1, 2, 3)).max()
    elif isinstance(c, Dense):
        largest = np.abs(c.synapses).sum(axis=1).max()
    else:
        largest = np.bincount(c.targets, np.abs(c.synapses), c.shape[0]).max()
    return int(largest * 2.0 ** (c.shift + 6)) + 64


def _population(rng: np.random.Generator, scope: Scope, n: int, reach: int, rate: float) -> Population:
    size = n if scope.each_neuron and rng.random() < 0.5 else 1
    decays = np.stack([_decays(rng, size), _decays(rng, size)])
    # A threshold within what a few spikes bring, or far off it.
    drive = max(1.0, reach * rng.choice([rate, 0.1, 1.0]) / 64)
    vth = np.clip(drive * 10 ** rng.uniform(-1.5, 1, size), 0, 2**17 - 1).astype(int)
    mantissa, exponent = np.zeros(n, int), np.zeros(n, int)
    if scope.bias and rng.random() < 0.5:
        mantissa = (rng.integers(-4096, 4096, n) * 10.0 ** rng.uniform(-3, 0)).astype(int)
        exponent = rng.integers(0, 8, n)
    if scope.u_limit:  # u is at most reach * 4096 / (du + 1)
        least = -(-reach * 4096 // scope.u_limit)
        decays[0] = np.clip(decays[0], min(least, 4095), None)
    if scope.v_limit:  # v falls to at most -u * 4096 / dv
        current = reach * 4096 // (int(decays[0].min()) + 1)
        decays[1] = np.clip(decays[1], min(-(-current * 4096 // scope.v_limit), 4095), None)
    refractory = rng.integers(0, scope.refractory + 1, size) if rng.random() < 0.4 else np.zeros(size, int)
    start = rng.integers(0, 64, n) if scope.start and rng.random() < 0.3 else 0

    def one(values: np.ndarray) -> int | np.ndarray:
        return values if size == n else int(values[0])

    return Population(
        n, one(decays[0]), one(decays[1]), one(vth), mantissa, exponent, refractory=one(refractory), start=start
    )


def _decays(rng: np.random.Generator, size: int) -> np.ndarray:
    """Decays of nothing, of everything, and in between by their logarithm."""
    between = (4096 ** rng.uniform(0, 1, size)).astype(int) - 1
    return rng.choice(np.stack([between, between, np.zeros(size, int), np.full(size, 4095)]), axis=0)


def _weights(rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """Integers of one sign or of both, small or large, all or few of them not 0."""
    w = rng.integers(low, high + 1, shape) * 10 ** rng.uniform(-2, 0)
    w = np.where(rng.random(shape) < rng.choice([1.0, 0.5, 0.1]), w, 0).astype(int)
    sign = rng.integers(3)
    return np.abs(w).clip(0, high) if sign == 0 else -np.abs(w).clip(0, -low) if sign == 1 else w


def _synapses(
    rng: np.random.Generator, scope: Scope, source: str, target: str, n_source: int, n_target: int
) -> Dense | Sparse:
    exponent = int(rng.integers(scope.exponents[0], scope.exponents[1] + 1)) if rng.random() < 0.7 else 0
    how: dict[str, Any] = {
        "num_weight_bits": int(rng.integers(1, 9)) if rng.random() < 0.5 else 8,
        "weight_exp": exponent,
        "rounding": scope.rounding,
    }
    shape = (n_target, n_source)
    w = _weights(rng, shape, -256, 254)
    longest = int(rng.choice([1, 5, scope.delay])) if scope.delay and rng.random() < 0.4 else 0
    delays = rng.integers(0, longest + 1, shape)
    if rng.random() < 0.6:
        return Dense(source, target, w, delays=delays, **how)
    targets, sources = np.nonzero(w)
    return Sparse(source, target, shape, targets, sources, w[w != 0], delays=delays[w != 0], **how)


def _conv(rng: np.random.Generator) -> Conv:
    x, y, channels = (int(n) for n in rng.integers((3, 3, 1), (9, 9, 4)))
    kernel = [int(n) for n in rng.integers(1, 4, 2)]
    w = _weights(rng, (int(rng.integers(1, 5)), *kernel, channels), -256, 255)
    stride, padding = (tuple(int(n) for n in rng.integers(low, 3, 2)) for low in (1, 0))
    return Conv(
        INPUT, "p0", w, (x, y, channels), stride, padding, channels_first=bool(rng.random() < 0.5)  # type: ignore[arg-type]
    )
