# SPDX-License-Identifier: Apache-2.0
"""Options of ``liquid-spike bench``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .fields import (
    Count,
    Jobs,
    Options,
    OutputFile,
    OutputFolder,
    Picture,
    Priority,
    Range,
    Seconds,
    Seed,
    Video,
)  # fmt: skip


@dataclass
class BenchOptions(Options):
    """Options of a benchmark of steps."""

    json: OutputFile = None
    """Write the figures."""
    plot: Picture = None
    """Write a picture (snn)."""


@dataclass
class BenchAgreementOptions(Options):
    """Options of the comparison of a perception's integers with float64."""

    robot: tyro.conf.Positional[str]
    """Name of a robot with a spiking perception, its folder or its yaml file."""
    seeds: str = "1000:1005"
    """Held-out seeds of the episodes, first:last+1."""
    set: tuple[str, ...] = ()
    """Settings of the task, name=value."""
    variant: str = ""
    """One of the description's, with a spiking perception on the emulator; the first such if not given."""
    perception_model: Path | None = None
    """Takes the place of the description's perception."""
    controller_model: Path | None = None
    """Takes the place of the description's controller."""
    json: OutputFile = None
    """Write the figures."""


@dataclass
class BenchRobotOptions(BenchOptions):
    """Options of the comparison of the ways to drive a robot."""

    robot: tyro.conf.Positional[str] = "pencil"
    """Name of a robot, its folder or its yaml file; see liquid-spike robots."""
    seeds: str = "1000:1020"
    """Held-out seeds of the episodes, first:last+1."""
    duration: Seconds | None = None
    """Simulated seconds of an episode; the task's own if not given."""
    set: tuple[str, ...] = ()
    """Settings of the task, name=value, e.g. push=0.06 (its class's arguments)."""
    sweep: str = ""
    """A setting's values, name=first:last:step, e.g. push=0.09:0.13:0.0025: success at each of them, and the largest at
    which 90 % of the episodes succeed."""
    conditions: tuple[str, ...] = ()
    """Settings of the task under which all variants are compared, in one run, e.g. none noise=10 lighting=dusk,noise=3:
    success, failures per kilometre, and a sign test on the same seeds."""
    against: str = ""
    """Of --conditions: the variant that the others are compared with; the first one if not given."""
    variants: str = ""
    """Comma-separated, as the robot's description names them; an unknown name lists them all. All if not given."""
    perception_model: Path | None = None
    """Takes the place of the description's perception."""
    controller_model: Path | None = None
    """Takes the place of the description's controller."""
    rendered: bool = False
    """Render every picture, where the task has quicker ones."""
    jobs: Jobs = 2
    """Processes."""
    plot: Picture = None
    """Write a picture of --sweep or --conditions."""
    neurons: Picture = None
    """Write a picture of the first seed's episode, with one variant: the state of each neuron of its controller along
    the robot's way, or over time."""
    video: Video = None
    """Write a moving picture of the first seed's episode, .gif or .mp4 (needs the extra [video]); with one variant."""


@dataclass
class BenchEnergyOptions(BenchOptions):
    """Options of the energy estimates."""

    robot: str = "pencil"
    """Name of a robot with a perception, its folder or its yaml file."""
    seed: Seed = 1000
    """Of the episode."""
    duration: Seconds = 60.0
    """Simulated seconds of the episode."""
    plot: Picture = None
    """Write a picture."""


@dataclass
class BenchAdaptationOptions(Options):
    """Options of the comparison of controllers on an arm that changes."""

    models: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Files of tracking controllers; PD, PID, PD with a spiking term that learns, and computed torque if not given."""
    seeds: str = "1000:1020"
    """Held-out seeds, first:last+1."""
    change: Literal["both", "payload", "motor", "none"] = "both"
    """What changes during an episode: the payload at 20 and 40 s, or a motor that gives half from 20 s on."""
    duration: Seconds = 60.0
    """Simulated seconds of an episode."""
    latency: Annotated[float, Range(0.0, 0.01, "s")] = 0.002
    """Time between sensing and torque, a multiple of 1 ms; over ROS 2 in real time it is 1.5 to 3 ms."""
    jobs: Jobs = 2
    """Processes."""
    json: OutputFile = None
    """Write the figures."""
    plot: Picture = None
    """Write a picture of the errors over time."""


@dataclass
class HopsOptions(Options):
    """Options of the measuring of the graph's hops."""

    duration: Annotated[float, Range(1.0, 3600.0, "s")] = 30.0
    """Seconds."""
    priority: Priority = 0
    """Real-time priority of the nodes (SCHED_RR 1 to 98, needs permission); 0 is ordinary scheduling."""
    json: OutputFile = None
    """Write the figures."""


