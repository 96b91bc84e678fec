# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike train``: the commands that make the models of the robots, with progress bars."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..outputs import check_outputs
from ..robot import Robot
from ..spiking.layers import LayeredNetwork
from ..terminal import Console
from .layers import CHECKPOINT_EVERY, PROCESSOR, LayersTrainer, check_network
from .logs import EventLog
from .own_training import OwnTraining
from .readout_fit import neurons_and_weights, print_accuracy
from .recorded_episodes import EpisodeSet, RecordedEpisode


def progress_bars(console: Console) -> Progress:
    """Bars with the time left and, in the field ``figures``, how it goes."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[figures]}"), console=console,
    )  # fmt: skip


def train_in_stages(
    prepare: Callable[[Callable[[float], None]], OwnTraining], command: str, out: Path, console: Console,
    logs: Path | None = None,
) -> None:  # fmt: skip
    """Train a perception by a robot's own training and write it to ``out``.

    ``prepare`` makes the training, and calls its argument with the part that is done; ``command`` is what the metadata
    say made it; ``logs`` is a folder for event files.

    Raises:
        TaskError: the folder of ``out`` does not exist, or its suffix is another.
    """
    check_outputs({"out": (".nir",)}, out=out)
    torch.set_num_threads(1)
    begin = time.monotonic()
    log = _log_into(logs)
    with progress_bars(console) as progress:
        bar = progress.add_task("pictures", total=1.0, figures="")
        trainer = prepare(lambda share: progress.update(bar, completed=share))
        done = 0
        for stage in trainer.stages():
            trainer.begin(stage)
            _train_stage(trainer, progress, log, done)
            done += stage.n_updates
        bar = progress.add_task("readout", total=1.0, figures="")
        trainer.finish()
        progress.update(bar, completed=1.0)
    trainer.write(out, command)
    if log:
        log.close()
    console.print(f"{out}: {trainer.n_neurons} neurons, trained in {time.monotonic() - begin:.0f} s")


def _log_into(folder: Path | None) -> EventLog | None:
    """A log in a folder, if there is one."""
    return EventLog(folder) if folder else None


def _train_stage(trainer: OwnTraining, progress: Progress, log: EventLog | None, done: int) -> None:
    n_updates = trainer.stage.n_updates
    bar = progress.add_task(trainer.stage.name, total=n_updates, figures="")
    figures: list[dict[str, float]] = []
    for k in range(n_updates):
        figures.append(trainer.update())
        if log:
            log.write(done + k + 1, {name: value for name, value in figures[-1].items() if np.isfinite(value)})
        if k % 50 == 49:
            progress.update(bar, completed=k + 1, figures=trainer.progress_text(figures[-200:]))


@dataclass(frozen=True)
class OwnEpisodes:
    """Where the episodes that a network drives itself are from.

    Attributes:
        folder: in which the half-trained network is kept under its hash.
        episodes: takes that hash, and what is called with the part that is done.
    """

    folder: Path
    episodes: Callable[..., list[RecordedEpisode]]


def train_layers(
    robot: Robot, network: LayeredNetwork, seed: int, out: Path, command: str,
    episodes: Callable[[Callable[[float], None]], EpisodeSet], console: Console, logs: Path | None = None,
    own: OwnEpisodes | None = None, device: torch.device = PROCESSOR,
) -> None:  # fmt: skip
    """Train a layered perception of any robot and write it to ``out``, as made by ``command``.

    ``episodes`` gets them, and calls its argument with the part that is done; ``logs`` is a folder for event files,
    and ``own`` gets those that the network drives itself, where the training says so. Gradients are computed on
    ``device``.

    A checkpoint lies beside it while it is made: the same training goes on from there.

    Raises:
        TaskError: see :class:`~.layers.LayersTrainer`; the folder of ``out`` does not exist, or the checkpoint is
            another training's.
    """
    check_outputs({"out": (".nir",)}, out=out)
    torch.set_num_threads(1)
    begin, checkpoint = time.monotonic(), out.with_name(f"{out.name}.checkpoint")
    with progress_bars(console) as progress:
        bar = progress.add_task("episodes", total=1.0, figures="")
        check_network(robot, network)
        trainer = LayersTrainer(
            robot, network, seed, episodes(lambda part: progress.update(bar, completed=part)), device
        )
        progress.update(bar, completed=1.0)
        if checkpoint.exists():
            trainer.restore(checkpoint, *([own.episodes] if own else []))
            console.print(f"going on from {checkpoint}", soft_wrap=True)
        n_updates = network.training.updates
        bar = progress.add_task("updates", total=n_updates, completed=trainer.done, figures="")
        recent: list[dict[str, float]] = []
        log = _log_into(logs)
        while trainer.done < n_updates:
            if trainer.wants_own and own:
                driving = progress.add_task("episodes of its own", total=1.0, figures="")
                half = trainer.half(own.folder, command).hash
                found = own.episodes(half, lambda part, task=driving: progress.update(task, completed=part))
                trainer.learn_from(found, half)
                progress.update(driving, completed=1.0)
            recent = [*recent[-49:], trainer.update()]
            means = {name: float(np.mean([figures[name] for figures in recent])) for name in recent[0]}
            work = f"{means.pop('operations_per_s') / 1e6:.1f} M synaptic operations/s"
            text = ", ".join(f"{name} {value:.3g}" for name, value in means.items())
            progress.update(bar, completed=trainer.done, figures=f"{text}, {work}")
            if log:
                log.write(trainer.done, recent[-1])
            if trainer.done % CHECKPOINT_EVERY == 0:
                trainer.save(checkpoint)
        bar = progress.add_task("readout", total=1.0, figures="")
        accuracy = trainer.finish(out, command, lambda part: progress.update(bar, completed=part))
        if log:
            for kind, errors in (("held out", accuracy.integers), ("held out, float", accuracy.floats)):
                log.write(n_updates, {f"{kind}/{name}": rms for name, rms in errors.items()})
            log.close()
    checkpoint.unlink(missing_ok=True)
    n_neurons, n_weights = neurons_and_weights(trainer.net.graph())
    console.print(f"{out}: {n_neurons} neurons, {n_weights} weights, {time.monotonic() - begin:.0f} s", soft_wrap=True)
    print_accuracy(accuracy, len(trainer.held_out), console)
