# SPDX-License-Identifier: Apache-2.0
"""A trainable diagonal state-space layer: S5, whose time steps are as long as the samples are apart.

Smith, Warrington and Linderman, "Simplified state space layers for sequence modeling", ICLR 2023, arXiv:2208.04933,
with the eigenvalues of S4D-Lin (Gu, Gupta, Goel and Re, "On the parameterization and initialization of diagonal state
space models", NeurIPS 2022, arXiv:2206.11893) and without the normalisation, which two layers can do without. The
equations are at the head of :mod:`liquid_spike_control.liquid.kernels`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

State = tuple[Tensor, ...]

#: Steps at the beginning, in nominal periods, log-uniform. The paper's are a tenth: its sequences have thousands of
#: samples, of which a control loop's memory needs tens.
STEPS = (0.01, 1.0)


class S5(nn.Module):
    """A diagonal state space of complex modes, solved exactly over each time span, and its gated output.

    Its state are the real and the imaginary parts of its modes, each ``(batch, units)``.

    Args:
        units: inputs, modes and outputs.
    """

    n_states = 2

    def __init__(self, units: int) -> None:
        super().__init__()
        self.log_rate = nn.Parameter(torch.full((units,), 0.5).log())
        self.frequency = nn.Parameter(math.pi * torch.arange(units).float())
        self.log_step = nn.Parameter(torch.empty(units).uniform_(*map(math.log, STEPS)))
        self.skip = nn.Parameter(torch.randn(units))
        self.input, self.output = nn.Linear(units, 2 * units, bias=False), nn.Linear(2 * units, units, bias=False)
        self.gate = nn.Linear(units, units)

    def forward(self, x: Tensor, span: Tensor, state: State) -> tuple[Tensor, State]:
        """Outputs ``(batch, time, units)`` and the new state, of inputs as wide and spans ``(batch, time, 1)``."""
        rate, step = self.log_rate.exp(), span * self.log_step.exp()
        kept, angle = torch.exp(-rate * step), self.frequency * step
        a, b = kept * torch.cos(angle), kept * torch.sin(angle)
        square = rate.square() + self.frequency.square()
        p, q = (b * self.frequency - (a - 1) * rate) / square, -((a - 1) * self.frequency + b * rate) / square
        u, v = self.input(x).chunk(2, 2)
        driven = zip(*(part.unbind(1) for part in (a, b, p * u - q * v, p * v + q * u)), strict=True)
        real, imaginary = state
        steps = []
        for a_k, b_k, u_k, v_k in driven:
            real, imaginary = a_k * real - b_k * imaginary + u_k, a_k * imaginary + b_k * real + v_k
            steps.append(torch.cat([real, imaginary], 1))
        y = functional.gelu(self.output(torch.stack(steps, 1)) + self.skip * x)
        return x + y * torch.sigmoid(self.gate(y)), (real, imaginary)
