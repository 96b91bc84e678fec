# SPDX-License-Identifier: Apache-2.0
"""Options of ``liquid-spike neuromorphic``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .fields import Count, Folder, Options, Output, OutputFile, Picture, Pixels, Range, Seed


@dataclass
class ModelOptions(Options):
    """Options of the network, and of its discretisation."""

    model: tyro.conf.Positional[Path]
    """Model file: .nir, lava-dl's netx (.net, .h5), or a compiled network (.safetensors)."""
    preset: str | None = None
    """Framework whose discretisation a foreign .nir follows, e.g. snntorch or sinabs; an unknown name lists all."""
    dt: Annotated[float, Range(1e-12, 1e12)] | None = None
    """Step of a .nir in the unit of its time constants, if neither preset nor file gives it."""
    step: Annotated[float, Range(1e-9, 3600.0, "s")] | None = None
    """Length of a step [s], if the file does not contain it; default: 0.001."""
    shape: tuple[Pixels, Pixels, Pixels] | None = None
    """Channels, height and width of the input, if the file does not contain them."""
    json: OutputFile = None
    """Write the numbers to this JSON file."""


@dataclass
class SpikeOptions(ModelOptions):
    """Options of the network, and of its input spikes."""

    spikes: Path | None = None
    """Input spikes: .npz, .npy, NIR samples (.nir, .h5), a recorded run (.mcap), or a file of an event camera."""
    node: str | None = None
    """Node of the spikes, in a file of NIR samples with several nodes."""
    rate: Annotated[float, Range(0.0, 1e9, "Hz")] = 10.0
    """Without a file: rate of the random spikes on each input [Hz]."""
    steps: Count = 1000
    """Without a file: number of steps."""
    seed: Seed = 0
    """Without a file: seed of the random spikes."""


@dataclass
class InspectOptions(SpikeOptions):
    """Options of ``neuromorphic inspect``."""

    plot: Picture = None
    """Write a plot of the chip's cores: their load, and the messages between them on the input spikes."""


@dataclass
class CompileOptions(ModelOptions):
    """Options of ``neuromorphic compile``."""

    out: OutputFile = None
    """File to write; default: the model's name with .safetensors, in the working directory."""
    bits: Annotated[int, Range(1, 8)] = 8
    """Bits of a weight without its sign: 1 to 8."""
    exponent: Annotated[int, Range(-8, 7)] | None = None
    """Exponent of the weights, -8 to 7; default: the best one of each connection."""
    calibration: Path | None = None
    """Sample spikes that each layer's weights are calibrated on, in the formats that `run` reads."""
    node: str | None = None
    """Node of the spikes, in a file of NIR samples with several nodes."""


@dataclass
class EmulateOptions(SpikeOptions):
    """Options of ``neuromorphic run``."""

    backend: Literal["loihi", "float", "lava", "nengo_loihi", "brian2_loihi"] = "loihi"
    """loihi: our emulator. float: float arithmetic. Others: external simulators (`make oracles`)."""
    payloads: Path | None = None
    """Numbers instead of spikes, for networks with graded inputs: .npy, integers (steps, inputs)."""
    out: Annotated[Path | None, Output((".npz", ".npy", ".nir"))] = None
    """Write the output spikes to this file: .npz, .npy (with payloads, if any) or .nir."""
    plot: Picture = None
    """Write a plot of every population's spikes, and of the membrane potentials of a few neurons."""
    traces: Annotated[int, Range(0, 1000)] = 3
    """Membrane potentials per population in the plot; 0: none."""


@dataclass
class CompareOptions(SpikeOptions):
    """Options of ``neuromorphic compare``."""

    bits: Annotated[int, Range(1, 8)] = 8
    """Bits of a weight without its sign: 1 to 8."""
    plot: Picture = None
    """Write a plot of the agreement."""


@dataclass
class EnergyOptions(SpikeOptions):
    """Options of ``neuromorphic energy``."""

    inference: Count | None = None
    """Steps per inference; default: all."""
    plot: Picture = None
    """Write a plot of the energy of one inference by device."""


@dataclass
class FuzzOptions(Options):
    """Options of ``neuromorphic fuzz``."""

    simulator: tyro.conf.Positional[Literal["lava", "nengo_loihi", "brian2_loihi"]]
    """External simulator to compare with; `make oracles` installs them."""
    neuron_steps: Annotated[int, Range(1, 10**12)] = 1_000_000
    """Neurons times steps to compare; each is a current, a voltage and a spike."""
    seed: Seed = 0
    """Seed of the first network; incremented for each following one."""
    folder: Annotated[Path, Folder()] = Path()
    """Folder for a mismatch: the network and its input."""
    json: OutputFile = None
    """Write the numbers to this JSON file."""
