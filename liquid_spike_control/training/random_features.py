# SPDX-License-Identifier: Apache-2.0
"""A spiking perception for any robot: random receptive fields on Loihi's integers, and a fitted readout.

Each neuron sums the events of a small field of the picture, brighter and darker ones with weights of its own, and has
a synaptic and a membrane time constant of its own; nothing in the network is learnt. The readout's leaky sums of the
spikes are mapped to the estimates by ridge regression on episodes that the task's expert drives, with noise on its
commands, and the spikes are those of the Loihi emulator: what is fitted is what runs. No torch.

Huang, Zhu, Siew: Extreme learning machine, Neurocomputing 2006 (random features, linear readout); Maass, Natschlaeger,
Markram: Real-time computing without stable states, Neural Computation 2002 (leaky readouts of spikes).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..assembly import new_backend, new_perception
from ..errors import TaskError
from ..estimate_lag import EstimateLag
from ..events.binning import SpikeBinner
from ..events.camera_streams import side_by_side
from ..robot import Robot, names, scales, units
from ..sim.world import World
from ..spiking.graph import CubaPopulation, Linear, SpikingGraph
from ..spiking.nir_io import PerceptionModel, read_perception_model, write_perception_model
from ..spiking.readout import Readout
from ..tasks.of_robot import task_of
from .recorded_episodes import front_end_of
from .ridge import ridge_regression

#: Length of a step of the network [s].
STEP_S = 1e-3
#: First training and first held-out seed.
TRAINING_SEED, HELD_OUT_SEED = 1_000_000_000, 1000


@dataclass(frozen=True)
class RandomFeatures:
    """What the network and its fit are made of.

    Attributes:
        n_neurons: of the network.
        row_group: rows that share an axon.
        radius: of a field, as a part of the picture's height.
        synaptic_taus, membrane_taus: shortest and longest, drawn log-uniformly [s].
        readout_taus: of the leaky sums [s].
        threshold: of a neuron, in events on the middle of its field.
        episodes, seconds: how many episodes are recorded for the fit, and how long each is at most [s].
        exploration: standard deviation of the noise on the expert's commands, as a part of their range.
        ridge: of the regression, as a part of the features' mean square.
        seed: of the network and of the noise.
    """

    n_neurons: int = 256
    row_group: int = 2
    radius: float = 0.12
    synaptic_taus: tuple[float, float] = (0.002, 0.01)
    membrane_taus: tuple[float, float] = (0.002, 0.02)
    readout_taus: tuple[float, ...] = (0.01, 0.04, 0.16)
    threshold: float = 3.0
    episodes: int = 24
    seconds: float = 4.0
    exploration: float = 0.1
    ridge: float = 1e-3
    seed: int = 1


def train_random_features(
    robot: Robot, config: RandomFeatures, out: Path, command: str, progress: Callable[[float], None] = lambda part: None
) -> dict[str, tuple[float, float]]:
    """Make and fit a perception, and write it.

    Args:
        robot: with cameras and estimates, and a task with an expert.
        config: see :class:`RandomFeatures`.
        out: .nir file to write.
        command: what its metadata say made it.
        progress: called with the part that is done.

    Returns:
        Of each estimate on held-out episodes: root mean square error and standard deviation of the truth, in its unit.

    Raises:
        TaskError: the robot has no cameras, a camera sees nothing, or a truth is not finite.
        RobotError: the task has no expert.
    """
    if not robot.estimates:
        raise TaskError(f"{robot.source}: estimates: none; add cameras and what is to be estimated from their events")
    _, (width, height) = front_end_of(robot)
    group = config.row_group if height % config.row_group == 0 else 1
    binner = SpikeBinner(width, height, group, round(STEP_S * 1e9))
    metadata = {
        "task": robot.name,
        "feature_names": list(names(robot.estimates)),
        "feature_units": list(units(robot.estimates)),
        "input_encoding": {"width": width, "height": height, "row_group": group},
        "camera": [asdict(camera.event_camera()) for camera in robot.cameras],
        "training_command": command,
        "training_seeds": [TRAINING_SEED, TRAINING_SEED + config.episodes - 1],
        "training": asdict(config),
    }
    graph = _random_graph(config, binner.n_axons, width, height // group)
    n_x = config.n_neurons * len(config.readout_taus)
    sums = Readout(  # every neuron's spikes, summed with every time constant
        np.tile(np.eye(config.n_neurons), (len(config.readout_taus), 1)),
        np.repeat(-np.expm1(-STEP_S / np.array(config.readout_taus)), config.n_neurons),
        np.zeros((len(robot.estimates), n_x)),
    )
    model = _written(graph, sums, metadata)
    with World(task_of(robot), rendered=False) as world:
        train = range(TRAINING_SEED, TRAINING_SEED + config.episodes)
        held_out = range(HELD_OUT_SEED, HELD_OUT_SEED + max(2, config.episodes // 4))
        total = len(train) + len(held_out)
        x, y = _record(world, model, config, train, lambda n: progress(n / total))
        x_new, y_new = _record(world, model, config, held_out, lambda n: progress((len(train) + n) / total))
    if not x.any():
        raise TaskError(f"{robot.source}: cameras: the network gave no spike; does the camera see what moves?")
    mix, offset = ridge_regression(x, y / scales(robot.estimates), config.ridge)
    mix, offset = mix * scales(robot.estimates)[:, None], offset * scales(robot.estimates)
    write_perception_model(out, graph, Readout(sums.weight, sums.decay, mix, offset), metadata, dt=STEP_S)
    error = np.sqrt(((x_new @ mix.T + offset - y_new) ** 2).mean(0))
    return {
        e.name: (float(rms), float(spread)) for e, rms, spread in zip(robot.estimates, error, y_new.std(0), strict=True)
    }


def _random_graph(config: RandomFeatures, n_axons: int, width: int, n_rows: int) -> SpikingGraph:
    rng = np.random.default_rng(config.seed)
    n = config.n_neurons
    column, row = rng.uniform(0, width, n), rng.uniform(0, n_rows, n)
    radius = max(1.0, config.radius * n_rows)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(n_rows) + 0.5)
    distance = (x.ravel() - column[:, None]) ** 2 + (y.ravel() - row[:, None]) ** 2
    field = np.exp(-distance / (2 * radius**2))
    field[field < 0.1] = 0.0
    sides = rng.choice([-1.0, 0.5, 1.0], size=(n, 2))  # of darker and of brighter events
    sides[(sides < 0).all(1)] = 1.0  # a neuron with no excitation never spikes
    weight = np.concatenate([field * sides[:, :1], field * sides[:, 1:]], 1)
    du, dv = (
        -np.expm1(-STEP_S / np.exp(rng.uniform(math.log(least), math.log(most), n)))
        for least, most in (config.synaptic_taus, config.membrane_taus)
    )
    population = CubaPopulation(du, dv, np.full(n, config.threshold), np.zeros(n))
    return SpikingGraph(n_axons, {"fields": population}, [Linear("input", "fields", weight)], outputs=("fields",))


def _written(graph: SpikingGraph, readout: Readout, metadata: dict[str, Any]) -> PerceptionModel:
    """The model as it reads back from a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.nir"
        write_perception_model(path, graph, readout, metadata, dt=STEP_S)
        return read_perception_model(path)


