# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike neuromorphic run``: spikes in, spikes out, rates and work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from ...errors import TaskError
from ...outputs import write_json
from ...terminal import Console
from ...types import SpikeTrain
from ..backend import BackendStats
from ..emulator.engine import emulate
from ..emulator.graded import GradedTrain
from ..files.spike_files import check_spikes, read_payloads, write_spikes
from ..model import SpikingModel, new_backend
from .drive import Train, drive, step_times
from .given import Output, given_model, given_spikes, step_of

if TYPE_CHECKING:
    from ...options import EmulateOptions


def run_command(options: EmulateOptions) -> int:
    """Run the network on the spikes and report its activity."""
    model = given_model(options)
    if options.backend != "float" and model.compiled is None:
        network, quantisation = model.quantised()
        model = replace(model, compiled=network, notes=(*model.notes, *quantisation.notes))
    spikes, what = _given(options, model)
    graded = isinstance(spikes, GradedTrain)
    logs, dt = Console(stderr=True), step_of(model)
    silence = SpikeTrain(np.zeros(2, np.int64), np.empty(0, np.int32))
    with emulate(model.network(), True) if graded else new_backend(model, options.backend) as backend:
        if options.out is not None:
            check_spikes(options.out, spikes.n_steps, backend.n_outputs)
        with logs.status("loading the network (the first time kernels are compiled, a minute)"):
            backend.run(silence)
            backend.reset()
        trains, seconds = drive(backend, spikes, logs)
        stats = backend.stats()
        alone = None if isinstance(spikes, GradedTrain) else step_times(backend, spikes)
    sizes = _sizes(model, trains, backend.n_outputs)
    outputs = _outputs(model, trains)
    table = _table(what, spikes, outputs, stats, seconds, alone, dt)
    Output().show(f"{model.source} on {options.backend}", table, _rates(trains, sizes, dt), *model.notes)
    if options.out is not None:
        write_spikes(options.out, outputs, backend.n_outputs, dt)
    if options.plot is not None:
        from .raster import plot

        n_traces = 0 if graded else options.traces
        plot(model, options.backend, spikes, trains, sizes, dt, n_traces, options.plot)
    rates = {name: len(t.ids) / (sizes[name] * t.n_steps * dt) for name, t in trains.items()}
    numbers = {
        "model": model.source, "hash": model.hash, "backend": options.backend, "input": what, "dt_s": dt,
        "wall_s": seconds, "step_us_p50_p99": alone,
        "output_spikes": len(outputs.ids), "rate_hz": rates, **asdict(stats),
    }  # fmt: skip
    write_json(options.json, numbers)
    return 0


def _given(options: EmulateOptions, model: SpikingModel) -> tuple[Train, str]:
    """Return the input: spikes, or numbers as payloads."""
    if options.payloads is None:
        return given_spikes(options, model)
    if options.spikes is not None or options.backend != "loihi":
        raise TaskError("--payloads replaces --spikes, and runs on --backend loihi only; leave those out")
    return read_payloads(options.payloads, model.n_inputs), f"payloads, {options.payloads}"


def _populations(model: SpikingModel) -> Mapping:
    return model.graph.populations if model.graph is not None else model.network().populations


def _sizes(model: SpikingModel, trains: Mapping[str, Train], n_outputs: int) -> dict[str, int]:
    known = _populations(model)
    return {name: known[name].n if name in known else n_outputs for name in trains}


def _outputs(model: SpikingModel, trains: Mapping[str, Train]) -> Train:
    """Spikes of the output populations, numbered one population after the other."""
    populations = _populations(model)
    if "output" in trains and "output" not in populations:
        return trains["output"]
    parts, first = [], 0
    for name in (model.graph or model.network()).outputs:
        train = trains[name]
        payloads = train.payloads if isinstance(train, GradedTrain) else np.ones(len(train.ids), np.int32)
        parts.append((np.repeat(np.arange(train.n_steps), np.diff(train.indptr)), train.ids + first, payloads))
        first += populations[name].n
    steps, ids, payloads = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((ids, steps))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(steps, minlength=train.n_steps))]).astype(np.int64)
    ids = ids[order].astype(np.int32)
    graded = isinstance(train, GradedTrain)
    return GradedTrain(indptr, ids, payloads[order]) if graded else SpikeTrain(indptr, ids)


def _table(
    what: str,
    spikes: Train,
    outputs: Train,
    stats: BackendStats,
    seconds: float,
    alone: tuple[float, float] | None,
    dt: float,
) -> Table:
    n = stats.steps
    table = Table(show_header=False)
    table.add_row("input", what)
    table.add_row("steps", f"{n} of {dt * 1e3:g} ms: {n * dt:g} s")
    table.add_row("input spikes", f"{len(spikes.ids)}")
    table.add_row("output spikes", f"{len(outputs.ids)}")
    table.add_row("synaptic operations", f"{stats.synaptic_operations} ({stats.synaptic_operations / n:.1f} a step)")
    active = stats.neuron_updates / max(stats.neuron_steps, 1)
    table.add_row("neuron updates", f"{stats.neuron_updates} ({100 * active:.1f} % of neurons and steps)")
    table.add_row("time", f"{seconds:.3g} s, {seconds / n * 1e6:.3g} us a step")
    if alone is not None:
        table.add_row("time of a step alone", f"p50 {alone[0]:.3g} us, p99 {alone[1]:.3g} us")
    return table


def _rates(trains: Mapping[str, Train], sizes: Mapping[str, int], dt: float) -> Table:
    table = Table("population", "neurons", "spikes", "mean rate [Hz]", "highest [Hz]", "silent neurons")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, train in trains.items():
        counts = np.bincount(train.ids, minlength=sizes[name])
        rates = counts / (train.n_steps * dt)
        silent = f"{100 * (counts == 0).mean():.0f} %"
        table.add_row(
            name, str(sizes[name]), str(len(train.ids)), f"{rates.mean():.3g}", f"{rates.max():.3g}", silent
        )
    return table
