# SPDX-License-Identifier: Apache-2.0
"""Faults of models: files that do not fit, and backends that do not agree."""

from __future__ import annotations

import numpy as np

from ...errors import WorkerError
from ...neuromorphic.loihi import LoihiEmulator
from ...neuromorphic.loihi2 import Loihi2Emulator
from ...neuromorphic.model import of_perception
from ...neuromorphic.workers.backend import new_worker
from ...resources import zoo
from ...spiking.nir_io import read_perception_model
from ...types import SpikeTrain
from .measurement import Measurement

#: Input spikes of an axon and step.
RATE = 0.01


def backend_parity(thorough: bool = False) -> list[Measurement]:
    """The shipped perception on two engines of our own for 10^4 steps, and on Intel's Lava where it is installed
    (500 steps, or 10^4 if thorough).
    """
    model = of_perception(read_perception_model(zoo("pencil_perception.nir")))
    network = model.network()
    steps = 10_000
    rng = np.random.default_rng(0)
    spikes = SpikeTrain.from_dense(rng.random((steps, network.n_inputs)) < RATE)
    expected = LoihiEmulator(network).run(spikes)
    found = [_compared("general emulator", expected, Loihi2Emulator(network).run(spikes))]
    try:
        worker = new_worker("lava", network)
    except WorkerError:
        return found
    with worker:
        n = steps if thorough else 500
        found.append(_compared("Intel's Lava", _head(expected, n), worker.run(_head(spikes, n))))
    return found


def _head(spikes: SpikeTrain, n_steps: int) -> SpikeTrain:
    return SpikeTrain(spikes.indptr[: n_steps + 1], spikes.ids[: spikes.indptr[n_steps]])


def _compared(name: str, expected: SpikeTrain, found: SpikeTrain) -> Measurement:
    differ = sum(
        expected.step(k).tobytes() != found.step(k).tobytes() for k in range(min(expected.n_steps, found.n_steps))
    ) + abs(expected.n_steps - found.n_steps)
    of = f"of {expected.n_steps} steps, {len(expected.ids)} spikes"
    return Measurement(f"the same spikes on {name}", "identical output spikes", differ, 0, of)
