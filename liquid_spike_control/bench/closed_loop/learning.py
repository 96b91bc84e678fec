# SPDX-License-Identifier: Apache-2.0
"""What a contender learns, and how: sizes at matched parameters, one recipe for all, a file at the end.

Only :func:`train` needs torch.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...checkpoint import read_controller, write_controller
from ...control.spiking import SpikingController
from ...liquid.architecture import Architecture, matched, n_parameters, n_synapses, named
from ...liquid.controller import new_controller
from ...spiking.policy_file import SpikingArchitecture, read_spiking_controller, write_spiking_controller
from ...tasks.catalogue import task_named
from ...tasks.episode import EpisodeController
from ...tasks.task import ControlTask
from .contenders import Contender
from .record import Training, content_hash

if TYPE_CHECKING:
    from ...training.dagger import DaggerTraining

#: Trained numbers of each network, so far as its architecture can be sized; that of a CfC-mm of 32 units.
BUDGET = 13_000
#: Modules whose code decides what is learnt, besides the task's.
NETWORK_CODE = ("training.dagger", "liquid.policies")
SPIKING_CODE = ("training.dagger", "spiking.policy")
#: Of the files, by kind of contender.
SUFFIXES = {"network": ".safetensors", "spiking": ".nir"}


def architecture(contender: Contender, task: ControlTask) -> Architecture | SpikingArchitecture:
    """What a contender trains on a task, at the size that comes nearest to :data:`BUDGET`.

    An NCP stays small: its claim is that 19 neurons do. A spiking network has weights of 8 bits and many inputs, and
    keeps its own size.
    """
    if contender.kind == "spiking":
        return SpikingArchitecture(**contender.changes)
    if contender.learner == "ncp":
        return named("ncp", **contender.changes)
    size = len(task.observation_names), len(task.command_names)
    return matched(contender.learner, BUDGET, *size, **contender.changes)


def recipe(seed: int, rounds: int | None) -> DaggerTraining:
    """The training that every contender gets, with a seed of its own; fewer rounds where only a proof is wanted."""
    from ...training.dagger import DaggerTraining

    return DaggerTraining(seed=seed) if rounds is None else DaggerTraining(seed=seed, n_rounds=rounds)


def train(contender: Contender, task_name: str, config: DaggerTraining, path: Path) -> Training:
    """Train and write the file.

    Args:
        contender: one that learns.
        task_name: of the catalogue.
        config: from :func:`recipe`.
        path: of the file.

    Raises:
        ModelError: the file cannot be written.
    """
    import torch

    from ...liquid.policies import new_policy
    from ...spiking.policy import SpikingPolicy
    from ...training import dagger
    from ...training.streams import CONTROLLER_SEEDS

    torch.set_num_threads(1)
    task = task_named(task_name)
    made = architecture(contender, task)
    numbers = (task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s, config.seed)
    policy = SpikingPolicy(made, *numbers) if isinstance(made, SpikingArchitecture) else new_policy(made, *numbers)
    begin = time.perf_counter()
    dagger.train(task_name, policy, config)
    seconds = time.perf_counter() - begin
    chosen = f"--tasks {task_name} --controllers {contender.name}"
    numbers_given = f"--training-seeds {config.seed}:{config.seed + 1} --rounds {config.n_rounds}"
    command = f"liquid-spike bench closed-loop {chosen} {numbers_given}"
    described: dict[str, Any] = {
        "observation_names": task.observation_names,
        "observation_units": task.observation_units,
        "command_names": task.command_names,
        "command_units": task.command_units,
        "task": task_name,
        "training_command": command,
        "training_seeds": (CONTROLLER_SEEDS[0], CONTROLLER_SEEDS[-1]),
    }
    if isinstance(policy, SpikingPolicy):
        write_spiking_controller(path, policy.to_file(**described))
    else:
        write_controller(path, policy.to_file(**described))
    size = len(task.observation_names), len(task.command_names)
    return Training(
        seconds=seconds,
        parameters=made.n_parameters(*size) if isinstance(made, SpikingArchitecture) else n_parameters(made, *size),
        operations=None if isinstance(made, SpikingArchitecture) else operations(made, *size),
        architecture=in_words(made),
        model=content_hash(path.read_bytes()),
        command=command,
    )


def operations(architecture: Architecture, n_observations: int, n_commands: int) -> int:
    """Synapses computed in one control step; those of an LTC once for each step of its solver."""
    synapses = n_synapses(architecture, n_observations, n_commands)
    return synapses * (architecture.unfolds if architecture.cell == "ltc" else 1)


def in_words(architecture: Architecture | SpikingArchitecture) -> str:
    """Cell and sizes, e.g. ``"cfc 32, mixed memory, backbone 1 x 64"``."""
    a = architecture
    if isinstance(a, SpikingArchitecture):
        kind = "recurrent CUBA-LIF" if a.recurrent else "CUBA-LIF"
        return f"{kind} {' + '.join(map(str, a.units))}, {a.steps} steps a period, {a.fields} fields an observation"
    words = [f"{a.cell} {a.units}" if a.layers == 1 else f"{a.cell} {a.layers} x {a.units}"]
    words += ["mixed memory"] * a.mixed_memory
    words += [f"backbone {a.backbone_layers} x {a.backbone_units}"] if a.backbone_layers else []
    words += [f"wired ({a.wiring.kind})"] if a.wiring else []
    words += [f"{a.unfolds} unfolds"] if a.cell == "ltc" else []
    words += ["elapsed time hidden"] if not (a.elapsed_input or a.elapsed_span) else []
    return ", ".join(words)


def controller(contender: Contender, path: Path) -> EpisodeController:
    """The trained contender as it runs: compiled, without torch.

    Raises:
        ModelError: the file is missing or damaged.
    """
    if contender.kind == "spiking":
        return SpikingController(read_spiking_controller(path), contender.backend)
    return new_controller(read_controller(path))


def description(contender: Contender, task: ControlTask, config: DaggerTraining) -> dict[str, Any]:
    """What decides the trained file, besides code and versions."""
    return {
        "learner": contender.learner,
        "architecture": asdict(architecture(contender, task)),
        "recipe": asdict(config),
        "task": task.name,
        "task_version": task.version,
    }
