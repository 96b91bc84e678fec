# SPDX-License-Identifier: Apache-2.0
"""Prophesee EVT 3.0: a stream of little-endian 16-bit words that change a state and emit events from it.

====  ============  ===========================================================================
code  name          the other 12 bits
====  ============  ===========================================================================
0x0   EVT_ADDR_Y    row (11 bits) of the events that follow
0x2   EVT_ADDR_X    polarity (bit 11), column: one event
0x3   VECT_BASE_X   polarity (bit 11), column of the vectors that follow
0x4   VECT_12       one event for each bit b that is set, at column base + b; then base += 12
0x5   VECT_8        the same with 8 bits
0x6   EVT_TIME_LOW  bits 0..11 of the time [us]
0x8   EVT_TIME_HIGH bits 12..23 of the time [us]; the time wraps every 16.777216 s
0x7, 0xA, 0xE, 0xF  CONTINUED_4, EXT_TRIGGER, OTHERS, CONTINUED_12: carry no events
others              reserved; some cameras pad with them
====  ============  ===========================================================================

https://docs.prophesee.ai/stable/data/encoding_formats/evt3.html
"""

from __future__ import annotations

import numba
import numpy as np

#: Largest width and height that the format can address.
MAX_SIZE = 2048

_ADDR_Y, _ADDR_X, _BASE_X, _VECT_12, _VECT_8, _TIME_LOW, _TIME_HIGH = 0, 2, 3, 4, 5, 6, 8
_RESERVED = (0x1, 0x9, 0xB, 0xC, 0xD)
_WRAP = 1 << 24
_CROWD = 32
_UNKNOWN = -1

#: Entries of a decoder's state, int64: the time [us, unwrapped], the last TIME_HIGH, row, vector base and polarity,
#: each -1 while unknown, and the time of the first event of the last packet, kept or not [ns], -1 if it had none.
TIME, HIGH, ROW, BASE, POLARITY, FIRST_NS = range(6)


def unknown_state() -> np.ndarray:
    """The state of a decoder that has read nothing."""
    state = np.full(6, _UNKNOWN, np.int64)
    state[TIME] = 0
    return state


def _holdings() -> np.ndarray:
    """Of each word the number of its events, and 16 if its code is reserved; uint8 ``(65536,)``."""
    words = np.arange(1 << 16)
    code, ones = words >> 12, sum(words >> bit & 1 for bit in range(12))
    events = np.select([code == _ADDR_X, (code == _VECT_12) | (code == _VECT_8)], [1, ones], 0)
    return (events + 16 * np.isin(code, _RESERVED)).astype(np.uint8)


_HOLDS = _holdings()


