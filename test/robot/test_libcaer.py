# SPDX-License-Identifier: Apache-2.0
"""libcaer_driver's encodings, against packets made in plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libcaer_packets import libcaer, libcaer_cmp

from liquid_spike_control.events.codec import Decoder
from liquid_spike_control.types import EVENT

WIDTH, HEIGHT = 346, 260
ZERO_NS = 1_795_000_000_000_000_000


def random_events(seed: int, n: int = 3000, span_us: int = 30_000) -> np.ndarray:
    """Many of one column and time, as an edge that moves makes them."""
    rng = np.random.default_rng(seed)
    events = np.zeros(n, EVENT)
    events["t"] = ZERO_NS + 5_000_000 + np.sort(rng.integers(0, span_us, n)) // 50 * 50 * 1000
    events["x"] = rng.integers(0, WIDTH // 40, n) * 40
    events["y"] = rng.integers(0, HEIGHT, n)
    events["p"] = rng.integers(0, 2, n)
    return np.sort(np.unique(events), order=["t", "x", "p", "y"])


def sets_of(events: np.ndarray) -> list[tuple]:
    return sorted(events.tolist())


@pytest.mark.parametrize("seed", range(5))
def test_every_event_comes_out_as_it_went_in(seed):
    events = random_events(seed)
    first = int(events["t"][0])
    for encoding, data, base in (
        ("libcaer", libcaer(events, ZERO_NS), ZERO_NS),
        ("libcaer_cmp", libcaer_cmp(events, first), first),
    ):
        decoder = Decoder()
        decoded = decoder.decode(data, encoding, base, WIDTH, HEIGHT)
        assert sets_of(decoded) == sets_of(events)
        assert np.all(np.diff(decoded["t"]) >= 0)
        assert (decoder.malformed, decoder.incomplete, decoder.out_of_picture, decoder.backward) == (0, 0, 0, 0)
    assert len(libcaer_cmp(events, first)) < len(libcaer(events, ZERO_NS)) / 2


def test_the_sensors_clock_turns_over_within_a_packet():
    events = random_events(0, 100)
    turn = ZERO_NS + 2**31 * 1000 - 10_000_000
    events["t"] += turn - ZERO_NS
    decoded = Decoder().decode(libcaer(events, ZERO_NS), "libcaer", ZERO_NS, WIDTH, HEIGHT)
    assert sets_of(decoded) == sets_of(events)
    assert events["t"][0] < ZERO_NS + 2**31 * 1000 < events["t"][-1]


def test_what_is_dropped_is_counted():
    decoder = Decoder()
    events = random_events(1)
    outside = int((events["x"] >= 100).sum())
    kept = decoder.decode(libcaer(events, ZERO_NS), "libcaer", ZERO_NS, 100, HEIGHT)
    assert (len(kept), decoder.out_of_picture) == (len(events) - outside, outside)
    decoder = Decoder()
    words = np.array([3 << 12 | 5, 5 << 12 | 3, 2 << 12 | 7, 3 << 12 | 5], "<u2")  # a row, a vector, a column, a row
    kept = decoder.decode(words.tobytes(), "libcaer_cmp", 1000, WIDTH, HEIGHT)
    assert (kept.tolist(), decoder.incomplete) == ([(1000, 7, 5, 0)], 3)
    padded = np.insert(words, [0, 2, 4], [6 << 12, 15 << 12, 9 << 12]).astype("<u2")  # codes that nobody has defined
    assert decoder.decode(padded.tobytes(), "libcaer_cmp", 1000, WIDTH, HEIGHT).tolist() == kept.tolist()
    assert (decoder.skipped, decoder.malformed) == (3, 0)
    for bad, encoding in ((b"\x00", "libcaer_cmp"), (b"\x00" * 7, "libcaer")):
        before = decoder.malformed
        assert len(decoder.decode(bad, encoding, 2000, WIDTH, HEIGHT)) == 0
        assert decoder.malformed == before + 1


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400), st.sampled_from(["libcaer", "libcaer_cmp"]), st.integers(0, 2**64 - 1))
def test_no_bytes_raise_and_time_never_runs_back(data, encoding, base):
    decoder = Decoder()
    for _ in range(2):
        events = decoder.decode(data, encoding, base, WIDTH, HEIGHT)
        assert np.all(np.diff(events["t"]) >= 0)
        assert np.all(events["x"] < WIDTH) and np.all(events["y"] < HEIGHT)
