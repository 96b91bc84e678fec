# SPDX-License-Identifier: Apache-2.0
"""A toy task for quantisation: which of eight noisy patterns of spikes is it? And a CUBA-LIF network that learns it."""

import numpy as np
import torch
from torch import nn

from liquid_spike_control.neuromorphic.emulator.loihi import LoihiEmulator
from liquid_spike_control.neuromorphic.integers.network import LoihiNetwork
from liquid_spike_control.spiking.graph import CubaPopulation, Linear, SpikingGraph
from liquid_spike_control.types import SpikeTrain

N_INPUTS, N_HIDDEN, N_CLASSES, N_STEPS = 24, 40, 8, 30
DU, DV = 1229 / 4096, 410 / 4096


def patterns(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Spikes ``(n, N_STEPS, N_INPUTS)`` and classes ``(n,)``; the classes differ in when an axon is busy."""
    rates = 0.1 + 0.3 * np.random.default_rng(99).uniform(0, 1, (N_CLASSES, 3, N_INPUTS)) ** 3
    rng = np.random.default_rng(seed)
    label = rng.integers(0, N_CLASSES, n)
    rate = np.repeat(rates[label], N_STEPS // 3, axis=1)
    return rng.random((n, N_STEPS, N_INPUTS)) < rate, label


class Network(nn.Module):
    """Axons -> recurrent CUBA-LIF neurons -> leaky integrators, with Loihi's delays; thresholds are 1."""

    def __init__(self) -> None:
        super().__init__()
        self.inward = nn.Linear(N_INPUTS, N_HIDDEN, bias=False)
        self.recurrent = nn.Linear(N_HIDDEN, N_HIDDEN, bias=False)
        self.outward = nn.Linear(N_HIDDEN, N_CLASSES, bias=False)
        nn.init.normal_(self.inward.weight, 0.05, 0.15)
        nn.init.normal_(self.recurrent.weight, 0, 0.05)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mean voltages of the integrators ``(batch, N_CLASSES)``."""
        u = v = s = x.new_zeros(len(x), N_HIDDEN)
        u_out = v_out = total = x.new_zeros(len(x), N_CLASSES)
        silence = torch.zeros_like(x[:, 0])
        for t in range(N_STEPS):
            u_out = (1 - DU) * u_out + self.outward(s)
            v_out = (1 - DV) * v_out + u_out
            total = total + v_out
            u = (1 - DU) * u + self.inward(x[:, t - 1] if t else silence) + self.recurrent(s)
            v = (1 - DV) * v + u
            soft = torch.sigmoid(4 * (v - 1))
            s = (v > 1).to(v.dtype) + soft - soft.detach()
            v = v * (v <= 1)
        return total / N_STEPS


def fit(network: nn.Module, n_updates: int, learning_rate: float, seed: int) -> None:
    """Train for some updates on fresh samples."""
    optimiser = torch.optim.Adam(network.parameters(), learning_rate)
    for k in range(n_updates):
        x, label = patterns(seed + k, 96)
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(torch.from_numpy(x).float()), torch.from_numpy(label))
        loss.backward()
        optimiser.step()


def trained(n_updates: int = 120) -> Network:
    """A network in float that has learnt the task."""
    torch.manual_seed(0)
    network = Network()
    fit(network, n_updates, 0.01, 10_000)
    return network


def graph_of(network: Network) -> SpikingGraph:
    """The same in float64."""

    def population(n: int, **options) -> CubaPopulation:
        return CubaPopulation(np.full(n, DU), np.full(n, DV), np.ones(n), np.zeros(n), **options)

    w = {name: layer.weight.detach().double().numpy() for name, layer in network.named_children()}
    return SpikingGraph(
        N_INPUTS,
        {"hidden": population(N_HIDDEN), "out": population(N_CLASSES, spiking=False)},
        [
            Linear("input", "hidden", w["inward"]),
            Linear("hidden", "hidden", w["recurrent"]),
            Linear("hidden", "out", w["outward"]),
        ],
        ("hidden",),
    )


def accuracy(network: nn.Module, seed: int = 1, n: int = 1000) -> float:
    """On held-out samples."""
    x, label = patterns(seed, n)
    with torch.no_grad():
        return float((network(torch.from_numpy(x).float()).argmax(1).numpy() == label).mean())


def emulated_accuracy(network: LoihiNetwork, seed: int = 1, n: int = 300) -> float:
    """On held-out samples, in Loihi's integers."""
    x, label = patterns(seed, n)
    emulator, right = LoihiEmulator(network), 0
    for spikes, k in zip(x, label, strict=True):
        emulator.reset()
        right += emulator.probe(SpikeTrain.from_dense(spikes))["out"].v.sum(0).argmax() == k
    return right / n


def samples(seed: int, n: int) -> SpikeTrain:
    """Patterns one after the other, with a pause after each."""
    x, _ = patterns(seed, n)
    return SpikeTrain.from_dense(np.concatenate([x, np.zeros((n, 20, N_INPUTS), bool)], axis=1).reshape(-1, N_INPUTS))
