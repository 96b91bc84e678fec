# SPDX-License-Identifier: Apache-2.0
"""One scale for all tasks: 0 is what random commands earn, 100 what the expert earns.

The two anchors of each task were measured by ``liquid-spike bench scale`` on seeds of their own. They lie in
``anchors.json``, beside this module or in the folder of a robot outside this package, with the version of the task that
they belong to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import TaskError
from ..outputs import write_file
from ..robot import Robot
from ..robots.catalogue import robot_named, robot_of, sensed_task_named
from .episode import EpisodeController, EpisodeResult, ExpertController, RandomController, run_episode
from .of_robot import task_class
from .perturbations import perturbation_named

#: Seeds of the anchors' episodes; nothing else is evaluated on them, and training begins far above.
ANCHOR_SEEDS = range(500_000, 500_100)
_FILE = Path(__file__).with_name("anchors.json")
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Earnings:
    """Rewards of a controller in clean episodes.

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
        task_name: of a robot, or its folder.
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
    robot = robot_named(robot_of(task_name))
    version, file = task_class(robot).version, file_of(robot)
    recorded = read(file)
    remedy = f"run liquid-spike bench scale {task_name} --record"
    if robot.name not in recorded:
        raise TaskError(f"task '{robot.name}' has no scale yet; {remedy}")
    anchors = recorded[robot.name]
    if anchors.version != version:
        raise TaskError(
            f"{file}: the scale of '{robot.name}' is of version {anchors.version}, the task of version {version}; "
            f"{remedy}"
        )
    return anchors


def has_scale(task_name: str) -> bool:
    """Whether anchors of a robot's task are recorded, of any version.

    Raises:
        TaskError: the file of scales is damaged.
    """
    robot = robot_named(robot_of(task_name))
    return robot.name in read(file_of(robot))


def file_of(robot: Robot) -> Path:
    """Return the file with the recorded anchors of a robot's task."""
    folder = Path(robot.folder).resolve()
    return _FILE if folder.is_relative_to(_PACKAGE) else folder / _FILE.name


def read(file: Path | None = None) -> dict[str, Anchors]:
    """All anchors recorded in a file, this package's by default, by name of the task; none where there is no file.

    Raises:
        TaskError: it is damaged.
    """
    file = file or _FILE
    try:
        recorded = json.loads(file.read_text(encoding="utf-8"))
        for numbers in recorded.values():
            numbers |= {who: Earnings(**numbers[who]) for who in ("random", "expert")}
        return {name: Anchors(**numbers) for name, numbers in recorded.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise TaskError(f"{file}: not a file of scales; delete it and run liquid-spike bench scale --record") from None


def write(anchors: Mapping[str, Anchors]) -> list[Path]:
    """Record anchors in place of those of the same tasks; returns the files.

    Args:
        anchors: by name or folder of the robot.

    Raises:
        OutputError: one cannot be written.
    """
    by_file: dict[Path, dict[str, Anchors]] = {}
    for task_name, made in anchors.items():
        robot = robot_named(robot_of(task_name))
        by_file.setdefault(file_of(robot), {})[robot.name] = made
    for file, ours in by_file.items():
        merged = {name: asdict(a) for name, a in (read(file) | ours).items()}
        write_file(file, json.dumps(merged, indent=1, sort_keys=True) + "\n")
    anchors_of.cache_clear()
    return list(by_file)
