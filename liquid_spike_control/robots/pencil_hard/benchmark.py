# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench pencil --task pencil-hard``: who balances it, on held-out seeds.

One episode for another benchmark: :func:`run_hard_episode`, with any controller and any estimator.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ...assembly import check_seeds_are_held_out, loop_of, new_backend, read_robot_controller, read_robot_perception
from ...bench.episodes import EpisodeFigures, run_episode
from ...control.files import read_controller_file
from ...errors import TaskError
from ...loop import Decider, Estimator, Loop, SpikingEstimator, TruthEstimator
from ...perception import Perception
from ...resources import zoo
from ...sim.world import World
from ...tasks.mujoco_task import MujocoTask
from ...tasks.of_robot import task_of
from ..pencil.benchmark import PencilBenchmark
from .description import ROBOT
from .expert import EstimateLatePencilLqr
from .task import PencilHardEpisodes

#: Name in the results -> (how the pole is seen, who decides). ``gru`` has as many parameters as ``cfc``; ``untimed``
#: is ``cfc`` trained and run without elapsed time, neither as input nor as time span. ``spiking`` is itself a spiking
#: network on the Loihi emulator, behind the perception, which is one too.
HARD_VARIANTS = {
    "expert": ("truth", "expert"),
    "lqr_true": ("truth", "lqr"),
    "lqr_spiking": ("loihi", "lqr"),
    "cfc_float": ("float", "cfc"),
    "cfc_loihi": ("loihi", "cfc"),
    "gru_loihi": ("loihi", "gru"),
    "untimed_loihi": ("loihi", "untimed"),
    "spiking_loihi": ("loihi", "spiking"),
}
#: Files of the controllers, in the zoo.
CONTROLLERS = {
    "cfc": "pencil_hard_controller.safetensors",
    "gru": "pencil_hard_gru.safetensors",
    "untimed": "pencil_hard_untimed.safetensors",
    "spiking": "pencil_hard_spiking.nir",
}


class ExpertController:
    """The expert under the Controller protocol; it needs no observation.

    Args:
        task: which it drives.
    """

    observation_names: tuple[str, ...] = ()

    def __init__(self, task: MujocoTask) -> None:
        self.nominal_period_s, self.command_names = task.period_s, task.command_names
        self.command_limits = task.command_limits
        self._task, self._expert = task, task.expert()

    def reset(self) -> None:
        """The task's episode has begun."""
        self._expert.reset()

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Force [N], ``(1,)``."""
        return self._expert.act(self._task)


def run_hard_episode(controller: Decider, estimator: Estimator, seed: int, world: World) -> EpisodeFigures:
    """One episode to its end or until the pole falls.

    Args:
        controller: takes any of the robot's observations and gives a cart force [N].
        estimator: angle and rate from events: ``SpikingEstimator(Perception(model), backend)``.
        seed: of the episode; no training seed.
        world: may be used again for the next episode.
    """
    return run_episode(loop_of(world, estimator, controller), seed)


@dataclass(frozen=True)
class PencilHardBenchmark(PencilBenchmark):
    """What is run.

    Attributes:
        task: with its duration and gusts.
        seeds: of the episodes; none may be a training seed.
        variants: names from :data:`HARD_VARIANTS`.
        perception_model, controller_model: files; those of gru, untimed and spiking are the shipped ones.
        jobs: processes.
        rendered: every picture is rendered, see :class:`~...sim.world.World`.

    Raises:
        TaskError: a variant is unknown, the range is empty or has training seeds in it.
        ModelError: a file is damaged or does not fit.
    """

    task: PencilHardEpisodes  # type: ignore[assignment]
    variants: tuple[str, ...] = tuple(HARD_VARIANTS)
    perception_model: Path = zoo("pencil_hard_perception.nir")
    controller_model: Path = zoo(CONTROLLERS["cfc"])
    rendered: bool = False

    def __post_init__(self) -> None:
        for name in self.variants:
            if name not in HARD_VARIANTS:
                raise TaskError(f"unknown variant '{name}'; known variants: {', '.join(HARD_VARIANTS)}")
        if not self.variants or self.jobs < 1:
            raise TaskError("give at least one variant and one job")
        if self.seeds and self.seeds.start < 0:
            raise TaskError(f"seeds {self.seeds.start}:{self.seeds.stop}: a seed is at least 0")
        perception = read_robot_perception(ROBOT, self.perception_model)
        check_seeds_are_held_out(self.seeds, tuple(perception.metadata["training_seeds"]), self.perception_model)
        for decider in {HARD_VARIANTS[name][1] for name in self.variants} & CONTROLLERS.keys():
            path = self._controller(decider)
            read_robot_controller(ROBOT, path)
            check_seeds_are_held_out(self.seeds, read_controller_file(path).training_seeds, path)

    def _controller(self, decider: str) -> Path:
        return self.controller_model if decider == "cfc" else zoo(CONTROLLERS[decider])

    @property
    def title(self) -> str:
        """What is run, in a line."""
        task, seeds = self.task, self.seeds
        return f"pencil-hard, seeds {seeds.start}:{seeds.stop}, {task.duration_s:g} s, gusts of {task.gust:g} m/s"

    def loop(self, name: str) -> Loop:
        """The loop of a variant."""
        sight, decider = HARD_VARIANTS[name]
        task = task_of(ROBOT, **asdict(self.task))
        world = World(task, rendered=self.rendered, sighted=sight != "truth")
        controller: Decider
        if decider == "expert":
            controller = ExpertController(task)
        elif decider == "lqr":
            controller = EstimateLatePencilLqr(ROBOT)
        else:
            controller = read_robot_controller(ROBOT, self._controller(decider))
        estimator: Estimator = TruthEstimator(world)
        if sight != "truth":
            model = read_robot_perception(ROBOT, self.perception_model)
            estimator = SpikingEstimator(Perception(model), new_backend(model, sight))
        return loop_of(world, estimator, controller)
