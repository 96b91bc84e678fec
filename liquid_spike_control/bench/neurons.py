# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench robot --neurons``: what each neuron of a controller does along the way of one episode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import TaskError
from ..liquid.controller import LiquidController
from ..loop import Loop
from ..outputs import in_print, save_figure
from .robot import RobotBenchmark

#: Panels beside each other, and the picture's width [inches].
COLUMNS, WIDTH = 7, 11.0
STAGES = ("inter", "command", "motor")
#: Dark to light, so that it is read in black and white too; a dark rim shows the light end on white.
COLOURS = "cividis"
#: Percentiles of a value between which colours run: the first moments of an episode would take most of the range.
SHOWN = (2, 98)
RANGE = "each from its 2nd to its 98th percentile"


@dataclass(frozen=True)
class Activity:
    """Of an episode of ``n`` ticks.

    Attributes:
        title: what was run.
        labels: of the commands, and of the neurons, in order.
        values: float64 ``(n_labels, n)``, commands in their units and states of the neurons.
        place: float64 ``(n, 2)``, where the robot was, seen from above [m]; None where it does not travel.
        time_s: float64 ``(n,)``.
    """

    title: str
    labels: tuple[str, ...]
    values: np.ndarray
    place: np.ndarray | None
    time_s: np.ndarray


def record(benchmark: RobotBenchmark) -> Activity:
    """Run the first seed's episode with the first variant, and keep the hidden states of its controller.

    Raises:
        TaskError: the variant's controller has no neurons with a state.
        LiquidSpikeError: a model is missing or does not fit.
    """
    name, seed = benchmark.names[0], benchmark.seeds[0]
    loop = benchmark.loop(name)
    try:
        labels = _labels(loop, name)
        n_neurons = len(labels)
        task, places, states, commands, times = loop.world.task, [], [], [], []
        loop.reset(seed)
        while not task.over:
            decision = loop.decide(loop.sensing)
            places.append(task.place_m)
            states.append(loop.controller.state.ravel()[:n_neurons])  # type: ignore[attr-defined]
            commands.append(decision.command)
            times.append(task.elapsed_s)
            loop.advance(decision)
    finally:
        loop.world.close()
    robot = benchmark.robot
    end = robot.success if task.success else robot.failure
    moving = [k for k, command in enumerate(np.ptp(commands, 0)) if command > 0]
    shown = [robot.commands[k].name.replace("_", " ") for k in moving]
    values = np.concatenate([np.array(commands)[:, moving], np.array(states)], 1).T
    place = None if places[0] is None else np.array(places, float)
    return Activity(f"{robot.name}, {name}, seed {seed}: {end}", (*shown, *labels), values, place, np.array(times))


def _labels(loop: Loop, name: str) -> tuple[str, ...]:
    controller = loop.controller
    architecture = controller.architecture if isinstance(controller, LiquidController) else None
    if architecture is None or architecture.cell == "mlp":
        raise TaskError(f"--neurons: the controller of '{name}' has no neurons with a state; give another --variants")
    stages = architecture.stages(len(controller.command_names))  # type: ignore[attr-defined]
    kinds = STAGES if len(stages) == len(STAGES) else ("neuron",) * len(stages)
    own = [f"{kind} {k + 1}" for kind, n in zip(kinds, stages, strict=True) for k in range(n)]
    if architecture.layers == 1:
        return tuple(own)
    return tuple(f"{layer + 1}: {label}" for layer in range(architecture.layers) for label in own)


@in_print()
def plot(activity: Activity, path: Path) -> None:
    """Draw each command's and neuron's value along the way, or over time, each in a range of its own.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    n = len(activity.labels)
    if activity.place is None:
        figure = Figure(figsize=(WIDTH, max(2.5, 0.19 * n + 1)), layout="constrained")
        axes = figure.subplots()
        low, high = np.percentile(activity.values, SHOWN, 1, keepdims=True)
        shown = (activity.values - low) / np.maximum(high - low, 1e-9)
        edges = np.append(activity.time_s, 2 * activity.time_s[-1] - activity.time_s[-2:][0])
        mesh = axes.pcolormesh(edges, np.arange(n + 1), shown, cmap=COLOURS, vmin=0, vmax=1, rasterized=True)
        axes.set(xlabel="time [s]", title=activity.title)
        axes.set_yticks(np.arange(n) + 0.5, activity.labels, fontsize=7)
        axes.invert_yaxis()
        figure.colorbar(mesh, ax=axes, ticks=[0, 1], label=RANGE)
        save_figure(figure, path)
        return
    x, y = activity.place.T
    rows = -(-n // COLUMNS)
    figure = Figure(figsize=(WIDTH, 1.75 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, label, values in zip(panels, activity.labels, activity.values, strict=False):
        low, high = np.percentile(values, SHOWN)
        panel.plot(x, y, color="black", linewidth=4.2, solid_capstyle="round")
        span = Normalize(low, max(high, low + 1e-9))
        points = panel.scatter(x, y, c=values, s=7, cmap=COLOURS, norm=span, linewidths=0, zorder=3)
        panel.plot(x[0], y[0], marker="o", color="white", markeredgecolor="black", markersize=5, zorder=4)
        panel.set_title(f"{label}\n{low:.2g} to {high:.2g}", fontsize=7.5)
        panel.set_aspect("equal")
    bar = figure.colorbar(points, ax=panels.tolist(), location="bottom", shrink=0.25, aspect=30, ticks=[])
    bar.set_label(f"{RANGE} (circle: start)", fontsize=8)
    figure.suptitle(activity.title, fontsize=10)
    save_figure(figure, path)
