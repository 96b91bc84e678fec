# SPDX-License-Identifier: Apache-2.0
"""The same run in one process, without ROS, for comparison: ``liquid-spike run --in-process``."""

from __future__ import annotations

import time

import numpy as np

from ..assembly import pencil_limits, read_pencil_controller, read_pencil_perception
from ..loop import Loop, SpikingEstimator
from ..neuromorphic.model import of_perception
from ..perception import Perception
from ..robots.pencil.episodes import PencilTask, task_by_name
from ..sim.world import PencilSimulation, Sensing
from ..types import Quantities
from .graph import GraphOptions
from .network import energy_text, load_backend
from .progress import Progress
from .report import History, Report


class KeepingEstimator(SpikingEstimator):
    """A SpikingEstimator that keeps its output spikes for a plot."""

    def __init__(self, perception: Perception, backend, history: History) -> None:
        super().__init__(perception, backend)
        self._history = history

    def estimate(self, sensing: Sensing) -> Quantities:
        """Angle [rad] and rate [rad/s] at the sensing's stamp."""
        stamp = sensing.joints.stamp_ns
        spikes = self.backend.run(self.perception.encode(sensing.events, stamp))
        start_ns = stamp - spikes.n_steps * self.perception.step_ns
        steps = np.repeat(np.arange(spikes.n_steps), np.diff(spikes.indptr))
        self._history.spikes.append((start_ns, steps, spikes.ids))
        return self.perception.decode(spikes, stamp)


def task_of(options: GraphOptions) -> PencilTask:
    """The task with what the user changed."""
    changes = {"duration_s": options.duration_s}
    if options.push is not None:
        changes["push"] = options.push
    return task_by_name(options.task, **changes)


def run(options: GraphOptions, progress: Progress, keep: bool) -> tuple[History, Report]:
    """Run an episode to its end, as fast as it goes.

    Args:
        options: the mode and where the network runs play no part.
        progress: is shown the history.
        keep: also keep events and output spikes, for a plot.

    Raises:
        LiquidSpikeError: a model does not fit, or there is no off-screen GL.
    """
    task = task_of(options)
    model = read_pencil_perception(options.perception_model)
    controller = read_pencil_controller(options.controller_model, task)
    history = History()
    perception, backend = Perception(model), load_backend(of_perception(model))
    estimator = (
        KeepingEstimator(perception, backend, history) if keep else SpikingEstimator(perception, backend)
    )
    with PencilSimulation(task) as simulation:
        loop = Loop(simulation, estimator, controller, pencil_limits(controller.command_limits))
        loop.reset(options.seed)
        loop.tick()  # the kernels
        loop.reset(options.seed)
        history.spikes.clear()
        latency, simulated = [], []
        n_events = 0
        began = time.perf_counter()
        while not simulation.plant.fallen and simulation.plant.elapsed_s < options.duration_s - 1e-9:
            sensing, truth = loop.sensing, simulation.plant.truth
            start = time.perf_counter_ns()
            decision = loop.decide(sensing)
            decided = time.perf_counter_ns()
            loop.advance(decision)
            latency.append(decided - start)
            simulated.append(time.perf_counter_ns() - decided)
            stamp = sensing.joints.stamp_ns
            history.truth[stamp] = (*sensing.joints.values.tolist(), *truth.tolist())
            history.estimates[stamp] = tuple(decision.estimate.values.tolist())
            history.forces[stamp] = float(decision.force[0])
            n_events += len(sensing.events)
            if keep:
                history.events.append(sensing.events)
            progress.show(history, n_events / simulation.plant.elapsed_s)
        wall = time.perf_counter() - began
        stats, elapsed = backend.stats(), simulation.plant.elapsed_s
        report = Report.of(
            options, history, "in one process", balanced=not simulation.plant.fallen, elapsed_s=elapsed,
            wall_s=wall, events_per_s=n_events / elapsed, spikes_per_s=stats.spikes / elapsed,
            synaptic_operations_per_s=stats.synaptic_operations / elapsed,
            energy=energy_text(stats, perception.step_ns),
            latencies_us={"sensing to command": _percentiles(latency), "simulate": _percentiles(simulated)},
            deadline_misses=None,
        )  # fmt: skip
    return history, report


def _percentiles(durations_ns: list[int]) -> tuple[float, float]:
    p50, p99 = np.percentile(durations_ns, (50, 99)) / 1e3
    return float(p50), float(p99)
