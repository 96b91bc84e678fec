# SPDX-License-Identifier: Apache-2.0
"""The trainable layers of liquid and other recurrent networks, with elapsed time done right.

The equations are at the head of :mod:`liquid_spike_control.liquid.kernels`, which runs the same cells without torch.
They are those of ncps, to rounding. ``ncps.torch.CfC`` mixes up batch and units when it is given time spans; here a
time span belongs to its row of the batch. What depends only on inputs and weights is computed for a whole sequence
at once; only what depends on the state goes step by step. On the processor, sequences of an LTC run compiled
(:mod:`.bptt`), as an autograd graph of all its synapses would take five times as long.

Sources: Hasani et al., "Closed-form continuous-time neural networks", Nature Machine Intelligence 2022 (CfC);
Hasani et al., "Liquid time-constant networks", AAAI 2021 (LTC); Lechner and Hasani, "Learning long-term dependencies
in irregularly-sampled time series", arXiv:2006.04418 (mixed memory); Cho et al., arXiv:1406.1078 (GRU). S5's
layer is in :mod:`.state_space`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from . import bptt
from .architecture import Architecture
from .state_space import S5, State
from .wiring import Wiring

#: Step k of a sequence: hidden state ``(batch, units)`` before it to the one after it.
Advance = Callable[[int, Tensor], Tensor]

#: Keeps the LTC's quotient finite.
EPSILON = 1e-8


def lecun_tanh(x: Tensor) -> Tensor:
    """``1.7159 tanh(0.666 x)``."""
    return 1.7159 * torch.tanh(0.666 * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "lecun_tanh": lecun_tanh,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "silu": functional.silu,
    "gelu": functional.gelu,
}


class Memory(nn.Linear):
    """The LSTM of a mixed memory, or an LSTM layer of its own: four gates of ``(x, h)``, side by side."""

    def __init__(self, n_inputs: int, units: int):
        super().__init__(n_inputs + units, 4 * units)
        self.n_inputs = n_inputs
        nn.init.xavier_uniform_(self.weight[:, :n_inputs])
        nn.init.orthogonal_(self.weight[:, n_inputs:])
        nn.init.uniform_(self.bias, -0.1, 0.1)

    def over(self, x: Tensor) -> Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]:
        """The step function over inputs ``(batch, time, n_inputs)``: (k, h, c) to (h, c)."""
        driven = functional.linear(x, self.weight[:, : self.n_inputs], self.bias).unbind(1)
        recurrent = self.weight[:, self.n_inputs :].T

        def advance(k: int, hidden: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
            a, i, f, g = torch.addmm(driven[k], hidden, recurrent).chunk(4, 1)
            memory = memory * torch.sigmoid(f + 1.0) + torch.tanh(a) * torch.sigmoid(i)
            return torch.tanh(memory) * torch.sigmoid(g), memory

        return advance


class CfC(nn.Module):
    """Closed-form continuous-time neurons, wired or not, with a backbone or not."""

    backbone: Sequence[nn.Linear]
    stages: Sequence[nn.Linear]

    def __init__(self, n_inputs: int, architecture: Architecture, stages: tuple[int, ...], wiring: Wiring | None):
        super().__init__()
        a = architecture
        self.n_inputs, self.mode, self.sizes = n_inputs, a.mode, stages
        self.activation = ACTIVATIONS[a.activation]
        widths = [n_inputs + a.units] + [a.backbone_units] * a.backbone_layers
        backbone = [nn.Linear(m, n) for m, n in zip(widths, widths[1:], strict=False)]
        below = [n_inputs, *stages[:-1]]
        inputs = [a.backbone_units or m + n for m, n in zip(below, stages, strict=True)]
        heads = [nn.Linear(m, a.heads * n) for m, n in zip(inputs, stages, strict=True)]
        for weight in [part.weight for part in backbone] + [w for part in heads for w in part.weight.chunk(a.heads)]:
            nn.init.xavier_uniform_(weight)
        self.backbone, self.stages = nn.ModuleList(backbone), nn.ModuleList(heads)  # type: ignore[assignment]
        if self.mode == "pure":
            self.w_tau = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, a.units))[0])
            self.asymptote = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, a.units))[0])
        self.masked, self._architecture = wiring is not None, a
        if wiring is not None:
            register_wiring(self, wiring)
            for j, mask in enumerate(self._masks()):
                self.register_buffer(f"mask_{j}", mask, persistent=False)

    def _masks(self) -> list[Tensor]:
        """Which weights of each stage's heads there are, by the synapses that are kept: float32."""
        sensory, synapses = (self.get_buffer(f"wiring_{name}").cpu().numpy() for name in ("sensory", "synapses"))
        wiring = Wiring(sensory, synapses, self.sizes)
        return [torch.from_numpy(self._architecture.head_mask(wiring, j)).float() for j in range(len(self.sizes))]

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        """Take over weights and synapses; the masks, which follow from the synapses, are not in a state dict."""
        super()._load_from_state_dict(*args, **kwargs)
        if self.masked:
            for j, mask in enumerate(self._masks()):
                old = self.get_buffer(f"mask_{j}")
                setattr(self, f"mask_{j}", mask.to(old.device, old.dtype))

    def over(self, x: Tensor, span: Tensor) -> Advance:
        """The step function over inputs ``(batch, time, n_inputs)`` and time spans ``(batch, time, 1)``."""
        spans = span.unbind(1)
        weights: list[Tensor] = [part.weight for part in self.stages]
        if self.masked:
            weights = [w * self.get_buffer(f"mask_{j}") for j, w in enumerate(weights)]
        below = self.backbone[0] if self.backbone else self.stages[0]
        first = below.weight if self.backbone else weights[0]
        driven = functional.linear(x, first[:, : self.n_inputs], below.bias).unbind(1)
        recurrent = first[:, self.n_inputs :].T

        if self.backbone:

            def advance(k: int, hidden: Tensor) -> Tensor:
                z = self.activation(torch.addmm(driven[k], hidden, recurrent))
                for layer in self.backbone[1:]:
                    z = self.activation(layer(z))
                return self._mix(self.stages[0](z), spans[k], slice(None))

            return advance

        def advance_stages(k: int, hidden: Tensor) -> Tensor:
            states = hidden.split(self.sizes, 1)
            new: list[Tensor] = []
            begin = 0
            for j, state in enumerate(states):
                if j == 0:
                    heads = torch.addmm(driven[k], state, recurrent)
                else:
                    heads = functional.linear(torch.cat([new[-1], state], 1), weights[j], self.stages[j].bias)
                new.append(self._mix(heads, spans[k], slice(begin, begin + self.sizes[j])))
                begin += self.sizes[j]
            return torch.cat(new, 1) if len(new) > 1 else new[0]

        return advance_stages

    def _mix(self, heads: Tensor, span: Tensor, neurons: slice) -> Tensor:
        if self.mode == "pure":
            a = self.asymptote[neurons]
            return a - a * torch.exp(-span * (self.w_tau[neurons].abs() + heads.abs())) * heads
        f1, f2, a, b = heads.chunk(4, 1)
        gate = torch.sigmoid(a * span + b)
        f1, f2 = torch.tanh(f1), torch.tanh(f2)
        return f1 + gate * f2 if self.mode == "no_gate" else f1 + gate * (f2 - f1)


