# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench energy``: what two networks would take on several devices, by published prices.

The pencil's perception on the events of one balanced episode, where an inference is one control period, and the
network of ``bench snn`` at 1 % input, where it is one step.
"""

from __future__ import annotations

import numpy as np
from rich.console import Console

from .. import __version__
from ..assembly import pencil_limits, read_pencil_controller
from ..loop import Loop, SpikingEstimator
from ..neuromorphic.devices import DeviceComparison, compare_devices, table
from ..neuromorphic.devices_figure import plot
from ..neuromorphic.loihi import LoihiEmulator
from ..neuromorphic.model import of_perception
from ..options import BenchOptions
from ..perception import Perception
from ..resources import zoo
from ..sim.tasks import PencilTask, task_by_name
from ..simulation import PencilSimulation
from ..spiking.nir_io import PerceptionModel, read_perception_model
from ..types import SpikeTrain
from .pencil import write_json
from .snn_step import random_network

#: Of ``bench snn``'s network: input axons that spike in a step, steps, and the length of one [s].
FRACTION, N_STEPS, STEP_S = 0.01, 200, 1e-3
#: Of the pencil: simulated seconds, and an episode that no model was trained on.
DURATION_S, SEED = 20.0, 1000


def pencil_input(model: PerceptionModel, task: PencilTask, seed: int) -> SpikeTrain:
    """Axon spikes of an episode that the shipped controller balances with this perception."""
    with LoihiEmulator(of_perception(model).network()) as backend:
        simulation = PencilSimulation(task)
        controller = read_pencil_controller(zoo("pencil_controller.safetensors"), task)
        estimator = SpikingEstimator(Perception(model), backend)
        loop = Loop(simulation, estimator, controller, pencil_limits(controller.command_limits))
        loop.reset(seed)
        encoder, steps = Perception(model), []
        for _ in range(round(task.duration_s / task.period_s)):
            sensing = loop.tick().sensing
            packet = encoder.encode(sensing.events, sensing.joints.stamp_ns)
            steps += [packet.step(k) for k in range(packet.n_steps)]
    return SpikeTrain.from_steps(steps)


def run(console: Console) -> tuple[DeviceComparison, DeviceComparison]:
    """Both comparisons."""
    model, task = read_perception_model(zoo("pencil_perception.nir")), task_by_name("pencil", duration_s=DURATION_S)
    step_s = float(model.metadata["dt"])
    with console.status("a pencil balances"):
        spikes = pencil_input(model, task, SEED)
        pencil = compare_devices(
            of_perception(model).network(),
            spikes,
            step_s,
            round(task.period_s / step_s),
            title="pencil perception, balancing",
        )
    with console.status("an image of events"):
        network = random_network(0)
        dense = np.random.default_rng(1).random((N_STEPS, network.n_inputs), np.float32) < FRACTION
        image = compare_devices(
            network, SpikeTrain.from_dense(dense), STEP_S, 1, title=f"{network.n_neurons:,} neurons, 1 % input"
        )
    return pencil, image


def energy_command(options: BenchOptions, console: Console) -> int:
    """Print both tables and write what was asked for."""
    reports = run(console)
    for report in reports:
        table(report, console)
    if options.plot:
        plot(reports[0], options.plot, *reports[1:])
    if options.json:
        results = [report.as_dict() for report in reports]
        write_json({"benchmark": "energy", "version": __version__, "results": results}, options.json)
    return 0
