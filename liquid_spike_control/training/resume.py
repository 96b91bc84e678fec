# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: a training that was killed goes on from the last of them, to the same weights."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TaskError
from ..inputs import read_input
from ..outputs import write_file
from .policy import TrainablePolicy
from .tensor_tree import from_bytes, to_bytes

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: Checkpoints of other versions are refused.
VERSION = 1
#: The largest that is read; those of a controller have some megabytes.
MAX_BYTES = 1 << 32


def recipe_of(task_name: str, policy: TrainablePolicy, config: DataclassInstance) -> dict[str, Any]:
    """What distinguishes one training from another: its task, the untrained policy and the configuration.

    Args:
        task_name: of the catalogue.
        policy: before any training.
        config: of the training.
    """
    digest = hashlib.sha256()
    for name, weights in policy.state_dict().items():
        digest.update(name.encode() + weights.detach().cpu().numpy().tobytes())
    return {"task": task_name, "policy": digest.hexdigest(), "config": asdict(config)}


def write_checkpoint(path: Path, recipe: dict[str, Any], state: dict[str, Any]) -> None:
    """Write the state of a training, whole or not at all.

    Args:
        path: of the file.
        recipe: what training it is.
        state: tensors, numbers, strings, and lists and dicts of them.

    Raises:
        OutputError: it cannot be written.
    """
    write_file(path, to_bytes({"version": VERSION, "recipe": recipe, "state": state}))


def read_checkpoint(path: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    """State of a training that was interrupted. Nothing in the file is executed.

    Raises:
        TaskError: the file is damaged, or of another training.
    """
    remedy = "remove it to begin anew, or give another --out"
    try:
        found = from_bytes(read_input(path, MAX_BYTES))
    except (OSError, ValueError):
        raise TaskError(f"{path}: not a whole checkpoint; {remedy}") from None
    if not isinstance(found, dict) or found.get("version") != VERSION or found.keys() != {"version", "recipe", "state"}:
        raise TaskError(f"{path}: not a checkpoint of this version; {remedy}")
    for field, wanted in recipe.items():
        if found["recipe"].get(field) != wanted:
            raise TaskError(f"{path}: another training's checkpoint ({field} differs); {remedy}")
    return found["state"]
