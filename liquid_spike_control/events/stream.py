# SPDX-License-Identifier: Apache-2.0
"""The packets of a camera's topic as one stream of events, which false times, losses and restarts leave sound.

Two conventions are in use. Our simulator's events are on the robot's clock and ``header.stamp`` ends the packet. The
drivers of event cameras (metavision_driver, libcaer_driver) send events on the sensor's own clock, and the stamp is the
robot's time of the first of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .codec import MAX_SPAN_NS, STEP_NS, Decoder
from .words import count_until, joined, to_words

#: Part of an offset's change that is followed with each packet; what is left is the jitter of the stamps.
FOLLOW = 64
#: A packet is at most this long [ns], or so many times the longest recent one.
SPAN_NS, SPANS = 10_000_000, 4
#: evt3 rounds times up to whole microseconds [ns].
_ROUNDING_NS = 999


class SensorClock:
    """The offset of the sensor's clock against the robot's, from the stamp of each packet's first event.

    Attributes:
        offset_ns: what is added to the sensor's time [ns]; None before the first packet.
        steps: how often one of the clocks jumped.
    """

    def __init__(self) -> None:
        self.offset_ns: int | None = None
        self.steps = 0
        self._other_ns: int | None = None

    def expected_ns(self, stamp_ns: int) -> int | None:
        """The sensor's time at a stamp [ns]; None if the offset is not known."""
        return None if self.offset_ns is None else stamp_ns - self.offset_ns

    def follow(self, first_ns: int, stamp_ns: int) -> bool:
        """Follow the offset.

        Args:
            first_ns: the sensor's time of a packet's first event [ns].
            stamp_ns: the robot's [ns].

        Returns:
            Whether the packet's times are plausible. One that is off by more than :data:`.codec.STEP_NS` is not,
            until the next one agrees with it: then a clock was reset.
        """
        offset = stamp_ns - first_ns
        if self.offset_ns is None:
            self.offset_ns = offset
        elif abs(offset - self.offset_ns) > STEP_NS:
            if self._other_ns is None or abs(offset - self._other_ns) > STEP_NS:
                self._other_ns = offset
                return False
            self.offset_ns = offset
            self.steps += 1
        else:
            self.offset_ns += (offset - self.offset_ns) // FOLLOW
        self._other_ns = None
        return True


class EventStream:
    """Decodes the packets of one topic, in the order in which they come.

    The time of the events never runs back within a packet. From one to the next it does only with ``sensor_clock``,
    where the times of the one before were false.

    Args:
        sensor_clock: events carry the sensor's time, and the stamp is the first one's; else the stamp ends the packet.
        translate: give the robot's time. Otherwise, for recordings, the sensor's, which continues when it restarts;
            and without ``sensor_clock`` the packet's, which the stamp then does not bound.

    Attributes:
        decoder: counts what is dropped.
        clock: the sensor's.
        latest_ns: how far the events of the last packet reach, on the robot's clock; no further than a packet can [ns].
    """

    def __init__(self, sensor_clock: bool, translate: bool = True) -> None:
        self._on_sensor_clock, self._translate = sensor_clock, translate
        self.decoder = Decoder()
        self.reset()

    def reset(self) -> None:
        """Forget the stream, not the counts."""
        self.decoder.reset()
        self.clock = SensorClock()
        # a packet that is not believed: its first event, its stamp, and the counts before it
        self._held: tuple[Any, int, int, dict[str, int]] | None = None
        self.latest_ns = 0
        self._longest_ns = 0
        self._shift_ns = 0
        self._before: tuple[int, int, int] | None = None  # first and last event given, stamp

    def read(self, packet: Any, stamp_ns: int, lost: bool = False) -> np.ndarray:
        """The events of the next packet.

        Args:
            packet: ``event_camera_msgs/EventPacket``.
            stamp_ns: its stamp [ns].
            lost: packets were lost before it.

        Returns:
            EVENT, sorted by time.
        """
        self.latest_ns = stamp_ns
        if lost:
            self.decoder.forget_place()
        stream = packet.encoding == "evt3" and (self._on_sensor_clock or not _plausible(packet.time_base, stamp_ns))
        if self._on_sensor_clock or (stream and not self._translate):
            return self._on_sensors(packet, 0 if stream else packet.time_base, stamp_ns)
        latest_ns = stamp_ns + _ROUNDING_NS if self._translate else None
        return self._decode(packet, 0 if stream else packet.time_base, None, latest_ns)

    def _on_sensors(self, packet: Any, base_ns: int, stamp_ns: int) -> np.ndarray:
        counts = self.decoder.dropped
        expected_ns = self.clock.expected_ns(stamp_ns)
        events = self._decode(packet, base_ns, expected_ns, None)
        first_ns = self.decoder.first_ns
        if first_ns is None:
            return events
        steps = self.clock.steps
        if not self.clock.follow(first_ns, stamp_ns):
            self._held = packet, first_ns, stamp_ns, counts
            self.decoder.out_of_span += len(events)
            return events[:0]
        if self.clock.steps > steps:  # the packet before this one was the first on the new clock: it counts after all
            assert self._held is not None
            self.decoder.reset()
            before, before_ns, stamp_ns, counts = self._held
            vars(self.decoder).update(counts)
            earlier = self._decode(before, 0 if before.encoding == "evt3" else before.time_base, before_ns, None)
            events = joined([earlier, self._decode(packet, base_ns, first_ns, None)])
            first_ns, expected_ns = before_ns, None
        self._held = None
        if not len(events):
            return events
        events = self._bounded(events, first_ns, expected_ns is None)
        words = to_words(events)
        if self._translate:
            words[::2] += self.clock.offset_ns
            self.latest_ns = int(words[-2])
            if expected_ns is not None:
                self.latest_ns = min(self.latest_ns, stamp_ns + self._limit_ns())
            return events
        if self._before is not None and first_ns + self._shift_ns < self._before[1] - STEP_NS:
            began_ns, last_ns, before_ns = self._before
            self._shift_ns = max(last_ns + 1000, began_ns + stamp_ns - before_ns) - first_ns
        words[::2] += self._shift_ns
        self._before = first_ns + self._shift_ns, int(words[-2]), stamp_ns
        return events

    def _bounded(self, events: np.ndarray, first_ns: int, unbounded: bool) -> np.ndarray:
        """Without those that come too long after the first: a false time must not make later packets late."""
        span_ns = int(events["t"][-1]) - first_ns
        limit_ns = self._limit_ns()
        if span_ns > limit_ns and not unbounded:
            kept = count_until(to_words(events), first_ns + limit_ns)
            self.decoder.out_of_span += len(events) - kept
            events, span_ns = events[:kept], limit_ns
        self._longest_ns = max(span_ns, self._longest_ns - self._longest_ns // 256)
        return events

    def _limit_ns(self) -> int:
        return max(SPAN_NS, SPANS * self._longest_ns)

    def _decode(self, packet: Any, base_ns: int, expected_ns: int | None, latest_ns: int | None) -> np.ndarray:
        return self.decoder.decode(
            packet.events, packet.encoding, base_ns, packet.width, packet.height, expected_ns, latest_ns,
            bool(packet.is_bigendian),
        )  # fmt: skip


def _plausible(time_base_ns: int, stamp_ns: int) -> bool:
    """Whether an evt3 packet's time base is one: event_camera_msgs leaves it undefined."""
    return 0 < time_base_ns <= stamp_ns <= time_base_ns + MAX_SPAN_NS
