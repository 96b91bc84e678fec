# SPDX-License-Identifier: Apache-2.0
"""A trainable feedforward network of CUBA-LIF layers with axonal delays and a leaky readout (torch).

Thresholds are 1 and weights are fractions of it. In the forward pass weights lie on Loihi's grid and decays on its grid
of 12 bits, as in :mod:`.network`. All steps of a chunk go through a layer at once: a convolution of the whole chunk
gives the currents, a compiled recurrence the spikes (:mod:`.layer_bptt`; beyond the processor :mod:`.layer_steps`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from .alif_bptt import AdaptiveSpikes
from .graph import INPUT, Connection, Correlation, CubaPopulation, Linear, SpikingGraph
from .layer_bptt import EventConvolution, LayerSpikes
from .layer_steps import spikes_of
from .layers import Layer, LayeredNetwork, shapes
from .network import LARGEST_MANTISSA
from .readout import Readout

#: Mean rates of the first and of the other layers that a new network begins with [spikes/s].
FIRST_RATES = (6.0, 12.0)
#: The largest weight that a layer begins with is this part of the largest that its grid holds.
HEADROOM = 0.5
#: Speeds [pixels/s] and wavelengths [pixels] of the gratings of a Gabor start.
SPEEDS, WAVELENGTHS = (3.0, 60.0), (3.5, 8.0)


@dataclass(eq=False)
class LayersState:
    """What a network carries from chunk to chunk.

    Attributes:
        before: of each layer, its last input spikes, float32 ``(B, longest delay + 1, channels, rows, columns)``.
        neurons: of each layer, its current, voltage and spikes, float32 ``(B, N)``.
        traces: of the readout, float32 ``(B, n_features * n_taus)``.
    """

    before: list[Tensor]
    neurons: list[list[Tensor]]
    traces: Tensor

    def forget(self, row: int) -> None:
        """Begin an episode in a row of the batch."""
        for part in (*self.before, self.traces, *(part for layer in self.neurons for part in layer)):
            part[row] = 0


def _round_through(x: Tensor) -> Tensor:
    return x + (torch.round(x) - x).detach()


def _decay(logit: Tensor) -> Tensor:
    return _round_through(torch.sigmoid(logit) * 4096).clamp(1, 4095) / 4096


class TrainableLayers(nn.Module):
    """Layers and readout of a :class:`~.layers.LayeredNetwork`.

    Args:
        network: the description.
        width, height: of the picture [pixels].
        n_features: how many numbers are read out.
        seed: of the initial weights.

    Attributes:
        thresholds: of each layer, in units of its weights.
        masks: of each layer, bool of its weights' shape: which synapses there are.
        compiled: whether steps are compiled for the processor; else they are torch's own operations.
    """

    def __init__(self, network: LayeredNetwork, width: int, height: int, n_features: int, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.network, self.n_features = network, n_features
        self.shapes = shapes(network, width, height)
        self.delays = [[round(d / network.step_s) for d in layer.delays_s] for layer in network.layers]
        self.weights, self.synaptic, self.membrane = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        self.rises, self.adaptation = nn.ParameterDict(), nn.ParameterDict()  # by the layer's number, where it adapts
        self.thresholds = [LARGEST_MANTISSA] * len(network.layers)
        for layer, source in zip(network.layers, self.shapes[:-1], strict=True):
            self.weights.append(nn.Parameter(torch.tensor(_start(layer, source, network.step_s, rng))))
            n = layer.channels if layer.kernel is not None else layer.neurons or 0
            for logits, (least, most) in ((self.synaptic, layer.synaptic_s), (self.membrane, layer.membrane_s)):
                taus = np.exp(rng.uniform(math.log(least), math.log(most), n)) / network.step_s
                lost = -np.expm1(-1 / taus)
                logits.append(nn.Parameter(torch.tensor(np.log(lost / (1 - lost)), dtype=torch.float32)))
            if layer.rise:
                i, (least, most) = str(len(self.weights) - 1), layer.adaptation_s
                lost = -np.expm1(-network.step_s / np.exp(rng.uniform(math.log(least), math.log(most), n)))
                self.adaptation[i] = nn.Parameter(torch.tensor(np.log(lost / (1 - lost)), dtype=torch.float32))
                self.rises[i] = nn.Parameter(torch.full((n,), layer.rise))
        self.masks = [torch.ones_like(weight, dtype=torch.bool) for weight in self.weights]
        self.compiled = True
        n_last = math.prod(self.shapes[-1])
        self.keep = torch.tensor(np.exp(-network.step_s / np.array(network.readout_taus_s)), dtype=torch.float32)
        n_traces = n_features * len(self.keep)
        readout = rng.normal(0, 0.05 / math.sqrt(n_last), (n_traces, n_last))
        self.readout = nn.Parameter(torch.tensor(readout, dtype=torch.float32))
        self.offset = nn.Parameter(torch.zeros(n_features))

    def on(self, device: torch.device) -> Self:
        """Move to a device; returns itself."""
        self.to(device)
        self.keep, self.masks = self.keep.to(device), [mask.to(device) for mask in self.masks]
        self.compiled = device.type == "cpu"
        return self

    def initial_state(self, batch: int) -> LayersState:
        """Zeros, on the network's device."""
        zeros = partial(torch.zeros, batch, device=self.offset.device)
        before = [zeros(max(d) + 1, *s) for d, s in zip(self.delays, self.shapes[:-1], strict=True)]
        states = [4 if str(i) in self.rises else 3 for i in range(len(self.weights))]
        neurons = [
            [zeros(math.prod(s)) for _ in range(n)] for n, s in zip(states, self.shapes[1:], strict=True)
        ]
        return LayersState(before, neurons, zeros(len(self.readout)))

    def weight(self, i: int) -> Tensor:
        """Weights of a layer as the chip has them."""
        threshold = self.thresholds[i]
        top = LARGEST_MANTISSA / threshold
        return 2 / threshold * _round_through(self.weights[i].clamp(-top, top) * (threshold / 2)) * self.masks[i]

    def decays(self, i: int) -> tuple[Tensor, Tensor]:
        """Lost fractions of current and voltage of a layer, one a channel or neuron."""
        return _decay(self.synaptic[i]), _decay(self.membrane[i])

    def adaptations(self, i: int) -> tuple[Tensor, Tensor]:
        """Rise of the threshold by a spike and what it loses in a step, of a layer that adapts, as ``decays``."""
        return self.rises[str(i)].clamp(min=0), _decay(self.adaptation[str(i)])

    def layer(self, i: int, spikes: Tensor, state: LayersState, gain: float = 1.0) -> Tensor:
        """Spikes ``(B, T, channels, rows, columns)`` of a layer for those of the one before; updates the state."""
        batch, steps = spikes.shape[:2]
        delays = self.delays[i]
        longest = max(delays)
        whole = torch.cat([state.before[i], spikes], 1)
        state.before[i] = whole[:, -longest - 1 :].detach().clone()
        weight, layer = gain * self.weight(i), self.network.layers[i]
        if self.compiled and i == 0 and layer.kernel is not None:  # events are few, and nothing is before them
            each = weight.unflatten(1, (len(delays), -1)).permute(1, 2, 3, 4, 0)
            pad = layer.kernel // 2
            currents = EventConvolution.apply(each, whole, delays, layer.stride, pad, self.shapes[1])
            currents = currents.permute(0, 1, 4, 2, 3)
        else:  # a spike at t acts at t + 1 + delay
            due = torch.cat([whole[:, longest - d : longest - d + steps] for d in delays], 2).flatten(0, 1)
            if layer.kernel is not None:
                currents = nn.functional.conv2d(due, weight, stride=layer.stride, padding=layer.kernel // 2)
            else:
                currents = due.flatten(1) @ weight.T
        n_each = math.prod(self.shapes[i + 1][1:])
        du, dv = (x.repeat_interleave(n_each) for x in self.decays(i))
        currents, bias = currents.reshape(batch, steps, -1), torch.zeros_like(du)
        adaptation = None
        if str(i) in self.rises:
            rise, dh = (x.repeat_interleave(n_each) for x in self.adaptations(i))
            adaptation = rise, dh
        if not self.compiled:
            s = spikes_of(currents, du, dv, bias, state.neurons[i], adaptation)
        elif adaptation:
            s = AdaptiveSpikes.apply(currents, du, dv, bias, *adaptation, state.neurons[i])
        else:
            s = LayerSpikes.apply(currents, du, dv, bias, state.neurons[i])
        return s.view(batch, steps, *self.shapes[i + 1])

    def forward(self, spikes: Tensor, state: LayersState) -> tuple[Tensor, list[Tensor]]:
        """Estimates and spikes of a chunk.

        Args:
            spikes: of the input, float32 ``(B, T, 2, rows, columns)``.
            state: carried in, and on.

        Returns:
            Estimates in their scales, ``(B, T, n_features)``, and the spikes of the input and of each layer.
        """
        all_spikes = [spikes]
        for i in range(len(self.weights)):
            all_spikes.append(self.layer(i, all_spikes[-1], state))
        return self._read(all_spikes[-1].flatten(2), state), all_spikes

    def _read(self, spikes: Tensor, state: LayersState) -> Tensor:
        steps, device = spikes.shape[1], spikes.device
        drive = (spikes @ self.readout.T).unflatten(2, (self.n_features, -1))
        ages = torch.arange(steps, device=device)[:, None] - torch.arange(steps, device=device)[None]
        kernel = torch.where(ages >= 0, self.keep[:, None, None] ** ages.clamp(min=0), 0.0)
        traces = torch.einsum("kts,bsfk->btfk", kernel, drive)
        carried = state.traces.unflatten(1, (self.n_features, -1))
        traces = traces + carried[:, None] * (self.keep ** torch.arange(1, steps + 1, device=device)[:, None])[:, None]
        state.traces = traces[:, -1].detach().flatten(1)
        return traces.sum(-1) + self.offset

    def fan_out(self, i: int) -> float:
        """Synapses of a neuron before a layer, on average."""
        n_weights = int((self.weight(i) != 0).sum())
        shared = math.prod(self.shapes[i + 1][1:]) if self.network.layers[i].kernel is not None else 1
        return n_weights * shared / math.prod(self.shapes[i])

    def operations(self, spikes: Sequence[Tensor]) -> Tensor:
        """Synaptic operations of a chunk, differentiable by the spikes (a mean fan-out for each layer)."""
        return torch.stack([s.sum() * self.fan_out(i) for i, s in enumerate(spikes[:-1])]).sum()

    @torch.no_grad()
    def calibrate(self, spikes: Tensor) -> None:
        """Scale the initial weights such that each layer spikes at the rate to begin with, and choose thresholds.

        Args:
            spikes: of the input, float32 ``(B, T, 2, rows, columns)``.
        """
        seconds = spikes.shape[1] * self.network.step_s
        for i in range(len(self.weights)):
            aim = FIRST_RATES[min(i, 1)] * seconds
            self.weights[i] /= self.weights[i].abs().max()
            self.thresholds[i] = LARGEST_MANTISSA
            low, high = 1e-3, 1e3
            for _ in range(14):
                gain = math.sqrt(low * high)
                rate = self.layer(i, spikes, self.initial_state(len(spikes)), gain).mean() * spikes.shape[1]
                low, high = (gain, high) if rate < aim else (low, gain)
            self.weights[i] *= gain
            self.thresholds[i] = max(8, round(HEADROOM * LARGEST_MANTISSA / gain))
            spikes = self.layer(i, spikes, self.initial_state(len(spikes)))

    @torch.no_grad()
    def of_channels(self, kept: Sequence[np.ndarray]) -> TrainableLayers:
        """A network that has only some channels, or neurons of dense layers, with what belongs to them.

        Args:
            kept: of each layer, their numbers, ascending.
        """
        layers = tuple(
            msgspec.structs.replace(layer, **{"neurons" if layer.kernel is None else "channels": len(mine)})
            for layer, mine in zip(self.network.layers, kept, strict=True)
        )
        network = msgspec.structs.replace(self.network, layers=layers)
        _, rows, columns = self.shapes[0]
        less = TrainableLayers(network, columns, rows * network.row_group, self.n_features, 0).on(self.offset.device)
        less.compiled = self.compiled
        less.thresholds = list(self.thresholds)
        before = np.arange(self.shapes[0][0])
        for i, mine in enumerate(kept):
            for own, whole in ((less.weights[i], self.weights[i]), (less.masks[i], self.masks[i])):
                by_source = whole.reshape(len(whole), len(self.delays[i]), self.shapes[i][0], -1)
                own.copy_(by_source[mine][:, :, before].reshape(own.shape))
            for name in ("synaptic", "membrane"):
                getattr(less, name)[i].copy_(getattr(self, name)[i][mine])
            if (number := str(i)) in self.rises:
                less.rises[number].copy_(self.rises[number][mine])
                less.adaptation[number].copy_(self.adaptation[number][mine])
            before = mine
        images = self.readout.reshape(len(self.readout), self.shapes[-1][0], -1)
        less.readout.copy_(images[:, before].reshape(less.readout.shape))
        less.offset.copy_(self.offset)
        return less

    # what is written

    def graph(self) -> SpikingGraph:
        """The network as a graph of populations ``layer1``, ``layer2``, ..."""
        populations: dict[str, CubaPopulation] = {}
        connections: list[Connection] = []
        source = INPUT
        for i, layer in enumerate(self.network.layers):
            name, n_each = f"layer{i + 1}", math.prod(self.shapes[i + 1][1:])
            du, dv = (np.tile(x.detach().cpu().double().numpy(), n_each) for x in self.decays(i))
            rise = dh = None
            if str(i) in self.rises:
                rise, dh = (np.tile(x.detach().cpu().double().numpy(), n_each) for x in self.adaptations(i))
            populations[name] = CubaPopulation(du, dv, np.ones(len(du)), np.zeros(len(du)), rise=rise, dh=dh)
            channels, rows, columns = self.shapes[i]
            weight = self.weight(i).detach().cpu().double().numpy()
            for k, delay in enumerate(self.delays[i]):
                if layer.kernel is not None:
                    part = weight[:, k * channels : (k + 1) * channels]
                    pad, stride = (layer.kernel // 2,) * 2, (layer.stride,) * 2
                    connections.append(
                        Correlation(source, name, part, self.shapes[i], stride, pad, source == INPUT, delay)
                    )
                    continue
                part = weight.reshape(len(weight), len(self.delays[i]), channels, rows, columns)[:, k]
                if source != INPUT:
                    part = part.transpose(0, 2, 3, 1)
                connections.append(Linear(source, name, np.ascontiguousarray(part.reshape(len(weight), -1)), delay))
            source = name
        return SpikingGraph(math.prod(self.shapes[0]), populations, connections, (source,))

    def weight_scale(self) -> dict[str, float]:
        """Weight of one integer unit of each population."""
        return {f"layer{i + 1}": 1.0 / threshold for i, threshold in enumerate(self.thresholds)}

    def to_readout(self, scales: np.ndarray) -> Readout:
        """The trained readout, its features in the estimates' units."""
        images = self.readout.detach().cpu().double().numpy().reshape(len(self.readout), *self.shapes[-1])
        weight = images.transpose(0, 2, 3, 1).reshape(len(self.readout), -1)
        decay = np.tile(1 - self.keep.cpu().double().numpy(), self.n_features)
        mix = np.kron(np.diag(scales), np.ones(len(self.keep)))
        return Readout(weight, decay, mix, self.offset.detach().cpu().double().numpy() * scales)


def _start(layer: Layer, source: tuple[int, int, int], step_s: float, rng: np.random.Generator) -> np.ndarray:
    """Initial weights, float32."""
    n_delays = len(layer.delays_s)
    if layer.kernel is None:
        return rng.normal(0, 1, (layer.neurons or 0, n_delays * math.prod(source))).astype(np.float32)
    if layer.start == "random":
        return rng.normal(0, 1, (layer.channels, n_delays * source[0], layer.kernel, layer.kernel)).astype(np.float32)
    return _gratings(layer, rng)


def _gratings(layer: Layer, rng: np.random.Generator) -> np.ndarray:
    """Gratings that move across the field at a speed of their own, with their sign by the events' polarity.

    Space-time Gabor filters: Adelson and Bergen, Spatiotemporal energy models for the perception of motion, 1985.
    """
    kernel, n = layer.kernel or 1, layer.channels
    side = np.arange(kernel) - kernel // 2
    y, x = np.meshgrid(side, side, indexing="ij")
    weight = np.empty((n, len(layer.delays_s), 2, kernel, kernel))
    heading = 2 * math.pi * (np.arange(n) + rng.uniform(0, 1, n)) / n
    speed, wave = (np.exp(rng.uniform(math.log(a), math.log(b), n)) for a, b in (SPEEDS, WAVELENGTHS))
    phase, width = rng.uniform(0, 2 * math.pi, n), kernel / 2.5
    for k, delay in enumerate(layer.delays_s):
        for c in range(n):
            # What is at x now was behind by as much as it has moved since
            along = x * math.cos(heading[c]) + y * math.sin(heading[c]) + speed[c] * delay
            grating = np.cos(2 * math.pi * along / wave[c] + phase[c]) * np.exp(-(x**2 + y**2) / (2 * width**2))
            weight[c, k, 0], weight[c, k, 1] = -grating, grating
    return weight.reshape(n, -1, kernel, kernel).astype(np.float32)
