# SPDX-License-Identifier: Apache-2.0
"""Closed-loop episodes and their figures."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..loop import Loop
from ..neuromorphic.backend import BackendStats


@dataclass(frozen=True, slots=True)
class EpisodeFigures:
    """What one episode came to.

    Attributes:
        seed: of the episode.
        success: the pole stood, and the cart was on the rail, to the end.
        balanced_s: how long it stood [s].
        angle_square, rate_square: mean squared error of the estimate [rad^2], [rad^2/s^2].
        tilt_square: mean square of the true angle [rad^2].
        n_events: events of the camera.
        stats: work of the backend, or None where there is none.
        latencies_us: sensing to command of each tick, in process [us].
        wall_s: time that the episode took, rendering included [s].
    """

    seed: int
    success: bool
    balanced_s: float
    angle_square: float
    rate_square: float
    tilt_square: float
    n_events: int
    stats: BackendStats | None
    latencies_us: np.ndarray
    wall_s: float


def run_episode(loop: Loop, seed: int) -> EpisodeFigures:
    """Run one episode of the loop's task to its end or until the pole falls."""
    world = loop.world
    task = world.task
    errors, truths, latencies = [], [], []
    n_events = 0
    begin = time.perf_counter()
    loop.reset(seed)
    while not task.over:
        truth = world.truth
        n_events += sum(len(events) for events in loop.sensing.events)
        before = time.perf_counter()
        decision = loop.decide(loop.sensing)
        latencies.append(time.perf_counter() - before)
        errors.append(decision.estimate.values - truth)
        truths.append(truth)
        loop.advance(decision)
    wall = time.perf_counter() - begin
    square = (np.array(errors) ** 2).mean(0)
    backend = getattr(loop.estimator, "backend", None)
    return EpisodeFigures(
        seed=seed, success=task.success, balanced_s=task.elapsed_s,
        angle_square=square[0], rate_square=square[1], tilt_square=(np.array(truths)[:, 0] ** 2).mean(),
        n_events=n_events, stats=backend.stats() if backend else None, latencies_us=np.array(latencies) * 1e6,
        wall_s=wall,
    )  # fmt: skip


def wilson_interval(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a success rate (Wilson, 1927)."""
    centre = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(successes * (n - successes) / n + z * z / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def summarise(episodes: Sequence[EpisodeFigures]) -> dict[str, float | int | list[int] | list[float] | None]:
    """Figures over several episodes, weighted by their length; latencies are percentiles over all ticks."""
    seconds = np.array([e.balanced_s for e in episodes])
    total = max(float(seconds.sum()), 1e-9)

    def rms(name: str) -> float:
        return math.sqrt(sum(getattr(e, name) * e.balanced_s for e in episodes) / total)

    latencies = np.concatenate([e.latencies_us for e in episodes])
    successes = sum(e.success for e in episodes)
    figures: dict = {
        "episodes": len(episodes),
        "success_rate": successes / len(episodes),
        "success_interval_95": list(wilson_interval(successes, len(episodes))),
        "failed_seeds": [e.seed for e in episodes if not e.success],
        "balanced_s_mean": float(seconds.mean()),
        "angle_rmse_deg": math.degrees(rms("angle_square")),
        "rate_rmse_rad_s": rms("rate_square"),
        "tilt_rms_deg": math.degrees(rms("tilt_square")),
        "events_per_s": sum(e.n_events for e in episodes) / total,
        "latency_p50_us": float(np.percentile(latencies, 50)),
        "latency_p99_us": float(np.percentile(latencies, 99)),
        "real_time_factor": total / sum(e.wall_s for e in episodes),
    }
    stats = [e.stats for e in episodes if e.stats is not None]
    for name in ("input_spikes", "spikes", "synaptic_operations", "neuron_updates"):
        count = sum(getattr(s, name) for s in stats)
        figures[f"{name}_per_s"] = count / total if stats else None
    return figures
