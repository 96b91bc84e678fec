# SPDX-License-Identifier: Apache-2.0
"""Compiled kernels of the event camera; the equations stand in camera.py.

A still picture costs one vectorised comparison a pixel; all else is paid by the event.
"""

from __future__ import annotations

import math

import numba
import numpy as np

#: Rows of the ``pixels`` array, float32 ``(5, n)``: remembered log intensity, the log intensities at which
#: the pixel will fire ON and OFF, and its thresholds.
MEMORY, FIRE_ON, FIRE_OFF, THETA_ON, THETA_OFF = range(5)

#: Entries of the ``noise`` array, float64: leak [log intensity / ns]; rates of shot noise and of hot pixels
#: over the whole picture [1 / ns]; times of their next events [ns since reset]; least of all thresholds.
LEAK, SHOT_RATE, HOT_RATE, SHOT_NEXT, HOT_NEXT, LEAST_THETA = range(6)

#: Entries of the ``clock`` array, int64: time of the reset and of the last frame [ns], refractory period
#: [ns], columns of the picture, and the time at which the leak's ramp is 0 [ns].
RESET_NS, STAMP_NS, REFRACTORY_NS, WIDTH, RAMP_NS = range(5)

_ON = np.int64(1) << 32
_BRIGHTEST = np.float32(100.0)  # no float32 has a greater logarithm; what lies beyond (Inf) fires nothing
_RADIX_BITS = 11


@numba.njit(cache=True, nogil=True, error_model="numpy")
def photoreceptor(intensity, stray, threshold, out):
    """``L = ln(I + stray)``, linear below ``threshold``; float32 throughout, within 2 ulp of the logarithm.

    The logarithm is that of the Cephes library (S. Moshier), written without branches so that it vectorises:
    ``ln(m 2^e) = ln(1 + f) + e ln 2`` with ``sqrt(1/2) <= m < sqrt(2)``, ``f = m - 1`` and a polynomial in f.
    """
    slope = np.float32(math.log(threshold) / threshold)
    for i in range(intensity.shape[0]):
        light = intensity[i] + stray
        bits = np.int32(np.float32(max(light, np.float32(1e-30))).view(np.int32) - 0x3F3504F3)
        e = np.float32(bits >> 23)
        m = np.int32((bits & 0x007FFFFF) + 0x3F3504F3).view(np.float32)
        f = m - np.float32(1)
        z = f * f
        p = np.float32(7.0376836292e-2)
        p = p * f + np.float32(-1.1514610310e-1)
        p = p * f + np.float32(1.1676998740e-1)
        p = p * f + np.float32(-1.2420140846e-1)
        p = p * f + np.float32(1.4249322787e-1)
        p = p * f + np.float32(-1.6668057665e-1)
        p = p * f + np.float32(2.0000714765e-1)
        p = p * f + np.float32(-2.4999993993e-1)
        p = p * f + np.float32(3.3333331174e-1)
        log = (
            p * f * z + e * np.float32(-2.12194440e-4) - np.float32(0.5) * z + f + e * np.float32(0.693359375)
        )
        out[i] = log if light > threshold else light * slope


@numba.njit(cache=True, nogil=True, error_model="numpy")
def low_pass(last, now, dt_s, cutoff_hz, threshold):
    """First-order low-pass of ``now``, in place, with the state ``last``.

    ``now = last + (now - last) (1 - exp(-k))``, ``k = 2 pi cutoff_hz dt (I + 20) / 275``: exact for a step of ``now``.
    """
    slope = np.float32(threshold / math.log(threshold))
    rate = np.float32(2 * math.pi * cutoff_hz * dt_s / 275)
    knee = np.float32(math.log(threshold))
    for i in range(now.shape[0]):
        light = np.float32(math.exp(now[i])) if now[i] > knee else now[i] * slope
        k = rate * (light + np.float32(20))
        now[i] = last[i] + (now[i] - last[i]) * -np.float32(math.expm1(-k))


