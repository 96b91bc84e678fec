# SPDX-License-Identifier: Apache-2.0
"""Puts the parts of a robot's loop together from its description and model files, and checks that they fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checkpoint import check_fits
from .control.files import controller_of, read_controller_file
from .errors import TaskError
from .events.filters import FrontEnd
from .loop import Decider, DisturbedEstimator, Estimator, Loop, NoEstimator, SpikingEstimator, TruthEstimator
from .neuromorphic.backend import Backend
from .neuromorphic.model import new_backend as model_backend
from .neuromorphic.model import of_perception
from .perception import Perception
from .robot import Robot, names, units
from .sim.world import World, picture_size
from .spiking.nir_io import PerceptionModel, read_perception_model
from .tasks.episode import ExpertController
from .tasks.of_robot import class_named, of_class, task_of
from .tasks.sensed import SensedTask
from .tasks.task import ControlTask

if TYPE_CHECKING:
    from .control.files import AnyController


def new_backend(model: PerceptionModel, kind: str = "loihi") -> Backend:
    """A backend with the perception's network, see :func:`.neuromorphic.model.new_backend`."""
    return model_backend(of_perception(model), kind)


def read_robot_perception(robot: Robot, path: str | Path | None = None) -> PerceptionModel:
    """Read a robot's perception model, checked against its cameras and estimates.

    Args:
        robot: a robot with cameras.
        path: model file; default: the description's.

    Raises:
        RobotError: the description names no model.
        ModelError: the file is damaged or does not fit.
    """
    model = read_perception_model(path or robot.model("perception"))
    new_perception(robot, model)
    return model


def new_perception(robot: Robot, model: PerceptionModel) -> Perception:
    """A perception behind the robot's front end.

    Raises:
        RobotError: a file of the front end is missing, damaged or does not fit.
        ModelError: the model does not fit the robot's cameras and estimates.
    """
    sensors = robot.sensors()
    perception = Perception(model, FrontEnd(sensors) if sensors else None)
    perception.check_fits(names(robot.estimates), units(robot.estimates), picture_size(robot.cameras))
    return perception


def read_robot_controller(
    robot: Robot, path: str | Path | None = None, backend: str = "loihi", rewards: bool = False
) -> AnyController:
    """Read a robot's controller, checked against the robot's observations and commands.

    Args:
        robot: the robot.
        path: controller file; default: the description's.
        backend: backend of a spiking controller, see :class:`~.control.spiking.SpikingController`.
        rewards: it goes on learning by rewards.

    Raises:
        RobotError: the description names no controller.
        ModelError: the file is damaged or does not fit, or the controller does not learn by reward.
    """
    file = read_controller_file(path or robot.model("controller"))
    check_fits(
        file,
        observation_names=names(robot.observations),
        observation_units=units(robot.observations),
        command_names=names(robot.commands),
        command_units=units(robot.commands),
        period_s=robot.period_s,
        command_limits=robot.greatest_commands.tolist(),
        setpoints=names(robot.setpoints),
    )
    return controller_of(file, backend, rewards)


def new_estimator(
    world: World, perception: str | Path | None = None, backend: str = "loihi", truth: bool = False
) -> Estimator:
    """Return the estimator of a robot: its spiking perception, or none where it has no estimates.

    Args:
        world: the robot's.
        perception: another model than the description's.
        backend: what runs the spiking network.
        truth: the true values in the perception's place.
    """
    robot = world.robot
    if not robot.estimates:
        return NoEstimator()
    if truth:
        return TruthEstimator(world)
    model = read_robot_perception(robot, perception)
    return SpikingEstimator(new_perception(robot, model), new_backend(model, backend), robot.cameras)


