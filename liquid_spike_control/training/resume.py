# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: a training that was killed goes on where it was, to the same weights."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from ..checkpoint import replace_file
from ..errors import TaskError

#: Checkpoints of other versions are refused.
VERSION = 1


def write_checkpoint(path: Path, recipe: dict[str, Any], state: dict[str, Any]) -> None:
    """Write the state of a training, whole or not at all.

    Args:
        path: of the file.
        recipe: what training it is.
        state: tensors, numbers, strings, and lists and dicts of them.

    Raises:
        ModelError: it cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"version": VERSION, "recipe": recipe, "state": state}, buffer)
    replace_file(path, buffer.getvalue())


def read_checkpoint(path: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    """State of a training that was interrupted. Nothing in the file is executed.

    Raises:
        TaskError: the file is damaged, or of another training.
    """
    remedy = "remove it to begin anew, or give another --out"
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        raise TaskError(f"{path}: not a whole checkpoint; {remedy}") from None
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise TaskError(f"{path}: not a checkpoint of this version; {remedy}")
    for field, wanted in recipe.items():
        if found["recipe"].get(field) != wanted:
            raise TaskError(f"{path}: another training's checkpoint ({field} differs); {remedy}")
    return found["state"]
