# SPDX-License-Identifier: Apache-2.0
"""A picture of a run: estimates and truth or readings, commands, events, output spikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..history import History
from ..outputs import in_print, save_figure
from .report import Report, in_degrees

#: Most panels of estimates or readings.
MOST_PANELS = 4
#: Length of a bin of the event rate [s].
BIN_S = 0.02


@in_print()
def plot(history: History, report: Report, path: Path) -> None:
    """Write the picture; the format is the suffix's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    robot = history.robot
    stamps = np.array(sorted(history.truth))
    seconds = (stamps - stamps[0]) * 1e-9
    truth = np.array([history.truth[t] for t in stamps.tolist()])
    shown = robot.estimates[:MOST_PANELS] or robot.seen[:MOST_PANELS]
    heights = [3.0] * len(shown) + [2.0] + ([2.0, 3.0] if history.spikes or history.events else [])
    size = (10, 1.1 + sum(heights))
    figure, axes = pyplot.subplots(len(heights), 1, sharex=True, figsize=size, height_ratios=heights, squeeze=False)
    panels = list(axes[:, 0])
    for k, quantity in enumerate(shown):
        column = k + (history.n_seen if robot.estimates else 0)
        _, unit = in_degrees(0.0, quantity.unit)
        values = np.degrees(truth[:, column]) if unit == "deg" else truth[:, column]
        panels[k].plot(seconds, values, label="true" if robot.estimates else None, color="black", lw=1.2)
        if robot.estimates:
            _estimate(panels[k], history, stamps[0], k, unit)
        panels[k].set_ylabel(f"{quantity.name}\n[{unit}]")
    commands = history.gated()
    command_panel = panels[len(shown)]
    for k, command in enumerate(robot.commands):
        command_panel.step(seconds, commands[:, k], where="post", lw=0.8, label=f"{command.name} [{command.unit}]")
    if len(robot.commands) == 1:
        command_panel.set_ylabel(f"{robot.commands[0].name}\n[{robot.commands[0].unit}]")
    else:
        command_panel.set_ylabel("commands")
        command_panel.legend(loc="lower left", ncols=4, fontsize="small")
    if len(heights) > len(shown) + 1:
        _events_and_spikes(panels[-2], panels[-1], history, stamps[0], seconds[-1])
    rmse = [f"{name} RMSE {in_degrees(v, report.units[name])[0]:.3g} {in_degrees(v, report.units[name])[1]}"
            for name, v in report.rmse.items()]  # fmt: skip
    title = f"{report.robot}, seed {report.seed}, {report.mode}: {report.outcome}, {report.elapsed_s:.2f} s"
    panels[0].set_title("\n".join([title, ", ".join(rmse[:3])]) if rmse else title, fontsize="medium")
    panels[-1].set_xlabel("simulated time [s]")
    panels[-1].set_xlim(0, max(seconds[-1], 1e-9))
    figure.align_ylabels()
    figure.tight_layout()
    save_figure(figure, path)
    pyplot.close(figure)


def _estimate(panel: Any, history: History, start: int, k: int, unit: str) -> None:
    stamps = np.array(sorted(history.estimates))
    values = np.array([history.estimates[t][k] for t in stamps.tolist()])
    values = np.degrees(values) if unit == "deg" else values
    panel.plot((stamps - start) * 1e-9, values, label="estimate from spikes", color="C1", lw=0.9)
    panel.legend(loc="lower left", ncols=2)


def _events_and_spikes(rate: Any, raster: Any, history: History, start: int, end_s: float) -> None:
    times = np.concatenate([e["t"] for e in history.events] or [np.empty(0, np.int64)])
    counts, edges = np.histogram((times - start) * 1e-9, np.arange(0, end_s + 2 * BIN_S, BIN_S))
    rate.fill_between(edges[:-1], counts / BIN_S / 1e3, step="post", color="C2", lw=0)
    rate.set_ylabel("events\n[1000/s]")
    if history.spikes:
        spike_times = [(at - start) * 1e-9 + (steps + 1) * 1e-3 for at, steps, _ in history.spikes]
        neurons = [ids for _, _, ids in history.spikes]
        raster.plot(np.concatenate(spike_times), np.concatenate(neurons), ",", color="black")
    raster.set_ylabel("output neuron")
