# SPDX-License-Identifier: Apache-2.0
"""Faults of event packets, without processes: bytes that mean harm, and packets that are lost on the way."""

from __future__ import annotations

import numpy as np

from ...events.codec import DECODED, ENCODINGS, Decoder, PacketSequence, decode_spikes, encode, encode_spikes
from ...types import EVENT
from .measurement import Measurement

WIDTH, HEIGHT = 320, 240
#: Packets by hypothesis, which looks for the shapes that hurt, are this part of all; the others are plain chance.
BY_HYPOTHESIS = 0.25
PACKETS_EACH = 20


class Account:
    """Decodes arbitrary packets and counts violations of the decoder's guarantees.

    Attributes:
        packets: decoded so far.
        raised: exceptions that escaped.
        broken: packets after which time ran back, an event lay outside the picture, or a drop was not counted.
    """

    def __init__(self) -> None:
        self.packets = self.raised = self.broken = 0
        self.restart()

    def restart(self) -> None:
        """A decoder that has seen nothing."""
        self._decoder, self._last_ns = Decoder(), -(2**62)

    def take(self, data: bytes, encoding: str, time_base_ns: int, width: int, height: int) -> None:
        """Decode a packet both as events and as address-event spikes."""
        self.packets += 1
        before = self._decoder.malformed
        try:
            events = self._decoder.decode(data, encoding, time_base_ns, width, height)
            spikes = decode_spikes(data, width % 64, height)
        except Exception:
            self.raised += 1
            return
        if spikes is not None and encode_spikes(spikes) != data:
            self.broken += 1
        impossible = encoding not in DECODED or len(data) % (8 if encoding in ("mono", "libcaer") else 2)
        if impossible and (len(events) or self._decoder.malformed != before + 1):
            self.broken += 1
        if len(events) == 0:
            return
        t = events["t"]
        if t[0] < self._last_ns or (t[1:] < t[:-1]).any() or events["x"].max() >= width or events["y"].max() >= height:
            self.broken += 1
        self._last_ns = int(t[-1])


def codec_fuzz(thorough: bool = False) -> list[Measurement]:
    """Random, truncated and flipped bytes in every encoding: nothing raises, drops are counted, time never runs
    back. 10^6 packets if thorough, or 2 10^4.
    """
    account = Account()
    total = 1_000_000 if thorough else 20_000
    _by_hypothesis(account, round(total * BY_HYPOTHESIS))
    _by_chance(account, total - account.packets)
    of = f"of {account.packets} packets"
    injected = "random, truncated, flipped bytes"
    return [
        Measurement(injected, "no exception escapes", account.raised, 0, of),
        Measurement(injected, "drops counted, time never back", account.broken, 0, f"{of} not"),
    ]


def _by_hypothesis(account: Account, total: int) -> None:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    bases = st.one_of(st.just(0), st.integers(0, 2**64 - 1), st.integers(10**9, 10**9 + 10**7))
    pictures = st.sampled_from([(WIDTH, HEIGHT), (0, 0), (1, 1), (2**32 - 1, 2**32 - 1)])
    encodings = st.sampled_from([*DECODED, *DECODED, ""])
    packets = st.tuples(st.binary(max_size=64), encodings, bases, pictures)

    @settings(
        max_examples=total // PACKETS_EACH, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.lists(packets, min_size=PACKETS_EACH, max_size=PACKETS_EACH))
    def feed(several) -> None:
        account.restart()
        for data, encoding, base, (width, height) in several:
            account.take(data, encoding, base, width, height)

    feed()


def _by_chance(account: Account, total: int, seed: int = 0) -> None:
    """Sound packets that were cut, lengthened or had bits flipped, and some that never were sound."""
    rng = np.random.default_rng(seed)
    sound = [_sound(rng, encoding) for encoding in ENCODINGS for _ in range(200)]
    account.restart()
    for k in range(total):
        encoding, whole = sound[int(rng.integers(len(sound)))]
        data = bytearray(whole)
        for kind in rng.integers(0, 5, int(rng.integers(1, 4))):
            where = int(rng.integers(len(data) + 1))
            if kind == 0:
                del data[where:]
            elif kind == 1:
                data[where:where] = rng.bytes(int(rng.integers(1, 9)))
            elif kind == 2:
                data = bytearray(rng.bytes(where))
            elif len(data):
                data[where % len(data)] ^= 1 << int(rng.integers(8))
        account.take(bytes(data), encoding, (k % 3 > 0) * 1_000_000 * k, WIDTH, HEIGHT)


def _sound(rng: np.random.Generator, encoding: str) -> tuple[str, bytes]:
    events = np.zeros(int(rng.integers(1, 40)), EVENT)
    events["t"] = np.sort(rng.integers(0, 5_000_000, len(events)))
    for field, most in (("x", WIDTH), ("y", HEIGHT), ("p", 2)):
        events[field] = rng.integers(0, most, len(events))
    return encoding, encode(events, encoding, 0)


def counted_losses() -> list[Measurement]:
    """A tenth of 10^4 packets dropped, a tenth late and a tenth twice, across the wrap of seq: all counted exactly, and
    the time of decoded events never runs back.
    """
    n, first = 10_000, 2**64 - 5_000
    order = spoilt(n, np.random.default_rng(1))
    seen: set[int] = set()
    newest, duplicated, reordered = -1, 0, 0
    sequence, decoder, last_ns, backward = PacketSequence(), Decoder(), 0, 0
    for k in order:
        duplicated += k in seen
        reordered += k not in seen and k < newest
        seen.add(k)
        newest = max(newest, k)
        sequence.update((first + k) % 2**64)
        base = 1_000_000_000 + k * 5_000_000
        events = np.array([(base + 1000, 1, 2, 1), (base + 4_999_000, 3, 4, 0)], EVENT)
        t = decoder.decode(encode(events, "evt3", base), "evt3", base, WIDTH, HEIGHT)["t"]
        if len(t):
            backward += bool(t[0] < last_ns or (np.diff(t) < 0).any())
            last_ns = int(t[-1])
    injected = "10 % dropped, 10 % late, 10 % twice"
    counted = (
        ("losses", sequence.lost, n - len(seen)),
        ("late ones", sequence.reordered, reordered),
        ("repeats", sequence.duplicated, duplicated),
    )
    return [
        *(Measurement(injected, f"{what} counted exactly", abs(a - b), 0, f"off, of {b}") for what, a, b in counted),
        Measurement(injected, "time never runs back", backward, 0, f"of {len(order)} packets"),
    ]


def spoilt(n: int, rng: np.random.Generator) -> list[int]:
    """The numbers below ``n`` as a bad link delivers them; the first and the last arrive in their place."""
    sent = np.arange(n)
    kept = sent[(rng.random(n) >= 0.1) | (sent == 0) | (sent == n - 1)]
    late = (rng.random(len(kept)) < 0.1) & (kept > 0) & (kept < n - 1)
    place = np.where(late, np.minimum(kept + rng.uniform(1, 30, len(kept)), n - 2), kept)
    order = kept[np.argsort(place, kind="stable")]
    twice = np.flatnonzero(rng.random(len(order)) < 0.1)
    return np.insert(order, twice + 1, order[twice]).tolist()
