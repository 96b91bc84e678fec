# SPDX-License-Identifier: Apache-2.0
"""Options of ``liquid-spike neuromorphic``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .fields import Count, Options, OutputFile, Pixels, Range, Seed


@dataclass
class ModelOptions(Options):
    """Which network, and how it becomes steps."""

    model: tyro.conf.Positional[Path]
    """A .nir file, lava-dl's netx (.net, .h5), or a compiled network (.safetensors)."""
    preset: str | None = None
    """Whose discretisation a foreign .nir follows, e.g. snntorch, norse, sinabs; an unknown name lists them all."""
    dt: Annotated[float, Range(1e-12, 1e12)] | None = None
    """Step of a .nir in the unit of its time constants, where neither preset nor file says."""
    step: Annotated[float, Range(1e-9, 3600.0, "s")] | None = None
    """How long a step lasts [s], where the file does not say; 0.001 if nothing does."""
    shape: tuple[Pixels, Pixels, Pixels] | None = None
    """Channels, height and width of the input, where the file does not say."""
    json: OutputFile = None
    """Write the numbers."""


@dataclass
class SpikeOptions(ModelOptions):
    """Which network, and what spikes come in."""

    spikes: Path | None = None
    """Input spikes: .npz, .npy, NIR samples (.nir, .h5), a recorded run (.mcap), or event files that faery reads."""
    node: str | None = None
    """Whose spikes, in a file of NIR samples that has several nodes."""
    rate: Annotated[float, Range(0.0, 1e9, "Hz")] = 10.0
    """Without a file: random spikes, so many a second on each input [Hz]."""
    steps: Count = 1000
    """Without a file: how many steps."""
    seed: Seed = 0
    """Without a file: of the random spikes."""


@dataclass
class InspectOptions(SpikeOptions):
    """Options of a look into a network."""

    plot: OutputFile = None
    """Write a picture of the chip's cores: how full they are, and the messages between them on the input spikes."""


@dataclass
class CompileOptions(ModelOptions):
    """Options of a compilation."""

    out: OutputFile = None
    """File to write; by default the model's name with .safetensors in this folder."""
    bits: Annotated[int, Range(1, 8)] = 8
    """Of a weight, without its sign: 1 to 8."""
    exponent: Annotated[int, Range(-8, 7)] | None = None
    """Of the weights, -8 to 7; by default each connection's own, the one that loses least."""
    calibration: Path | None = None
    """Sample spikes on which each layer's weights are chosen, in the formats that `run` reads."""
    node: str | None = None
    """Whose spikes, in a file of NIR samples that has several nodes."""


@dataclass
class EmulateOptions(SpikeOptions):
    """Options of a run of a network."""

    backend: Literal["loihi", "float", "lava", "nengo_loihi", "brian2_loihi"] = "loihi"
    """loihi: our emulator. float: the same without rounding. The others: other people's simulators (make oracles)."""
    payloads: Path | None = None
    """Numbers instead of spikes, for networks that take them: .npy, integers (steps, inputs)."""
    out: OutputFile = None
    """Write the output spikes: .npz, .npy (with payloads, where there are any) or .nir."""
    plot: OutputFile = None
    """Write a picture: every population's spikes, and the membranes of a few neurons."""
    traces: Annotated[int, Range(0, 1000)] = 3
    """Membranes in the picture, a population; 0: none."""


@dataclass
class CompareOptions(SpikeOptions):
    """Options of a comparison of the float network with its integers."""

    bits: Annotated[int, Range(1, 8)] = 8
    """Of a weight, without its sign: 1 to 8."""
    plot: OutputFile = None
    """Write a picture of the agreement."""


@dataclass
class EnergyOptions(SpikeOptions):
    """Options of an estimate of energy."""

    inference: Count | None = None
    """Steps that count as one inference; by default all."""
    plot: OutputFile = None
    """Write a picture: energy of one inference by device."""


@dataclass
class FuzzOptions(Options):
    """Options of a comparison with another simulator."""

    simulator: tyro.conf.Positional[Literal["lava", "nengo_loihi", "brian2_loihi"]]
    """Whose; `make oracles` installs them."""
    neuron_steps: Annotated[int, Range(1, 10**12)] = 1_000_000
    """Neurons times steps to be compared; each is a current, a voltage and a spike."""
    seed: Seed = 0
    """Of the first network; the next ones count up."""
    folder: Path = Path()
    """Where a mismatch is written: the network and its input."""
    json: OutputFile = None
    """Write the numbers."""
