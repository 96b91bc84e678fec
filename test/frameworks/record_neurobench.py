# SPDX-License-Identifier: Apache-2.0
"""Metrics of small snnTorch networks by the ``neurobench`` package, with what is needed to count them again.

    pip install "torch==2.13.0" snntorch tonic numba && pip install --no-deps neurobench==2.3.0
    python test/frameworks/record_neurobench.py test/data/neurobench.npz

neurobench asks for torchaudio too, which its metrics do not use.
"""

from __future__ import annotations

import sys

import numpy as np
import snntorch as snn
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint
from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
from neurobench.models import SNNTorchModel
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

N_STEPS = 25
#: What snnTorch keeps in buffers that is no parameter of a neuron.
BOOKKEEPING = ("graded_spikes_factor", "reset_mechanism_val")


def networks() -> dict[str, tuple[nn.Sequential, tuple[int, ...]]]:
    """Networks and the shapes of their input, by name; a part of the weights is zero."""
    torch.manual_seed(0)
    made = {
        "dense": (
            nn.Sequential(
                nn.Linear(12, 16),
                snn.Leaky(beta=0.9, init_hidden=True),
                nn.Linear(16, 5),
                snn.Leaky(beta=torch.linspace(0.5, 0.9, 5), init_hidden=True, output=True),
            ),
            (12,),
        ),
        "conv": (
            nn.Sequential(
                nn.Conv2d(2, 3, 3, stride=2, padding=1),
                snn.Leaky(beta=0.8, init_hidden=True),
                nn.Flatten(),
                nn.Linear(3 * 4 * 5, 6, bias=False),
                snn.Leaky(beta=0.8, init_hidden=True, output=True),
            ),
            (2, 7, 9),
        ),
        "recurrent": (
            nn.Sequential(
                nn.Linear(10, 8),
                snn.RLeaky(beta=0.7, linear_features=8, init_hidden=True),
                nn.Linear(8, 4),
                snn.Leaky(beta=0.8, init_hidden=True, output=True),
            ),
            (10,),
        ),
    }
    with torch.no_grad():
        for network, _ in made.values():
            for parameter in network.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(4).masked_fill_(torch.rand_like(parameter) < 0.3, 0.0)
    return made


def _recorder(layer: nn.Module) -> list[np.ndarray]:
    """What the layer sends, step by step, once it runs."""
    steps: list[np.ndarray] = []

    def keep(_, __, out) -> None:
        steps.append((out[0] if isinstance(out, tuple) else out).detach().numpy()[0].astype(bool))

    layer.register_forward_hook(keep)
    return steps


def record() -> dict[str, np.ndarray]:
    """Weights, spikes and neurobench's results, under ``network/what``."""
    torch.set_num_threads(1)
    everything: dict[str, np.ndarray] = {}
    for name, (network, shape) in networks().items():
        data = (torch.rand(1, N_STEPS, *shape) < 0.3).float()
        spikes = {
            index: _recorder(layer) for index, layer in enumerate(network) if isinstance(layer, snn.SpikingNeuron)
        }
        benchmark = Benchmark(
            SNNTorchModel(network),
            DataLoader(TensorDataset(data, torch.zeros(1, 1))),
            [],
            [],
            [[Footprint, ConnectionSparsity], [ActivationSparsity, SynapticOperations]],
        )
        results = benchmark.run(quiet=True)
        operations = results.pop("SynapticOperations")
        for key, value in (results | operations).items():
            everything[f"{name}/results/{key}"] = np.float64(value)
        everything[f"{name}/results/bookkeeping"] = np.int64(
            sum(b.nbytes for key, b in network.named_buffers() if key.rpartition(".")[2] in BOOKKEEPING)
        )
        for key, value in network.state_dict().items():
            everything[f"{name}/state/{key}"] = value.numpy()
        everything[f"{name}/input"] = data[0].numpy().astype(bool)
        everything |= {f"{name}/spikes/{index}": np.stack(steps) for index, steps in spikes.items()}
    return everything


if __name__ == "__main__":
    np.savez_compressed(sys.argv[1], **record())
