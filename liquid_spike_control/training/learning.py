# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike train policy`` and ``train expert``: any controller on any task of the catalogue."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..control.files import controller_of
from ..errors import TaskError
from ..liquid.architecture import Architecture
from ..liquid.policies import Policy
from ..outputs import check_outputs
from ..robots.catalogue import sensed_task_named
from ..spiking.policy import SpikingPolicy
from ..spiking.policy_file import SpikingArchitecture
from ..tasks.episode import run_episode
from ..tasks.perturbations import perturbation_named
from ..terminal import Console
from .commands import progress_bars
from .controller_files import write_controller_file
from .dagger import DaggerTraining
from .dagger import train as train_dagger
from .gym_expert import train_expert
from .logs import EventLog
from .networks import AnyArchitecture, new_policy, trainer_class
from .random_networks import RandomNetwork
from .recurrent_ppo import PpoTraining
from .recurrent_ppo import train as train_ppo
from .seeds import CONTROLLER_SEEDS

#: Held-out episodes on which a new model is tried.
TRIAL_SEEDS = range(20)
#: Shown beside the progress bar of a training by rewards.
REWARD_FIGURES = ("reward", "spread", "divergence")


@dataclass(frozen=True)
class OutputFiles:
    """Files that a training writes.

    Attributes:
        out: the controller file.
        logs: folder of event files, or None.
        command: the command line that repeats the training.
    """

    out: Path
    logs: Path | None
    command: str

    @property
    def checkpoint(self) -> Path:
        """From where an interrupted training goes on; removed when it has ended."""
        return self.out.with_name(f"{self.out.name}.checkpoint")


def device_named(name: str) -> torch.device:
    """``auto``: CUDA where there is one.

    Raises:
        TaskError: there is no such device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise TaskError("--device cuda: torch finds no CUDA device; give --device cpu, or install a torch with CUDA")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def learn_policy(
    task_name: str, architecture: AnyArchitecture, config: DaggerTraining | PpoTraining,
    device: str, files: OutputFiles, console: Console,
) -> None:  # fmt: skip
    """Train a controller, by imitation or by rewards, and write it.

    Raises:
        TaskError: the task or the device is not there, the folder does not exist, or the checkpoint is another's.
        ModelError: the task's expert cannot be had, or a file cannot be written.
    """
    check_outputs(out=files.out)
    task = sensed_task_named(task_name)
    numbers = task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s, config.seed
    policy = new_policy(architecture, *numbers)
    if isinstance(architecture, SpikingArchitecture):
        cell, units = "spiking", sum(architecture.units)
    elif isinstance(architecture, RandomNetwork):
        cell, units = architecture.kind, architecture.units
    else:
        cell, units = architecture.cell + " with mixed memory" * architecture.mixed_memory, architecture.units
    # Compiled spikes, single control periods and regressions gain nothing from a GPU
    only_cpu = isinstance(config, PpoTraining) or not isinstance(architecture, Architecture)
    policy.to(device_named("cpu" if only_cpu else device))
    if isinstance(architecture, RandomNetwork):
        n_parameters = architecture.n_trained(len(task.command_names))
    else:
        n_parameters = sum(weights.numel() for weights in policy.parameters())
    console.print(f"{task_name}: {cell}, {units} units, {n_parameters} weights to learn")
    if isinstance(config, PpoTraining):
        _learn(
            lambda report: train_ppo(task_name, policy, config, report, files.checkpoint),
            config.n_updates, "updates", REWARD_FIGURES, files, console,
        )  # fmt: skip
    else:
        _learn(
            lambda report: train_dagger(
                task_name, policy, config, report, files.checkpoint, trainer_class(architecture)
            ),
            config.n_rounds, "rounds", ("loss", "success", "reward"), files, console,
        )  # fmt: skip
    _finish(task_name, policy, files, console)


def learn_expert(task_name: str, config: PpoTraining, files: OutputFiles, console: Console) -> None:
    """Train a task's expert and write it.

    Raises:
        TaskError: the task is not there, the folder does not exist, or the checkpoint is another's.
        OutputError: a file cannot be written.
    """
    check_outputs({"out": (".safetensors",)}, out=files.out)
    policy: list[Policy] = []
    _learn(
        lambda report: policy.append(train_expert(task_name, config, report, files.checkpoint)),
        config.n_updates, "updates", REWARD_FIGURES, files, console,
    )  # fmt: skip
    _finish(task_name, policy[0], files, console)


def _learn(
    training: Callable[[Callable[[int, dict[str, float]], None]], None], n_steps: int, what: str,
    shown: tuple[str, ...], files: OutputFiles, console: Console,
) -> None:  # fmt: skip
    torch.set_num_threads(1)  # networks of this size are quicker so, and sums always run in the same order
    begin = time.monotonic()
    log = EventLog(files.logs) if files.logs else None
    if files.checkpoint.exists():
        console.print(f"going on from {files.checkpoint}")
    with progress_bars(console) as progress:
        bar = progress.add_task(what, total=n_steps, figures="")
        latest: dict[str, float] = {}

        def report(step: int, figures: dict[str, float]) -> None:
            latest.update(figures)
            text = ", ".join(f"{name} {latest[name]:.3g}" for name in shown if name in latest)
            progress.update(bar, completed=step, figures=text)
            if log:
                log.write(step, figures)

        training(report)
    if log:
        log.close()
    console.print(f"trained in {time.monotonic() - begin:.0f} s")


def _finish(task_name: str, policy: Policy | SpikingPolicy, files: OutputFiles, console: Console) -> None:
    """Write the file and try it, compiled, on held-out episodes."""
    task = sensed_task_named(task_name)
    file = policy.to_file(
        observation_names=task.observation_names, observation_units=task.observation_units,
        command_names=task.command_names, command_units=task.command_units, task=task.name,
        training_command=files.command, training_seeds=(CONTROLLER_SEEDS[0], CONTROLLER_SEEDS[-1]),
    )  # fmt: skip
    write_controller_file(files.out, file)
    files.checkpoint.unlink(missing_ok=True)
    controller, calm = controller_of(file), perturbation_named("clean")
    results = [run_episode(task, controller, calm, seed) for seed in TRIAL_SEEDS]
    rewards = [result.total_reward for result in results]
    console.print(
        f"{files.out}: on {len(results)} held-out episodes {np.mean([r.success for r in results]):.0%} success, "
        f"reward {np.mean(rewards):.1f} +- {np.std(rewards):.1f}"
    )
