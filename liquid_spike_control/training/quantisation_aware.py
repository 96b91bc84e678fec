# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of any torch model with its weights on Loihi's grid.

In the forward pass a weight is the nearest one that Loihi can store, a decay the nearest of 12 bits; gradients pass
straight through the rounding (Bengio et al. 2013, arXiv:1308.3432), so that an optimiser goes on moving the weights
behind it. The layers stay where they are: whatever trains the model goes on training it.

>>> scales = quantisation_aware(model, num_weight_bits=3, joint=[("input", "recurrent")])
>>> ...  # train as before, for a few epochs
>>> bake(model)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from ..errors import ModelError
from ..neuromorphic.quantisation.grid import on_grid

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
Sign = Literal["mixed", "excitatory", "inhibitory"]


def _round_through(x: torch.Tensor) -> torch.Tensor:
    """Round; the gradient passes straight through."""
    return x + (torch.round(x) - x).detach()


class WeightGrid(nn.Module):
    """Weights that Loihi can store: ``scale`` times an integer.

    Args:
        scale: weight of one integer unit.
        num_weight_bits: 1 .. 8.
        sign: ``"mixed"`` integers lie in -256 .. 255 and have one bit less, the others on one side of 0.

    Raises:
        ModelError: the number of bits is out of range, or the weights of 1 bit are mixed.
    """

    def __init__(self, scale: float, num_weight_bits: int, sign: Sign = "mixed") -> None:
        super().__init__()
        if not 1 + (sign == "mixed") <= num_weight_bits <= 8:
            raise ModelError(f"num_weight_bits is {num_weight_bits}; give 1 .. 8, with weights of both signs 2 .. 8")
        self.num_weight_bits, self.sign = num_weight_bits, sign
        step = 2 ** (8 - num_weight_bits + (sign == "mixed"))
        self.step = scale * step
        most = 256 // step - 1
        self.low, self.high = {
            "mixed": (-256 // step, most),
            "excitatory": (0, most),
            "inhibitory": (-most, 0),
        }[sign]

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The nearest weights on the grid."""
        return self.step * _round_through((weight / self.step).clamp(self.low, self.high))

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights to start from: those beyond the grid at its end, where gradients still reach them."""
        return weight.clamp(self.step * self.low, self.step * self.high)


class DecayGrid(nn.Module):
    """Fractions of 4096: what is kept or lost of a current or voltage in a step."""

    def forward(self, decay: torch.Tensor) -> torch.Tensor:
        """The nearest decay of 12 bits."""
        return _round_through(decay.clamp(0, 1) * 4096) / 4096

    def right_inverse(self, decay: torch.Tensor) -> torch.Tensor:
        """The decay to start from."""
        return decay.clamp(0, 1)


def best_scale(weight: np.ndarray, num_weight_bits: int) -> float:
    """The weight of one integer unit that makes the mean square of the rounding and clipping least."""
    peak = float(np.abs(weight).max(initial=0)) or 1.0
    scales = peak / 255 * np.geomspace(2, 0.1, 60)
    errors = [((on_grid(weight, s, num_weight_bits)[0] * s - weight) ** 2).sum() for s in scales]
    return float(scales[int(np.argmin(errors))])


def quantisation_aware(
    module: nn.Module,
    num_weight_bits: int | Mapping[str, int] = 8,
    weight_scale: Mapping[str, float] | None = None,
    threshold: float | Mapping[str, float] | None = None,
    joint: Sequence[Sequence[str]] = (),
    decays: Sequence[str] = (),
) -> dict[str, float]:
    """Put the weights of all linear and convolution layers on Loihi's grid, in place.

    The sign mode of a layer is that of its weights: those of one sign keep it. Biases are 64 times finer than weights
    and stay as they are.

    Args:
        module: any torch model; layers are named as by ``named_modules``.
        num_weight_bits: 1 .. 8, one number, or one a layer (layers that are not named stay as they are).
        weight_scale: for some layers the weight of one integer unit; for the others the one that loses least.
        threshold: of the neurons that the layers feed, one number or one a layer: scales are changed a little such
            that it is a whole number of units.
        joint: groups of layers that feed the same neurons; their scales become powers of two of each other, which
            exponents reach.
        decays: qualified names of parameters or buffers that are decays, e.g. ``"lif1.beta"``.

    Returns:
        For each layer the weight of one integer unit, for joint layers the finest of theirs: ``weight_scale`` of
        :func:`~..neuromorphic.quantisation.quantize.quantise` for the population that the layer feeds.

    Raises:
        ModelError: a layer or decay is not there, bits are out of range, or 1-bit weights have both signs.
    """
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, LAYERS)}
    bits = dict.fromkeys(layers, num_weight_bits) if isinstance(num_weight_bits, int) else dict(num_weight_bits)
    for name in [*bits, *(weight_scale or {}), *(name for group in joint for name in group)]:
        if name not in layers:
            raise ModelError(f"{name} is no linear or convolution layer; there are {list(layers)}")
    scales = {}
    for name, n_bits in bits.items():
        weight = layers[name].weight.detach().double().numpy()
        if not 1 + (weight.min() < 0 < weight.max()) <= n_bits <= 8:
            raise ModelError(f"{name}: {n_bits} weight bits; give 1 .. 8, with weights of both signs 2 .. 8")
        scales[name] = (weight_scale or {}).get(name) or best_scale(weight, n_bits)
        top = threshold.get(name) if isinstance(threshold, Mapping) else threshold
        if top is not None and name not in (weight_scale or {}):
            scales[name] = top / max(1, round(top / scales[name]))
    units = dict(scales)
    for group in joint:
        unit = min(scales[name] for name in group)
        for name in group:
            scales[name] = unit * 2.0 ** round(np.log2(scales[name] / unit))
            units[name] = unit
    for name, n_bits in bits.items():
        low, high = (float(x) for x in layers[name].weight.detach().aminmax())
        sign: Sign = "mixed" if low < 0 < high else "excitatory" if low >= 0 else "inhibitory"
        parametrize.register_parametrization(layers[name], "weight", WeightGrid(scales[name], n_bits, sign))
    for qualified in decays:
        owner, _, tensor = qualified.rpartition(".")
        try:
            parametrize.register_parametrization(module.get_submodule(owner), tensor, DecayGrid())
        except (AttributeError, ValueError):
            raise ModelError(f"{qualified} is no parameter or buffer of the model; check the name") from None
    return units


def bake(module: nn.Module) -> None:
    """Leave the weights and decays on their grids as plain tensors, in place."""
    for part in list(module.modules()):
        if not parametrize.is_parametrized(part):
            continue
        for name, chain in list(part.parametrizations.items()):  # type: ignore[operator, union-attr]
            if any(isinstance(link, WeightGrid | DecayGrid) for link in chain):
                parametrize.remove_parametrizations(part, name, leave_parametrized=True)
