# SPDX-License-Identifier: Apache-2.0
"""Recordings of event cameras in files, read and written in pieces.

| suffix | format | read | written |
|---|---|---|---|
| ``.raw`` | Prophesee EVT2, EVT2.1 and EVT3 | ``prophesee.py`` | ``prophesee.py`` (EVT2, EVT3) |
| ``.dat`` | Prophesee DAT | faery | faery |
| ``.aedat4``, ``.aedat`` | iniVation AEDAT4 | faery | faery |
| ``.es`` | Event Stream | faery | faery |
| ``.h5``, ``.hdf5`` | DSEC, M3ED, TUM-VIE, Metavision, v2e, RPG | ``hdf5_files.py`` | |
| ``.csv``, ``.txt`` | text | ``text_files.py`` | ``.csv`` |

faery comes with ``pip install 'liquid_spike_control[events]'``. All of these formats keep microseconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

from ..errors import LiquidSpikeError, OutputError, TaskError
from ..outputs import check_output, written
from ..types import EVENT
from . import aedat4, hdf5_files, prophesee, text_files

#: How each format that faery reads begins; it would take a foreign file for EVT3 without a header.
MAGIC = {".raw": b"% ", ".dat": b"% ", ".aedat4": b"#!AER-DAT4", ".aedat": b"#!AER-DAT4", ".es": b"Event Stream"}
AEDAT = (".aedat4", ".aedat")
HDF5 = (".h5", ".hdf5")
TEXT = (".csv", ".txt")
READS = (*MAGIC, *HDF5, *TEXT)
WRITES = (*MAGIC, ".csv")
#: Versions that can be written, and their suffix.
VERSIONS = {"evt2": ".raw", "evt3": ".raw"}
MICROSECOND_NS = 1000
#: Largest width and height of a picture [pixels]: some of what is made of it has a number for each pixel.
MAX_SIZE = 4096
#: Half of what the times of DAT can reach [us].
_LONGEST_DAT_US = 1 << 31


@dataclass(frozen=True)
class EventFile:
    """A recording of an event camera.

    Attributes:
        path: of the file.
        width, height: of the picture [pixels].
        track: which of several cameras, or None.
        dropped: how many events and words could not be decoded, by the reason; known when the events were read.

    Raises:
        TaskError: see :func:`open_events`.
    """

    path: Path
    width: int
    height: int
    track: str | None = None
    dropped: dict[str, int] = field(default_factory=dict)

    def pieces(self) -> Iterator[np.ndarray]:
        """EVENT arrays, one after the other; times as the file has them [ns], not checked.

        Raises:
            TaskError: the file is damaged or cut; what came before was given.
        """
        suffix = self.path.suffix.lower()
        with _Foreign(self.path):
            if suffix in HDF5:
                yield from hdf5_files.pieces(self.path, self.track)
            elif suffix in TEXT:
                yield from text_files.pieces(self.path)
            elif suffix == ".raw":
                self.dropped.clear()
                header = prophesee.read_header(self.path)
                yield from prophesee.pieces(self.path, header, self.width, self.height, self.dropped)
            else:
                number = _track(self.path, self.track) if suffix in AEDAT else None
                yield from _faery_pieces(self.path, (self.width, self.height), number)


def open_events(path: str | Path, size: tuple[int, int] | None = None, track: str | None = None) -> EventFile:
    """Open a recording of an event camera; the suffix selects the format.

    Args:
        path: of the file.
        size: width and height of the picture [pixels], for files that do not contain it.
        track: the camera, in a file with several: the number of an AEDAT4 track, ``left`` or ``right`` of M3ED.

    Returns:
        The recording; its events are read in pieces, on iteration.

    Raises:
        TaskError: the file is missing, of another format, or damaged; one line that names it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in READS:
        raise TaskError(f"{path}: {suffix or 'no suffix'} is no event recording; give one of {', '.join(READS)}")
    if not path.is_file():
        raise TaskError(f"{path}: no such file; check the path")
    with _Foreign(path):
        begins = MAGIC.get(suffix, b"")
        with open(path, "rb") as file:
            if file.read(len(begins)) != begins:
                raise TaskError(f"{path}: it does not begin as a {suffix} file does; give the suffix of what it is")
        if suffix == ".raw":
            width, height = prophesee.read_header(path).picture or size or (0, 0)
        elif suffix in HDF5:
            with hdf5_files.open_file(path) as file:
                own = hdf5_files.layout_of(file, path, track).size
                width, height = size or own or (0, 0)
        elif suffix in TEXT:
            width, height = size or (0, 0)
        else:
            if suffix in AEDAT:
                aedat4.check_frame(path)
            number = _track(path, track) if suffix in AEDAT else None
            stream = _faery(path).events_stream_from_file(path, dimensions_fallback=size or (0, 0), track_id=number)
            width, height = stream.dimensions()
    if not width or not height:
        raise TaskError(f"{path}: the file does not contain the size of its picture; give --size WIDTH HEIGHT")
    if not 0 < min(width, height) <= max(width, height) <= MAX_SIZE:
        raise TaskError(f"{path}: a picture of {width} x {height} pixels; at most {MAX_SIZE} x {MAX_SIZE} are read")
    return EventFile(path, width, height, track)


