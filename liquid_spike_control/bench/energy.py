# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench energy``: what two networks would take on several devices, by published prices.

A robot's perception on the events of one episode, where an inference is one control period, and the network of
``bench snn`` at 1 % input, where it is one step.
"""

from __future__ import annotations

import numpy as np

from .. import __version__
from ..assembly import new_loop, new_perception, read_robot_perception
from ..errors import TaskError
from ..events.camera_streams import side_by_side
from ..neuromorphic.energy.devices import DeviceComparison, compare_devices, table
from ..neuromorphic.energy.devices_figure import plot
from ..neuromorphic.model import of_perception
from ..options import BenchEnergyOptions
from ..outputs import write_json
from ..robot import Robot
from ..robots.catalogue import robot_named
from ..terminal import Console
from ..types import SpikeTrain
from .snn_step import random_network

#: Of ``bench snn``'s network: input axons that spike in a step, steps, and the length of one [s].
FRACTION, N_STEPS, STEP_S = 0.01, 200, 1e-3


def axon_spikes(robot: Robot, seed: int, duration_s: float) -> SpikeTrain:
    """Axon spikes of an episode that the robot drives with its own models."""
    encoder, steps = new_perception(robot, read_robot_perception(robot)), []
    loop = new_loop(robot, duration_s=duration_s)
    try:
        loop.reset(seed)
        while not loop.world.over:
            sensing = loop.tick().sensing
            packet = encoder.encode(side_by_side(sensing.events, robot.cameras), sensing.stamp_ns)
            steps += [packet.step(k) for k in range(packet.n_steps)]
    finally:
        loop.world.close()
    return SpikeTrain.from_steps(steps)


def run(robot: Robot, seed: int, duration_s: float, console: Console) -> tuple[DeviceComparison, DeviceComparison]:
    """Both comparisons."""
    model = read_robot_perception(robot)
    step_s = float(model.metadata["dt"])
    with console.status(f"{robot.name} runs for {duration_s:g} s"):
        perceived = compare_devices(
            of_perception(model).network(),
            axon_spikes(robot, seed, duration_s),
            step_s,
            round(robot.period_s / step_s),
            title=f"perception of {robot.name}",
        )
    network = random_network(0)
    with console.status(f"{network.n_neurons} neurons"):
        dense = np.random.default_rng(1).random((N_STEPS, network.n_inputs), np.float32) < FRACTION
        image = compare_devices(
            network, SpikeTrain.from_dense(dense), STEP_S, 1, title=f"{network.n_neurons:,} neurons, 1 % input"
        )
    return perceived, image


def energy_command(options: BenchEnergyOptions) -> int:
    """Print both tables and write what was asked for.

    Raises:
        LiquidSpikeError: there is no such robot, or it has no perception.
    """
    console, robot = Console(), robot_named(options.robot)
    if not robot.estimates:
        raise TaskError(f"--robot {options.robot}: it has no perception; choose a robot with event cameras")
    reports = run(robot, options.seed, options.duration, console)
    table(reports[0], console, *reports[1:])
    if options.plot:
        plot(reports[0], options.plot, *reports[1:])
    if options.json:
        results = [report.as_dict() for report in reports]
        write_json(options.json, {"benchmark": "energy", "version": __version__, "results": results})
    return 0