@numba.njit(cache=True, nogil=True)
def decode_words(data, state, anchor_us, earliest_ns, latest_ns, width, height):
    """Events of one packet, or of one piece of a stream.

    The 24 bits of time are unwrapped to the time nearest to ``anchor_us``. Without an anchor, a TIME_HIGH that falls
    begins a new turn of the clock, for any gap, and a TIME_LOW that falls runs back (the rule of openeb).

    Words of reserved codes are skipped: cameras pad with them. So is a TIME_HIGH that the next one contradicts, as
    damage to one word would move all events until then.

    Args:
        data: uint16, the words.
        state: int64 ``(6,)``, see above; brought up to date.
        anchor_us: a time that lies less than half a turn from every event [us], or -1 if none is known.
        earliest_ns: events before it, or before an event that came before them, are dropped as backward.
        latest_ns: events after it are dropped as out of span.
        width: columns of the picture [pixels].
        height: rows of the picture [pixels].

    Returns:
        ``(events, skipped, incomplete, out_of_picture, backward, out_of_span)``: pairs of int64 words, the number of
        words skipped, and the numbers of events dropped, ``incomplete`` being those that came before a time and a row
        were known.
    """
    room, skipped = _most_events(data)
    events = np.empty(2 * room + 24, np.int64)  # and some, as vectors are written whole
    n = 0
    time, high, row, base, polarity = state[TIME], state[HIGH], state[ROW], state[BASE], state[POLARITY]
    first_ns = np.int64(_UNKNOWN)
    turn, low = time >> 24, time & 0xFFF
    t = time * 1000
    n_before_t = 0
    in_time = False  # the time is known and in bounds
    ready = False  # an event takes the short way: all is known, and in bounds
    incomplete = out_of_picture = backward = out_of_span = 0
    for i in range(data.shape[0]):
        word = data[i]
        code, value = np.int64(word >> 12), np.int64(word & 0xFFF)
        if code == _ADDR_X:
            column = value & 0x7FF
            if ready and column < width:
                events[2 * n] = t
                events[2 * n + 1] = column | row << 16 | (value >> 11) << 32
                n += 1
                continue
            mask, sign = 1, value >> 11
        elif code == _ADDR_Y:
            row = value & 0x7FF
            ready = in_time and row < height
            continue
        elif code == _TIME_LOW or code == _TIME_HIGH:
            if code == _TIME_LOW:
                low = value
            elif value != high:
                if high != _UNKNOWN and _contradicted(data, i, high, value):
                    skipped += 1
                    continue
                turn += value < (time >> 12 & 0xFFF)
                high, low = value, 0
            if high != _UNKNOWN:
                if n > n_before_t:
                    earliest_ns, n_before_t = t, n
                time = turn << 24 | high << 12 | low
                if anchor_us != _UNKNOWN:
                    time = anchor_us + ((time - anchor_us + _WRAP // 2) & (_WRAP - 1)) - _WRAP // 2
                t = time * 1000
                in_time = first_ns != _UNKNOWN and earliest_ns <= t <= latest_ns
                ready = in_time and 0 <= row < height
            continue
        elif code == _BASE_X:
            base, polarity = value & 0x7FF, value >> 11
            continue
        elif code == _VECT_12 or code == _VECT_8:
            column, sign = base, polarity
            if polarity == _UNKNOWN:
                incomplete += _ones(value)
                continue
            if code == _VECT_12:
                mask = value
                base += 12
            else:
                mask = value & 0xFF
                base += 8
            if ready and column + 12 <= width:
                place = column | row << 16 | sign << 32
                for b in range(12):  # writes a place for each bit and keeps it if the bit is set: no branches
                    events[2 * n] = t
                    events[2 * n + 1] = place + b
                    n += mask >> b & 1
                continue
        else:
            continue

        # The rare rest: some state is unknown, or some of the events are outside the limits.
        if high == _UNKNOWN or row == _UNKNOWN:
            incomplete += _ones(mask)
            continue
        if first_ns == _UNKNOWN and mask:
            first_ns = t
            in_time = earliest_ns <= t <= latest_ns
            ready = in_time and row < height
        inside = 0 if row >= height else mask & ((1 << min(max(width - column, 0), 12)) - 1)
        out_of_picture += _ones(mask ^ inside)
        if t > latest_ns:
            out_of_span += _ones(inside)
        elif t < earliest_ns:
            backward += _ones(inside)
        else:
            for b in range(12):
                events[2 * n] = t
                events[2 * n + 1] = (column + b) | row << 16 | sign << 32
                n += inside >> b & 1
    state[TIME], state[HIGH], state[ROW], state[BASE], state[POLARITY] = time, high, row, base, polarity
    state[FIRST_NS] = first_ns
    return events[: 2 * n], skipped, incomplete, out_of_picture, backward, out_of_span


@numba.njit(cache=True, nogil=True)
def _contradicted(data, i, high, value):
    """Whether the TIME_HIGH after word ``i`` follows ``high``, the one before it, more closely than ``value``."""
    if value - high == 1:
        return False
    for k in range(i + 1, data.shape[0]):
        if data[k] >> 12 == _TIME_HIGH:
            later = np.int64(data[k] & 0xFFF)
            return (later - high) & 0xFFF < (later - value) & 0xFFF
    return False


@numba.njit(cache=True, nogil=True)
def _most_events(data):
    """Return an upper bound of the events in the words, and how many of the words have reserved codes."""
    count, reserved = 0, 0
    for word in data:
        holds = _HOLDS[word]
        count += holds & 15
        reserved += holds >> 4
    return count, reserved


@numba.njit(cache=True, nogil=True)
def _ones(mask):
    count = 0
    while mask:
        mask &= mask - 1
        count += 1
    return count


@numba.njit(cache=True, nogil=True)
def encode_words(events):
    """A self-contained stream of events that are sorted by time; the caller has checked their ranges.

    Times are rounded up to whole microseconds, so an event of a window ``(a, b]`` whose ends are whole
    microseconds stays in it. Three or more neighbouring events within twelve pixels of a row are sent as a
    vector. The events of a microsecond that has ``_CROWD`` of them or more are first sorted by pixel.

    Args:
        events: pairs of int64 words, at least one, spanning less than 2^32 ns.

    Returns:
        uint16.
    """
    n = events.shape[0] // 2
    data = np.empty(4 * n, np.uint16)
    keys, times = np.empty(n, np.int32), np.empty(n, np.uint32)
    begin_us = events[0] // 1000
    for i in range(n):
        word = events[2 * i + 1]
        polarity = np.int64((word >> 32) & 0xFF != 0)
        keys[i] = ((word >> 16) & 0x7FF) << 12 | polarity << 11 | (word & 0x7FF)
        times[i] = np.uint32(np.uint32(events[2 * i] - begin_us * 1000 + 999) // np.uint32(1000))
    size = 0
    now, high, low, row = -1, -1, -1, -1
    i = 0
    while i < n:
        if times[i] != now:
            now = np.int64(times[i])
            time = begin_us + now
            if (time >> 12) & 0xFFF != high:
                high, low = (time >> 12) & 0xFFF, -1
                data[size] = _TIME_HIGH << 12 | high
                size += 1
            if time & 0xFFF != low:
                low = time & 0xFFF
                data[size] = _TIME_LOW << 12 | low
                size += 1
            if i + _CROWD <= n and times[i + _CROWD - 1] == now:
                end = i + _CROWD
                while end < n and times[end] == now:
                    end += 1
                keys[i:end].sort()
        key = keys[i]
        if key >> 12 != row:
            row = key >> 12
            data[size] = _ADDR_Y << 12 | row
            size += 1
        if i + 2 < n and 2 <= keys[i + 2] - key < 12 and key < keys[i + 1] < keys[i + 2]:
            side = key >> 11  # row and polarity
            if keys[i + 2] >> 11 == side and times[i + 2] == now:
                data[size] = _BASE_X << 12 | (key & 0xFFF)
                size += 1
                while i < n and 0 <= keys[i] - key < 12 and keys[i] >> 11 == side and times[i] == now:
                    mask, last = 0, -1
                    while i < n and last < keys[i] - key < 12 and keys[i] >> 11 == side and times[i] == now:
                        last = keys[i] - key
                        mask |= 1 << last
                        i += 1
                    data[size] = _VECT_12 << 12 | mask
                    size += 1
                    key += 12
                continue
        data[size] = _ADDR_X << 12 | (key & 0xFFF)
        size += 1
        i += 1
    return data[:size]
