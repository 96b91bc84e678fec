# SPDX-License-Identifier: Apache-2.0
"""Options of the graph: running it, looking at its machine, injecting faults, handing out permissions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .fields import Options, OutputFile, Port, Priority, Range, Seconds, Seed


@dataclass
class RunOptions(Options):
    """Options of a run."""

    robot: tyro.conf.Positional[str] = "pencil"
    """A robot's name (`liquid-spike robots` lists them), its folder or its yaml file."""
    real: bool = False
    """On the robot's own topics, until Ctrl-C, instead of in simulation."""
    set: tuple[str, ...] = ()
    """Settings of the robot's task, e.g. `--set push=0.02`."""
    params: Path | None = None
    """A yaml file of ROS parameters, in the place of those derived from the description."""
    seed: Seed = 0
    """Of the episode; the same seed gives the same episode."""
    duration: Seconds | None = None
    """Simulated seconds; the task's own if not given."""
    mode: Literal["lockstep", "realtime"] = "realtime"
    """lockstep: as fast as it goes, the same bytes every time. realtime: at the pace of the wall clock."""
    backend: Literal["offload", "in_process"] = "offload"
    """Where the spiking network runs: on its own node, or in the perception's process."""
    simulator: Literal["loihi", "float", "lava", "nengo_loihi", "brian2_loihi"] = "loihi"
    """What runs it on its own node: our emulator, the same without rounding, or others' (`make oracles`; slow)."""
    perception_model: Path | None = None
    """A .nir file; the description's if not given."""
    controller_model: Path | None = None
    """A .safetensors file, or a spiking controller's .nir; the description's if not given."""
    record: OutputFile = None
    """Write every topic to this .mcap file."""
    plot: OutputFile = None
    """Write a picture of the run: estimates and truth, commands, events, spikes."""
    video: OutputFile = None
    """Write a moving picture, .gif or .mp4 (needs the extra [video]): scene, events, spikes, estimates, commands."""
    json: OutputFile = None
    """Write the table's numbers."""
    priority: Priority = 0
    """Real-time priority of the nodes (SCHED_RR 1 to 98, needs permission); 0 is ordinary scheduling."""
    namespace: str = ""
    """Of the nodes and their topics, e.g. robot1: several robots on one ROS domain have one each."""
    wait: Annotated[float, Range(0.0, 1e6, "s")] = 60.0
    """With --real: how long activation waits for the robot's messages, and for a listener to its commands [s]."""
    in_process: bool = False
    """Run the same loop in this process, without ROS."""
    expert: bool = False
    """With --in-process: the task's expert, which knows the true state, drives, and estimates are the true values."""
    view: bool = False
    """Show the run on a page in the browser, whose link is printed; 10 minutes unless --duration says otherwise."""
    port: Port = 0
    """Of that page; any free one if 0."""


@dataclass
class ViewOptions(Options):
    """Options of a page about a running graph."""

    robot: tyro.conf.Positional[str] = ""
    """With --real: a robot's name, its folder or its yaml file. The simulator of the graph says what it simulates."""
    real: bool = False
    """The graph has no simulator."""
    perception_model: Path | None = None
    """A .nir file, where the graph runs another one than the description's."""
    namespace: str = ""
    """Of the graph's nodes."""
    port: Port = 0
    """Of the page; any free one if 0."""


@dataclass
class NewOptions(Options):
    """A new robot."""

    folder: tyro.conf.Positional[Path]
    """Folder to write; its name becomes the robot's: lower-case letters, digits and _."""


@dataclass
class DoctorOptions(Options):
    """Options of a look at the machine."""

    json: OutputFile = None
    """Write the findings."""


@dataclass
class FaultsOptions(Options):
    """Which faults are injected."""

    only: tuple[str, ...] = ()
    """Names of faults, e.g. `--only estop gate_killed`; all if not given."""
    thorough: bool = False
    """Inject as often and as long as the published table did: half an hour."""
    priority: Priority = 0
    """Real-time priority of the nodes in the soak (SCHED_RR 1 to 98, needs permission); 0 is ordinary scheduling."""
    json: OutputFile = None
    """Write the table."""


@dataclass
class SecurityOptions(Options):
    """Which graph the permissions are for."""

    robot: str = "pencil"
    """A robot's name, its folder or its yaml file."""
    real: bool = False
    """Of the graph on the robot's own topics, without the simulator."""
    mode: Literal["lockstep", "realtime"] = "realtime"
    """Of the graph."""
    backend: Literal["offload", "in_process"] = "offload"
    """Where the spiking network runs: on its own node, or in the perception's process."""


@dataclass
class PolicyOptions(SecurityOptions):
    """Options of a policy."""

    out: OutputFile = None
    """File to write; printed if not given."""


@dataclass
class KeystoreOptions(SecurityOptions):
    """Options of a keystore."""

    folder: tyro.conf.Positional[Path] = tyro.MISSING
    """Folder to make."""
