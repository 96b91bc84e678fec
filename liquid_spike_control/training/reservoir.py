# SPDX-License-Identifier: Apache-2.0
"""Training of a reservoir's readout: by ridge regression, or on line by recursive least squares, FORCE or PES.

No torch. The reservoir runs on the backend that the readout is fitted for; the Loihi emulator by default: what is
fitted is what runs. The first samples are left to the network to forget where it began, the last ones to be tested on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..control.reservoir import OnLineRule, Reservoir, reservoir_model
from ..errors import TaskError
from ..neuromorphic.chip.chips import LOIHI1, ChipLimits
from ..neuromorphic.chip.mapping import place
from ..spiking.leaky_features import LeakyFeatures
from ..spiking.prescribed_error import PrescribedErrorSensitivity
from ..spiking.recursive_least_squares import RecursiveLeastSquares
from ..spiking.reservoir import ReservoirDescription, reservoir_graph
from ..spiking.reservoir_file import ReservoirFile, write_reservoir
from .ridge import chosen_ridge, ridge_regression
from .series import Series

Method = Literal["ridge", "rls", "force", "pes"]
#: Length of a step of the network [s].
STEP_S = 1e-3


@dataclass(frozen=True)
class ReservoirTraining:
    """How a reservoir is made and read.

    Attributes:
        description: of the network.
        code, fields, steps: of the inputs, see :class:`~..spiking.coding.windows.WindowCode`.
        readout_taus: of the leaky rates that are read [steps].
        method: ``ridge``: in one go; ``rls``: sample by sample; ``force``: the same, with the output fed back;
            ``pes``: sample by sample, by the error times the activity.
        regularisation: of rls and force, in squares of a rate.
        forgetting: of rls and force; 1 forgets nothing.
        rate: of pes: the part of its error that a sample takes away.
        washout: samples that are left out at the beginning.
        held_out: part of the samples, the last ones, that are tested on.
    """

    description: ReservoirDescription = field(default_factory=ReservoirDescription)
    code: str = "population"
    fields: int = 16
    steps: int = 10
    readout_taus: tuple[float, ...] = (10.0, 40.0)
    method: Method = "ridge"
    regularisation: float = 0.1
    forgetting: float = 1.0
    rate: float = 0.05
    washout: int = 100
    held_out: float = 0.25

    def rule(self, n_features: int, n_outputs: int) -> OnLineRule:
        """What learns on line by ``method``, without weights.

        Raises:
            TaskError: a number is out of its range.
        """
        if self.method == "pes":
            return PrescribedErrorSensitivity(n_features, n_outputs, self.rate)
        return RecursiveLeastSquares(n_features, n_outputs, self.regularisation, self.forgetting)

    def parts(self, n: int) -> tuple[slice, slice]:
        """Training and held-out samples of n.

        Raises:
            TaskError: there are too few.
        """
        first = n - round(self.held_out * n)
        if first - self.washout < 100 or n - first < 20:
            raise TaskError(f"{n} samples leave too few after a washout of {self.washout}; give more")
        return slice(self.washout, first), slice(first, n)


def untrained(training: ReservoirTraining, series: Series, metadata: dict[str, Any] | None = None) -> ReservoirFile:
    """The reservoir for a series, with a readout of zeros.

    Raises:
        ModelError, TaskError: a number is out of its range, or the network does not fit a chip.
    """
    inputs, outputs = series.signals()
    feedback = training.method == "force"
    heard = inputs + (outputs if feedback else ())
    if not heard:
        raise TaskError(f"{series.source}: it has no input; give one, or --readout force, which feeds its output back")
    n_axons = training.fields * len(heard) if training.code == "population" else 2 * len(heard)
    graph = reservoir_graph(training.description, n_axons)
    features = LeakyFeatures(graph.n_outputs, training.readout_taus)
    readout = features.readout(np.zeros((len(outputs), features.n)), series.targets.mean(0))
    return ReservoirFile(
        inputs=inputs, outputs=outputs, feedback=feedback, code=training.code, fields=training.fields,
        steps=training.steps, step_s=STEP_S, description=training.description, graph=graph, readout=readout,
        metadata=metadata or {},
    )  # fmt: skip


def recorded(
    reservoir: Reservoir, inputs: np.ndarray, progress: Callable[[int], None] = lambda n: None
) -> np.ndarray:
    """Features of a reservoir without feedback that begins at rest, float64 ``(n, n_features)``.

    Args:
        reservoir: from which the features are taken.
        inputs: ``(n, n_inputs)``.
        progress: called with the samples done.
    """
    reservoir.reset()
    features = np.empty((len(inputs), reservoir.weights.shape[1]))
    for t, values in enumerate(inputs):
        reservoir.step(values)
        features[t] = reservoir.features
        if t % 50 == 49:
            progress(t + 1)
    return features


def nrmse(target: np.ndarray, output: np.ndarray) -> float:
    """Root mean square error over the standard deviation of the target."""
    return float(np.sqrt(((output - target) ** 2).mean() / target.var()))


@dataclass(frozen=True, eq=False)
class Trained:
    """A reservoir and how good it is.

    Attributes:
        file: with its readout.
        nrmse: of each output on the held-out samples.
        frozen: why on-line learning stopped before its end; empty if it did not.
        output: float64 ``(n_held_out, n_outputs)``.
        target: alike.
        rate: spikes of a neuron a step.
    """

    file: ReservoirFile
    nrmse: tuple[float, ...]
    frozen: str
    output: np.ndarray
    target: np.ndarray
    rate: float


def trained(
    file: ReservoirFile,
    training: ReservoirTraining,
    series: Series,
    backend: str = "loihi",
    progress: Callable[[float], None] = lambda part: None,
) -> Trained:
    """Fit the readout of a reservoir.

    Args:
        file: from :func:`untrained`.
        training: as there.
        series: as there.
        backend: on which it runs.
        progress: called with the part that is done.

    Raises:
        TaskError: there are too few samples, or the network gives no spike.
    """
    fit, test = training.parts(len(series))
    frozen = ""
    with Reservoir(file, backend) as reservoir:
        if training.method == "ridge":
            x = recorded(reservoir, series.inputs, lambda n: progress(n / len(series)))
            ridge = chosen_ridge(x[fit], series.targets[fit])
            weights, offset = ridge_regression(x[fit], series.targets[fit], ridge)
            output = x[test] @ weights.T + offset
        else:
            rule = training.rule(reservoir.weights.shape[1], len(file.outputs))
            reservoir.reset()
            output = np.empty((test.stop - test.start, len(file.outputs)))
            for t, (values, target) in enumerate(zip(series.inputs, series.targets, strict=True)):
                given = reservoir.step(values)
                if fit.start <= t < fit.stop:
                    reservoir.learn(target, rule)
                elif t >= test.start:
                    output[t - test.start] = given
                if t % 50 == 49:
                    progress((t + 1) / len(series))
            weights, offset, frozen = reservoir.weights, reservoir.offset, rule.frozen
        stats = reservoir.stats()
    if not stats.spikes:
        raise TaskError("the reservoir gave no spike; give a higher --input-gain")
    features = LeakyFeatures(file.graph.n_outputs, training.readout_taus)
    target = series.targets[test]
    errors = tuple(nrmse(target[:, k], output[:, k]) for k in range(target.shape[1]))
    rate = stats.spikes / (stats.steps * file.graph.n_outputs)
    file = replace(file, readout=features.readout(weights, offset))
    return Trained(file, errors, frozen, output, target, rate)


def train_reservoir(
    training: ReservoirTraining,
    series: Series,
    out: Path,
    command: str,
    progress: Callable[[float], None] = lambda part: None,
    chip: ChipLimits = LOIHI1,
) -> Trained:
    """Make, fit and write a reservoir on the Loihi emulator.

    Args:
        training: see :class:`ReservoirTraining`.
        series: to learn from and to test on.
        out: .nir file to write.
        command: what its metadata say made it.
        progress: called with the part that is done.
        chip: one of which must hold the network.

    Raises:
        ModelError, TaskError: a number is out of its range, or no chip holds the network.
        OutputError: the file cannot be written.
    """
    file = untrained(training, series)
    placement = place(reservoir_model(file).network(), chip, chips=1)
    placement.check()
    done = trained(file, training, series, "loihi", progress)
    metadata = {
        "training_command": command,
        "trained_on": series.source,
        "training": asdict(training),
        "held_out_nrmse": dict(zip((s.name for s in file.outputs), done.nrmse, strict=True)),
        "cores": placement.n_cores,
    }
    file = replace(done.file, metadata=metadata)
    return replace(done, file=replace(file, hash=write_reservoir(out, file), source=str(out)))
