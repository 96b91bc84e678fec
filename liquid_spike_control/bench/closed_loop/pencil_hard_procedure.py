# SPDX-License-Identifier: Apache-2.0
"""``pencil-hard`` as a procedure: the controller stands behind a spiking perception, episodes bring own faults.

Wind, latency, blackouts and irregular periods are drawn for every episode, so there is no perturbation but ``clean``.
The reward is the time that the pole stood [s]. The general procedure does all of this too, with the general trainer
(``pencil-hard?truth``: on the true estimates); this one stays until the published results have been made by that.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...assembly import loop_of, new_backend, read_robot_controller, read_robot_perception
from ...liquid.architecture import Architecture
from ...loop import Decider, Estimator, SpikingEstimator, TruthEstimator
from ...perception import Perception
from ...resources import shipped_model
from ...robots.pencil_hard.description import ROBOT
from ...robots.pencil_hard.expert import EstimateLatePencilLqr
from ...robots.pencil_hard.task import PencilHard
from ...sim.world import World
from ...spiking.policy_file import SpikingArchitecture
from ...tasks.episode import ExpertController
from ...tasks.perturbations import Perturbation
from ...training.controller_files import write_controller_file
from ..episodes import EpisodeFigures, run_episode
from .candidates import Candidate
from .procedure import Procedure, described_training, evaluation, training_command, training_key, with_work_of
from .record import Evaluation, Training

if TYPE_CHECKING:
    from ...robots.pencil_hard.imitation import HardImitationTraining

PERCEPTION = "pencil_hard/perception.nir"


class HardDriver:
    """Who decides and who sees, on a simulation of their own.

    Args:
        candidate: who decides; the expert sees the truth.
        path: of its file, if it learns.

    Raises:
        ModelError: a file is missing or damaged.
        RenderingError: there is no off-screen GL.
    """

    def __init__(self, candidate: Candidate, path: Path | None) -> None:
        task = PencilHard(ROBOT)
        self.world = World(task, rendered=False, sighted=candidate.name != "expert")
        self.estimator: Estimator = TruthEstimator(self.world)
        self.controller: Decider
        if candidate.name == "expert":
            self.controller = ExpertController(task.expert(), task)
            return
        model = read_robot_perception(ROBOT, shipped_model(PERCEPTION))
        self.estimator = SpikingEstimator(Perception(model), new_backend(model, "loihi"))
        self.controller = EstimateLatePencilLqr(task)
        if path is not None:
            self.controller = read_robot_controller(ROBOT, path, candidate.backend or "loihi")

    def episode(self, seed: int) -> EpisodeFigures:
        """Run one."""
        return run_episode(loop_of(self.world, self.estimator, self.controller), seed)


class PencilHardProcedure(Procedure):
    """See :class:`~.procedure.Procedure`; every network but the NCP and the spiking one has as many trained numbers as
    the shipped one.
    """

    times_perception = True

    def __init__(self) -> None:
        super().__init__("pencil-hard")

    def training(self, candidate: Candidate, seed: int, rounds: int | None) -> dict[str, Any]:
        """See :class:`~.procedure.Procedure`."""
        return training_key(candidate, "pencil-hard imitation", seed, _recipe(candidate, seed, rounds).n_rounds)

    def train(self, candidate: Candidate, seed: int, rounds: int | None, path: Path) -> Training:
        """See :class:`~.procedure.Procedure`."""
        import torch

        from ...robots.pencil_hard.imitation import HardImitationTrainer

        torch.set_num_threads(1)
        config = _recipe(candidate, seed, rounds)
        model = read_robot_perception(ROBOT, shipped_model(PERCEPTION))
        begin = time.process_time()
        trainer = HardImitationTrainer(config, model, lambda: new_backend(model, "loihi"))
        for _ in range(config.n_rounds):
            trainer.collect()
            trainer.learn()
        seconds = time.process_time() - begin
        command = training_command(self.name, candidate, config)
        write_controller_file(path, trainer.to_file(command))
        return described_training(_made(config), (len(trainer.observation_names), 1), seconds, path, command, config)

    def episodes(self, candidate: Candidate) -> dict[str, Any]:
        """See :class:`~.procedure.Procedure`."""
        return {}  # its rules are the task's

    def driver(self, candidate: Candidate, path: Path | None) -> HardDriver:  # type: ignore[override]
        """See :class:`~.procedure.Procedure`."""
        return HardDriver(candidate, path)

    def evaluate(  # type: ignore[override]
        self, driver: HardDriver, perturbation: Perturbation, seeds: range
    ) -> Evaluation:
        """See :class:`~.procedure.Procedure`. A latency includes the perception, the work does not."""
        results: list[EpisodeFigures] = []
        work: dict[str, int] = {}
        for seed in seeds:
            results.append(driver.episode(seed))
            work = with_work_of(driver.controller, work)
        return evaluation(
            perturbation, seeds,
            success=[r.success for r in results],
            reward=[r.lasted_s for r in results],
            unsafe=0,  # the gate lets none through
            simulated_s=sum(r.lasted_s for r in results),
            wall_s=sum(r.wall_s for r in results),
            latencies_us=np.concatenate([r.latencies_us for r in results]),
            work=work or None,
        )  # fmt: skip

    def check_scale(self) -> None:
        """See :class:`~.procedure.Procedure`. The scale is the time that the pole stood."""

    def score(self, reward: np.ndarray) -> np.ndarray:
        """Part of the episode that the pole stood [%]: the expert's pole stands to the end."""
        return np.asarray(reward) / self.duration_s * 100


def _recipe(candidate: Candidate, seed: int, rounds: int | None) -> HardImitationTraining:
    """The recipe of the shipped controllers, with fewer rounds, for any cell."""
    from ...robots.pencil_hard.imitation import hard_recipe

    config = hard_recipe(candidate.learner, seed, hide_elapsed=not candidate.changes.get("elapsed_input", True))
    return config if rounds is None else replace(config, n_rounds=rounds)


def _made(config: HardImitationTraining) -> Architecture | SpikingArchitecture:
    """Return the architecture that a recipe trains."""
    return config.architecture if config.spiking is None else config.spiking
