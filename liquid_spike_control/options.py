# SPDX-License-Identifier: Apache-2.0
"""The options of each ``liquid-spike`` command; their docstrings are its help texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass
class RunOptions:
    """What can be said about a run."""

    task: tyro.conf.Positional[str] = "pencil"
    """What to do: pencil."""
    seed: int = 0
    """Of the episode; the same seed gives the same pushes, pole and noise."""
    duration: float = 20.0
    """Simulated seconds."""
    mode: Literal["lockstep", "realtime"] = "realtime"
    """lockstep: as fast as it goes, the same bytes every time. realtime: at the pace of the wall clock."""
    backend: Literal["offload", "in_process"] = "offload"
    """Where the spiking network runs: on its own node, or in the perception's process."""
    push: float | None = None
    """Impulse of a push [N s]; the task's own if not given."""
    perception_model: Path | None = None
    """A .nir file; the shipped one if not given."""
    controller_model: Path | None = None
    """A .safetensors file; the shipped one if not given."""
    record: Path | None = None
    """Write every topic to this .mcap file."""
    plot: Path | None = None
    """Write a picture of the run: angle, command, events, spikes."""
    json: Path | None = None
    """Write the table's numbers."""
    priority: int = 0
    """Real-time priority of the nodes (SCHED_RR 1 to 98, needs permission); 0 is ordinary scheduling."""
    in_process: bool = False
    """Run the same loop in this process, without ROS."""


@dataclass
class TrainOptions:
    """What can be said about a training."""

    what: tyro.conf.Positional[Literal["perception", "controller"]]
    """perception: the spiking network. controller: the liquid network, on a trained perception."""
    task: tyro.conf.Positional[str] = "pencil"
    """What for: pencil."""
    out: Path | None = None
    """File to write; by default pencil_perception.nir or pencil_controller.safetensors in this folder."""
    perception: Path | None = None
    """The perception to train the controller on; the shipped one if not given."""
    seed: int = 1
    """Of everything that chance decides."""
    updates: int | None = None
    """perception: optimiser steps, if not the full training."""
    rounds: int | None = None
    """controller: DAgger rounds, if not the full training."""


@dataclass
class BenchOptions:
    """What can be said about a benchmark."""

    what: tyro.conf.Positional[Literal["pencil", "push", "snn"]]
    """pencil: success, accuracy, work and latency of five controllers. push: the largest push each survives. snn: one
    step of a 49,224-neuron network, beside plain torch.
    """
    seeds: str = "1000:1020"
    """Held-out seeds, first:last+1."""
    duration: float = 60.0
    """Simulated seconds of an episode."""
    push: float = 0.06
    """Impulse of a push [N s] (pencil)."""
    variants: str = ""
    """Comma-separated: lqr_true, lqr_spiking, cfc_float, cfc_loihi, cfc_frames; all if not given."""
    perception_model: Path | None = None
    """A .nir file; the shipped one if not given."""
    controller_model: Path | None = None
    """A .safetensors file; the shipped one if not given."""
    jobs: int = 2
    """Processes."""
    json: Path | None = None
    """Write the figures."""
    plot: Path | None = None
    """Write a picture (push, snn)."""
