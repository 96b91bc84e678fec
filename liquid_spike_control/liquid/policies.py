# SPDX-License-Identifier: Apache-2.0
"""Trainable controllers of any architecture: scaled observations and elapsed time in, limited commands out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..checkpoint import ControllerFile
from .architecture import ELAPSED_RANGE, Architecture, wirings_of
from .cells import LTC, Layer, Recurrent, new_layer
from .state_space import State
from .wiring import Wiring, WiringPlan


class Policy(nn.Module):
    """A network from observations to commands; made by :func:`new_policy` or :func:`read_policy`.

    Attributes:
        architecture: what it is made of.
        scales: float64 ``(n_observations,)``, what one unit of network input is, in each observation's unit.
        limits: float64 ``(n_commands,)``, greatest magnitude of each command, in its unit.
        nominal_period_s: period [s] that counts as an elapsed time of 1.
    """

    scales: Tensor
    limits: Tensor
    layers: Sequence[Layer]

    def __init__(
        self,
        architecture: Architecture,
        observation_scales: Sequence[float],
        command_limits: Sequence[float],
        nominal_period_s: float,
        wirings: Sequence[Wiring | None],
    ):
        super().__init__()
        self.architecture, self.nominal_period_s = architecture, float(nominal_period_s)
        # float64, so that a file has the numbers that were given; not persistent, as they are no weights.
        for name, values in (("scales", observation_scales), ("limits", command_limits)):
            self.register_buffer(name, torch.tensor([float(v) for v in values], dtype=torch.float64), persistent=False)
        n_observations, n_commands = len(self.scales), len(self.limits)
        widths, stages = architecture.layer_inputs(n_observations, n_commands), architecture.stages(n_commands)
        if architecture.encoder_units:
            n_inputs = architecture.stacked * architecture.sample_inputs(n_observations)
            self.encode = nn.Linear(n_inputs, architecture.encoder_units)
        full, layers = WiringPlan("fully_connected"), []
        for k, (n, wiring) in enumerate(zip(widths, wirings, strict=True)):
            wiring = wiring or full.build(n, architecture.units, n_commands, k)
            layers.append(new_layer(architecture, n, stages, wiring))
        self.layers = nn.ModuleList(layers)  # type: ignore[assignment]
        self.project = nn.Linear(stages[-1], n_commands)

    def initial_state(self, batch: int) -> State:
        """Zeros: for each layer the hidden state and the memory cell, if it has them, each ``(batch, units)``; or the
        samples before, ``(batch, (stacked - 1) * n_inputs)``.
        """
        sizes = self.architecture.state_sizes(len(self.scales))
        return tuple(self.project.weight.new_zeros(batch, n) for n in sizes)

    def inputs(self, observation: Tensor, elapsed: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs of the first layer, ``(..., n_inputs)``, and the cells' time spans ``(..., 1)``."""
        dtype = self.project.weight.dtype
        ratio = (elapsed / self.nominal_period_s).clamp(*ELAPSED_RANGE).unsqueeze(-1).to(dtype)
        x = observation.to(dtype) / self.scales.to(dtype)
        if self.architecture.elapsed_input:
            x = torch.cat([x, ratio], -1)
        span = ratio if self.architecture.elapsed_span else torch.ones_like(ratio)
        return x, span * self.architecture.period_span

    def step(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One step of a closed loop.

        Args:
            observation: ``(batch, n_observations)``.
            elapsed: ``(batch,)``, seconds since the observation before.
            state: from the step before; ``None`` begins an episode.

        Returns:
            Commands ``(batch, n_commands)`` within the limits, and the new state.

        Raises:
            ValueError: an argument has another shape.
        """
        if observation.ndim != 2 or elapsed.ndim != 1:
            expected = f"(batch, {len(self.scales)}) and (batch,)"
            raise ValueError(
                f"observation and elapsed have shapes {expected}, not {tuple(observation.shape)} and "
                f"{tuple(elapsed.shape)}"
            )
        command, state = self(observation.unsqueeze(1), elapsed.unsqueeze(1), state)
        return command.squeeze(1), state

    def forward(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """A sequence of steps; fed in pieces with the state carried over, it gives what the whole gives.

        Args:
            observation: ``(batch, time, n_observations)``.
            elapsed: ``(batch, time)``, seconds since the observation before.
            state: from the piece before; ``None`` begins an episode.

        Returns:
            Commands ``(batch, time, n_commands)`` within the limits, and the new state.
        """
        output, state = self.outputs(observation, elapsed, state)
        output = torch.tanh(output) if self.architecture.output == "tanh" else output.clamp(-1, 1)
        return output * self.limits.to(output.dtype), state

    def outputs(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """As :meth:`forward`, but before the output is limited; 1 is a command at its limit."""
        hidden, state = self.features(observation, elapsed, state)
        return self.project(hidden), state

    def features(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the output of the last layer, ``(batch, time, n_outputs)``, and the new state."""
        self._check(observation, elapsed, state)
        x, span = self.inputs(observation, elapsed)
        left = self.initial_state(len(x)) if state is None else state
        new: State = ()
        if self.architecture.stacked > 1:
            x, past = _stacked(x, left[0], self.architecture.stacked)
            new = (past,)
        if self.architecture.encoder_units:
            x = self.encode(x)
        for layer in self.layers:
            own, left = left[: layer.n_states], left[layer.n_states :]
            x, own = layer(x, span, own)
            new += own
        return x, new

    def feature_state(self, batch: int) -> State:
        """As :meth:`initial_state`: what :meth:`features` remembers."""
        return self.initial_state(batch)

    @torch.no_grad()
    def set_readout(self, weights: Tensor, offset: Tensor) -> None:
        """Take the linear map from features to outputs, ``(n_commands, n_features)`` and ``(n_commands,)``."""
        self.project.weight.copy_(weights)
        self.project.bias.copy_(offset)

    def _check(self, observation: Tensor, elapsed: Tensor, state: State | None) -> None:
        """Refuse wrong shapes.

        Raises:
            ValueError: which of the arguments has one, and what it should be.
        """
        n = len(self.scales)
        if observation.ndim != 3 or observation.shape[-1] != n or 0 in observation.shape:
            raise ValueError(f"observation has shape (batch, time, {n}), not {tuple(observation.shape)}")
        if elapsed.shape != observation.shape[:2]:
            raise ValueError(f"elapsed has shape {tuple(observation.shape[:2])}, not {tuple(elapsed.shape)}")
        sizes = self.architecture.state_sizes(n)
        expected = [(len(observation), size) for size in sizes]
        if state is not None and [tuple(part.shape) for part in state] != expected:
            raise ValueError(f"state has parts of shapes {expected}, not {[tuple(part.shape) for part in state]}")

    def constrain(self) -> None:
        """Bring the weights back to where they mean something; to be called after each step of an optimiser."""
        for layer in self.layers:
            if isinstance(layer, Recurrent) and isinstance(layer.cell, LTC):
                layer.cell.constrain()

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
        """Return the controller for :func:`liquid_spike_control.checkpoint.write_controller`.

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
            architecture=self.architecture,
            training_command=training_command,
            training_seeds=training_seeds,
            tensors={
                name: (value.float() if value.is_floating_point() else value).detach().cpu().numpy().copy()
                for name, value in self.state_dict().items()
            },
        )


def _stacked(x: Tensor, past: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Each sample of ``(batch, time, width)`` beside the ``n - 1`` before it, the newest first; and the last of them.

    Args:
        x: the samples.
        past: those before, the newest first, ``(batch, (n - 1) * width)``.
        n: how many are put side by side.
    """
    time = x.shape[1]
    whole = torch.cat([past.unflatten(1, (n - 1, -1)).flip(1), x], 1)
    stack = torch.cat([whole[:, n - 1 - k : n - 1 - k + time] for k in range(n)], -1)
    return stack, whole[:, -(n - 1) :].flip(1).flatten(1)


def new_policy(
    architecture: Architecture,
    observation_scales: Sequence[float],
    command_limits: Sequence[float],
    nominal_period_s: float,
    seed: int,
) -> Policy:
    """An untrained policy; the same seed gives the same weights, and torch's own random numbers are left alone.

    Args:
        architecture: what it is made of.
        observation_scales: what one unit of network input is, in each observation's unit.
        command_limits: greatest magnitude of each command, in its unit.
        nominal_period_s: period [s] that counts as an elapsed time of 1.
        seed: of the weights.

    Raises:
        ModelError: the wiring cannot be drawn for so many observations and commands.
    """
    wirings = architecture.wirings(len(observation_scales), len(command_limits))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Policy(architecture, observation_scales, command_limits, nominal_period_s, wirings)


def read_policy(file: ControllerFile) -> Policy:
    """The network of a controller file, to train on or to compare with."""
    wirings = wirings_of(file.architecture, file.tensors, len(file.command_names))
    with torch.random.fork_rng(devices=[]):
        policy = Policy(
            file.architecture, file.observation_scales, file.command_limits, file.nominal_period_s, wirings
        )
    policy.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in file.tensors.items()})
    return policy
