# SPDX-License-Identifier: Apache-2.0
"""Choice of the engine that runs a network."""

from __future__ import annotations

from ..integers.network import LoihiNetwork
from ..integers.neurons import Population
from ..learning.emulator import PlasticEmulator
from .loihi import LoihiEmulator
from .loihi2 import Loihi2Emulator


def emulate(network: LoihiNetwork, graded: bool = False) -> LoihiEmulator | Loihi2Emulator:
    """Build an emulator of a network: the fast engine if all neurons are CUBA-LIF, else the general one.

    Plastic connections learn, which needs the fast engine.

    Both are :class:`~.backend.Backend` and give the same spikes.

    Args:
        network: in integers.
        graded: whether the input carries payloads, which only the general engine supports.
    """
    if not graded and all(isinstance(p, Population) for p in network.populations.values()):
        return PlasticEmulator(network) if network.learns else LoihiEmulator(network)
    return Loihi2Emulator(network)
