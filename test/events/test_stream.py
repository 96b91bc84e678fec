# SPDX-License-Identifier: Apache-2.0
"""A camera's packets on the robot's clock: jitter, drift, restarts, losses, and times that are false."""

from types import SimpleNamespace

import numpy as np
import pytest

from liquid_spike_control.events.codec import STEP_NS, encode
from liquid_spike_control.events.stream import EventStream, SensorClock
from liquid_spike_control.types import EVENT

MS = 1_000_000
OFFSET = 1_800_000_000_000_000_000


def events_at(*times_ns, x=1) -> np.ndarray:
    events = np.zeros(len(times_ns), EVENT)
    events["t"], events["x"], events["y"] = times_ns, x, 2
    return events


def packet_of(events, time_base=0, encoding="evt3", words=None):
    data = encode(events, encoding, time_base) if words is None else words.tobytes()
    return SimpleNamespace(
        events=data, encoding=encoding, time_base=time_base, width=320, height=240, is_bigendian=False
    )


def sensor_packets(n, start_ms=123, length=40, per_ms=20):
    """Packets of 1 ms, on the sensor's clock, and their stamps."""
    made = []
    for k in range(n):
        times = (start_ms + k) * MS + np.arange(per_ms) * MS // per_ms // 1000 * 1000
        made.append((events_at(*times, x=k % 300), OFFSET + int(times[0])))
    return made


# ---- the clock ----


