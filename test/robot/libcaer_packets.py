# SPDX-License-Identifier: Apache-2.0
"""The packets of libcaer_driver, made event by event in plain Python: what the compiled decoders are compared with."""

import struct

import numpy as np

CODES = {"time_high": 0, "time_low": 1, "column": 2, "row": 3, "vector_row": 4, "vector": 5}


def libcaer(events: np.ndarray, zero_ns: int) -> bytes:
    """64 bits an event; times are those since the sensor's zero."""
    words = []
    for t, x, y, p in events.tolist():
        words.append(struct.pack("<II", 1 | p << 1 | y << 2 | x << 17, (t - zero_ns) // 1000 % 2**31))
    return b"".join(words)


def libcaer_cmp(events: np.ndarray, first_ns: int) -> bytes:
    """16-bit words; events of one time, column, polarity and eight rows share a vector, if they are next to another."""
    words: list[int] = []
    vector: list[int] = []

    def word(code: str, rest: int) -> None:
        words.append(CODES[code] << 12 | rest)

    def flush() -> None:
        if len(vector) == 1:
            word("row", vector[0] | polarity << 11)
        elif vector:
            word("vector_row", vector[0] & ~7 | polarity << 11)
            word("vector", sum(1 << (row & 7) for row in vector))
        vector.clear()

    high = low = 0
    column, polarity = None, 0
    for t, x, y, p in events.tolist():
        us = (t - first_ns) // 1000
        same = column == x and polarity == p and (high, low) == (us >> 12, us & 0xFFF)
        if not same or (vector and (vector[0] & ~7 != y & ~7 or y in vector)):
            flush()
        if high != us >> 12:
            high = us >> 12
            word("time_high", high)
        if low != us & 0xFFF:
            low = us & 0xFFF
            word("time_low", low)
        if column != x:
            column = x
            word("column", x)
        polarity = p
        vector.append(y)
    flush()
    return np.array(words, "<u2").tobytes()
