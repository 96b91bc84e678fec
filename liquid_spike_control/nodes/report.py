# SPDX-License-Identifier: Apache-2.0
"""Report of a run: the numbers of each tick, and their table and JSON. The same with and without ROS."""

from __future__ import annotations

import hashlib
import math
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from ..history import History
from ..outputs import write_json
from ..terminal import Console
from .graph import GraphOptions


@dataclass
class Report:
    """The outcome of a run.

    Attributes:
        robot: its name.
        success: of the episode, by the robot's task; ``outcome`` is what the description calls it.
        elapsed_s: simulated time of the episode.
        duration_s: most time of an episode.
        reward: sum over the episode.
        rmse: of each estimate, by its name, in its unit.
        latencies_us: name to (p50, p99) [us].
        deadline_misses: None where there is no deadline.
        priority: real-time priority, 0 for ordinary scheduling.
        real_time_factor: simulated time over wall time; ``real_time_factor_least`` in the slowest half second, None
            where it was not watched. Below 1 in real time: the machine was busy, and the world slowed down.
        energy: text that names the model; an estimate, nothing was measured; empty without a spiking perception.
        learning: how it stands at the end where the controller learns while it runs, as on /diagnostics; else empty.
        commands_sha256: of the float64 gated commands, to compare runs byte by byte.
    """

    robot: str
    seed: int
    mode: str
    backend: str
    success: bool
    outcome: str
    elapsed_s: float
    duration_s: float
    reward: float
    ticks: int
    wall_s: float
    rmse: dict[str, float]
    units: dict[str, str]
    events_per_s: float
    spikes_per_s: float
    synaptic_operations_per_s: float
    energy: str
    latencies_us: dict[str, tuple[float, float]]
    deadline_misses: int | None
    priority: int
    real_time_factor: float
    real_time_factor_least: float | None
    learning: dict[str, str]
    commands_sha256: str

    @classmethod
    def of(cls, options: GraphOptions, history: History, mode: str, **known: Any) -> Report:
        """The report of a history; ``known`` are the fields that the history does not have."""
        robot, errors = history.robot, history.errors()
        rmse = np.sqrt(np.mean(errors**2, axis=0)) if errors.size else np.full(len(robot.estimates), math.nan)
        known.setdefault("real_time_factor_least", None)
        priority = options.priority if known["deadline_misses"] is not None else 0  # else nothing is in time or late
        digest = hashlib.sha256(history.gated().astype("<f8").tobytes()).hexdigest()
        return cls(
            robot=robot.name, seed=options.seed, mode=mode, backend=options.backend if robot.estimates else "none",
            outcome=robot.success if known["success"] else robot.failure, ticks=len(history.truth),
            rmse={e.name: float(value) for e, value in zip(robot.estimates, rmse, strict=True)},
            units={e.name: e.unit for e in robot.estimates},
            real_time_factor=known["elapsed_s"] / max(known["wall_s"], 1e-9), commands_sha256=digest,
            priority=priority, **known,
        )  # fmt: skip

    @property
    def missed(self) -> float:
        """Part of the deadlines that were missed."""
        return (self.deadline_misses or 0) / max(self.ticks, 1)

    def print(self, console: Console) -> None:
        """The table."""
        table = Table(title=f"{self.robot}, seed {self.seed}, {self.mode}", show_header=False, title_justify="left")
        table.add_column("what", no_wrap=True)
        table.add_column("value", justify="right", no_wrap=True)
        table.add_row("outcome", Text(self.outcome, "green" if self.success else "red"))
        table.add_row("simulated time", f"{self.elapsed_s:.2f} of {self.duration_s:.2f} s")
        table.add_row("reward", f"{self.reward:.4g}")
        for name, value in self.rmse.items():
            shown, unit = in_degrees(value, self.units[name])
            table.add_row(f"{name} RMSE", f"{shown:.3f} {unit}")
        if self.learning:
            table.add_row("learning", textwrap.fill(self.learning["learning"], 34))
            table.add_row("weights", f"norm {self.learning['learnt_norm']}, sha256 {self.learning['learnt_sha256']}")
        table.add_row("wall time", f"{self.wall_s:.1f} s")
        least = self.real_time_factor_least
        at_least = "" if least is None else f", at its slowest {least:.2f}"
        table.add_row("speed", f"{self.real_time_factor:.2f}x real time{at_least}")
        if self.energy:
            table.add_row("events", f"{self.events_per_s:.0f} /s")
            table.add_row("spikes", f"{self.spikes_per_s:.0f} /s")
            table.add_row("synaptic operations", f"{self.synaptic_operations_per_s / 1e6:.2f} M/s")
            table.add_row("energy, estimated", self.energy)
        if self.deadline_misses is not None:
            table.add_row("deadline misses", f"{self.deadline_misses} of {self.ticks} ({100 * self.missed:.2f} %)")
            table.add_row("scheduling", f"real-time priority {self.priority}" if self.priority else "ordinary")
        table.add_section()
        table.add_row("latency", "p50     p99 ms")
        for name, (p50, p99) in self.latencies_us.items():
            # the last part of the topic is enough beside the node; JSON has the whole name
            start, slash, topic = name.partition("/")
            name = start + topic.rpartition("/")[2] if slash else name
            table.add_row(name, f"{p50 / 1e3:.3f} {p99 / 1e3:7.3f}   ")
        console.print(table)
        if file := self.learning.get("learnt_file"):
            console.print(f"weights: {file}, weights_hash: '{self.learning['learnt_hash']}'", soft_wrap=True)

    def write_json(self, path: Path) -> None:
        """All fields, and NaN as null."""
        write_json(path, asdict(self))


def in_degrees(value: float, unit: str) -> tuple[float, str]:
    """A value and its unit for people: angles in degrees."""
    return (math.degrees(value), "deg") if unit == "rad" else (value, unit)
