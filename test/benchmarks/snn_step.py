# SPDX-License-Identifier: Apache-2.0
"""One step of a convolutional SNN: our emulator against hand-written torch, in one run.

Run: ``python test/benchmarks/snn_step.py [--fractions 0.01 0.001] [--steps 600] [--json FILE] [--plot FILE]``
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from liquid_spike_control.bench import snn_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fractions", type=float, nargs="+", default=snn_step.FRACTIONS)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--plot", type=Path, help="draw step time against input fraction here (.png, .svg)")
    arguments = parser.parse_args()
    console = Console()
    report = snn_step.run(console, tuple(arguments.fractions), arguments.steps)
    snn_step.print_table(report, console)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    if arguments.plot:
        snn_step.plot(report, arguments.plot)


if __name__ == "__main__":
    main()
