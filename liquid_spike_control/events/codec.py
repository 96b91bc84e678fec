# SPDX-License-Identifier: Apache-2.0
"""Events to and from the bytes of ``event_camera_msgs/EventPacket``.

Data from a topic is untrusted: decoding raises for no input. It counts the events that it drops, and the times of
the events that it returns never run back, within a packet or from one to the next.
"""

from __future__ import annotations

import numpy as np

from ..errors import TaskError
from ..types import EVENT
from . import evt3, libcaer, mono
from .spikes import decode_spikes, encode_spikes
from .words import from_words, survey, to_words

__all__ = [
    "DECODED",
    "ENCODINGS",
    "MAX_SPAN_NS",
    "Decoder",
    "PacketSequence",
    "decode_spikes",
    "encode",
    "encode_spikes",
    "split",
]

ENCODINGS = ("evt3", "mono")
#: What a :class:`Decoder` reads besides: libcaer_driver's.
DECODED = (*ENCODINGS, "libcaer", "libcaer_cmp")
_WORDS = {"evt3": np.uint16, "mono": np.uint64, "libcaer": np.uint64, "libcaer_cmp": np.uint16}

#: Longest time from the time base of a packet to its last event [ns]: what fits the 32 bits of ``mono`` and
#: half a turn of the clock of ``evt3``.
MAX_SPAN_NS = 4_000_000_000

#: A clock that is off by more than this was reset [ns].
STEP_NS = 50_000_000
#: What a :class:`Decoder` counts.
DROPPED = ("malformed", "skipped", "incomplete", "out_of_picture", "backward", "out_of_span")

_LATEST_NS = 2**62


def encode(events: np.ndarray, encoding: str, time_base_ns: int) -> bytes:
    """The bytes of one self-contained packet.

    Args:
        events: EVENT. They are sorted by time first, if they are not.
        encoding: ``"mono"`` keeps nanoseconds and takes 8 bytes an event. ``"evt3"`` takes 2 to 8 and rounds
            times up to microseconds, so that an event of a window ``(a, b]`` stays in it if ``a`` and ``b``
            are whole microseconds; the order of the events of one microsecond may change.
        time_base_ns: the packet's ``time_base`` [ns], not after any event. With 0, ``evt3`` packets are taken
            for the stream of a sensor whose clock started at 0, however long ago.

    Raises:
        TaskError: the encoding is not one of ``ENCODINGS``.
        ValueError: an event lies before the time base or more than ``MAX_SPAN_NS`` after it (in a stream: after the
            first event), or the format cannot address its pixel. :func:`split` cuts events to fit.
    """
    if encoding not in ENCODINGS:
        raise TaskError(f"event encoding {encoding!r} is unknown; use one of {', '.join(ENCODINGS)}")
    if len(events) == 0:
        return b""
    words = to_words(events)
    ascending, width, height = survey(words)
    if not ascending:
        words = to_words(events[np.argsort(events["t"], kind="stable")])
    first, last = int(words[0]), int(words[-2])
    begin_ns = first if encoding == "evt3" and time_base_ns == 0 else time_base_ns  # a stream has no span
    if not 0 <= time_base_ns <= first or last > begin_ns + MAX_SPAN_NS:
        raise ValueError(f"events of {first} to {last} ns do not fit a packet of time base {time_base_ns} ns")
    size = (evt3 if encoding == "evt3" else mono).MAX_SIZE
    if max(width, height) > size:
        raise ValueError(f"{encoding} cannot address pixels beyond {size} x {size}")
    data = evt3.encode_words(words) if encoding == "evt3" else mono.encode_words(words, time_base_ns)
    return data.tobytes()


