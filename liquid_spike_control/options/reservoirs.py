# SPDX-License-Identifier: Apache-2.0
"""Options of ``liquid-spike train reservoir`` and ``bench reservoir``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .fields import Options, Output, OutputFile, Picture, Range, Seed


@dataclass
class ReservoirOptions(Options):
    """Parameters of a reservoir, its input and its readout."""

    neurons: Annotated[int, Range(2, 8192)] = 400
    """Excitatory and inhibitory ones together; a network that no Loihi chip holds is refused."""
    topology: Literal["distance", "small-world", "uniform"] = "distance"
    """Recurrent connections: by distance on a grid (Maass et al. 2002), small-world, or uniform."""
    gain: Annotated[float, Range(0.0, 100.0)] = 1.0
    """Of the recurrence: spectral radius of weights over thresholds and current decays."""
    inhibitory: Annotated[float, Range(0.0, 0.9)] = 0.2
    """Fraction of inhibitory neurons (Dale's law: all synapses of a neuron have one sign)."""
    input_gain: Annotated[float, Range(0.001, 1000.0)] = 1.0
    """Of the input, in thresholds."""
    delay: Annotated[int, Range(0, 62)] = 60
    """Longest delay of synapses, in extra steps."""
    code: Literal["population", "rate", "latency", "phase", "delta"] = "population"
    """How a number becomes spikes; phase takes 30 steps at most."""
    steps: Annotated[int, Range(2, 1024)] = 10
    """Steps of the network a sample."""
    regularisation: Annotated[float, Range(1e-9, 1e9)] = 0.1
    """Of on-line learning: initial regularisation of the weights; larger learns more slowly at first."""
    forgetting: Annotated[float, Range(0.9, 1.0)] = 1.0
    """Of on-line learning: forgetting factor a sample; 1 forgets nothing."""
    rate: Annotated[float, Range(1e-6, 1.0)] = 0.05
    """Of on-line learning by pes: the part of its error that a sample takes away."""


@dataclass
class TrainReservoirOptions(ReservoirOptions):
    """Options of the training of a reservoir."""

    series: tyro.conf.Positional[str] = "narma10"
    """narma10, or a .csv file whose first line names its columns."""
    target: tuple[str, ...] = ()
    """Columns to predict, at the same line; the last one if not given. All others are inputs."""
    readout: Literal["ridge", "rls", "force", "pes"] = "ridge"
    """ridge: offline. rls: on line, sample by sample. force: on line, with the output fed back as an input.
    pes: on line, by the error times the activity alone."""
    samples: Annotated[int, Range(500, 10**6)] = 6000
    """Of narma10; the last quarter is tested on."""
    seed: Seed = 1
    """Of the reservoir, and of narma10."""
    out: Annotated[Path, Output((".nir",))] = Path("reservoir.nir")
    """File to write."""
    plot: Picture = None
    """Write a picture of the held-out samples."""


@dataclass
class BenchReservoirOptions(ReservoirOptions):
    """Options of the comparison of reservoirs."""

    models: str = ""
    """Comma-separated: loihi, float, rls and pes (on line), esn, cfc (needs the extra [train]); all if not given."""
    seeds: str = "1:4"
    """Of the reservoirs and of the series, first:last+1."""
    samples: Annotated[int, Range(500, 10**6)] = 4000
    """To learn from; half as many are tested on."""
    topologies: str = ""
    """Comma-separated: compare the integers of these, or all, at each of --gains; no other models."""
    gains: str = ""
    """Comma-separated spectral radii, for the comparison of topologies; with it all topologies if none are given."""
    json: OutputFile = None
    """Write the figures."""
    plot: Picture = None
    """Write a picture."""
