# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench energy``: what two networks would take on several devices, by published prices.

The pencil's perception on the events of one balanced episode, where an inference is one control period, and the
network of ``bench snn`` at 1 % input, where it is one step.
"""

from __future__ import annotations

import numpy as np

from .. import __version__
from ..neuromorphic.energy.devices import DeviceComparison, compare_devices, table
from ..neuromorphic.energy.devices_figure import plot
from ..neuromorphic.model import of_perception
from ..options import BenchOptions
from ..outputs import write_json
from ..perception import Perception
from ..robots.pencil.benchmark import PencilBenchmark, new_loop
from ..robots.pencil.description import ROBOT
from ..spiking.nir_io import read_perception_model
from ..terminal import Console
from ..types import SpikeTrain
from .snn_step import random_network

#: Of ``bench snn``'s network: input axons that spike in a step, steps, and the length of one [s].
FRACTION, N_STEPS, STEP_S = 0.01, 200, 1e-3


def pencil_input(benchmark: PencilBenchmark) -> SpikeTrain:
    """Axon spikes of the episode of the first seed, which the spiking perception balances."""
    loop = new_loop(benchmark, "cfc_loihi")
    loop.reset(benchmark.seeds.start)
    encoder, steps = Perception(read_perception_model(benchmark.perception_model)), []
    for _ in range(round(benchmark.task.duration_s / ROBOT.period_s)):
        sensing = loop.tick().sensing
        packet = encoder.encode(sensing.events[0], sensing.stamp_ns)
        steps += [packet.step(k) for k in range(packet.n_steps)]
    return SpikeTrain.from_steps(steps)


def run(benchmark: PencilBenchmark, console: Console) -> tuple[DeviceComparison, DeviceComparison]:
    """Both comparisons."""
    model = read_perception_model(benchmark.perception_model)
    step_s = float(model.metadata["dt"])
    with console.status(f"a pencil balances for {benchmark.task.duration_s:g} s"):
        pencil = compare_devices(
            of_perception(model).network(),
            pencil_input(benchmark),
            step_s,
            round(ROBOT.period_s / step_s),
            title="pencil perception, balancing",
        )
    network = random_network(0)
    with console.status(f"{network.n_neurons} neurons"):
        dense = np.random.default_rng(1).random((N_STEPS, network.n_inputs), np.float32) < FRACTION
        image = compare_devices(
            network, SpikeTrain.from_dense(dense), STEP_S, 1, title=f"{network.n_neurons:,} neurons, 1 % input"
        )
    return pencil, image


def energy_command(benchmark: PencilBenchmark, options: BenchOptions, console: Console) -> int:
    """Print both tables and write what was asked for."""
    reports = run(benchmark, console)
    table(reports[0], console, *reports[1:])
    if options.plot:
        plot(reports[0], options.plot, *reports[1:])
    if options.json:
        results = [report.as_dict() for report in reports]
        write_json(options.json, {"benchmark": "energy", "version": __version__, "results": results})
    return 0
