# SPDX-License-Identifier: Apache-2.0
"""The charts of a video, drawn once a page: each frame then uncovers what has happened by its time.

Drawing them anew for each frame would take matplotlib a tenth of a second, and a GIF would hold every pixel again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..history import History
from ..outputs import in_print

#: A page of the charts shows at most so much [s].
PAGE_S = 10.0
#: Most panels of estimates or readings.
MOST_PANELS = 3
_DPI = 100
_STYLE: Any = {
    "font.size": 7.0, "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "legend.frameon": False, "legend.fontsize": 6.0,
    "legend.handlelength": 1.2, "legend.columnspacing": 0.9, "legend.borderpad": 0.1, "legend.borderaxespad": 0.1,
}  # fmt: skip


@dataclass(frozen=True)
class Page:
    """The charts of a stretch of time, without and with what is drawn into them.

    Attributes:
        blank, full: uint8 ``(height, width, 3)``.
        start_s, end_s: the stretch [s].
        left, right: columns of its start and its end.
    """

    blank: np.ndarray
    full: np.ndarray
    start_s: float
    end_s: float
    left: float
    right: float

    def at(self, now_s: float) -> np.ndarray:
        """The charts as far as ``now_s`` [s], uint8 ``(height, width, 3)``."""
        part = (now_s - self.start_s) / (self.end_s - self.start_s)
        column = round(self.left + min(max(part, 0.0), 1.0) * (self.right - self.left))
        picture = self.blank.copy()
        picture[:, : column + 1] = self.full[:, : column + 1]
        return picture


class Charts:
    """Estimates against truth, or readings where nothing is estimated; commands; spikes.

    Args:
        history: of the run, with at least one tick.
        width, height: of the charts [pixels].
        length_s: how much of the run is shown [s]; all by default.

    Attributes:
        duration_s: how much is shown [s].
    """

    def __init__(self, history: History, width: int, height: int, length_s: float | None = None) -> None:
        self._history, self._size = history, (width / _DPI, height / _DPI)
        self._stamps = np.array(sorted(history.truth))
        self._seconds = (self._stamps - self._stamps[0]) * 1e-9
        self._truth = np.array([history.truth[t] for t in self._stamps.tolist()])
        self._commands = history.gated()
        self.duration_s = max(min(float(self._seconds[-1]), length_s or math.inf), 1e-3)
        self._pages: dict[int, Page] = {}

    @property
    def start_ns(self) -> int:
        """Stamp of the first tick [ns]."""
        return int(self._stamps[0])

    def page(self, now_s: float) -> Page:
        """The page that a time since the first tick [s] is on."""
        number = min(int(now_s / PAGE_S), math.ceil(self.duration_s / PAGE_S) - 1)
        if number not in self._pages:
            # an earlier page is not asked for again
            start = number * PAGE_S
            self._pages = {number: self._draw(start, min(start + PAGE_S, max(self.duration_s, start + 0.1)))}
        return self._pages[number]

    def _draw(self, start_s: float, end_s: float) -> Page:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        robot, history = self._history.robot, self._history
        shown = robot.estimates[:2] or robot.seen[:MOST_PANELS]
        heights = [2.0] * len(shown) + [2.0] + ([2.2] if history.spikes else [])
        with in_print(), pyplot.rc_context(_STYLE):
            figure, axes = pyplot.subplots(
                len(heights), 1, sharex=True, figsize=self._size, dpi=_DPI, height_ratios=heights, squeeze=False,
                layout="constrained",
            )  # fmt: skip
            panels = list(axes[:, 0])
            drawn: list[Any] = []
            for k, quantity in enumerate(shown):
                drawn += self._quantity(panels[k], k, quantity.name, quantity.unit)
            drawn += self._draw_commands(panels[len(shown)])
            if history.spikes:
                drawn += self._raster(panels[-1], start_s, end_s)
            panels[-1].set_xlabel("simulated time [s]")
            panels[-1].set_xlim(start_s, end_s)
            figure.align_ylabels()
            full = _picture(figure)
            figure.set_layout_engine("none")  # what is taken out must leave the rest where it is
            for artist in drawn:
                artist.set_visible(False)
            blank = _picture(figure)
            box = panels[0].get_window_extent()
            pyplot.close(figure)
        return Page(blank, full, start_s, end_s, box.x0, box.x1)

    def _quantity(self, panel: Any, k: int, name: str, unit: str) -> list[Any]:
        history = self._history
        estimated = bool(history.robot.estimates)
        factor, shown = (180 / math.pi, "deg") if unit == "rad" else (1.0, unit)
        true = self._truth[:, k + (history.n_seen if estimated else 0)] * factor
        drawn = panel.plot(self._seconds, true, color="black", lw=1.1, label="true")
        if estimated and history.estimates:
            stamps = np.array(sorted(history.estimates))
            values = np.array([history.estimates[t][k] for t in stamps.tolist()]) * factor
            seconds = (stamps - self.start_ns) * 1e-9
            drawn += panel.plot(seconds, values, color="C1", lw=0.8, label="estimate from spikes")
        if estimated and k == 0:
            panel.legend(loc="lower left", ncols=2, bbox_to_anchor=(0, 0.98))
        panel.set_ylabel(f"{name.replace('_', ' ')}\n[{shown}]")
        return drawn

    def _draw_commands(self, panel: Any) -> list[Any]:
        commands, values = self._history.robot.commands, self._commands
        drawn: list[Any] = []
        one = len(commands) == 1
        scale = np.ones(1) if one else self._history.robot.greatest_commands
        shared = commands[0].name.rpartition("_")[2]
        ending = f"_{shared}" if all(c.name.endswith(f"_{shared}") for c in commands) else ""
        for k, command in enumerate(commands):
            label = command.name.removesuffix(ending).replace("_", " ")
            part = values[:, k] / scale[k]
            drawn += panel.step(self._seconds, part, where="post", lw=0.8, color=f"C{k}", label=label)
        if one:
            panel.set_ylabel(f"{commands[0].name.replace('_', ' ')}\n[{commands[0].unit}]")
        else:
            panel.set_ylabel(f"{ending[1:] or 'commands'}\n[of the limit]")
            panel.legend(loc="lower left", ncols=4 if len(commands) <= 4 else 3, bbox_to_anchor=(0, 0.98))
        return drawn

    def _raster(self, panel: Any, start_s: float, end_s: float) -> list[Any]:
        spikes, start = self._history.spikes, self.start_ns
        seconds = np.concatenate([(at - start) * 1e-9 + (steps + 1) * 1e-3 for at, steps, _ in spikes])
        neurons = np.concatenate([ids for *_, ids in spikes])
        here = (seconds >= start_s) & (seconds <= end_s)
        panel.set_ylabel("output\nneuron")
        panel.set_ylim(-1, max(int(neurons.max(initial=0)), 1) + 1)
        return panel.plot(seconds[here], neurons[here], ".", ms=1.2, mew=0, color="black")


def _picture(figure: Any) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