def test_the_sensors_clock_is_followed_through_jitter_and_drift():
    rng = np.random.default_rng(0)
    clock, drift = SensorClock(), 50e-6  # a crystal of 50 ppm
    worst = 0
    for k in range(5000):
        sensor = k * 2 * MS + 123 * MS
        true = OFFSET + round(sensor * (1 + drift))
        assert clock.follow(sensor, true + int(rng.integers(0, MS)))
        if k > 500:
            worst = max(worst, abs(sensor + clock.offset_ns - true - MS // 2))
    assert worst < MS // 2  # half of what the stamps jitter
    assert clock.steps == 0


@pytest.mark.parametrize("jump", [STEP_NS + MS, -STEP_NS - MS, -(10**12)])
def test_a_sensor_that_was_started_anew_is_believed_when_the_next_packet_agrees(jump):
    clock = SensorClock()
    assert clock.follow(5 * MS, 1000 * MS)
    assert not clock.follow(6 * MS + jump, 1001 * MS)
    assert clock.expected_ns(1001 * MS) == 6 * MS
    assert clock.follow(7 * MS + jump, 1002 * MS)
    assert (clock.expected_ns(1002 * MS), clock.steps) == (7 * MS + jump, 1)


def test_two_false_times_that_disagree_are_not_believed():
    clock = SensorClock()
    clock.follow(5 * MS, 1000 * MS)
    assert not clock.follow(600 * MS, 1001 * MS)
    assert not clock.follow(4000 * MS, 1002 * MS)
    assert clock.follow(8 * MS, 1003 * MS)
    assert clock.steps == 0


# ---- the stream of a driver ----


def test_a_stream_arrives_whole_on_the_robots_clock():
    stream = EventStream(sensor_clock=True)
    for events, stamp in sensor_packets(30_000, per_ms=2):  # 30 s: nearly two turns of the clock
        found = stream.read(packet_of(events), stamp)
        np.testing.assert_array_equal(found["t"], events["t"] + OFFSET)
    assert not any(stream.decoder.dropped.values())


def words_of(packets):
    return [np.frombuffer(encode(events, "evt3", 0), "<u2").copy() for events, _ in packets]


def test_any_damage_to_a_time_is_over_with_the_next_packet():
    """Each bit of each time word of a packet: the packets from the next on are whole, and on time."""
    made = sensor_packets(12, start_ms=4090)  # TIME_HIGH changes at 4096 us, within the third
    words = words_of(made)
    damages = 0
    for victim in (2, 3, 6):
        for at in np.flatnonzero(np.isin(words[victim] >> 12, (6, 8))):
            for bit in range(16):
                stream = EventStream(sensor_clock=True)
                for k, (events, stamp) in enumerate(made):
                    spoilt = words[k].copy()
                    if k == victim:
                        spoilt[at] ^= 1 << bit
                    found = stream.read(packet_of(events, words=spoilt), stamp)
                    if k != victim:
                        assert found["t"].tolist() == (events["t"] + stream.clock.offset_ns).tolist(), (victim, at, bit)
                    else:
                        assert stream.latest_ns < stamp + 12 * MS
                assert stream.clock.steps == 0
                damages += 1
    assert damages > 500


def test_a_false_time_of_4_s_in_a_packet_of_the_simulator():
    """The stamp ends the packet, so no event is later; the next packet is whole."""
    stream = EventStream(sensor_clock=False)
    base = 10**9
    first = events_at(base + MS, base + 2 * MS, base + 3 * MS)
    words = np.frombuffer(encode(first, "evt3", base), "<u2").copy()
    false_high = np.array([8 << 12 | ((words[0] & 0xFFF) + 1000) & 0xFFF], "<u2")
    data = np.concatenate([words, false_high, np.array([2 << 12 | 9], "<u2")])
    assert stream.read(packet_of(first, base, words=data), base + 5 * MS)["t"].tolist() == first["t"].tolist()
    assert stream.decoder.out_of_span == 1
    second = events_at(base + 6 * MS, base + 10 * MS)
    found = stream.read(packet_of(second, base + 5 * MS), base + 10 * MS)
    assert found["t"].tolist() == second["t"].tolist()


def test_a_gap_longer_than_a_turn_is_known_from_the_stamps():
    stream = EventStream(sensor_clock=True)
    for sensor_ms in (100, 101, 40_101, 40_102):
        found = stream.read(packet_of(events_at(sensor_ms * MS)), OFFSET + sensor_ms * MS)
        assert found["t"].tolist() == [OFFSET + sensor_ms * MS]
    assert stream.clock.steps == 0


def test_no_event_is_lost_where_the_sensor_starts_anew():
    """The first packet on the new clock is given with the second, which confirms it."""
    stream = EventStream(sensor_clock=True)
    for events, stamp in sensor_packets(20, start_ms=5000):
        stream.read(packet_of(events), stamp)
    found = []
    for events, _ in sensor_packets(20, start_ms=3):
        sensor_ns = int(events["t"][0])
        found.append(stream.read(packet_of(events), OFFSET + 6000 * MS + sensor_ns))
    assert [len(part) for part in found] == [0, 40, *[20] * 18]
    assert np.concatenate(found)["t"][0] == OFFSET + 6003 * MS
    assert stream.clock.steps == 1 and not any(stream.decoder.dropped.values())


def test_a_recording_goes_on_where_the_sensor_starts_anew():
    stream = EventStream(sensor_clock=True, translate=False)
    first, second = sensor_packets(20, start_ms=5000), sensor_packets(20, start_ms=3)
    found = [stream.read(packet_of(events), stamp) for events, stamp in first]
    found += [stream.read(packet_of(events), stamp + 6000 * MS) for events, stamp in second]
    times = np.concatenate(found)["t"]
    expected = np.concatenate([e["t"] for e, _ in first] + [e["t"] + 6000 * MS for e, _ in second])
    assert times.tolist() == expected.tolist()


def test_the_row_is_not_known_after_packets_were_lost():
    stream = EventStream(sensor_clock=True)
    events = events_at(100 * MS)
    stream.read(packet_of(events), OFFSET + 100 * MS)
    no_row = np.array([8 << 12 | 24, 6 << 12 | 2696, 2 << 12 | 7], "<u2")  # 101,000 us, column 7
    assert len(stream.read(packet_of(events, words=no_row), OFFSET + 101 * MS, lost=True)) == 0
    assert stream.decoder.incomplete == 1
    stream = EventStream(sensor_clock=True)
    stream.read(packet_of(events), OFFSET + 100 * MS)
    found = stream.read(packet_of(events, words=no_row), OFFSET + 101 * MS)
    assert found.tolist() == [(OFFSET + 101 * MS, 7, 2, 0)]


def test_a_time_base_that_is_none_is_passed_over():
    """event_camera_msgs leaves it undefined for evt3; in a recording the events then keep the sensor's clock."""
    stream = EventStream(sensor_clock=False, translate=False)
    for events, stamp in sensor_packets(1000):
        packet = packet_of(events)
        packet.time_base = 77_000
        assert stream.read(packet, stamp)["t"].tolist() == events["t"].tolist()
