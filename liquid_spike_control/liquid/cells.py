# SPDX-License-Identifier: Apache-2.0
"""The trainable liquid controller: ncps cells, with elapsed time done right.

The equations are at the head of :mod:`liquid_spike_control.liquid.kernels`, which runs the same network
without torch. ``ncps.torch.CfC`` mixes up batch and units when it is given time spans, so its two cells are
called here directly, with time spans of shape ``(batch, 1)``. Elapsed time enters twice: as the time span of
the CfC gate and as an input, which is what lets a network trained with irregular periods use it.

Sources: Hasani et al., "Closed-form continuous-time neural networks", Nature Machine Intelligence 2022;
Lechner and Hasani, "Learning long-term dependencies in irregularly-sampled time series", arXiv:2006.04418.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ncps.torch import CfCCell
from ncps.torch.lstm import LSTMCell
from torch import Tensor, nn

from ..checkpoint import ControllerFile
from .kernels import ELAPSED_RANGE

State = tuple[Tensor, Tensor]


class CfCMixedMemory(nn.Module):
    """A CfC with an LSTM memory before it, from observations to limited commands.

    Args:
        observation_scales: what one unit of network input is, in each observation's unit.
        command_limits: greatest magnitude of each command, in its unit; the output is ``limit * tanh(...)``.
        nominal_period_s: period [s] that counts as an elapsed time of 1.
        units: size of the hidden state and of the memory cell.
        backbone_units, backbone_layers: of the CfC backbone, at least one layer.
    """

    scales: Tensor
    limits: Tensor

    def __init__(
        self,
        observation_scales: Sequence[float],
        command_limits: Sequence[float],
        nominal_period_s: float,
        units: int = 32,
        backbone_units: int = 128,
        backbone_layers: int = 1,
    ):
        super().__init__()
        if backbone_layers < 1:
            raise ValueError(f"backbone_layers must be at least 1, not {backbone_layers}")
        self.nominal_period_s = float(nominal_period_s)
        self.units, self.backbone_units, self.backbone_layers = units, backbone_units, backbone_layers
        # Held as float64 so that a file has the numbers that were given, and kept out of the trained tensors.
        scales = torch.tensor(list(observation_scales), dtype=torch.float64)
        limits = torch.tensor(list(command_limits), dtype=torch.float64)
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("limits", limits, persistent=False)
        n_inputs = len(self.scales) + 1
        self.lstm = LSTMCell(n_inputs, units)
        self.cell = CfCCell(n_inputs, units, backbone_units=backbone_units, backbone_layers=backbone_layers)
        self.project = nn.Linear(units, len(self.limits))

    def initial_state(self, batch: int) -> State:
        """Zeros: hidden state and memory cell, each ``(batch, units)``."""
        zeros = self.project.weight.new_zeros(batch, self.units)
        return zeros, zeros

    def inputs(self, observation: Tensor, elapsed: Tensor) -> Tensor:
        """Scaled observations and elapsed time in nominal periods, last: ``(..., n_observations + 1)``."""
        ratio = (elapsed / self.nominal_period_s).clamp(*ELAPSED_RANGE)
        dtype = self.project.weight.dtype
        return torch.cat([observation.to(dtype) / self.scales.to(dtype), ratio.unsqueeze(-1).to(dtype)], -1)

    def step(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One step of a closed loop.

        Args:
            observation: ``(batch, n_observations)``.
            elapsed: ``(batch,)``, seconds since the observation before.
            state: from the step before; ``None`` begins an episode.

        Returns:
            Commands ``(batch, n_commands)`` within the limits, and the new state.
        """
        state = state or self.initial_state(len(observation))
        hidden, state = self._advance(self.inputs(observation, elapsed), state)
        return self._command(hidden), state

    def forward(
        self, observation: Tensor, elapsed: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """A sequence of steps; fed in pieces with the state carried over, it gives what the whole gives.

        Args:
            observation: ``(batch, time, n_observations)``.
            elapsed: ``(batch, time)``, seconds since the observation before.
            state: from the piece before; ``None`` begins an episode.

        Returns:
            Commands ``(batch, time, n_commands)`` within the limits, and the new state.
        """
        state = state or self.initial_state(len(observation))
        hidden = []
        for x in self.inputs(observation, elapsed).unbind(1):
            h, state = self._advance(x, state)
            hidden.append(h)
        return self._command(torch.stack(hidden, 1)), state

    def _advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, memory = self.lstm(x, state)
        hidden, _ = self.cell(x, hidden, x[:, -1:])
        return hidden, (hidden, memory)

    def _command(self, hidden: Tensor) -> Tensor:
        return torch.tanh(self.project(hidden)) * self.limits.to(hidden.dtype)

    def to_file(
        self,
        *,
        observation_names: Sequence[str],
        observation_units: Sequence[str],
        command_names: Sequence[str],
        command_units: Sequence[str],
        task: str,
        training_command: str,
        training_seeds: tuple[int, int],
    ) -> ControllerFile:
        """What :func:`liquid_spike_control.checkpoint.write_controller` writes.

        Args:
            observation_names: of each input, in order.
            observation_units: of each input.
            command_names: of each output, in order.
            command_units: of each output.
            task: what it was trained on.
            training_command: the command line that made it.
            training_seeds: first and last seed of the training episodes.

        Raises:
            ModelError: the parts do not fit each other, or a weight is not finite.
        """
        return ControllerFile(
            observation_names=tuple(observation_names),
            observation_units=tuple(observation_units),
            observation_scales=tuple(self.scales.tolist()),
            command_names=tuple(command_names),
            command_units=tuple(command_units),
            command_limits=tuple(self.limits.tolist()),
            nominal_period_s=self.nominal_period_s,
            task=task,
            units=self.units,
            backbone_units=self.backbone_units,
            backbone_layers=self.backbone_layers,
            training_command=training_command,
            training_seeds=training_seeds,
            tensors={k: v.detach().cpu().float().numpy().copy() for k, v in self.state_dict().items()},
        )

    @classmethod
    def from_file(cls, file: ControllerFile) -> CfCMixedMemory:
        """The network of a controller file, to train on or to compare with."""
        network = cls(
            file.observation_scales,
            file.command_limits,
            file.nominal_period_s,
            file.units,
            file.backbone_units,
            file.backbone_layers,
        )
        network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in file.tensors.items()})
        return network
