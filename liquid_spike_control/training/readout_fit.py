# SPDX-License-Identifier: Apache-2.0
"""A readout fitted by least squares on recorded episodes, and how well it does on held-out ones. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..assembly import new_backend
from ..estimate_lag import EstimateLag
from ..robot import Robot, names, scales
from ..spiking.graph import SpikingGraph
from ..spiking.layers import Training
from ..spiking.leaky_features import LeakyFeatures
from ..spiking.nir_io import PerceptionModel
from ..spiking.readout import Readout
from ..terminal import Console
from ..types import SpikeTrain
from .least_squares import Moments
from .recorded_episodes import RecordedEpisode

#: Nothing is asked of a network in the first part of an episode [s].
SETTLING_S = 0.16
#: Episodes on which a readout is solved, at most.
FITTED = 64
#: An error of so much of the truth's standard deviation is none that a network has learnt to avoid.
LEARNT = 0.97


@dataclass(frozen=True)
class Accuracy:
    """Errors on held-out episodes.

    Attributes:
        integers, floats: root mean square error of each estimate on the Loihi emulator and in float64, in its unit,
            against what it should be; see :mod:`..estimate_lag`.
        spread: standard deviation of what it should be.
        operations_per_s, spikes_per_s, events_per_s: of the emulator and its input.
        seconds: how long the episodes lasted.
    """

    integers: dict[str, float]
    floats: dict[str, float]
    spread: dict[str, float]
    operations_per_s: float
    spikes_per_s: float
    events_per_s: float
    seconds: float


def leaky_readout(n_neurons: int, taus_s: Sequence[float], step_s: float, target_scales: np.ndarray) -> Readout:
    """A readout of leaky sums for each estimate, whose weights are 0.

    Args:
        n_neurons: that spike.
        taus_s: time constants of the sums [s].
        step_s: length of a step [s].
        target_scales: of the estimates.
    """
    n_taus, n = len(taus_s), len(target_scales)
    decay = np.tile(-np.expm1(-step_s / np.array(taus_s)), n)
    return Readout(np.zeros((n * n_taus, n_neurons)), decay, np.kron(np.diag(target_scales), np.ones(n_taus)))


def solve_readout(
    model: PerceptionModel, robot: Robot, training: Training, episodes: Sequence[RecordedEpisode],
    progress: Callable[[int], None] = lambda n: None,
) -> Readout:  # fmt: skip
    """The readout whose weighted squared error is least, on the spikes that the Loihi emulator gives.

    Args:
        model: whose readout, of :func:`leaky_readout`'s form, the weights are held back towards by a ridge.
        robot: whose estimates.
        training: with the allowed errors and the ridge.
        episodes: to fit.
        progress: called with the number of episodes that are done.
    """
    target_scales, trained = scales(robot.estimates), model.readout
    n_taus = len(trained.decay) // len(target_scales)
    rows = [slice(f * n_taus, (f + 1) * n_taus) for f in range(len(target_scales))]
    features = LeakyFeatures.sums(trained.n_neurons, trained.decay[:n_taus])
    moments = [
        Moments(trained.weight[r], offset / scale)
        for r, offset, scale in zip(rows, trained.offset, target_scales, strict=True)
    ]
    settling = math.ceil(SETTLING_S / robot.period_s)
    with new_backend(model) as backend:
        for number, episode in enumerate(episodes):
            backend.reset()
            features.reset()
            x = np.array([features.step(spikes) for spikes in _ticks(backend.run(episode.spikes), episode)])
            y = EstimateLag(robot).of_episode(episode.truth) / target_scales
            for f, moment in enumerate(moments):
                worth = 1 / (training.floor + training.fraction * np.abs(y[settling:, f])) ** 2
                moment.observe(x[settling:], y[settling:, f], worth)
            progress(number + 1)
    weight, offset = trained.weight.copy(), trained.offset.copy()
    for f, (row, moment) in enumerate(zip(rows, moments, strict=True)):
        weight[row], solved = moment.solve(training.ridge)
        offset[f] = solved * target_scales[f]
    return Readout(weight, trained.decay, trained.mix, offset)


def accuracy_of(
    model: PerceptionModel, robot: Robot, held_out: Sequence[RecordedEpisode],
    progress: Callable[[int], None] = lambda n: None,
) -> Accuracy:  # fmt: skip
    """Errors of a model in integers and in floats; ``progress`` is called with the episodes done, each twice."""
    goals = [EstimateLag(robot).of_episode(episode.truth) for episode in held_out]
    integers, stats = _errors(model, "loihi", held_out, goals, progress)
    floats, _ = _errors(model, "float", held_out, goals, lambda n: progress(len(held_out) + n))
    truth = np.concatenate(goals)
    seconds, each = len(truth) * robot.period_s, names(robot.estimates)
    return Accuracy(
        dict(zip(each, integers.tolist(), strict=True)), dict(zip(each, floats.tolist(), strict=True)),
        dict(zip(each, truth.std(0).tolist(), strict=True)), stats[0] / seconds, stats[1] / seconds,
        stats[2] / seconds, seconds,
    )  # fmt: skip


def _ticks(spikes: SpikeTrain, episode: RecordedEpisode) -> Iterator[SpikeTrain]:
    """Output spikes of an episode, control period by control period."""
    per = episode.steps_per_tick
    for first in range(0, len(episode.truth) * per, per):
        yield SpikeTrain(spikes.indptr[first : first + per + 1], spikes.ids)


def _errors(
    model: PerceptionModel, kind: str, episodes: Sequence[RecordedEpisode], goals: Sequence[np.ndarray],
    progress: Callable[[int], None],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Root mean square errors ``(n_estimates,)``; and synaptic operations, spikes and input spikes."""
    readout, errors, work = model.readout, [], np.zeros(3)
    with new_backend(model, kind) as backend:
        for number, (episode, goal) in enumerate(zip(episodes, goals, strict=True)):
            backend.reset()
            readout.reset()
            out = backend.run(episode.spikes)
            for tick, (spikes, wanted) in enumerate(zip(_ticks(out, episode), goal, strict=True)):
                estimate = readout.step(spikes)
                if (tick + 1) * episode.steps_per_tick * float(model.metadata["dt"]) > SETTLING_S:
                    errors.append(estimate - wanted)
            stats = backend.stats()
            work += stats.synaptic_operations, stats.spikes, stats.input_spikes
            progress(number + 1)
    return np.sqrt((np.array(errors) ** 2).mean(0)), work


def neurons_and_weights(graph: SpikingGraph) -> tuple[int, int]:
    """How many neurons a graph has, and how many weights are stored for it."""
    return sum(p.n for p in graph.populations.values()), sum(int((c.weight != 0).sum()) for c in graph.connections)


def print_accuracy(accuracy: Accuracy, n_episodes: int, console: Console) -> None:
    """Print the load on the emulator and each estimate's error, and which of them the network does not know."""
    console.print(
        f"on {n_episodes} held-out episodes, {accuracy.seconds:.0f} s, in the emulator's integers:"
        f" {accuracy.events_per_s / 1e3:.1f} k input spikes/s, {accuracy.spikes_per_s / 1e3:.1f} k spikes/s,"
        f" {accuracy.operations_per_s / 1e6:.2f} M synaptic operations/s", soft_wrap=True,
    )  # fmt: skip
    for name, rms in accuracy.integers.items():
        floats, spread = accuracy.floats[name], accuracy.spread[name]
        verdict = "" if rms < LEARNT * spread else ": no better than its mean; do the events show it?"
        console.print(
            f"  {name}: error {rms:.3g} rms in integers, {floats:.3g} in floats; it varies by {spread:.3g}{verdict}",
            soft_wrap=True,
        )
