# SPDX-License-Identifier: Apache-2.0
"""The packets of one or several cameras, as batches of events for the perception."""

from types import SimpleNamespace

import numpy as np
import pytest

from liquid_spike_control.events.camera_streams import MOST_WAITING, CameraStream, CameraStreams
from liquid_spike_control.events.codec import encode
from liquid_spike_control.types import EVENT

MS = 1_000_000
START_NS = 1_000_000_000


def packet(times_ns, base_ns: int, x: int = 0, seq: int = 0) -> SimpleNamespace:
    events = np.zeros(len(times_ns), EVENT)
    events["t"], events["x"] = times_ns, x
    return SimpleNamespace(
        encoding="mono", time_base=base_ns, events=encode(events, "mono", base_ns), width=8, height=8, seq=seq,
        is_bigendian=False,
    )  # fmt: skip


def of_two_sensors(seed: int) -> list[tuple[int, SimpleNamespace, int]]:
    """Camera, packet and stamp of two cameras with clocks and paces of their own, in the order of sending."""
    rng, sent = np.random.default_rng(seed), []
    for number, (offset_ns, pace_ns) in enumerate(((77 * MS, 2 * MS), (900 * MS, 3_300_000))):
        begin = START_NS
        while begin < START_NS + 400 * MS:
            times = np.sort(rng.integers(begin, begin + pace_ns, 20))
            times[0] = begin
            sent.append((number, packet(times - START_NS + offset_ns, begin - START_NS + offset_ns, number), begin))
            begin += pace_ns
    return sorted(sent, key=lambda each: each[2])


def test_windows_of_two_sensors_do_not_depend_on_who_arrives_first():
    cameras = [CameraStream(8, sensor_clock=True)] * 2
    sent = of_two_sensors(1)
    late = sorted(sent, key=lambda each: each[2] + 9 * MS * each[0])  # the second camera's packets arrive 9 ms later
    results = []
    for order in (sent, late):
        begun = []
        streams = CameraStreams(cameras, 5 * MS, begun.append)
        results.append([batch for each in order for batch in streams.take(*each)])
        assert begun == [START_NS]
    for one, other in zip(*results, strict=False):
        assert one.stamp_ns == other.stamp_ns
        np.testing.assert_array_equal(one.events, other.events)
    ends = [batch.stamp_ns for batch in results[0]]
    assert ends == [START_NS + 5 * MS * (k + 1) for k in range(len(ends))] and len(ends) >= 78
    events = np.concatenate([batch.events for batch in results[0]])
    assert set(events["x"].tolist()) == {0, 9}  # the second camera is to the right of the first
    assert (np.diff(events["t"].astype(np.int64)) >= 0).all()
    for number, x in ((0, 0), (1, 9)):
        wanted = sum(int((decoded_times(p, s) <= ends[-1]).sum()) for n, p, s in sent if n == number)
        assert (events["x"] == x).sum() == wanted


def decoded_times(sent: SimpleNamespace, stamp_ns: int) -> np.ndarray:
    from liquid_spike_control.events.codec import Decoder

    times = Decoder().decode(sent.events, "mono", sent.time_base, 8, 8)["t"].astype(np.int64)
    return times - times[0] + stamp_ns


def test_a_silent_camera_stops_the_stream_and_what_waits_for_it_is_bounded():
    begun = []
    streams = CameraStreams([CameraStream(8), CameraStream(8)], 5 * MS, begun.append)
    batches = []
    for k in range(1, 400):
        stamp = START_NS + 5 * MS * k
        batches += streams.take(0, packet([stamp - 1], stamp - 5 * MS), stamp)
    assert batches == [] and len(begun) >= 3
    assert sum(len(part) for part in streams._windows[0]._pending) <= 101
    for k in range(400, 410):
        stamp = START_NS + 5 * MS * k
        for number in range(2):
            batches += streams.take(number, packet([stamp - 1], stamp - 5 * MS), stamp)
    assert [batch.stamp_ns for batch in batches[-9:]] == [START_NS + 5 * MS * k for k in range(401, 410)]


@pytest.mark.parametrize("order", [(0, 1, 0, 1), (0, 0, 1, 1), (1, 0, 0, 1)])
def test_packets_of_one_stamp_are_one_batch_in_any_order(order):
    streams, batches, sent = CameraStreams([CameraStream(8), CameraStream(8)], 0), [], [0, 0]
    for number in order:
        sent[number] += 1
        stamp = START_NS + 5 * MS * sent[number]
        batches += streams.take(number, packet([stamp - 2], stamp - 5 * MS, number), stamp)
    assert [(b.stamp_ns, b.events["x"].tolist()) for b in batches] == [
        (START_NS + 5 * MS * k, [0, 9]) for k in (1, 2)
    ]  # fmt: skip


def test_stamps_that_never_meet_are_bounded():
    streams = CameraStreams([CameraStream(8), CameraStream(8)], 0)
    for k in range(1000):
        stamp = START_NS + 5 * MS * k
        assert streams.take(0, packet([stamp - 2], stamp - 5 * MS), stamp) == []
    assert len(streams._waiting) <= MOST_WAITING
