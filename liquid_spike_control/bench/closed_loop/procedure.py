# SPDX-License-Identifier: Apache-2.0
"""Procedure of a candidate on a task: training at a matched size, then episodes.

Only training needs torch.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from ...assembly import sensed_task
from ...checkpoint import read_controller
from ...control.output_adaptation import OutputAdaptation
from ...control.spiking import SpikingController, spiking_model
from ...errors import TaskError
from ...liquid.architecture import Architecture, matched, n_parameters, n_synapses, named
from ...liquid.controller import new_controller
from ...neuromorphic.backend import BackendStats
from ...neuromorphic.chip.chips import LOIHI1
from ...neuromorphic.chip.mapping import place
from ...robots.catalogue import DISTURBED, TASKS, TRUTH, descriptions, robot_named, sensed_task_named, task_named
from ...spiking.policy_file import SpikingArchitecture, read_spiking_controller
from ...tasks.episode import EpisodeController, EpisodeResult, ExpertController, run_episode
from ...tasks.perturbations import Perturbation
from ...tasks.scale import anchors_of, score
from ...tasks.task import ControlTask
from ...training.controller_files import write_controller_file
from .candidates import Candidate
from .model_based import has_law, law_of
from .provenance import environment, file_version, identity
from .record import Evaluation, Training, content_hash
from .versions import VERSIONS

if TYPE_CHECKING:
    from ...training.dagger import DaggerTraining
    from ...training.random_networks import RandomNetwork

#: Trained numbers of each network, so far as its architecture can be sized.
BUDGET = 13_000
#: Components of :data:`~.versions.VERSIONS` that a candidate of each kind stands on.
COMPONENTS = {"law": "laws", "network": "networks", "spiking": "spiking networks"}


def procedure_named(name: str) -> Procedure:
    """The procedure of a task, made once.

    Args:
        name: of a robot, or its folder; a robot of a folder is then known by its name too. With ``?truth`` or
            ``?disturbed`` behind it, true values take the place of the robot's estimates, as they are or with errors.

    Raises:
        TaskError: the robot's task cannot be compared here.
        RobotError: there is no such robot, or it has event cameras and no perception.
    """
    if name not in _MADE:
        procedure = Procedure(name)
        if procedure.folder and procedure.name in (*PUBLISHED_TASKS, *descriptions()):
            raise TaskError(f"{name}: name: '{procedure.name}' is the name of another robot; choose another")
        _MADE[name] = _MADE[procedure.name] = procedure
    return _MADE[name]


#: Tasks of the published benchmark, in the order of its tables.
PUBLISHED_TASKS = ("pencil-hard", *TASKS)


class Driver(NamedTuple):
    """A candidate as it runs, and what it drives."""

    task: ControlTask
    controller: EpisodeController


class Procedure:
    """A task as its robot's controller sees it, for candidates: DAgger from its expert, then episodes.

    Args:
        source: see :func:`procedure_named`.

    Attributes:
        name: of the task.
        folder: of its robot, with what its estimates are; empty for one that is known by its name.
        identity: of the task, see :func:`~.provenance.identity`.
        duration_s: of an episode [s].
        own_faults: its episodes bring their own faults of sensing, timing and plant; nothing but the contrast
            thresholds of its cameras may be perturbed.
    """

    def __init__(self, source: str) -> None:
        text, mark, estimates = source.partition("?")
        if mark and mark + estimates not in (TRUTH, DISTURBED):
            raise TaskError(f"task '{source}': give {TRUTH} or {DISTURBED} behind the robot, or neither")
        self._robot, self._plant = robot_named(text), (task := task_named(text))
        self.name, self.duration_s, self.own_faults = task.name + mark + estimates, task.duration_s, task.own_faults
        self.identity = identity(task) | {"name": self.name}
        if self._robot.estimates and not mark:
            seen_by = file_version(self._robot.model("perception"))
            self.identity["files"] = sorted([*self.identity["files"], seen_by])
        self.folder = "" if text == task.name else str(Path(text).absolute()) + mark + estimates
        self._source = self.folder or self.name
        self._imitation = dict(task.imitation)
        seen = self._robot.observations if self._robot.estimates else task.observation_names
        self._size = len(seen), len(task.command_names)

    @cached_property
    def _task(self) -> ControlTask:
        """With its estimator, once it is needed."""
        return sensed_task_named(self._source)

    def admit(self, candidate: Candidate) -> None:
        """Refuse a candidate that cannot take part.

        Raises:
            TaskError: it cannot.
        """
        if candidate.name == "model_based" and not has_law(self._source):
            raise TaskError(f"controller 'model_based' has no law for task '{self.name}'; leave one of them out")
        if candidate.adapts:
            self._plant.steering()

    def check_applies(self, perturbation: Perturbation) -> None:
        """Refuse a perturbation of what the task does not have.

        Raises:
            TaskError: it cannot apply.
        """
        if self.own_faults and not perturbation.only_of_cameras:
            raise TaskError(
                f"perturbation '{perturbation.name}' cannot apply: task '{self.name}' draws its own faults for every "
                "episode; give clean, steady or threshold_drift"
            )
        perturbation.check_applies(self._plant if perturbation.threshold == 1 else self._task)

    def training(self, candidate: Candidate, seed: int, rounds: int | None) -> dict[str, Any]:
        """All that decides the trained file beside the task: what learns, by which recipe, and their versions."""
        recipe = "readouts" if candidate.readout_only else "dagger"
        made = training_key(candidate, recipe, seed, self._recipe(seed, rounds).n_rounds) | self.episodes(candidate)
        return made | ({"imitation": self._imitation} if self._imitation else {})

    def train(self, candidate: Candidate, seed: int, rounds: int | None, path: Path) -> Training:
        """Train and write the file.

        Raises:
            ModelError: the file cannot be written, or something that training needs is missing.
        """
        import torch

        from ...training import dagger
        from ...training.networks import new_policy, trainer_class
        from ...training.seeds import CONTROLLER_SEEDS

        torch.set_num_threads(1)
        task, made, config = self._task, self._architecture(candidate), self._recipe(seed, rounds)
        numbers = (task.observation_scales.tolist(), task.command_limits.tolist(), task.period_s, seed)
        policy = new_policy(made, *numbers)
        begin = time.process_time()
        dagger.train(self._source, policy, config, trainer_class=trainer_class(made))
        seconds = time.process_time() - begin
        described: dict[str, Any] = {
            "observation_names": task.observation_names,
            "observation_units": task.observation_units,
            "command_names": task.command_names,
            "command_units": task.command_units,
            "task": task.name,
            "training_command": training_command(self.name, candidate, config),
            "training_seeds": (CONTROLLER_SEEDS[0], CONTROLLER_SEEDS[-1]),
        }
        write_controller_file(path, policy.to_file(**described))
        command = described["training_command"]
        training = described_training(policy.architecture, self._size, seconds, path, command, config)
        if not candidate.readout_only:
            return training
        trained = cast("RandomNetwork", made).n_trained(len(task.command_names))
        return replace(training, parameters=trained, architecture=f"{training.architecture}, random")

    def episodes(self, candidate: Candidate) -> dict[str, Any]:
        """All that decides an episode beside the task, the candidate and its trained file."""
        return {"episodes": VERSIONS["episodes"]}

    def driver(self, candidate: Candidate, path: Path | None) -> Driver:
        """The candidate as it runs: compiled, without torch.

        Args:
            candidate: who.
            path: of its file, if it learns.

        Returns:
            What :meth:`evaluate` takes.

        Raises:
            ModelError: a file is missing or damaged.
        """
        if candidate.name == "expert":
            # It looks at no estimate
            task = sensed_task(self._robot, truth=True)
            return Driver(task, ExpertController(task.expert(), task))
        if candidate.name == "model_based":
            return Driver(self._task, law_of(self._source))
        assert path is not None  # every learning candidate has a file
        if candidate.kind == "spiking":
            return Driver(self._task, SpikingController(read_spiking_controller(path), candidate.backend))
        network = new_controller(read_controller(path))
        return Driver(self._task, OutputAdaptation(network, self._plant.steering) if candidate.adapts else network)

    def evaluate(self, driver: Driver, perturbation: Perturbation, seeds: range) -> Evaluation:
        """The episodes of some seeds under a perturbation."""
        task, controller = driver
        run_episode(task, controller, perturbation, seeds[0])  # kernels are compiled; nothing of it counts
        results: list[EpisodeResult] = []
        work: dict[str, int] = {}
        for seed in seeds:
            results.append(run_episode(task, controller, perturbation, seed))
            work = with_work_of(controller, work)
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
        """Refuse a task whose scale has not been measured, before anything runs.

        Raises:
            TaskError: it is missing, or of another version.
        """
        anchors_of(self._source)

    def score(self, reward: np.ndarray) -> np.ndarray:
        """Total rewards on a scale from 0, random commands, to 100, the expert's."""
        return np.asarray(score(self._source, reward))

    def _architecture(self, candidate: Candidate) -> Architecture | SpikingArchitecture | RandomNetwork:
        """An NCP stays small: its claim is that 19 neurons do. A spiking network has weights of 8 bits and many inputs,
        and keeps its own size."""
        if candidate.readout_only:
            from ...training.random_networks import RandomNetwork

            return RandomNetwork(candidate.learner, **candidate.changes)
        if candidate.kind == "spiking":
            return SpikingArchitecture(**candidate.changes)
        if candidate.learner == "ncp":
            return named("ncp", **candidate.changes)
        return matched(candidate.learner, BUDGET, *self._size, **candidate.changes)

    def _recipe(self, seed: int, rounds: int | None) -> DaggerTraining:
        """The training that every candidate gets, with a seed of its own; fewer rounds for a quick test."""
        from ...training.dagger import training_of

        return training_of(self._source, seed, **({} if rounds is None else {"n_rounds": rounds}))


#: Those that have been made, by name; one of a folder by the folder too.
_MADE: dict[str, Procedure] = {}


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
    """The command line that makes the same network; ``config`` has ``seed`` and ``n_rounds``.

    What adapts while it controls has the network of what does not, and its command.
    """
    name = candidate.learner if candidate.adapts else candidate.name
    return (
        f"liquid-spike bench closed-loop --tasks {shlex.quote(task_name)} --controllers {name} "
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
