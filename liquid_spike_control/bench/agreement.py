# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench agreement``: what the integers of a robot's perception change, on its own events.

The robot drives by the emulator. The input spikes of the episode then run through the float64 network, too, and the
controller sees these other estimates beside the same readings: its commands differ by what the integers did. The loop
is not closed over the float network, where small differences would grow into other events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE
from rich.progress import Progress
from rich.table import Table

from .. import __version__
from ..assembly import read_robot_perception
from ..errors import TaskError
from ..loop import Loop, SpikingEstimator, observation_for
from ..neuromorphic.agreement import spike_agreement
from ..neuromorphic.emulator.engine import emulate
from ..neuromorphic.emulator.graded import GradedTrain
from ..neuromorphic.model import of_perception
from ..neuromorphic.reference import FloatReference
from ..outputs import write_json
from ..robot import names
from ..robots.catalogue import robot_named
from ..sim.world import Sensing
from ..spiking.nir_io import PerceptionModel
from ..terminal import Console
from ..types import Quantities, SpikeTrain
from .entry import seed_range, settings_in
from .robot import RobotBenchmark
from .variants import chosen_variants, variants_of

if TYPE_CHECKING:
    from ..options import BenchAgreementOptions


@dataclass(frozen=True, slots=True)
class Recorded:
    """One episode.

    Attributes:
        spikes: of the input, the whole episode.
        steps: of the network in each tick.
        sensings: at each tick.
        estimates, commands: of the emulator and the controller, ``(n_ticks, n)`` and ``(n_ticks, m)``.
    """

    spikes: SpikeTrain
    steps: list[int]
    sensings: list[Sensing]
    estimates: np.ndarray
    commands: np.ndarray


class _KeepingSpikes:
    """An estimator that keeps the spikes that its network gets."""

    def __init__(self, inner: SpikingEstimator) -> None:
        self._inner = inner
        self.trains: list[SpikeTrain] = []
        encode = inner.perception.encode

        def kept(events: np.ndarray, stamp_ns: int) -> SpikeTrain:
            self.trains.append(encode(events, stamp_ns))
            return self.trains[-1]

        inner.perception.encode = kept  # type: ignore[method-assign]

    def reset(self, stamp_ns: int) -> None:
        self.trains = []
        self._inner.reset(stamp_ns)

    def estimate(self, sensing: Sensing) -> Quantities:
        return self._inner.estimate(sensing)


def record(loop: Loop, seed: int) -> Recorded:
    """Drive one episode by the emulator.

    Raises:
        TaskError: the loop has no spiking perception.
    """
    if not isinstance(loop.estimator, SpikingEstimator):
        raise TaskError("this variant has no spiking perception; give --variant with one that has")
    keeping = _KeepingSpikes(loop.estimator)
    loop = Loop(loop.world, keeping, loop.controller, loop.limits)
    sensings, estimates, commands = [], [], []
    loop.reset(seed)
    while not loop.world.over:
        sensing = loop.sensing
        decision = loop.decide(sensing)
        sensings.append(sensing)
        estimates.append(decision.estimate.values)
        commands.append(decision.command)
        loop.advance(decision)
    steps = [train.n_steps for train in keeping.trains]
    return Recorded(joined(keeping.trains), steps, sensings, np.array(estimates), np.array(commands))


def joined(trains: list[SpikeTrain]) -> SpikeTrain:
    """Trains one after the other as one."""
    counts = np.concatenate([np.diff(train.indptr) for train in trains])
    return SpikeTrain(np.concatenate([[0], np.cumsum(counts)]), np.concatenate([train.ids for train in trains]))