class LTC(nn.Module):
    """Liquid time-constant neurons: leaky membranes, and synapses whose conductance saturates with the potential."""

    wiring_sensory: Tensor
    wiring_synapses: Tensor

    def __init__(self, n_inputs: int, architecture: Architecture, wiring: Wiring):
        super().__init__()
        n, self.unfolds = architecture.units, architecture.unfolds

        def uniform(low: float, high: float, *shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(low, high))

        self.gleak, self.vleak, self.cm = uniform(0.001, 1, n), uniform(-0.2, 0.2, n), uniform(0.4, 0.6, n)
        self.w, self.sigma, self.mu = uniform(0.001, 1, n, n), uniform(3, 8, n, n), uniform(0.3, 0.8, n, n)
        self.erev = nn.Parameter(torch.from_numpy(wiring.synapses).float())
        shape = n_inputs, n
        self.sensory_w, self.sensory_sigma = uniform(0.001, 1, *shape), uniform(3, 8, *shape)
        self.sensory_mu = uniform(0.3, 0.8, *shape)
        self.sensory_erev = nn.Parameter(torch.from_numpy(wiring.sensory).float())
        self.input_w, self.input_b = nn.Parameter(torch.ones(n_inputs)), nn.Parameter(torch.zeros(n_inputs))
        self.masked = architecture.wiring is not None
        if self.masked:
            register_wiring(self, wiring)

    def over(self, x: Tensor, span: Tensor) -> Advance:
        """The step function over inputs ``(batch, time, n_inputs)`` and time spans ``(batch, time, 1)``."""
        x = (x * self.input_w + self.input_b).unsqueeze(-1)
        sensory = torch.sigmoid(self.sensory_sigma * (x - self.sensory_mu))
        w, sensory_w = self._conductances()
        driven = torch.einsum("btij,ij->btj", sensory, sensory_w * self.sensory_erev) + self.gleak * self.vleak
        conducting = torch.einsum("btij,ij->btj", sensory, sensory_w) + self.gleak
        capacity = self.cm / (span / self.unfolds)
        numerators, denominators = driven.unbind(1), (conducting + capacity + EPSILON).unbind(1)
        capacities, threshold = capacity.unbind(1), self.sigma * self.mu
        w_erev = w * self.erev

        def advance(k: int, potential: Tensor) -> Tensor:
            for _ in range(self.unfolds):
                open_ = torch.sigmoid(self.sigma * potential.unsqueeze(-1) - threshold)
                current = (open_ * w_erev).sum(1) + numerators[k] + capacities[k] * potential
                potential = current / ((open_ * w).sum(1) + denominators[k])
            return potential

        return advance

    def sequence(self, x: Tensor, span: Tensor, potential: Tensor) -> Tensor:
        """The states after each step, ``(batch, time, units)``, compiled; float32 on the processor.

        Args:
            x, span: as for :meth:`over`, which computes the same step by step.
            potential: ``(batch, units)``, the state carried in.
        """
        w, sensory_w = self._conductances()
        synapses = torch.stack([self.sigma / 2, self.sigma * self.mu / 2, w, w * self.erev])
        slope, mu = self.sensory_sigma / 2, self.sensory_mu
        sensory = torch.stack([slope, slope * mu, sensory_w, sensory_w * self.sensory_erev])
        x, capacity = x * self.input_w + self.input_b, self.cm / (span / self.unfolds)
        leak = self.gleak * self.vleak, self.gleak + EPSILON
        return _SolvedSequence.apply(self.unfolds, potential, x, capacity, *leak, synapses, sensory)

    def _conductances(self) -> tuple[Tensor, Tensor]:
        """Of the synapses that exist: from neurons, and from inputs."""
        if not self.masked:
            return self.w, self.sensory_w
        return self.w * self.wiring_synapses.abs(), self.sensory_w * self.wiring_sensory.abs()

    @torch.no_grad()
    def constrain(self) -> None:
        """Conductances and capacities are not negative."""
        for parameter in (self.w, self.sensory_w, self.cm, self.gleak):
            parameter.clamp_(min=0)