def new_loop(
    robot: Robot, *, perception: str | Path | None = None, controller: str | Path | None = None,
    backend: str = "loihi", rendered: bool = True, truth: bool = False, duration_s: float | None = None,
    expert: bool = False, rewards: bool = False, **settings: Any,
) -> Loop:  # fmt: skip
    """Build the loop of a robot in its simulated world; close ``loop.world`` after use.

    Args:
        robot: the robot.
        perception, controller: model files; default: the description's.
        backend: backend of the perception's network, one of :data:`~.neuromorphic.model.BACKENDS`.
        rendered: render every picture of the cameras, see :class:`~.sim.world.World`.
        truth: use the true values of the estimates instead of the perception.
        expert: the task's expert, which knows the true state, in the controller's place; without a perception in the
            description, the true values in its place.
        rewards: the controller goes on learning by the task's rewards, from episode to episode.
        duration_s: duration of an episode [s]; default: the task's.
        settings: settings of the task, by name.

    Returns:
        The loop; call ``reset(seed)`` before the first tick.

    Raises:
        LiquidSpikeError: a model or the scene is missing, damaged or does not fit.
    """
    if expert:
        return _expert_loop(World(task_of(robot, duration_s, **settings), rendered))
    decider = read_robot_controller(robot, controller, rewards=rewards)
    world = World(task_of(robot, duration_s, **settings), rendered, sighted=not truth)
    try:
        estimator = new_estimator(world, perception, backend, truth)
    except BaseException:
        world.close()
        raise
    judge = judge_of(world, decider) if rewards else None
    return Loop(world, estimator, decider, robot.gate_limits(decider.command_limits), judge)


def judge_of(world: World, controller: Any) -> Callable[[], None]:
    """What gives a controller that learns by reward the reward of the world's present state."""
    return lambda: controller.judge(world.task.reinforcement())


def _expert_loop(world: World) -> Loop:
    """A loop that the task's expert drives; estimates are those of the perception where the robot names one."""
    decider = ExpertController(world.task.expert(), world.task, names(world.robot.observations))
    try:
        return loop_of(world, new_estimator(world, truth=world.robot.perception is None), decider)
    except BaseException:
        world.close()
        raise


def sensed_task(
    robot: Robot, truth: bool = False, rendered: bool = False, disturbed: bool = False,
    perception: str | Path | None = None, frame_s: float | None = None, estimates: str = "", **settings: Any,
) -> ControlTask:  # fmt: skip
    """A robot as a task whose observations are those of its controller: with the estimates where it has any.

    Args:
        robot: the robot.
        truth: the true values in the perception's place.
        rendered, frame_s: see :class:`~.sim.world.World`.
        disturbed: the true values with errors, see :class:`~.loop.DisturbedEstimator`.
        perception: another model than the description's.
        estimates: class of an estimator in the perception's place, see :func:`~.tasks.of_robot.class_named`; it is made
            with the world, whose cameras are simulated unless the class says ``sighted = False``.
        settings: of the task, by name.

    Raises:
        LiquidSpikeError: the task, the scene or the perception is missing, damaged or does not fit.
    """
    task = task_of(robot, **settings)
    if not robot.estimates:
        return task
    sighted = not (truth or disturbed)
    if estimates:
        sighted = getattr(class_named(robot, "estimates", estimates), "sighted", True)
    world = World(task, rendered=rendered, sighted=sighted, frame_s=frame_s)
    if estimates:
        return SensedTask(world, of_class(robot, "estimates", estimates, world))
    return SensedTask(world, DisturbedEstimator(world) if disturbed else new_estimator(world, perception, truth=truth))


def loop_of(world: World, estimator: Estimator, controller: Decider) -> Loop:
    """A loop with the robot's own limits."""
    return Loop(world, estimator, controller, world.robot.gate_limits())


def check_seeds_are_held_out(seeds: range, training_seeds: tuple[int, int], source: str | Path) -> None:
    """Refuse to evaluate a model on what it was trained on.

    Raises:
        TaskError: the range is empty or has a training seed in it.
    """
    if not seeds:
        raise TaskError(f"the seed range {seeds.start}:{seeds.stop} is empty; give first:last+1, e.g. 1000:1100")
    first, last = training_seeds
    if seeds.start <= last and seeds[-1] >= first:
        raise TaskError(
            f"seeds {seeds.start}:{seeds.stop} meet the training seeds {first}:{last + 1} of {source}; choose others"
        )
