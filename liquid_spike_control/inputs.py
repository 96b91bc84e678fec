# SPDX-License-Identifier: Apache-2.0
"""Files from anywhere, opened within bounds: regular files of a bounded size, JSON and yaml of a bounded depth.

A FIFO or a device named as a model would be waited for, or read, without end. What HDF5 files hold is bounded by
:mod:`~.hdf5`.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np

#: Of a yaml file: its size [bytes], its depth, and its values; a robot's has a hundred.
MAX_YAML_BYTES, MAX_YAML_DEPTH, MAX_YAML_VALUES = 1 << 20, 32, 20_000

def open_input(path: str | Path) -> BinaryIO:
    """Open a regular file to be read; a FIFO, a device or a folder is refused at once.

    Raises:
        OSError: it cannot be opened, or is no regular file; ``strerror`` has the reason.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would be waited for
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise OSError(errno.EINVAL, f"it is {kind}", str(path))
    return open(descriptor, "rb")


def read_input(path: str | Path, most: int) -> bytes:
    """All of a regular file of at most ``most`` bytes.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger; ``strerror`` has the reason.
    """
    with open_input(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) if size <= most else b""  # read allocates its argument
    if max(size, len(data)) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes", str(path))
    return data


@contextmanager
def open_npz(path: str | Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Arrays of a ``.npz`` file, each read when it is asked for.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is damaged, or an array is missing, whatever NumPy raises of it; one line.
    """
    import zipfile
    import zlib

    import numpy as np

    opened = open_input(path)
    try:
        with opened as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array, no archive")
            with arrays:
                yield arrays
    except (OSError, ValueError, LookupError, EOFError, TypeError, AttributeError, NotImplementedError,
            zipfile.BadZipFile, zlib.error, MemoryError) as error:  # fmt: skip
        raise ValueError(" ".join(str(error).split())[:160] or type(error).__name__) from None


def parse_json(text: str | bytes) -> Any:
    """A JSON document.

    Raises:
        ValueError: it is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_yaml(path: str | Path, loader: Any = None) -> Any:
    """A yaml document of plain values.

    Args:
        path: of the file.
        loader: a class derived from yaml's safe loader, instead of that.

    Raises:
        OSError: it cannot be read, is no regular file, or larger than :data:`MAX_YAML_BYTES`.
        ValueError: it is no yaml, or is nested too deeply or too large; one line.
    """
    import yaml

    data = read_input(path, MAX_YAML_BYTES)
    try:
        text = data.decode()
        # does not recurse, as what loads it does; libyaml's also takes no second for a thousand brackets in a line
        depth = 0
        for n, event in enumerate(yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_YAML_DEPTH or n > MAX_YAML_VALUES:
                raise ValueError(f"nested too deeply or too long: {MAX_YAML_DEPTH} levels, {MAX_YAML_VALUES} values")
        reader = (loader or yaml.SafeLoader)(text)
        try:
            return reader.get_single_data()
        finally:
            reader.dispose()
    # of dates, numbers and keys that Python does not have, so more than yaml's own
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None
