# SPDX-License-Identifier: Apache-2.0
"""The task of a robot: the class that its description names, or its bare scene."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from ..errors import LiquidSpikeError, RobotError
from ..resources import PACKAGE
from ..robot import Robot
from .mujoco_task import MujocoTask

_UNEXPECTED = re.compile(r"(.*\.)?(?P<of>\w+)\.__init__\(\) got an unexpected keyword argument '(?P<name>\w+)'.*")


def task_of(robot: Robot, duration_s: float | None = None, **settings: Any) -> MujocoTask:
    """A new task of a robot, at the beginning of episode 0.

    Args:
        robot: whose ``task`` names ``file.py:Class`` in its folder, or ``package.module:Class``; without one, the
            scene is simulated without an aim.
        duration_s: of an episode [s]; the task's own by default.
        settings: keyword arguments of the class, over those of the description.

    Raises:
        RobotError: the task cannot be loaded, is no task, raises, or has no such settings.
    """
    kind = task_class(robot)
    try:
        task = kind(robot, **robot.settings | settings)
        if duration_s is not None:
            task.set_duration(duration_s)
        return task
    except LiquidSpikeError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, TypeError) and (found := _UNEXPECTED.fullmatch(str(error))):
            known = _settings(kind, found["of"])
            remedy = f"known settings: {', '.join(known)}" if known else "it takes none"
            _refuse(robot, f"{robot.task or kind.__name__} has no setting '{found['name']}'", remedy)
        _refuse(robot, _raised(robot, error, str(robot.task)), "correct the task's class")


def _settings(kind: type, of: str) -> list[str]:
    """Keyword arguments of a task's class, or of another one, such as that of its episodes, to which it passes them."""
    modules = [vars(sys.modules[base.__module__]) for base in kind.__mro__]
    takes = kind if of == kind.__name__ else next((names[of] for names in modules if of in names), kind)
    parameters = inspect.signature(takes).parameters.values()
    return [p.name for p in parameters if p.name != "robot" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def task_class(robot: Robot) -> type[MujocoTask]:
    """The class of a robot's task.

    Raises:
        RobotError: it cannot be loaded, or is no task.
    """
    if robot.task is None:
        return MujocoTask
    kind = class_named(robot, "task", robot.task)
    if not issubclass(kind, MujocoTask):
        remedy = "derive it from liquid_spike_control.tasks.mujoco_task.MujocoTask"
        _refuse(robot, f"{robot.task.partition(':')[0]} has no task {kind.__name__}", remedy)
    return kind


def class_named(robot: Robot, field: str, place: str) -> type:
    """A class that a description names.

    Args:
        robot: whose folder.
        field: of the description, for messages.
        place: ``file.py:Class`` in the folder, or ``package.module:Class``.

    Raises:
        RobotError: it cannot be loaded.
    """
    where, _, name = place.partition(":")
    if not where or not name.isidentifier():
        _refuse(robot, f"'{place}'", "give file.py:Class, or package.module:Class", field)
    try:
        module = _from_file(robot, where, field) if where.endswith(".py") else importlib.import_module(where)
    except LiquidSpikeError:
        raise
    except (Exception, SystemExit) as error:
        _refuse(robot, _raised(robot, error, place), f"correct the {field}'s file", field)
    kind = getattr(module, name, None)
    if not isinstance(kind, type):
        _refuse(robot, f"{where} has no {field} {name}", f"give one of its classes: {_classes(module)}", field)
    return kind


def of_class(robot: Robot, field: str, place: str, argument: object) -> Any:
    """An object of a class that the robot's folder or another package has, such as a controller or an estimator.

    Args:
        robot: the robot.
        field: which names it, for messages.
        place: see :func:`class_named`.
        argument: of the class.

    Raises:
        LiquidSpikeError: the class is not there, or cannot be made.
    """
    kind = class_named(robot, field, place)
    try:
        return kind(argument)
    except LiquidSpikeError:
        raise
    except Exception as error:
        found = f"{place}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise RobotError(f"{robot.source}: {field}: {found}; correct the class") from None


def _classes(module: Any) -> str:
    """Names of the classes that a module defines."""
    own = [k for k, v in vars(module).items() if isinstance(v, type) and v.__module__ == module.__name__]
    return ", ".join(own) or "it has none"


def _from_file(robot: Robot, where: str, field: str) -> Any:
    path = robot.file(where).resolve()
    if not path.is_file():
        _refuse(robot, f"{path} is not there", "give a file in the robot's folder", field)
    package = Path(__file__).resolve().parents[1]
    if path.is_relative_to(package):  # one of ours: by its own name, so that it may import its neighbours
        return importlib.import_module(".".join((PACKAGE, *path.relative_to(package).with_suffix("").parts)))
    name = f"liquid_spike_task_{abs(hash(str(path)))}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _raised(robot: Robot, error: BaseException, place: str) -> str:
    """What a class's file raised, and where: in that file, so far as the error has been there."""
    where, name = place, place.partition(":")[0]
    file = robot.file(name) if name.endswith(".py") else None
    for frame in traceback.extract_tb(error.__traceback__):
        if file is not None and Path(frame.filename) == file.resolve():
            where = f"{file}, line {frame.lineno}"
    return f"{where}: {type(error).__name__}: {error}"


def _refuse(robot: Robot, found: object, remedy: str, field: str = "task") -> NoReturn:
    raise RobotError(f"{robot.source}: {field}: {' '.join(str(found).split())[:300]}; {remedy}")
