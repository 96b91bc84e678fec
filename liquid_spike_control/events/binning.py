# SPDX-License-Identifier: Apache-2.0
"""Events to input spikes: which axon a pixel drives, and in which step of the network.

A pixel's events drive the axon ``(polarity, row // row_group, column)``, numbered

    axon = (polarity * (height // row_group) + row // row_group) * width + column

Step ``k`` takes the events of ``start + k * step < t <= start + (k + 1) * step``. An axon spikes at most once
a step, however many events it got.
"""

from __future__ import annotations

import numba
import numpy as np

from ..errors import TaskError
from ..types import SpikeTrain
from .words import to_words


class SpikeBinner:
    """Sorts events into the spikes of an input population.

    Attributes:
        n_axons: size of the population, ``2 * (height // row_group) * width``.
        rejected: events so far that fell outside of the window or the picture and were left out.
    """

    def __init__(self, width: int, height: int, row_group: int, step_ns: int):
        """
        Args:
            width: columns of the picture [pixels].
            height: rows of the picture [pixels].
            row_group: neighbouring rows that share an axon; it divides ``height``.
            step_ns: length of a network step [ns].

        Raises:
            TaskError: a value is less than 1, or ``row_group`` does not divide ``height``.
        """
        if min(width, height, row_group, step_ns) < 1:
            raise TaskError(
                f"binning: width {width}, height {height}, row_group {row_group} and step_ns {step_ns} "
                "must be 1 or more"
            )
        if height % row_group:
            raise TaskError(f"binning: row_group {row_group} must divide the height {height}")
        self.width, self.height, self.row_group, self.step_ns = width, height, row_group, step_ns
        self.n_axons = 2 * (height // row_group) * width
        self.rejected = 0
        rows = np.arange(height, dtype=np.int32) // row_group * width
        self._axon_of_row = np.stack([rows, rows + self.n_axons // 2]).astype(np.int32)
        self._marks = np.zeros(self.n_axons // 64 + 1, np.uint64)

    def bin(self, events: np.ndarray, start_ns: int, n_steps: int) -> SpikeTrain:
        """The spikes of a window that begins at ``start_ns``.

        Args:
            events: EVENT, in any order.
            start_ns: beginning of the first step [ns], not itself in it.
            n_steps: number of steps.

        Returns:
            ``n_steps`` steps of ascending axon numbers.
        """
        indptr, ids, rejected = _bin(
            to_words(events), start_ns, n_steps, self.step_ns, self.width, self._axon_of_row, self._marks
        )
        self.rejected += rejected
        return SpikeTrain(indptr, ids)


@numba.njit(cache=True, nogil=True)
def _bin(events, start_ns, n_steps, step_ns, width, axon_of_row, marks):
    """Axons of all events, grouped by step; then, a step at a time, each once and in order.

    Events come almost in order, so the step of the one before is mostly that of the next: no division. Where a step has
    many events they are marked in a bitmap of the axons, which costs a few operations an event and no sort; where all
    have, at once, and nothing is grouped.

    Args:
        events: pairs of int64 words.
        start_ns, n_steps, step_ns: of the window.
        width: columns of the picture [pixels].
        axon_of_row: int32 ``(2, height)``, the first axon of a row, by polarity.
        marks: uint64, all 0, with a bit for each axon; left all 0.
    """
    n = events.shape[0] // 2
    if n > 2 * n_steps * marks.shape[0]:
        return _bin_many(events, start_ns, n_steps, step_ns, width, axon_of_row, marks.shape[0])
    height = axon_of_row.shape[1]
    indptr = np.zeros(n_steps + 1, np.int64)
    axons, steps = np.empty(n, np.int32), np.empty(n, np.int32)
    inside = 0
    grouped = True
    k, since, until = np.int64(-1), np.int64(0), np.int64(0)  # the step of the last event: since < t <= until
    for i in range(n):
        t, word = events[2 * i], events[2 * i + 1]
        column, row = word & 0xFFFF, (word >> 16) & 0xFFFF
        if not since < t <= until:
            found = (t - start_ns - 1) // step_ns
            if not 0 <= found < n_steps:
                continue
            grouped &= found >= k
            k, since = found, start_ns + found * step_ns
            until = since + step_ns
        if column < width and row < height:
            axons[inside] = axon_of_row[np.int64((word >> 32) & 0xFF != 0), row] + column
            steps[inside] = k
            indptr[k + 1] += 1
            inside += 1
    for k in range(n_steps):
        indptr[k + 1] += indptr[k]
    ids = axons
    if not grouped:
        ids, place = np.empty(inside, np.int32), indptr[:-1].copy()
        for i in range(inside):
            ids[place[steps[i]]] = axons[i]
            place[steps[i]] += 1
    kept = 0
    begin = 0
    for k in range(n_steps):
        end = indptr[k + 1]
        step = ids[begin:end]
        if end - begin > 16 and 8 * (end - begin) > marks.shape[0]:
            kept += _by_marks(step, marks, ids[kept:end])
        else:
            _sort(step)
            previous = -1
            for axon in step:
                if axon != previous:
                    ids[kept] = axon
                    kept += 1
                    previous = axon
        begin = end
        indptr[k + 1] = kept
    return indptr, ids[:kept].copy(), n - inside


@numba.njit(cache=True, nogil=True)
def _bin_many(events, start_ns, n_steps, step_ns, width, axon_of_row, n_marks):
    """The same by one bitmap of all steps, ``n_marks`` words each."""
    n = events.shape[0] // 2
    height = axon_of_row.shape[1]
    marks = np.zeros(n_steps * n_marks, np.uint64)
    inside = 0
    place, since, until = np.int64(0), np.int64(0), np.int64(0)  # of the last event's step: since < t <= until
    for i in range(n):
        t, word = events[2 * i], events[2 * i + 1]
        column, row = word & 0xFFFF, (word >> 16) & 0xFFFF
        if not since < t <= until:
            found = (t - start_ns - 1) // step_ns
            if not 0 <= found < n_steps:
                continue
            place, since = found * n_marks, start_ns + found * step_ns
            until = since + step_ns
        if column < width and row < height:
            axon = axon_of_row[np.int64((word >> 32) & 0xFF != 0), row] + column
            marks[place + (axon >> 6)] |= np.uint64(1) << np.uint64(axon & 63)
            inside += 1
    indptr = np.zeros(n_steps + 1, np.int64)
    for k in range(n_steps):
        indptr[k + 1] = indptr[k]
        for mark in marks[k * n_marks : (k + 1) * n_marks]:
            indptr[k + 1] += _ones(mark)
    ids = np.empty(indptr[n_steps], np.int32)
    for k in range(n_steps):
        _read_marks(marks[k * n_marks : (k + 1) * n_marks], ids[indptr[k] : indptr[k + 1]])
    return indptr, ids, n - inside


@numba.njit(cache=True, nogil=True)
def _ones(mark):
    """How many bits are set (Warren, Hacker's Delight, 5-1)."""
    mark -= mark >> np.uint64(1) & np.uint64(0x5555555555555555)
    mark = (mark & np.uint64(0x3333333333333333)) + (mark >> np.uint64(2) & np.uint64(0x3333333333333333))
    mark = mark + (mark >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64(mark * np.uint64(0x0101010101010101) >> np.uint64(56))


_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_LOWEST = np.zeros(64, np.int32)
for _bit in range(64):
    _LOWEST[(int(_DE_BRUIJN) << _bit & 2**64 - 1) >> 58] = _bit


@numba.njit(cache=True, nogil=True)
def _by_marks(axons, marks, out):
    """Write the numbers that occur in ``axons`` in ascending order; returns how many. ``out`` may overlap them."""
    for axon in axons:
        marks[axon >> 6] |= np.uint64(1) << np.uint64(axon & 63)
    return _read_marks(marks, out)


@numba.njit(cache=True, nogil=True)
def _read_marks(marks, out):
    """Write the numbers of the bits that are set, ascending, and clear them; returns how many."""
    n = 0
    for i in range(marks.shape[0]):
        mark = marks[i]
        if mark:
            marks[i] = 0
            first = np.int32(i << 6)
            while mark:
                lowest = mark & (~mark + np.uint64(1))
                out[n] = first + _LOWEST[(lowest * _DE_BRUIJN) >> np.uint64(58)]
                n += 1
                mark ^= lowest
    return n


@numba.njit(cache=True, nogil=True)
def _sort(values):
    """Sort in place: insertion for a few, the library's sort for many."""
    if values.shape[0] > 48:
        values.sort()
        return
    for i in range(1, values.shape[0]):
        value = values[i]
        j = i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value
