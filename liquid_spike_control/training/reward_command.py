# SPDX-License-Identifier: Apache-2.0
"""The command ``liquid-spike train reward``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import Progress

from ..control.reward_file import write_reward
from ..errors import TaskError
from ..outputs import check_output, in_print, save_figure, write_json
from ..robots.catalogue import robot_named
from ..terminal import Console, Table, folded
from .reward import Learnt, RewardTraining, learn_by_reward, tried

if TYPE_CHECKING:
    from ..options import TrainRewardOptions

#: Of the held-out episodes.
FIRST_SEED = 1000


def reward_command(options: TrainRewardOptions) -> int:
    """Learn by reward, write the controller, and try each training's on held-out episodes.

    Raises:
        LiquidSpikeError: an option is wrong, the task gives no reward, or a model is missing or does not fit.
    """
    console = Console()
    robot = robot_named(options.task)
    out = options.out or Path(f"{robot.name}_reward.yaml".replace("-", "_"))
    if out.suffix not in (".yaml", ".yml"):
        raise TaskError(f"--out {out}: the file of a controller that has learnt by reward ends in .yaml")
    check_output(out)
    check_output(out.with_suffix(".safetensors"))
    passed = {}
    for entry in options.passed:
        name, equals, observation = entry.partition("=")
        if not (name and equals and observation):
            raise TaskError(f"--passed {entry}: give COMMAND=OBSERVATION, such as speed=target_speed")
        passed[name] = observation
    trainings: list[tuple[Learnt, int, float]] = []
    held_out = range(FIRST_SEED, FIRST_SEED + options.tries)
    with Progress(console=console, transient=True) as progress:
        for seed in range(options.seed, options.seed + options.trainings):
            config = RewardTraining(options.episodes, options.reward, options.cooling, options.estimates, passed, seed)
            bar = progress.add_task(f"seed {seed}", total=options.episodes + options.tries)
            step = partial(progress.advance, bar)
            learnt = learn_by_reward(robot, config, _command(options), step)
            figures = tried(robot, learnt, options.estimates, held_out, step)
            trainings.append((learnt, *figures))
    first = trainings[0][0]
    write_reward(out, first.file, first.controller)
    console.print(folded(_table(robot.name, options, trainings), console))
    console.print(f"{out}, and {out.with_suffix('.safetensors').name} beside it: seed {options.seed}", soft_wrap=True)
    if options.plot:
        _plot(trainings, options.plot)
    write_json(options.json, [
        {"seed": learnt.file.network.seed, "rewards": learnt.rewards.tolist(), "ticks": learnt.ticks.tolist(),
         "successes": learnt.successes.tolist(), "held_out": {"episodes": len(held_out), "successes": succeeded,
                                                              "reward": total}}
        for learnt, succeeded, total in trainings
    ])  # fmt: skip
    return 0


def first_lasting(successes: Sequence[bool], n: int = 3) -> int | None:
    """The episode before which a training has its first ``n`` successes in a row; None without them."""
    row = 0
    for k, success in enumerate(successes):
        row = row + 1 if success else 0
        if row == n:
            return k + 1
    return None


def _table(name: str, options: TrainRewardOptions, trainings: list[tuple[Learnt, int, float]]) -> Table:
    table = Table(
        "seed", "episodes to 3 successes in a row", "control periods until then", "held-out successes",
        title=f"{name} by reward-modulated STDP, {options.estimates} estimates",
    )  # fmt: skip
    for learnt, succeeded, _ in trainings:
        episodes = first_lasting(learnt.successes.tolist())
        table.add_row(
            str(learnt.file.network.seed), "none" if episodes is None else str(episodes),
            "" if episodes is None else f"{learnt.ticks[:episodes].sum():,}", f"{succeeded} of {options.tries}",
        )  # fmt: skip
    return table


def _command(options: TrainRewardOptions) -> str:
    """The command line that repeats the first training."""
    said = []
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name in ("task", "out", "plot", "json", "trainings", "tries") or value == field.default:
            continue
        said.append(f"--{field.name.replace('_', '-')} {' '.join(value) if isinstance(value, tuple) else value}")
    return " ".join([f"liquid-spike train reward {options.task}", *said])


@in_print()
def _plot(trainings: list[tuple[Learnt, int, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots()
    rewards = np.array([learnt.rewards for learnt, *_ in trainings])
    episodes = np.arange(1, rewards.shape[1] + 1)
    axes.plot(episodes, rewards.T, color="tab:blue", alpha=0.3, linewidth=0.8)
    axes.plot(episodes, np.median(rewards, 0), color="tab:blue", label=f"median of {len(rewards)} trainings")
    axes.set_xlabel("episode")
    axes.set_ylabel("sum of the task's rewards")
    axes.legend(fontsize=8)
    save_figure(figure, path)
