# SPDX-License-Identifier: Apache-2.0
"""A trainable CUBA-LIF network in Loihi's form: one recurrent population and a leaky readout (torch).

Thresholds are 1 and weights are fractions of it. In the forward pass the weights lie on Loihi's grid (even 8 bit
mantissas, one scale for the population) and the decays on its 12 bit grid, so that the network that is trained is
the network that the chip runs, up to the truncation of its state; gradients pass straight through the rounding.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

#: Mixed-sign 8 bit weights of Loihi are even and lie in [-256, 254].
LARGEST_MANTISSA = 254


def _round_through(x: torch.Tensor) -> torch.Tensor:
    """Round; the gradient passes straight through."""
    return x + (torch.round(x) - x).detach()


def _logit(p: np.ndarray) -> torch.Tensor:
    return torch.tensor(np.log(p / (1 - p)), dtype=torch.float32)


class SpikingNetwork(nn.Module):
    """Axons -> recurrent CUBA-LIF population -> leaky readout.

    Args:
        input_weights: initial weights, shape ``(n_axons, n_neurons)``; zeros stay zero (no synapse).
        recurrent_mask: where recurrent synapses may be, shape ``(n_neurons, n_neurons)``.
        threshold: the integer threshold of the population; a weight of 1 is this many mantissa units, so the
            largest weight is ``254 / threshold``.
        synaptic_taus, membrane_taus: initial time constants [steps]; each is shared by a group of neurons.
        readout_taus: time constants of the traces of each feature [steps].
        n_features: how many numbers are read out.
        seed: of the initial weights.
    """

    mask_in: torch.Tensor
    mask_rec: torch.Tensor
    group: torch.Tensor

    def __init__(
        self,
        input_weights: np.ndarray,
        recurrent_mask: np.ndarray,
        threshold: int,
        synaptic_taus: np.ndarray,
        membrane_taus: np.ndarray,
        readout_taus: np.ndarray,
        n_features: int,
        seed: int,
    ) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)

        def tensor(x: np.ndarray) -> torch.Tensor:
            return torch.tensor(x, dtype=torch.float32)

        self.n_axons, self.n_neurons = input_weights.shape
        self.n_features, self.threshold = n_features, threshold
        n = self.n_neurons
        self.w_in = nn.Parameter(tensor(input_weights))
        self.register_buffer("mask_in", tensor(input_weights != 0))
        self.register_buffer("mask_rec", tensor(recurrent_mask != 0))
        fan_in = max(1.0, float(recurrent_mask.sum(0).mean()))
        self.w_rec = nn.Parameter(tensor(rng.normal(0, 0.3 / math.sqrt(fan_in), (n, n))))
        n_traces = n_features * len(readout_taus)
        self.w_out = nn.Parameter(tensor(rng.normal(0, 0.05 / math.sqrt(n), (n, n_traces))))
        self.register_buffer("group", torch.arange(n) % len(synaptic_taus))
        self.synaptic_logit = nn.Parameter(_logit(1 - np.exp(-1 / np.asarray(synaptic_taus, float))))
        self.membrane_logit = nn.Parameter(_logit(1 - np.exp(-1 / np.asarray(membrane_taus, float))))
        self.readout_logit = nn.Parameter(_logit(1 - np.exp(-1 / np.tile(np.asarray(readout_taus, float), n_features))))
        self.bias = nn.Parameter(torch.zeros(n))
        self.offset = nn.Parameter(torch.zeros(n_features))

    def effective(self) -> dict[str, torch.Tensor]:
        """Weights, decays and biases as the chip has them; differentiable by the parameters."""
        top = LARGEST_MANTISSA / self.threshold

        def on_grid(w: torch.Tensor) -> torch.Tensor:
            return 2 / self.threshold * _round_through(w.clamp(-top, top) * (self.threshold / 2))

        def decay(logit: torch.Tensor) -> torch.Tensor:
            return _round_through(torch.sigmoid(logit) * 4096).clamp(1, 4095) / 4096

        return {
            "w_in": on_grid(self.w_in * self.mask_in),
            "w_rec": on_grid(self.w_rec * self.mask_rec),
            "w_out": self.w_out,
            "du": decay(self.synaptic_logit)[self.group],
            "dv": decay(self.membrane_logit)[self.group],
            "dr": torch.sigmoid(self.readout_logit),
            "bias": _round_through(self.bias * (self.threshold * 64)) / (self.threshold * 64),
        }

    def read(self, traces: torch.Tensor) -> torch.Tensor:
        """Features from readout traces ``(..., n_features * n_taus)``, in units of the feature scales."""
        return traces.unflatten(-1, (self.n_features, -1)).sum(-1) + self.offset

    @torch.no_grad()
    def shrink(self, amount_in: np.ndarray, amount_rec: np.ndarray) -> None:
        """Move every weight towards zero, by an amount for each presynaptic axon or neuron (the proximal step of L1).

        Weights below half a grid step are no synapses: in the forward pass they are zero.
        """
        for weights, amount in ((self.w_in, amount_in), (self.w_rec, amount_rec)):
            bound = torch.from_numpy(amount.astype(np.float32))[:, None]
            weights.copy_(torch.nn.functional.relu(weights.abs() - bound) * weights.sign())

    @torch.no_grad()
    def prune(self, floor: float) -> None:
        """Set weights smaller than ``floor`` to zero; unless frozen, they may grow again."""
        for weights in (self.w_in, self.w_rec):
            weights[weights.abs() < floor] = 0.0

    @torch.no_grad()
    def freeze_synapses(self) -> None:
        """Freeze the present pattern of synapses: a missing synapse stays missing."""
        effective = self.effective()
        self.mask_in.copy_((effective["w_in"] != 0).to(self.mask_in.dtype))
        self.mask_rec.copy_((effective["w_rec"] != 0).to(self.mask_rec.dtype))
