# SPDX-License-Identifier: Apache-2.0
"""``python docs/gallery/lane_car_neurons.py``: a lap on a held-out track, coloured by each neuron's activity."""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from liquid_spike_control.bench.variants import chosen_variants, loop_of_variant
from liquid_spike_control.control.files import read_controller_file
from liquid_spike_control.outputs import save_figure
from liquid_spike_control.robots.catalogue import robot_named

#: Neurons beside each other, and the picture's width [inches].
COLUMNS, WIDTH = 7, 11.0
STAGES = ("inter", "command", "motor")


def main(seed: int) -> None:
    """Drive the lap and draw it."""
    robot = robot_named("lane_car")
    loop = loop_of_variant(robot, chosen_variants(robot, ("ncp",))["ncp"])
    task, places, states, steering = loop.world.task, [], [], []
    loop.reset(seed)
    while not task.over:
        decision = loop.decide(loop.sensing)
        places.append(task.data.qpos[:2].copy())
        states.append(loop.controller.state.ravel().copy())
        steering.append(float(decision.command[0]))
        loop.advance(decision)
    loop.world.close()
    activity, (x, y) = np.array(states).T, np.array(places).T
    file = read_controller_file(robot.model("controller"))
    stages = file.architecture.stages(len(file.command_names))
    titles = [f"{stage} {k + 1}" for stage, n in zip(STAGES, stages, strict=True) for k in range(n)]
    shown = [("steering", np.array(steering)), *zip(titles, activity, strict=True)]
    rows = -(-len(shown) // COLUMNS)
    drawing = Figure(figsize=(WIDTH, 1.75 * rows + 0.5), layout="constrained")
    panels = drawing.subplots(rows, COLUMNS).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, (title, values) in zip(panels, shown, strict=False):
        most = max(float(np.abs(values - np.median(values)).max()), 1e-6)
        panel.scatter(x, y, c=values - np.median(values), s=4, cmap="coolwarm", vmin=-most, vmax=most, linewidths=0)
        panel.plot(x[0], y[0], marker="o", color="black", markersize=3)
        panel.set_title(title, fontsize=8)
        panel.set_aspect("equal")
    lap = "a lap" if task.success else f"{task.covered:.1f} m of a lap"
    drawing.suptitle(
        f"lane_car, seed {seed}: {lap} by events, coloured by each neuron's activity about its median (dot: start)",
        fontsize=10,
    )
    save_figure(drawing, Path(__file__).with_name("lane_car_neurons.png"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1003)