class _SolvedSequence(torch.autograd.Function):
    """:mod:`.bptt` in an autograd graph."""

    @staticmethod
    def forward(ctx, unfolds, potential, x, capacity, driven, leak, synapses, sensory):
        x, capacity = bptt.side_by_side(x.numpy()), bptt.side_by_side(capacity.numpy(), fill=1)
        (n_steps, n, width), n_batch = capacity.shape, len(potential)
        potentials = np.empty((n_steps * unfolds + 1, n, width), np.float32)
        potentials[0] = bptt.side_by_side(potential.numpy())
        loads = np.empty((n_steps * unfolds, n, width), np.float32)
        synapses, sensory = synapses.numpy(), sensory.numpy()
        bptt.forward(unfolds, x, capacity, driven.numpy(), leak.numpy(), synapses, sensory, potentials, loads)
        ctx.n_batch, ctx.run = n_batch, (unfolds, x, capacity, synapses, sensory, potentials, loads)
        return _one_by_one(potentials[unfolds::unfolds], n_batch)

    @staticmethod
    @once_differentiable
    def backward(ctx, g_out):
        g, g_x, g_capacity, *others = bptt.backward(*ctx.run, bptt.side_by_side(g_out.numpy()))
        of_sequences = (_one_by_one(part, ctx.n_batch) for part in (g, g_x, g_capacity))
        return None, *of_sequences, *(torch.from_numpy(part) for part in others)


