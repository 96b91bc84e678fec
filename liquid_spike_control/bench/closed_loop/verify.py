# SPDX-License-Identifier: Apache-2.0
"""A kept cell, computed again from nothing and compared with what was kept.

On the same class of processor with the same libraries every episode must come out the same. Elsewhere rounding differs:
a closed loop amplifies it, and a network that was trained there is another one, so means are compared within a
tolerance instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import TaskError
from .candidates import CANDIDATES
from .plan import Cell
from .procedure import procedure_named
from .provenance import environment, same_arithmetic
from .record import Evaluation, Record

#: Greatest differences of the means where arithmetic is not known to be the same: parts of the episodes that succeed,
#: and parts of the way from random commands to the expert.
ELSEWHERE = 0.1


@dataclass(frozen=True, slots=True)
class Difference:
    """Results under one perturbation, stored and computed again.

    Attributes:
        perturbation: its name.
        success, score: means, kept and again; success in parts of 1, score from 0 to 100.
        differing: seeds of the episodes that came out otherwise.
        beside: what else differs: totals over all episodes, by name.
        agrees: within the tolerance.
    """

    perturbation: str
    success: tuple[float, float]
    score: tuple[float, float]
    differing: tuple[int, ...]
    beside: tuple[str, ...]
    agrees: bool

    def __str__(self) -> str:
        if not self.differing and not self.beside:
            return f"{self.perturbation}: the same, episode by episode"
        n = len(self.differing)
        episodes = f"{n} episode{'s' if n > 1 else ''} differ{'' if n > 1 else 's'}, the first of seed "
        what = [f"{episodes}{self.differing[0]}"] if n else []
        what += [f"success {100 * self.success[0]:.1f} % kept, {100 * self.success[1]:.1f} % now",
                 f"score {self.score[0]:.2f} kept, {self.score[1]:.2f} now", *self.beside]  # fmt: skip
        return f"{self.perturbation}: {'; '.join(what)}" + ("" if self.agrees else " [beyond the tolerance]")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A cell, kept and computed again.

    Attributes:
        same_network: whether training gave the same file; None for a candidate that learns nothing.
        same_arithmetic: whether all of it ran where rounding is known to be the same.
        tolerance: that was applied.
        differences: one a perturbation.
    """

    same_network: bool | None
    same_arithmetic: bool
    tolerance: float
    differences: tuple[Difference, ...]

    @property
    def agrees(self) -> bool:
        """Whether every figure is the same within the tolerance; with none, the network's file too."""
        exact = self.tolerance > 0 or self.same_network is not False
        return exact and all(d.agrees for d in self.differences)

    def lines(self) -> list[str]:
        """For people."""
        where = "the same processor class and libraries" if self.same_arithmetic else (
            "another processor class or other libraries, or the result does not name its own")  # fmt: skip
        network = {None: [], True: ["network: the same file"], False: ["network: another file"]}[self.same_network]
        how = f"within {100 * self.tolerance:g} % of episodes and score" if self.tolerance else "exactly"
        return [f"computed on {where}: compared {how}", *network, *map(str, self.differences),
                "verified" if self.agrees else "NOT verified"]  # fmt: skip


def cell_named(text: str, rounds: int | None = None) -> Cell:
    """The cell of a name such as ``"swing-up-gru-1"``: task, controller, training seed, as in the names of results.

    Args:
        text: the name; the key behind it in a file's name may stay.
        rounds: of DAgger, if not the full training.

    Raises:
        TaskError: it is no such name.
    """
    name = text.removesuffix(".json").rpartition("/")[2]
    stem, _, key = name.rpartition("-")
    if len(key) == 16 and stem.rpartition("-")[2].isdigit():
        name = stem
    task, _, rest = name.rpartition("-")
    task, _, controller = task.rpartition("-")
    if not rest.isdigit() or not task or controller not in CANDIDATES:
        raise TaskError(f"--verify {text}: give TASK-CONTROLLER-SEED, such as swing-up-gru-1 or hover-expert-0")
    seed, learns = int(rest), CANDIDATES[controller].learns
    procedure = procedure_named(task)
    procedure.check_scale()
    procedure.admit(CANDIDATES[controller])
    if learns != (seed > 0):
        reason = "trains: its seed is at least 1" if learns else "learns nothing: its seed is 0"
        raise TaskError(f"--verify {text}: '{controller}' {reason}")
    return Cell(controller, task, seed, (), 0, rounds if learns else None, procedure.folder)


def compare(kept: Record, again: Record, tolerance: float | None) -> Verdict:
    """Compare a kept record with one computed again.

    Args:
        kept: may have more perturbations, and more episodes of each.
        again: of the present environment.
        tolerance: see :data:`ELSEWHERE`; None for 0 where arithmetic is the same and :data:`ELSEWHERE` elsewhere.
    """
    old = [kept.training.environment] if kept.training else []
    old += [kept.evaluations[name].environment for name in again.evaluations]
    alike = all(same_arithmetic(e, environment()) for e in old)
    allowed = tolerance if tolerance is not None else 0.0 if alike else ELSEWHERE
    network = None
    if kept.training and again.training:
        network = kept.training.model == again.training.model
    differences = (_difference(kept, name, new, allowed) for name, new in again.evaluations.items())
    return Verdict(network, alike, allowed, tuple(differences))


def _difference(kept: Record, name: str, new: Evaluation, tolerance: float) -> Difference:
    old, n = kept.evaluations[name], len(new.success)
    pairs = zip(old.success[:n], old.reward[:n], new.success, new.reward, strict=True)
    differing = [new.first_seed + k for k, (s, r, s2, r2) in enumerate(pairs) if s != s2 or r != r2]
    beside = []
    if n == len(old.success):  # totals are known of all episodes only
        for what in ("steps", "unsafe", "work"):
            if (was := getattr(old, what)) != (now := getattr(new, what)):
                beside.append(f"{what} {was} kept, {now} now")
    success = float(np.mean(old.success[:n])), float(np.mean(new.success))
    score = procedure_named(kept.task).score
    scores = float(score(np.array(old.reward[:n])).mean()), float(score(np.array(new.reward)).mean())
    near = abs(success[0] - success[1]) <= tolerance and abs(scores[0] - scores[1]) <= 100 * tolerance
    agrees = near if tolerance else not (differing or beside)
    return Difference(name, success, scores, tuple(differing), tuple(beside), agrees)
