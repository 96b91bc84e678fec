# SPDX-License-Identifier: Apache-2.0
"""The graph in real time and two bare rclpy processes, side by side on the same machine at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ...errors import GraphError
from ...outputs import write_json
from ...terminal import Console
from ..graph import GATED_COMMAND, LISTENERS, GraphOptions, environment
from ..progress import Progress
from ..ros import require_ros

if TYPE_CHECKING:
    from ...options import HopsOptions

#: What a hop of ours may cost in those of the bare processes.
BOUND = 2.0
#: Time that the bare listener is given to start and to find its talker [s].
START_S = 3.0
#: The pushes of the episode [N s]: the load of an ordinary run.
PUSH = 0.03


def hops_command(options: HopsOptions) -> int:
    """Measure, print the table and write the requested file.

    Raises:
        LiquidSpikeError: the graph cannot be started, or an output cannot be written.
    """
    require_ros("bench hops")
    report = measure(options.duration, options.priority, Console(stderr=True))
    print_table(report, Console())
    write_json(options.json, report)
    return 0


def measure(duration_s: float, priority: int, console: Console) -> dict:
    """Run both for so long.

    Returns:
        ``bare`` and each of ``hops``: median and 99th percentile [us]; ``sensing_to_command``: the same;
        ``gated_command_p99_ratio``: of the hop of the gated command to the largest of the others;
        ``deadline_misses``, ``ticks``, ``real_time_factor``.

    Raises:
        GraphError: the graph did not come up, the pencil fell, or the bare processes did not find each other.
    """
    from ..supervisor import EpisodeSupervisor

    settings = {"push": PUSH}
    graph_options = GraphOptions(
        mode="realtime", settings=settings, duration_s=duration_s, seed=5, priority=priority
    )  # fmt: skip
    progress = Progress(console, duration_s)
    with EpisodeSupervisor(graph_options, keep=False, console=Console(stderr=True, quiet=True)) as supervisor:
        with _bare(duration_s) as listener, progress:
            supervisor.run(progress)
            output, _ = listener.communicate(timeout=duration_s + 30)
        status, outcome = supervisor.monitor.status, supervisor.monitor.report()
    if not outcome.success:
        raise GraphError(f"the pencil fell after {outcome.elapsed_s:.1f} s; nothing was measured")
    bare = json.loads(output) if output else {}
    if not bare.get("messages"):
        raise GraphError("the bare processes did not receive each other's messages; is another discovery range set?")
    hops = {
        f"{topic} to {node}": _percentiles(values, f"hop {topic}")
        for node, values in status.items()
        for topic in LISTENERS
        if f"hop {topic}_us_p50" in values
    }
    gated = [p99 for hop, (_, p99) in hops.items() if hop.startswith(f"{GATED_COMMAND} ")]
    others = [p99 for hop, (_, p99) in hops.items() if not hop.startswith(f"{GATED_COMMAND} ")]
    return {
        "benchmark": "hops",
        "duration_s": duration_s,
        "priority": priority,
        "bare": (bare["p50_us"], bare["p99_us"]),
        "bare_messages": bare["messages"],
        "hops": hops,
        "gated_command_p99_ratio": max(gated) / max(others),
        "sensing_to_command": _percentiles(status["simulator"], "sensing to command"),
        "deadline_misses": int(status["simulator"].get("deadline_misses", 0)),
        "ticks": int(status["simulator"]["ticks"]),
        "real_time_factor": outcome.real_time_factor,
    }


def _percentiles(values: dict[str, str], name: str) -> tuple[float, float]:
    return float(values[f"{name}_us_p50"]), float(values[f"{name}_us_p99"])


@contextmanager
def _bare(duration_s: float) -> Iterator[subprocess.Popen]:
    """The two bare processes; gives the listener, which ends by itself and prints."""
    program = [sys.executable, "-m", f"{__package__}.bare"]
    talker = subprocess.Popen([*program, "talker"], env=environment(), stdout=subprocess.DEVNULL)
    seconds = f"{duration_s + START_S:g}"
    listener = subprocess.Popen([*program, "listener", seconds], env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        yield listener
    finally:
        for process in (talker, listener):
            process.kill()
            process.wait()


def print_table(report: dict, console: Console) -> None:
    """One row a hop, with its cost in those of the bare processes."""
    bare = report["bare"]
    title = f"hops at 200 Hz for {report['duration_s']:g} s, beside two bare rclpy processes"
    table = Table(title=title, caption=f"asked: at most {BOUND:g} times the bare processes' hop")
    table.add_column("hop")
    for column in ("p50, ms", "p99, ms", "p50, times bare", "p99, times bare"):
        table.add_column(column, justify="right")

    def row(name: str, values: tuple[float, float], compared: bool) -> None:
        ratios = [value / theirs for value, theirs in zip(values, bare, strict=True)]
        marks = [Text(f"{r:.2f}", "bold red") if r > BOUND else f"{r:.2f}" for r in ratios] if compared else ["", ""]
        table.add_row(name, *(f"{value / 1e3:.3f}" for value in values), *marks)

    row("bare: talker to listener", bare, compared=False)
    for name, values in report["hops"].items():
        row(name, values, compared=True)
    row("sensing to command", report["sensing_to_command"], compared=False)
    console.print(table)
    console.print(f"p99 of the gated command's hop: {report['gated_command_p99_ratio']:.2f} times the largest other")
    misses, ticks = report["deadline_misses"], report["ticks"]
    console.print(f"deadlines missed: {misses} of {ticks} ({100 * misses / max(ticks, 1):.2f} %)")
    console.print(f"speed: {report['real_time_factor']:.2f}x real time")
