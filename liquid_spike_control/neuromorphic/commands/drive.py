# SPDX-License-Identifier: Apache-2.0
"""Runs a backend through a spike train, piece by piece with a bar, or step by step with a clock."""

from __future__ import annotations

import time

import numpy as np
from rich.console import Console
from rich.progress import Progress

from ...types import SpikeTrain
from ..backend import Backend

#: A bar appears when the work has taken so long [s].
PATIENCE_S = 2.0
_PIECES = 100
#: How long single steps are timed [s].
_TIMING_S = 0.5


def drive(backend: Backend, spikes: SpikeTrain, console: Console) -> tuple[dict[str, SpikeTrain], float]:
    """Run all steps.

    Args:
        backend: one with ``run_all`` tells of every population.
        spikes: of the input axons.
        console: where the bar goes.

    Returns:
        Spikes of every population by name, or of ``"output"`` only; and the time of it [s].
    """
    parts: dict[str, list[SpikeTrain]] = {}
    began = time.monotonic()
    run_all = getattr(backend, "run_all", None)
    edges = np.unique(np.linspace(0, spikes.n_steps, _PIECES + 1).astype(np.int64))
    with Progress(console=console, transient=True, disable=True) as progress:
        bar = progress.add_task("running", total=spikes.n_steps)
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            indptr = spikes.indptr[first : last + 1]
            piece = SpikeTrain(indptr - indptr[0], spikes.ids[indptr[0] : indptr[-1]])
            out = run_all(piece) if run_all else {"output": backend.run(piece)}
            for name, train in out.items():
                parts.setdefault(name, []).append(train)
            if progress.disable and console.is_terminal and time.monotonic() - began > PATIENCE_S:
                progress.disable = False
                progress.start()
            progress.update(bar, completed=int(last))
    return {name: _join(trains) for name, trains in parts.items()}, time.monotonic() - began


def step_times(backend: Backend, spikes: SpikeTrain) -> tuple[float, float]:
    """Median and 99th percentile of what one step takes when each is a call of its own, as in a control loop [us].

    The backend is reset before; the first steps of the input are used, as many as half a second holds.
    """
    backend.reset()
    backend.step(spikes.step(0))
    times: list[int] = []
    end = time.monotonic() + _TIMING_S
    for k in range(spikes.n_steps):
        ids = spikes.step(k)
        began = time.perf_counter_ns()
        backend.step(ids)
        times.append(time.perf_counter_ns() - began)
        if time.monotonic() > end:
            break
    p50, p99 = np.percentile(times, (50, 99)) / 1e3
    return float(p50), float(p99)


def _join(trains: list[SpikeTrain]) -> SpikeTrain:
    counts = np.concatenate([np.diff(t.indptr) for t in trains])
    ids = np.concatenate([t.ids for t in trains])
    return SpikeTrain(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), ids.astype(np.int32))
