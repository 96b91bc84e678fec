# SPDX-License-Identifier: Apache-2.0
"""The command ``liquid-spike bench reservoir``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import Progress

from ... import __version__
from ...control.reservoir import Reservoir, reservoir_model
from ...errors import LiquidSpikeError, TaskError
from ...liquid.echo_state import EchoStateNetwork
from ...neuromorphic.chip.chips import LOIHI1
from ...neuromorphic.chip.mapping import place
from ...outputs import write_json
from ...spiking.reservoir import ReservoirDescription, spectral_radius
from ...spiking.topology import TOPOLOGIES
from ...terminal import Console
from ...training.reservoir import ReservoirTraining, nrmse, recorded, untrained
from ...training.reservoir_command import training_of
from ...training.ridge import chosen_ridge, ridge_regression
from ...training.series import Series, narma10
from ..entry import names_in, numbers_in, seed_range
from . import measures, report

if TYPE_CHECKING:
    from ...options import BenchReservoirOptions

#: Ways to run a reservoir, and its peers.
MODELS = ("loihi", "float", "rls", "pes", "esn", "cfc")
#: What spikes are compared with at each spectral radius.
ECHO_STATE = "echo-state network"
#: Longest lag of the memory curve [samples].
LONGEST_LAG = 60
#: Pairs of streams whose distance is measured.
N_PAIRS = 10


def reservoir_command(options: BenchReservoirOptions) -> int:
    """Run the models on every seed, print the table and write what was asked for."""
    console = Console()
    if options.topologies or options.gains:
        return _compare_topologies(options, console)
    models = names_in(options.models) or MODELS
    for model in models:
        if model not in MODELS:
            raise TaskError(f"--models: unknown model '{model}'; known models: {', '.join(MODELS)}")
    seeds = seed_range(options.seeds)
    results: list[dict[str, Any]] = []
    with Progress(console=console, transient=True) as bars:
        for seed in seeds:
            bar = bars.add_task(f"seed {seed}", total=len(models))
            results += _of_seed(
                models, seed, options, lambda part, what, bar=bar, seed=seed: bars.update(  # type: ignore[misc]
                    bar, completed=part, description=f"seed {seed}: {what}"
                ),
            )  # fmt: skip
            bars.remove_task(bar)
    document = {
        "benchmark": "reservoir", "version": __version__, "training_samples": options.samples,
        "test_samples": options.samples // 2, "steps": options.steps, "code": options.code, "seeds": list(seeds),
        "reservoir": asdict(training_of(options, seeds[0]).description), "results": results,
    }  # fmt: skip
    report.print_table(document, console)
    if options.plot:
        report.plot(document, options.plot)
    write_json(options.json, document)
    return 0


def _compare_topologies(options: BenchReservoirOptions, console: Console) -> int:
    """NARMA-10 and memory of the integers by topology and radius, beside an echo-state network of each radius."""
    if options.models or options.plot:
        raise TaskError("--topologies and --gains print a table of integers; leave --models and --plot out")
    names, seeds = names_in(options.topologies) or TOPOLOGIES, seed_range(options.seeds)
    gains = numbers_in(options.gains, "--gains") if options.gains else (options.gain,)
    cells = [(name, gain, seed) for name in (*names, ECHO_STATE) for gain in gains for seed in seeds]
    results: list[dict[str, Any]] = []
    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task("", total=len(cells))
        for number, (name, gain, seed) in enumerate(cells):
            training = training_of(replace(options, gain=gain), seed)
            series, fit, test = _series(training, options, seed)

            def progress(part: float, number: int = number, name: str = name, gain: float = gain) -> None:
                bars.update(bar, completed=number + part, description=f"{name}, {gain:g}")

            progress(0.0)
            if name == ECHO_STATE:
                result = _echo_state(training.description, series, fit, test, seed, progress, radius=gain)
            else:
                described = replace(training.description, topology=name)
                training = replace(training, description=described)
                result, _ = _spiking("loihi", training, series, fit, test, seed, progress, short=True)
            results.append({"topology": name, "gain": gain, "seed": seed, **result})
    document = {
        "benchmark": "reservoir topologies", "version": __version__, "training_samples": options.samples,
        "test_samples": options.samples // 2, "steps": options.steps, "code": options.code, "seeds": list(seeds),
        "reservoir": asdict(training_of(options, seeds[0]).description), "results": results,
    }  # fmt: skip
    report.print_topologies(document, console)
    write_json(options.json, document)
    return 0


def _series(training: ReservoirTraining, options: BenchReservoirOptions, seed: int) -> tuple[Series, slice, slice]:
    """The series of a seed, and its samples to learn from and to test on."""
    series = narma10(training.washout + options.samples + options.samples // 2, seed)
    fit = slice(training.washout, training.washout + options.samples)
    return series, fit, slice(fit.stop, len(series))


def _of_seed(
    models: tuple[str, ...], seed: int, options: BenchReservoirOptions, show: Callable[[float, str], None]
) -> list[dict[str, Any]]:
    """Results of every model on one seed: of the series, of the reservoir and of its peers."""
    training = training_of(options, seed)
    series, fit, test = _series(training, options, seed)
    results, features = [], np.empty((0, 0))
    for number, model in enumerate(models):

        def progress(part: float, number: int = number, model: str = model) -> None:
            show(number + part, report.NAMES[model])

        progress(0.0)
        if model in ("loihi", "float"):
            result, x = _spiking(model, training, series, fit, test, seed, progress)
            features = x if model == "loihi" else features
        elif model in ("rls", "pes"):
            if not features.size:
                _, features = _spiking("loihi", training, series, fit, test, seed, progress, short=True)
            on_line = replace(training, method="rls" if model == "rls" else "pes")
            result = _on_line(features, on_line, series, fit, test, progress)
        elif model == "esn":
            result = _echo_state(training.description, series, fit, test, seed, progress)
        else:
            result = _cfc(series, fit, test, seed, progress)
        results.append({"model": model, "seed": seed, **result})
    return results


def _spiking(
    backend: str,
    training: ReservoirTraining,
    series: Series,
    fit: slice,
    test: slice,
    seed: int,
    progress: Callable[[float], None],
    short: bool = False,
) -> tuple[dict[str, Any], np.ndarray]:
    """A reservoir on a backend; returns its features too. ``short`` leaves the other measures out."""
    file = untrained(training, series)
    placement = place(reservoir_model(file).network(), LOIHI1, chips=1)
    placement.check()
    n_streams = 0 if short else min(file.graph.n_outputs, 200)
    with Reservoir(file, backend) as reservoir:
        total = len(series) + 2 * n_streams * measures.RANK_SAMPLES + N_PAIRS * 5 * 40
        x = recorded(reservoir, series.inputs, lambda n: progress(n / total))
        stats = reservoir.stats()
        result = {
            **_fitted(x, series, fit, test),
            "rate": stats.spikes / (stats.steps * file.graph.n_outputs),
            "operations_per_sample": stats.synaptic_operations / len(series),
            "spectral_radius": spectral_radius(file.graph),
            "cores": placement.n_cores,
        }
        if short:
            return result, x
        low, half = file.inputs[0].middle, file.inputs[0].half
        done = [len(series)]

        def states(inputs: np.ndarray) -> np.ndarray:
            return recorded(reservoir, low + half * inputs)

        def count(samples: int) -> Callable[[], None]:
            def one() -> None:
                done[0] += samples
                progress(min(1.0, done[0] / total))

            return one

        return result | _measured(states, n_streams, seed, count), x


def _measured(states: measures.States, n_streams: int, seed: int, count: Callable[[int], Callable]) -> dict[str, Any]:
    kernel, noisy = measures.ranks(states, n_streams, np.random.default_rng((seed, 1)), count(measures.RANK_SAMPLES))
    distances = measures.separation(states, N_PAIRS, np.random.default_rng((seed, 2)), count(5 * 40))
    return {"streams": n_streams, "kernel_rank": kernel, "noise_rank": noisy, "separation": distances.tolist()}


def _fitted(x: np.ndarray, series: Series, fit: slice, test: slice) -> dict[str, Any]:
    """NARMA-10 and memory of states by ridge regression."""
    y = series.targets
    ridge = chosen_ridge(x[fit], y[fit])
    weights, offset = ridge_regression(x[fit], y[fit], ridge)
    output = x[test] @ weights.T + offset
    after = slice(max(fit.start, LONGEST_LAG), fit.stop)
    curve = measures.memory_curve(x, series.inputs[:, 0], after, test, LONGEST_LAG)
    return {
        "nrmse": nrmse(y[test], output), "ridge": ridge, "trained_numbers": weights.size + offset.size,
        "memory_capacity": float(curve.sum()), "memory_curve": curve.tolist(),
        "target": y[test][:100, 0].tolist(), "output": output[:100, 0].tolist(),
    }  # fmt: skip


def _on_line(
    x: np.ndarray,
    training: ReservoirTraining,
    series: Series,
    fit: slice,
    test: slice,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """The same reservoir, its readout learnt sample by sample."""
    rule = training.rule(x.shape[1], 1)
    for t in range(fit.start, fit.stop):
        rule.learn(x[t], series.targets[t])
        if t % 50 == 0:
            progress((t - fit.start) / (fit.stop - fit.start))
    output = x[test] @ rule.weights.T + rule.offset
    error = nrmse(series.targets[test], output)
    return {"nrmse": error, "trained_numbers": rule.weights.size + 1, "frozen": rule.frozen}


def _echo_state(
    description: ReservoirDescription,
    series: Series,
    fit: slice,
    test: slice,
    seed: int,
    progress: Callable[[float], None],
    radius: float | None = None,
) -> dict[str, Any]:
    """As many units as the reservoir has neurons; with a radius, memory and NARMA-10 alone."""
    (signal,), _ = series.signals()
    network = EchoStateNetwork(description.n_neurons, 1, seed=seed, radius=0.95 if radius is None else radius)
    x = network.states((series.inputs - signal.middle) / signal.half)
    progress(0.5)
    if radius is not None:
        return _fitted(x, series, fit, test)
    n_streams = min(description.n_neurons, 200)
    return _fitted(x, series, fit, test) | _measured(network.states, n_streams, seed, lambda samples: lambda: None)


def _cfc(
    series: Series, fit: slice, test: slice, seed: int, progress: Callable[[float], None]
) -> dict[str, Any]:
    try:
        from .cfc import fitted
    except ImportError:
        raise LiquidSpikeError(
            "the CfC is trained and needs torch; pip install torch, or --models loihi,float,rls,pes,esn"
        ) from None
    error, numbers, seconds = fitted(series, fit, test, seed, progress)
    return {"nrmse": error, "trained_numbers": numbers, "training_s": seconds}
