# SPDX-License-Identifier: Apache-2.0
"""Inputs that would be waited for, nest without end, unpack without end, or are not of the type they should be."""

import json
import os
import random
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import fuzz_readers
import pytest
from backports import zstd
from cli_here import cli

from liquid_spike_control.errors import LiquidSpikeError, TaskError
from liquid_spike_control.events.files import open_events
from liquid_spike_control.inputs import open_input, open_npz, parse_json, read_input, read_yaml
from liquid_spike_control.mcap import MAGIC
from liquid_spike_control.neuromorphic.files import event_files
from liquid_spike_control.records.bag import Bag

ROOT = Path(__file__).parents[2]


def refused(*arguments: object) -> str:
    """What the command line says, in one line, of what it refuses."""
    done = cli(*arguments)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_fifo_is_not_waited_for(tmp_path):
    for suffix in (".safetensors", ".nir", ".net", ".npz", ".mcap", ".db3", ".raw", ".h5", ".yaml"):
        os.mkfifo(tmp_path / f"fifo{suffix}")
    for arguments in (
        ["controller", "inspect", tmp_path / "fifo.safetensors"],
        ["neuromorphic", "inspect", tmp_path / "fifo.safetensors"],
        ["neuromorphic", "inspect", tmp_path / "fifo.nir"],
        ["neuromorphic", "inspect", tmp_path / "fifo.net"],
        ["replay", tmp_path / "fifo.mcap"],
        ["replay", tmp_path / "fifo.db3"],
        ["events", "info", tmp_path / "fifo.raw"],
        ["events", "info", tmp_path / "fifo.h5"],
        ["security", "policy", "--robot", tmp_path / "fifo.yaml"],
    ):
        assert str(arguments[-1]) in refused(*arguments)


def test_only_regular_files_within_bounds(tmp_path):
    (tmp_path / "f").write_bytes(b"12345")
    assert read_input(tmp_path / "f", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_input(tmp_path / "f", 4)
    for path in (Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="it is "):
            open_input(path)


def test_json_and_yaml_are_bounded_in_depth(tmp_path):
    assert parse_json(b'{"a": [1]}') == {"a": [1]}
    for text in ("[" * 100_000, '{"a":' * 100_000, "{"):
        with pytest.raises(ValueError):
            parse_json(text)
    path = tmp_path / "f.yaml"
    path.write_text("a: [1, {b: x}]\n")
    assert read_yaml(path) == {"a": [1, {"b": "x"}]}
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    path.write_text(bomb)
    assert len(str(read_yaml(path)["a"])) < 20
    for text in ("[" * 20_000, "{" * 20_000, "- " * 2000, "a: [\n", "a: 2024-99-99", "? [a, b]\n: 1\n? {c: d}\n: 2",
                 "!!python/object/apply:os.system [id]", "x: [" + "1," * 30_000 + "]", "\x00", "a: 1e5_"):  # fmt: skip
        path.write_text(text)
        try:
            read_yaml(path)
        except ValueError as error:
            assert "\n" not in str(error) and len(str(error)) <= 200
        else:
            assert text == "a: 1e5_"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("perception: pencil/perception.nir", "perception: 5", "perception: "),
        ("topic: /joint_states", "topic: 7", "readings[0].ros.topic: "),
        ("topic: /effort_controller/commands", "topic: [/a]", "commands[0].ros.topic: "),
        ("topic: /event_camera/events", 'topic: ""', "cameras[0] (event_camera).topic: ''; give a topic's name"),
    ],
)
def test_values_of_a_robots_yaml_that_are_no_names(tmp_path, old, new, says):
    text = (ROOT / "config/robot_cart.yaml").read_text()
    assert old in text
    path = tmp_path / "robot.yaml"
    path.write_text(text.replace(old, new))
    assert says in refused("security", "policy", "--robot", path, "--real")


def test_a_deep_yaml_is_refused_in_one_line(tmp_path):
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 20_000)
    assert "nested too deeply" in refused("run", path, "--real")


def packed_bag(folder: Path, mode: str, suffix: str, data: bytes) -> Path:
    folder.mkdir()
    (folder / "metadata.yaml").write_text(f"rosbag2_bagfile_information:\n  compression_mode: {mode}\n")
    (folder / f"bag_0{suffix}").write_bytes(data)
    return folder


