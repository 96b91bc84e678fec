# SPDX-License-Identifier: Apache-2.0
"""What a run came to: the numbers of each tick, and the table and JSON made of them. The same with and
without ROS.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from .graph import GraphOptions


@dataclass
class History:
    """What happened at each stamp [ns].

    Attributes:
        truth: cart position [m], cart velocity [m/s], pole angle [rad], pole rate [rad/s].
        estimates: pole angle [rad], pole rate [rad/s].
        forces: behind the gate [N]; the first command of a stamp is the one that counts.
        events: EVENT arrays, where they are kept for a plot.
        spikes: output spikes, (start [ns], steps, neurons), where they are kept for a plot.
    """

    truth: dict[int, tuple[float, ...]] = field(default_factory=dict)
    estimates: dict[int, tuple[float, ...]] = field(default_factory=dict)
    forces: dict[int, float] = field(default_factory=dict)
    events: list[np.ndarray] = field(default_factory=list)
    spikes: list[tuple[int, np.ndarray, np.ndarray]] = field(default_factory=list)

    def errors(self) -> np.ndarray:
        """Estimate minus truth at the stamps that have both, shape ``(n, 2)``: angle [rad], rate [rad/s]."""
        pairs = [
            (self.estimates[t], self.truth[t][2:]) for t in sorted(self.estimates.keys() & self.truth.keys())
        ]
        return np.array([np.subtract(*pair) for pair in pairs]).reshape(-1, 2)

    def commands(self) -> np.ndarray:
        """The gated commands of the ticks, in order [N]; NaN where a tick had none."""
        return np.array([self.forces.get(stamp, math.nan) for stamp in sorted(self.truth)])


@dataclass
class Report:
    """The outcome of a run.

    Attributes:
        balanced: whether the pole stood, on the rail, to the end.
        elapsed_s: simulated time until it fell, or the end.
        latencies_us: name to (p50, p99) [us].
        deadline_misses: None where there is no deadline.
        real_time_factor: simulated time over wall time; ``real_time_factor_least`` in the slowest half second, None
            where it was not watched. Below 1 in real time: the machine was busy, and the world slowed down.
        energy: text that names the model; an estimate, nothing was measured.
        commands_sha256: of the float64 gated commands, to compare runs byte by byte.
    """

    task: str
    seed: int
    mode: str
    backend: str
    balanced: bool
    elapsed_s: float
    duration_s: float
    ticks: int
    wall_s: float
    angle_rmse_deg: float
    rate_rmse_rad_s: float
    events_per_s: float
    spikes_per_s: float
    synaptic_operations_per_s: float
    energy: str
    latencies_us: dict[str, tuple[float, float]]
    deadline_misses: int | None
    real_time_factor: float
    real_time_factor_least: float | None
    commands_sha256: str

    @classmethod
    def of(cls, options: GraphOptions, history: History, mode: str, **known) -> Report:
        """The report of a history; ``known`` are the fields that the history does not tell."""
        rmse = (
            np.sqrt(np.mean(history.errors() ** 2, axis=0)) if len(history.errors()) else (math.nan, math.nan)
        )
        known.setdefault("real_time_factor_least", None)
        digest = hashlib.sha256(history.commands().astype("<f8").tobytes()).hexdigest()
        return cls(
            task=options.task, seed=options.seed, mode=mode, backend=options.backend,
            duration_s=options.duration_s,
            ticks=len(history.truth), angle_rmse_deg=math.degrees(rmse[0]), rate_rmse_rad_s=float(rmse[1]),
            real_time_factor=known["elapsed_s"] / max(known["wall_s"], 1e-9), commands_sha256=digest, **known,
        )  # fmt: skip

    def print(self, console: Console) -> None:
        """The table."""
        table = Table(
            title=f"{self.task}, seed {self.seed}, {self.mode}", show_header=False, title_justify="left"
        )
        table.add_column("what", no_wrap=True)
        table.add_column("value", justify="right", no_wrap=True)
        verdict = "[green]balanced[/]" if self.balanced else "[red]fell[/]"
        table.add_row("outcome", verdict)
        table.add_row("balanced time", f"{self.elapsed_s:.2f} of {self.duration_s:.2f} s")
        table.add_row("angle RMSE", f"{self.angle_rmse_deg:.3f} deg")
        table.add_row("rate RMSE", f"{self.rate_rmse_rad_s:.3f} rad/s")
        table.add_row("wall time", f"{self.wall_s:.1f} s")
        least = self.real_time_factor_least
        at_least = "" if least is None else f", at its slowest {least:.2f}"
        table.add_row("speed", f"{self.real_time_factor:.2f}x real time{at_least}")
        table.add_row("events", f"{self.events_per_s:.0f} /s")
        table.add_row("spikes", f"{self.spikes_per_s:.0f} /s")
        table.add_row("synaptic operations", f"{self.synaptic_operations_per_s / 1e6:.2f} M/s")
        table.add_row("energy, estimated", self.energy)
        if self.deadline_misses is not None:
            share = 100 * self.deadline_misses / max(self.ticks, 1)
            table.add_row("deadline misses", f"{self.deadline_misses} of {self.ticks} ({share:.2f} %)")
        table.add_section()
        table.add_row("latency", "p50     p99 ms")
        for name, (p50, p99) in self.latencies_us.items():
            # the last part of the topic tells enough beside the node; JSON has it whole
            start, slash, topic = name.partition("/")
            name = start + topic.rpartition("/")[2] if slash else name
            table.add_row(name, f"{p50 / 1e3:.3f} {p99 / 1e3:7.3f}   ")
        console.print(table)

    def write_json(self, path: Path) -> None:
        """All fields, and NaN as null."""
        values = {
            k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()
        }
        path.write_text(json.dumps(values, indent=2) + "\n")
