# SPDX-License-Identifier: Apache-2.0
"""Messages between us and a worker: whole however they are cut, and nothing else is taken for one."""

import numpy as np
import pytest

from liquid_spike_control.neuromorphic.workers.wire import Inbox, WireError, pack


def test_messages_arrive_whole_however_they_are_cut():
    message = {
        "a": np.arange(6).reshape(2, 3),
        "b": [{"c": np.array([True, False])}, None, "text", 1.5, np.zeros((0, 4), np.int32)],
    }
    data = pack(message) + pack({"next": 1})
    for size in (1, 7, len(data)):
        inbox, arrived = Inbox(), []
        for start in range(0, len(data), size):
            arrived.append(inbox.feed(data[start : start + size]))
        arrived = [m for m in arrived if m is not None] + ([inbox.feed(b"")] if size == len(data) else [])
        assert len(arrived) == 2 and arrived[1] == {"next": 1}
        np.testing.assert_array_equal(arrived[0]["a"], message["a"])
        b = arrived[0]["b"]
        assert b[0]["c"].tolist() == [True, False] and b[1:4] == [None, "text", 1.5] and b[4].shape == (0, 4)


def framed(text: bytes, arrays: bytes = b"", announced: int | None = None) -> bytes:
    sizes = len(text).to_bytes(4, "little") + (len(arrays) if announced is None else announced).to_bytes(8, "little")
    return b"LSW1" + sizes + text + arrays


@pytest.mark.parametrize(
    "data",
    [
        b"Traceback (most recent call last)",
        framed(b"{}", announced=1 << 50),
        b"LSW1" + b"\xff" * 12,
        framed(b"not json"),
        framed(b"[1]"),
        framed(b"[" * 100_000),
        framed(b'{"a": {"array": ["|O", [1]]}}', b"12345678"),
        framed(b'{"a": {"array": ["<i8", [2]]}}', b"12345678"),
        framed(b'{"a": {"array": ["<i8", [-1]]}}'),
        framed(b'{"a": {"array": ["<i8"]}}'),
        framed(b'{"a": {"array": 1}}'),
        framed(b"{}", b"12345678"),
        framed(b"\xff\xfe"),
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(WireError):
        Inbox().feed(data)


def test_objects_cannot_be_sent():
    with pytest.raises(WireError, match="object"):
        pack({"a": np.array([object()])})
