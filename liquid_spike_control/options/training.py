# SPDX-License-Identifier: Apache-2.0
"""Options of ``liquid-spike train``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .fields import Count, Jobs, Options, OutputFile, OutputFolder, Picture, Range, Seconds, Seed


@dataclass
class TrainOptions(Options):
    """Options of the training of a perception, or of a controller with the perception in the loop."""

    task: tyro.conf.Positional[str] = "pencil"
    """Robot: its name, folder or yaml file. Perceptions of pencil and pencil-hard have trainings of their own."""
    out: OutputFile = None
    """File to write; default: named after the task, such as pencil_perception.nir, in the working directory."""
    perception: Path | None = None
    """controller: the perception to train with; default: the one that the description names. perception of pencil-hard:
    the initial weights; default: the pencil's.
    """
    seed: Seed = 1
    """Seed of all random numbers."""
    updates: Count | None = None
    """perception: optimiser steps, of the pencil those of the first stage, the others in proportion; default: the full
    training.
    """
    network: Path | None = None
    """perception: yaml file of a layered network and its training; default: network.yaml in the robot's folder, or a
    small one. Or a network that is there (.nir, of any framework): its neurons stay, a readout is fitted to them.
    """
    preset: str | None = None
    """perception from --network FILE.nir: framework that wrote it, e.g. snntorch; an unknown name lists them all."""
    dt: Annotated[float, Range(1e-12, 1e12)] | None = None
    """The same: step in the unit of the file's time constants, if the preset does not give it."""
    step: Annotated[float, Range(1e-9, 3600.0, "s")] | None = None
    """The same: length of a step [s], a whole part of the control period; default: the file's, or 0.001."""
    random_features: bool = False
    """perception: random receptive fields, of which only the readout is fitted: fast, coarse, without torch."""
    workers: Jobs = 1
    """perception: processes that record episodes."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA if available. Its weights differ from those of the CPU by rounding."""
    logs: OutputFolder = None
    """Folder for event files that TensorBoard reads; not with --random-features."""
    data: tuple[Path, ...] = ()
    """perception: bags (.mcap, .db3 or folders) to learn from, instead of episodes in simulation; or recordings of an
    event camera (events.h5 of DSEC, .raw and others) with files of labels beside.
    """
    target: tuple[str, ...] = ()
    """perception from --data: where the truth of each estimate is, [ESTIMATE=]/TOPIC.FIELD, such as
    speed=/odom.twist.twist.linear.x, or of a JointState angle=/joint_states.pole/position; beside recordings
    [ESTIMATE=]FILE:COLUMN, a .csv or .npz with times, such as speed=labels.csv:speed.
    """
    rounds: Count | None = None
    """controller: DAgger rounds; default: the full training."""
    controller: str = "cfc_mm"
    """controller: its architecture, such as cfc, ltc or gru, or spiking (CUBA-LIF, a .nir file); an unknown name lists
    them all.
    """
    hide_elapsed: bool = False
    """controller: hide the elapsed time from it, as input and as time span."""


@dataclass
class LearningOptions(Options):
    """Options of a training on a robot's task."""

    task: tyro.conf.Positional[str]
    """Robot: its name, folder or yaml file; an unknown name lists them all."""
    out: OutputFile = None
    """File to write; default: named after the task, in the working directory. A checkpoint beside it lets the same
    command resume an interrupted training.
    """
    seed: Seed = 1
    """Seed of all random numbers."""
    logs: OutputFolder = None
    """Folder for event files that TensorBoard reads."""


@dataclass
class TrainPolicyOptions(LearningOptions):
    """Options of ``train policy``."""

    controller: str = "cfc_mm"
    """Architecture, such as cfc, ltc or gru, or spiking (CUBA-LIF, a .nir file); an unknown name lists them all.
    reservoir (spiking) and esn (echo-state network) are random, and only their readout is learnt.
    """
    units: Annotated[int, Range(1, 1 << 16)] | None = None
    """Neurons of a layer; default: the architecture's."""
    budget_parameters: Count | None = None
    """Instead of units: choose the size whose number of parameters is nearest to this."""
    hide_elapsed: bool = False
    """Hide the elapsed time from the network, as input and as time span."""
    rounds: Count | None = None
    """Rounds of collecting and learning; default: the full training."""
    duration: Seconds | None = None
    """Simulated seconds of an episode in imitation; default: the task's."""
    set: tuple[str, ...] = ()
    """Settings of the task in imitation, name=value, e.g. aim=mixed (its class's arguments)."""
    passes: Count | None = None
    """Passes over the collected data in a round."""
    learning_rate: Annotated[float, Range(1e-9, 10.0)] | None = None
    """Initial learning rate."""
    chunk: Annotated[int, Range(1, 100_000)] | None = None
    """Length of the truncated backpropagation in imitation [samples]; default: the task's, mostly 25."""
    faults: Annotated[float, Range(0.0, 100.0)] | None = None
    """Factor on the faults of sensing and timing in training: noise, lost samples, varying periods and latency.
    Default: 1, slightly more than the benchmark's; 0 for a robot without faults.
    """
    cloning: bool = False
    """Behaviour cloning: the expert controls the robot in all rounds."""
    teacher: str | None = None
    """Imitate a controller that sees what the policy sees, not the expert, which knows the true state: a controller
    file, or file.py:Class in the robot's folder, such as flow_law.py:FlowLaw of the quadrotor.
    """
    estimates: str = "spiking"
    """Estimates of a robot with event cameras: spiking, of its perception; truth, the true values; disturbed, these
    with a lag, a wrong gain and errors that wander; or file.py:Class, an estimator in the robot's folder.
    """
    perception: Path | None = None
    """Perception of a robot with event cameras to train with; default: the one that its description names."""
    rewards: bool = False
    """Learn from rewards (recurrent PPO), not from an expert; takes much longer."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA if available. Its weights differ from those of the CPU by rounding."""


@dataclass
class TrainRewardOptions(Options):
    """Options of ``train reward``."""

    task: tyro.conf.Positional[str]
    """Robot whose task gives rewards, such as lane_car: its name, folder or yaml file."""
    passed: tuple[str, ...] = ()
    """Commands that are not learnt, each with the observation whose value it is, such as speed=target_speed."""
    estimates: Literal["truth", "disturbed", "spiking"] = "disturbed"
    """What it sees of the cameras: the true values, these with a lag, a wrong gain and errors that wander, or the
    estimates of the robot's spiking perception.
    """
    episodes: Count = 40
    """Episodes of a training."""
    reward: Annotated[float, Range(0.1, 127.0)] = 8.0
    """Third factor of a full reward in the first episode."""
    cooling: Annotated[float, Range(0.1, 1e6)] = 10.0
    """The reward of episode k is divided by 1 + k / cooling."""
    trainings: Annotated[int, Range(1, 1000)] = 1
    """Trainings, of this seed and the following ones; the file is the first one's."""
    tries: Annotated[int, Range(0, 100_000)] = 20
    """Held-out episodes for each training, from seed 1000 on."""
    seed: Seed = 1
    """Seed of episodes, neurons and rounding."""
    out: OutputFile = None
    """File to write (.yaml), its weights beside it; default: named after the robot, in the working directory."""
    plot: Picture = None
    """Picture of the learning curves."""
    json: OutputFile = None
    """Figures of each episode."""


@dataclass
class TrainExpertOptions(LearningOptions):
    """Options of ``train expert``."""

    updates: Count | None = None
    """Rollouts, each followed by an optimisation; default: the full training."""
