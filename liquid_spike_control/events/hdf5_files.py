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

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import TaskError
from ..hdf5 import check_stream
from ..types import EVENT

#: Events that are read at once.
PIECE = 1 << 20
#: Width and height of the cameras of data sets whose files do not contain them.
_SIZES = {"DSEC": (640, 480), "M3ED": (1280, 720)}
_M3ED = ("prophesee/left", "prophesee/right")


@dataclass(frozen=True)
class Layout:
    """Names of the data sets that hold a file's events.

    Attributes:
        name: of the layout.
        columns: path of the data set of t, x, y and p each, and the field or column in it, or None.
        offset: path of the time that is added [us], or None.
        size: width and height of the picture [pixels], or None.
    """

    name: str
    columns: dict[str, tuple[str, str | int | None]]
    offset: str | None
    size: tuple[int, int] | None


def open_file(path: Path) -> h5py.File:
    """The open file, with the filters of the plugin package where that is installed."""
    try:
        import hdf5plugin  # noqa: F401  its import is what makes the filters known
    except ImportError:
        pass
    return h5py.File(path, "r")


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
    for place in used | ({layout.offset} if layout.offset else set()):
        _check(file, place, path)
    if len({file[place].shape[:1] for place in used}) != 1:
        raise TaskError(f"{path}: {', '.join(sorted(used))} are not of one length; fetch the file afresh")
    return layout


def _find(file: h5py.File, path: Path, track: str | None) -> Layout:
    size: tuple[int, int] | None
    if all(name in file for name in _M3ED):
        if track not in ("left", "right"):
            raise TaskError(f"{path}: a recording of two cameras; give --track left or --track right")
        group = f"prophesee/{track}"
        size = _numbers(file.get(f"{group}/calib/resolution")) or _SIZES["M3ED"]
        return Layout("M3ED", {name: (f"{group}/{name}", None) for name in "txyp"}, None, size)
    if track is not None:
        raise TaskError(f"{path}: --track {track}, but it is the recording of one camera; leave it out")
    if "CD/events" in file and set(file["CD/events"].dtype.names or ()) >= set("txyp"):
        geometry = file.attrs.get("geometry", "")
        parts = (geometry.decode() if isinstance(geometry, bytes) else str(geometry)).partition("x")[::2]
        size = (int(parts[0]), int(parts[1])) if all(part.isdecimal() for part in parts) else None
        return Layout("Metavision", {name: ("CD/events", name) for name in "txyp"}, None, size)
    events = file.get("events")
    if isinstance(events, h5py.Dataset) and events.ndim == 2 and events.shape[1] == 4:
        return Layout("v2e", {name: ("events", k) for k, name in enumerate("txyp")}, None, None)
    if isinstance(events, h5py.Group):
        if all(f"{name}s" in events for name in "txyp"):
            size = _numbers(file.attrs.get("sensor_resolution"))
            columns: dict[str, tuple[str, str | int | None]] = {name: (f"events/{name}s", None) for name in "txyp"}
            return Layout("RPG", columns, None, size and size[::-1])
        if all(name in events for name in "txyp"):
            offset = "t_offset" if "t_offset" in file else None
            columns = {name: (f"events/{name}", None) for name in "txyp"}
            return Layout("DSEC", columns, offset, _SIZES["DSEC"] if offset else None)
    raise TaskError(
        f"{path}: no events in it as DSEC, TUM-VIE, M3ED, Metavision, v2e or RPG have them; give one of those, or"
        " convert it"
    )


def _numbers(value: Any) -> tuple[int, int] | None:
    """Return the two numbers of a data set or attribute, or None."""
    values = np.asarray(value[()] if isinstance(value, h5py.Dataset) else value if value is not None else ()).ravel()
    return (int(values[0]), int(values[1])) if values.size == 2 and values.dtype.kind in "iuf" else None


def _check(file: h5py.File, place: str, path: Path) -> None:
    """Refuse what is kept in other files, and what no filter can unpack."""
    parts = place.split("/")
    links = (file.get("/".join(parts[: k + 1]), getlink=True) for k in range(len(parts)))
    held = file[place]
    if not all(isinstance(link, h5py.HardLink) for link in links) or held.external or held.is_virtual:
        raise TaskError(f"{path}: {place} is kept in another file; copy it into this one")
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
        offset_ns = int(file[layout.offset][()]) * 1000 if layout.offset else 0
        n = len(file[layout.columns["t"][0]])
        for begin in range(0, n, PIECE):
            part = slice(begin, begin + PIECE)
            read = {place: file[place][part] for place in {place for place, _ in layout.columns.values()}}
            columns = {}
            for name, (place, field) in layout.columns.items():
                held = read[place]
                columns[name] = held if field is None else held[field] if isinstance(field, str) else held[:, field]
            yield _events(path, columns, offset_ns)


def _events(path: Path, columns: dict[str, np.ndarray], offset_ns: int) -> np.ndarray:
    t = columns["t"]
    events = np.zeros(len(t), EVENT)
    if t.dtype.kind == "f":
        if not np.isfinite(t).all():
            raise TaskError(f"{path}: a time is not finite; fetch the file afresh")
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
