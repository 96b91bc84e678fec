# SPDX-License-Identifier: Apache-2.0
"""Nested dicts, lists and tensors as the bytes of a safetensors file: checkpoints without pickle.

The tensors lie in the file under numbers; its metadata hold the tree as JSON, with every dict as a list of pairs
(an optimiser's keys are integers) and every tensor as its number.
"""

from __future__ import annotations

import json
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ..inputs import parse_json

_ENTRY = "tree"


def to_bytes(tree: Any) -> bytes:
    """A tree of dicts, lists, tuples, tensors, strings, numbers, booleans and None.

    Args:
        tree: keys of dicts are strings or integers. Tuples come back as lists.

    Raises:
        TypeError: there is something else in it.
    """
    tensors: dict[str, Tensor] = {}

    def plain(part: Any) -> Any:
        if isinstance(part, Tensor):
            name = str(len(tensors))
            # its own memory: safetensors refuses tensors that share some
            tensors[name] = part.detach().cpu().clone(memory_format=torch.contiguous_format)
            return {"tensor": name}
        if isinstance(part, dict):
            return {"pairs": [[key, plain(value)] for key, value in part.items()]}
        if isinstance(part, list | tuple):
            return [plain(value) for value in part]
        return part

    text = json.dumps(plain(tree))
    return safetensors.torch.save(tensors, {_ENTRY: text})


def from_bytes(data: bytes) -> Any:
    """The tree again; tensors are on the CPU.

    Raises:
        ValueError: the bytes are not those of a tree.
    """
    try:
        tensors = safetensors.torch.load(data)
        length = int.from_bytes(data[:8], "little")
        tree = parse_json(parse_json(data[8 : 8 + length])["__metadata__"][_ENTRY])
        return _grown(tree, tensors)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a tree of tensors: {' '.join(str(error).split())[:200]}") from None


def _grown(part: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(part, list):
        return [_grown(value, tensors) for value in part]
    if not isinstance(part, dict):
        return part
    if "tensor" in part:
        return tensors[part["tensor"]]
    return {key: _grown(value, tensors) for key, value in part["pairs"]}
