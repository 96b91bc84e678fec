# SPDX-License-Identifier: Apache-2.0
"""Runs a backend through a spike train, piece by piece with a bar, or step by step with a clock."""

from __future__ import annotations

import time

import numpy as np
from rich.progress import Progress

from ...terminal import Console
from ...types import SpikeTrain
from ..backend import Backend
from ..emulator.graded import GradedTrain

Train = SpikeTrain | GradedTrain

#: A bar appears when the work has taken so long [s].
BAR_AFTER_S = 2.0
_PIECES = 100
#: How long single steps are timed [s].
_TIMING_S = 0.5


def drive(backend: Backend, spikes: Train, console: Console) -> tuple[dict[str, Train], float]:
    """Run all steps.

    Args:
        backend: one with ``run_all`` returns the spikes of every population.
        spikes: of the input axons; with payloads only for an emulator that knows them.
        console: where the bar goes.

    Returns:
        Spikes of every population by name, or of ``"output"`` only; and the time of it [s].
    """
    parts: dict[str, list[Train]] = {}
    began = time.monotonic()
    run_all = getattr(backend, "run_all", None)
    edges = np.unique(np.linspace(0, spikes.n_steps, _PIECES + 1).astype(np.int64))
    with Progress(console=console, transient=True, disable=True) as progress:
        bar = progress.add_task("running", total=spikes.n_steps)
        for first, last in zip(edges[:-1], edges[1:], strict=True):
            piece = _piece(spikes, int(first), int(last))
            out = run_all(piece) if run_all else {"output": backend.run(without_payloads(piece))}
            for name, train in out.items():
                parts.setdefault(name, []).append(train)
            if progress.disable and console.is_terminal and time.monotonic() - began > BAR_AFTER_S:
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


def without_payloads(train: Train) -> SpikeTrain:
    """When, not how much."""
    return train.spikes if isinstance(train, GradedTrain) else train


def _piece(train: Train, first: int, last: int) -> Train:
    indptr = train.indptr[first : last + 1]
    mine = slice(indptr[0], indptr[-1])
    if isinstance(train, GradedTrain):
        return GradedTrain(indptr - indptr[0], train.ids[mine], train.payloads[mine])
    return SpikeTrain(indptr - indptr[0], train.ids[mine])


def _join(trains: list[Train]) -> Train:
    counts = np.concatenate([np.diff(t.indptr) for t in trains])
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    ids = np.concatenate([t.ids for t in trains]).astype(np.int32)
    payloads = [t.payloads for t in trains if isinstance(t, GradedTrain)]
    return GradedTrain(indptr, ids, np.concatenate(payloads)) if payloads else SpikeTrain(indptr, ids)
