# SPDX-License-Identifier: Apache-2.0
"""Robots by name: those of this package, and those of other packages.

Another package adds its robots by the entry-point group ``liquid_spike_control.robots``: each entry point names a
package or module whose folder holds ``*.yaml`` descriptions, itself or in its subfolders::

    entry_points={"liquid_spike_control.robots": ["my_robots = my_package.robots"]}
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RobotError
from ..robot import Robot
from ..robot_file import read_robot

if TYPE_CHECKING:
    from ..tasks.mujoco_task import MujocoTask
    from ..tasks.task import ControlTask

GROUP = "liquid_spike_control.robots"
_HERE = Path(__file__).resolve().parent
_NAME = re.compile(r"^name:\s*[\"']?([a-z][a-z0-9_-]*)", re.MULTILINE)


#: The shipped robots without a camera, in the order of tables.
TASKS = (
    "swing-up", "swing-up-full", "hover", "hover-partial", "double-pendulum", "hopper", "half-cheetah",
    "double-pendulum-positions", "hopper-positions", "half-cheetah-positions",
)  # fmt: skip


#: Ends the name of a robot whose estimates are to be the true values, as they are or with errors.
TRUTH, DISTURBED = "?truth", "?disturbed"
#: Between the name of a robot and the file of another perception than its description's.
PERCEIVED = "?perception="
#: Between the name of a robot and the class of an estimator in the perception's place.
ESTIMATED = "?estimates="


def robot_of(name: str | Path) -> str:
    """The robot's part of a name for :func:`sensed_task_named`."""
    return str(name).partition("?")[0]


@cache
def descriptions() -> dict[str, Path]:
    """The description of each known robot by its name, this package's first.

    Raises:
        RobotError: two packages have a robot of one name, or an entry point names what is not there.
    """
    found: dict[str, Path] = {}
    for folder in (_HERE, *_foreign_folders()):
        for path in sorted([*folder.glob("*.yaml"), *folder.glob("*/*.yaml")], key=_whole_robots_first):
            name = _name(path)
            if name is None:
                continue
            if name in found:
                raise RobotError(f"{path}: name: '{name}' is the name of {found[name]} too; choose another")
            found[name] = path
    return found


def robot_named(name: str | Path) -> Robot:
    """A robot by its name, its folder or its yaml file.

    Raises:
        RobotError: there is no such robot, or its description is wrong.
    """
    text = str(name)
    if "/" in text or text.endswith((".yaml", ".yml")) or text in (".", ".."):
        return read_robot(text)
    if text not in descriptions():
        if Path(text, "robot.yaml").is_file():
            return read_robot(text)
        raise RobotError(
            f"unknown robot '{text}'; known: {', '.join(descriptions())}; for one of your own give its folder, as in"
            f" ./{text}, or write it with liquid-spike new {text}"
        )
    return read_robot(descriptions()[text])


def task_named(name: str | Path, **settings: Any) -> MujocoTask:
    """A new task of a robot, at the beginning of episode 0; see :func:`~..tasks.of_robot.task_of`.

    Raises:
        RobotError: there is no such robot, or its task cannot be loaded.
    """
    from ..tasks.of_robot import task_of  # MuJoCo, which the graph and its help do without

    return task_of(robot_named(name), **settings)


def sensed_task_named(name: str | Path, frame_s: float | None = None, **settings: Any) -> ControlTask:
    """A new task of a robot as its controller sees it; see :func:`~..assembly.sensed_task`.

    Args:
        name: of a robot, its folder or its yaml file; with ``?truth`` or ``?disturbed`` at its end, the true values
            take the perception's place, as they are or with errors; with ``?perception=FILE``, another perception
            does; with ``?estimates=file.py:Class``, an estimator of the robot's folder.
        frame_s: see :class:`~..sim.world.World`.
        settings: of the task, by name.

    Raises:
        LiquidSpikeError: there is no such robot, or its task or perception cannot be loaded.
    """
    from ..assembly import sensed_task

    text, _, file = str(name).partition(PERCEIVED)
    text, _, estimates = text.partition(ESTIMATED)
    robot = robot_named(text.removesuffix(TRUTH).removesuffix(DISTURBED))
    truth, disturbed = text.endswith(TRUTH), text.endswith(DISTURBED)
    return sensed_task(
        robot, truth=truth, disturbed=disturbed, perception=file or None, frame_s=frame_s, estimates=estimates,
        **settings,
    )  # fmt: skip


def _foreign_folders() -> Iterator[Path]:
    for point in metadata.entry_points(group=GROUP):
        try:
            spec = importlib.util.find_spec(point.value)
        except (ImportError, ValueError):
            spec = None
        if spec is None or spec.origin is None:
            raise RobotError(f"entry point {point.name} of {GROUP}: no package {point.value}; reinstall it")
        yield Path(spec.origin).resolve().parent


def _whole_robots_first(path: Path) -> tuple[Path, bool, str]:
    """In a folder, what others extend comes before them."""
    return path.parent, path.name != "robot.yaml", path.name


def _name(path: Path) -> str | None:
    """The name in a description, without reading the rest of it."""
    try:
        found = _NAME.search(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found[1] if found else None
