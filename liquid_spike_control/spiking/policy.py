# SPDX-License-Identifier: Apache-2.0
"""The trainable spiking policy: population-coded observations, CUBA-LIF neurons, population-decoded commands (torch).

One control period is a fixed number of SNN steps: observations and elapsed time become spikes
(:mod:`.population_coding`), the neurons run (:mod:`.control_period`), and leaky traces of their spikes give the
commands, ``limit * tanh(sum of traces + offset)``. Weights and decays lie on Loihi's grid in the forward pass
(:class:`~.network.SpikingNetwork`), so that what is trained is what the chip runs, up to the truncation of its state.

A steady input raises the potential of a slow neuron more than that of a fast one, ``1 / (du dv)`` times. So that one
grid and one learning rate suit all neurons, each has a threshold in that proportion, and traces are averages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from . import control_period
from .graph import INPUT, CubaPopulation, Linear, SpikingGraph
from .network import SpikingNetwork
from .policy_file import ELAPSED_RANGE, POPULATION, SpikingArchitecture, SpikingControllerFile
from .population_coding import encode
from .readout import Readout

#: Charge of the encoders; current, membrane potential and spikes of the neurons; readout traces.
State = tuple[Tensor, ...]
#: Axons that spike in the steps of a period: where each step's begin, and who; see :func:`.population_coding.encode`.
_Spikes = tuple[np.ndarray, np.ndarray]

_WEIGHTS = ("w_in", "w_rec", "w_out", "du", "dv", "dr", "bias")
#: A parameter of 1 is a weight of so much, which makes the usual learning rates right.
STEP = 8.0
#: Spikes that one observation puts on its axons in a step, on average: the sum of its fields' rates.
_SPIKES_PER_FIELD_SET = 2.5


class SpikingPolicy(nn.Module):
    """From observations to limited commands, by spikes.

    Args:
        architecture: its sizes and initial time constants.
        observation_scales: what one unit of network input is, in each observation's unit.
        command_limits: greatest magnitude of each command, in its unit.
        nominal_period_s: control period [s] that counts as an elapsed time of 1.
        seed: of the initial weights.
    """

    scales: Tensor
    limits: Tensor
    thresholds: Tensor
    shares: Tensor

    def __init__(
        self,
        architecture: SpikingArchitecture,
        observation_scales: Sequence[float],
        command_limits: Sequence[float],
        nominal_period_s: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.nominal_period_s = float(nominal_period_s)
        # Held as float64 so that a file has the numbers that were given
        scales = torch.tensor(list(observation_scales), dtype=torch.float64)
        limits = torch.tensor(list(command_limits), dtype=torch.float64)
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("limits", limits, persistent=False)
        thresholds = torch.tensor(_thresholds(architecture), dtype=torch.float32)
        shares = STEP * np.tile(_decays(architecture.readout_taus), len(limits))
        self.register_buffer("thresholds", thresholds, persistent=False)
        self.register_buffer("shares", torch.tensor(shares, dtype=torch.float32), persistent=False)
        self.network = SpikingNetwork(
            _input_weights(architecture, len(scales), seed),
            _recurrent_mask(architecture),
            architecture.resolution,
            np.array(architecture.synaptic_taus),
            np.array(architecture.membrane_taus),
            np.array(architecture.readout_taus),
            n_features=len(limits),
            seed=seed,
        )

    def initial_state(self, batch: int) -> State:
        """Zeros, each part of shape ``(batch, its size)``."""
        net = self.network
        sizes = net.n_axons, net.n_neurons, net.n_neurons, net.n_neurons, net.w_out.shape[1]
        return tuple(net.w_in.new_zeros(batch, size) for size in sizes)

    def constrain(self) -> None:
        """Nothing: the grid is kept in the forward pass."""

    def inputs(self, observation: Tensor, elapsed: Tensor) -> Tensor:
        """Return coded inputs: scaled observations and logarithm of the elapsed time, ``(..., n_quantities)``."""
        dtype = self.network.w_in.dtype
        x = observation.to(dtype) / self.scales.to(dtype)
        if not self.architecture.elapsed_input:
            return x
        ratio = (elapsed / self.nominal_period_s).clamp(*ELAPSED_RANGE).to(dtype)
        return torch.cat([x, 2 * torch.log(ratio).unsqueeze(-1)], -1)

    def effective(self) -> dict[str, Tensor]:
        """Weights, decays and biases, scaled such that all thresholds are 1; differentiable by the parameters.

        The scaling is by powers of two, so that it changes no spike.
        """
        effective = self.network.effective()
        scaled = {name: effective[name] / self.thresholds for name in ("w_in", "w_rec", "bias")}
        return effective | scaled | {"w_out": effective["w_out"] * self.shares}

    def step(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One control period; see :meth:`~..training.policy.TrainablePolicy.step`."""
        commands, state = self(observation.unsqueeze(1), elapsed.unsqueeze(1), state)
        return commands.squeeze(1), state

    def forward(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """A sequence of control periods; see :meth:`~..training.policy.TrainablePolicy.__call__`."""
        charge, *neurons = state or self.initial_state(len(observation))
        charge, spikes = _spikes(self.inputs(observation, elapsed), charge, self.architecture)
        effective = self.effective()
        weights = (effective[name] for name in _WEIGHTS)
        lowest = self.architecture.lowest_potential / self.thresholds
        traces, *neurons = _ControlPeriods.apply(self.architecture.steps, spikes, lowest, *neurons, *weights)
        commands = torch.tanh(self.network.read(traces)) * self.limits.to(traces.dtype)
        return commands, (charge, *neurons)

    def feature_state(self, batch: int) -> State:
        """Zeros, of :meth:`features`: as :meth:`initial_state`, but a trace of each neuron and time constant."""
        *neurons, _ = self.initial_state(batch)
        n_traces = self.network.n_neurons * len(self.architecture.readout_taus)
        return *neurons, self.network.w_in.new_zeros(batch, n_traces)

    @torch.no_grad()
    def features(self, observation: Tensor, elapsed: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Averaging traces of every neuron after each period, those of the first time constant first; no gradient.

        Args:
            observation, elapsed: as for :meth:`forward`.
            state: from the piece before; ``None`` begins an episode.

        Returns:
            ``(batch, time, n_features)``, of which the commands are a linear map and its tanh, and the new state.
        """
        charge, *neurons = state or self.feature_state(len(observation))
        charge, spikes = _spikes(self.inputs(observation, elapsed), charge, self.architecture)
        n, n_taus = self.network.n_neurons, len(self.architecture.readout_taus)
        effective, shares = self.effective(), self.shares[:n_taus].repeat_interleave(n)
        effective["w_out"] = torch.eye(n, dtype=shares.dtype).repeat(1, n_taus) * shares
        effective["dr"] = effective["dr"][:n_taus].repeat_interleave(n)
        lowest = self.architecture.lowest_potential / self.thresholds
        weights = (effective[name] for name in _WEIGHTS)
        traces, *neurons = _ControlPeriods.apply(self.architecture.steps, spikes, lowest, *neurons, *weights)
        return traces, (charge, *neurons)

    @torch.no_grad()
    def set_readout(self, weights: Tensor, offset: Tensor) -> None:
        """Take the linear map from :meth:`features` to outputs, ``(n_commands, n_features)`` and ``(n_commands,)``."""
        by_trace = weights.unflatten(1, (len(self.architecture.readout_taus), -1)).flatten(0, 1)
        self.network.w_out.copy_(by_trace.T)
        self.network.offset.copy_(offset)

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
    ) -> SpikingControllerFile:
        """Return the policy for :func:`.policy_file.write_spiking_controller`.

        The arguments are those of :class:`~..controller_description.ControllerDescription`; the rest is the policy's.

        Raises:
            ModelError: the parts do not fit each other, or a weight is not finite.
        """
        with torch.no_grad():
            effective = self.network.effective() | {"w_out": self.effective()["w_out"]}
            w = {name: x.double().cpu().numpy() for name, x in effective.items()}
            vth = self.thresholds.double().cpu().numpy()
            offset = self.network.offset.double().cpu().numpy()
        graph = SpikingGraph(
            self.network.n_axons,
            {POPULATION: CubaPopulation(w["du"], w["dv"], vth, w["bias"])},
            [Linear(INPUT, POPULATION, w["w_in"].T), Linear(POPULATION, POPULATION, w["w_rec"].T)],
            outputs=(POPULATION,),
        )
        mix = np.kron(np.eye(len(self.limits)), np.ones(len(self.architecture.readout_taus)))
        return SpikingControllerFile(
            observation_names=tuple(observation_names),
            observation_units=tuple(observation_units),
            observation_scales=tuple(self.scales.tolist()),
            command_names=tuple(command_names),
            command_units=tuple(command_units),
            command_limits=tuple(self.limits.tolist()),
            nominal_period_s=self.nominal_period_s,
            task=task,
            training_command=training_command,
            training_seeds=training_seeds,
            architecture=self.architecture,
            graph=graph,
            readout=Readout(w["w_out"].T, w["dr"], mix, offset),
        )


def _spikes(x: Tensor, charge: Tensor, architecture: SpikingArchitecture) -> tuple[Tensor, list[_Spikes]]:
    """The charge after the periods of ``x``, ``(batch, time, n_quantities)``, and the axons' spikes in each of them.

    They spike in all steps of a period but the last.
    """
    n_steps = architecture.steps - 1
    after = charge.detach().cpu().numpy().copy()
    numbers = x.detach().cpu().numpy()
    periods = []
    for k in range(numbers.shape[1]):
        indptr = np.empty((len(after), n_steps + 1), np.int64)
        ids = np.empty((len(after), after.shape[1] * n_steps), np.int32)
        encode(np.ascontiguousarray(numbers[:, k]), architecture.fields, n_steps, after, indptr, ids)
        periods.append((indptr, ids))
    return torch.from_numpy(after).to(charge.device), periods


class _ControlPeriods(torch.autograd.Function):
    """:mod:`.control_period`, period after period, as one node of an autograd graph.

    It runs on the processor, wherever the tensors are. Its outputs are the readout traces after each period,
    ``(batch, time, n_traces)``, and the state after the last.
    """

    @staticmethod
    def forward(ctx, n_steps, spikes, lowest, u, v, s, r, *weights):
        w = [np.ascontiguousarray(x.detach().cpu().numpy()) for x in (*weights, lowest)]
        before = [x.detach().cpu().numpy() for x in (u, v, s, r)]
        states = []
        for indptr, ids in spikes:
            state = [np.empty((len(x), n_steps + 1, x.shape[1]), w[0].dtype) for x in before]
            for whole, x in zip(state, before, strict=True):
                whole[:, 0] = x
            control_period.forward(indptr, ids, *w, *state)
            before = [whole[:, -1] for whole in state]
            states.append(state)
        ctx.run = spikes, w, states
        traces = np.stack([r[:, -1] for *_, r in states], 1)
        return tuple(torch.from_numpy(x.copy()).to(u.device) for x in (traces, *before))

    @staticmethod
    def backward(ctx, g_traces, *grads):
        spikes, w, states = ctx.run
        _, w_rec, w_out, du, dv, dr, _, lowest = w
        by_traces = g_traces.cpu().numpy()
        by_state = [g.cpu().numpy().copy(order="C") for g in grads]
        by_weights = [np.zeros_like(x) for x in w[:-1]]
        for k in range(len(spikes) - 1, -1, -1):
            by_state[3] += by_traces[:, k]
            control_period.backward(*spikes[k], w_rec, w_out, du, dv, dr, lowest, *states[k], *by_state, *by_weights)
        device = grads[0].device
        return (None, None, None, *(torch.from_numpy(g).to(device) for g in (*by_state, *by_weights)))


def _recurrent_mask(architecture: SpikingArchitecture) -> np.ndarray:
    """Return which synapses between neurons may exist: from each layer to the next and, if recurrent, within it."""
    ends = np.cumsum([0, *architecture.units])
    layer = np.repeat(np.arange(len(architecture.units)), architecture.units)
    mask = layer[:, None] + 1 == layer[None, :]
    if architecture.recurrent:
        mask |= (layer[:, None] == layer[None, :]) & ~np.eye(ends[-1], dtype=bool)
    return mask


def _decays(taus: Sequence[float]) -> np.ndarray:
    return 1 - np.exp(-1 / np.array(taus, float))


def _thresholds(architecture: SpikingArchitecture) -> np.ndarray:
    """Of all neurons, powers of two: what a steady input of 1 / :data:`STEP` comes to."""
    gains = 1 / (_decays(architecture.synaptic_taus) * _decays(architecture.membrane_taus))
    return np.resize(2.0 ** np.rint(np.log2(gains)) / STEP, sum(architecture.units))


def _input_weights(architecture: SpikingArchitecture, n_observations: int, seed: int) -> np.ndarray:
    """Random weights into the first layer that bring the neurons near their thresholds."""
    n_axons, n_first, n = architecture.n_axons(n_observations), architecture.units[0], sum(architecture.units)
    spikes = _SPIKES_PER_FIELD_SET * n_axons / architecture.fields
    weights = np.zeros((n_axons, n))
    weights[:, :n_first] = np.random.default_rng([seed, 1]).normal(size=(n_axons, n_first)) / np.sqrt(spikes) / STEP
    return weights
