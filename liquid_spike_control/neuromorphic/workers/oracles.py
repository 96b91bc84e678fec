# SPDX-License-Identifier: Apache-2.0
"""The other simulators: where their interpreters are, and which networks they can run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ...errors import ModelError, WorkerError
from ..integers.network import INPUT, LoihiNetwork
from ..integers.neurons import Population
from ..integers.synapses import Conv, Dense, Sparse

Kind = Literal["lava", "nengo_loihi", "brian2_loihi"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Environment variable that names the folder of the virtual environments, if not ``.oracles`` of the source tree.
FOLDER = "LIQUID_SPIKE_ORACLES"
_SOURCE_TREE = Path(__file__).resolve().parents[3]
_INSTALL = {
    "lava": "pip install lava-nc==0.10.0, on Python 3.10",
    "nengo_loihi": "pip install nengo-loihi==1.1.0 nengo==3.2.0 'numpy<2' 'scipy<1.14'",
    "brian2_loihi": "pip install brian2-loihi==0.5.2 Brian2==2.9.0 'numpy<2.4'",
}


def find_oracle(kind: str) -> Path:
    """The interpreter that has the simulator: ``bin/python`` of the virtual environment of this name.

    Raises:
        WorkerError: it is not installed; the message names the searched path and the remedy.
    """
    if kind not in KINDS:
        raise WorkerError(f"{kind} is not a known simulator; give one of {', '.join(KINDS)}")
    folder = Path(os.environ.get(FOLDER) or _SOURCE_TREE / ".oracles")
    python = folder / kind / "bin/python"
    if not os.access(python, os.X_OK):
        raise WorkerError(
            f"{kind} is not installed: there is no {python}. `make oracles` in the source tree makes it; elsewhere"
            f" make a virtual environment {kind} ({_INSTALL[kind]}) and name its folder in {FOLDER}"
        )
    return python


def check_network(kind: Kind, network: LoihiNetwork) -> None:
    """Whether the simulator has everything that a network uses.

    Raises:
        ModelError: it has not; the message names the population or connection and what is missing.
    """
    populations = {name: p for name, p in network.populations.items() if isinstance(p, Population)}
    others = (
        f"population {name}: {type(p).__name__} neurons"
        for name, p in network.populations.items()
        if name not in populations
    )
    learns = (f"{_name(c)}: learning" for c in network.connections if isinstance(c, Dense) and c.learning is not None)
    for what in chain(others, learns, _LACKS[kind](populations, network)):
        raise ModelError(f"{kind} cannot run {what}; the emulator can")


def _of_each_neuron(populations: dict[str, Population], parameters: tuple[str, ...]) -> Iterator[str]:
    """Parameters that differ within a population, where the simulator has one for all."""
    for name, p in populations.items():
        for parameter in parameters:
            if np.ptp(getattr(p, parameter)):
                yield f"population {name}: {parameter} of each neuron, where it has one a population"


def _name(c: Dense | Sparse | Conv) -> str:
    return f"{type(c).__name__} {c.source} -> {c.target}"


def _lava(populations: dict[str, Population], network: LoihiNetwork) -> Iterator[str]:
    yield from _of_each_neuron(populations, ("du", "dv", "vth"))
    for name, p in populations.items():
        if np.max(p.refractory) > 1:
            yield f"population {name}: a refractory period (its fixed-point LIF has none)"
        if np.max(p.start):
            yield f"population {name}: a late start"
    for c in network.connections:
        if isinstance(c, Conv):
            if c.weight_exp:
                yield f"{_name(c)}: weight_exp {c.weight_exp} (its Conv ignores exponents)"
            if c.delay:
                yield f"{_name(c)}: a delay (its Conv has none)"
        elif c.rounding != "lava":
            yield f"{_name(c)}: weights rounded as {c.rounding} does"
    joined, before = {INPUT}, 0
    while len(joined) > before:
        before = len(joined)
        for c in network.connections:
            if joined & {c.source, c.target}:
                joined |= {c.source, c.target}
    for name in network.populations:
        if name not in joined:
            yield f"population {name}: nothing joins it to the input"


def _nengo_loihi(populations: dict[str, Population], network: LoihiNetwork) -> Iterator[str]:
    for c in network.connections:
        if isinstance(c, Conv):
            yield f"{_name(c)}: a convolution of integers (its own are made from Nengo's)"
        if np.any(c.delays):
            yield f"{_name(c)}: delays"
        if c.shift < 0:
            yield f"{_name(c)}: weight_exp {c.weight_exp}, by which a sum is shifted to the right"


def _brian2_loihi(populations: dict[str, Population], network: LoihiNetwork) -> Iterator[str]:
    yield from _of_each_neuron(populations, ("du", "dv", "vth", "refractory"))
    for name, p in populations.items():
        if np.any(p.bias):
            yield f"population {name}: a bias"
        if np.max(p.start):
            yield f"population {name}: a late start"
    for c in network.connections:
        if isinstance(c, Conv):
            yield f"{_name(c)}: a convolution"
        elif c.rounding != "brian2loihi":
            yield f"{_name(c)}: weights rounded as {c.rounding} does"
        elif c.weights.max(initial=0) > 254 and c.weights.min(initial=0) < 0:
            yield f"{_name(c)}: a weight of {c.weights.max()} among weights of both signs (it takes 254 at most)"
        elif c.weight_exp == 7 and c.weights.min(initial=0) <= -256:
            yield f"{_name(c)}: a weight of {c.weights.min()} at exponent 7 (it clips the product)"
        if np.max(c.delays, initial=0) > 62:
            yield f"{_name(c)}: a delay above 62"


_LACKS = {"lava": _lava, "nengo_loihi": _nengo_loihi, "brian2_loihi": _brian2_loihi}
