# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike``. Each command imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from typing import Annotated

import tyro

from .errors import LiquidSpikeError
from .options import BenchOptions, RunOptions, TrainOptions

DESCRIPTION = "Perceive with spikes, decide with a liquid neural network: run a robot, train its models, measure them."

app = tyro.extras.SubcommandApp()


@app.command
def run(options: Annotated[RunOptions, tyro.conf.arg(name="")]) -> int:
    """Balance the pencil over ROS 2, or in one process. Exit status 0: balanced, 1: it fell."""
    from .nodes.run import run_command

    return run_command(options)


@app.command
def train(options: Annotated[TrainOptions, tyro.conf.arg(name="")]) -> int:
    """Train the pencil's models from nothing, as the shipped ones were. Needs the extra [train]."""
    from .training.entry import train_command

    return train_command(options)


@app.command
def bench(options: Annotated[BenchOptions, tyro.conf.arg(name="")]) -> int:
    """Closed-loop benchmarks on held-out seeds, in process, with true rendering."""
    from .bench.entry import bench_command

    return bench_command(options)


def main() -> None:
    """Console script: status 2 and one line for what the user can mend, 130 after Ctrl-C."""
    try:
        sys.exit(
            app.cli(prog="liquid-spike", description=DESCRIPTION, config=(tyro.conf.FlagCreatePairsOff,)) or 0
        )
    except LiquidSpikeError as error:
        print(f"liquid-spike: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("liquid-spike: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
