# SPDX-License-Identifier: Apache-2.0
"""Options of ``liquid-spike train``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .fields import Count, Jobs, Options, OutputFile, Range, Seed


@dataclass
class TrainOptions(Options):
    """Training of a perception, or of a controller with the perception in the loop."""

    task: tyro.conf.Positional[str] = "pencil"
    """A robot's name, its folder or its yaml file. pencil and pencil-hard have trainings of their own."""
    out: OutputFile = None
    """File to write; by default named after the task, such as pencil_perception.nir, in this folder."""
    perception: Path | None = None
    """controller: the perception to train on; the shipped one if not given. perception of pencil-hard: what to start
    from; the pencil's if not given.
    """
    seed: Seed = 1
    """Of everything that chance decides."""
    updates: Count | None = None
    """perception: optimiser steps, if not the full training; of the pencil those of the first stage, the others follow
    in proportion.
    """
    network: Path | None = None
    """perception: yaml file of a layered network and its training; network.yaml in the robot's folder if not given, or
    a small one.
    """
    random_features: bool = False
    """perception: random receptive fields, of which only the readout is fitted: quick, coarse, without torch."""
    workers: Jobs = 1
    """perception: processes that record episodes."""
    rounds: Count | None = None
    """controller: DAgger rounds, if not the full training."""
    controller: str = "cfc_mm"
    """controller of pencil-hard: its architecture, as large as the default (an NCP keeps its 19 neurons), or spiking
    (CUBA-LIF, a .nir file); an unknown name lists them all.
    """
    hide_elapsed: bool = False
    """controller of pencil-hard: do not tell it how much time has passed, neither as an input nor as a time span."""


@dataclass
class LearningOptions(Options):
    """Training on a robot's task."""

    task: tyro.conf.Positional[str]
    """A robot's name, its folder or its yaml file; an unknown name lists them all."""
    out: OutputFile = None
    """File to write; by default named after the task, in this folder. Beside it lies a checkpoint while it is made:
    the same command goes on from there.
    """
    seed: Seed = 1
    """Of everything that chance decides."""
    logs: Path | None = None
    """Folder for event files that TensorBoard reads."""


@dataclass
class TrainPolicyOptions(LearningOptions):
    """Training of a controller."""

    controller: str = "cfc_mm"
    """Its architecture, such as cfc, ltc or gru, or spiking (CUBA-LIF, a .nir file); unknown names list the others."""
    units: Annotated[int, Range(1, 1 << 16)] | None = None
    """Neurons of a layer; the architecture's own if not given."""
    budget_parameters: Count | None = None
    """Instead of units: the size with the number of parameters nearest to this."""
    hide_elapsed: bool = False
    """Do not tell the network how much time has passed: neither as an input nor as a time span."""
    rounds: Count | None = None
    """Of collecting and learning, if not the full training."""
    passes: Count | None = None
    """Sweeps over what was collected, in a round."""
    learning_rate: Annotated[float, Range(1e-9, 10.0)] | None = None
    """At the start."""
    faults: Annotated[float, Range(0.0, 100.0)] | None = None
    """Factor on the faults of sensing and timing that it is trained under: noise, lost samples, varying periods and
    latency. 1 if not given, somewhat more than the benchmark's; 0 for a robot without any.
    """
    cloning: bool = False
    """Behaviour cloning: the expert drives in all rounds."""
    estimates: Literal["spiking", "truth"] = "spiking"
    """Of a robot with event cameras: those of its spiking perception, or the true values in their place."""
    rewards: bool = False
    """Learn from rewards (recurrent PPO), not from an expert; takes far longer."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA where there is one. Its weights differ from those of the CPU by rounding."""


@dataclass
class TrainExpertOptions(LearningOptions):
    """Training of an expert."""

    updates: Count | None = None
    """Rollouts, each followed by an optimisation, if not the full training."""