def _record(
    world: World, model: PerceptionModel, config: RandomFeatures, seeds: range, progress: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Drive episodes; returns the leaky sums ``(n, n_x)`` and the truth ``(n, n_estimates)`` at each tick."""
    robot, task = world.robot, world.task
    expert = task.expert()
    spread = config.exploration * (task.most - task.least) / 2
    kept, truths, lag = [], [], EstimateLag(robot)
    perception = new_perception(robot, model)
    readout = perception._readout
    with new_backend(model) as backend:
        for number, seed in enumerate(seeds):
            rng = np.random.default_rng([seed, config.seed])
            sensing = world.reset(seed)
            perception.reset(0)
            backend.reset()
            expert.reset()
            lag.reset()
            wander = np.zeros(len(spread))
            for _ in range(math.ceil(min(config.seconds, task.duration_s) / robot.period_s)):
                wander += 0.1 * (spread * rng.standard_normal(len(spread)) - wander)
                sensing = world.advance(expert.act(task) + 3 * wander)
                perception.step(side_by_side(sensing.events, robot.cameras), sensing.stamp_ns, backend)
                truth = world.truth
                if not np.isfinite(truth).all():
                    bad = names(robot.estimates)[int(np.flatnonzero(~np.isfinite(truth))[0])]
                    remedy = "give its mujoco place, or the task a method estimates()"
                    raise TaskError(f"{robot.source}: estimates ({bad}): its truth is not finite; {remedy}")
                kept.append(readout.state)
                truths.append(lag.step(truth))
                if world.over:
                    break
            progress(number + 1)
    return np.array(kept), np.array(truths)
