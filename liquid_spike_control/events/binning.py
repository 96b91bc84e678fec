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
            to_words(events), start_ns, n_steps, self.step_ns, self.width, self.height, self.row_group
        )
        self.rejected += rejected
        return SpikeTrain(indptr, ids)


@numba.njit(cache=True, nogil=True)
def _bin(events, start_ns, n_steps, step_ns, width, height, row_group):
    """Counting sort by step, sort within steps, drop repeats: the cost follows the events and the steps."""
    n = events.shape[0] // 2
    groups = height // row_group
    steps = np.empty(n, np.int64)
    indptr = np.zeros(n_steps + 1, np.int64)
    rejected = 0
    for i in range(n):
        word = events[2 * i + 1]
        k = (events[2 * i] - start_ns - 1) // step_ns
        if 0 <= k < n_steps and word & 0xFFFF < width and (word >> 16) & 0xFFFF < height:
            steps[i] = k
            indptr[k + 1] += 1
        else:
            steps[i] = -1
            rejected += 1
    for k in range(n_steps):
        indptr[k + 1] += indptr[k]
    place = indptr[:-1].copy()
    ids = np.empty(n - rejected, np.int32)
    for i in range(n):
        k = steps[i]
        if k >= 0:
            word = events[2 * i + 1]
            polarity = np.int64((word >> 32) & 0xFF != 0)
            row = ((word >> 16) & 0xFFFF) // row_group
            ids[place[k]] = (polarity * groups + row) * width + (word & 0xFFFF)
            place[k] += 1
    kept = 0
    begin = 0
    for k in range(n_steps):
        end = indptr[k + 1]
        step = ids[begin:end]
        _sort(step)
        previous = -1
        for axon in step:
            if axon != previous:
                ids[kept] = axon
                kept += 1
                previous = axon
        begin = end
        indptr[k + 1] = kept
    return indptr, ids[:kept].copy(), rejected


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
