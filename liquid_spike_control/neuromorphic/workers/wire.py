# SPDX-License-Identifier: Apache-2.0
"""Messages between a process and its worker: JSON with NumPy arrays in it, and no pickle.

A message is ``LSW1``, the length of the JSON (u32), that of all arrays together (u64), the JSON (UTF-8), the arrays
one after the other; little-endian, C order. In the JSON an array stands as ``{"array": [dtype, shape]}``. Both
interpreters import this file: nothing here may need more than Python 3.10 and NumPy 1.26.
"""

from __future__ import annotations

import json
import math
import struct

import numpy as np

_HEAD = struct.Struct("<4sIQ")
_MAGIC = b"LSW1"
_DTYPES = ("<i8", "<i4", "|b1", "<f8")
#: Largest JSON and largest sum of arrays [bytes]; a header that asks for more is not one of ours.
MOST_JSON, MOST_ARRAYS = 1 << 24, 1 << 32


class WireError(Exception):
    """The bytes are no message."""


def pack(message: dict) -> bytes:
    """One message: dicts, lists, strings, numbers, None and arrays of int64, int32, bool or float64.

    Raises:
        WireError: an array is of another type, or it is all too large.
    """
    arrays: list[bytes] = []

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(v) for key, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        if isinstance(value, np.ndarray):
            if value.dtype.str not in _DTYPES:
                raise WireError(f"an array of {value.dtype} cannot be sent; {', '.join(_DTYPES)} can")
            arrays.append(value.tobytes())
            return {"array": [value.dtype.str, list(value.shape)]}
        return value

    text = json.dumps(plain(message)).encode()
    size = sum(map(len, arrays))
    if len(text) > MOST_JSON or size > MOST_ARRAYS:
        raise WireError(f"a message of {len(text)} + {size} bytes is too large; send fewer steps at a time")
    return b"".join([_HEAD.pack(_MAGIC, len(text), size), text, *arrays])


class Inbox:
    """Bytes as they come in, messages as they become whole."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> dict | None:
        """The message that these bytes complete, or None.

        Raises:
            WireError: what came in is no message.
        """
        self._bytes += data
        head = self._bytes[: _HEAD.size]
        if not _MAGIC.startswith(head[:4]):
            raise WireError(f"no message, but {bytes(head)!r}")
        if len(head) < _HEAD.size:
            return None
        _, text, arrays = _HEAD.unpack(head)
        if text > MOST_JSON or arrays > MOST_ARRAYS:
            raise WireError(f"a message of {text} + {arrays} bytes is announced, which is too large")
        end = _HEAD.size + text + arrays
        if len(self._bytes) < end:
            return None
        whole = bytes(memoryview(self._bytes)[:end])
        del self._bytes[:end]
        return _unpack(whole[_HEAD.size : _HEAD.size + text], whole[_HEAD.size + text :])


def _unpack(text: bytes, data: bytes) -> dict:
    at = 0

    def full(value: object) -> object:
        nonlocal at
        if isinstance(value, list):
            return [full(v) for v in value]
        if not isinstance(value, dict):
            return value
        if list(value) != ["array"]:
            return {key: full(v) for key, v in value.items()}
        dtype, shape = value["array"]
        if dtype not in _DTYPES or any(not isinstance(n, int) or n < 0 for n in shape):
            raise WireError(f"an array of {dtype} and shape {shape} is announced")
        count = math.prod(shape)
        size = count * np.dtype(dtype).itemsize
        if at + size > len(data):
            raise WireError("the arrays are longer than announced")
        array = np.frombuffer(data, dtype, count, at).reshape(shape)
        at += size
        return array

    try:
        message = full(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise WireError(f"no message: {error}") from None
    if not isinstance(message, dict) or at != len(data):
        raise WireError("no message, or arrays that it does not name")
    return message
