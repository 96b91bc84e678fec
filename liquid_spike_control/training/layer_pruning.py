# SPDX-License-Identifier: Apache-2.0
"""Bring a layered network down to a budget while it is trained: channels to one of neurocores, synapses to one of work.

Once, as pruning begins, each layer keeps the channels whose spikes are used the most, as many as fit the cores. From
then on the weakest synapses are taken away, as many as bring the synaptic operations down to what
they should be by then: gradual pruning by magnitude (Zhu and Gupta 2017, eq. 1: most of it early, while much can still
be learnt). A spike costs one operation a synapse however strong, so one threshold for all takes what matters least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import torch
from torch import Tensor

from ..errors import TaskError
from ..neuromorphic.chip.chips import LOIHI1, LOIHI2
from ..neuromorphic.chip.mapping import place
from ..neuromorphic.quantisation.quantize import quantise_reported
from ..spiking.layered_network import TrainableLayers
from ..spiking.layers import LayeredNetwork

#: Weight of the newest chunk in the running averages of spikes.
NEWEST = 0.05
#: The part of the pruning after which its aim should be met; the remainder lowers what rises again.
PRUNED_BY = 0.8
#: What the network is held to is less than its budget by this part: held-out episodes are others.
MARGIN = 0.05


class LayerPruning:
    """What is done to a network's synapses and channels while it is trained.

    Args:
        net: whose.
        updates: of the whole training.

    Attributes:
        rates: of the input's and each layer's channels, spikes a second of all their neurons, float64 ``(channels,)``.
    """

    def __init__(self, net: TrainableLayers, updates: int) -> None:
        self.net, self._updates = net, updates
        self._aim = (1 - MARGIN) * (net.network.operations_per_s or math.inf)
        begin, end = net.network.training.prune or (1.0, 1.0)
        self._begin, self._end = begin * updates, end * updates
        self.rates = [np.zeros(shape[0]) for shape in net.shapes]
        self._seen, self._unpruned = 0.0, 0.0

    def take_over(self, whole: LayerPruning, kept: Sequence[np.ndarray]) -> None:
        """Go on with what is known of the network that had all channels."""
        self._seen = whole._seen
        self.rates = [whole.rates[0], *(rate[mine] for rate, mine in zip(whole.rates[1:], kept, strict=True))]

    def state(self) -> dict:
        """For a checkpoint: all that the next update depends on."""
        rates = [torch.from_numpy(rate) for rate in self.rates]
        return {"rates": rates, "seen": self._seen, "unpruned": self._unpruned, "masks": self.net.masks}

    def restore(self, state: dict) -> None:
        """Go on from :meth:`state`."""
        self._seen, self._unpruned = state["seen"], state["unpruned"]
        self.net.masks = [mask.to(self.net.offset.device) for mask in state["masks"]]
        self.rates = [rate.numpy() for rate in state["rates"]]

    def begins(self, done: int) -> bool:
        """Whether the channels are to be chosen after so many updates."""
        return done == math.ceil(self._begin) < self._updates and self.net.network.cores is not None

    def observe(self, spikes: Sequence[Tensor]) -> None:
        """Take note of the spikes of a chunk, of the input and of each layer, ``(B, T, channels, rows, columns)``."""
        seconds = len(spikes[0]) * spikes[0].shape[1] * self.net.network.step_s
        self._seen += NEWEST * (1 - self._seen)  # so that the first chunks do not count as silence
        for rate, s in zip(self.rates, spikes, strict=True):
            rate += NEWEST * (s.detach().sum((0, 1, 3, 4)).double().cpu().numpy() / seconds - rate)

    @torch.no_grad()
    def lessen(self, done: int) -> None:
        """Take synapses away after an update, the ``done``-th."""
        if not self._begin <= done <= self._end:
            return
        weights = [self.net.weight(i).abs() for i in range(len(self.net.weights))]
        costs = [self._costs(i, weight) for i, weight in enumerate(weights)]
        work = sum(float(cost[weight > 0].sum()) for cost, weight in zip(costs, weights, strict=True))
        self._unpruned = self._unpruned or work
        left = max(0.0, 1 - (done - self._begin) / max(PRUNED_BY * (self._end - self._begin), 1.0))
        now = self._aim + max(self._unpruned - self._aim, 0.0) * left**3
        if work <= now:
            return
        size, cost = (torch.cat([part.flatten() for part in parts]) for parts in (weights, costs))
        order = torch.argsort(size)
        spared = torch.cumsum(torch.where(size > 0, cost, 0.0)[order], 0)
        last = int(torch.searchsorted(spared, work - now).clamp(max=len(order) - 1))
        floor = float(size[order[last]])
        for mask, weight in zip(self.net.masks, weights, strict=True):
            mask &= weight > floor

    def _costs(self, i: int, weight: Tensor) -> Tensor:
        """Synaptic operations a second of each weight of a layer, float64 of its shape."""
        source, layer, rate = self.net.shapes[i], self.net.network.layers[i], self.rates[i] / max(self._seen, NEWEST)
        n_delays = len(layer.delays_s)
        if layer.kernel is None:  # of each neuron before it the mean of its channel
            each = np.repeat(rate / math.prod(source[1:]), math.prod(source[1:]))
        else:
            each = rate * math.prod(self.net.shapes[i + 1][1:]) / math.prod(source[1:])
        cost = torch.from_numpy(np.tile(each, n_delays)).to(weight.device)
        return cost.reshape(1, -1, *[1] * (weight.ndim - 2)).expand(weight.shape)

    def chosen(self) -> list[np.ndarray]:
        """The channels of each layer with which the network fits its cores: the most used ones, ascending.

        Raises:
            TaskError: it does not fit even with one channel a layer.
        """
        net, cores = self.net, self.net.network.cores
        assert cores is not None
        ranked = [np.argsort(-self._use(i), kind="stable") for i in range(len(net.weights))]

        def kept(share: float) -> list[np.ndarray]:
            return [np.sort(order[: max(1, math.floor(share * len(order)))]) for order in ranked]

        if cores_of(net) <= cores:
            return kept(1.0)
        least, most = 0, max(map(len, ranked))
        while most - least > 1:
            middle = (least + most) // 2
            fits = cores_of(net.of_channels(kept(middle / max(map(len, ranked))))) <= cores
            least, most = (middle, most) if fits else (least, middle)
        found = kept(least / max(map(len, ranked)))
        if not least and cores_of(net.of_channels(found)) > cores:
            raise TaskError(f"cores: {cores}: not even one channel a layer fits; give more, or smaller layers")
        return found

    @torch.no_grad()
    def _use(self, i: int) -> np.ndarray:
        """How much the spikes of a layer's channels do, ``(channels,)``: their rate times the squares of weights."""
        rate, shape = self.rates[i + 1], self.net.shapes[i + 1]
        if i + 1 == len(self.net.weights):
            squares = (self.net.readout**2).sum(0).reshape(shape).sum((1, 2))
        else:
            weight, n_delays = self.net.weight(i + 1), len(self.net.network.layers[i + 1].delays_s)
            squares = (weight**2).reshape(len(weight), n_delays, shape[0], -1).sum((0, 1, 3))
        return rate * squares.double().cpu().numpy()


def cores_of(net: TrainableLayers) -> int:
    """Neurocores that a network takes as it is, by :func:`~..neuromorphic.chip.mapping.place`."""
    network, _ = quantise_reported(net.graph(), net.weight_scale())
    return place(network, LOIHI2 if net.rises else LOIHI1).n_cores


def check_cores(network: LayeredNetwork, width: int, height: int) -> None:
    """Refuse a budget of cores that not even one channel a layer meets.

    Raises:
        TaskError: it does not.
    """
    if network.cores is None:
        return
    layers = tuple(
        msgspec.structs.replace(layer, **({"neurons": 1} if layer.kernel is None else {"channels": 1}))
        for layer in network.layers
    )
    least = cores_of(TrainableLayers(msgspec.structs.replace(network, layers=layers), width, height, 1, 0))
    if least > network.cores:
        remedy = "give more, or layers of a larger stride"
        raise TaskError(f"cores: {network.cores}: one channel a layer takes {least}; {remedy}")
