# SPDX-License-Identifier: Apache-2.0
"""One cell: train it unless that was done, then every perturbation that is missing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.perturbations import perturbation_named
from .candidates import candidate
from .plan import Cell
from .procedure import COMPONENTS, Procedure, procedure_named
from .record import Record, Training, key_of
from .versions import VERSIONS

#: Of the files of networks, by kind of candidate.
_SUFFIXES = {"network": ".safetensors", "spiking": ".nir"}


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
    """Outcome of a job: the record with the missing evaluations, and the network's file."""

    record: Record
    model: bytes | None


def procedure_of(cell: Cell) -> Procedure:
    """Return the procedure of a cell, in any process."""
    return procedure_named(cell.folder or cell.task)


def training_provenance(cell: Cell) -> dict[str, Any] | None:
    """Everything that decides the trained network of a cell; None if there is none. Its hash names the file."""
    chosen, procedure = candidate(cell.controller), procedure_of(cell)
    if not chosen.learns:
        return None
    return procedure.training(chosen, cell.training_seed, cell.rounds) | {"task": procedure.identity}


def provenance(cell: Cell) -> dict[str, Any]:
    """Return everything that decides the figures of a cell, except perturbations and episodes, stored beside them."""
    chosen, procedure = candidate(cell.controller), procedure_of(cell)
    made = procedure.episodes(chosen) | ({"adaptation": VERSIONS["adaptation"]} if chosen.adapts else {})
    return made | {
        "controller": chosen.name,
        "controller_version": VERSIONS[COMPONENTS[chosen.kind]],
        "backend": chosen.backend,
        "task": procedure.identity,
        "training": training_provenance(cell),
    }


def network_name(cell: Cell) -> tuple[str, str] | None:
    """Name and key of the network of a cell, which cells of one learner share; None if it has none."""
    made = training_provenance(cell)
    if made is None:
        return None
    return f"{cell.task}-{candidate(cell.controller).learner}-{cell.training_seed}", key_of(made)


def run(job: Job) -> Outcome:
    """Run a job, in any process.

    Raises:
        LiquidSpikeError: the training or an episode cannot be run.
    """
    cell, chosen, procedure = job.cell, candidate(job.cell.controller), procedure_of(job.cell)
    training, model = job.training, job.model
    with tempfile.TemporaryDirectory(prefix="liquid_spike_") as folder:
        path = Path(folder) / f"{cell.task}{_SUFFIXES[chosen.kind]}" if chosen.learns else None
        if path and (model is None or training is None):
            training = procedure.train(chosen, cell.training_seed, cell.rounds, path)
            model = path.read_bytes()
        elif path and model:
            path.write_bytes(model)
        driver = procedure.driver(chosen, path)
    evaluations = {
        name: procedure.evaluate(driver, perturbation_named(name), cell.episode_seeds) for name in job.missing
    }
    made = provenance(cell)
    record = Record(cell.controller, cell.task, cell.training_seed, made, training, evaluations)
    return Outcome(record, model)
