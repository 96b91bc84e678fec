# SPDX-License-Identifier: Apache-2.0
"""Bags in every layout, whole, cut and damaged."""

import struct
import zlib
from collections import Counter
from pathlib import Path

import lz4.frame
import pytest
from bags import CONTROLLER, PERCEPTION, TOPICS, described, episode, write, write_rosbag2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from liquid_spike_control.errors import TaskError
from liquid_spike_control.mcap import McapScan
from liquid_spike_control.records.bag import Bag
from liquid_spike_control.records.mcap_file import GRAPH_TOPIC
from liquid_spike_control.records.replay import replay

MCAP, SQLITE = StoragePlugin.MCAP, StoragePlugin.SQLITE3


def killed(folder: Path) -> Path:
    """What is left of ros2 bag after SIGKILL: no metadata.yaml."""
    (folder / "metadata.yaml").unlink()
    return folder


LAYOUTS = {
    "mcap folder": lambda path: write_rosbag2(path, episode(), MCAP),
    "mcap folder, no metadata": lambda path: killed(write_rosbag2(path, episode(), MCAP)),
    "mcap, each message compressed": lambda path: write_rosbag2(path, episode(), MCAP, CompressionMode.MESSAGE),
    "mcap, the file compressed": lambda path: write_rosbag2(path, episode(), MCAP, CompressionMode.FILE),
    "mcap, chunks compressed": lambda path: write_rosbag2(path, episode(), MCAP, CompressionMode.STORAGE),
    "db3 folder": lambda path: write_rosbag2(path, episode(), SQLITE),
    "db3 folder, no metadata": lambda path: killed(write_rosbag2(path, episode(), SQLITE)),
    "db3 file": lambda path: write_rosbag2(path, episode(), SQLITE) / "bag.db3",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_ros2_bag_is_replayed(tmp_path, layout):
    outcome = replay(LAYOUTS[layout](tmp_path / "bag"), PERCEPTION, CONTROLLER, TOPICS, mode="lockstep")
    assert outcome.identical
    assert {c.topic for c in outcome.comparisons} == {TOPICS.estimate, TOPICS.command, TOPICS.gated}


def test_files_of_a_split_bag_follow_each_other(tmp_path):
    for number in (0, 1, 2, 10):
        write(tmp_path / f"bag_{number}.mcap", episode()[number * 5 : number * 5 + 5], None)
    stamps = [raw.stamp_ns for raw in Bag(tmp_path).messages()]
    assert stamps == [m.stamp_ns for number in (0, 1, 2, 10) for m in episode()[number * 5 : number * 5 + 5]]


def test_rosbags_reads_what_the_recorder_writes(tmp_path):
    bag = write(tmp_path / "o.mcap", episode(), described())
    with AnyReader([bag]) as reader:
        counts = Counter(connection.topic for connection, _, _ in reader.messages())
    assert counts == Counter(m.topic for m in episode()) + Counter([GRAPH_TOPIC])


@pytest.fixture(scope="module", params=[CompressionMode.NONE, CompressionMode.STORAGE])
def whole(request, tmp_path_factory):
    """A bag of several chunks, plain or compressed, and its messages."""
    folder = tmp_path_factory.mktemp("whole")
    if request.param == CompressionMode.NONE:
        path = write(folder / "o.mcap", episode(), described())
    else:
        path = write_rosbag2(folder / "bag", episode(), MCAP, request.param) / "bag.mcap"
    scan = McapScan(path)
    messages = list(scan.messages())
    assert scan.cut is None
    assert len(messages) >= len(episode())
    return path.read_bytes(), messages, folder


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(share=st.floats(0, 1))
def test_a_cut_bag_is_read_up_to_the_cut(whole, share):
    data, messages, folder = whole
    size = 8 + int(share * (len(data) - 8))
    path = folder / "cut.mcap"
    path.write_bytes(data[:size])
    scan = McapScan(path)
    found = list(scan.messages())
    assert found == messages[: len(found)]
    assert scan.cut is not None or len(found) == len(messages)
    # of what was written plainly, no whole message is left behind
    if len(found) < len(messages) and messages[len(found)].data in data[:size] and len(messages[len(found)].data) > 64:
        raise AssertionError(f"message {len(found)} is whole in the first {size} bytes")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=9)), min_size=1, max_size=5))
def test_a_damaged_bag_is_read_or_refused_in_one_line(whole, damage):
    data, _, folder = whole
    spoilt = bytearray(data)
    for share, content in damage:
        at = int(share * (len(data) - len(content)))
        spoilt[at : at + len(content)] = content
    path = folder / "damaged.mcap"
    path.write_bytes(spoilt)
    try:
        bag = Bag(path)
        for raw in bag.messages():
            if raw.topic == TOPICS.command:
                bag.read(raw)
    except TaskError as error:
        assert "\n" not in str(error)


def test_a_chunk_that_claims_to_be_huge_takes_no_memory(tmp_path):
    record = b"\0" * 16 + (2**62).to_bytes(8, "little") + b"\0" * 8 + (2**62).to_bytes(8, "little")
    path = tmp_path / "o.mcap"
    path.write_bytes(b"\x89MCAP0\r\n\x06" + len(record).to_bytes(8, "little") + record)
    scan = McapScan(path)
    assert list(scan.messages()) == []
    assert "a chunk of 4611686018427387904 bytes" in scan.cut


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("o.mcap", b"", "not an MCAP file"),
        ("o.mcap", b"SQLite format 3\0", "not an MCAP file"),
        ("o.db3", b"not a database", "not a whole bag"),
        ("o.bag", b"#ROSBAG V2.0\n", "not a bag"),
    ],
)
def test_foreign_files_are_refused_in_one_line(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TaskError, match=says) as refused:
        list(Bag(tmp_path / name).messages())
    assert "\n" not in str(refused.value)


def test_a_folder_without_a_bag(tmp_path):
    with pytest.raises(TaskError, match="no .mcap or .db3 file in this folder"):
        Bag(tmp_path)


def repacked(data: bytes, spoil: bool) -> bytes:
    """A plain file with its chunks compressed by lz4 and their checksums stated; one of them wrong if ``spoil``."""
    out, at = bytearray(data[:8]), 8
    while data[at] != 0x0F:  # the end of the data
        kind, length = struct.unpack_from("<BQ", data, at)
        body = data[at + 9 : at + 9 + length]
        if kind == 0x06:
            (size,) = struct.unpack_from("<Q", body, 16)
            content = body[len(body) - size :]
            packed = lz4.frame.compress(content)
            crc = zlib.crc32(content) ^ spoil
            body = body[:24] + struct.pack("<II3sQ", crc, 3, b"lz4", len(packed)) + packed
        out += struct.pack("<BQ", kind, len(body)) + body
        at += 9 + length
    return bytes(out) + data[at : at + 9 + 4]


def test_lz4_and_checksums(tmp_path):
    plain = write(tmp_path / "o.mcap", episode(), described())
    packed = tmp_path / "packed.mcap"
    packed.write_bytes(repacked(plain.read_bytes(), spoil=False))
    scan = McapScan(packed)
    assert list(scan.messages()) == list(McapScan(plain).messages())
    assert scan.cut is None
    packed.write_bytes(repacked(plain.read_bytes(), spoil=True))
    assert list(scan.messages()) == []
    assert "the checksum of a chunk is wrong" in scan.cut
