# SPDX-License-Identifier: Apache-2.0
"""Estimated time of cells: that of others of their kind, or else reference times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from .candidates import candidate
from .plan import Cell
from .procedure import procedure_named
from .record import Record

#: Training of one network [s] where nothing of its kind is known, on a core of an AMD EPYC.
TRAINING_S = 180.0
#: Simulated seconds a second of an evaluation, where nothing is known.
REAL_TIME_FACTOR = 150.0
#: Start of a process: imports, compiled kernels out of their cache [s].
START_S = 5.0


class Costs:
    """Measured costs of cells of a kind.

    Args:
        records: of cells that have been run.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._training, self._factor = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
        for record in records:
            kinds = f"{record.task} {record.controller}", record.task, record.controller
            if record.training:
                for kind in kinds:
                    self._training[kind].append(record.training.seconds)
            for evaluation in record.evaluations.values():
                for kind in kinds:
                    self._factor[kind].append(evaluation.simulated_s / max(evaluation.wall_s, 1e-9))

    def of(self, cell: Cell) -> float:
        """Seconds of one core."""
        learns = candidate(cell.controller).learns
        here, task, controller = f"{cell.task} {cell.controller}", cell.task, cell.controller
        # An architecture decides how long it learns, a plant how fast it is simulated
        training = _known(self._training, (here, controller, task), TRAINING_S) if learns else 0.0
        simulated = procedure_named(task).duration_s * cell.episodes * len(cell.perturbations)
        return START_S + training + simulated / _known(self._factor, (here, task, controller), REAL_TIME_FACTOR)


def _known(figures: dict[str, list[float]], kinds: tuple[str, ...], otherwise: float) -> float:
    """Of the nearest kind that has run."""
    return median(next((figures[kind] for kind in kinds if figures.get(kind)), [otherwise]))