@numba.njit(cache=True, nogil=True)
def _random(rng):
    """Next 64 random bits of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    rng[0] += np.uint64(0x9E3779B97F4A7C15)
    z = rng[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def next_arrival(rng, noise, kind):
    """Move the clock of a Poisson process (``SHOT_RATE`` or ``HOT_RATE``) to its next event."""
    if noise[kind] > 0:
        u = (np.float64(_random(rng) >> np.uint64(11)) + 0.5) * 2.0**-53
        noise[kind + 2] -= math.log(u) / noise[kind]
    else:
        noise[kind + 2] = math.inf


@numba.njit(cache=True, nogil=True)
def start_pixels(log, pixels):
    """Set the remembered log intensity to ``log`` and the firing levels to match."""
    for i in range(log.shape[0]):
        pixels[MEMORY, i] = log[i]
        pixels[FIRE_ON, i] = log[i] + pixels[THETA_ON, i]
        pixels[FIRE_OFF, i] = log[i] - pixels[THETA_OFF, i]


@numba.njit(cache=True, nogil=True)
def lower_ramp(pixels, noise, clock):
    """Restart the leak's ramp at the last frame; float32 would soon have no digits left for a contrast."""
    ramp = np.float32(noise[LEAK] * (clock[STAMP_NS] - clock[RAMP_NS]))
    for i in range(pixels.shape[1]):
        pixels[MEMORY, i] -= ramp
        pixels[FIRE_ON, i] = pixels[MEMORY, i] + pixels[THETA_ON, i]
        pixels[FIRE_OFF, i] = pixels[MEMORY, i] - pixels[THETA_OFF, i]
    clock[RAMP_NS] = clock[STAMP_NS]


@numba.njit(cache=True, nogil=True)
def _with_room(events, n, more):
    """``events`` with its first ``n`` events kept and room for ``more``."""
    if 2 * (n + more) <= events.shape[0]:
        return events
    larger = np.empty(max(2 * (n + more), 2 * events.shape[0]), np.int64)
    larger[: 2 * n] = events[: 2 * n]
    return larger


