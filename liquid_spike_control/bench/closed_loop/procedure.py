# SPDX-License-Identifier: Apache-2.0
"""Procedure of a candidate on a task: training at a matched size, then episodes.

Only training needs torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...checkpoint import read_controller
from ...control.spiking import SpikingController, spiking_model
from ...errors import TaskError
from ...liquid.architecture import Architecture, matched, n_parameters, n_synapses, named
from ...liquid.controller import new_controller
from ...neuromorphic.backend import BackendStats
from ...neuromorphic.chip.chips import LOIHI1
from ...neuromorphic.chip.mapping import place
from ...robots.catalogue import TASKS, descriptions, robot_named, task_named
from ...spiking.policy_file import SpikingArchitecture, read_spiking_controller
from ...tasks.episode import EpisodeController, EpisodeResult, ExpertController, run_episode
from ...tasks.perturbations import Perturbation
from ...tasks.scale import anchors_of, score
from ...training.controller_files import write_controller_file
from .candidates import Candidate
from .model_based import ModelBasedController, has_law
from .provenance import environment, identity
from .record import Evaluation, Training, content_hash
from .versions import VERSIONS

if TYPE_CHECKING:
    from ...training.dagger import DaggerTraining

#: Trained numbers of each network, so far as its architecture can be sized.
BUDGET = 13_000
#: Components of :data:`~.versions.VERSIONS` that a candidate of each kind stands on.
COMPONENTS = {"law": "laws", "network": "networks", "spiking": "spiking networks"}


class Procedure(Protocol):
    """A task, for candidates.

    Attributes:
        name: of the task.
        folder: of its robot; empty for one that is known by its name.
        identity: of the task, see :func:`~.provenance.identity`.
        duration_s: of an episode [s].
        own_faults: its episodes bring their own faults, and it is seen through a perception; no perturbation applies.
    """

    name: str
    folder: str
    identity: dict[str, Any]
    duration_s: float
    own_faults: bool

    def admit(self, candidate: Candidate) -> None:
        """Refuse a candidate that cannot take part.

        Raises:
            TaskError: it cannot.
        """

    def check_applies(self, perturbation: Perturbation) -> None:
        """Refuse a perturbation of what the task does not have.

        Raises:
            TaskError: it cannot apply.
        """

    def training(self, candidate: Candidate, seed: int, rounds: int | None) -> dict[str, Any]:
        """All that decides the trained file beside the task: what learns, by which recipe, and their versions."""

    def train(self, candidate: Candidate, seed: int, rounds: int | None, path: Path) -> Training:
        """Train and write the file.

        Raises:
            ModelError: the file cannot be written, or something that training needs is missing.
        """

    def episodes(self, candidate: Candidate) -> dict[str, Any]:
        """All that decides an episode beside the task, the candidate and its trained file."""

    def driver(self, candidate: Candidate, path: Path | None) -> Any:
        """The candidate as it runs: compiled, without torch.

        Args:
            candidate: who.
            path: of its file, if it learns.

        Returns:
            What :meth:`evaluate` takes.

        Raises:
            ModelError: a file is missing or damaged.
        """

    def evaluate(self, driver: Any, perturbation: Perturbation, seeds: range) -> Evaluation:
        """The episodes of some seeds under a perturbation."""

    def check_scale(self) -> None:
        """Refuse a task whose scale has not been measured, before anything runs.

        Raises:
            TaskError: it is missing, or of another version.
        """

    def score(self, reward: np.ndarray) -> np.ndarray:
        """Total rewards on a scale from 0, random commands, to 100, the expert's."""


#: Courses that have been made, by name; one of a folder by the folder too.
_MADE: dict[str, Procedure] = {}


def procedure_named(name: str) -> Procedure:
    """The procedure of a task, made once.

    Args:
        name: of a robot, or its folder; a robot of a folder is then known by its name too.

    Raises:
        TaskError: the robot's task cannot be compared here.
        RobotError: there is no such robot.
    """
    if name not in _MADE:
        procedure = _new_procedure(name)
        if procedure.folder and procedure.name in (*COURSES, *descriptions()):
            raise TaskError(f"{name}: name: '{procedure.name}' is the name of another robot; choose another")
        _MADE[name] = _MADE[procedure.name] = procedure
    return _MADE[name]


def _new_procedure(name: str) -> Procedure:
    if name == "pencil-hard":
        from .pencil_hard_procedure import PencilHardProcedure

        return PencilHardProcedure()
    if robot_named(name).cameras:
        raise TaskError(
            f"task '{name}': has event cameras; without a perception only {', '.join(COURSES)} can be compared"
        )
    return TaskProcedure(name)


#: Names of all procedures, in the order of tables.
COURSES = ("pencil-hard", *TASKS)


