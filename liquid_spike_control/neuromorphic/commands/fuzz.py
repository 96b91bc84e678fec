# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike neuromorphic fuzz``: random networks on our emulator and on an external one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ...errors import TaskError
from ...outputs import write_json
from ...terminal import Console
from ..fuzz import fuzz, print_report

if TYPE_CHECKING:
    from ...options import FuzzOptions


def fuzz_command(options: FuzzOptions) -> int:
    """Compare; status 1 if a spike, a current or a voltage differs."""
    if options.neuron_steps < 1:
        raise TaskError(f"--neuron-steps {options.neuron_steps}; give at least 1")
    if not options.folder.is_dir():
        raise TaskError(f"--folder {options.folder}: there is no such folder; make it first")
    report = fuzz(options.simulator, options.neuron_steps, options.seed, Console(stderr=True), options.folder)
    print_report(report, Console(soft_wrap=True, highlight=False))
    write_json(options.json, asdict(report))
    return 0 if report.mismatch is None else 1
