# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench snn``: one step of a convolutional SNN, our emulator against hand-written torch.

128x128x2 input, conv 5x5 stride 2 -> 8, conv 3x3 stride 2 -> 16, dense 64, dense 8: 49,224 CUBA-LIF neurons,
random weights, one thread each, batch 1. Both run the same weights, decays and thresholds on the same input,
torch in float32 without rounding, so spikes differ here and there. A step is one call of ``step``.
"""

from __future__ import annotations

import math
import os
import platform
import time
from pathlib import Path

import numpy as np
from rich.table import Table

from .. import __version__
from ..errors import LiquidSpikeError
from ..neuromorphic.emulator.loihi import Conv, Dense, LoihiEmulator, LoihiNetwork, Population
from ..outputs import in_print, save_figure
from ..terminal import Console
from ..types import SpikeTrain
from .goals import beside

LAYERS = ("conv1", "conv2", "dense1", "dense2")
#: Time constants of current and membrane [steps].
TAU_SYN, TAU_MEM = 2.0, 10.0
DECAYS = {
    "du": round(4096 * (1 - math.exp(-1 / TAU_SYN))) - 1,
    "dv": round(4096 * (1 - math.exp(-1 / TAU_MEM))),
}
#: For rates of 2 to 5 % in every layer at 1 % input.
THRESHOLDS = dict(zip(LAYERS, (240, 480, 2200, 400), strict=True))
#: Fractions of the input axons that spike in a step.
FRACTIONS = (0.0001, 0.001, 0.01, 0.1)
WARM_STEPS = 60


def random_network(seed: int) -> LoihiNetwork:
    """The benchmark's network."""
    rng = np.random.default_rng(seed)

    def weights(*shape):
        return 2 * np.clip(np.round(rng.normal(4, 20, shape)), -128, 127).astype(int)

    sizes = dict(zip(LAYERS, (64 * 64 * 8, 32 * 32 * 16, 64, 8), strict=True))
    return LoihiNetwork(
        n_inputs=128 * 128 * 2,
        populations={name: Population(n, vth=THRESHOLDS[name], **DECAYS) for name, n in sizes.items()},
        connections=[
            Conv("input", "conv1", weights(8, 5, 5, 2), (128, 128, 2), stride=2, padding=2),
            Conv("conv1", "conv2", weights(16, 3, 3, 8), (64, 64, 8), stride=2, padding=1),
            Dense("conv2", "dense1", weights(64, sizes["conv2"]) // 16 * 2),
            Dense("dense1", "dense2", weights(8, 64)),
        ],
        outputs=("dense2",),
    )


class TorchNetwork:
    """The same, as one writes it by hand: float32, dense, the one step delay by keeping the last spikes."""

    def __init__(self, network: LoihiNetwork) -> None:
        import torch

        self.torch, self.f = torch, torch.nn.functional
        conv1, conv2, dense1, dense2 = network.connections
        assert isinstance(dense2, Dense)

        def kernel(conv):  # torch correlates, and its axes are C_out, C_in, X, Y
            return torch.tensor(
                np.ascontiguousarray(conv.weights[:, ::-1, ::-1].transpose(0, 3, 1, 2))
            ).float()

        def columns(dense):  # torch flattens with the channels first
            w = dense.synapses.reshape(64, 32, 32, 16).transpose(0, 3, 1, 2)
            return torch.tensor(np.ascontiguousarray(w.reshape(64, -1))).float()

        self.weights = kernel(conv1), kernel(conv2), columns(dense1), torch.tensor(dense2.synapses).float()
        shapes = (1, 8, 64, 64), (1, 16, 32, 32), (1, 64), (1, 8)
        self.u, self.v, self.s = ([torch.zeros(shape) for shape in shapes] for _ in range(3))
        self.input = torch.zeros(1, 2, 128, 128)
        self.keep_u, self.keep_v = 1 - (DECAYS["du"] + 1) / 4096, 1 - DECAYS["dv"] / 4096

    def images(self, dense: np.ndarray):
        """Input of several steps, bool ``(n, 128, 128, 2)``, as :meth:`step` takes it."""
        return self.torch.tensor(dense.transpose(0, 3, 1, 2)[:, None]).float()

    def step(self, image):
        """One step; ``image`` is float32 ``(1, 2, 128, 128)``."""
        f, (w1, w2, w3, w4), (s1, s2, s3, _) = self.f, self.weights, self.s
        inputs = (
            f.conv2d(self.input, w1, stride=2, padding=2),
            f.conv2d(s1, w2, stride=2, padding=1),
            f.linear(s2.flatten(1), w3),
            f.linear(s3, w4),
        )
        spikes = []
        for a, u, v, name in zip(inputs, self.u, self.v, LAYERS, strict=True):
            u.mul_(self.keep_u).add_(a)
            v.mul_(self.keep_v).add_(u)
            s = v > THRESHOLDS[name]
            v.masked_fill_(s, 0.0)
            spikes.append(s.float())
        self.s = spikes
        self.input = image
        return spikes[-1]


def small_network(seed: int) -> LoihiNetwork:
    """The perception of the pencil task: 2048 axons, 128 neurons, 64 with recurrence."""
    rng = np.random.default_rng(seed)
    w = [
        2 * np.clip(np.round(rng.normal(2, 15, s)), -128, 127).astype(int)
        for s in ((128, 2048), (64, 128), (64, 64))
    ]
    return LoihiNetwork(
        2048,
        {"hidden": Population(128, vth=200, **DECAYS), "output": Population(64, vth=200, **DECAYS)},
        [Dense("input", "hidden", w[0]), Dense("hidden", "output", w[1]), Dense("output", "output", w[2])],
    )


def _microseconds(call, argument) -> float:
    start = time.perf_counter_ns()
    call(argument)
    return (time.perf_counter_ns() - start) / 1e3


def _figures(taken: list[float]) -> dict:
    return {"median_us": float(np.median(taken)), "p99_us": float(np.percentile(taken, 99))}


def _fraction(network: LoihiNetwork, peer, fraction: float, n_steps: int) -> dict:
    """Time both on the same input, after warming up."""
    n = n_steps + WARM_STEPS
    dense = np.random.default_rng(1).random((n, 128, 128, 2), np.float32) < fraction
    train, images = SpikeTrain.from_dense(dense.reshape(n, -1)), peer.images(dense)
    emulator, packets = LoihiEmulator(network), [train.step(k) for k in range(n)]
    ours = [_microseconds(emulator.step, ids) for ids in packets][WARM_STEPS:]
    theirs = [_microseconds(peer.step, image) for image in images][WARM_STEPS:]
    stats = emulator.stats()
    return {
        "input_fraction": fraction,
        "ours": _figures(ours),
        "torch": _figures(theirs),
        "torch_over_ours": float(np.median(theirs) / np.median(ours)),
        "synaptic_operations_per_step": stats.synaptic_operations / stats.steps,
        "neuron_updates_per_step": stats.neuron_updates / stats.steps,
        "rates": _rates(network, fraction),
    }


def _rates(network: LoihiNetwork, fraction: float) -> dict[str, float]:
    """Spikes a neuron and step, by layer."""
    dense = np.random.default_rng(2).random((200, network.n_inputs), np.float32) < fraction
    emulator = LoihiEmulator(network)
    trains = emulator.run_all(SpikeTrain.from_dense(dense))
    return {m: len(t.ids) / t.n_steps / network.size(m) for m, t in trains.items()}


def run(
    console: Console, fractions: tuple[float, ...] = FRACTIONS, n_steps: int = 600, rounds: int = 3
) -> dict:
    """Run everything and return what is written as JSON. Of several rounds the fastest of each counts, for us
    and for torch alike: other work on the machine only ever adds time.

    Raises:
        LiquidSpikeError: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise LiquidSpikeError("the benchmark needs torch to compare with; install the extra [train]") from None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    network = random_network(0)
    results = []
    try:
        with torch.inference_mode(), console.status("timing"):
            for fraction in fractions:
                every = [
                    _fraction(network, TorchNetwork(network), fraction, n_steps) for _ in range(rounds)
                ]
                best = every[0]
                for name in ("ours", "torch"):
                    best[name] = min((r[name] for r in every), key=lambda f: f["median_us"])
                best["torch_over_ours"] = best["torch"]["median_us"] / best["ours"]["median_us"]
                results.append(best)
    finally:
        torch.set_num_threads(threads)
    ours = {r["input_fraction"]: r["ours"]["median_us"] for r in results}
    report = {
        "benchmark": "snn",
        "version": __version__,
        "neurons": network.n_neurons,
        "network": network.hash,
        "tau_syn_steps": TAU_SYN,
        "tau_mem_steps": TAU_MEM,
        "thresholds": THRESHOLDS,
        "torch": torch.__version__,
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "results": results,
        "small": _small(),
    }
    if 0.01 in ours:
        (one,) = (r for r in results if r["input_fraction"] == 0.01)
        report["torch_over_ours_at_1_percent"] = one["torch_over_ours"]
        if 0.001 in ours:
            report["cost_at_0.1_over_1_percent"] = ours[0.001] / ours[0.01]
    return report


def _small() -> dict:
    """A network as small as the pencil's perception, ``run`` of 5 steps with 10 input spikes each."""
    emulator, rng = LoihiEmulator(small_network(0)), np.random.default_rng(2)
    packets = [SpikeTrain.from_dense(rng.random((5, 2048)) < 10 / 2048) for _ in range(2000)]
    taken = [_microseconds(emulator.run, packet) / 5 for packet in packets]
    return _figures(taken[100:])


def print_table(report: dict, console: Console) -> None:
    """One row an input fraction, then the verdicts."""
    table = Table(
        title=f"one step of {report['neurons']} neurons, one thread, tau {report['tau_syn_steps']:g} and "
        f"{report['tau_mem_steps']:g} steps; median (p99) us"
    )
    for name in ("input", "ours", "torch", "ratio", "synaptic ops", "live neurons", *LAYERS):
        table.add_column(name, justify="right")
    for r in report["results"]:
        times = (f"{r[m]['median_us']:.1f} ({r[m]['p99_us']:.1f})" for m in ("ours", "torch"))
        table.add_row(
            f"{100 * r['input_fraction']:g} %",
            *times,
            f"{r['torch_over_ours']:.1f}x",
            f"{r['synaptic_operations_per_step']:.0f}",
            f"{r['neuron_updates_per_step']:.0f}",
            *(f"{100 * r['rates'][m]:.1f} %" for m in LAYERS),
        )
    if not console.is_terminal:  # in a pipe nothing is so narrow that digits must go
        console.width = max(console.width, 160)
    console.print(table)
    small = report["small"]
    console.print(
        f"2048 -> 128 -> 64 recurrent, run() of 5 steps: {small['median_us']:.1f} ({small['p99_us']:.1f}) us "
        "a step"
    )
    if "torch_over_ours_at_1_percent" in report:
        ratio = report["torch_over_ours_at_1_percent"]
        console.print(f"torch / ours at 1 % input: {ratio:.1f} ({beside(ratio, least=10)})")
    if "cost_at_0.1_over_1_percent" in report:
        ratio = report["cost_at_0.1_over_1_percent"]
        console.print(f"ours at 0.1 % / ours at 1 %: {ratio:.2f} ({beside(ratio, most=0.25)})")


@in_print()
def plot(report: dict, path: Path) -> None:
    """Step time against the fraction of active input, both axes logarithmic.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    x = [100 * r["input_fraction"] for r in report["results"]]
    lines = ("torch", "torch, float32", "tab:gray"), ("ours", "emulator, exact integers", "tab:blue")
    for name, label, colour in lines:
        y = [r[name]["median_us"] for r in report["results"]]
        axes.loglog(x, y, "o-", color=colour, label=label)
        for at, value in zip(x, y, strict=True):
            axes.annotate(
                f"{value:.3g}", (at, value), (0, 6), textcoords="offset points", ha="center", fontsize=8
            )
    axes.set_xlabel("input axons that spike in a step [%]")
    axes.set_ylabel("time of a step [us], median")
    axes.set_title(f"{report['neurons']} neurons, one thread, batch 1", fontsize=10)
    axes.margins(x=0.08, y=0.15)
    axes.grid(which="both", alpha=0.25)
    axes.legend()
    save_figure(figure, path, dpi=100)
