# SPDX-License-Identifier: Apache-2.0
"""The encodings of libcaer_driver: ``libcaer``, 64 bits an event, and ``libcaer_cmp``, compressed to 16-bit words.

Facts from event_camera_codecs (``libcaer_decoder.h``, ``libcaer_cmp_types.h``) and libcaer_driver
(``message_converter.cpp``). All words are little-endian; times are microseconds since the packet's time base, which is
the driver's time of the sensor's zero (``libcaer``) or of the first event (``libcaer_cmp``).

- ``libcaer``: bit 0 valid, 1 polarity, 2..16 row, 17..31 column, 32..62 time; where times fall, 2**31 us have passed.
- ``libcaer_cmp``: bits 12..15 select the meaning of the other twelve: 0 and 1 the upper and the lower half of the
  time, 2 a column, 3 a row and, in bit 11, the polarity of one event, 4 the row and polarity at which a vector begins,
  5 a vector of eight rows, one bit an event.
"""

from __future__ import annotations

import numba
import numpy as np

_TIME_HIGH, _TIME_LOW, _COLUMN, _ROW, _VECTOR_ROW, _VECTOR = range(6)
_TURN_US = 1 << 31


@numba.njit(cache=True, nogil=True)
def decode_words(data, time_base_ns, earliest_ns, latest_ns, width, height):
    """Events of one ``libcaer`` packet, uint64 words; as :func:`.mono.decode_words`."""
    out_of_picture = backward = out_of_span = 0
    events = np.empty(2 * data.shape[0], np.int64)
    n = 0
    turns_us, last_us = np.int64(0), np.int64(0)
    for word in data:
        us = np.int64(word >> np.uint64(32)) & 0x7FFFFFFF
        if us < last_us:
            turns_us += _TURN_US
        last_us = us
        t = time_base_ns + (turns_us + us) * 1000
        place = np.int64(word & np.uint64(0xFFFFFFFF))
        column, row = (place >> 17) & 0x7FFF, (place >> 2) & 0x7FFF
        if not place & 1:
            continue
        if column >= width or row >= height:
            out_of_picture += 1
        elif t < earliest_ns:
            backward += 1
        elif t > latest_ns:
            out_of_span += 1
        else:
            earliest_ns = t
            events[2 * n] = t
            events[2 * n + 1] = column | row << 16 | ((place >> 1) & 1) << 32
            n += 1
    return events[: 2 * n], out_of_picture, backward, out_of_span


@numba.njit(cache=True, nogil=True)
def decode_compressed(data, time_base_ns, earliest_ns, latest_ns, width, height):
    """Events of one ``libcaer_cmp`` packet.

    Args:
        data: uint16, the words of the packet.
        time_base_ns, earliest_ns, latest_ns, width, height: as of :func:`.mono.decode_words`.

    Returns:
        ``(events, skipped, incomplete, out_of_picture, backward, out_of_span)``: pairs of int64 words, the number of
        words skipped as their code is unknown, and the numbers of events dropped; ``incomplete`` are those without a
        column or a row before them.
    """
    most = skipped = 0
    for word in data:
        code = np.int64(word) >> 12
        if code == _ROW:
            most += 1
        elif code == _VECTOR:
            for k in range(8):
                most += np.int64(word) >> k & 1
        elif code > _VECTOR:
            skipped += 1
    incomplete = out_of_picture = backward = out_of_span = 0
    events = np.empty(2 * most, np.int64)
    n = 0
    high = low = np.int64(0)
    column = base = np.int64(-1)
    polarity = np.int64(0)
    for word in data:
        code, rest = np.int64(word) >> 12, np.int64(word) & 0xFFF
        if code == _TIME_HIGH:
            high = rest
        elif code == _TIME_LOW:
            low = rest
        elif code == _COLUMN:
            column = rest & 0x7FF
        elif code == _VECTOR_ROW:
            base, polarity = rest & 0x7FF, rest >> 11
        elif code <= _VECTOR:
            t = time_base_ns + (high << 12 | low) * 1000
            first, bits = (rest & 0x7FF, np.int64(1)) if code == _ROW else (base, rest & 0xFF)
            sign = rest >> 11 if code == _ROW else polarity
            for k in range(8):
                if not bits >> k & 1:
                    continue
                row = first + k
                if column < 0 or first < 0:
                    incomplete += 1
                elif column >= width or row >= height:
                    out_of_picture += 1
                elif t < earliest_ns:
                    backward += 1
                elif t > latest_ns:
                    out_of_span += 1
                else:
                    earliest_ns = t
                    events[2 * n] = t
                    events[2 * n + 1] = column | row << 16 | sign << 32
                    n += 1
            if code == _VECTOR and base >= 0:
                base += 8
    return events[: 2 * n], skipped, incomplete, out_of_picture, backward, out_of_span
