# SPDX-License-Identifier: Apache-2.0
"""HDF5 files from anywhere, looked through before anything in them is read.

HDF5 is a container for more than numbers: links into other files, data sets kept in any file of the disk, trees with
loops, and shapes that a file of a kilobyte may claim to be a terabyte. A model has none of that.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from .inputs import open_input

#: Limit of the unpacked size of a file [bytes].
MAX_BYTES = 1 << 30
#: Groups and data sets in a file, how deep they lie, and strings in a data set.
MAX_OBJECTS, MAX_DEPTH, MAX_STRINGS = 100_000, 64, 1 << 16
#: Of a data set that is read in pieces: a chunk, which is unpacked whole, and a row [bytes]; and how many times larger
#: than its file it may be, from :data:`MAX_BYTES` on: times and places of events pack to a twentieth.
MAX_CHUNK, MAX_ITEM, MAX_RATIO = 1 << 26, 256, 256


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """An open file, of which everything may be read without surprises.

    Raises:
        OSError: it is no HDF5 file.
        ValueError: it holds more than :data:`MAX_BYTES`, links that are not its own tree, or data kept elsewhere; one
            line that names the place.
    """
    _check_heaps(path)
    with h5py.File(path, "r") as file:
        try:
            _look_through(file)
        except (TypeError, KeyError, RuntimeError) as error:  # what h5py makes of damage
            raise ValueError(" ".join(str(error).split())) from None
        yield file


def _check_heaps(path: str | Path) -> None:
    """Refuse collections of texts that HDF5 1.14 would walk through without end: an object of no size in them.

    Format: HDF5 File Format Specification 3.0, III.E, global heap.
    """
    with open_input(path) as file:
        if not os.fstat(file.fileno()).st_size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            begin = -1
            while (begin := data.find(b"GCOL\x01", begin + 1)) >= 0:
                if begin + 16 > len(data):
                    return
                end = begin + int.from_bytes(data[begin + 8 : begin + 16], "little")
                at = begin + 16
                while at + 16 <= min(end, len(data)):
                    number, _, _, size = struct.unpack_from("<HHIQ", data, at)
                    # number 0 is what is left of the collection, with this header
                    taken = size if number == 0 else 16 + -(-size // 8) * 8
                    if taken < 16 or at + taken > end:
                        raise ValueError(f"a damaged collection of texts at byte {begin}")
                    at += taken


def check_stream(dataset: h5py.Dataset, where: str) -> None:
    """Refuse a data set that cannot be read piece by piece in memory and time bounded by the size of its file.

    HDF5 makes up what was never written: a file of a kilobyte may claim to hold 2^40 events. What it has once in a
    file, an index of chunks may name a thousand times.

    Args:
        dataset: of numbers, as many rows as it likes.
        where: its name, for the message.

    Raises:
        ValueError: it is no array of numbers, its rows or chunks are larger than :data:`MAX_ITEM` and
            :data:`MAX_CHUNK`, it claims more than :data:`MAX_RATIO` times the size of its file, or less is stored
            than it claims; one line.
    """
    row = dataset.dtype.itemsize * math.prod(dataset.shape[1:] if dataset.shape else ())
    if dataset.dtype.hasobject or dataset.dtype.kind not in "biufV":
        raise ValueError(f"{where} holds {dataset.dtype.name}, no numbers")
    if row > MAX_ITEM:
        raise ValueError(f"{where} has rows of {row:,} bytes; at most {MAX_ITEM}")
    if not dataset.shape or not dataset.size:
        return
    if dataset.chunks is None:
        stored, claimed, what = dataset.id.get_storage_size(), dataset.nbytes, "bytes"
    else:
        if (chunk := math.prod(dataset.chunks) * dataset.dtype.itemsize) > MAX_CHUNK:
            raise ValueError(f"{where} has chunks of {chunk:,} bytes; at most {MAX_CHUNK:,}")
        claimed = math.prod(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True))
        stored, what = dataset.id.get_num_chunks(), "chunks"
    if stored < claimed:
        raise ValueError(f"{where} claims {claimed:,} {what}, but {stored:,} are stored")
    size = os.path.getsize(dataset.file.filename)
    if dataset.nbytes > max(MAX_RATIO * size, MAX_BYTES):
        raise ValueError(f"{where} claims {dataset.nbytes:,} bytes, in a file of {size:,}")


def _look_through(file: h5py.File) -> None:
    held, seen = 0, {_address(file)}
    waiting = [(file["/"], 1)]
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            where = f"{group.name}/{name}".replace("//", "/")[:100]
            if type(group.get(name, getlink=True)) is not h5py.HardLink:
                raise ValueError(f"{where} is a link to elsewhere")
            part = group[name]
            if (address := _address(part)) in seen:
                raise ValueError(f"{where} is linked twice")
            seen.add(address)
            if len(seen) > MAX_OBJECTS or depth > MAX_DEPTH:
                raise ValueError(f"{where}: more than {MAX_OBJECTS} groups and data sets, or {MAX_DEPTH} levels")
            if isinstance(part, h5py.Group):
                waiting.append((part, depth + 1))
            elif isinstance(part, h5py.Dataset):
                held += _size(part, where, MAX_BYTES - held)


def _size(dataset: h5py.Dataset, where: str, room: int) -> int:
    """Return the size of a data set in memory [bytes]."""
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{where} is kept in another file")
    count, size = dataset.size or 0, dataset.dtype.itemsize
    strings = h5py.check_string_dtype(dataset.dtype)
    if dataset.dtype.hasobject and strings is None:
        raise ValueError(f"{where} holds {dataset.dtype.name}, neither numbers nor text")
    # the chunk is unpacked whole, and may be larger than the data set
    taken = size * max(count, math.prod(dataset.chunks or ()))
    if strings is not None and strings.length is None:
        if count > MAX_STRINGS:
            raise ValueError(f"{where} claims {count:,} strings; at most {MAX_STRINGS:,}")
        for text in _strings(dataset, count):
            taken += len(text)
            if taken > room:
                break
    if taken > room:
        raise ValueError(f"{where} claims {taken:,} bytes; at most {MAX_BYTES:,} in a file")
    return taken


def _strings(dataset: h5py.Dataset, count: int) -> Iterator[bytes]:
    """One after the other: thousands may be one and the same text of the file, and large."""
    if not dataset.shape:
        yield dataset[()]
        return
    for k in range(count):
        place, rest = [], k
        for length in reversed(dataset.shape):
            rest, index = divmod(rest, length)
            place.append(index)
        yield dataset[tuple(reversed(place))]


def _address(part: h5py.Group | h5py.Dataset) -> int:
    return h5py.h5o.get_info(part.id).addr
