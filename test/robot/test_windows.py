# SPDX-License-Identifier: Apache-2.0
"""A camera's stream, in windows."""

import numpy as np

from liquid_spike_control.events.windows import Windows
from liquid_spike_control.types import EVENT

MS = 1_000_000


def events_at(*times_ns: int) -> np.ndarray:
    events = np.zeros(len(times_ns), EVENT)
    events["t"] = times_ns
    return events


def test_every_event_is_in_one_window_and_windows_have_no_gap():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.integers(1, 300_000, 20_000)) + 7 * MS
    windows = Windows(5 * MS)
    windows.reset(7 * MS)
    found, end = [], 7 * MS
    for packet in np.array_split(times, 700):
        packet_events = events_at(*packet)
        window = windows.add(packet_events, int(packet[-1]))
        if window is None:
            continue
        events, until = window
        assert (until - end) % (5 * MS) == 0 and until > end
        assert len(events) == 0 or end < events["t"][0] <= events["t"][-1] <= until
        found.append(events["t"])
        end = until
    np.testing.assert_array_equal(np.concatenate(found), times[times <= end])


def test_a_silent_camera_still_gives_windows_and_a_late_event_counts_in_the_next():
    windows = Windows(5 * MS)
    events, end = windows.add(events_at(), 17 * MS)
    assert (len(events), end) == (0, 15 * MS)
    assert windows.add(events_at(3 * MS, 16 * MS), 19 * MS) is None
    events, end = windows.add(events_at(), 20 * MS)
    assert (events["t"].tolist(), end) == ([15 * MS + 1, 16 * MS], 20 * MS)


def test_the_packets_own_events_are_not_changed():
    windows, events = Windows(5 * MS), events_at(3 * MS)
    windows.add(events_at(), 17 * MS)
    assert windows.add(events, 20 * MS)[0]["t"].tolist() == [15 * MS + 1]
    assert events["t"].tolist() == [3 * MS]
