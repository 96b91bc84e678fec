# SPDX-License-Identifier: Apache-2.0
"""The same run in one process, without ROS, for comparison: ``liquid-spike run --in-process``."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import numpy as np

from ..assembly import new_loop
from ..errors import GraphError
from ..history import History, KeepingEstimator
from ..loop import Loop, SpikingEstimator
from ..view.attended import AttendedLoop
from ..view.pace import Pace
from .graph import STILL, GraphOptions
from .network import energy_text
from .progress import Progress
from .report import Report
from .scheduling import at_priority


def run(
    options: GraphOptions, progress: Progress, keep: bool, posed: bool = False, port: int | None = None,
    paced: bool = False,
) -> tuple[History, Report]:  # fmt: skip
    """Run an episode to its end, as fast as it goes or at the pace of the wall clock.

    Args:
        options: the mode and where the network runs play no part; the priority holds at the pace of the wall clock.
        progress: is shown the history.
        keep: also keep events and output spikes, for a plot or a video.
        posed: also keep poses, for a video.
        port: of a page that shows the run, at the pace of the wall clock; None for none, 0 for any that is free.
        paced: keep that pace without a page, too.

    Raises:
        LiquidSpikeError: a model does not fit, there is no off-screen GL, or the priority is not permitted.
    """
    progress.message("loading the models (the first time kernels are compiled, a minute)")
    robot = options.description
    history = History(robot)
    loop = new_loop(
        robot, perception=options.model("perception"), controller=options.model("controller"),
        duration_s=options.duration_s, expert=options.expert, rewards=options.rewards, **options.settings,
    )  # fmt: skip
    learner: Any = loop.controller if getattr(loop.controller, "adaptation", None) is not None else None
    if options.learnt is not None and learner is None:
        loop.world.close()
        raise GraphError(f"--learnt {options.learnt}: {STILL}")
    spiking = loop.estimator if isinstance(loop.estimator, SpikingEstimator) else None
    if keep and spiking is not None:
        loop.estimator = KeepingEstimator(spiking, history)
    with ExitStack() as closing:
        world = closing.enter_context(loop.world)
        task = world.task
        loop.reset(options.seed)
        if learner is not None:
            first = learner.state
        loop.tick()  # the kernels
        if learner is not None:
            learner.state = first  # nothing was learnt yet
        loop.reset(options.seed)
        history.spikes.clear()
        attended = closing.enter_context(_attended(loop, options, port)) if port is not None else None
        pace = attended.pace if attended is not None else Pace(robot.period_s) if paced else None
        closing.enter_context(at_priority(options.priority if pace is not None else 0))
        latency, simulated = [], []
        n_events, reward = 0, 0.0
        began = time.perf_counter()
        while not world.over:
            sensing, truth = loop.sensing, world.truth
            if posed:
                history.poses[sensing.stamp_ns] = task.pose()
            start = time.perf_counter_ns()
            decision = loop.decide(sensing)
            decided = time.perf_counter_ns()
            if attended is not None:
                attended.show(sensing, truth, decision, decided - start)
            elif pace is not None:
                pace.rest(sensing.stamp_ns * 1e-9)
            if pace is not None:
                decided, start = time.perf_counter_ns(), time.perf_counter_ns() - (decided - start)
            loop.advance(decision)
            latency.append(decided - start)
            simulated.append(time.perf_counter_ns() - decided)
            reward += task.reward
            history.add(sensing, truth, decision, events=keep)
            n_events += sum(map(len, sensing.events))
            progress.show(history, n_events / task.elapsed_s)
        if attended is not None:
            attended.end(robot.success if task.success else robot.failure)
        wall, elapsed = time.perf_counter() - began, task.elapsed_s
        stats = spiking.backend.stats() if spiking else None
        report = Report.of(
            options, history, "in one process", success=task.success, elapsed_s=elapsed, duration_s=task.duration_s,
            reward=reward, wall_s=wall, events_per_s=n_events / elapsed,
            spikes_per_s=stats.spikes / elapsed if stats else 0.0,
            synaptic_operations_per_s=stats.synaptic_operations / elapsed if stats else 0.0,
            energy=energy_text(stats, spiking.perception.step_ns) if stats and spiking else "",
            latencies_us={"sensing to command": _percentiles(latency), "simulate": _percentiles(simulated)},
            deadline_misses=None if pace is None else pace.missed,
            learning=_account(learner, options),
        )  # fmt: skip
    return history, report


def _account(learner: Any, options: GraphOptions) -> dict[str, str]:
    """How learning stands; keeps what was learnt where that is asked for."""
    if learner is None:
        return {}
    account = {name: str(value) for name, value in learner.account().items()}
    if options.learnt is not None:
        from ..control.learnt_weights import kept

        account |= kept(options.learnt, learner.adaptation)
    return account


def _attended(loop: Loop, options: GraphOptions, port: int) -> AttendedLoop:
    given = options.perception_model
    return AttendedLoop(loop, options.seed, options.duration_s, options.settings, given, port)


def _percentiles(durations_ns: list[int]) -> tuple[float, float]:
    p50, p99 = np.percentile(durations_ns, (50, 99)) / 1e3
    return float(p50), float(p99)
