# SPDX-License-Identifier: Apache-2.0
"""The ``mono`` encoding of event_camera_codecs: one little-endian 64-bit word an event.

Bits 0..31 are the time since the packet's time base [ns], 32..47 the column, 48..62 the row, 63 the polarity.
"""

from __future__ import annotations

import numba
import numpy as np

#: Largest width and height that the format can address.
MAX_SIZE = 32768


@numba.njit(cache=True, nogil=True)
def decode_words(data, time_base_ns, earliest_ns, latest_ns, width, height):
    """Events of one packet.

    Args:
        data: uint64, the words of the packet.
        time_base_ns: time of ``dt = 0`` [ns].
        earliest_ns: events before it, or before an event that came before them, are dropped as backward.
        latest_ns: events after it are dropped as out of span.
        width: columns of the picture [pixels].
        height: rows of the picture [pixels].

    Returns:
        ``(events, out_of_picture, backward, out_of_span)``: pairs of int64 words, and the numbers of events
        dropped.
    """
    out_of_picture = backward = out_of_span = 0
    events = np.empty(2 * data.shape[0], np.int64)
    n = 0
    for word in data:
        t = time_base_ns + np.int64(word & np.uint64(0xFFFFFFFF))
        place = np.int64(word >> np.uint64(32))
        if place & 0xFFFF >= width or (place >> 16) & 0x7FFF >= height:
            out_of_picture += 1
        elif t < earliest_ns:
            backward += 1
        elif t > latest_ns:
            out_of_span += 1
        else:
            earliest_ns = t
            events[2 * n] = t
            events[2 * n + 1] = (place & 0x7FFFFFFF) | (place >> 31) << 32
            n += 1
    return events[: 2 * n], out_of_picture, backward, out_of_span


@numba.njit(cache=True, nogil=True)
def encode_words(events, time_base_ns):
    """The words, uint64, of events whose ranges the caller has checked."""
    n = events.shape[0] // 2
    data = np.empty(n, np.uint64)
    for i in range(n):
        place = events[2 * i + 1]
        polarity = np.int64((place >> 32) & 0xFF != 0)
        high = (place & 0x7FFFFFFF) | polarity << 31
        data[i] = np.uint64(high) << np.uint64(32) | np.uint64(events[2 * i] - time_base_ns)
    return data