def _one_by_one(sequences: np.ndarray, n_batch: int) -> Tensor:
    """What :func:`.bptt.side_by_side` put side by side, ``(n_batch, ..., n)``."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(sequences[..., :n_batch], -1, 0)))


class GRU(nn.Module):
    """A gated recurrent unit; time spans mean nothing to it."""

    def __init__(self, n_inputs: int, units: int):
        super().__init__()
        self.input, self.recurrent = nn.Linear(n_inputs, 3 * units), nn.Linear(units, 3 * units)
        for gate in self.input.weight.chunk(3):
            nn.init.xavier_uniform_(gate)
        for gate in self.recurrent.weight.chunk(3):
            nn.init.orthogonal_(gate)

    def over(self, x: Tensor, span: Tensor) -> Advance:
        """The step function over inputs ``(batch, time, n_inputs)``."""
        driven = self.input(x).unbind(1)

        def advance(k: int, hidden: Tensor) -> Tensor:
            r, z, n = driven[k].chunk(3, 1)
            hr, hz, hn = self.recurrent(hidden).chunk(3, 1)
            new = torch.tanh(n + torch.sigmoid(r + hr) * hn)
            return new + torch.sigmoid(z + hz) * (hidden - new)

        return advance


class Recurrent(nn.Module):
    """A layer: a memory, a cell, or a memory before a cell.

    Its state is the hidden state and, with a memory, the memory's cell, each ``(batch, units)``. Its output is the
    hidden state of its last ``n_outputs`` neurons.
    """

    def __init__(self, n_outputs: int, memory: Memory | None, cell: CfC | LTC | GRU | None):
        super().__init__()
        self.n_outputs, self.n_states = n_outputs, 1 if memory is None else 2
        self.memory, self.cell = memory, cell

    def forward(self, x: Tensor, span: Tensor, state: State) -> tuple[Tensor, State]:
        """Outputs ``(batch, time, n_outputs)`` and the new state, of inputs and spans as the cells take them."""
        hidden = state[0]
        if isinstance(self.cell, LTC) and self.memory is None and x.device.type == "cpu" and x.dtype == torch.float32:
            outputs = self.cell.sequence(x, span, hidden)
            return outputs[..., -self.n_outputs :], (outputs[:, -1],)
        remember = self.memory.over(x) if self.memory is not None else None
        advance = self.cell.over(x, span) if self.cell is not None else None
        steps = []
        for k in range(x.shape[1]):
            if remember:
                hidden, memory = remember(k, hidden, state[1])
                state = hidden, memory
            if advance:
                hidden = advance(k, hidden)
                state = hidden, *state[1:]
            steps.append(hidden)
        return torch.stack(steps, 1)[..., -self.n_outputs :], state


class Dense(nn.Linear):
    """A layer of an MLP: ``tanh(W x + b)``, without a state."""

    n_states = 0

    def forward(self, x: Tensor, span: Tensor, state: State) -> tuple[Tensor, State]:  # type: ignore[override]
        """Outputs ``(batch, time, units)``."""
        return torch.tanh(super().forward(x)), ()


Layer = Recurrent | Dense | S5


def new_layer(architecture: Architecture, n_inputs: int, stages: tuple[int, ...], wiring: Wiring) -> Layer:
    """An untrained layer, drawn from torch's random numbers.

    Args:
        architecture: what it is made of.
        n_inputs: width of what enters it.
        stages: sizes of its groups of neurons.
        wiring: its synapses; for an LTC without a plan the signs of all of them, otherwise without meaning.
    """
    a = architecture
    if a.cell == "mlp":
        return Dense(n_inputs, a.units)
    if a.cell == "s5":
        return S5(a.units)
    memory = Memory(n_inputs, a.units) if a.mixed_memory or a.cell == "lstm" else None
    cell: CfC | LTC | GRU | None = None
    if a.cell == "cfc":
        cell = CfC(n_inputs, a, stages, wiring if a.wiring else None)
    elif a.cell == "ltc":
        cell = LTC(n_inputs, a, wiring)
    elif a.cell == "gru":
        cell = GRU(n_inputs, a.units)
    return Recurrent(stages[-1], memory, cell)


def register_wiring(cell: nn.Module, wiring: Wiring) -> None:
    """Keep the synapses beside the weights, in the names of a controller file."""
    cell.register_buffer("wiring_sensory", torch.from_numpy(wiring.sensory.copy()))
    cell.register_buffer("wiring_synapses", torch.from_numpy(wiring.synapses.copy()))
