# SPDX-License-Identifier: Apache-2.0
"""GRU-D: a gated recurrent unit whose state decays between observations.

    gamma = exp(-max(0, w_gamma dt + b_gamma))
    h~ = gamma * h
    r, z = sigmoid(W_rz x + U_rz h~ + b_rz)
    h' = (1 - z) h~ + z tanh(W x + U (r h~) + b)

In these tasks whole observations are missing, never some of their entries; so the decay of missing inputs towards
their means and the mask input of the paper have nothing to do, and are left out.

Source: Che et al., "Recurrent neural networks for multivariate time series with missing values", Scientific Reports
2018, equations 10 to 14.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GruD(nn.Module):
    """The recurrent layer; each unit has a decay of its own.

    Args:
        n_inputs: of a step.
        units: of the hidden state.
    """

    def __init__(self, n_inputs: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.decay = nn.Linear(1, units)
        self.driven = nn.Linear(n_inputs, 3 * units)
        self.gates = nn.Linear(units, 2 * units, bias=False)
        self.candidate = nn.Linear(units, units, bias=False)
        nn.init.uniform_(self.decay.weight, 0.0, 1.0)  # a negative one would give no decay, and no gradient
        nn.init.zeros_(self.decay.bias)
        for weight in (self.driven.weight, self.gates.weight, self.candidate.weight):
            nn.init.xavier_uniform_(weight)

    def forward(
        self, inputs: Tensor, elapsed: Tensor, state: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Hidden states ``(batch, time, units)``, and the last one as the new state.

        Args:
            inputs: ``(batch, time, n_inputs)``.
            elapsed: ``(batch, time)``, in units in which a typical one is about 1.
            state: from the piece before; ``None`` begins a sequence.
        """
        decays = torch.exp(-torch.relu(self.decay(elapsed.unsqueeze(-1)))).unbind(1)
        (hidden,) = state or (inputs.new_zeros(len(inputs), self.units),)
        states = []
        for driven, decay in zip(self.driven(inputs).unbind(1), decays, strict=True):
            hidden = decay * hidden
            gates, candidate = driven.split((2 * self.units, self.units), 1)
            reset, update = torch.sigmoid(gates + self.gates(hidden)).chunk(2, 1)
            candidate = torch.tanh(candidate + self.candidate(reset * hidden))
            hidden = torch.lerp(hidden, candidate, update)
            states.append(hidden)
        return torch.stack(states, 1), (hidden,)
