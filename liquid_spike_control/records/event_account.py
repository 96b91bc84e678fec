# SPDX-License-Identifier: Apache-2.0
"""Statistics of a recording of events: length, size, rates, polarity, order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

#: Window of the peak rate [ns].
PEAK_NS = 10_000_000


@dataclass
class EventAccount:
    """Filled piece by piece with :meth:`add`.

    Attributes:
        events, on: how many, and how many of them brighter.
        first_ns, last_ns: the earliest and the latest time.
        backward: events that are earlier than the one before.
        outside: events outside of the picture.
        peak: most events in a window of :data:`PEAK_NS`.
    """

    width: int
    height: int
    events: int = 0
    on: int = 0
    first_ns: int = 0
    last_ns: int = 0
    backward: int = 0
    outside: int = 0
    peak: int = 0
    _before_ns: int | None = None
    _windows: dict[int, int] = field(default_factory=dict)

    def add(self, piece: np.ndarray) -> None:
        """Count the EVENT array that follows."""
        if not len(piece):
            return
        t = piece["t"]
        before = t[0] if self._before_ns is None else self._before_ns
        self.backward += int(np.count_nonzero(np.diff(t, prepend=before) < 0))
        low, high = int(t.min()), int(t.max())
        self.first_ns = low if not self.events else min(self.first_ns, low)
        self.last_ns = high if not self.events else max(self.last_ns, high)
        self._before_ns = int(t[-1])
        self.events += len(piece)
        self.on += int(np.count_nonzero(piece["p"]))
        self.outside += int(np.count_nonzero((piece["x"] >= self.width) | (piece["y"] >= self.height)))
        self._count_windows(t // PEAK_NS)

    def _count_windows(self, numbers: np.ndarray) -> None:
        for number, n in zip(*np.unique(numbers, return_counts=True), strict=True):
            self._windows[int(number)] = self._windows.get(int(number), 0) + int(n)
            self.peak = max(self.peak, self._windows[int(number)])
        while len(self._windows) > 1000:  # only the latest may still grow
            del self._windows[next(iter(self._windows))]

    @property
    def duration_s(self) -> float:
        """From the first event to the last [s]."""
        return (self.last_ns - self.first_ns) * 1e-9

    def rows(self) -> Iterable[tuple[str, str]]:
        """Names and values, for people."""
        rate = self.events / self.duration_s if self.duration_s else 0.0
        yield "duration", f"{self.duration_s:.6f} s (from {self.first_ns * 1e-9:.6f} s)"
        yield "picture", f"{self.width} x {self.height}"
        yield "events", str(self.events)
        yield "mean rate", f"{rate / 1e3:.1f} kev/s"
        yield "peak rate", f"{self.peak / (PEAK_NS * 1e-9) / 1e3:.1f} kev/s over {PEAK_NS / 1e6:g} ms"
        yield "brighter", f"{100 * self.on / max(self.events, 1):.1f} %"
        yield "in order", "yes" if not self.backward else f"no: {self.backward} events run back"
        if self.outside:
            yield "outside", f"{self.outside} events"
