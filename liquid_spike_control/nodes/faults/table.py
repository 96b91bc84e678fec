# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike faults``: injects each fault and prints what was promised beside what was measured."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from rich.table import Table

from ...errors import TaskError
from ...outputs import write_json
from ...terminal import Console
from ..ros import require_ros
from .measurement import Measurement

if TYPE_CHECKING:
    from ...options import FaultsOptions

#: Every fault, and the module that has a function of its name.
FAULTS = {
    "controller_killed": "lost_nodes",
    "controller_hung": "lost_nodes",
    "gate_killed": "lost_nodes",
    "shutdown_safe": "stops",
    "nonfinite_command": "commands",
    "poisoned_state": "lost_nodes",
    "gate_property": "commands",
    "clock_jump": "camera",
    "dt_batch": "commands",
    "codec_fuzz": "packets",
    "seq_gap": "camera",
    "camera_dead": "camera",
    "event_storm": "camera",
    "offload_lost": "offload",
    "backend_parity": "models",
    "estop": "stops",
    "bad_checkpoint": "files",
    "replay": "files",
    "soak": "soak",
}
#: How often a fault is injected at most, see :func:`measure`.
TRIALS = 3


def fault(name: str, priority: int = 0) -> Callable[[bool], list[Measurement]]:
    """Return the function that injects a fault; its argument selects the thorough test.

    Args:
        name: of the fault.
        priority: of the nodes in the soak, the one fault that is about time in the long run.

    Raises:
        TaskError: the name is unknown.
    """
    if name not in FAULTS:
        raise TaskError(f"--only {name}: no such fault; known: {', '.join(FAULTS)}")
    inject = getattr(import_module(f".{FAULTS[name]}", __package__), name)
    return partial(inject, priority=priority) if name == "soak" else inject


def measure(
    name: str, thorough: bool = False, priority: int = 0, report: Callable[[str], None] = lambda line: None
) -> list[Measurement]:
    """Inject a fault. A trial that breaks a bound while the load exceeds the machine's cores is inconclusive: it is
    repeated, twice at most, and ``report`` is called with the measured values.

    Raises:
        LiquidSpikeError: the graph or a file is wrong.
    """
    inject = fault(name, priority)
    for _ in range(TRIALS - 1):
        found = inject(thorough)
        load = os.getloadavg()[0]
        if all(m.kept for m in found) or load < (os.cpu_count() or 1):
            return found
        broken = "; ".join(f"{m.promise}: {m.measured:.3g} {m.unit}, bound {m.bound:g}" for m in found if not m.kept)
        report(f"{name}, at load {load:.1f}: {broken}; once more")
    return inject(thorough)


def faults_command(options: FaultsOptions) -> int:
    """Inject the faults; 0 if every promise was kept, 1 if one was not.

    Raises:
        LiquidSpikeError: an option is wrong, or the graph cannot be started.
    """
    names = options.only or tuple(FAULTS)
    require_ros("faults")
    for name in names:
        fault(name)
    found: dict[str, list[Measurement]] = {}
    console = Console(stderr=True, highlight=False)
    with console.status("") as status:
        for name in names:
            status.update(f"{name} ({len(found) + 1} of {len(names)})")
            found[name] = measure(name, options.thorough, options.priority, console.print)
    print_table(found, Console())
    write_json(options.json, numbers(found))
    return 0 if all(m.kept for measurements in found.values() for m in measurements) else 1


def numbers(found: dict[str, list[Measurement]]) -> list[dict]:
    """The measurements as JSON has them; null where nothing came."""
    rows = [(name, m, float(m.measured)) for name, several in found.items() for m in several]
    return [
        {"fault": name} | asdict(m) | {"measured": None if math.isnan(measured) else measured, "kept": bool(m.kept)}
        for name, m, measured in rows
    ]


def print_table(found: dict[str, list[Measurement]], console: Console) -> None:
    """Print the table of faults."""
    table = Table(title="Faults: promised and measured")
    for column in ("fault", "injected", "promise"):
        table.add_column(column)
    for column in ("bound", "measured"):
        table.add_column(column, justify="right")
    for name, several in found.items():
        for k, m in enumerate(several):
            style = "" if m.kept else "bold red"
            cells = (name if k == 0 else "", m.injected, m.promise, f"{m.bound:g}", f"{m.measured:.3g} {m.unit}")
            table.add_row(*cells, style=style, end_section=k == len(several) - 1)
    console.print(table)