def test_a_bag_that_unpacks_without_end_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    """98 kB that unpack to 3 GB."""
    compressor = zstd.ZstdCompressor()
    block = bytes(1 << 24)
    data = b"".join(compressor.compress(block) for _ in range(192)) + compressor.flush()
    assert len(data) < 300_000
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    for suffix in (".mcap.zstd", ".db3.zstd"):
        bag = Bag(packed_bag(tmp_path / suffix[1:5], "FILE", suffix, data))
        with pytest.raises(TaskError, match="it unpacks to more than"):
            next(bag.messages())
    assert os.listdir(temporary) == []
    cut = Bag(packed_bag(tmp_path / "cut", "file", ".mcap.zstd", data[:1000]))
    with pytest.raises(TaskError):
        list(cut.messages())


def test_a_message_that_unpacks_without_end_is_refused(tmp_path):
    from liquid_spike_control.records.mcap_file import STRING, McapFile

    bag = tmp_path / "bag"
    bag.mkdir()
    (bag / "metadata.yaml").write_text("compression_mode: MESSAGE\ncompression_format: zstd\n")
    file = McapFile(bag / "bag_0.mcap")
    compressor = zstd.ZstdCompressor()
    bomb = b"".join(compressor.compress(bytes(1 << 24)) for _ in range(64)) + compressor.flush()
    file.write("/s", STRING, 1, bomb)
    file.close()
    with pytest.raises(TaskError, match="/s at 1 ns: it is cut, or unpacks to more than"):
        list(Bag(bag).messages())
    shutil.rmtree(bag)


def test_descriptions_and_diagnostics_of_other_programs_in_a_bag(tmp_path):
    """A bag whose graph is nested without end, and one whose diagnostics have no status."""
    from liquid_spike_control.records.mcap_file import GRAPH_TOPIC, McapFile

    for name, write in {
        "deep": lambda file: _string(file, GRAPH_TOPIC, "[" * 100_000),
        "list": lambda file: _string(file, GRAPH_TOPIC, json.dumps([1])),
        "infinite": lambda file: _string(
            file, GRAPH_TOPIC,
            '{"nodes": {"/controller": {"tolerance_s": Infinity}, "/gate": {"lower": ["x"]}}, "models": {}}',
        ),
        "empty status": _empty_status,
    }.items():  # fmt: skip
        path = tmp_path / f"{name}.mcap"
        file = McapFile(path)
        write(file)
        file.close()
        assert str(path) in refused("replay", path) or name == "infinite"


def _string(file, topic: str, text: str) -> None:
    file.write_message(topic, 0, file.types.types["std_msgs/msg/String"](data=text))


def _empty_status(file) -> None:
    types = file.types.types
    time = types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
    header = types["std_msgs/msg/Header"](stamp=time, frame_id="")
    kind = types["diagnostic_msgs/msg/DiagnosticStatus"]
    pair = types["diagnostic_msgs/msg/KeyValue"](key="lost", value="many")
    odd = kind(level=0, name="perception: x", message="", hardware_id="", values=[pair])
    for status in ([], [odd]):
        file.write_message(
            "/diagnostics", 0, types["diagnostic_msgs/msg/DiagnosticArray"](header=header, status=status)
        )


def test_a_collection_of_texts_that_hdf5_walks_through_without_end(tmp_path):
    """One bit of a NIR file: the object that fills its heap has no size any more."""
    data = bytearray((ROOT / "test/data/nir/rockpool_dense.nir").read_bytes())
    data[2513] ^= 4
    path = tmp_path / "endless.nir"
    path.write_bytes(data)
    assert "a damaged collection of texts" in refused("neuromorphic", "inspect", path, "--preset", "rockpool")


def test_a_data_set_that_claims_more_than_is_stored(tmp_path):
    """3.5 kB that claim 2^40 events."""
    import h5py

    path = tmp_path / "claims.h5"
    with h5py.File(path, "w") as file:
        for name, kind in (("t", "u4"), ("x", "u2"), ("y", "u2"), ("p", "u1")):
            file.create_dataset(f"events/{name}", (2**40,), kind, chunks=(1 << 20,), compression="gzip")
        file["t_offset"] = 0
    assert path.stat().st_size < 10_000
    assert "stored" in refused("events", "info", path)
    with h5py.File(path, "w") as file:
        for name, kind in (("t", "u4"), ("x", "u2"), ("y", "u2"), ("p", "u1")):
            file.create_dataset(f"events/{name}", (1 << 25,), kind, chunks=(1 << 25,), compression="gzip")
            file[f"events/{name}"][:1] = 0
        file["t_offset"] = 0
    assert "chunks of" in refused("events", "info", path)


