# SPDX-License-Identifier: Apache-2.0
"""Random networks on the emulator and on another simulator: spikes, currents and voltages must be the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import ModelError
from ..terminal import Console
from ..types import SpikeTrain
from .emulator.loihi import LoihiEmulator, Probe
from .files.compiled import write_network
from .files.spike_files import write_spikes
from .integers.network import INPUT, LoihiNetwork
from .integers.random_network import SCOPES, random_case
from .workers.backend import WorkerBackend
from .workers.oracles import Kind

#: Runs of both simulators that making a mismatch smaller may take.
_TRIALS = 24


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first difference in one network, and how to see it again.

    Attributes:
        population, quantity, step, neuron: where; the quantity is ``u``, ``v``, ``spikes`` or ``run`` (spikes of
            the compiled run, where those of single steps agree).
        ours, theirs: values there.
        seed: of :func:`~.random_network.random_case`.
        network, spikes: files with the case, made smaller; None before they are written.
    """

    population: str
    quantity: str
    step: int
    neuron: int
    ours: int
    theirs: int
    seed: int
    network: Path | None = None
    spikes: Path | None = None


@dataclass(frozen=True, slots=True)
class FuzzReport:
    """Results of a comparison.

    Attributes:
        kind, versions: of the other simulator.
        networks: how many.
        neuron_steps: neurons times steps, of all networks; each is a current, a voltage and a spike.
        spikes: how many of those spiked.
        mismatch: the first; None if there was none.
    """

    kind: Kind
    versions: dict[str, str]
    networks: int
    neuron_steps: int
    spikes: int
    mismatch: Mismatch | None


def fuzz(kind: Kind, neuron_steps: int, seed: int, console: Console, folder: Path = Path()) -> FuzzReport:
    """Compare random networks until so many neuron-steps agree, or one does not.

    Args:
        kind: the other simulator.
        neuron_steps: neurons times steps.
        seed: of the first network; the next ones count up. The same seed gives the same networks.
        console: for the progress bar.
        folder: where a mismatch is written, as a compiled network and input spikes.

    Raises:
        WorkerError: the simulator is not installed, or has failed.
    """
    networks = done = spikes = 0
    versions: dict[str, str] = {}
    mismatch = None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(f"neuron-steps, {kind}", total=neuron_steps)
        while done < neuron_steps and mismatch is None:
            network, train = random_case(SCOPES[kind], seed + networks)
            theirs, versions = _run(kind, network, train)
            mismatch = compare(network, train, theirs, seed + networks)
            networks += 1
            done += network.n_neurons * train.n_steps
            spikes += sum(int(p.spikes.sum()) for p in theirs.values())
            progress.update(bar, completed=min(done, neuron_steps))
        if mismatch is not None:
            progress.update(bar, description="making the mismatch smaller")
            mismatch = _write(*_smaller(kind, network, train, mismatch), kind, folder)
    return FuzzReport(kind, versions, networks, done, spikes, mismatch)


def print_report(report: FuzzReport, console: Console) -> None:
    """Two lines, or where the mismatch is and the files that show it."""
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    console.print(
        f"{report.networks} random networks, {report.neuron_steps:,} neuron-steps, {report.spikes:,} spikes against"
        f" {versions}"
    )
    m = report.mismatch
    if m is None:
        console.print("no mismatch in currents, voltages and spikes")
        return
    console.print(
        f"mismatch (seed {m.seed}): {m.quantity} of neuron {m.neuron} of {m.population} in step {m.step} is {m.ours},"
        f" {report.kind} has {m.theirs}\n{m.network}: the network, made smaller\n{m.spikes}: its input"
    )


def compare(
    network: LoihiNetwork, train: SpikeTrain, theirs: dict[str, Probe], seed: int = 0
) -> Mismatch | None:
    """The first difference of the emulator from what another simulator did, by step; None if there is none."""
    ours, together = LoihiEmulator(network).probe(train), LoihiEmulator(network).run_all(train)
    first = None
    for name, their in theirs.items():
        own = ours[name]
        run = together[name].to_dense(network.size(name))
        for quantity, a, b in (
            ("u", own.u, their.u),
            ("v", own.v, their.v),
            ("spikes", own.spikes, their.spikes),
            ("run", run, their.spikes),
        ):
            different = np.argwhere(a != b)
            if len(different) and (first is None or different[0][0] < first.step):
                k, i = (int(x) for x in different[0])
                first = Mismatch(name, quantity, k, i, int(a[k, i]), int(b[k, i]), seed)
    return first


def _run(kind: Kind, network: LoihiNetwork, train: SpikeTrain) -> tuple[dict[str, Probe], dict[str, str]]:
    with WorkerBackend(kind, network) as worker:
        return worker.probe(train), worker.versions


def _smaller(
    kind: Kind, network: LoihiNetwork, train: SpikeTrain, mismatch: Mismatch
) -> tuple[LoihiNetwork, SpikeTrain, Mismatch]:
    """The same mismatch, or another, with less of everything: steps, populations, connections, input."""
    tried = 0
    progress = True
    while progress and tried < _TRIALS:
        progress = False
        for less, fewer in _simplifications(network, train, mismatch):
            tried += 1
            try:
                found = compare(less, fewer, _run(kind, less, fewer)[0], mismatch.seed)
            except ModelError:  # a piece is left that this simulator cannot run alone
                found = None
            if found is not None:
                network, train, mismatch, progress = less, fewer, found, True
                break
            if tried == _TRIALS:
                break
    return network, train, mismatch


def _simplifications(
    network: LoihiNetwork, train: SpikeTrain, mismatch: Mismatch
) -> Iterator[tuple[LoihiNetwork, SpikeTrain]]:
    if mismatch.step + 1 < train.n_steps:
        yield network, SpikeTrain.from_steps([train.step(k) for k in range(mismatch.step + 1)])
    for name in network.populations:
        populations = {m: p for m, p in network.populations.items() if m != name}
        connections = [c for c in network.connections if name not in (c.source, c.target)]
        if name != mismatch.population:
            yield LoihiNetwork(network.n_inputs, populations, connections), train
    for k in range(len(network.connections)):
        rest = [c for i, c in enumerate(network.connections) if i != k]
        if any(c.source == INPUT for c in rest):
            yield LoihiNetwork(network.n_inputs, network.populations, rest, network.outputs), train
    dense = train.to_dense(network.n_inputs)
    for half in (slice(0, None, 2), slice(1, None, 2)):
        if dense[:, half].any():
            quieter = dense.copy()
            quieter[:, half] = False
            yield network, SpikeTrain.from_dense(quieter)


def _write(network: LoihiNetwork, train: SpikeTrain, mismatch: Mismatch, kind: Kind, folder: Path) -> Mismatch:
    stem = folder / f"mismatch_{kind}_{mismatch.seed}"
    files = stem.with_suffix(".safetensors"), stem.with_suffix(".npz")
    write_network(files[0], network, {"seed": mismatch.seed, "oracle": kind})
    write_spikes(files[1], train, network.n_inputs, 1e-3)
    return replace(mismatch, network=files[0], spikes=files[1])
