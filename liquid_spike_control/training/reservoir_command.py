# SPDX-License-Identifier: Apache-2.0
"""The command ``liquid-spike train reservoir``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from ..errors import TaskError
from ..outputs import in_print, save_figure
from ..spiking.reservoir import ReservoirDescription
from ..terminal import Console
from .reservoir import Method, ReservoirTraining, Trained, train_reservoir, trained
from .series import narma10, read_csv

if TYPE_CHECKING:
    from ..options import TrainReservoirOptions
    from ..options.reservoirs import ReservoirOptions


def training_of(options: ReservoirOptions, seed: int, method: Method = "ridge") -> ReservoirTraining:
    """The training of the reservoir of a seed, as options give it."""
    description = ReservoirDescription(
        n_neurons=options.neurons, topology=options.topology, gain=options.gain, inhibitory=options.inhibitory,
        input_gain=options.input_gain, longest_delay=options.delay, longest_input_delay=options.delay, seed=seed,
    )  # fmt: skip
    return ReservoirTraining(
        description, code=options.code, steps=options.steps, method=method,
        regularisation=options.regularisation, forgetting=options.forgetting, rate=options.rate,
    )  # fmt: skip


def reservoir_command(options: TrainReservoirOptions) -> int:
    """Train a reservoir, write it, and print how good it is on the emulator and in float64.

    Raises:
        TaskError, ModelError: an option or the series is wrong, or no chip holds the network.
    """
    console = Console()
    if options.series == "narma10":
        if options.target:
            raise TaskError("--target belongs to a .csv file; narma10 has one target")
        series = narma10(options.samples, options.seed)
    else:
        series = read_csv(Path(options.series), options.target)
    training = training_of(options, options.seed, options.readout)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("Loihi emulator", total=1.0)
        done = train_reservoir(
            training, series, options.out, _command(options), lambda part: progress.update(bar, completed=part)
        )
        bar = progress.add_task("float64", total=1.0)
        floats = trained(done.file, training, series, "float", lambda part: progress.update(bar, completed=part))
    cores = done.file.metadata["cores"]
    console.print(
        f"{options.out}: {options.neurons} neurons on {cores} Loihi core{'s' * (cores != 1)}, {done.rate:.3f} spikes "
        f"of a neuron a step; NRMSE on {len(done.target)} held-out samples:", soft_wrap=True,
    )  # fmt: skip
    for signal, error, other in zip(done.file.outputs, done.nrmse, floats.nrmse, strict=True):
        console.print(f"  {signal.name}: {error:.3f} in integers, {other:.3f} in float64")
    if done.frozen:
        console.print(f"learning on line froze: {done.frozen}", soft_wrap=True)
    if options.plot:
        _plot(done, options.plot)
    return 0


def _command(options: TrainReservoirOptions) -> str:
    """The command line that repeats the training."""
    defaults, said = type(options)(), []
    for name, value in vars(options).items():
        if name in ("series", "out", "plot") or value == getattr(defaults, name):
            continue
        said.append(f"--{name.replace('_', '-')} {' '.join(value) if isinstance(value, tuple) else value}")
    return " ".join(["liquid-spike train reservoir", Path(options.series).name, *said])


@in_print()
def _plot(done: Trained, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.4 * len(done.nrmse) + 0.6), layout="constrained")
    every = figure.subplots(len(done.nrmse), 1, squeeze=False, sharex=True)[:, 0]
    for k, (axes, signal) in enumerate(zip(every, done.file.outputs, strict=True)):
        axes.plot(done.target[:300, k], color="0.3", label="target")
        axes.plot(done.output[:300, k], color="tab:blue", label=f"reservoir, NRMSE {done.nrmse[k]:.3f}")
        axes.set_ylabel(signal.name)
        axes.legend(fontsize=8)
    every[-1].set_xlabel("held-out sample")
    save_figure(figure, path)
