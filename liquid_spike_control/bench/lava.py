# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench lava``: one step of the emulator against one of Intel's Lava, fixed point, bit-exact alike.

Three networks: the convolutional one of ``bench snn``, one dense connection, and a sparse recurrent network. Both
run the same input in the same run of the benchmark, and their spikes are compared. Lava runs in its own interpreter
and stamps its steps there, so that neither its start nor the way to it counts. Lava puts each of its process models
in an operating-system process of its own, one thread each, which run side by side as far as there are cores; the
emulator runs in one thread.
"""

from __future__ import annotations

import os
import platform
import time

import numpy as np
from rich.table import Table

from .. import __version__
from ..neuromorphic.emulator.loihi import Dense, LoihiEmulator, LoihiNetwork, Population, Sparse
from ..neuromorphic.workers.backend import WorkerBackend
from ..terminal import Console
from ..types import SpikeTrain
from .snn_step import DECAYS, random_network

#: Fraction of the input axons that spike in a step.
INPUT_FRACTION = 0.01
#: How many times as long as ours a step of Lava must take.
GOALS = {"conv": 300, "dense": 100, "sparse": 100}
WARM_STEPS = 20


def dense_network(seed: int) -> LoihiNetwork:
    """1024 axons, all joined to 1024 neurons."""
    w = _even_weights(np.random.default_rng(seed), 4, (1024, 1024))
    return LoihiNetwork(1024, {"neurons": Population(1024, vth=2500, **DECAYS)}, [Dense("input", "neurons", w)])


def sparse_network(seed: int) -> LoihiNetwork:
    """10,240 neurons, each with 50 synapses from 10,240 axons and 50 from the others, more of them inhibitory."""
    rng, n = np.random.default_rng(seed), 10_240

    def synapses(source: str, fan_in: int, mean: float) -> Sparse:
        sources = np.concatenate([rng.choice(n, fan_in, replace=False) for _ in range(n)])
        targets = np.repeat(np.arange(n), fan_in)
        return Sparse(source, "neurons", (n, n), targets, sources, _even_weights(rng, mean, sources.shape))

    neurons = Population(n, vth=400, **DECAYS)
    return LoihiNetwork(n, {"neurons": neurons}, [synapses("input", 50, 4), synapses("neurons", 50, -2)])


NETWORKS = {"conv": random_network, "dense": dense_network, "sparse": sparse_network}


def _even_weights(rng: np.random.Generator, mean: float, shape: tuple[int, ...]) -> np.ndarray:
    return 2 * np.clip(np.round(rng.normal(mean, 20, shape)), -128, 127).astype(int)


def _figures(taken_us: np.ndarray) -> dict:
    return {"median_us": float(np.median(taken_us)), "p99_us": float(np.percentile(taken_us, 99))}


def _ours(network: LoihiNetwork, train: SpikeTrain) -> np.ndarray:
    """Duration of each call of ``step`` [us], after the warm-up."""
    emulator, taken = LoihiEmulator(network), []
    for k in range(train.n_steps):
        ids = train.step(k)
        start = time.perf_counter_ns()
        emulator.step(ids)
        taken.append((time.perf_counter_ns() - start) / 1e3)
    return np.array(taken[WARM_STEPS:])


def _case(name: str, n_steps: int, rounds: int) -> tuple[dict, dict]:
    """Figures of one network, and Lava's versions. Of several rounds the fastest of each counts."""
    network = NETWORKS[name](0)
    rng = np.random.default_rng(1)
    train = SpikeTrain.from_dense(rng.random((n_steps + WARM_STEPS, network.n_inputs)) < INPUT_FRACTION)
    emulator = LoihiEmulator(network)
    spikes = emulator.run_all(train)
    stats = emulator.stats()
    ours, theirs, same = [], [], True
    with WorkerBackend("lava", network, answer_timeout_s=300.0) as lava:
        versions = lava.versions
        for _ in range(rounds):
            ours.append(_figures(_ours(network, train)))
            lava.reset()
            trains = lava.run_all(train)
            same &= all(
                np.array_equal(trains[m].indptr, t.indptr) and np.array_equal(trains[m].ids, t.ids)
                for m, t in spikes.items()
            )
            theirs.append(_figures(np.diff(lava.stamps_ns)[WARM_STEPS:] / 1e3))
    best, peer = (min(figures, key=lambda f: f["median_us"]) for figures in (ours, theirs))
    result = {
        "network": name,
        "neurons": network.n_neurons,
        "hash": network.hash,
        "input_fraction": INPUT_FRACTION,
        "ours": best,
        "lava": peer,
        "lava_over_ours": peer["median_us"] / best["median_us"],
        "goal": GOALS[name],
        "same_spikes": same,
        "spike_rate": stats.spikes / stats.neuron_steps,
        "synaptic_operations_per_step": stats.synaptic_operations / stats.steps,
    }
    return result, versions


def run(
    console: Console, networks: tuple[str, ...] = tuple(NETWORKS), n_steps: int = 300, rounds: int = 3
) -> dict:
    """Time every network on both and return what is written as JSON.

    Raises:
        WorkerError: Lava is not installed, or has failed.
    """
    results: list[dict] = []
    versions: dict[str, str] = {}
    for name in networks:
        with console.status(f"timing {name}"):
            result, versions = _case(name, n_steps, rounds)
        results.append(result)
    return {
        "benchmark": "lava",
        "version": __version__,
        "lava": versions,
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "results": results,
    }


def print_table(report: dict, console: Console) -> None:
    """One row a network, with what the ratio should be."""
    versions = ", ".join(f"{name} {number}" for name, number in report["lava"].items())
    table = Table(title=f"one step, {100 * INPUT_FRACTION:g} % of the input; median (p99) us; {versions}")
    columns = ("network", "neurons", "spike rate", "synaptic ops", "ours", "lava", "ratio", "goal", "same spikes")
    for name in columns:
        table.add_column(name, justify="left" if name == "network" else "right")
    for r in report["results"]:
        table.add_row(
            r["network"],
            f"{r['neurons']}",
            f"{100 * r['spike_rate']:.1f} %",
            f"{r['synaptic_operations_per_step']:.0f}",
            *(f"{r[m]['median_us']:.1f} ({r[m]['p99_us']:.1f})" for m in ("ours", "lava")),
            f"{r['lava_over_ours']:.0f}x",
            f"{r['goal']}x{'' if r['lava_over_ours'] >= r['goal'] else ', missed'}",
            "yes" if r["same_spikes"] else "NO",
        )
    console.print(table)
