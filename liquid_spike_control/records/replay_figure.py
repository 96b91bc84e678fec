# SPDX-License-Identifier: Apache-2.0
"""A picture of a replay: estimate and command, recorded and replayed, and how far they are apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..outputs import in_print, save_figure
from .contents import Published
from .replay import Replay


@in_print()
def draw(outcome: Replay, path: Path) -> None:
    """Write the picture; the format is the suffix's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    contents = outcome.contents
    start = contents.commands[0].quantities.stamp_ns
    figure, (angle, force, apart) = pyplot.subplots(3, 1, sharex=True, figsize=(10, 7), height_ratios=(3, 3, 2))
    times, recorded = _series(contents.estimates, start)
    made = sorted(outcome.estimates)
    angle.plot(times, np.degrees(recorded), color="0.6", lw=2.5, label="recorded")
    replayed = [outcome.estimates[t].values[0] for t in made]
    angle.plot(_seconds(made, start), np.degrees(replayed), color="C1", lw=0.9, label="replayed")
    angle.set_ylabel("pole angle [deg]")
    angle.legend(loc="lower left", ncols=2)
    differing = sum(comparison.differing for comparison in outcome.comparisons)
    angle.set_title(f"{outcome.path.name}: {'identical' if outcome.identical else f'{differing} messages differ'}")
    times, recorded = _series(contents.commands, start)
    commands = np.array([outcome.commands[c.quantities.stamp_ns][0] for c in contents.commands])
    force.step(times, recorded, where="post", color="0.6", lw=2.5)
    force.step(times, commands, where="post", color="C0", lw=0.9)
    force.set_ylabel("command [N]")
    apart.plot(times, np.abs(commands - recorded), ".", ms=3, color="C3")
    apart.set_yscale("symlog", linthresh=1e-15)
    apart.set_yticks([0, 1e-12, 1e-8, 1e-4, 1])
    apart.set_ylim(bottom=0)
    apart.set_ylabel("|difference| [N]")
    apart.set_xlabel("time [s]")
    figure.align_ylabels()
    figure.tight_layout()
    save_figure(figure, path)
    pyplot.close(figure)


def _series(messages: list[Published], start_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """Times [s] and first values."""
    stamps = [m.quantities.stamp_ns for m in messages]
    return _seconds(stamps, start_ns), np.array([m.quantities.values[0] for m in messages])


def _seconds(stamps: list[int], start_ns: int) -> np.ndarray:
    return (np.array(stamps, np.int64) - start_ns) * 1e-9
