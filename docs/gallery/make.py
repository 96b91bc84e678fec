# SPDX-License-Identifier: Apache-2.0
"""``make gallery``: the first seconds of an episode of each shipped robot, as a GIF of less than a megabyte."""

import sys
from pathlib import Path

from liquid_spike_control.nodes.graph import GraphOptions
from liquid_spike_control.nodes.in_process import run
from liquid_spike_control.nodes.progress import Progress
from liquid_spike_control.robots.catalogue import descriptions, robot_named
from liquid_spike_control.terminal import Console
from liquid_spike_control.video.film import film

#: Seed of the episode; no training had it.
SEED = 1003
#: How much of it is shown [s], and the width of the picture [pixels]; less where a textured wall moves all the time,
#: and of robots that hide readings of another, which look like it.
LENGTH_S, WIDTH = 6.0, 800
SMALLER = {"pencil-hard": (3.0, 560), "half-cheetah": (4.0, 640), "hopper": (4.0, 640)}
VARIANT = (3.0, 560)


def main(folder: Path, names: list[str]) -> None:
    """Write ``<name>.gif`` of each robot; the expert drives where no controller ships."""
    console = Console(stderr=True)
    for name in names or descriptions():
        expert = not robot_named(name).controller
        options = GraphOptions(robot=name, seed=SEED, expert=expert)
        history, report = run(options, Progress(console), keep=True, posed=True)
        size = VARIANT if name.endswith(("-positions", "-full", "-partial")) else SMALLER.get(name, (LENGTH_S, WIDTH))
        length_s, width = size
        path = folder / f"{name.replace('-', '_')}.gif"
        title = f"{name}, seed {SEED}: {report.outcome}{' by the expert' if expert else ''}"
        film(history, path, title, SEED, length_s=length_s, width=width, console=console)
        console.print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(Path(__file__).parent, sys.argv[1:])
