# SPDX-License-Identifier: Apache-2.0
"""One scale for all tasks: 0 is what random commands earn, 100 what the expert earns.

The two anchors of each task were measured by ``liquid-spike bench scale`` on seeds of their own and lie beside this
module in ``anchors.json``, with the version of the task that they belong to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import TaskError
from ..outputs import write_file
from ..robots.catalogue import sensed_task_named
from .episode import EpisodeController, EpisodeResult, ExpertController, RandomController, run_episode
from .perturbations import perturbation_named

#: Seeds of the anchors' episodes; nothing else is evaluated on them, and training begins far above.
ANCHOR_SEEDS = range(500_000, 500_100)
_FILE = Path(__file__).with_name("anchors.json")


@dataclass(frozen=True, slots=True)
class Earnings:
    """What a controller earns in clean episodes.

    Attributes:
        reward: mean total reward.
        success: part of the episodes that succeeded.
        first: total reward of the first episode, by which a change of the task shows.
    """

    reward: float
    success: float
    first: float

    @classmethod
    def of(cls, results: Sequence[EpisodeResult]) -> Earnings:
        """Those of some episodes."""
        rewards = [r.total_reward for r in results]
        return cls(float(np.mean(rewards)), float(np.mean([r.success for r in results])), rewards[0])


@dataclass(frozen=True, slots=True)
class Anchors:
    """The ends of a task's scale.

    Attributes:
        version: of the task.
        first_seed, episodes: the seeds, ``first_seed`` and up.
        random, expert: what they earn.
    """

    version: int
    first_seed: int
    episodes: int
    random: Earnings
    expert: Earnings


def measure(task_name: str, seeds: range = ANCHOR_SEEDS, progress: Callable[[], None] = lambda: None) -> Anchors:
    """Run the expert and random commands on a task.

    Args:
        task_name: of the catalogue.
        seeds: of the episodes.
        progress: called after each episode, two for each seed.

    Raises:
        TaskError: the task is unknown, or its expert is no better than chance.
        ModelError: the expert's file is missing.
    """
    task, clean = sensed_task_named(task_name), perturbation_named("clean")

    def earnings(controller: EpisodeController) -> Earnings:
        results = []
        for seed in seeds:
            results.append(run_episode(task, controller, clean, seed))
            progress()
        return Earnings.of(results)

    expert, random = earnings(ExpertController(task.expert(), task)), earnings(RandomController(task, seeds[0]))
    if not expert.reward > random.reward:
        raise TaskError(f"task '{task_name}': its expert earns {expert.reward:.4g}, chance {random.reward:.4g}")
    return Anchors(task.version, seeds[0], len(seeds), random, expert)


def score(task_name: str, total_reward: float | np.ndarray) -> float | np.ndarray:
    """Total rewards on the task's scale, of the same shape: random = 0, expert = 100.

    Raises:
        TaskError: there are no anchors for the task, or they belong to another version of it.
    """
    anchors = anchors_of(task_name)
    random, expert = anchors.random.reward, anchors.expert.reward
    return (total_reward - random) / (expert - random) * 100


@cache
def anchors_of(task_name: str) -> Anchors:
    """The recorded anchors of a task.

    Raises:
        TaskError: there are none, or they belong to another version of the task.
    """
    version, recorded = sensed_task_named(task_name).version, read()
    if task_name not in recorded:
        raise TaskError(f"task '{task_name}' has no scale yet; run liquid-spike bench scale {task_name}")
    anchors = recorded[task_name]
    if anchors.version != version:
        raise TaskError(
            f"{_FILE.name}: the scale of '{task_name}' is of version {anchors.version}, the task of version {version}; "
            f"run liquid-spike bench scale {task_name}"
        )
    return anchors


def has_scale(task_name: str) -> bool:
    """Whether anchors of a task are recorded."""
    return task_name in read()


def read() -> dict[str, Anchors]:
    """All recorded anchors, by name of the task."""
    recorded = json.loads(_FILE.read_text())
    for numbers in recorded.values():
        numbers |= {who: Earnings(**numbers[who]) for who in ("random", "expert")}
    return {name: Anchors(**numbers) for name, numbers in recorded.items()}


def write(anchors: dict[str, Anchors]) -> Path:
    """Record anchors in place of those of the same tasks; returns the file.

    Raises:
        OutputError: it cannot be written.
    """
    merged = {name: asdict(a) for name, a in (read() | anchors).items()}
    write_file(_FILE, json.dumps(merged, indent=1, sort_keys=True) + "\n")
    anchors_of.cache_clear()
    return _FILE