@dataclass
class ScaleOptions(Options):
    """Options of the measuring of the tasks' scales."""

    tasks: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names of robots, or their folders; all that have a scale if not given."""
    seeds: str = "500000:500100"
    """Held-out seeds, first:last+1; the scales' own, so that nothing else is judged on them."""
    record: bool = False
    """Write the figures in place of those of the same tasks: into the package, or into the robot's own folder."""


@dataclass
class BenchPolicyOptions(Options):
    """Options of the trial of controllers."""

    models: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Controller files, as `liquid-spike train policy` writes them; each is tried on the robot it was trained for."""
    robot: str = ""
    """The robot instead: its name, folder or yaml file; without a controller file, its own controller is tried."""
    perturbations: str = ""
    """Comma-separated; an unknown name lists them all. All that apply to the task if not given."""
    seeds: str = "1000:1100"
    """Held-out seeds of the episodes, first:last+1."""
    backend: Literal["loihi", "float"] = "loihi"
    """What runs a spiking controller: the Loihi emulator, or float64."""
    json: OutputFile = None
    """Write the figures."""


@dataclass
class ClosedLoopOptions(Options):
    """Options of the comparison of controllers on tasks."""

    plan: Literal["smoke", "published", "drift", "horizon"] = "smoke"
    """smoke: a few controllers, hardly trained, minutes. published: everything, hours. drift: plants, sensors and
    periods that change within an episode. horizon: the networks of drift in episodes of
    ten minutes. The options below change it."""
    controllers: str = ""
    """Comma-separated; an unknown name lists them all."""
    tasks: str = ""
    """Comma-separated names of robots, or their folders; an unknown name lists them all."""
    perturbations: str = ""
    """Comma-separated; an unknown name lists them all."""
    training_seeds: str = ""
    """Of the networks, first:last+1, from 1 on."""
    episodes: Count | None = None
    """Of each perturbation."""
    rounds: Count | None = None
    """Of DAgger, if not the plan's."""
    cache: Path | None = None
    """Folder where results and networks are kept; by default the user's cache."""
    results: tuple[Path, ...] = ()
    """Folders of results that are read too, e.g. docs/benchmark/results."""
    engine: Literal["processes", "ray"] = "processes"
    """processes: of this machine. ray: tasks of the cluster at RAY_ADDRESS, or of one that is started here."""
    jobs: Jobs = 2
    """Cells at once."""
    out: OutputFolder = None
    """Folder for the report: report.html, report.md, its pictures, and the result of every cell."""
    tables_only: bool = False
    """Write report.md without pictures and the results, no report.html: what belongs in a repository."""
    report_only: bool = False
    """Run nothing; report on what the cache has."""
    verify: str = ""
    """Compute a kept cell again and compare, e.g. swing-up-gru-1 (TASK-CONTROLLER-SEED; the seed is 0 for what learns
    nothing); exit status 1 if it differs. --perturbations and --episodes make it shorter."""
    tolerance: Annotated[float, Range(0.0, 0.99)] | None = None
    """Of --verify: greatest difference of the means, as a part of the episodes that succeed and of the score. By
    default 0 (every episode the same) on the processor class and libraries of the result, 0.1 on others."""


@dataclass
class SequenceOptions(Options):
    """Options of the comparison of sequence models on published tasks."""

    task: tyro.conf.Positional[Literal["xor", "walker2d"]] = "xor"
    """xor: parity of event-based bit streams. walker2d: the next state of a walker that is seen irregularly."""
    models: str = ""
    """Comma-separated: cfc_mm, cfc, lstm, gru_d, ltc; all if not given."""
    seeds: str = "0:1"
    """Of the weights and of the order of the sequences, first:last+1."""
    small: bool = False
    """A tenth of the sequences for a few epochs: about a minute, to see it at work."""
    cache: Path | None = None
    """Folder where results and half-done fits are kept; by default the user's cache."""
    json: OutputFile = None
    """Write the figures."""
    plot: Picture = None
    """Write a picture of the learning curves."""


@dataclass
class StepsOptions(Options):
    """Options of the comparison of single steps of controllers."""

    rounds: Count = 20
    """Of 250 steps each; the fastest counts."""
    json: OutputFile = None
    """Write the figures."""
    plot: Picture = None
    """Write a picture."""