@numba.njit(cache=True, nogil=True, error_model="numpy")
def integrate(log, latest, pixels, last_event_ns, rng, noise, clock, hot, stamp_ns):
    """Events of all pixels while the log intensity goes from ``log[latest]`` to ``log[1 - latest]``.

    Args:
        log: float32 ``(2, n)``, the last and the new frame, not yet with the leak's ramp.
        latest: which of the two is the last.
        pixels: see above; brought up to date, as are noise and clock.
        last_event_ns: int64 ``(n,)``, the last event sent by each pixel.
        rng: uint64 ``(1,)``.
        noise: see above.
        clock: see above.
        hot: int64, indices of the hot pixels.
        stamp_ns: time of the new frame.

    Returns:
        Events as pairs of int64 words (see words.py), sorted by time.
    """
    last, now = log[latest], log[1 - latest]
    width = clock[WIDTH]
    start, since = clock[STAMP_NS], clock[RESET_NS]
    ramp_last = np.float32(noise[LEAK] * (start - clock[RAMP_NS]))
    ramp_now = np.float32(noise[LEAK] * (stamp_ns - clock[RAMP_NS]))
    duration = stamp_ns - start
    events = np.empty(512, np.int64)
    n = 0
    fires = np.zeros((width + 7) // 8 * 8, np.uint8)
    eights = fires.view(np.uint64)
    columns = np.empty(width + 8, np.int32)
    for y in range(now.shape[0] // width):
        first = y * width
        row, row_before = now[first : first + width], last[first : first + width]
        memory = pixels[MEMORY, first : first + width]
        fire_on, fire_off = pixels[FIRE_ON, first : first + width], pixels[FIRE_OFF, first : first + width]
        theta_on, theta_off = (
            pixels[THETA_ON, first : first + width],
            pixels[THETA_OFF, first : first + width],
        )
        for x in range(width):
            level = row[x] + ramp_now
            brighter = np.uint8(level >= fire_on[x]) & np.uint8(row[x] < _BRIGHTEST)
            darker = np.uint8(level <= fire_off[x]) & np.uint8(row[x] > -_BRIGHTEST)
            fires[x] = brighter | darker
        firing = 0
        for k in range(eights.shape[0]):
            if eights[k]:
                for x in range(8 * k, 8 * k + 8):  # without branches: is overwritten unless the pixel fires
                    columns[firing] = x
                    firing += fires[x]
        if firing == 0:
            continue
        greatest = np.float32(0)
        for k in range(firing):
            x = columns[k]
            greatest = max(greatest, abs(row[x] + ramp_now - memory[x]))
        events = _with_room(events, n, firing * (np.int64(greatest / noise[LEAST_THETA]) + 2))
        for k in range(firing):
            x = columns[k]
            begin, level, held = row_before[x] + ramp_last, row[x] + ramp_now, memory[x]
            pace = duration / (np.float64(level) - np.float64(begin)) if level != begin else 0.0
            if level > held:
                step, word = theta_on[x], x | y << 16 | _ON
                up = np.float32(1)
            else:
                step, word = -theta_off[x], x | y << 16
                up = np.float32(-1)
            while (level - (held + step)) * up >= 0:
                held += step
                t = start + np.int64(math.ceil(pace * (np.float64(held) - np.float64(begin))))
                events[2 * n] = min(max(t, start + 1), stamp_ns)
                events[2 * n + 1] = word
                n += 1
            memory[x] = held
            fire_on[x] = held + theta_on[x]
            fire_off[x] = held - theta_off[x]

    while noise[SHOT_NEXT] <= stamp_ns - since:
        bits = _random(rng)
        i = np.int64((bits >> np.uint64(32)) * np.uint64(now.shape[0]) >> np.uint64(32))
        t = since + np.int64(math.ceil(noise[SHOT_NEXT]))
        place = i % width | (i // width) << 16 | np.int64(bits & np.uint64(1)) << 32
        events = _with_room(events, n, 1)
        events[2 * n] = min(max(t, start + 1), stamp_ns)
        events[2 * n + 1] = place
        n += 1
        next_arrival(rng, noise, SHOT_RATE)
    while noise[HOT_NEXT] <= stamp_ns - since:
        i = hot[np.int64((_random(rng) >> np.uint64(32)) * np.uint64(hot.shape[0]) >> np.uint64(32))]
        t = since + np.int64(math.ceil(noise[HOT_NEXT]))
        events = _with_room(events, n, 1)
        events[2 * n] = min(max(t, start + 1), stamp_ns)
        events[2 * n + 1] = i % width | (i // width) << 16 | _ON
        n += 1
        next_arrival(rng, noise, HOT_RATE)
    clock[STAMP_NS] = stamp_ns

    events = _sorted_by_time(events[: 2 * n], start, duration)
    if clock[REFRACTORY_NS] == 0:
        return events[: 2 * n].copy()
    kept = 0
    for k in range(n):
        t, word = events[2 * k], events[2 * k + 1]
        i = (word & 0xFFFF) + ((word >> 16) & 0xFFFF) * width
        if t - last_event_ns[i] >= clock[REFRACTORY_NS]:
            last_event_ns[i] = t
            events[2 * kept] = t
            events[2 * kept + 1] = word
            kept += 1
    return events[: 2 * kept].copy()


@numba.njit(cache=True, nogil=True)
def _sorted_by_time(events, start, duration):
    """Stable sort by time: insertion for a few events, else radix over the bits that the duration has."""
    n = events.shape[0] // 2
    if n <= 48:
        for k in range(1, n):
            t, word = events[2 * k], events[2 * k + 1]
            j = k - 1
            while j >= 0 and events[2 * j] > t:
                events[2 * j + 2] = events[2 * j]
                events[2 * j + 3] = events[2 * j + 1]
                j -= 1
            events[2 * j + 2] = t
            events[2 * j + 3] = word
        return events
    other = np.empty_like(events)
    mask = (1 << _RADIX_BITS) - 1
    shift = 0
    while duration >> shift:
        place = np.zeros(mask + 2, np.int64)
        for k in range(n):
            place[((events[2 * k] - start) >> shift & mask) + 1] += 1
        for d in range(mask):
            place[d + 1] += place[d]
        for k in range(n):
            d = (events[2 * k] - start) >> shift & mask
            j = place[d]
            place[d] = j + 1
            other[2 * j] = events[2 * k]
            other[2 * j + 1] = events[2 * k + 1]
        events, other = other, events
        shift += _RADIX_BITS
    return events
