# SPDX-License-Identifier: Apache-2.0
"""Keeps what a controller has learnt in a file of its own, and lets another one begin with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ModelError
from ..neuromorphic.files.compiled import read_network, write_network
from ..neuromorphic.integers.network import LoihiNetwork
from ..neuromorphic.integers.synapses import Dense
from .adaptation import SpikingAdaptation
from .learning_network import LearningNetwork

#: Of the hash of what was learnt, so many digits are given.
HASH_DIGITS = 16


def save_learnt(path: Path, learner: SpikingAdaptation) -> str:
    """Keep what was learnt; a controller file with ``weights`` and ``weights_hash`` begins with it.

    Returns:
        The hash, 16 hex digits.

    Raises:
        OutputError: the file cannot be written.
    """
    step_s = learner.description.period_s / learner.description.steps
    return write_network(path, learner.network, {"step_s": step_s})[:HASH_DIGITS]


def kept(path: Path, learner: SpikingAdaptation) -> dict[str, str]:
    """Keep what was learnt; the file and its hash, as diagnostics and reports name them.

    Raises:
        OutputError: the file cannot be written.
    """
    return {"learnt_file": str(path), "learnt_hash": save_learnt(path, learner)}


def learnt_weights(path: Path, description: LearningNetwork, wanted: str) -> np.ndarray:
    """Weights that were learnt and saved, int64 ``(n_outputs, n_sources)``.

    Args:
        path: that :func:`save_learnt` wrote.
        description: of the network that goes on with them.
        wanted: the hash of what was learnt, so that the controller file says what it begins with.

    Raises:
        ModelError: the file is missing, damaged, or holds other weights, or weights of another network.
    """
    read = read_network(path)
    network, found = read.network, read.hash[:HASH_DIGITS]
    if wanted != found:
        remedy = f"{path} has {found}: give that, or another file"
        raise ModelError(f"{description.source}: {description.entry}.weights_hash: '{wanted}'; {remedy}")
    learnt = [c for c in network.connections if isinstance(c, Dense) and c.learning is not None]
    if len(learnt) == 1:
        empty = [
            Dense(c.source, c.target, np.zeros_like(c.weights), learning=c.learning) if c is learnt[0] else c
            for c in network.connections
        ]
        bare = LoihiNetwork(network.n_inputs, network.populations, empty, network.outputs)
        if bare.hash == description.network().hash:
            return np.asarray(learnt[0].weights, np.int64)
    raise ModelError(
        f"{path}: weights: they were learnt by another network than that of {description.source}; give the same"
        " neurons, inputs, rate and seed, or let it learn anew"
    )
