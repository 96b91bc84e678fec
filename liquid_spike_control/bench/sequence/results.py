# SPDX-License-Identifier: Apache-2.0
"""Fits and what they came to, in a folder, found by everything that decides them."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import TaskError
from ...inputs import open_npz
from ...outputs import make_folder, write_file
from ..closed_loop.record import key_of
from ..closed_loop.versions import VERSIONS
from .experiments import Experiment
from .sequences import Sequences


def provenance(experiment: Experiment, model: str, seed: int) -> dict[str, Any]:
    """Everything that decides the result of a fit."""
    recipe = experiment.recipe(model)
    return _of_data(experiment) | {
        "model": model,
        "seed": seed,
        "time_unit": experiment.time_unit,
        "recipe": asdict(recipe),
        "versions": [VERSIONS["sequence fits"], VERSIONS["networks"]],
    }


def _of_data(experiment: Experiment) -> dict[str, Any]:
    sizes = [experiment.n_training, experiment.n_test]
    return {"task": experiment.name, "sequences": sizes, "data": VERSIONS["sequences"]}


class Folder:
    """Folder of results; each file is complete or missing.

    Args:
        path: is made when something is kept.

    Raises:
        TaskError: it is not a folder.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise TaskError(f"--cache {path}: is a file; give a folder")
        self.path = path

    def result(self, made_by: dict[str, Any]) -> dict[str, Any] | None:
        """Return the result of a fit, or None; a damaged file counts as none."""
        try:
            result = json.loads(self._file(made_by, ".json").read_text(encoding="utf-8"))
            return result if result["provenance"] == json.loads(json.dumps(made_by)) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep_result(self, result: dict[str, Any]) -> None:
        """Keep it under its provenance, in place of the half-done fit."""
        made_by = result["provenance"]
        self._keep(self._file(made_by, ".json"), json.dumps(result, allow_nan=False).encode())
        self._file(made_by, ".part").unlink(missing_ok=True)

    def part(self, made_by: dict[str, Any]) -> bytes | None:
        """A fit that was interrupted."""
        try:
            return self._file(made_by, ".part").read_bytes()
        except OSError:
            return None

    def keep_part(self, made_by: dict[str, Any], data: bytes) -> None:
        """Keep a half-done fit."""
        self._keep(self._file(made_by, ".part"), data)

    def sequences(self, experiment: Experiment) -> tuple[Sequences, Sequences]:
        """The experiment's sequences, made only once where that takes long; a damaged file is made again."""
        if not experiment.keep:
            return experiment.make(experiment.n_training, experiment.n_test)
        path = self.path / f"{experiment.name}-{key_of(_of_data(experiment))}.npz"
        names = Sequences.__slots__
        try:
            with open_npz(path) as file:
                training, test = (Sequences(*(file[f"{part}_{n}"] for n in names)) for part in ("training", "test"))
                return training, test
        except (OSError, ValueError):
            pass
        made = experiment.make(experiment.n_training, experiment.n_test)
        buffer = io.BytesIO()
        arrays = {
            f"{part}_{n}": getattr(sequences, n)
            for part, sequences in zip(("training", "test"), made, strict=True)
            for n in names
        }
        np.savez_compressed(buffer, **arrays)
        self._keep(path, buffer.getvalue())
        return made

    def _file(self, made_by: dict[str, Any], suffix: str) -> Path:
        return self.path / f"{made_by['task']}-{made_by['model']}-{made_by['seed']}-{key_of(made_by)}{suffix}"

    def _keep(self, path: Path, data: bytes) -> None:
        make_folder(self.path)
        write_file(path, data)