def test_a_damaged_archive_of_arrays_is_one_line_whatever_is_wrong(tmp_path):
    """As in the cache of recorded episodes, where a full disk or a crash may leave anything."""
    import numpy as np

    path = tmp_path / "a.npz"
    np.savez_compressed(path, counts=np.arange(3000), ids=np.zeros(400, np.int32))
    data = path.read_bytes()
    with open_npz(path) as arrays:
        assert arrays["counts"].sum() == 2999 * 1500 and len(arrays["ids"]) == 400
    rng, refused = random.Random(0), 0
    for _ in range(200):
        path.write_bytes(fuzz_readers.mutated(data, rng))
        try:
            with open_npz(path) as arrays:
                assert len(arrays["counts"]) == 3000
        except (ValueError, AssertionError) as error:
            assert "\n" not in str(error) or isinstance(error, AssertionError)
            refused += 1
    assert refused > 150
    np.save(path.with_suffix(".npy"), np.arange(3))
    with pytest.raises(ValueError, match="one array"), open_npz(path.with_suffix(".npy")):
        pass


def packed_columns(path: Path, n: int) -> None:
    """Events that are all 0, in the largest chunks that are taken, each packed to a thousandth."""
    import h5py

    from liquid_spike_control.hdf5 import MAX_CHUNK

    chunk = zlib.compress(bytes(MAX_CHUNK), 9)
    with h5py.File(path, "w") as file:
        for name, kind, size in (("t", "i8", 8), ("x", "i8", 8), ("y", "u2", 2), ("p", "i1", 1)):
            rows = MAX_CHUNK // size
            column = file.create_dataset(
                f"events/{name}", (n,), kind, maxshape=(None,), chunks=(rows,), compression="gzip"
            )
            for begin in range(0, n, rows):
                column.id.write_direct_chunk((begin,), chunk)


def test_hdf5_events_are_read_in_bounded_memory(tmp_path):
    """17 million events in 300 kB; the pieces of a chunk do not unpack it again."""
    path = tmp_path / "o.h5"
    packed_columns(path, 1 << 24)
    assert path.stat().st_size < 1 << 20
    program = (
        "import resource, sys\nfrom liquid_spike_control.events.files import open_events\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "n = sum(map(len, open_events(sys.argv[1], (9, 9)).pieces()))\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=110, env=environment
    )
    assert done.returncode == 0, done.stderr
    read, kilobytes = map(int, done.stdout.split())
    assert read == 1 << 24 and kilobytes < 700_000


def test_hdf5_events_that_unpack_without_end(tmp_path):
    packed_columns(tmp_path / "o.h5", 18 << 23)
    with pytest.raises(TaskError, match="claims 1,207,959,552 bytes, in a file of"):
        open_events(tmp_path / "o.h5", (9, 9))


def test_a_recording_for_a_network_is_bounded(tmp_path, monkeypatch):
    """A bag whose chunk unpacks to a gigabyte, and one with more events than are held in memory."""
    path = tmp_path / "o.mcap"
    fuzz_readers._bag(path)
    events, size, start_ns = event_files.read_recording(path)
    assert len(events) == 2000 and size == (128, 96) and start_ns == 1_000_000_000
    with pytest.raises(TaskError, match="more than 1,500 events; cut the recording"):
        monkeypatch.setattr(event_files, "MAX_EVENTS", 1500)
        event_files.read_recording(path)
    content = zstd.compress(bytes(1 << 28) * 4)
    chunk = struct.pack("<QQQII4sQ", 0, 0, 1 << 30, 0, 4, b"zstd", len(content)) + content
    path.write_bytes(MAGIC + struct.pack("<BQ", 6, len(chunk)) + chunk)
    with pytest.raises(TaskError, match="a chunk of 1073741824 bytes, more than"):
        event_files.read_recording(path)
    path.write_bytes(path.read_bytes().replace(struct.pack("<Q", 1 << 30), struct.pack("<Q", 1 << 20), 1))
    with pytest.raises(TaskError, match="damaged record"):
        event_files.read_recording(path)


def test_an_aedat4_packet_that_claims_more_than_the_file_has(tmp_path):
    pytest.importorskip("faery")
    import numpy as np

    from liquid_spike_control.events.files import write_events
    from liquid_spike_control.types import EVENT

    events = np.zeros(5000, EVENT)
    events["t"] = np.arange(5000) * 10_000
    path = tmp_path / "a.aedat4"
    write_events(path, [events], 128, 96)
    assert sum(map(len, open_events(path).pieces())) == 5000
    data = bytearray(path.read_bytes())
    (header,) = struct.unpack_from("<I", data, 14)
    for at, says in ((14, "the header"), (18 + header + 4, "the packet at byte")):
        changed = data.copy()
        struct.pack_into("<I", changed, at, 2**31 - 1)
        path.write_bytes(changed)
        with pytest.raises(TaskError, match=says):
            open_events(path)


def test_errors_here_are_for_users():
    assert issubclass(TaskError, LiquidSpikeError)