def split(events: np.ndarray, encoding: str, max_bytes: int = 400_000) -> list[np.ndarray]:
    """Cut events, sorted by time, into runs that fit one packet each.

    Args:
        events: EVENT, sorted by time.
        encoding: one of ``ENCODINGS``; no event takes more than 8 bytes in either.
        max_bytes: most bytes of a packet, 8 or more. Fast-DDS drops large best-effort messages.

    Returns:
        Views of ``events``, none empty, each no longer than half of ``MAX_SPAN_NS``.
    """
    if encoding not in ENCODINGS or max_bytes < 8:
        raise TaskError(f"packets of {max_bytes} bytes in encoding {encoding!r} cannot be made")
    t = events["t"]
    packets, begin = [], 0
    while begin < len(events):
        end = int(np.searchsorted(t, t[begin] + MAX_SPAN_NS // 2, "right"))
        end = min(end, begin + max_bytes // 8)
        packets.append(events[begin:end])
        begin = end
    return packets


class Decoder:
    """Decodes the packets of one topic and counts what it drops.

    Attributes:
        malformed: packets dropped whole: not a whole number of words, an unknown encoding, or an impossible time base.
        skipped: words skipped: of reserved codes, or a time that the next one contradicts.
        incomplete: events dropped because no time or row came before them, as where a sensor's stream starts.
        out_of_picture: events dropped because their pixel is not in the picture.
        backward: events dropped because a later event was given already.
        out_of_span: events dropped because they lie too long after the start of the packet, or too far from the time
            that was expected.
        first_ns: time of the last packet's first event, also where it was dropped [ns]; None if it had none.
    """

    def __init__(self, max_span_ns: int = MAX_SPAN_NS):
        """
        Args:
            max_span_ns: longest packet [ns]. It bounds for how long one false time can make later events seem
                late.
        """
        self.max_span_ns = max_span_ns
        self.malformed = self.skipped = 0
        self.incomplete = self.out_of_picture = self.backward = self.out_of_span = 0
        self.reset()

    @property
    def dropped(self) -> dict[str, int]:
        """The counts by name."""
        return {name: getattr(self, name) for name in DROPPED}

    def reset(self) -> None:
        """Forget the time and the state of the stream, not the counts: a new recording begins."""
        self._last_ns = -_LATEST_NS
        self._state = evt3.unknown_state()
        self.first_ns: int | None = None

    def forget_place(self) -> None:
        """Forget row, vector and upper half of the time: packets of the stream were lost, which may have set them."""
        self._state[evt3.HIGH :] = evt3.unknown_state()[evt3.HIGH :]

    def decode(
        self, data, encoding: str, time_base_ns: int, width: int, height: int,
        expected_ns: int | None = None, latest_ns: int | None = None, big_endian: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """The events of a packet.

        Args:
            data: any bytes-like object.
            encoding: one of :data:`DECODED`. An ``evt3`` packet with a time base is decoded by itself; with
                time base 0 it continues the stream of the packets before it, on the sensor's own clock, as
                metavision_driver publishes it.
            time_base_ns: the packet's time base [ns].
            width: columns of the picture [pixels].
            height: rows of the picture [pixels].
            expected_ns: when the packet's first event is expected [ns]: events more than :data:`STEP_NS` before it are
                dropped, and those of the packets before do not matter, as their times may have been false.
            latest_ns: no event is later [ns].
            big_endian: the words are, see ``is_bigendian`` of the message.

        Returns:
            EVENT, sorted by time; empty if the packet is malformed.
        """
        self.first_ns = None
        data = np.frombuffer(data, np.uint8)
        word = _WORDS.get(encoding)
        if word is None or data.size % np.dtype(word).itemsize or not 0 <= time_base_ns < _LATEST_NS:
            return self._drop()
        words = data.view(word)
        if big_endian:
            words = words.byteswap()
        words.flags.writeable = False  # one kernel for bytes and for array.array
        width, height = min(width, 65535), min(height, 65535)
        earliest_ns = self._last_ns if expected_ns is None else expected_ns - STEP_NS
        span_ns = time_base_ns + self.max_span_ns
        skipped = incomplete = 0
        if encoding == "mono":
            span_ns = min(span_ns, latest_ns or span_ns)
            events, *dropped = mono.decode_words(words, time_base_ns, earliest_ns, span_ns, width, height)
            self.first_ns = time_base_ns + (int(words[0]) & 0xFFFFFFFF) if len(words) else None
        elif encoding == "libcaer":
            # its time base is that of the sensor's zero, up to 36 minutes ago
            span_ns = latest_ns or _LATEST_NS
            events, *dropped = libcaer.decode_words(words, time_base_ns, earliest_ns, span_ns, width, height)
            self.first_ns = time_base_ns + (int(words[0]) >> 32 & 0x7FFFFFFF) * 1000 if len(words) else None
        elif encoding == "libcaer_cmp":
            span_ns = min(span_ns, latest_ns or span_ns)
            events, skipped, incomplete, *dropped = libcaer.decode_compressed(
                words, time_base_ns, earliest_ns, span_ns, width, height
            )
            self.first_ns = time_base_ns if len(words) else None
        else:
            anchor_us = (time_base_ns or (-1000 if expected_ns is None else max(expected_ns, 0))) // 1000
            state = evt3.unknown_state() if time_base_ns else self._state
            span_ns = min(span_ns if time_base_ns else _LATEST_NS, latest_ns or _LATEST_NS)
            events, skipped, incomplete, *dropped = evt3.decode_words(
                words, state, anchor_us, earliest_ns, span_ns, width, height
            )
            first_ns = int(state[evt3.FIRST_NS])
            self.first_ns = first_ns if first_ns >= 0 else None
        self.skipped += skipped
        self.incomplete += incomplete
        self.out_of_picture += dropped[0]
        self.backward += dropped[1]
        self.out_of_span += dropped[2]
        if len(events):
            self._last_ns = int(events[-2])
        return from_words(events)

    def _drop(self) -> np.ndarray:
        self.malformed += 1
        self.forget_place()
        return np.empty(0, EVENT)


class PacketSequence:
    """Counts lost, duplicated and reordered packets of one publisher on a best-effort topic, from their ``seq``.

    Exact for packets that come up to ``window`` packets late. A seq further back than that is a publisher
    that has restarted.

    Attributes:
        received: packets seen.
        lost: packets that have not come, so far.
        duplicated: packets that had come before.
        reordered: packets that came after a later one; they are no longer counted as lost.
        restarts: times that the publisher restarted.
    """

    def __init__(self, window: int = 1024):
        self.window = window
        self.received = self.lost = self.duplicated = self.reordered = self.restarts = 0
        self._next: int | None = None
        self._missing: dict[int, None] = {}  # ascending

    def update(self, seq: int) -> bool:
        """Count the packet ``seq``, a uint64 that may wrap; whether it is the newest so far."""
        self.received += 1
        if self._next is None:
            self._next = seq
        ahead = (seq - self._next + 2**63) % 2**64 - 2**63
        if ahead < -self.window:
            self.restarts += 1
            self._missing.clear()
            ahead, self._next = 0, seq
        if ahead < 0:
            if seq in self._missing:
                del self._missing[seq]
                self.lost -= 1
                self.reordered += 1
            else:
                self.duplicated += 1
            return False
        self.lost += ahead
        for k in range(max(0, ahead - self.window), ahead):
            self._missing[(self._next + k) % 2**64] = None
        self._next = (seq + 1) % 2**64
        while self._missing:
            oldest = next(iter(self._missing))
            if (self._next - oldest) % 2**64 <= self.window:
                break
            del self._missing[oldest]
        return True
