# SPDX-License-Identifier: Apache-2.0
"""Plans of a run: which candidates, on which tasks, under which perturbations, how often."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from ...errors import TaskError
from ...tasks.perturbations import DRIFTS, PERTURBATIONS, perturbation_named
from .candidates import PUBLISHED, candidate
from .procedure import PUBLISHED_TASKS, procedure_named

#: Seed of the first episode of an evaluation; they count up. Training never draws from below 1,000,000,000.
FIRST_EPISODE = 1000
#: Tasks that the claims are made on, by every candidate under everything that applies.
CLAIMED = ("swing-up", "hover")
#: Behind a spiking perception, where a cell takes several minutes: one training.
BEHIND_PERCEPTION = ("pencil-hard",)
#: On the other tasks one candidate of each family, and what a robot meets every day: hours are finite.
FAMILIES = ("expert", "model_based", "mlp", "gru", "cfc_mm", "spiking_loihi")
EVERYDAY = ("clean", "noise", "drop30", "jitter40", "latency1")
#: Those that meet what changes within an episode: liquid ones, what they are compared with, and the laws.
DRIFTING = (
    "expert", "model_based", "mlp_stacked", "gru", "s5", "ltc", "cfc_mm", "mlp_stacked_adapting", "gru_adapting",
    "s5_adapting", "ltc_adapting", "cfc_mm_adapting",
)  # fmt: skip
#: A part of the full training, so that a run is short.
DRIFTING_ROUNDS = {"swing-up": 10, "hover": 5}
#: Where event cameras drift, behind a spiking perception: one training. Nothing else is added to the task's own faults.
DIMMING, DIMMING_MET = "pencil-hard", ("steady", "threshold_drift")
#: Of the long episodes, and how many of them; and of the others.
LONG, LONG_EPISODES, DRIFTING_EPISODES = ("ten_minutes",), 10, 25


@dataclass(frozen=True, slots=True)
class Cell:
    """A candidate on a task: trains once, then meets every perturbation.

    Attributes:
        controller: name of the candidate.
        task: name of the task.
        training_seed: from which all of its training follows; 0 for a candidate that learns nothing.
        perturbations: their names.
        episodes: of each perturbation.
        rounds: of DAgger, if not the full training.
        folder: of the task's robot, if that is not known by its name.
    """

    controller: str
    task: str
    training_seed: int
    perturbations: tuple[str, ...]
    episodes: int
    rounds: int | None = None
    folder: str = ""

    def __str__(self) -> str:
        return f"{self.task}, {self.controller}" + (f", seed {self.training_seed}" if self.training_seed else "")

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.task}-{self.controller}-{self.training_seed}"

    @property
    def episode_seeds(self) -> range:
        """Of the evaluation."""
        return range(FIRST_EPISODE, FIRST_EPISODE + self.episodes)


@dataclass(frozen=True, slots=True)
class Share:
    """A task's part of a plan; the attributes are those of :class:`Cell`, in the plural."""

    task: str
    controllers: tuple[str, ...]
    perturbations: tuple[str, ...]
    training_seeds: range
    episodes: int
    rounds: int | None = None
    folder: str = ""

    def cells(self) -> list[Cell]:
        """Every cell, those of the first training seed first, so that a part of them already shows everything."""
        return [
            Cell(
                controller,
                self.task,
                seed,
                self.perturbations,
                self.episodes,
                self.rounds if seed else None,
                self.folder,
            )
            for seed in (0, *self.training_seeds)
            for controller in self.controllers
            if candidate(controller).learns == (seed > 0)
        ]


@dataclass(frozen=True, slots=True)
class Plan:
    """A benchmark run.

    Attributes:
        name: for the report.
        shares: one a task.
    """

    name: str
    shares: tuple[Share, ...]

    def cells(self) -> list[Cell]:
        """Every cell, the first training seed of every task before the second of any."""
        cells = [cell for share in self.shares for cell in share.cells()]
        return sorted(cells, key=lambda cell: cell.training_seed)


