# SPDX-License-Identifier: Apache-2.0
"""Recordings in HDF5: one layout per data set or tool, distinguished by the names in the file.

==============  =====================================================================================================
DSEC, TUM-VIE   ``events/t, x, y, p``, microseconds since ``t_offset``, where that is there
M3ED            ``prophesee/left`` and ``prophesee/right``, each with ``t, x, y, p``; ``calib/resolution``
Metavision      ``CD/events``, records of ``x, y, p, t``
v2e             ``events``, rows of ``t, x, y, p``
RPG             ``events/ts, xs, ys, ps``, seconds; ``sensor_resolution``
==============  =====================================================================================================

Times are microseconds where they are integers and seconds where they are not. A polarity above 0 is brighter, whether
the other is 0 or -1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import TaskError
from ..hdf5 import MAX_CHUNK, check_stream
from ..types import EVENT

#: Events that are read at once, and their bytes in all data sets.
PIECE, PIECE_BYTES = 1 << 20, 1 << 26
#: Width and height of the cameras of data sets whose files do not contain them.
_SIZES = {"DSEC": (640, 480), "M3ED": (1280, 720)}
_LATEST_S = 4_200_000_000
_M3ED = ("prophesee/left", "prophesee/right")


@dataclass(frozen=True)
class Layout:
    """Names of the data sets that hold a file's events.

    Attributes:
        name: of the layout.
        columns: path of the data set of t, x, y and p each, and the field or column in it, or None.
        offset_us: time that is added [us].
        size: width and height of the picture [pixels], or None.
    """

    name: str
    columns: dict[str, tuple[str, str | int | None]]
    offset_us: int
    size: tuple[int, int] | None


def open_file(path: Path) -> h5py.File:
    """The open file, with the filters of the plugin package where that is installed."""
    try:
        import hdf5plugin  # noqa: F401  its import is what makes the filters known
    except ImportError:
        pass
    # holds a whole chunk of each data set, which pieces would unpack again and again
    return h5py.File(path, "r", rdcc_nbytes=MAX_CHUNK)


def layout_of(file: h5py.File, path: Path, track: str | None) -> Layout:
    """The layout of a file, checked.

    Args:
        file: open.
        path: of the file, for the message.
        track: ``left`` or ``right`` of M3ED's.

    Raises:
        TaskError: it has none of the layouts, or two cameras and none is named, or is compressed by an unknown filter.
    """
    layout = _find(file, path, track)
    used = {place for place, _ in layout.columns.values()}
    for place, field in layout.columns.values():
        held = _held(file, place, path)
        if not isinstance(held, h5py.Dataset) or held.ndim != (2 if isinstance(field, int) else 1):
            raise TaskError(f"{path}: {place} is no list of numbers; fetch the file afresh")
        _check(held, place, path)
    if len({file[place].shape[:1] for place in used}) != 1:
        raise TaskError(f"{path}: {', '.join(sorted(used))} are not of one length; fetch the file afresh")
    return layout


def _find(file: h5py.File, path: Path, track: str | None) -> Layout:
    size: tuple[int, int] | None
    if all(_held(file, name, path) for name in _M3ED):
        if track not in ("left", "right"):
            raise TaskError(f"{path}: a recording of two cameras; give --track left or --track right")
        group = f"prophesee/{track}"
        width, height = _numbers(_held(file, f"{group}/calib/resolution", path), 2) or _SIZES["M3ED"]
        return Layout("M3ED", {name: (f"{group}/{name}", None) for name in "txyp"}, 0, (width, height))
    if track is not None:
        raise TaskError(f"{path}: --track {track}, but it is the recording of one camera; leave it out")
    records = _held(file, "CD/events", path)
    if isinstance(records, h5py.Dataset) and set(records.dtype.names or ()) >= set("txyp"):
        geometry = file.attrs.get("geometry", "")
        parts = (geometry.decode() if isinstance(geometry, bytes) else str(geometry)).partition("x")[::2]
        size = (int(parts[0]), int(parts[1])) if all(part.isdecimal() for part in parts) else None
        return Layout("Metavision", {name: ("CD/events", name) for name in "txyp"}, 0, size)
    events = _held(file, "events", path)
    if isinstance(events, h5py.Dataset) and events.ndim == 2 and events.shape[1] == 4:
        return Layout("v2e", {name: ("events", k) for k, name in enumerate("txyp")}, 0, None)
    if isinstance(events, h5py.Group):
        if all(_held(events, f"{name}s", path) for name in "txyp"):
            sizes = _numbers(file.attrs.get("sensor_resolution"), 2)
            columns: dict[str, tuple[str, str | int | None]] = {name: (f"events/{name}s", None) for name in "txyp"}
            return Layout("RPG", columns, 0, (sizes[1], sizes[0]) if sizes else None)
        if all(_held(events, name, path) for name in "txyp"):
            offset = _numbers(_held(file, "t_offset", path), 1)
            columns = {name: (f"events/{name}", None) for name in "txyp"}
            return Layout("DSEC", columns, offset[0] if offset else 0, _SIZES["DSEC"] if offset else None)
    raise TaskError(
        f"{path}: no events in it as DSEC, TUM-VIE, M3ED, Metavision, v2e or RPG have them; give one of those, or"
        " convert it"
    )


def _held(group: h5py.Group, place: str, path: Path) -> h5py.Group | h5py.Dataset | None:
    """What the file itself has at a place, or None; a link is not followed, as it may lead to any file of the disk."""
    held = group
    for part in place.split("/"):
        if not isinstance(held, h5py.Group) or not held.id.links.exists(part.encode()):
            return None
        if held.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
            raise TaskError(f"{path}: {place} is a link; copy what it names into this place")
        held = held[part]
    if isinstance(held, h5py.Dataset) and (held.external or held.is_virtual):
        raise TaskError(f"{path}: {place} is kept in another file; copy it into this one")
    return held


def _numbers(value: Any, count: int) -> list[int]:
    """Return the numbers of a data set or attribute, or none if they are not so many."""
    if isinstance(value, h5py.Dataset):
        value = value[()] if value.size == count and value.dtype.kind in "iuf" else None
    values = np.asarray(value if value is not None else ()).ravel()
    if values.size != count or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        return []
    return [int(number) for number in values]


def _check(held: h5py.Dataset, place: str, path: Path) -> None:
    """Refuse what no filter can unpack, and what would take more memory or time than its file."""
    settings = held.id.get_create_plist()
    filters = (settings.get_filter(k)[0] for k in range(settings.get_nfilters()))
    if not all(map(h5py.h5z.filter_avail, filters)):
        plugin = "ECF, Metavision's codec; convert it to .raw" if place == "CD/events" else "pip install hdf5plugin"
        raise TaskError(f"{path}: its chunks are compressed by Blosc or another plugin; {plugin}")
    try:
        check_stream(held, place)
    except ValueError as error:
        raise TaskError(f"{path}: {error}; fetch the file afresh") from None


def pieces(path: Path, track: str | None) -> Iterator[np.ndarray]:
    """EVENT arrays, one after the other."""
    with open_file(path) as file:
        layout = layout_of(file, path, track)
        offset_ns = layout.offset_us * 1000
        held = {place: file[place] for place in {place for place, _ in layout.columns.values()}}
        row = sum(math.prod(part.shape[1:]) * part.dtype.itemsize for part in held.values())
        rows = min(PIECE, PIECE_BYTES // row)
        for begin in range(0, len(held[layout.columns["t"][0]]), rows):
            read = {place: part[begin : begin + rows] for place, part in held.items()}
            columns = {}
            for name, (place, field) in layout.columns.items():
                part = read[place]
                columns[name] = part if field is None else part[field] if isinstance(field, str) else part[:, field]
            yield _events(path, columns, offset_ns)


def _events(path: Path, columns: dict[str, np.ndarray], offset_ns: int) -> np.ndarray:
    t = columns["t"]
    events = np.zeros(len(t), EVENT)
    latest = _LATEST_S if t.dtype.kind == "f" else _LATEST_S * 10**6
    if len(t) and not -latest <= t.min() <= t.max() <= latest:  # nor where one is not a number
        raise TaskError(f"{path}: a time is not finite, or beyond the year 2100; fetch the file afresh")
    if t.dtype.kind == "f":
        events["t"] = np.rint(t * 1e6).astype(np.int64) * 1000 + offset_ns
    else:
        events["t"] = t.astype(np.int64) * 1000 + offset_ns
    for name in "xy":
        place = columns[name]
        if len(place) and not 0 <= place.min() <= place.max() <= 65535:
            raise TaskError(f"{path}: {name} is not a pixel everywhere; fetch the file afresh")
        events[name] = place
    events["p"] = columns["p"] > 0
    return events