class TaskProcedure:
    """A task of a robot without cameras: DAgger from its expert; see :class:`Procedure`.

    Args:
        source: name or folder of the robot.
    """

    own_faults = False

    def __init__(self, source: str) -> None:
        self._task = task_named(source)
        self.name, self.identity, self.duration_s = self._task.name, identity(self._task), self._task.duration_s
        self.folder = "" if source == self.name else str(Path(source).absolute())
        self._source = self.folder or self.name
        self._size = len(self._task.observation_names), len(self._task.command_names)

    def admit(self, candidate: Candidate) -> None:
        """See :class:`Procedure`."""
        if candidate.name == "model_based" and not has_law(self.name):
            raise TaskError(f"controller 'model_based' has no law for task '{self.name}'; leave one of them out")

    def check_applies(self, perturbation: Perturbation) -> None:
        """See :class:`Procedure`."""
        perturbation.check_applies(self._task)

    def training(self, candidate: Candidate, seed: int, rounds: int | None) -> dict[str, Any]:
        """See :class:`Procedure`."""
        config = _recipe(seed, rounds)
        return training_key(candidate, "dagger", seed, config.n_rounds) | self.episodes(candidate)

    def train(self, candidate: Candidate, seed: int, rounds: int | None, path: Path) -> Training:
        """See :class:`Procedure`."""
        import torch

        from ...liquid.policies import new_policy
        from ...spiking.policy import SpikingPolicy
        from ...training import dagger
        from ...training.seeds import CONTROLLER_SEEDS

        torch.set_num_threads(1)
        task, made, config = self._task, self._architecture(candidate), _recipe(seed, rounds)
        numbers = (task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s, seed)
        policy = SpikingPolicy(made, *numbers) if isinstance(made, SpikingArchitecture) else new_policy(made, *numbers)
        begin = time.process_time()
        dagger.train(self._source, policy, config)
        seconds = time.process_time() - begin
        described: dict[str, Any] = {
            "observation_names": task.observation_names,
            "observation_units": task.observation_units,
            "command_names": task.command_names,
            "command_units": task.command_units,
            "task": self.name,
            "training_command": training_command(self.name, candidate, config),
            "training_seeds": (CONTROLLER_SEEDS[0], CONTROLLER_SEEDS[-1]),
        }
        write_controller_file(path, policy.to_file(**described))
        return described_training(made, self._size, seconds, path, described["training_command"], config)

    def episodes(self, candidate: Candidate) -> dict[str, Any]:
        """See :class:`Procedure`."""
        return {"episodes": VERSIONS["episodes"]}

    def driver(self, candidate: Candidate, path: Path | None) -> EpisodeController:
        """See :class:`Procedure`."""
        if candidate.name == "expert":
            return ExpertController(self._task.expert(), self._task)
        if candidate.name == "model_based":
            return ModelBasedController(self.name)
        assert path is not None  # every learning candidate has a file
        if candidate.kind == "spiking":
            return SpikingController(read_spiking_controller(path), candidate.backend)
        return new_controller(read_controller(path))

    def evaluate(self, driver: EpisodeController, perturbation: Perturbation, seeds: range) -> Evaluation:
        """See :class:`Procedure`."""
        run_episode(self._task, driver, perturbation, seeds[0])  # kernels are compiled; nothing of it counts
        results: list[EpisodeResult] = []
        work: dict[str, int] = {}
        for seed in seeds:
            results.append(run_episode(self._task, driver, perturbation, seed))
            work = with_work_of(driver, work)
        return evaluation(
            perturbation, seeds,
            success=[r.success for r in results],
            reward=[r.total_reward for r in results],
            unsafe=sum(r.n_unsafe for r in results),
            simulated_s=sum(r.elapsed_s for r in results),
            wall_s=sum(r.wall_s for r in results),
            latencies_us=np.concatenate([r.latencies_us for r in results]),
            work=work or None,
        )  # fmt: skip

    def check_scale(self) -> None:
        """See :class:`Procedure`."""
        anchors_of(self._source)

    def score(self, reward: np.ndarray) -> np.ndarray:
        """See :class:`Procedure`."""
        return np.asarray(score(self._source, reward))

    def _architecture(self, candidate: Candidate) -> Architecture | SpikingArchitecture:
        """An NCP stays small: its claim is that 19 neurons do. A spiking network has weights of 8 bits and many inputs,
        and keeps its own size."""
        if candidate.kind == "spiking":
            return SpikingArchitecture(**candidate.changes)
        if candidate.learner == "ncp":
            return named("ncp", **candidate.changes)
        return matched(candidate.learner, BUDGET, *self._size, **candidate.changes)


