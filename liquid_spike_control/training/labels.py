# SPDX-License-Identifier: Apache-2.0
"""Files of labels: numbers by time stamps, beside a recording of events.

=================  =====================================================================================================
``.csv``, ``.txt``  a line that names the columns, then one a line; the first column is the time
``.npz``            arrays of one length; the time is ``t``, ``time`` or ``timestamp``
=================  =====================================================================================================

The time's name may end in its unit: ``t_s``, ``t_ms``, ``t_us`` or ``t_ns``. Without one, numbers with a point are
seconds and integers are microseconds, or nanoseconds from 10^17 on, which is the year 1973: as in recordings in text.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import TaskError
from ..inputs import open_npz, read_input
from .recorded_runs import Truth

#: Suffixes of files of labels.
SUFFIXES = (".csv", ".txt", ".npz")
#: Largest file of text [bytes].
MAX_BYTES = 1 << 28
_TIME = re.compile(r"(?:.*_)?(?:t|ts|time|timestamp|timestamps)(?:_(?P<unit>s|ms|us|ns))?", re.IGNORECASE)
_UNITS = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
_SEPARATORS = re.compile(r"[,;\s]+")
#: Times before and beyond this are none [ns]: the year 2100.
_LATEST_NS, _NANOSECONDS = 4_200_000_000 * 10**9, 10**17


def read_labels(path: Path, column: str) -> Truth:
    """One column of a file of labels.

    Args:
        path: of the file.
        column: its name.

    Raises:
        TaskError: the file is missing, of another form, or has no such column; a time or a label is not finite, or the
            times do not ascend. One line that names the file, the column and the row.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise TaskError(f"{path}: no file of labels; give one of {', '.join(SUFFIXES)}")
    try:
        read = _of_npz if path.suffix.lower() == ".npz" else _of_text
        times, unit, values = read(path, column)
    except OSError as error:
        raise TaskError(f"{path}: {error.strerror}; name a file of labels beside the events") from None
    except ValueError as error:
        raise TaskError(f"{path}: {error}; correct it") from None
    times_ns = _nanoseconds(path, times, unit)
    if not len(values):
        raise TaskError(f"{path}: no label in it; give at least two")
    for what, wrong in (
        (f"{column} is {{value}}; leave it out", ~np.isfinite(values)),
        ("its time is not after the one before; sort them, and leave one of each time",
         np.concatenate([[False], np.diff(times_ns) <= 0])),
    ):  # fmt: skip
        if wrong.any():
            row = int(np.argmax(wrong))
            raise TaskError(f"{path}: label {row + 1}: {what.format(value=values[row])}")
    return Truth(times_ns, values)


def _of_text(path: Path, column: str) -> tuple[list[str], str, np.ndarray]:
    """Times as they are written, their unit where it is named, and the labels of a column."""
    try:
        lines = read_input(path, MAX_BYTES).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError("it is no text") from None
    named: list[str] | None = None
    times: list[str] = []
    values: list[float] = []
    for number, line in enumerate(lines, 1):
        words = [word.strip('"') for word in _SEPARATORS.split(line.strip().lstrip("#").strip()) if word]
        if not words:
            continue
        if named is None:
            named = words
            time = _TIME.fullmatch(named[0])
            if time is None:
                raise ValueError(f"line {number} does not name the columns, the time first, such as t_us,speed")
            if column not in named[1:]:
                raise ValueError(f"no column {column}; it has {', '.join(named[1:])}")
            place, unit = named[1:].index(column) + 1, time["unit"] or ""
            continue
        if line.lstrip().startswith("#"):
            continue
        try:
            values.append(float(words[place]))
        except (IndexError, ValueError):
            raise ValueError(f"line {number} has no number in column {column}") from None
        times.append(words[0])
    if named is None:
        raise ValueError("it is empty")
    return times, unit.lower(), np.array(values)


def _of_npz(path: Path, column: str) -> tuple[np.ndarray, str, np.ndarray]:
    with open_npz(path) as arrays:
        units = {name: found["unit"] or "" for name in arrays.files if (found := _TIME.fullmatch(name))}
        if len(units) != 1:
            held = ", ".join(units) or f"only {', '.join(arrays.files)}"
            raise ValueError(f"{held} in it; name one array the time: t_s, t_ms, t_us or t_ns")
        if column not in arrays.files or column in units:
            labels = [name for name in arrays.files if name not in units]
            raise ValueError(f"no array {column}; it has {', '.join(labels)}")
        ((name, unit),) = units.items()
        times, values = arrays[name], arrays[column]
    numbers = times.dtype.kind in "iuf" and values.dtype.kind in "biuf"
    if times.ndim != 1 or times.shape != values.shape or not numbers:
        raise ValueError(f"{name} and {column} are no lists of numbers of one length")
    return times, unit.lower(), values.astype(float)


def _nanoseconds(path: Path, times: list[str] | np.ndarray, unit: str) -> np.ndarray:
    """Times as int64 [ns]; integers exactly."""
    found = np.empty(len(times), np.int64)
    for row, time in enumerate(times if isinstance(times, list) else times.tolist()):
        try:
            try:
                value: int | float = int(time) if isinstance(time, str) else time
            except ValueError:
                value = float(time)
            if unit:
                factor = _UNITS[unit]
            elif isinstance(value, float):
                factor = _UNITS["s"]
            else:
                factor = 1 if value >= _NANOSECONDS else 1000
            nanoseconds = round(value * factor)
        except (ValueError, OverflowError):
            nanoseconds = _LATEST_NS + 1
        if not -_LATEST_NS <= nanoseconds <= _LATEST_NS:
            remedy = "correct it, or name its unit, as in t_us"
            raise TaskError(f"{path}: label {row + 1}: the time {time} is none; {remedy}")
        found[row] = nanoseconds
    return found
