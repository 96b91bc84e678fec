# SPDX-License-Identifier: Apache-2.0
"""EventPacket bytes: round trips, other people's streams, and bytes that mean harm."""

import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_spike_control.errors import TaskError
from liquid_spike_control.events.codec import (
    DECODED,
    ENCODINGS,
    MAX_SPAN_NS,
    Decoder,
    PacketSequence,
    decode_spikes,
    encode,
    encode_spikes,
    split,
)
from liquid_spike_control.types import EVENT, SpikeTrain

WIDTH, HEIGHT = 320, 240
slow = settings(deadline=None, max_examples=200)


def events_of(rows):
    return np.sort(np.array(rows, EVENT), order="t", kind="stable")


def rounded(events):
    """What evt3 keeps: times rounded up to microseconds, in an order of its own within each of them."""
    events = events.copy()
    events["t"] = -(-events["t"] // 1000) * 1000
    return np.sort(events, order=["t", "y", "p", "x"])


def evt3_stream(*words):
    names = {"y": 0, "x": 2, "base": 3, "v12": 4, "v8": 5, "low": 6, "c4": 7, "high": 8, "trigger": 10,
             "others": 14, "c12": 15}  # fmt: skip
    return np.array([names[name] << 12 | value for name, value in words], "<u2").tobytes()


# Few pixels and times, so that vectors, repeated pixels and events at one time are common.
crowds = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 40), st.integers(0, 2), st.integers(0, 1)), max_size=200
)
spread = st.lists(
    st.tuples(
        st.integers(0, MAX_SPAN_NS - 1000),
        st.integers(0, WIDTH - 1),
        st.integers(0, HEIGHT - 1),
        st.integers(0, 1),
    ),
    max_size=60,
)
time_bases = st.one_of(st.just(0), st.integers(0, 10**8), st.integers(10**18, 2 * 10**18))


@slow
@given(st.one_of(crowds, spread), time_bases)
def test_round_trip(rows, base):
    events = events_of(rows)
    events["t"] += base
    decoder = Decoder()
    mono = decoder.decode(encode(events, "mono", base), "mono", base, WIDTH, HEIGHT)
    assert mono.tolist() == events.tolist()

    decoder = Decoder()
    evt3 = decoder.decode(encode(events, "evt3", base), "evt3", base, WIDTH, HEIGHT)
    assert rounded(evt3).tolist() == rounded(events).tolist()
    assert np.all(np.diff(evt3["t"]) >= 0)
    assert (
        vars(decoder).items()
        >= dict.fromkeys(("malformed", "incomplete", "backward", "out_of_span"), 0).items()
    )


def test_unsorted_events_are_sorted():
    events = np.array([(3000, 1, 1, 1), (1000, 2, 2, 0)], EVENT)
    for encoding in ENCODINGS:
        decoded = Decoder().decode(encode(events, encoding, 0), encoding, 0, WIDTH, HEIGHT)
        assert decoded["t"].tolist() == [1000, 3000]


def test_evt3_keeps_events_in_their_window():
    """Rounded up, an event of (1 ms, 2 ms] is still one; rounded down, the first would have left it."""
    events = events_of([(1_000_001, 0, 0, 1), (1_999_999, 1, 0, 1), (2_000_000, 2, 0, 1)])
    decoded = Decoder().decode(encode(events, "evt3", 1_000_000), "evt3", 1_000_000, WIDTH, HEIGHT)
    assert decoded["t"].tolist() == [1_001_000, 2_000_000, 2_000_000]


def test_evt3_takes_vectors_where_they_save_space():
    rows = [(5000, x, 7, 1) for x in range(100, 130)]
    assert len(encode(events_of(rows), "evt3", 0)) == 2 * (2 + 1 + 1 + 3)  # time, row, base, three vectors
    assert len(encode(events_of(rows[::8]), "evt3", 0)) == 2 * (2 + 1 + 4)  # too far apart: one word each
    crowd = np.random.default_rng(0).permutation(
        events_of([(5000, x, y, 1) for x in range(12) for y in range(9)])
    )
    assert len(encode(crowd, "evt3", 0)) == 2 * (2 + 9 * 3)  # a crowd is sorted into rows first


def test_evt3_wraps_with_the_time_base():
    wrap = 2**24 * 1000
    base = 5 * wrap - 2_000_000
    events = events_of([(base + k * 1_000_000, k, 0, 0) for k in range(5)])
    decoded = Decoder().decode(encode(events, "evt3", base), "evt3", base, WIDTH, HEIGHT)
    assert decoded.tolist() == events.tolist()


