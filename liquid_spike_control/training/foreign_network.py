# SPDX-License-Identifier: Apache-2.0
"""A spiking network that somebody else trained as a robot's perception: its neurons stay, a readout is fitted to them.

The NIR file is read with the discretisation of the framework that wrote it (:mod:`..spiking.nir_import`). Its output
spikes are summed by leaky integrators, whose weights follow by least squares on recorded episodes, on the spikes of the
Loihi emulator: what is fitted is what runs. No torch.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.progress import Progress

from ..errors import ModelError, TaskError
from ..neuromorphic.model import SpikingModel, read_model
from ..outputs import check_outputs
from ..robot import Robot, names, scales, units
from ..spiking.graph import SpikingGraph
from ..spiking.layers import LayeredNetwork, Training
from ..spiking.nir_io import PerceptionModel, expressible, read_perception_model, write_perception_model
from ..spiking.readout import Readout
from ..terminal import Console
from .readout_fit import FITTED, accuracy_of, leaky_readout, neurons_and_weights, print_accuracy, solve_readout
from .recorded_episodes import EpisodeSet, front_end_of


@dataclass(frozen=True)
class ForeignFile:
    """A network's file and how it is to be read; see :func:`~..neuromorphic.model.read_model`.

    Attributes:
        path: the .nir file.
        preset: framework whose discretisation it follows; None for a file of this package.
        dt: step in the unit of the file's time constants; by default the preset's.
        step_s: length of a step [s]; by default the file's, or 1 ms.
    """

    path: Path
    preset: str | None = None
    dt: float | None = None
    step_s: float | None = None


def foreign_network(
    robot: Robot, file: ForeignFile, taus_s: tuple[float, ...], training: Training
) -> tuple[SpikingModel, LayeredNetwork]:
    """Read a network, and say how its episodes are to be recorded.

    Args:
        robot: with cameras and estimates, whose picture the network's input must be.
        file: of the network.
        taus_s: time constants of the readout [s].
        training: says how episodes are recorded and the readout is fitted.

    Raises:
        TaskError: the robot has no estimates.
        ModelError: the file is damaged, holds integers, gives no spikes, or its input is not the robot's picture.
    """
    if not robot.estimates:
        raise TaskError(f"{robot.source}: estimates: none; add cameras and what is to be estimated from their events")
    model = read_model(file.path, file.preset, file.dt, file.step_s)
    graph = model.float_graph()
    _, (width, height) = front_end_of(robot)
    groups = [g for g in range(1, height + 1) if height % g == 0 and 2 * (height // g) * width == graph.n_inputs]
    pictures, shape = [(2, height // g, width) for g in groups], model.input_shape
    if not groups or (shape is not None and len(shape) == 3 and shape not in pictures):
        found = f"{graph.n_inputs} inputs" if shape is None else f"an input of shape {shape}"
        wanted = f"2 polarities of {width} columns and {height} rows, or of rows in groups"
        raise ModelError(f"{file.path}: {found}; the robot {robot.name} gives {wanted}")
    recording = LayeredNetwork(
        layers=(), step_s=model.step_s or 1e-3, row_group=groups[0], readout_taus_s=taus_s, training=training
    )
    return model, recording


def read_by_spikes(graph: SpikingGraph, source: str) -> SpikingGraph:
    """The graph without integrators at its end: what they take is the output.

    Raises:
        ModelError: no spikes come out.
    """
    ends = [name for name in graph.outputs if not graph.populations[name].spiking]
    feeding = [c.source for c in graph.connections if c.target in ends]
    outputs = [name for name in graph.populations if name in {*graph.outputs, *feeding} - {*ends}]
    driven = {c.target for c in graph.connections}
    outputs = [name for name in outputs if name in driven]  # not what stands for biases
    if not outputs:
        raise ModelError(f"{source}: no neurons that spike come before its output; a readout takes spikes")
    populations = {name: p for name, p in graph.populations.items() if name not in ends}
    silent = [name for name, p in populations.items() if not p.spiking]
    if silent:
        raise ModelError(f"{source}: node {silent[0]}: an integrator between neurons; a perception's neurons spike")
    kept = [c for c in graph.connections if c.target not in ends]
    return SpikingGraph(graph.n_inputs, populations, kept, tuple(outputs))


def fit_foreign(
    robot: Robot, model: SpikingModel, network: LayeredNetwork, out: Path, metadata: dict[str, Any],
    episodes: Callable[[Callable[[float], None]], EpisodeSet], console: Console,
) -> None:  # fmt: skip
    """Fit a readout to a network, write the perception, and print its errors on held-out episodes.

    Args:
        robot, model, network: see :func:`foreign_network`.
        out: .nir file to write.
        metadata: beside what follows from the robot; ``training_command`` and what names the file.
        episodes: gets the episodes, and calls its argument with the part that is done.
        console: to print to.

    Raises:
        ModelError: the network does not fit Loihi, or cannot be written.
        TaskError: the network gives no spikes on the episodes.
    """
    check_outputs({"out": (".nir",)}, out=out)
    begin = time.monotonic()
    graph = expressible(read_by_spikes(model.float_graph(), model.source))
    _, (width, height) = front_end_of(robot)
    every = {
        "task": robot.name,
        "feature_names": list(names(robot.estimates)),
        "feature_units": list(units(robot.estimates)),
        "input_encoding": {"width": width, "height": height, "row_group": network.row_group},
        "camera": [msgspec.to_builtins(camera.model) for camera in robot.cameras],
        **({"weight_scale": dict(model.weight_scale)} if model.weight_scale else {}),
        **metadata,
    }
    readout = leaky_readout(graph.n_outputs, network.readout_taus_s, network.step_s, scales(robot.estimates))
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("episodes", total=1.0)
        found = episodes(lambda part: progress.update(bar, completed=part))
        progress.update(bar, completed=1.0)
        every |= found.source
        whole = _written(graph, readout, every, network.step_s)
        fitted = [episode for episode in found.training if len(episode.truth) > 1][:FITTED]
        total = len(fitted) + 2 * len(found.held_out)
        bar = progress.add_task("readout", total=total)
        solved = solve_readout(whole, robot, network.training, fitted, lambda n: progress.update(bar, completed=n))
        if not np.any(solved.weight):
            raise TaskError(f"{model.source}: no output spikes on the episodes of {found.name}; is the preset right?")
        write_perception_model(out, whole.graph, solved, every, dt=network.step_s)
        accuracy = accuracy_of(
            read_perception_model(out), robot, found.held_out,
            lambda n: progress.update(bar, completed=len(fitted) + n),
        )  # fmt: skip
    n_neurons, n_weights = neurons_and_weights(graph)
    seconds = time.monotonic() - begin
    console.print(f"{out}: {n_neurons} neurons, {n_weights} weights, {seconds:.0f} s", soft_wrap=True)
    for note in model.notes:
        console.print(f"  note: {note}", soft_wrap=True, markup=False)
    print_accuracy(accuracy, len(found.held_out), console)


def _written(graph: SpikingGraph, readout: Readout, metadata: dict[str, Any], step_s: float) -> PerceptionModel:
    """The model as it reads back from a file: populations in the order of a reader."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.nir"
        write_perception_model(path, graph, readout, metadata, dt=step_s)
        return read_perception_model(path)
