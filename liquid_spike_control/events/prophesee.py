# SPDX-License-Identifier: Apache-2.0
"""Prophesee's ``.raw`` files: a header of text, then the sensor's stream in EVT 2.0, 2.1 or 3.0.

Their readers differ on damaged words; ours skips and counts them, as openeb does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import TaskError
from . import evt2
from .codec import Decoder
from .words import from_words

#: Read at once [bytes].
PIECE_BYTES = 1 << 20
_VERSIONS = {"2.0": "evt2", "2.1": "evt21", "3.0": "evt3", "evt2": "evt2", "evt21": "evt21", "evt3": "evt3"}
_WORDS = {"evt2": "<u4", "evt21": "<u8", "evt3": "<u2"}
#: Longest header [bytes].
_MOST_HEADER = 1 << 16


@dataclass(frozen=True)
class RawHeader:
    """Contents of the header.

    Attributes:
        size: of the header [bytes].
        version: ``evt2``, ``evt21`` or ``evt3``.
        picture: width and height [pixels]; None if not given.
        swapped: the halves of EVT 2.1 words are swapped; None if not given.
        start_ns: what faery's files add to the times of the stream [ns].
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
    start_ns = int(start) * 1000 if start.isdecimal() and len(start) < 16 else 0
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