def test_evt3_of_a_sensor():
    """A stream as metavision_driver cuts it: no time base, state carried over, triggers, a wrapped clock."""
    decoder = Decoder()

    def read(*words):
        return decoder.decode(evt3_stream(*words), "evt3", 0, WIDTH, HEIGHT).tolist()

    assert read(("x", 5), ("low", 7), ("y", 3), ("x", 5)) == []  # no TIME_HIGH yet
    assert decoder.incomplete == 2
    late = 0xFFF << 12
    first = read(
        ("high", 0xFFF), ("low", 9), ("trigger", 1), ("x", 1 << 11 | 5), ("others", 1), ("c12", 2), ("c4", 3)
    )
    assert first == [((late + 9) * 1000, 5, 3, 1)]
    assert read(("base", 10), ("v12", 0b100000000001)) == [((late + 9) * 1000, x, 3, 0) for x in (10, 21)]
    assert read(("v8", 0b11)) == [((late + 9) * 1000, x, 3, 0) for x in (22, 23)]
    assert read(("high", 0), ("low", 1), ("y", 4), ("x", 0)) == [((2**24 + 1) * 1000, 0, 4, 0)]
    assert decoder.malformed == decoder.backward == 0


def test_out_of_picture_is_counted():
    events = events_of([(1, 319, 0, 0), (2, 320, 0, 0), (3, 0, 240, 1), (4, 0, 239, 1)])
    events = np.concatenate([events, events_of([(1000, x, 5, 1) for x in range(310, 330)])])
    for encoding in ENCODINGS:
        decoder = Decoder()
        decoded = decoder.decode(encode(events, encoding, 0), encoding, 0, WIDTH, HEIGHT)
        assert len(decoded) == 12 and decoder.out_of_picture == 12
        assert decoded["x"].max() < WIDTH and decoded["y"].max() < HEIGHT


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_time_never_runs_back_across_packets(encoding):
    one, two = events_of([(1_000_000, 1, 1, 1)] * 3), events_of([(2_000_000, 2, 2, 0)])
    decoder = Decoder()
    assert len(decoder.decode(encode(two, encoding, 1_500_000), encoding, 1_500_000, WIDTH, HEIGHT)) == 1
    assert len(decoder.decode(encode(one, encoding, 500_000), encoding, 500_000, WIDTH, HEIGHT)) == 0
    assert decoder.backward == 3
    decoder.reset()
    assert len(decoder.decode(encode(one, encoding, 500_000), encoding, 500_000, WIDTH, HEIGHT)) == 3


def test_a_false_time_is_bounded():
    decoder = Decoder(max_span_ns=10_000_000)
    base = 10**9
    for encoding in ENCODINGS:
        events = events_of([(base + 1_000_000, 1, 1, 1), (base + 11_000_000, 1, 1, 1)])
        assert len(decoder.decode(encode(events, encoding, base), encoding, base, WIDTH, HEIGHT)) == 1
    assert decoder.out_of_span == 2


def damaged(data, cuts):
    data = bytearray(data)
    for kind, where, value in cuts:
        if not data:
            break
        where %= len(data)
        if kind == "flip":
            data[where] ^= value
        elif kind == "cut":
            del data[where:]
        else:
            data[where:where] = bytes([value])
    return bytes(data)


cuts = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "put"]), st.integers(0, 10**6), st.integers(0, 255))
)
any_packet = st.tuples(
    st.one_of(
        st.binary(max_size=200),
        st.builds(lambda rows, c: damaged(encode(events_of(rows), "evt3", 0), c), crowds, cuts),
        st.builds(lambda rows, c: damaged(encode(events_of(rows), "mono", 0), c), crowds, cuts),
    ),
    st.sampled_from([*DECODED, "evt2", ""]),
    st.one_of(st.just(0), st.integers(0, 2**64 - 1), st.integers(10**9, 10**9 + 10**7)),
    st.sampled_from([(WIDTH, HEIGHT), (0, 0), (1, 1), (2**32 - 1, 2**32 - 1)]),
)


@slow
@given(st.lists(any_packet, max_size=8))
def test_no_input_bytes_raise(packets):
    decoder = Decoder()
    last = -(2**62)
    for data, encoding, base, (width, height) in packets:
        before = decoder.malformed
        events = decoder.decode(data, encoding, base, width, height)
        assert events.dtype == EVENT
        if len(data) % 2 or encoding not in DECODED:
            assert decoder.malformed == before + 1
        if decoder.malformed > before:
            assert len(events) == 0
        if len(events):
            assert np.all(np.diff(events["t"], prepend=last) >= 0)
            assert events["x"].max() < width and events["y"].max() < height
            assert set(np.unique(events["p"])) <= {0, 1}
            last = events["t"][-1]


