# SPDX-License-Identifier: Apache-2.0
"""Closed-loop episodes and their figures."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..estimate_lag import EstimateLag
from ..history import History, KeepingEstimator
from ..loop import Loop, SpikingEstimator
from ..neuromorphic.backend import BackendStats


@dataclass(frozen=True, slots=True)
class EpisodeFigures:
    """What one episode came to.

    Attributes:
        seed: of the episode.
        success: the task's own judgement.
        failed: it ended by a failure, rather than in time.
        distance_m: that was covered [m]; None where the task does not say.
        lasted_s: how long it lasted [s].
        reward: sum of the task's rewards.
        error_square: float64 ``(n,)``, mean squared error of each estimate, in its unit squared, against what it should
            be; see :mod:`..estimate_lag`.
        truth_square: float64 ``(n,)``, mean square of what each estimate should be.
        figures: the task's own, see :meth:`~..tasks.mujoco_task.MujocoTask.figures`.
        n_events: events of the cameras.
        stats: work of the backend, or None where there is none.
        latencies_us: sensing to command of each tick, in process [us].
        wall_s: time that the episode took, rendering included [s].
    """

    seed: int
    success: bool
    failed: bool
    distance_m: float | None
    lasted_s: float
    reward: float
    error_square: np.ndarray
    truth_square: np.ndarray
    figures: dict[str, float | bool]
    n_events: int
    stats: BackendStats | None
    latencies_us: np.ndarray
    wall_s: float


def run_episode(loop: Loop, seed: int, history: History | None = None) -> EpisodeFigures:
    """Run one episode of the loop's task to its end.

    Args:
        loop: what runs.
        seed: of the episode.
        history: is given what a video needs; the figures are then those of the same episode, but for the latencies.
    """
    if history is not None and isinstance(loop.estimator, SpikingEstimator):
        keeping = KeepingEstimator(loop.estimator, history)
        loop = Loop(loop.world, keeping, loop.controller, loop.limits, loop.judge)
    world = loop.world
    task = world.task
    lag = EstimateLag(world.robot)
    errors, truths, latencies = [], [], []
    n_events, reward = 0, 0.0
    begin = time.perf_counter()
    loop.reset(seed)
    while not task.over:
        sensing, truth = loop.sensing, world.truth
        goal = lag.step(truth)
        if history is not None:
            history.poses[sensing.stamp_ns] = task.pose()
        n_events += sum(len(events) for events in loop.sensing.events)
        before = time.perf_counter()
        decision = loop.decide(loop.sensing)
        latencies.append(time.perf_counter() - before)
        errors.append(decision.estimate.values - goal)
        truths.append(goal)
        if history is not None:
            history.add(sensing, truth, decision, events=True)
        loop.advance(decision)
        reward += task.reward
    wall = time.perf_counter() - begin
    backend = getattr(loop.estimator, "backend", None)
    return EpisodeFigures(
        seed=seed, success=task.success, failed=task.failed, distance_m=task.covered_m, lasted_s=task.elapsed_s,
        reward=reward,
        error_square=(np.array(errors) ** 2).mean(0), truth_square=(np.array(truths) ** 2).mean(0),
        figures=task.figures(), n_events=n_events, stats=backend.stats() if backend else None,
        latencies_us=np.array(latencies) * 1e6, wall_s=wall,
    )  # fmt: skip


def _summarised(figures: Sequence[Mapping[str, float | bool]]) -> dict[str, dict[str, float]]:
    """Of each of a task's own figures the share of episodes, if it is true or false, or median and 95th percentile."""
    found = {}
    for name in dict.fromkeys(name for f in figures for name in f):
        values = [f[name] for f in figures if name in f]
        if isinstance(values[0], bool):
            found[name] = {"share": float(np.mean(values))}
        else:
            found[name] = {"median": float(np.median(values)), "p95": float(np.percentile(values, 95))}
    return found


def wilson_interval(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a success rate (Wilson, 1927)."""
    centre = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(successes * (n - successes) / n + z * z / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def summarise(episodes: Sequence[EpisodeFigures], estimates: Sequence[str] = ()) -> dict[str, Any]:
    """Figures over several episodes, weighted by their length; latencies are percentiles over all ticks.

    Args:
        episodes: at least one.
        estimates: names of the robot's estimates.
    """
    seconds = np.array([e.lasted_s for e in episodes])
    total = max(float(seconds.sum()), 1e-9)

    def rms(name: str) -> dict[str, float]:
        squares = sum(getattr(e, name) * e.lasted_s for e in episodes) / total
        return dict(zip(estimates, np.sqrt(squares).tolist(), strict=True))

    latencies = np.concatenate([e.latencies_us for e in episodes])
    successes = sum(e.success for e in episodes)
    distances = [e.distance_m for e in episodes if e.distance_m is not None]
    km = sum(distances) * 1e-3 if distances else None
    failures = sum(e.failed for e in episodes)
    figures: dict[str, Any] = {
        "episodes": len(episodes),
        "success_rate": successes / len(episodes),
        "success_interval_95": list(wilson_interval(successes, len(episodes))),
        "failed_seeds": [e.seed for e in episodes if not e.success],
        "failures": failures,
        "distance_km": km,
        "failures_per_km": failures / km if km else None,
        "lasted_s_mean": float(seconds.mean()),
        "reward_mean": float(np.mean([e.reward for e in episodes])),
        "figures": _summarised([e.figures for e in episodes]),
        "estimate_rmse": rms("error_square") if estimates else {},
        "truth_rms": rms("truth_square") if estimates else {},
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
