# SPDX-License-Identifier: Apache-2.0
"""A plan, run: what the cache has is taken, the rest is done side by side, and every cell is kept as it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...tasks.perturbations import perturbation_named
from . import running
from .cost import Costs
from .engines import Engine, Failure
from .plan import Cell, Plan
from .record import Cache, Record, joined, key_of
from .running import Job, Outcome


@dataclass(slots=True)
class Progress:
    """Progress of a run.

    Attributes:
        cells: of the plan.
        done: cells whose record is whole.
        failed: cells that came to nothing, and why.
        left_s: estimate of the wall time that the rest takes [s].
    """

    cells: int
    done: int
    failed: dict[Cell, str]
    left_s: float


class Benchmark:
    """The cells of a plan and their cache.

    Args:
        plan: what to run.
        cache: where records and networks are kept.

    Raises:
        TaskError: something in the plan cannot be.
    """

    def __init__(self, plan: Plan, cache: Cache) -> None:
        self.plan, self.cache = plan, cache
        self.cells = plan.cells()
        for procedure in {running.procedure_of(cell).name: running.procedure_of(cell) for cell in self.cells}.values():
            procedure.check_scale()
        self._provenance = {cell: running.provenance(cell) for cell in self.cells}
        self._networks = {cell: running.network_name(cell) for cell in self.cells}

    def record(self, cell: Cell) -> Record | None:
        """Return the stored results of a cell: of all of its perturbations, or of some."""
        return self.cache.find(cell.name, self._provenance[cell])

    def missing(self, cell: Cell) -> tuple[str, ...]:
        """Perturbations of a cell that have not been run, or on other episodes."""
        known = self.record(cell)
        has = known.evaluations if known else {}
        return tuple(
            name
            for name in cell.perturbations
            if name not in has or not has[name].covers(perturbation_named(name).described(), cell.episode_seeds)
        )

    def open_cells(self) -> list[Cell]:
        """Cells that are not whole, in the plan's order."""
        return [cell for cell in self.cells if self.missing(cell)]

    def job(self, cell: Cell) -> Job:
        """Return the missing work of a cell, with its network if that has been trained."""
        network = self._networks[cell]
        found = self.cache.find_network(*network) if network else None
        training, model = found or (None, None)
        return Job(cell, training, model, self.missing(cell))

    def estimate_s(self, slots: int) -> float:
        """Wall time that the open cells will take [s], by what such cells took before."""
        costs, open_cells = self._costs(), self.open_cells()
        return max([sum(map(costs.of, open_cells)) / slots, *map(costs.of, open_cells), 0.0])

    def _costs(self) -> Costs:
        return Costs([record for cell in self.cells if (record := self.record(cell))])

    def run(self, engine: Engine, report: Callable[[Progress], None] = lambda progress: None) -> Progress:
        """Run the open cells. Each is stored when it ends, so that an interruption loses the running cells only.

        Args:
            engine: runs the jobs.
            report: called at the beginning and after every cell.
        """
        waiting, in_work = self.open_cells(), set[Cell]()
        progress = Progress(len(self.cells), len(self.cells) - len(waiting), {}, self.estimate_s(engine.slots))
        report(progress)
        try:
            while waiting or in_work:
                while len(in_work) < engine.slots and (cell := self._ready(waiting, in_work)):
                    waiting.remove(cell)
                    in_work.add(cell)
                    engine.submit(self.job(cell))
                job, outcome = engine.next()
                in_work.remove(job.cell)
                if isinstance(outcome, Failure):
                    progress.failed[job.cell] = outcome.reason
                else:
                    self._keep(job.cell, outcome)
                    progress.done += 1
                costs = self._costs()
                progress.left_s = (sum(map(costs.of, waiting)) + sum(map(costs.of, in_work)) / 2) / engine.slots
                report(progress)
        finally:
            engine.close()
        return progress

    def _ready(self, waiting: list[Cell], in_work: set[Cell]) -> Cell | None:
        """The first cell whose network is not being trained for another one."""
        busy = {self._networks[cell] for cell in in_work} - {None}
        return next((cell for cell in waiting if self._networks[cell] not in busy), None)

    def _keep(self, cell: Cell, outcome: Outcome) -> None:
        record, network = outcome.record, self._networks[cell]
        if network and record.training and outcome.model:
            # By the record's provenance: the code may have changed since this run began
            name, key = network[0], key_of(record.provenance["training"])
            if self.cache.find_network(name, key) is None:
                self.cache.store_network(name, key, record.training, outcome.model)
        self.cache.store(cell.name, joined(self.cache.find(cell.name, record.provenance), record))