def test_random_packets_in_bulk():
    """A hundred thousand random packets; half of them begin like sound ones."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, 1 << 16, np.uint8).tobytes()
    prefix = evt3_stream(("high", 3), ("low", 4), ("y", 5))
    decoder = Decoder()
    last = 0
    for k in range(100_000):
        begin, size = int(rng.integers(0, 1 << 15)), int(rng.integers(0, 24))
        data = (prefix if k % 2 else b"") + noise[begin : begin + size]
        events = decoder.decode(data, ENCODINGS[k % 3 == 0], k * 1000, WIDTH, HEIGHT)
        if len(events):
            assert events["t"][0] >= last
            last = events["t"][-1]
    assert decoder.malformed > 10_000 and decoder.out_of_picture > 0


def test_a_malformed_packet_leaves_the_next_one_whole():
    events = events_of([(k * 1000, k, k, 1) for k in range(1, 9)])
    good = encode(events, "evt3", 500)
    decoder = Decoder()
    assert len(decoder.decode(good[:-1], "evt3", 500, WIDTH, HEIGHT)) == 0
    assert decoder.malformed == 1
    assert decoder.decode(good, "evt3", 500, WIDTH, HEIGHT).tolist() == events.tolist()


def test_reserved_words_are_skipped_and_counted():
    """Lucid's cameras pad with 0x9999; codes 1, 9, B, C and D mean nothing yet."""
    events = events_of([(k * 1000, k, k, 1) for k in range(1, 9)])
    words = np.frombuffer(encode(events, "evt3", 500), "<u2")
    padding = np.array([0x9999, 0x1234, 0xB000, 0xCFFF, 0xD001], "<u2")
    padded = np.concatenate([padding, np.insert(words, np.arange(1, len(words)), 0x9999), padding]).astype("<u2")
    for base in (0, 500):
        decoder = Decoder()
        assert decoder.decode(padded.tobytes(), "evt3", base, WIDTH, HEIGHT).tolist() == events.tolist()
        assert (decoder.skipped, decoder.malformed, decoder.incomplete) == (len(words) - 1 + 10, 0, 0)


@pytest.mark.parametrize("start_s", [0.0, 3.0, 16.7])
@pytest.mark.parametrize("gap_s", [0.1, 8.3, 8.5, 12.0, 16.7])
def test_a_stream_of_a_sensor_with_a_gap(start_s, gap_s):
    """A turn of the clock is 16.8 s; any shorter gap is told from the words alone."""
    times = [round((start_s + k * 0.001 + (k >= 50) * gap_s) * 1e6) * 1000 for k in range(1, 100)]
    events, decoder = events_of([(t, 1, 2, 1) for t in times]), Decoder()
    found = [decoder.decode(encode(part, "evt3", 0), "evt3", 0, WIDTH, HEIGHT) for part in np.split(events, 99)]
    assert np.concatenate(found).tolist() == events.tolist()
    assert decoder.backward == 0


def test_one_false_time_high_moves_no_other_events():
    """Each TIME_HIGH of a stream damaged in each bit: what stands before it and from the second after it on stays."""
    events = events_of([(t * 1_000_000, 1, 2, 1) for t in range(1, 60)])
    words = np.frombuffer(encode(events, "evt3", 0), "<u2")
    highs = np.flatnonzero(words >> 12 == 8)
    for at, after in zip(highs[1:], highs[3:], strict=False):
        until, since = (int((words[: k + 1] >> 12 == 2).sum()) for k in (at, after))
        for bit in range(12):
            spoilt, decoder = words.copy(), Decoder()
            spoilt[at] ^= 1 << bit
            found = decoder.decode(spoilt.tobytes(), "evt3", 0, WIDTH, HEIGHT).tolist()
            assert found[:until] == events[:until].tolist()
            assert found[since - len(events) :] == events[since:].tolist()


def test_a_sensors_stream_has_no_end():
    """100 s by packets of 5 ms: the span of a packet is bounded, that of a stream is not."""
    decoder, n = Decoder(), 0
    for k in range(20_000):
        events = events_of([(k * 5_000_000 + 1000, 3, 4, 1), (k * 5_000_000 + 4_000_000, 5, 6, 0)])
        n += decoder.decode(encode(events, "evt3", 0), "evt3", 0, WIDTH, HEIGHT).tolist() == events.tolist()
    assert n == 20_000


def test_words_of_the_other_byte_order():
    events = events_of([(k * 1000, k, k, 1) for k in range(1, 9)])
    for encoding, word in (("evt3", "<u2"), ("mono", "<u8")):
        swapped = np.frombuffer(encode(events, encoding, 500), word).byteswap().tobytes()
        found = Decoder().decode(swapped, encoding, 500, WIDTH, HEIGHT, big_endian=True)
        assert found.tolist() == events.tolist()


