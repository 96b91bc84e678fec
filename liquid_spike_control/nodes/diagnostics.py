# SPDX-License-Identifier: Apache-2.0
"""Diagnostics of a node: counts, rates and latency percentiles as diagnostic_msgs."""

from __future__ import annotations

import array
import re
import time
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from ..statuses import HARDWARE_ID, read_status

__all__ = ["ERROR", "OK", "STALE", "WARN", "WINDOW", "Diagnostics", "Latency", "read_status"]

#: Samples that a latency keeps at least: about 40 s at 200 Hz.
WINDOW = 1 << 13
#: Bins of one octave are 2 to this power; a percentile is right within half of a bin, 1.6 %.
_FINE = 5
#: Errors that alternate are reported no more often than this [s].
URGENT_S = 0.02
#: Durations of this many bits and more, 18 minutes, count as one.
_MOST_BITS = 40

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
    DiagnosticStatus.STALE,
)


class Latency:
    """Histogram of recent durations, in bins of equal relative width, for their percentiles.

    Percentiles of samples would take a millisecond in the middle of a tick; of bins they take microseconds.
    """

    def __init__(self) -> None:
        self.count = 0
        self._counts, self._earlier = _empty(), _empty()

    def add(self, duration_ns: int) -> None:
        """Add a duration [ns]; one below zero, of clocks that differ, counts as zero."""
        if self.count % WINDOW == 0:
            self._counts, self._earlier = _empty(), self._counts
        self.count += 1
        bits = duration_ns.bit_length()
        if duration_ns < 0:
            duration_ns = bits = 0
        elif bits > _MOST_BITS:
            duration_ns, bits = (1 << _MOST_BITS) - 1, _MOST_BITS
        shift = max(bits - _FINE - 1, 0)
        self._counts[(shift << _FINE) + (duration_ns >> shift)] += 1

    def percentiles(self) -> tuple[float, float]:
        """Median and 99th percentile of the latest samples [us]; NaN where there is none."""
        if not self.count:
            return float("nan"), float("nan")
        ranks = np.cumsum(np.frombuffer(self._counts, np.int64) + np.frombuffer(self._earlier, np.int64))
        p50, p99 = np.searchsorted(ranks, (0.5 * ranks[-1], 0.99 * ranks[-1]))
        return _centre_ns(int(p50)) / 1e3, _centre_ns(int(p99)) / 1e3


def _empty() -> array.array:
    return array.array("q", bytes(8 * (_MOST_BITS - _FINE + 1 << _FINE)))


def _centre_ns(index: int) -> float:
    """The middle of a bin [ns]."""
    shift = max((index >> _FINE) - 1, 0)
    return (index - (shift << _FINE) << shift) + ((1 << shift) - 1) / 2


class Diagnostics:
    """Counters and latencies of one node, and the DiagnosticStatus made of them.

    Args:
        node: name of the node; the status is called ``<node>: liquid_spike_control``.
    """

    def __init__(self, node: str) -> None:
        self.node = node
        self.level, self.message = OK, "ok"
        self._last_kind = ""
        self.counts: dict[str, int] = {}
        self.values: dict[str, Any] = {}
        self.latencies: dict[str, Latency] = {}
        self._began = time.monotonic()
        self._reported = -URGENT_S

    def restart(self) -> None:
        """Forget the counts and latencies of an earlier activation."""
        self.level, self.message, self._last_kind = OK, "ok", ""
        self.counts.clear()
        self.latencies.clear()
        self._began = time.monotonic()

    def count(self, name: str, n: int = 1) -> None:
        """Add to a counter."""
        self.counts[name] = self.counts.get(name, 0) + n

    def latency(self, name: str) -> Latency:
        """The latency of that name, made where it is not there yet."""
        if name not in self.latencies:
            self.latencies[name] = Latency()
        return self.latencies[name]

    def complain(self, level: bytes, message: str) -> None:
        """Raise the level; the next report contains the worst complaint since the last one."""
        if level >= self.level:
            self.level, self.message = level, message

    @property
    def urgent(self) -> bool:
        """Whether there is an error or a silence that was not in the last report: it must not wait for the next
        period.
        """
        return (
            self.level >= ERROR
            and self._kind() != self._last_kind
            and time.monotonic() - self._reported >= URGENT_S
        )

    def _kind(self) -> str:
        """The message without its numbers, which change from one complaint to the next."""
        return re.sub(r"[-+]?\b(\d[\d.]*(e[-+]?\d+)?|nan|inf)\b|\s|[-+.]", "", self.message)

    def report(self, stamp) -> DiagnosticArray:
        """Return the status since activation; each complaint is reported once."""
        elapsed = max(time.monotonic() - self._began, 1e-9)
        values = dict(self.values)
        for name, n in self.counts.items():
            values[name] = n
            values[f"{name}_hz"] = f"{n / elapsed:.1f}"
        for name, latency in self.latencies.items():
            p50, p99 = latency.percentiles()
            values[f"{name}_us_p50"], values[f"{name}_us_p99"] = f"{p50:.1f}", f"{p99:.1f}"
        status = DiagnosticStatus(
            level=self.level, name=f"{self.node}: liquid_spike_control", message=self.message,
            hardware_id=HARDWARE_ID,
            values=[KeyValue(key=k, value=str(v)) for k, v in values.items()],
        )  # fmt: skip
        self._last_kind, self._reported = self._kind(), time.monotonic()
        self.level, self.message = OK, "ok"
        message = DiagnosticArray(status=[status])
        message.header.stamp = stamp
        return message
