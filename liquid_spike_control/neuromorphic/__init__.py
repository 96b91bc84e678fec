# SPDX-License-Identifier: Apache-2.0
"""Bring a spiking network, run it on Loihi's arithmetic. What follows is loaded when it is used.

>>> model = read_model("model.nir", preset="snntorch_zero")  # doctest: +SKIP
>>> network = quantise(model.graph)  # doctest: +SKIP
>>> spikes = random_spikes(model.n_inputs, rate=20.0, steps=1000, dt=1e-3, seed=0)  # doctest: +SKIP
>>> output = emulate(network).run(spikes)  # doctest: +SKIP
>>> print(compare(model.graph, network, spikes))  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agreement import compare
    from .chip.mapping import place
    from .emulator.engine import emulate
    from .energy.devices import compare_devices
    from .files.compiled import read_network, write_network
    from .files.spike_files import random_spikes, read_spikes, write_spikes
    from .model import new_backend, read_model
    from .quantisation.quantize import quantise

__all__ = [
    "compare",
    "compare_devices",
    "emulate",
    "new_backend",
    "place",
    "quantise",
    "random_spikes",
    "read_model",
    "read_network",
    "read_spikes",
    "write_network",
    "write_spikes",
]

_MODULES = {
    "agreement": ("compare",),
    "files.compiled": ("read_network", "write_network"),
    "energy.devices": ("compare_devices",),
    "emulator.engine": ("emulate",),
    "chip.mapping": ("place",),
    "model": ("new_backend", "read_model"),
    "quantisation.quantize": ("quantise",),
    "files.spike_files": ("random_spikes", "read_spikes", "write_spikes"),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f".{_WHERE[name]}", __name__), name)