def test_bytes_and_arrays_decode_alike():
    data = encode(events_of([(1000, 1, 2, 1)]), "evt3", 500)
    for form in (
        data,
        bytearray(data),
        array.array("B", data),
        np.frombuffer(data, np.uint8),
        memoryview(data),
    ):
        assert Decoder().decode(form, "evt3", 500, WIDTH, HEIGHT).tolist() == [(1000, 1, 2, 1)]


def test_what_cannot_be_encoded_is_refused():
    with pytest.raises(TaskError, match="libcaer"):
        encode(events_of([]), "libcaer_cmp", 0)
    with pytest.raises(ValueError, match="time base"):
        encode(events_of([(5, 0, 0, 0)]), "mono", 6)
    with pytest.raises(ValueError, match="time base"):
        encode(events_of([(MAX_SPAN_NS + 2, 0, 0, 0)]), "evt3", 1)
    with pytest.raises(ValueError, match="time base"):
        encode(events_of([(5, 0, 0, 0), (MAX_SPAN_NS + 6, 0, 0, 0)]), "evt3", 0)
    with pytest.raises(ValueError, match="2048"):
        encode(events_of([(0, 2048, 0, 0)]), "evt3", 0)
    with pytest.raises(ValueError, match="32768"):
        encode(events_of([(0, 0, 32768, 0)]), "mono", 0)


@slow
@given(spread, st.sampled_from(ENCODINGS), st.integers(8, 200))
def test_split_fits_packets(rows, encoding, max_bytes):
    events = events_of(rows)
    events["t"] *= 10  # too long for one packet
    runs = split(events, encoding, max_bytes)
    assert [e for r in runs for e in r.tolist()] == events.tolist()
    assert all(0 < len(encode(r, encoding, int(r["t"][0]))) <= max_bytes for r in runs)


def by_definition(sequence):
    seen, newest = set(), -1
    duplicated = reordered = 0
    for seq in sequence:
        duplicated += seq in seen
        reordered += seq not in seen and seq < newest
        seen.add(seq)
        newest = max(newest, seq)
    lost = newest - min(sequence) + 1 - len({s for s in seen if s >= sequence[0]}) if sequence else 0
    return lost, duplicated, reordered


@given(st.lists(st.integers(0, 400), max_size=100), st.sampled_from([0, 10**12, 2**64 - 100]))
def test_sequence_counts_exactly(later, first):
    sequence = [0, *later]
    counter = PacketSequence()
    for seq in sequence:
        counter.update((first + seq) % 2**64)
    assert (counter.lost, counter.duplicated, counter.reordered) == by_definition(sequence)
    assert counter.received == len(sequence) and counter.restarts == 0


def test_sequence_survives_a_restart_and_a_great_gap():
    counter = PacketSequence(window=100)
    for seq in [5000, 5001, 0, 1, 3, 2, 2**40]:
        counter.update(seq)
    assert (counter.restarts, counter.reordered, counter.lost) == (1, 1, 2**40 - 4)
    assert len(counter._missing) <= 100


trains = st.integers(0, 6).flatmap(
    lambda n: st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=n, max_size=n)
)


@settings(deadline=None)
@given(trains)
def test_spikes_round_trip(dense):
    train = SpikeTrain.from_dense(np.array(dense, bool).reshape(len(dense), 9))
    data = encode_spikes(train)
    assert data == b"".join(
        np.array([k, i], "<u4").tobytes() for k in range(train.n_steps) for i in train.step(k)
    )
    decoded = decode_spikes(data, train.n_steps, 9)
    assert decoded.indptr.tolist() == train.indptr.tolist() and decoded.ids.tolist() == train.ids.tolist()
    assert decoded.ids.dtype == np.int32 and decoded.indptr.dtype == np.int64


@settings(deadline=None)
@given(st.binary(max_size=64), st.integers(-1, 3), st.integers(0, 2**32 - 1))
def test_malformed_spikes_are_none(data, n_steps, n_neurons):
    decoded = decode_spikes(data, n_steps, n_neurons)
    if decoded is not None:
        assert encode_spikes(decoded) == data


@pytest.mark.parametrize(
    "pairs", [[(0, 9)], [(2, 0)], [(0, 3), (0, 3)], [(0, 3), (0, 2)], [(1, 0), (0, 1)], [(0, 2**32 - 1)]]
)
def test_spikes_out_of_order_or_range_are_none(pairs):
    assert decode_spikes(np.array(pairs, "<u4").tobytes(), 2, 9) is None
