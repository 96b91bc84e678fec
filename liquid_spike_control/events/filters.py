# SPDX-License-Identifier: Apache-2.0
"""The front end: from the events of the sensors' pixels to those of the network's picture, in one pass.

Everything that depends on the place alone (hot pixels, undistortion, crop, groups) is one look-up in a table that is
made once. The filters in time keep the time of each sensor pixel's last event, in whole microseconds rounded up:
that is what packets of evt3 keep of it, and with or without packets the same events must pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np

from .camera_info import CameraInfo
from .front_end import Sensor
from .undistortion import undistorted
from .words import from_words, to_words

#: A pixel of no place in the network's picture.
NOWHERE = np.uint32(0xFFFFFFFF)
#: Before any event [us].
_NEVER = -(2**62)
#: Columns of the counts.
_REASONS = ("unseen", "refractory", "background", "decimated")
KEPT, OUTSIDE, UNSEEN, REFRACTORY, BACKGROUND, DECIMATED = range(6)


class FrontEnd:
    """The front ends of a robot's cameras, whose pictures lie side by side, before and after.

    Args:
        sensors: the cameras, in order; their settings hold contents, not names of files.

    Attributes:
        camera_width, camera_height: columns and rows of the sensors side by side.
        width, height: columns and rows of the network's picture.
        counts: events so far, int64 ``(6,)``: kept, outside of the sensors, and dropped by mask, crop or undistortion,
            as refractory, as background, and by decimation.
    """

    def __init__(self, sensors: Sequence[Sensor]) -> None:
        pictures = [sensor.settings.picture(sensor.width, sensor.height) for sensor in sensors]
        self.camera_width, self.camera_height = sum(s.width for s in sensors), max(s.height for s in sensors)
        self.width, self.height = sum(w for w, _ in pictures), max(h for _, h in pictures)
        self._table = np.full((self.camera_height, self.camera_width), NOWHERE)
        left = offset = 0
        for sensor, (columns, _) in zip(sensors, pictures, strict=True):
            self._table[: sensor.height, left : left + sensor.width] = _places(sensor, offset)
            left, offset = left + sensor.width, offset + columns
        self._camera = np.repeat(np.arange(len(sensors)), [s.width for s in sensors]).astype(np.uint8)
        each = [s.settings for s in sensors]
        self._parameters = np.array(
            [(round(s.refractory_s * 1e6), round(s.background_s * 1e6), s.decimate) for s in each], np.int64
        )
        self._timed = bool(self._parameters[:, :2].any())
        self._decimated = bool((self._parameters[:, 2] > 1).any())
        # a row and a column without events around each camera, so that no pixel looks at another camera's
        rows, columns = self.camera_height + 2, self.camera_width + 2 * len(sensors)
        self._last_us = np.empty((rows, columns) if self._timed else (1, 1), np.int64)
        self._passed = np.empty((2, self.height, self.width) if self._decimated else (1, 1, 1), np.uint16)
        self.counts = np.zeros(6, np.int64)
        self._words = np.empty(0, np.int64)
        self.reset()

    @property
    def outside(self) -> int:
        """Events outside of the sensors so far."""
        return int(self.counts[OUTSIDE])

    @property
    def dropped(self) -> dict[str, int]:
        """Events that were left out on purpose so far, by the reason."""
        return {f"front_end_{name}": int(n) for name, n in zip(_REASONS, self.counts[UNSEEN:], strict=True)}

    def reset(self) -> None:
        """Forget all but the counts."""
        self._last_us.fill(_NEVER)
        self._passed.fill(0)

    def apply(self, events: np.ndarray) -> np.ndarray:
        """The events of the network's picture.

        Args:
            events: EVENT, sorted by time, of the sensors side by side; left as they are.

        Returns:
            EVENT, sorted by time; valid until the next call.
        """
        words = to_words(events)
        if len(self._words) < len(words):
            self._words = np.empty(len(words), np.int64)
        kept = _filter(
            words, self._words, self._table, self._camera, self._parameters, self._timed, self._decimated,
            self._last_us, self._passed, self.counts,
        )  # fmt: skip
        return from_words(self._words[: 2 * kept])


def _places(sensor: Sensor, offset: int) -> np.ndarray:
    """For each pixel of a sensor its column and row in the network's picture, as the second word of an event has them.

    Returns:
        uint32 ``(height, width)``, ``column | row << 16``, or :data:`NOWHERE`.
    """
    width, height, settings = sensor
    if isinstance(settings.camera_info, CameraInfo):
        places = np.floor(undistorted(settings.camera_info) + 0.5)
    else:
        rows, columns = np.indices((height, width), dtype=float)
        places = np.stack([columns, rows], axis=-1)
    crop = settings.cropped(width, height)
    columns, rows = places[..., 0] - crop.left, places[..., 1] - crop.top
    with np.errstate(invalid="ignore"):  # of no place: NaN, which is not inside
        inside = (columns >= 0) & (columns < crop.width) & (rows >= 0) & (rows < crop.height)
    if isinstance(settings.hot_pixels, tuple):
        for x, y in settings.hot_pixels:
            inside[y, x] = False
    table = np.full((height, width), NOWHERE)
    column = columns[inside].astype(np.uint32) // np.uint32(settings.group[0]) + np.uint32(offset)
    row = rows[inside].astype(np.uint32) // np.uint32(settings.group[1])
    table[inside] = column | row << np.uint32(16)
    return table


@numba.njit(cache=True, nogil=True)
def _filter(words, out, table, camera, parameters, timed, decimated, last_us, passed, counts):
    """Events in, events out; returns how many.

    Args:
        words: pairs of int64 words.
        out: as long, or longer; may be ``words``.
        table: uint32 ``(rows, columns)``, see :func:`_places`.
        camera: of each column, uint8.
        parameters: int64 ``(cameras, 3)``: refractory time, background time [us], decimation.
        timed, decimated: whether any camera has one of the filters.
        last_us: int64 ``(rows + 2, columns + 2 * cameras)``, each sensor pixel's last event that was not refractory.
        passed: uint16 ``(2, rows, columns)`` of the network's picture, events since one passed.
        counts: see :class:`FrontEnd`.
    """
    height, width = table.shape
    n = words.shape[0] // 2
    kept = outside = unseen = refractory = background = skipped = 0
    for i in range(n):
        t, word = words[2 * i], words[2 * i + 1]
        x, y = word & 0xFFFF, (word >> 16) & 0xFFFF
        if x >= width or y >= height:
            outside += 1
            continue
        place = table[y, x]
        if place == NOWHERE:
            unseen += 1
            continue
        if timed:
            number = np.int64(camera[x])
            row, column = y + 1, x + 1 + 2 * number
            now = (t + 999) // 1000
            wait = parameters[number, 0]
            if wait > 0 and now - last_us[row, column] < wait:
                refractory += 1
                continue
            last_us[row, column] = now
            span = parameters[number, 1]
            if span > 0 and not _supported(last_us, row, column, now - span):
                background += 1
                continue
        polarity = np.int64((word >> 32) & 0xFF != 0)
        if decimated:
            every = parameters[camera[x], 2]
            count = passed[polarity, place >> 16, place & 0xFFFF] + 1
            if count < every:
                passed[polarity, place >> 16, place & 0xFFFF] = count
                skipped += 1
                continue
            passed[polarity, place >> 16, place & 0xFFFF] = 0
        out[2 * kept] = t
        out[2 * kept + 1] = np.int64(place) | polarity << 32
        kept += 1
    counts[KEPT] += kept
    counts[OUTSIDE] += outside
    counts[UNSEEN] += unseen
    counts[REFRACTORY] += refractory
    counts[BACKGROUND] += background
    counts[DECIMATED] += skipped
    return kept


@numba.njit(cache=True, nogil=True, inline="always")
def _supported(last_us, row, column, since_us):
    """Whether one of the 8 pixels around had an event at ``since_us`` or later."""
    return (
        last_us[row, column - 1] >= since_us
        or last_us[row, column + 1] >= since_us
        or last_us[row - 1, column] >= since_us
        or last_us[row + 1, column] >= since_us
        or last_us[row - 1, column - 1] >= since_us
        or last_us[row - 1, column + 1] >= since_us
        or last_us[row + 1, column - 1] >= since_us
        or last_us[row + 1, column + 1] >= since_us
    )


@numba.njit(cache=True, nogil=True)
def count_pixels(words, counts):
    """Add the events to the counts of their pixels, int64 ``(rows, columns)``; returns how many lie outside."""
    height, width = counts.shape
    outside = 0
    for i in range(words.shape[0] // 2):
        word = words[2 * i + 1]
        x, y = word & 0xFFFF, (word >> 16) & 0xFFFF
        if x < width and y < height:
            counts[y, x] += 1
        else:
            outside += 1
    return outside
