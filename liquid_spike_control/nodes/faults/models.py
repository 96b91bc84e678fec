# SPDX-License-Identifier: Apache-2.0
"""Faults of models: files that do not fit, and backends that do not agree."""

from __future__ import annotations

import numpy as np

from ...errors import WorkerError
from ...neuromorphic.backend import Backend
from ...neuromorphic.emulator.loihi import LoihiEmulator
from ...neuromorphic.emulator.loihi2 import Loihi2Emulator
from ...neuromorphic.integers.random_network import SCOPES, random_case
from ...neuromorphic.model import of_perception
from ...neuromorphic.workers.backend import new_worker
from ...resources import shipped_model
from ...spiking.nir_io import read_perception_model
from ...types import SpikeTrain
from .measurement import Measurement

#: Input spikes of an axon and step.
RATE = 0.01
STEPS = 10_000
SEED = 3


def backend_parity(thorough: bool = False) -> list[Measurement]:
    """The shipped perception for 10^4 steps on both engines of our own; if thorough, a random network on the simulators
    of others too, where they are installed.
    """
    network = of_perception(read_perception_model(shipped_model("pencil/perception.nir"))).network()
    spikes = _chance(network.n_inputs)
    found = [_compared("perception on", "general emulator", LoihiEmulator(network), Loihi2Emulator(network), spikes)]
    for kind, scope in SCOPES.items() if thorough else ():
        network, _ = random_case(scope, SEED)
        try:
            worker = new_worker(kind, network)
        except WorkerError:
            continue  # not installed
        with worker:
            spikes = _chance(network.n_inputs)
            found.append(_compared("random network on", kind, LoihiEmulator(network), worker, spikes))
    return found


def _chance(n_inputs: int) -> SpikeTrain:
    return SpikeTrain.from_dense(np.random.default_rng(SEED).random((STEPS, n_inputs)) < RATE)


def _compared(what: str, name: str, ours: Backend, other: Backend, spikes: SpikeTrain) -> Measurement:
    a, b = ours.run(spikes), other.run(spikes)
    differ = sum(a.step(k).tobytes() != b.step(k).tobytes() for k in range(STEPS))
    return Measurement(f"{what} {name}", "identical spikes", differ, 0, f"of {STEPS} steps, {len(a.ids)} spikes")
