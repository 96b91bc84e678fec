# SPDX-License-Identifier: Apache-2.0
"""One cell: train it unless that was done, then every perturbation that is missing."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ...control.spiking import SpikingController
from ...errors import TaskError
from ...neuromorphic.backend import BackendStats
from ...tasks.catalogue import task_named
from ...tasks.episode import EpisodeController, EpisodeResult, ExpertController, run_episode
from ...tasks.perturbations import Perturbation, perturbation_named
from ...tasks.task import ControlTask
from . import learning
from .contenders import Contender, contender
from .model_based import ModelBasedController
from .plan import LAWS, Cell
from .provenance import code_version, expert_version, machine, versions
from .record import Evaluation, Record, Training, key_of

#: Modules whose code decides an episode, besides the task's.
EPISODE_CODE = ("tasks.episode",)
_RUNTIME_CODE = {
    "law": ("bench.closed_loop.model_based",),
    "network": ("liquid.controller",),
    "spiking": ("control.spiking",),
}


@dataclass(frozen=True, slots=True)
class Job:
    """A cell with what is known of it already.

    Attributes:
        cell: what to do.
        training, model: of the network, if it is trained; the file's bytes.
        missing: perturbations still to be run.
    """

    cell: Cell
    training: Training | None
    model: bytes | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job: the record with the evaluations that were missing, and the network's file."""

    record: Record
    model: bytes | None


def training_provenance(cell: Cell) -> dict[str, Any] | None:
    """Everything that decides the trained network of a cell; None if there is none. Its hash names the file."""
    chosen, task = contender(cell.controller), task_named(cell.task)
    if not chosen.learns:
        return None
    code = learning.SPIKING_CODE if chosen.kind == "spiking" else learning.NETWORK_CODE
    config = learning.recipe(cell.training_seed, cell.rounds)
    return learning.description(chosen, task, config) | {
        "expert": expert_version(task.name),
        "code": code_version((_module(task), *code)),
        "versions": versions("torch", "mujoco-core", "gymnasium"),
    }


def provenance(cell: Cell) -> dict[str, Any]:
    """Everything that decides the figures of a cell, but for perturbations and episodes, which stand beside them."""
    chosen, task = contender(cell.controller), task_named(cell.task)
    return {
        "controller": chosen.name,
        "backend": chosen.backend,
        "task": task.name,
        "task_version": task.version,
        "training": training_provenance(cell),
        "expert": expert_version(task.name) if chosen.name in LAWS else "",
        "code": code_version((_module(task), *EPISODE_CODE, *_RUNTIME_CODE[chosen.kind])),
        "versions": versions("mujoco-core", "gymnasium"),
    }


def _module(task: ControlTask) -> str:
    return type(task).__module__.partition(".")[2]


def network_name(cell: Cell) -> tuple[str, str] | None:
    """Name and key of the network of a cell, which cells of one learner share; None if it has none."""
    made = training_provenance(cell)
    if made is None:
        return None
    return f"{cell.task}-{contender(cell.controller).learner}-{cell.training_seed}", key_of(made)


def run(job: Job) -> Outcome:
    """Do a job, in whatever process.

    Raises:
        LiquidSpikeError: something in it cannot be done.
    """
    cell, chosen = job.cell, contender(job.cell.controller)
    task, training, model = task_named(cell.task), job.training, job.model
    driver: EpisodeController
    with tempfile.TemporaryDirectory(prefix="liquid_spike_") as folder:
        if chosen.learns:
            path = Path(folder) / f"{cell.task}{learning.SUFFIXES[chosen.kind]}"
            if model is None or training is None:
                config = learning.recipe(cell.training_seed, cell.rounds)
                training = learning.train(chosen, cell.task, config, path)
                model = path.read_bytes()
            else:
                path.write_bytes(model)
            driver = learning.controller(chosen, path)
        else:
            driver = _law(chosen, task)
    evaluations = {name: evaluate(task, driver, perturbation_named(name), cell.episode_seeds) for name in job.missing}
    made = provenance(cell)
    record = Record(cell.controller, cell.task, cell.training_seed, made, machine(), training, evaluations)
    return Outcome(record, model)


def _law(chosen: Contender, task: ControlTask) -> EpisodeController:
    if chosen.name == "expert":
        return ExpertController(task.expert(), task)
    if chosen.name == "model_based":
        return ModelBasedController(task.name)
    raise TaskError(f"controller '{chosen.name}' is not a law")


def evaluate(task: ControlTask, driver: EpisodeController, perturbation: Perturbation, seeds: range) -> Evaluation:
    """The episodes of some seeds under a perturbation.

    Raises:
        TaskError: the perturbation cannot apply to the task.
    """
    run_episode(task, driver, perturbation, seeds[0])  # kernels are compiled and caches warm; nothing of it counts
    episodes: list[EpisodeResult] = []
    work: dict[str, int] = {}
    for seed in seeds:
        episodes.append(run_episode(task, driver, perturbation, seed))
        if isinstance(driver, SpikingController):
            work = _sum(work, driver.stats())
    latencies = np.concatenate([e.latencies_us for e in episodes])
    p50, p99 = np.percentile(latencies, (50, 99))
    return Evaluation(
        perturbation=asdict(perturbation),
        first_seed=seeds[0],
        success=tuple(e.success for e in episodes),
        reward=tuple(float(f"{e.total_reward:.6g}") for e in episodes),
        steps=sum(e.n_steps for e in episodes),
        unsafe=sum(e.n_unsafe for e in episodes),
        simulated_s=round(sum(e.elapsed_s for e in episodes), 3),
        wall_s=round(sum(e.wall_s for e in episodes), 3),
        latency_p50_us=round(float(p50), 2),
        latency_p99_us=round(float(p99), 2),
        work=work or None,
    )


def _sum(work: dict[str, int], stats: BackendStats) -> dict[str, int]:
    return {f.name: work.get(f.name, 0) + getattr(stats, f.name) for f in fields(BackendStats)}
