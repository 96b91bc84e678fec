# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike``: a thin front. Each command imports what it needs when it runs, so that ``--help`` is
quick.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from .errors import LiquidSpikeError

app = tyro.extras.SubcommandApp()


@dataclass
class RunOptions:
    """What can be said about a run."""

    task: tyro.conf.Positional[str] = "pencil"
    """What to do: pencil."""
    seed: int = 0
    """Of the episode; the same seed gives the same pushes, pole and noise."""
    duration: float = 20.0
    """Simulated seconds."""
    mode: Literal["lockstep", "realtime"] = "realtime"
    """lockstep: as fast as it goes, the same bytes every time. realtime: at the pace of the wall clock."""
    backend: Literal["offload", "in_process"] = "offload"
    """Where the spiking network runs: on its own node, or in the perception's process."""
    push: float | None = None
    """Impulse of a push [N s]; the task's own if not given."""
    perception_model: Path | None = None
    """A .nir file; the shipped one if not given."""
    controller_model: Path | None = None
    """A .safetensors file; the shipped one if not given."""
    record: Path | None = None
    """Write every topic to this .mcap file."""
    plot: Path | None = None
    """Write a picture of the run: angle, command, events, spikes."""
    json: Path | None = None
    """Write the table's numbers."""
    in_process: bool = False
    """Run the same loop in this process, without ROS."""


@app.command
def run(options: Annotated[RunOptions, tyro.conf.arg(name="")]) -> int:
    """Balance the pencil over ROS 2, or in one process. Exit status 0: balanced, 1: it fell."""
    from .nodes.run import run_command

    return run_command(options)


def main() -> None:
    """Console script: status 2 and one line for what the user can mend, 130 after Ctrl-C."""
    try:
        sys.exit(
            app.cli(prog="liquid-spike", description=__doc__, config=(tyro.conf.FlagCreatePairsOff,)) or 0
        )
    except LiquidSpikeError as error:
        print(f"liquid-spike: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("liquid-spike: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