def _recipe(seed: int, rounds: int | None) -> DaggerTraining:
    """The training that every candidate gets, with a seed of its own; fewer rounds for a quick test."""
    from ...training.dagger import DaggerTraining

    return DaggerTraining(seed=seed) if rounds is None else DaggerTraining(seed=seed, n_rounds=rounds)


def training_key(candidate: Candidate, recipe: str, seed: int, rounds: int) -> dict[str, Any]:
    """Return the recipe of a network's training, with the versions of recipe and network.

    Args:
        candidate: who learns.
        recipe: its component in :data:`~.versions.VERSIONS`.
        seed, rounds: of the training.
    """
    return {
        "learner": candidate.learner,
        "changes": dict(candidate.changes),
        "network": VERSIONS[COMPONENTS[candidate.kind]],
        "recipe": recipe,
        "recipe_version": VERSIONS[recipe],
        "seed": seed,
        "rounds": rounds,
    }


def training_command(task_name: str, candidate: Candidate, config: Any) -> str:
    """The command line that makes the same network; ``config`` has ``seed`` and ``n_rounds``."""
    return (
        f"liquid-spike bench closed-loop --tasks {task_name} --controllers {candidate.name} "
        f"--training-seeds {config.seed}:{config.seed + 1} --rounds {config.n_rounds}"
    )


def described_training(
    made: Architecture | SpikingArchitecture, size: tuple[int, int], seconds: float, path: Path, command: str,
    recipe: Any,
) -> Training:  # fmt: skip
    """Return the record of a training whose file has been written.

    Args:
        made: the architecture.
        size: numbers of observations and of commands.
        seconds: of one core [s].
        path: of the file.
        command: that makes the same file.
        recipe: a dataclass, the numbers of the training.
    """
    if isinstance(made, SpikingArchitecture):
        parameters, operations = made.n_parameters(*size), None
        cores = place(spiking_model(read_spiking_controller(path)).network(), LOIHI1).n_cores
    else:
        # An LTC's synapses are computed once for each step of its solver
        unfolds = made.unfolds if made.cell == "ltc" else 1
        parameters, operations, cores = n_parameters(made, *size), n_synapses(made, *size) * unfolds, None
    model = content_hash(path.read_bytes())
    return Training(
        seconds, parameters, operations, in_words(made), model, command, cores,
        sizes=asdict(made), recipe=asdict(recipe), environment=environment(),
    )  # fmt: skip


def in_words(architecture: Architecture | SpikingArchitecture) -> str:
    """Cell and sizes, e.g. ``"cfc 32, mixed memory, backbone 1 x 64"``."""
    a = architecture
    if isinstance(a, SpikingArchitecture):
        kind = "recurrent CUBA-LIF" if a.recurrent else "CUBA-LIF"
        return f"{kind} {' + '.join(map(str, a.units))}, {a.steps} steps a period, {a.fields} fields an observation"
    words = [f"{a.cell} {a.units}" if a.layers == 1 else f"{a.cell} {a.layers} x {a.units}"]
    words += [f"{a.stacked} samples stacked"] * (a.stacked > 1) + ["mixed memory"] * a.mixed_memory
    words += [f"backbone {a.backbone_layers} x {a.backbone_units}"] if a.backbone_layers else []
    words += [f"wired ({a.wiring.kind})"] if a.wiring else []
    words += [f"{a.unfolds} unfolds"] if a.cell == "ltc" else []
    words += ["elapsed time hidden"] if not (a.elapsed_input or a.elapsed_span) else []
    return ", ".join(words)


def with_work_of(controller: Any, work: dict[str, int]) -> dict[str, int]:
    """The work of an episode that has just ended, of a spiking controller, beside that of those before."""
    if not isinstance(controller, SpikingController):
        return work
    stats = controller.stats()
    return {f.name: work.get(f.name, 0) + getattr(stats, f.name) for f in fields(BackendStats)}


def evaluation(
    perturbation: Perturbation, seeds: range, *, success: Sequence[bool], reward: Sequence[float], unsafe: int,
    simulated_s: float, wall_s: float, latencies_us: np.ndarray, work: dict[str, int] | None,
) -> Evaluation:  # fmt: skip
    """Episodes as they are kept, in as many digits as mean something; see :class:`~.record.Evaluation`."""
    p50, p99 = np.percentile(latencies_us, (50, 99))
    return Evaluation(
        perturbation=perturbation.described(),
        first_seed=seeds[0],
        success=tuple(map(bool, success)),
        reward=tuple(float(f"{r:.6g}") for r in reward),
        steps=len(latencies_us),
        unsafe=int(unsafe),
        simulated_s=round(simulated_s, 3),
        wall_s=round(wall_s, 3),
        latency_p50_us=round(float(p50), 2),
        latency_p99_us=round(float(p99), 2),
        work=work,
        environment=environment(),
    )
