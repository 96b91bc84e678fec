# SPDX-License-Identifier: Apache-2.0
"""The frame of an AEDAT4 file, looked through before its decoder allocates what a length field claims.

After the line ``#!AER-DAT4.0`` come a header with its length before it, and packets: stream, length, compressed data.
Format: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html
"""

from __future__ import annotations

import struct
from pathlib import Path

from ..errors import TaskError

_LINE = 14
#: The header is text about the recording's modules; it has kilobytes.
MAX_HEADER = 1 << 24


def check_frame(path: Path) -> None:
    """Refuse a file with a header or a packet that claims more than the whole file has.

    Raises:
        TaskError: it does; a file that only ends within a packet is left to the reader.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(_LINE)
        length = file.read(4)
        n = int.from_bytes(length, "little")
        header = file.read(min(n, MAX_HEADER))
        if len(length) < 4 or len(header) < n:
            raise TaskError(f"{path}: the header claims a size of {n} bytes; copy or download the file again")
        table = _table_position(header)
        end = table if _LINE + 4 + n <= table <= size else size
        at = _LINE + 4 + n
        while at + 8 <= end:
            file.seek(at)
            _, claimed = struct.unpack("<iI", file.read(8))
            if claimed > size:
                raise TaskError(
                    f"{path}: the packet at byte {at} claims a size of {claimed} bytes; copy or download the file again"
                )
            at += 8 + claimed


def _table_position(header: bytes) -> int:
    """Return where the packets end and their table begins, from the header, a flatbuffer; -1 if it is not given."""
    try:
        (root,) = struct.unpack_from("<I", header, 0)
        (back,) = struct.unpack_from("<i", header, root)
        n_bytes, _, _, offset = struct.unpack_from("<HHHH", header, root - back)
        if n_bytes < 8 or not offset:
            return -1
        return struct.unpack_from("<q", header, root + offset)[0]
    except struct.error:
        return -1
