# SPDX-License-Identifier: Apache-2.0
"""Options of ``liquid-spike neuromorphic``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass
class ModelOptions:
    """Which network, and how it becomes steps."""

    model: tyro.conf.Positional[Path]
    """A .nir file, lava-dl's netx (.net, .h5), or a compiled network (.safetensors)."""
    preset: str | None = None
    """Whose discretisation a foreign .nir follows, e.g. snntorch, norse, sinabs; an unknown name lists them all."""
    dt: float | None = None
    """Step of a .nir in the unit of its time constants, where neither preset nor file says."""
    step: float | None = None
    """How long a step lasts [s], where the file does not say; 0.001 if nothing does."""
    shape: tuple[int, int, int] | None = None
    """Channels, height and width of the input, where the file does not say."""
    json: Path | None = None
    """Write the numbers."""


@dataclass
class SpikeOptions(ModelOptions):
    """Which network, and what spikes come in."""

    spikes: Path | None = None
    """Input spikes: .npz, .npy, NIR samples (.nir, .h5), a recorded run (.mcap), or event files that faery reads."""
    node: str | None = None
    """Whose spikes, in a file of NIR samples that has several nodes."""
    rate: float = 10.0
    """Without a file: random spikes, so many a second on each input [Hz]."""
    steps: int = 1000
    """Without a file: how many steps."""
    seed: int = 0
    """Without a file: of the random spikes."""


@dataclass
class InspectOptions(SpikeOptions):
    """What can be said about a look into a network."""

    plot: Path | None = None
    """Write a picture of the chip's cores: how full they are, and the messages between them on the input spikes."""


@dataclass
class CompileOptions(ModelOptions):
    """What can be said about a compilation."""

    out: Path | None = None
    """File to write; by default the model's name with .safetensors in this folder."""
    bits: int = 8
    """Of a weight, without its sign: 1 to 8."""
    exponent: int | None = None
    """Of the weights, -8 to 7; by default each connection's own, the one that loses least."""
    calibration: Path | None = None
    """Sample spikes on which each layer's weights are chosen, in the formats that `run` reads."""
    node: str | None = None
    """Whose spikes, in a file of NIR samples that has several nodes."""


@dataclass
class EmulateOptions(SpikeOptions):
    """What can be said about a run of a network."""

    backend: Literal["loihi", "float", "lava", "nengo_loihi", "brian2_loihi"] = "loihi"
    """loihi: our emulator. float: the same without rounding. The others: other people's simulators (make oracles)."""
    payloads: Path | None = None
    """Numbers instead of spikes, for networks that take them: .npy, integers (steps, inputs)."""
    out: Path | None = None
    """Write the output spikes: .npz, .npy (with payloads, where there are any) or .nir."""
    plot: Path | None = None
    """Write a picture: every population's spikes, and the membranes of a few neurons."""
    traces: int = 3
    """Membranes in the picture, a population; 0: none."""


@dataclass
class CompareOptions(SpikeOptions):
    """What can be said about a comparison of the float network with its integers."""

    bits: int = 8
    """Of a weight, without its sign: 1 to 8."""
    plot: Path | None = None
    """Write a picture of the agreement."""


@dataclass
class EnergyOptions(SpikeOptions):
    """What can be said about an estimate of energy."""

    inference: int | None = None
    """Steps that count as one inference; by default all."""
    plot: Path | None = None
    """Write a picture: energy of one inference by device."""


@dataclass
class FuzzOptions:
    """What can be said about a comparison with another simulator."""

    simulator: tyro.conf.Positional[Literal["lava", "nengo_loihi", "brian2_loihi"]]
    """Whose; `make oracles` installs them."""
    neuron_steps: int = 1_000_000
    """Neurons times steps to be compared; each is a current, a voltage and a spike."""
    seed: int = 0
    """Of the first network; the next ones count up."""
    folder: Path = Path()
    """Where a mismatch is written: the network and its input."""
    json: Path | None = None
    """Write the numbers."""
