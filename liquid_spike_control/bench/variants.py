# SPDX-License-Identifier: Apache-2.0
"""The ways to drive a robot that a benchmark compares: what estimates, and what decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..assembly import judge_of, new_estimator, read_robot_controller
from ..errors import RobotError, TaskError
from ..loop import Decider, Estimator, Loop
from ..robot import ESTIMATORS, Robot, Variant
from ..sim.world import World
from ..tasks.episode import ExpertController
from ..tasks.mujoco_task import MujocoTask
from ..tasks.of_robot import of_class, task_class, task_of

#: A controller that is the task's expert.
EXPERT = "expert"


def variants_of(robot: Robot) -> dict[str, Variant]:
    """The variants of a robot's description, or those that every robot has.

    Without ``variants`` in the description: ``expert``, the task's, on the true state; ``controller``, the
    description's, on the perception's estimates; and where there are estimates, ``controller_float``, whose perception
    runs in float64, and ``controller_true``, which gets the true values.
    """
    if robot.variants:
        return dict(robot.variants)
    kind, found = task_class(robot), {}
    if kind.law is not MujocoTask.law or kind.expert is not MujocoTask.expert:
        found["expert"] = Variant(estimates="truth", controller=EXPERT)
    if robot.controller is not None and (robot.perception is not None or not robot.estimates):
        found["controller"] = Variant()
        if robot.estimates:
            found["controller_float"] = Variant(backend="float")
    if robot.controller is not None and robot.estimates:
        found["controller_true"] = Variant(estimates="truth")
    return found


def chosen_variants(robot: Robot, names: tuple[str, ...]) -> dict[str, Variant]:
    """The variants of these names, in this order; all if none is named.

    Raises:
        TaskError: a name is unknown, or the robot has no variant at all.
    """
    known = variants_of(robot)
    if not known:
        raise TaskError(f"robot '{robot.name}': nothing to compare; give it a controller, or an expert in its task")
    for name in names:
        if name not in known:
            raise TaskError(f"unknown variant '{name}'; known variants: {', '.join(known)}")
    return {name: known[name] for name in names or known}


def controller_file(robot: Robot, variant: Variant, controller: Path | None = None) -> Path | None:
    """The file of a variant's controller; None where it has none.

    Args:
        robot: the robot.
        variant: one of its variants.
        controller: takes the place of the description's controller.

    Raises:
        RobotError: the description names no controller, or the file is not there.
    """
    if variant.controller == EXPERT or ":" in variant.controller:
        return None
    if variant.controller:
        return robot.file(variant.controller)
    return controller or robot.model("controller")


def loop_of_variant(
    robot: Robot, variant: Variant, *, perception: Path | None = None, controller: Path | None = None,
    rendered: bool = False, duration_s: float | None = None, **settings: Any,
) -> Loop:  # fmt: skip
    """The loop of a variant in a world of its own; close ``loop.world`` after use.

    Args:
        robot: the robot.
        variant: one of its variants.
        perception, controller: take the place of the description's models.
        rendered: see :class:`~..sim.world.World`.
        duration_s: of an episode [s]; the task's own by default.
        settings: of the task.

    Raises:
        LiquidSpikeError: a model, a class or the scene is missing, damaged or does not fit.
    """
    task = task_of(robot, duration_s, **settings)
    decider: Decider
    path = controller_file(robot, variant, controller)
    if variant.rewards and path is None:
        remedy = "give the file of a controller that train reward made"
        raise RobotError(f"{robot.source}: variants: rewards: {variant.controller} does not learn by reward; {remedy}")
    if path is not None:
        decider = read_robot_controller(robot, path, rewards=variant.rewards)
        if variant.rewards:
            decider.lasting = False  # type: ignore[union-attr]  # so that the order of the episodes does not matter
    elif variant.controller == EXPERT:
        decider = ExpertController(task.expert(), task)
    else:
        decider = of_class(robot, "variants: controller", variant.controller, task)
    if hasattr(decider, "warm"):
        decider.warm()
    world = World(task, rendered, sighted=variant.estimates != "truth")
    try:
        estimator: Estimator
        if variant.estimates in ESTIMATORS:
            estimator = new_estimator(world, perception, variant.backend, truth=variant.estimates == "truth")
        else:
            estimator = of_class(robot, "variants: estimates", variant.estimates, world)
    except BaseException:
        world.close()
        raise
    limits = robot.gate_limits(getattr(decider, "command_limits", None))
    return Loop(world, estimator, decider, limits, judge_of(world, decider) if variant.rewards else None)
