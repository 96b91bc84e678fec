# SPDX-License-Identifier: Apache-2.0
"""Hot pixels: those that fire far more often than the pixels around them, in any scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TaskError
from ..inputs import parse_json, read_input
from ..outputs import write_json

#: Most pixels of a mask: the mask is a parameter of the perception node, which the system bounds at 128 kB.
MOST_PIXELS = 5000
#: A mask of so many is 100 kB; recordings and figures beside them are little.
MOST_BYTES = 1 << 20
#: A pixel with fewer events is not judged.
FEWEST_EVENTS = 10
_REMEDY = "make it with liquid-spike events hot-pixels"


@dataclass(frozen=True)
class HotPixels:
    """What was found in a recording.

    Attributes:
        width, height: of the sensor [pixels].
        pixels: their columns and rows, int ``(n, 2)``, row by row.
        rates: events of each a second [Hz], float64 ``(n,)``.
        share: their part of all events, 0 to 1.
    """

    width: int
    height: int
    pixels: np.ndarray
    rates: np.ndarray
    share: float


def find_hot_pixels(counts: np.ndarray, duration_s: float, rate_hz: float, factor: float) -> HotPixels:
    """The hot pixels of a recording.

    A pixel is hot that has at least ``rate_hz`` and :data:`FEWEST_EVENTS`, and ``factor`` times the events of the
    second busiest of the 8 pixels around it. An edge passes several pixels side by side; so moving scenes may be
    recorded, and two hot pixels that touch are still found.

    Args:
        counts: events of each pixel, shape ``(height, width)``.
        duration_s: of the recording [s].
        rate_hz: least rate of a hot pixel [Hz].
        factor: by which it exceeds the pixels around it.
    """
    height, width = counts.shape
    rows, columns = np.nonzero(counts >= max(FEWEST_EVENTS, rate_hz * duration_s))
    padded = np.pad(counts, 1, mode="reflect")  # an edge does not end at the picture's border
    around = [(dy, dx) for dy in (0, 1, 2) for dx in (0, 1, 2) if (dy, dx) != (1, 1)]
    near = np.array([padded[rows + dy, columns + dx] for dy, dx in around]).reshape(8, -1)
    hot = counts[rows, columns] > factor * np.maximum(np.sort(near, axis=0)[-2], 1)
    rows, columns = rows[hot], columns[hot]
    found = counts[rows, columns]
    share = float(found.sum() / max(counts.sum(), 1))
    return HotPixels(width, height, np.stack([columns, rows], axis=1), found / duration_s, share)


def write_hot_pixels(path: Path, found: HotPixels, facts: dict[str, Any]) -> None:
    """Write a mask.

    Args:
        path: of a JSON file.
        found: the pixels.
        facts: how they were found, for people.

    Raises:
        OutputError: the file cannot be written.
    """
    write_json(path, {"width": found.width, "height": found.height, "pixels": found.pixels, **facts})


def read_hot_pixels(path: Path, width: int, height: int) -> tuple[tuple[int, int], ...]:
    """Columns and rows of a mask.

    Args:
        path: that :func:`write_hot_pixels` wrote.
        width, height: of the sensor [pixels].

    Raises:
        TaskError: the file is missing or damaged, or of a sensor of another size; names it.
    """
    try:
        content = parse_json(read_input(path, MOST_BYTES))
        size = content["width"], content["height"]
        pixels = tuple((x, y) for x, y in content["pixels"])
        if not all(type(n) is int for pair in pixels for n in pair):
            raise ValueError("pixels are not whole numbers")
    except OSError as error:
        raise TaskError(f"hot_pixels: {path}: {error.strerror}; {_REMEDY}") from None
    except (ValueError, KeyError, TypeError):
        raise TaskError(f"hot_pixels: {path}: no mask of hot pixels; {_REMEDY}") from None
    if size != (width, height):
        found = f"{size[0]} x {size[1]} pixels"
        raise TaskError(f"hot_pixels: {path}: {found}; give the mask of the sensor's {width} x {height}")
    return pixels
