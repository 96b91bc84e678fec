# SPDX-License-Identifier: Apache-2.0
"""Prophesee's ``.raw`` files: a header of text, then the sensor's stream in EVT 2.0, 2.1 or 3.0.

Their readers differ on damaged words; ours skips and counts them, as openeb does. Files are written as a sensor that
started at time 0 would have sent them, in EVT 2.0 or 3.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import TaskError
from . import evt2, evt3
from .codec import Decoder, split
from .words import from_words, to_words

#: Read at once [bytes].
PIECE_BYTES = 1 << 20
#: Latest start of a recording: times are int64 [ns].
_LATEST_NS = 1 << 62
_VERSIONS = {"2.0": "evt2", "2.1": "evt21", "3.0": "evt3", "evt2": "evt2", "evt21": "evt21", "evt3": "evt3"}
_WORDS = {"evt2": "<u4", "evt21": "<u8", "evt3": "<u2"}
#: Longest header [bytes].
_MOST_HEADER = 1 << 16
#: Bits of the clock [us].
_CLOCK_BITS = {"evt2": 34, "evt3": 24}
#: Turns of the clock that are written before the first event, where more are left to the header, and in a gap.
MOST_TURNS = 1 << 12
#: Largest width and height that can be written [pixels].
MAX_SIZE = 2048
#: Bytes that are encoded at once, 8 an event at most.
_RUN_BYTES = 1 << 23


@dataclass(frozen=True)
class RawHeader:
    """Contents of the header.

    Attributes:
        size: of the header [bytes].
        version: ``evt2``, ``evt21`` or ``evt3``.
        picture: width and height [pixels]; None if not given.
        swapped: the halves of EVT 2.1 words are swapped; None if not given.
        start_ns: what is added to the times of the stream [ns]; only faery's files and ours have it.
    """

    size: int
    version: str
    picture: tuple[int, int] | None
    swapped: bool | None
    start_ns: int


def read_header(path: Path) -> RawHeader:
    """Read the header of a ``.raw`` file.

    Raises:
        TaskError: it names no version, or one that is not read.
    """
    with open(path, "rb") as file:
        data = file.read(_MOST_HEADER)
    size, fields = 0, {}
    while data.startswith(b"% ", size) and (end := data.find(b"\n", size)) >= 0:
        line = data[size + 2 : end].decode("utf-8", "replace").strip()
        size = end + 1
        key, _, value = line.partition(" ")
        if key == "end":
            break
        fields[key.lower()] = value.strip()
    form, *options = (part.strip() for part in fields.get("format", "").split(";"))
    name = form or fields.get("evt", "")
    version = _VERSIONS.get(name.lower())
    if version is None:
        raise TaskError(
            f"{path}: the header has {f'format {name[:40]!r}' if name else 'no format'}; give a recording of"
            " EVT 2.0, 2.1 or 3.0"
        )
    extra = dict(option.partition("=")[::2] for option in options)
    sizes = (extra.get("width"), extra.get("height")), (re.split("[x ]", fields.get("geometry", "")) + ["", ""])[:2]
    picture = next(((int(w), int(h)) for w, h in sizes if w and h and w.isdecimal() and h.isdecimal()), None)
    swapped = {"legacy": True, "little": False}.get(extra.get("endianness", ""))
    start = fields.get("t0", "0")
    start_ns = int(start) * 1000 if start.isdecimal() and len(start) < 17 else 0
    if start_ns >= _LATEST_NS:
        raise TaskError(f"{path}: the header has t0 {start}, later than the year 2100; fetch the file afresh")
    return RawHeader(size, version, picture, swapped, start_ns)


def pieces(path: Path, header: RawHeader, width: int, height: int, dropped: dict[str, int]) -> Iterator[np.ndarray]:
    """The events of a ``.raw`` file, piece by piece, ascending in time; a word that was cut at the end is left out.

    Args:
        path: of the file.
        header: of the file.
        width, height: of the picture [pixels].
        dropped: filled with the numbers of events and words that were left out, by the reason.
    """
    word = np.dtype(_WORDS[header.version])
    decoder, state, earliest_ns, swapped = Decoder(), evt2.unknown_state(), np.int64(-(2**62)), header.swapped
    with open(path, "rb") as file:
        file.seek(header.size)
        while data := file.read(PIECE_BYTES):
            words = np.frombuffer(data, word, len(data) // word.itemsize)
            if header.version == "evt3":
                events = decoder.decode(words, "evt3", 0, width, height)
                dropped.update({name: n for name, n in decoder.dropped.items() if n})
                events["t"] += header.start_ns
                yield events
                continue
            if header.version == "evt2":
                words = evt2.widened(words)
            else:
                swapped = evt2.halves_swapped(words) if swapped is None else swapped
                if swapped:
                    words = words << np.uint64(32) | words >> np.uint64(32)
            found, *counts = evt2.decode_words(words, state, earliest_ns, width, height)
            for name, n in zip(("skipped", "incomplete", "out_of_picture", "backward"), counts, strict=True):
                if n:
                    dropped[name] = dropped.get(name, 0) + n
            if len(found):
                earliest_ns = np.int64(found[-2])
                found[::2] += header.start_ns
            yield from_words(found)


def write(path: Path, parts: Iterable[np.ndarray], width: int, height: int, version: str) -> None:
    """Write a ``.raw`` file.

    A sensor sends its clock also where nothing happens; readers count its turns (16.8 s in EVT 3.0, 4.8 h in 2.0) by
    that. So the words hold the time itself, up to :data:`MOST_TURNS` turns. A recording that begins later, as with the
    time of day, has the whole turns before it in the header, as faery writes them.

    Args:
        path: of the file.
        parts: EVENT arrays, ascending in time, from time 0 on; times are cut to microseconds.
        width, height: of the picture [pixels], at most :data:`MAX_SIZE`.
        version: ``evt2`` or ``evt3``.

    Raises:
        TaskError: the events jump by more than :data:`MOST_TURNS` turns.
    """
    kernel = evt2.encode_words if version == "evt2" else evt3.encode_words
    bits, last_us = _CLOCK_BITS[version], -1
    with open(path, "wb") as file:
        for run in _within_turns(parts, bits):
            begin_us = int(run["t"][0]) // 1000
            if last_us < 0:
                last_us = begin_us >> bits << bits if begin_us >> bits > MOST_TURNS else 0
                file.write(_header(width, height, version, last_us))
                file.write(_clock(last_us, last_us + 1, version))
            if begin_us - last_us > MOST_TURNS << bits:
                jump_s = (begin_us - last_us) * 1e-6
                raise TaskError(f"{path}: the events jump by {jump_s:.0f} s; cut the recording there, or write .es")
            file.write(_clock(last_us, begin_us, version))
            last_us = int(run["t"][-1]) // 1000
            run["t"] -= run["t"] % 1000
            for piece in split(run, "evt3", _RUN_BYTES):
                file.write(kernel(to_words(piece)).astype(_WORDS[version]).tobytes())
        if last_us < 0:
            file.write(_header(width, height, version, 0))


def _header(width: int, height: int, version: str, start_us: int) -> bytes:
    number, form = ("2.0", "EVT2") if version == "evt2" else ("3.0", "EVT3")
    start = f"% t0 {start_us}\n" if start_us else ""
    return (
        f"% evt {number}\n% format {form};height={height};width={width}\n% geometry {width}x{height}\n{start}% end\n"
    ).encode()


def _within_turns(parts: Iterable[np.ndarray], bits: int) -> Iterator[np.ndarray]:
    """Copies of the events, none beyond a turn of the clock."""
    for part in parts:
        turns = part["t"] // 1000 >> bits
        for run in np.split(part, np.flatnonzero(np.diff(turns)) + 1):
            if len(run):
                yield run.copy()


def _clock(from_us: int, to_us: int, version: str) -> bytes:
    """The TIME_HIGH words that a sensor sends in a time without events, as far as readers need them.

    The end, the beginning and the middle of each turn: some readers take a longer leap for damage.
    """
    bits, size = _CLOCK_BITS[version], np.dtype(_WORDS[version]).itemsize * 8 - 4
    half = 1 << bits - 1
    marks = [k * half for k in range(-(-from_us // half), to_us // half + 1)]
    marks = sorted({*marks, *(k - 1 for k in marks if k % (2 * half) == 0 and k > from_us)})
    highs = [(us >> bits - size) % (1 << size) for us in marks]
    return (np.array(highs, _WORDS[version]) | np.array(8 << size, _WORDS[version])).tobytes()
