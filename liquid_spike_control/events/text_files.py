# SPDX-License-Identifier: Apache-2.0
"""Recordings in text: one event a line, as ``.csv`` and as the ``.txt`` of the Event Camera Dataset.

Columns are separated by commas, semicolons or blanks. A first line may name them (``t, x, y, p``); without it they come
in this order. A time with a point is in seconds; an integer is in microseconds, or in nanoseconds from 10^17 on, which
is the year 1973. A polarity above 0 is brighter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ..errors import TaskError
from ..types import EVENT

#: Lines that are read at once, and the longest [bytes].
PIECE, LONGEST = 1 << 16, 1 << 10
NAMES = {
    "t": "t", "ts": "t", "time": "t", "timestamp": "t", "x": "x", "y": "y", "p": "p", "pol": "p", "polarity": "p",
    "on": "p",
}  # fmt: skip
_NANOSECONDS = 10**17
_SEPARATORS = re.compile(rb"[,;\s]+")
#: Of UTF-8, with which spreadsheets begin a file.
_MARK = b"\xef\xbb\xbf"
_POLARITY = {b"true": 1, b"false": 0}


def pieces(path: Path) -> Iterator[np.ndarray]:
    """EVENT arrays, one after the other.

    Raises:
        TaskError: a line is no event; it is named.
    """
    order: list[int] | None = None
    rows: list[tuple[int, int, int, int]] = []
    with open(path, "rb") as file:
        number = 0
        while line := file.readline(LONGEST + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(_MARK)
            words = [word for word in _SEPARATORS.split(line.strip()) if word]
            if not words or words[0].startswith(b"#"):
                continue
            if order is None:
                order = _order(words)
                if order is not None:
                    continue
                order = [0, 1, 2, 3]
            try:
                if len(line) > LONGEST:
                    raise ValueError
                rows.append(_event(*(words[k] for k in order)))
            except (ValueError, IndexError):
                raise TaskError(f"{path}: line {number} is no event (time, column, row, polarity); fix it") from None
            if len(rows) == PIECE:
                yield np.array(rows, EVENT)
                rows = []
    if rows:
        yield np.array(rows, EVENT)


def _order(words: list[bytes]) -> list[int] | None:
    """Places of t, x, y and p by a line that names them; None if it does not."""
    names = [NAMES.get(word.decode("ascii", "replace").lower().strip('"'), "") for word in words]
    return [names.index(name) for name in "txyp"] if set(names) >= set("txyp") else None


def _event(t: bytes, x: bytes, y: bytes, p: bytes) -> tuple[int, int, int, int]:
    whole, point, fraction = t.partition(b".")
    if point:
        if fraction and not fraction.isdigit():
            raise ValueError
        ns = int(whole or b"0") * 10**9 + int(fraction[:9].ljust(9, b"0"))
    else:
        ns = int(t) if int(t) >= _NANOSECONDS else int(t) * 1000
    polarity = _POLARITY.get(p.lower())
    column, row = int(x), int(y)
    if not (0 <= column <= 65535 and 0 <= row <= 65535 and 0 <= ns < 2**62):
        raise ValueError
    return ns, column, row, int(p) > 0 if polarity is None else polarity


def write(path: Path, parts: Iterable[np.ndarray]) -> None:
    """Write ``t,x,y,p`` with microseconds, and a line that names them."""
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.write("t,x,y,p\n")
        for events in parts:
            table = np.stack([events["t"] // 1000, events["x"], events["y"], events["p"] != 0], axis=1)
            np.savetxt(file, table, "%d", ",")
