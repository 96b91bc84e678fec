# SPDX-License-Identifier: Apache-2.0
"""Parts of a network that do not fit on a chip, with the reason and the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..integers.network import LoihiNetwork
from ..integers.synapses import Dense
from .chips import ChipLimits
from .partition import RESOURCES
from .synapse_lists import Format

_REMEDY = {
    "axons in": "prune or pool its inputs",
    "axons out": "prune its targets, or relay its spikes through more neurons",
    "synapse memory": "prune its synapses, or use fewer weight and delay bits",
}


@dataclass(frozen=True, slots=True)
class Misfit:
    """A part that does not fit.

    Attributes:
        where: population or connection.
        limit: what there is too little of.
        needed, available: how much of it.
        remedy: what to do.
    """

    where: str
    limit: str
    needed: int
    available: int
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.limit}: {self.needed} needed, {self.available} available; {self.remedy}"


def unknown(network: LoihiNetwork, limits: ChipLimits) -> list[Misfit]:
    """Return the parts that the chip cannot compute at all."""
    misfits = []
    for name, p in network.populations.items():
        if limits.neuron_models is not None and type(p).__name__ not in limits.neuron_models:
            kinds = ", ".join(limits.neuron_models)
            misfits.append(
                Misfit(f"{name} ({type(p).__name__})", "neurons", p.n, 0, f"use one of {kinds}, or Loihi 2")
            )
    remedy = "shorten it, or relay through a population that fires at once"
    for c in network.connections:
        longest, where = int(np.max(c.delays, initial=0)), f"{type(c).__name__} {c.source} -> {c.target}"
        if limits.longest_delay is not None and longest > limits.longest_delay:
            misfits.append(Misfit(where, "delay", longest, limits.longest_delay, remedy))
        rule = c.learning if isinstance(c, Dense) else None
        # a learning engine sees spikes; only a neuron that is programmed can write a trace of its voltage
        if rule is not None and rule.surrogate is not None and limits.neuron_models is not None:
            n = network.populations[c.target].n
            misfits.append(Misfit(where, f"traces of voltages ({rule.name})", n, 0, "use a rule of spikes, or Loihi 2"))
    return misfits


def crowded(formats: Mapping[str, Sequence[Format]], limits: ChipLimits) -> list[Misfit]:
    """Populations whose connections, each with its format, need more formats than a core has."""
    remedy = "give its connections the same weight bits, exponents and signs, or relay some"
    return [
        Misfit(name, "synapse formats", len(set(its)), limits.formats, remedy)
        for name, its in formats.items()
        if limits.formats is not None and len(set(its)) > limits.formats
    ]


def full(name: str, needs: np.ndarray, usage: np.ndarray, limits: np.ndarray) -> list[Misfit]:
    """Neurons that need more than a core by themselves.

    Args:
        name: population.
        needs: of each neuron alone.
        usage: of its cores.
        limits: of a core.
    """
    misfits = []
    for r in np.flatnonzero((needs > limits).any(0) & (usage > limits).any(0)):
        over, worst = int((needs[:, r] > limits[r]).sum()), int(needs[:, r].argmax())
        others = f" and {over - 1} more" if over > 1 else ""
        where = f"{name}, neuron {worst}{others}"
        misfits.append(Misfit(where, RESOURCES[r], int(needs[worst, r]), int(limits[r]), _REMEDY[RESOURCES[r]]))
    return misfits


def too_many(n_cores: int, limits: ChipLimits, chips: int | None) -> list[Misfit]:
    """More cores than so many chips have."""
    if chips is None or n_cores <= chips * limits.cores:
        return []
    remedy = f"use {-(-n_cores // limits.cores)} chips or a smaller network"
    return [Misfit("the network", "cores", n_cores, chips * limits.cores, remedy)]
