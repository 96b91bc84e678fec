# SPDX-License-Identifier: Apache-2.0
"""A framework's graph and what its neurons sent; networks and spikes for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

STEPS = 80


@dataclass
class Recording:
    """A graph, the preset that reads it, its input, and what neurons sent: arrays ``(steps, ...)`` by node.

    ``voltages`` are those of neurons that never spike.
    """

    graph: object
    preset: str
    inputs: np.ndarray
    layers: dict[str, np.ndarray]
    voltages: dict[str, np.ndarray]
    version: str

    def write(self, stem: Path) -> None:
        import nir

        nir.write(stem.with_suffix(".nir"), _Written(self.graph), compression=None)
        arrays = {"inputs": self.inputs.reshape(len(self.inputs), -1).astype(bool)}
        arrays |= {f"spikes {m}": x.reshape(len(x), -1).astype(bool) for m, x in self.layers.items()}
        arrays |= {f"voltages {m}": x.reshape(len(x), -1) for m, x in self.voltages.items()}
        np.savez_compressed(stem.with_suffix(".npz"), preset=self.preset, version=self.version, **arrays)


@dataclass
class _Written:
    """A graph without the entries that are None (Norse and Sinabs leave ``input_shape`` so, nir 1.0.8 fails on it),
    its edges sorted (nirtorch gives them the order of a set)."""

    graph: object

    def to_dict(self) -> dict:
        def given(content: dict) -> dict:
            return {k: given(v) if isinstance(v, dict) else v for k, v in content.items() if v is not None}

        content = given(self.graph.to_dict())
        return content | {"edges": sorted(content["edges"])}


def spikes(shape: tuple[int, ...], seed: int, rate: float = 0.3) -> np.ndarray:
    """Random spikes, float32 ``(STEPS, *shape)``."""
    return (np.random.default_rng(seed).random((STEPS, *shape)) < rate).astype(np.float32)


def seeded(module, seed: int, gain: float = 1.0):
    """The module with its weights drawn anew, so large that every layer spikes."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d):
            fan_in = layer.weight[0].numel()
            scale = gain / np.sqrt(fan_in)
            layer.weight.data = scale * (0.3 + torch.randn(layer.weight.shape, generator=generator))
            if layer.bias is not None:
                layer.bias.data = 0.1 * torch.rand(layer.bias.shape, generator=generator)
    return module


def spread(n: int | tuple[int, ...], low: float, high: float, seed: int):
    """Random parameters of n neurons, float32."""
    import torch

    shape = (n,) if isinstance(n, int) else n
    return torch.tensor(np.random.default_rng(seed).uniform(low, high, shape), dtype=torch.float32)


def observe(net, modules: dict[str, object], inputs: np.ndarray, step: Callable) -> dict[str, np.ndarray]:
    """Run step by step and keep what the named modules send."""
    import torch

    sent: dict[str, list] = {name: [] for name in modules}
    hooks = []
    for name, module in modules.items():

        def keep(_module, _args, output, name=name):
            first = output[0] if isinstance(output, tuple) else output
            sent[name].append(first.detach().numpy().copy())

        hooks.append(module.register_forward_hook(keep))
    with torch.no_grad():
        state = None
        for x in inputs:
            state = step(net, torch.as_tensor(x), state)
    for hook in hooks:
        hook.remove()
    return {name: np.stack(values) for name, values in sent.items()}
