# SPDX-License-Identifier: Apache-2.0
"""Options of commands about the graph: run, view, new, doctor, faults, security."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .fields import (
    Folder,
    Options,
    Output,
    OutputFile,
    Picture,
    Port,
    Priority,
    Range,
    Seconds,
    Seed,
    Video,
)  # fmt: skip


@dataclass
class RunOptions(Options):
    """Options of ``run``."""

    robot: tyro.conf.Positional[str] = "pencil"
    """Robot to run: its name (`liquid-spike robots` lists them), folder or yaml file."""
    real: bool = False
    """Run on the robot's own topics, until Ctrl-C, instead of in simulation."""
    set: tuple[str, ...] = ()
    """Settings of the robot's task, e.g. `--set push=0.02`."""
    params: Path | None = None
    """A yaml file of ROS parameters that replace those derived from the description."""
    seed: Seed = 0
    """Seed of the episode; the same seed gives the same episode."""
    duration: Seconds | None = None
    """Duration of the episode in simulated time [s]; default: the task's."""
    mode: Literal["lockstep", "realtime"] = "realtime"
    """lockstep: as fast as possible, with reproducible bytes. realtime: at the pace of the wall clock."""
    backend: Literal["offload", "in_process"] = "offload"
    """Where the spiking network runs: on its own node (offload), or in the perception's process."""
    simulator: Literal["loihi", "float", "lava", "nengo_loihi", "brian2_loihi"] = "loihi"
    """Backend of the offload node: our emulator, float arithmetic, or an external simulator (`make oracles`; slow)."""
    perception_model: Path | None = None
    """Perception model, a .nir file; default: the description's."""
    controller_model: Path | None = None
    """Controller, a .safetensors file, or .nir for a spiking one; default: the description's."""
    record: Annotated[Path | None, Output((".mcap",))] = None
    """Record every topic to this .mcap file."""
    plot: Picture = None
    """Write a plot of the run to this file: estimates and truth, commands, events, spikes."""
    video: Video = None
    """Write a video, .gif or .mp4 (needs the extra [video]): scene, events, spikes, estimates, commands."""
    json: OutputFile = None
    """Write the numbers of the table to this JSON file."""
    priority: Priority | None = None
    """Real-time priority of the nodes, or of the loop with --in-process --view (SCHED_RR 1 to 98, needs permission);
    0 is ordinary scheduling. Default: 20 in real time where it is permitted, so that other programs take no time from
    the robot; else 0."""
    namespace: str = ""
    """Namespace of the nodes and their topics, e.g. robot1, to run several robots on one ROS domain."""
    wait: Annotated[float, Range(0.0, 1e6, "s")] = 60.0
    """With --real: how long activation waits for the robot's messages, and for a subscriber of its commands [s]."""
    in_process: bool = False
    """Run the same loop in this process, without ROS."""
    expert: bool = False
    """With --in-process: the task's expert, which knows the true state, drives; no controller is needed."""
    rewards: bool = False
    """A controller that `train reward` made goes on learning: by the task's rewards, or with --real by those on the
    topic reward."""
    learnt: Annotated[Path | None, Output((".safetensors",))] = None
    """Keep what the controller has learnt at the end of the run in this file, and print the lines by which a
    controller's file begins with it."""
    view: bool = False
    """Show the run on a page in the browser and print its link; runs 10 minutes without --duration."""
    port: Port = 0
    """Port of that page; 0: any free one."""


@dataclass
class ViewOptions(Options):
    """Options of ``view``."""

    source: tyro.conf.Positional[str] = ""
    """A bag to play: a .mcap or .db3 file, or a folder of ros2 bag. With --real: the robot's name, folder or yaml file.
    Default: the graph on the ROS domain, whose simulator reports its robot."""
    real: bool = False
    """The graph has no simulator."""
    robot: str = ""
    """Robot of a bag that does not name it: its name, folder or yaml file."""
    perception_model: Path | None = None
    """Perception model of the graph or bag, a .nir file, if it is not the description's."""
    namespace: str = ""
    """Namespace of the graph's nodes."""
    port: Port = 0
    """Port of the page; 0: any free one."""


@dataclass
class NewOptions(Options):
    """Options of ``new``."""

    folder: tyro.conf.Positional[Annotated[Path, Folder()]]
    """Folder to write; its name becomes the robot's: lower-case letters, digits and _."""


@dataclass
class DoctorOptions(Options):
    """Options of ``doctor``."""

    json: OutputFile = None
    """Write the findings to this JSON file."""


@dataclass
class FaultsOptions(Options):
    """Options of ``faults``."""

    only: tuple[str, ...] = ()
    """Names of the faults to inject, e.g. `--only estop gate_killed`; default: all."""
    thorough: bool = False
    """Inject as often and as long as for the published table: half an hour."""
    priority: Priority = 0
    """Real-time priority of the nodes in the soak (SCHED_RR 1 to 98, needs permission); 0 is ordinary scheduling."""
    json: OutputFile = None
    """Write the table to this JSON file."""


@dataclass
class SecurityOptions(Options):
    """Options of the graph that the permissions are for."""

    robot: str = "pencil"
    """Robot: its name, folder or yaml file."""
    real: bool = False
    """Permissions for the graph on the robot's own topics, without the simulator."""
    mode: Literal["lockstep", "realtime"] = "realtime"
    """Mode of the graph."""
    backend: Literal["offload", "in_process"] = "offload"
    """Where the spiking network runs: on its own node (offload), or in the perception's process."""
    rewards: bool = False
    """The controller goes on learning by reward, as in `run --rewards`."""


@dataclass
class PolicyOptions(SecurityOptions):
    """Options of ``security policy``."""

    out: OutputFile = None
    """File to write; default: standard output."""


@dataclass
class KeystoreOptions(SecurityOptions):
    """Options of ``security keystore``."""

    folder: tyro.conf.Positional[Annotated[Path, Folder()]] = tyro.MISSING
    """Folder to create."""
