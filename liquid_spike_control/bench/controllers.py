# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike bench controllers``: one step of each kind of controller beside ncps and onnxruntime, in one run.

Every step is complete, from an observation (float64, numpy) and an elapsed time to a command (float64, numpy),
batch 1, one thread, each peer with its own state: ours is ``Controller.step`` with all its checks, ncps (for the GRU,
LSTM and MLP torch) its cell, a linear readout and tanh in eager mode without gradients, onnxruntime our exported graph
with buffers bound beforehand. The cell of ncps alone, without what is around it, is timed as well. They take turns, and
of several rounds the least median and the least 99th percentile count: other work on the machine only ever adds time.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from .. import __version__
from ..checkpoint import ControllerFile
from ..errors import LiquidSpikeError, TaskError
from ..liquid.controller import new_controller
from ..options import StepsOptions
from ..outputs import in_print, save_figure, write_json
from ..terminal import Console
from .goals import beside

N_OBSERVATIONS, PERIOD_S = 6, 0.02
STEPS = 250
#: Peers that ours is compared with, and what they are called.
PEERS = {"ncps": "ncps, torch", "cell": "cell alone", "onnxruntime": "onnxruntime"}

Step = Callable[[], Any]


@dataclass(frozen=True)
class Candidate:
    """One kind of network.

    Attributes:
        name: in the table.
        new: makes ours as a file, and the peer's cell and readout.
        goals: required speedup of a step over each peer.
        same_weights: the peer's cell has the same weights, so that its commands must be ours.
    """

    name: str
    new: Callable[[], tuple[ControllerFile, Any, Any]]
    goals: dict[str, float]
    same_weights: bool = True