def _track(path: Path, requested: str | None) -> int | None:
    """Return the requested track of an AEDAT4 file; None for the only one.

    Raises:
        TaskError: there are several and none is named, or not this one.
    """
    with _faery(path).aedat.Decoder(path) as decoder:
        tracks = [track.id for track in decoder.tracks() if track.data_type == "events"]
    if requested is None and len(tracks) <= 1:
        return None
    for track in tracks:
        if str(track) == requested:
            return track
    raise TaskError(f"{path}: its event cameras are tracks {', '.join(map(str, tracks))}; give --track with one")


def write_events(
    path: str | Path, pieces: Iterable[np.ndarray], width: int, height: int, version: str | None = None
) -> None:
    """Write a recording of an event camera; the suffix selects the format.

    Args:
        path: of the file.
        pieces: EVENT arrays, ascending in time; nanoseconds are cut to microseconds.
        width, height: of the picture [pixels].
        version: ``evt2`` or ``evt3``, for ``.raw``; default: ``evt3``.

    Raises:
        TaskError: the format cannot be written, the folder is missing, or the events are not in order, before time 0 or
            outside of the picture.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITES:
        raise TaskError(f"{path}: {suffix or 'no suffix'} cannot be written; give one of {', '.join(WRITES)}, or .mcap")
    if version is not None and VERSIONS.get(version) != suffix:
        raise TaskError(f"--version {version} is not for {suffix}; leave it out, or write {VERSIONS.get(version)}")
    if suffix == ".raw" and max(width, height) > prophesee.MAX_SIZE:
        raise TaskError(f"{path}: .raw has pictures of {prophesee.MAX_SIZE} x {prophesee.MAX_SIZE} pixels at most")
    check_output(path)
    pieces = _checked(path, pieces, width, height)
    if suffix in TEXT or suffix == ".raw":
        with written(path) as whole:
            if suffix == ".raw":
                prophesee.write(whole, pieces, width, height, version or "evt3")
            else:
                text_files.write(whole, pieces)
        return
    faery = _faery(path)
    converted = (_to_faery(piece, faery.EVENTS_DTYPE) for piece in pieces)
    with written(path) as whole, _Foreign(path, "cannot be written", "write to another format or folder", OutputError):
        # DAT holds the time itself where it fits; faery's own header line, "t0", only other readers of it know
        first = next(converted, np.empty(0, faery.EVENTS_DTYPE))
        fits = suffix == ".dat" and len(first) and first["t"][0] < _LONGEST_DAT_US
        faery.file_encoder.events_to_file(
            itertools.chain([first], converted), whole, (width, height), version, zero_t0=not fits,
            use_write_suffix=False,
        )  # fmt: skip


def _checked(path: Path, pieces: Iterable[np.ndarray], width: int, height: int) -> Iterator[np.ndarray]:
    """The pieces that have events, as long as they ascend from time 0 on and lie in the picture."""
    last = 0
    for events in pieces:
        if not len(events):
            continue
        t = events["t"]
        if t.min() < 0:
            raise TaskError(f"{path}: events before time 0 cannot be written; move them")
        if t[0] < last or (t[1:] < t[:-1]).any():
            raise TaskError(f"{path}: the events run back in time; sort them")
        if events["x"].max() >= width or events["y"].max() >= height:
            raise TaskError(f"{path}: events lie outside of {width} x {height} pixels; give a greater size")
        last = int(t[-1])
        yield events


def _to_faery(events: np.ndarray, dtype: np.dtype) -> np.ndarray:
    converted = np.zeros(len(events), dtype)
    converted["t"] = events["t"] // MICROSECOND_NS
    converted["x"], converted["y"], converted["on"] = events["x"], events["y"], events["p"]
    return converted


def _faery(path: Path) -> ModuleType:
    try:
        import faery
        import faery.file_encoder
    except ImportError:
        raise TaskError(f"{path}: needs faery; pip install 'liquid_spike_control[events]'") from None
    return faery


def _faery_pieces(path: Path, size: tuple[int, int], track: int | None) -> Iterator[np.ndarray]:
    for packet in _faery(path).events_stream_from_file(path, dimensions_fallback=size, track_id=track):
        events = np.zeros(len(packet), EVENT)
        events["t"] = packet["t"].astype(np.int64) * MICROSECOND_NS
        events["x"], events["y"], events["p"] = packet["x"], packet["y"], packet["on"]
        yield events


class _Foreign:
    """Turns what other people's readers and writers raise into one line; faery also panics, as Rust does."""

    def __init__(
        self, path: Path, trouble: str = "not a whole", remedy: str = "fetch it afresh, or cut it",
        error: type[LiquidSpikeError] = TaskError,
    ) -> None:  # fmt: skip
        self._path, self._remedy, self._error = path, remedy, error
        self._trouble = f"{trouble} {path.suffix} file" if trouble.startswith("not") else trouble

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, _traceback) -> None:
        if error is None or isinstance(error, LiquidSpikeError | KeyboardInterrupt | GeneratorExit | SystemExit):
            return
        line = " ".join(f"{kind.__name__}: {error}".split())[:160]
        if any(sign in str(error) for sign in ("unsupported type", "no event tracks", "unknown type")):
            raise TaskError(f"{self._path}: no events of a DVS in it ({line}); give a recording of those") from None
        raise self._error(f"{self._path}: {self._trouble} ({line}); {self._remedy}") from None
