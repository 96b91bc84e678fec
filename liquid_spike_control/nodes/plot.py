# SPDX-License-Identifier: Apache-2.0
"""A picture of a run: angle and estimate, command, events, output spikes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .report import History, Report


def plot(history: History, report: Report, path: Path) -> None:
    """Write the picture; the format is the suffix's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    stamps = np.array(sorted(history.truth))
    start = stamps[0]
    seconds = (stamps - start) * 1e-9
    truth = np.array([history.truth[t] for t in stamps.tolist()])
    told = np.array(sorted(history.estimates))
    estimates = np.array([history.estimates[t] for t in told.tolist()]).reshape(-1, 2)
    figure, axes = pyplot.subplots(4, 1, sharex=True, figsize=(10, 9), height_ratios=(3, 2, 2, 3))
    angle, force, rate, raster = axes
    angle.plot(seconds, np.degrees(truth[:, 2]), label="true", color="black", lw=1.2)
    angle.plot(
        (told - start) * 1e-9, np.degrees(estimates[:, 0]), label="estimate from spikes", color="C1", lw=0.9
    )
    angle.set_ylabel("pole angle [deg]")
    angle.legend(loc="lower left", ncols=2)
    angle.set_title(
        f"{report.task}, seed {report.seed}, {report.mode}: "
        f"{'balanced' if report.balanced else 'fell'} {report.elapsed_s:.2f} s, "
        f"angle RMSE {report.angle_rmse_deg:.2f} deg"
    )
    force.step(seconds, history.commands(), where="post", color="C0", lw=0.8)
    force.set_ylabel("cart force [N]")
    times = np.concatenate([e["t"] for e in history.events] or [np.empty(0, np.int64)])
    width = 0.02
    counts, edges = np.histogram((times - start) * 1e-9, np.arange(0, seconds[-1] + 2 * width, width))
    rate.fill_between(edges[:-1], counts / width / 1e3, step="post", color="C2", lw=0)
    rate.set_ylabel("events [1000/s]")
    spike_times = [(at - start) * 1e-9 + (steps + 1) * 1e-3 for at, steps, _ in history.spikes]
    neurons = [ids for _, _, ids in history.spikes]
    if neurons:
        raster.plot(np.concatenate(spike_times), np.concatenate(neurons), ",", color="black")
    raster.set_ylabel("output neuron")
    raster.set_xlabel("simulated time [s]")
    raster.set_xlim(0, seconds[-1])
    figure.align_ylabels()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
