# SPDX-License-Identifier: Apache-2.0
"""Sequence models: this package's trainable controllers before their limits, and GRU-D, under one interface."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ...liquid.architecture import Architecture
from ...liquid.cells import State
from ...liquid.policies import Policy, new_policy
from .gru_d import GruD
from .sequences import Sequences

#: Steps that all sequences of a batch take together before those that have ended are dropped from it.
SEGMENT = 4


class SequenceModel(nn.Module):
    """A recurrent layer and a linear readout.

    Args:
        architecture: of a controller, or the number of units of a GRU-D.
        n_inputs, n_targets: of the task.
        time_unit: elapsed time that counts as 1.
        seed: of the weights.
    """

    def __init__(
        self, architecture: Architecture | int, n_inputs: int, n_targets: int, time_unit: float, seed: int
    ) -> None:
        super().__init__()
        self.time_unit = time_unit
        self.layer: Policy | GruD
        if isinstance(architecture, Architecture):
            self.layer = new_policy(architecture, [1.0] * n_inputs, [1.0] * n_targets, time_unit, seed)
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layer = GruD(n_inputs, architecture)
            self.readout = nn.Linear(architecture, n_targets)

    def forward(self, sequences: Sequences) -> Tensor:
        """Return the outputs where the sequences have targets, in the targets' shape; the longest must come first."""
        inputs, elapsed = torch.from_numpy(sequences.inputs), torch.from_numpy(sequences.elapsed)
        lengths = sequences.lengths
        if sequences.every_step:
            return self._readout(self._features(inputs, elapsed, None)[0])
        state, answers = None, []
        for begin in range(0, lengths[0], SEGMENT):
            left, later = (int(np.count_nonzero(lengths > step)) for step in (begin, begin + SEGMENT))
            steps = slice(begin, begin + SEGMENT)
            state = state and tuple(part[:left] for part in state)
            features, state = self._features(inputs[:left, steps], elapsed[:left, steps], state)
            last = torch.from_numpy(lengths[later:left]) - 1 - begin
            answers.append(features[torch.arange(later, left), last])
        return self._readout(torch.cat(answers[::-1]))

    def _features(self, inputs: Tensor, elapsed: Tensor, state: State | None) -> tuple[Tensor, State]:
        if isinstance(self.layer, Policy):
            return self.layer.features(inputs, elapsed, state)
        return self.layer(inputs, elapsed / self.time_unit, state)

    def _readout(self, features: Tensor) -> Tensor:
        return self.layer.project(features) if isinstance(self.layer, Policy) else self.readout(features)

    def constrain(self) -> None:
        """Bring the weights back to where they mean something; after each optimiser step."""
        if isinstance(self.layer, Policy):
            self.layer.constrain()

    @property
    def n_parameters(self) -> int:
        """Trained numbers."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)