def _published_share(task_name: str) -> Share:
    """All that fits a task: 5 training seeds and 100 episodes on the tasks of the claims, 2 and 50 on the others, but 1
    and 50 behind a perception."""
    procedure, controllers, perturbations = procedure_named(task_name), [], []
    claimed = task_name in CLAIMED
    for name in PUBLISHED if claimed else FAMILIES:
        with suppress(TaskError):
            procedure.admit(candidate(name))
            controllers.append(name)
    for name in PERTURBATIONS if claimed else EVERYDAY:
        with suppress(TaskError):
            procedure.check_applies(perturbation_named(name))
            perturbations.append(name)
    n_trainings, episodes = (5, 100) if claimed else (1 if task_name in BEHIND_PERCEPTION else 2, 50)
    seeds = range(1, n_trainings + 1)
    return Share(procedure.name, tuple(controllers), tuple(perturbations), seeds, episodes, folder=procedure.folder)


def plan_named(name: str) -> Plan:
    """``"smoke"``: what a minute allows. ``"published"``: every task and candidate, hours. ``"drift"``: what changes
    within an episode, on two tasks, and event cameras that do on a third; ``"horizon"``: the same networks on the two,
    in episodes of ten minutes.

    Raises:
        TaskError: there is no such plan.
    """
    if name == "smoke":
        quick = ("clean", "drop30", "jitter40", "latency1")
        shares = (
            Share("swing-up", ("expert", "model_based"), quick, range(0), 20),
            Share("swing-up-full", ("expert", "mlp", "gru", "cfc", "spiking_loihi"), quick, range(1, 2), 20, rounds=1),
        )
        return Plan(name, shares)
    if name == "published":
        return Plan(name, tuple(_published_share(task) for task in PUBLISHED_TASKS))
    if name in ("drift", "horizon"):
        drifts = tuple(p for p in DRIFTS if p not in LONG and DRIFTS[p].threshold == 1)  # neither task has a camera
        met, episodes = (drifts, DRIFTING_EPISODES) if name == "drift" else (LONG, LONG_EPISODES)
        on = DRIFTING_ROUNDS.items()
        both = tuple(Share(t, DRIFTING, met, range(1, 4), episodes, rounds) for t, rounds in on)
        dimming = (Share(DIMMING, DRIFTING, DIMMING_MET, range(1, 2), episodes),) if name == "drift" else ()
        return Plan(name, (*both, *dimming))
    raise TaskError(f"unknown plan '{name}'; known plans: smoke, published, drift, horizon")


def changed(
    plan: Plan,
    controllers: Sequence[str] = (),
    tasks: Sequence[str] = (),
    perturbations: Sequence[str] = (),
    training_seeds: range | None = None,
    episodes: int | None = None,
    rounds: int | None = None,
) -> Plan:
    """A plan with some of it replaced by a choice; what is empty or None stays as it is.

    Args:
        plan: to begin with; a chosen task that it has not is run as the published plan would.
        controllers, tasks, perturbations: names; of a task its robot's folder too.
        training_seeds: of the networks, from 1 on.
        episodes: of each perturbation.
        rounds: of DAgger.

    Raises:
        TaskError: a name is unknown, a number is below 1, or a choice does not apply to a task of the plan.
    """
    if training_seeds is not None and training_seeds[0] < 1:
        raise TaskError(f"--training-seeds {training_seeds[0]}:{training_seeds[-1] + 1}: a training seed is at least 1")
    for option, number in (("--episodes", episodes), ("--rounds", rounds)):
        if number is not None and number < 1:
            raise TaskError(f"{option} {number}: give at least 1")
    have = {share.task: share for share in plan.shares}
    shares = []
    for name in tasks or have:
        procedure = procedure_named(name)
        share = have.get(name) or _published_share(name)
        for chosen in controllers:
            procedure.admit(candidate(chosen))
        for chosen in perturbations:
            procedure.check_applies(perturbation_named(chosen))
        seeds = share.training_seeds if training_seeds is None else training_seeds
        if any(candidate(c).learns for c in controllers):
            seeds = seeds or range(1, 2)
        shares.append(
            replace(
                share,
                controllers=tuple(controllers) or share.controllers,
                perturbations=tuple(perturbations) or share.perturbations,
                training_seeds=seeds,
                episodes=episodes or share.episodes,
                rounds=rounds or share.rounds,
            )
        )
    return Plan(plan.name if shares == list(plan.shares) else f"{plan.name}, in part or changed", tuple(shares))
