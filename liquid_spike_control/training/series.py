# SPDX-License-Identifier: Apache-2.0
"""Series of samples that a reservoir is trained and tested on: NARMA-10, and columns of a file."""

from __future__ import annotations

import csv
import errno
import io
import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import TaskError
from ..inputs import open_input
from ..spiking.reservoir_file import Signal

_MOST_BYTES = 1 << 27
_FEWEST = 500


@dataclass(frozen=True, eq=False)
class Series:
    """Inputs and the targets of the same samples.

    Attributes:
        inputs: float64 ``(n, n_inputs)``.
        targets: float64 ``(n, n_targets)``.
        input_names, target_names: in order.
        source: the subject of error messages.
    """

    inputs: np.ndarray
    targets: np.ndarray
    input_names: tuple[str, ...]
    target_names: tuple[str, ...]
    source: str = "the series"

    def __len__(self) -> int:
        return len(self.targets)

    def signals(self) -> tuple[tuple[Signal, ...], tuple[Signal, ...]]:
        """Inputs and targets with the ranges that they have here.

        Raises:
            TaskError: one of them does not change, or is not finite.
        """
        return _signals(self.input_names, self.inputs, self.source), _signals(
            self.target_names, self.targets, self.source
        )


def _signals(names: Sequence[str], values: np.ndarray, source: str) -> tuple[Signal, ...]:
    found = []
    for name, column in zip(names, values.T, strict=True):
        if not np.isfinite(column).all():
            at = int(np.flatnonzero(~np.isfinite(column))[0])
            raise TaskError(f"{source}: column {name}, sample {at + 1} is not finite; leave the sample out")
        middle, half = (column.max() + column.min()) / 2, (column.max() - column.min()) / 2
        if half <= 0:
            raise TaskError(f"{source}: column {name} does not change; leave it out")
        found.append(Signal(name, float(middle), float(half)))
    return tuple(found)


def narma10(n: int, seed: int) -> Series:
    """The nonlinear autoregressive moving average of order 10 (Atiya and Parlos 2000; Jaeger 2003).

    ``y(t) = 0.3 y(t-1) + 0.05 y(t-1) sum of y(t-1) .. y(t-10) + 1.5 u(t-10) u(t-1) + 0.1``, u uniform in 0 .. 0.5; at
    sample t the input is ``u(t-1)``, the target ``y(t)``. A drawing in which y runs away is drawn again.

    Args:
        n: samples.
        seed: of u.
    """
    for draw in range(100):
        u = np.random.default_rng((seed, draw)).uniform(0, 0.5, n)
        y = np.zeros(n + 1)
        for t in range(10, n + 1):
            y[t] = 0.3 * y[t - 1] + 0.05 * y[t - 1] * y[t - 10 : t].sum() + 1.5 * u[t - 10] * u[t - 1] + 0.1
            if y[t] > 1.0:
                break
        else:
            return Series(u[:, None], y[1:, None], ("u",), ("y",), "narma10")
    raise TaskError(f"narma10: it runs away within {n} samples whatever is drawn; give fewer samples")


def read_csv(path: Path, targets: Sequence[str] = ()) -> Series:
    """Columns of a file of comma-separated values, the names in its first line.

    Args:
        path: the file.
        targets: names of the columns to be predicted, at the same sample; the last one if not given. All others are
            inputs.

    Raises:
        TaskError: the file cannot be read, is too short, or a column is missing or no numbers; names it.
    """
    names: tuple[str, ...] = ()
    cells = array("d")
    try:
        with open_input(path) as file:
            if os.fstat(file.fileno()).st_size > _MOST_BYTES:
                raise OSError(errno.EFBIG, f"more than {_MOST_BYTES} bytes")
            rows = csv.reader(io.TextIOWrapper(file, "utf-8-sig", newline=""))
            for row in rows:
                if row and not names:
                    names = tuple(name.strip() for name in row)
                    targets = _targets(path, names, targets)
                elif row:
                    _add(path, rows.line_num, row, len(names), cells)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise TaskError(f"{path}: {reason}; give a file of comma-separated values") from None
    values = np.frombuffer(cells).reshape(-1, max(len(names), 1))
    if len(values) < _FEWEST:
        raise TaskError(f"{path}: {len(values)} samples; give at least {_FEWEST}")
    inputs = tuple(name for name in names if name not in targets)
    column = {name: values[:, k] for k, name in enumerate(names)}
    return Series(
        np.stack([column[name] for name in inputs], 1) if inputs else np.empty((len(values), 0)),
        np.stack([column[name] for name in targets], 1),
        inputs,
        tuple(targets),
        str(path),
    )


def _targets(path: Path, names: tuple[str, ...], targets: Sequence[str]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise TaskError(f"{path}: its first line names the columns, each once")
    for name in targets:
        if name not in names:
            raise TaskError(f"{path}: there is no column {name}; there are {', '.join(names)[:200]}")
    return tuple(targets) or names[-1:]


def _add(path: Path, line: int, row: list[str], n: int, cells: array) -> None:
    try:
        numbers = [float(cell) for cell in row]
    except ValueError:
        numbers = []
    if len(numbers) != n:
        raise TaskError(f"{path}: line {line} is not {n} numbers; correct it")
    cells.extend(numbers)
