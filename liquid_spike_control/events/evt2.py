# SPDX-License-Identifier: Apache-2.0
"""Prophesee EVT 2.0 (32-bit words) and EVT 2.1 (64-bit words).

The upper four bits of a word are its type: 0 OFF events, 1 ON events, 8 TIME_HIGH, which gives bits 6..33 of the time
[us] of the events after it; A, E and F carry no events, the others are reserved. An EVT 2.0 word is one event: 6 bits
of time, 11 of column, 11 of row. An EVT 2.1 word holds as many above a mask of 32 bits, one for each column from its
own.

https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html, .../evt21.html
"""

from __future__ import annotations

import numba
import numpy as np

#: Entries of a decoder's state, int64: the last TIME_HIGH, -1 while unknown, and the turns of the clock.
HIGH, TURNS = range(2)
_TURN = 1 << 28
_KNOWN = 0b1100_0101_0000_0011  # types


def unknown_state() -> np.ndarray:
    """The state of a decoder that has read nothing."""
    return np.array([-1, 0])


@numba.njit(cache=True, nogil=True)
def decode_words(words, state, earliest_ns, width, height):
    """Events of a piece of a stream.

    Args:
        words: uint64, EVT 2.1; EVT 2.0 is brought into its form by :func:`widened`.
        state: see above; brought up to date.
        earliest_ns: events before it, or before an event that came before them, are dropped as backward.
        width, height: of the picture [pixels].

    Returns:
        ``(events, skipped, incomplete, out_of_picture, backward)``: pairs of int64 words, the number of words of
        reserved types, and the numbers of events dropped; ``incomplete`` came before the first TIME_HIGH.
    """
    room = 0
    for word in words:
        if word >> np.uint64(60) < 2:
            mask = word & np.uint64(0xFFFFFFFF)
            while mask:
                mask &= mask - np.uint64(1)
                room += 1
    events = np.empty(2 * room, np.int64)
    n = 0
    skipped = incomplete = out_of_picture = backward = 0
    high, turns = state[HIGH], state[TURNS]
    for word in words:
        kind = np.int64(word >> np.uint64(60))
        if kind == 8:
            value = np.int64(word >> np.uint64(32)) & (_TURN - 1)
            turns += value < high
            high = value
            continue
        if kind > 1:
            skipped += 1 - (_KNOWN >> kind & 1)
            continue
        place = np.int64(word >> np.uint64(32))
        column, row = place >> 11 & 0x7FF, place & 0x7FF
        t = ((turns * _TURN + high) << 6 | (place >> 22 & 0x3F)) * 1000
        mask = np.int64(word & np.uint64(0xFFFFFFFF))
        for bit in range(32):
            if not mask >> bit & 1:
                continue
            if high < 0:
                incomplete += 1
            elif column + bit >= width or row >= height:
                out_of_picture += 1
            elif t < earliest_ns:
                backward += 1
            else:
                earliest_ns = t
                events[2 * n] = t
                events[2 * n + 1] = (column + bit) | row << 16 | kind << 32
                n += 1
    state[HIGH], state[TURNS] = high, turns
    return events[: 2 * n], skipped, incomplete, out_of_picture, backward


@numba.njit(cache=True, nogil=True)
def encode_words(events):
    """EVT 2.0 words of events that are sorted by time, a TIME_HIGH first; the caller has checked their ranges.

    Args:
        events: pairs of int64 words, at least one; times are cut to microseconds.

    Returns:
        uint32.
    """
    n = events.shape[0] // 2
    data = np.empty(2 * n, np.uint32)
    size, high = 0, np.int64(-1)
    for i in range(n):
        us, place = events[2 * i] // 1000, events[2 * i + 1]
        if us >> 6 != high:
            high = us >> 6
            data[size] = 8 << 28 | (high & (_TURN - 1))
            size += 1
        polarity = np.int64((place >> 32) & 0xFF != 0)
        data[size] = polarity << 28 | (us & 0x3F) << 22 | (place & 0x7FF) << 11 | (place >> 16 & 0x7FF)
        size += 1
    return data[:size]


def widened(words: np.ndarray) -> np.ndarray:
    """EVT 2.0, uint32, as EVT 2.1: masks of one event."""
    return words.astype(np.uint64) << np.uint64(32) | np.uint64(1)


def halves_swapped(words: np.ndarray) -> bool:
    """Whether an EVT 2.1 stream has the upper half of each word first, as the IMX636 sends it.

    Args:
        words: uint64, some of the stream.
    """
    reserved = np.array([k for k in range(16) if not _KNOWN >> k & 1])
    as_is, swapped = (np.isin(words >> np.uint64(shift) & np.uint64(15), reserved).sum() for shift in (60, 28))
    return bool(swapped < as_is)