def candidates() -> tuple[Candidate, ...]:
    """Return the candidates. Each builds a network of random weights.

    Raises:
        LiquidSpikeError: torch or ncps is not installed.
    """
    try:
        import torch
        from ncps.torch import LTC, CfC
        from ncps.wirings import AutoNCP
        from torch import nn

        from ..liquid.architecture import named
        from ..liquid.ncps_import import from_ncps
        from ..liquid.policies import new_policy
    except ModuleNotFoundError as error:
        raise LiquidSpikeError(f"the benchmark needs {error.name} to compare with; install the extra [train]") from None

    described: dict[str, Any] = {
        "observation_names": [f"o{k}" for k in range(N_OBSERVATIONS)], "observation_units": ["1"] * N_OBSERVATIONS,
        "command_names": ["u"], "command_units": ["N"],
    }  # fmt: skip

    def of_ncps(new: Callable[[], Any]) -> Callable[[], tuple[ControllerFile, Any, Any]]:
        def make() -> tuple[ControllerFile, Any, Any]:
            torch.manual_seed(0)
            module = new()
            readout = nn.Linear(module.output_size, 1)
            file = from_ncps(
                module, command_limits=[10.0], nominal_period_s=PERIOD_S, readout=readout, output="tanh", **described
            )
            return file, module, readout

        return make

    def of_torch(name: str, module: Callable[[], Any], **changes: Any) -> Callable[[], tuple[ControllerFile, Any, Any]]:
        def make() -> tuple[ControllerFile, Any, Any]:
            torch.manual_seed(0)
            architecture = named(name, elapsed_input=False, elapsed_span=False, **changes)
            policy = new_policy(architecture, [1.0] * N_OBSERVATIONS, [10.0], PERIOD_S, seed=0)
            file = policy.to_file(task="benchmark", training_command="none", training_seeds=(0, 0), **described)
            return file, module(), nn.Linear(64, 1)

        return make

    n = N_OBSERVATIONS
    return (
        Candidate("CfC 19, AutoNCP", of_ncps(lambda: CfC(n, AutoNCP(19, 4))), {"ncps": 100, "onnxruntime": 4}),
        Candidate("CfC 19, backbone 38", of_ncps(lambda: CfC(n, 19, backbone_units=38)), {}),
        Candidate("CfC 64, backbone 128", of_ncps(lambda: CfC(n, 64)), {"ncps": 30, "onnxruntime": 4}),
        Candidate("CfC-mm 32", of_ncps(lambda: CfC(n, 32, mixed_memory=True, backbone_units=64)), {}),
        Candidate("LTC 19, AutoNCP", of_ncps(lambda: LTC(n, AutoNCP(19, 4))), {}),
        Candidate("LTC 64", of_ncps(lambda: LTC(n, 64)), {"ncps": 20, "onnxruntime": 4}),
        Candidate("GRU 64", of_torch("gru", lambda: nn.GRUCell(n, 64), units=64), {}, False),
        Candidate("LSTM 64", of_torch("lstm", lambda: nn.LSTMCell(n, 64), units=64), {}, False),
        Candidate(
            "MLP 64, 64",
            of_torch("mlp", lambda: nn.Sequential(nn.Linear(n, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())),
            {},
            False,
        ),
    )


def _eager(file: ControllerFile, module: Any, readout: Any, observation: np.ndarray) -> tuple[Step, Step]:
    """The peer's whole step, and its cell alone."""
    import torch
    from ncps.torch import LTC, CfC

    limit, span, liquid = file.command_limits[0], torch.ones(1, 1), isinstance(module, CfC | LTC)
    scales = np.array(file.observation_scales)
    units = file.architecture.units
    state: dict[str, Any] = {"h": torch.zeros(1, units), "c": torch.zeros(1, units)}

    def cell(x: torch.Tensor, span: torch.Tensor) -> torch.Tensor:
        if isinstance(module, torch.nn.LSTMCell):
            state["h"], state["c"] = module(x, (state["h"], state["c"]))
        elif isinstance(module, torch.nn.GRUCell):
            state["h"] = module(x, state["h"])
        elif not liquid:
            return module(x)
        else:
            if module.use_mixed:
                state["h"], state["c"] = module.lstm(x, (state["h"], state["c"]))
            out, state["h"] = module.rnn_cell(x, state["h"], span)
            return out
        return state["h"]

    def whole() -> np.ndarray:
        x = torch.from_numpy((observation / scales).astype(np.float32)).unsqueeze(0)
        out = cell(x, torch.full((1, 1), PERIOD_S / file.nominal_period_s))
        return limit * torch.tanh(readout(out))[0].numpy().astype(float)

    fixed = torch.from_numpy(observation.astype(np.float32)).unsqueeze(0)
    return whole, lambda: cell(fixed, span)


def _bound(file: ControllerFile, observation: np.ndarray) -> Step:
    """The step on onnxruntime. Inputs, outputs and two copies of the state are bound once; the copies change places.

    Raises:
        LiquidSpikeError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise LiquidSpikeError("the benchmark needs onnxruntime to compare with; install the extra [onnx]") from None
    from ..liquid.onnx_export import state_names, to_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(to_onnx(file).SerializeToString(), options, ["CPUExecutionProvider"])
    x, elapsed = np.zeros((1, len(file.observation_names)), np.float32), np.zeros((1, 1), np.float32)
    command, names = np.zeros((1, 1), np.float32), state_names(file)
    states = [{name: np.zeros((1, file.architecture.units), np.float32) for name in names} for _ in range(2)]

    def value(array: np.ndarray) -> Any:
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)

    kept = [{name: value(array) for name, array in state.items()} for state in states]
    given = {"observation": value(x), "elapsed": value(elapsed)}
    out = value(command)
    bindings = []
    for before, after in ((0, 1), (1, 0)):
        binding = session.io_binding()
        for name, ort in given.items():
            binding.bind_ortvalue_input(name, ort)
        for name in names:
            binding.bind_ortvalue_input(name, kept[before][name])
            binding.bind_ortvalue_output(f"next_{name}", kept[after][name])
        binding.bind_ortvalue_output("command", out)
        bindings.append(binding)
    turn = [0]
    views = {name: ort.numpy() for name, ort in given.items()} | {"command": out.numpy()}

    def whole() -> np.ndarray:
        views["observation"][0] = observation
        views["elapsed"][0, 0] = PERIOD_S
        session.run_with_iobinding(bindings[turn[0]])
        turn[0] ^= 1
        return views["command"][0].astype(float)

    return whole


def _apart(ours: Step, peers: list[Step], n_steps: int = 100) -> float:
    """Greatest difference of our commands from those of any peer; all at the beginning of an episode."""
    commands = [(ours(), [peer() for peer in peers]) for _ in range(n_steps)]
    return max(float(np.abs(theirs - mine).max()) for mine, every in commands for theirs in every)


def _measure(steps: dict[str, Step], rounds: int) -> dict[str, dict[str, float]]:
    """Median and 99th percentile [us] of each, either from the round in which it was least."""
    best: dict[str, dict[str, float]] = {}
    for step in steps.values():
        for _ in range(STEPS):
            step()
    for _ in range(rounds):
        for name, step in steps.items():
            taken = np.empty(STEPS)
            for k in range(STEPS):
                start = time.perf_counter_ns()
                step()
                taken[k] = time.perf_counter_ns() - start
            p50, p99 = np.percentile(taken, [50, 99]) * 1e-3
            least = best.setdefault(name, {"p50_us": np.inf, "p99_us": np.inf})
            least["p50_us"], least["p99_us"] = min(least["p50_us"], float(p50)), min(least["p99_us"], float(p99))
    return best


def run(console: Console, rounds: int) -> dict:
    """Run everything and return what is written as JSON.

    Raises:
        LiquidSpikeError: torch, ncps or onnxruntime is not installed.
    """
    every = candidates()
    import ncps
    import onnxruntime
    import torch

    from ..liquid.architecture import synapses_in, tensor_shapes, used, wirings_of

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    observation = np.random.default_rng(0).normal(size=N_OBSERVATIONS)
    results = []
    try:
        with torch.inference_mode(), console.status("timing"):
            for candidate in every:
                file, module, readout = candidate.new()
                controller = new_controller(file)
                controller.warm()
                whole, cell = _eager(file, module, readout, observation)
                bound = _bound(file, observation)
                ours_step = partial(controller.step, observation, PERIOD_S)
                steps: dict[str, Step] = {"ours": ours_step, "ncps": whole, "cell": cell, "onnxruntime": bound}
                peers = [bound, whole] if candidate.same_weights else [bound]
                apart = _apart(ours_step, peers) / file.command_limits[0]
                figures = _measure(steps, rounds)
                a = file.architecture
                counts = used(a, tensor_shapes(a, N_OBSERVATIONS, 1), wirings_of(a, file.tensors, 1))
                ours = figures["ours"]["p50_us"]
                results.append({
                    "name": candidate.name,
                    "parameters": sum(counts.values()),
                    "synapses": synapses_in(counts),
                    **figures,
                    "ratios": {peer: figures[peer]["p50_us"] / ours for peer in PEERS},
                    "goals": candidate.goals,
                    "apart": apart,
                })  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    return {
        "benchmark": "controllers",
        "version": __version__,
        "peers": {"torch": torch.__version__, "ncps": getattr(ncps, "__version__", "1"),
                  "onnxruntime": onnxruntime.__version__},
        "machine": {
            "processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version(),
        },
        "rounds": rounds,
        "steps": STEPS,
        "results": results,
    }  # fmt: skip


def controllers_command(options: StepsOptions) -> int:
    """Run the benchmark, print the table and write the requested files.

    Raises:
        TaskError: a folder to write to is not there.
    """
    console = Console()
    if options.rounds < 1:
        raise TaskError(f"--rounds {options.rounds}; give at least 1")
    report = run(console, options.rounds)
    print_table(report, console)
    if options.plot:
        plot(report, options.plot)
    write_json(options.json, report)
    return 0


def print_table(report: dict, console: Console) -> None:
    """One row a network, then the goals."""
    table = Table(title="one step of a controller, batch 1, one thread: median in us, and how many times ours")
    for name in ("network", "ours (p99)", *PEERS.values()):
        table.add_column(name, justify="left" if name == "network" else "right")
    for r in report["results"]:
        cells = (f"{r[p]['p50_us']:.1f}  {r['ratios'][p]:3.0f}x" for p in PEERS)
        table.add_row(r["name"], f"{r['ours']['p50_us']:.2f} ({r['ours']['p99_us']:.2f})", *cells)
    console.print(table)
    for r in report["results"]:
        for peer, goal in r["goals"].items():
            ratio = r["ratios"][peer]
            console.print(f"{r['name']}: {ratio:.1f} times as fast as {PEERS[peer]} ({beside(ratio, least=goal)})")
    tails = [r["ours"]["p99_us"] / r["ours"]["p50_us"] for r in report["results"]]
    console.print(f"ours, p99 / p50: {min(tails):.2f} to {max(tails):.2f} ({beside(max(tails), most=2)})")
    apart = max(r["apart"] for r in report["results"])
    console.print(f"commands differ from those of ncps and onnxruntime by at most {apart:.1e} of their limit")


@in_print()
def plot(report: dict, path: Path) -> None:
    """Step times side by side, logarithmic.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    results = report["results"][::-1]
    figure = Figure(figsize=(7, 0.6 + 0.55 * len(results)), layout="constrained")
    axes = figure.add_subplot()
    rows = np.arange(len(results))
    shown = (("ours", "liquid_spike_control", "tab:blue"), ("onnxruntime", "onnxruntime", "tab:orange"),
             ("ncps", "ncps or torch, eager", "tab:gray"))  # fmt: skip
    for k, (name, label, colour) in enumerate(shown):
        times = [r[name]["p50_us"] for r in results]
        bars = axes.barh(rows + 0.27 * (1 - k), times, 0.25, color=colour, label=label)
        axes.bar_label(bars, [f"{t:.3g}" for t in times], padding=2, fontsize=7)
    axes.set_yticks(rows, [r["name"] for r in results])
    axes.set_xscale("log")
    axes.set_xlabel("median time of a step [us], from observation to command")
    axes.margins(x=0.1)
    axes.grid(axis="x", which="both", alpha=0.25)
    axes.legend(loc="lower right", fontsize=8)
    save_figure(figure, path, dpi=150)