def run(benchmark: RobotBenchmark, console: Console) -> dict[str, Any]:
    """Record, run the float network beside, and return what is written as JSON.

    Raises:
        TaskError: the variant has no spiking perception, or not on the emulator.
    """
    robot, name = benchmark.robot, benchmark.names[0]
    if chosen_variants(robot, (name,))[name].backend != "loihi":
        raise TaskError(f"variant '{name}' runs in float64; give --variant with one on the emulator")
    model = read_robot_perception(robot, benchmark.perception)
    network, graph = of_perception(model).network(), model.graph
    loop = benchmark.loop(name)
    populations: dict[str, list[np.ndarray]] = {}
    estimates, commands, seconds = [], [], 0.0
    try:
        with Progress(console=console, transient=True) as progress:
            for seed in progress.track(benchmark.seeds, description="episodes"):
                episode = record(loop, seed)
                reference = FloatReference(graph)
                exact = reference.run_all(episode.spikes)
                reference.reset()
                output = exact[graph.outputs[0]] if len(graph.outputs) == 1 else reference.run(episode.spikes)
                fixed = {name: train.spikes if isinstance(train, GradedTrain) else train
                         for name, train in emulate(network).run_all(episode.spikes).items()}  # fmt: skip
                for population, p in graph.populations.items():
                    a, b = exact[population], fixed[population]
                    one = spike_agreement(population, p.n, a, b)
                    cells = p.n * a.n_steps
                    total, differing = _spikes(a) + _spikes(b), (1 - one.f1) * (_spikes(a) + _spikes(b))
                    populations.setdefault(population, []).append(np.array([cells, total, differing]))
                others = _estimates(model, episode, output)
                estimates.append(episode.estimates - others)
                commands.append(episode.commands - _commands(loop, episode, others))
                seconds += len(episode.steps) * robot.period_s
    finally:
        loop.world.close()
    sums = {population: np.sum(rows, 0) for population, rows in populations.items()}
    whole = np.sum(list(sums.values()), 0)

    def shares(row: np.ndarray) -> dict[str, float]:
        cells, total, differing = row.tolist()
        return {"f1": 1 - differing / total if total else 1.0, "equal_cells": 1 - differing / cells}

    return {
        "benchmark": "agreement",
        "title": benchmark.title,
        "version": __version__,
        "variant": name,
        "seconds": seconds,
        "spikes": {population: shares(row) for population, row in sums.items()} | {"all": shares(whole)},
        "estimates": _rms(names(robot.estimates), [e.unit for e in robot.estimates], np.concatenate(estimates)),
        "commands": _rms(names(robot.commands), [c.unit for c in robot.commands], np.concatenate(commands)),
    }


def _spikes(train: SpikeTrain) -> int:
    return int(train.indptr[-1])


def _rms(labels: tuple[str, ...], units: list[str], differences: np.ndarray) -> dict[str, dict[str, Any]]:
    rms, most = np.sqrt((differences**2).mean(0)), np.abs(differences).max(0)
    return {label: {"unit": unit, "rms": float(a), "most": float(b)}
            for label, unit, a, b in zip(labels, units, rms, most, strict=True)}  # fmt: skip


def _estimates(model: PerceptionModel, episode: Recorded, output: SpikeTrain) -> np.ndarray:
    readout, first, found = model.readout, 0, []
    readout.reset()
    for steps in episode.steps:
        found.append(readout.step(SpikeTrain(output.indptr[first : first + steps + 1], output.ids)))
        first += steps
    return np.array(found)


def _commands(loop: Loop, episode: Recorded, estimates: np.ndarray) -> np.ndarray:
    """What the controller does with other estimates, the readings as they were."""
    controller, robot, last = loop.controller, loop.world.robot, None
    controller.reset()
    found = []
    for sensing, values in zip(episode.sensings, estimates, strict=True):
        elapsed_s = robot.period_s if last is None else (sensing.stamp_ns - last) * 1e-9
        last = sensing.stamp_ns
        estimate = Quantities(sensing.stamp_ns, names(robot.estimates), values)
        observation = observation_for(controller.observation_names, sensing.readings, estimate)
        found.append(np.array(controller.step(observation, elapsed_s)))
    return np.array(found)


def print_table(report: dict[str, Any], console: Console) -> None:
    """Spikes by population; estimates and commands."""
    head = f"{report['title']}, {report['variant']}: {report['seconds']:.0f} s"
    console.print(f"{head}, the integers beside float64", markup=False, highlight=False)
    spikes = Table(title="spikes", box=SIMPLE, padding=(0, 1, 0, 0))
    for column in ("", "same neuron and step [%]", "neurons and steps alike [%]"):
        spikes.add_column(column, justify="right" if column else "left")
    for population, row in report["spikes"].items():
        spikes.add_row(population, f"{100 * row['f1']:.2f}", f"{100 * row['equal_cells']:.3f}")
    console.print(spikes)
    table = Table(title="differences", box=SIMPLE, padding=(0, 1, 0, 0))
    for column in ("", "rms", "most", "unit"):
        table.add_column(column, justify="right" if column in ("rms", "most") else "left")
    for part in ("estimates", "commands"):
        for label, row in report[part].items():
            table.add_row(label, f"{row['rms']:.2g}", f"{row['most']:.2g}", row["unit"])
    console.print(table)


def agreement_command(options: BenchAgreementOptions) -> int:
    """Measure, print and write what was asked for.

    Raises:
        LiquidSpikeError: an option, the robot or a model is wrong.
    """
    robot = robot_named(options.robot)
    found = variants_of(robot) if robot.estimates else {}
    spiking = [name for name, v in found.items() if v.estimates == "perception" and v.backend == "loihi"]
    if not spiking:
        raise TaskError(f"robot '{options.robot}': no variant has a spiking perception on the emulator")
    benchmark = RobotBenchmark(
        source=options.robot, seeds=seed_range(options.seeds), names=(options.variant or spiking[0],),
        settings=settings_in(options.set), perception=options.perception_model, controller=options.controller_model,
    )  # fmt: skip
    console = Console()
    report = run(benchmark, console)
    print_table(report, console)
    write_json(options.json, report)
    return 0
