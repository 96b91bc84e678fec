# SPDX-License-Identifier: Apache-2.0
"""Recordings of event cameras: what faery and DSEC's layout hold, in and out, cut and foreign."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

from liquid_spike_control.errors import LiquidSpikeError, TaskError
from liquid_spike_control.events.codec import Decoder
from liquid_spike_control.events.files import open_events, write_events
from liquid_spike_control.events.windows import SensorClock
from liquid_spike_control.joints import to_ns
from liquid_spike_control.options import EventsConvertOptions
from liquid_spike_control.records.bag import Bag
from liquid_spike_control.records.contents import event_packets
from liquid_spike_control.records.event_bag import PacketForm, packets
from liquid_spike_control.records.event_source import LONGEST_GAP_NS, open_source, windows
from liquid_spike_control.records.events_entry import convert_command
from liquid_spike_control.types import EVENT

TOPIC = "/event_camera/events"
SUFFIXES = (".raw", ".dat", ".aedat4", ".es")


def events(n=5000, seed=0, start_us=5_000_000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = np.zeros(n, EVENT)
    made["t"] = (start_us + np.sort(rng.integers(0, 200_000, n))) * 1000
    made["x"], made["y"] = rng.integers(0, 346, n), rng.integers(0, 260, n)
    made["p"] = rng.integers(0, 2, n)
    return made


def joined(pieces) -> np.ndarray:
    return np.concatenate(list(pieces))


def by_faery(path, made, version=None):
    """A file as faery itself writes it."""
    faery = pytest.importorskip("faery")
    theirs = np.zeros(len(made), faery.EVENTS_DTYPE)
    theirs["t"], theirs["on"] = made["t"] // 1000, made["p"]
    theirs["x"], theirs["y"] = made["x"], made["y"]
    faery.events_stream_from_array(theirs, (346, 260)).to_file(path, version=version)
    return path


@pytest.mark.parametrize("version", ["evt2", "evt3"])
def test_raw_files_of_both_versions(tmp_path, version):
    file = open_events(by_faery(tmp_path / "o.raw", events(), version))
    assert (file.width, file.height) == (346, 260)
    np.testing.assert_array_equal(joined(file.pieces()), events())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_we_write_faery_reads_and_so_do_we(tmp_path, suffix):
    faery = pytest.importorskip("faery")
    path = tmp_path / f"o{suffix}"
    write_events(path, (events()[k : k + 700] for k in range(0, 5000, 700)), 346, 260)
    stream = faery.events_stream_from_file(path)
    assert stream.dimensions() == (346, 260)
    theirs = np.concatenate(list(stream))
    found = joined(open_events(path).pieces())
    np.testing.assert_array_equal(found["t"], theirs["t"].astype(np.int64) * 1000)
    moved = events()
    if suffix == ".es":  # the format has no time of its own
        moved["t"] -= moved["t"][0]
    np.testing.assert_array_equal(found, moved)


def dsec(path, made, **options):
    with h5py.File(path, "w") as file:
        offset = int(made["t"][0]) // 1000
        file["t_offset"] = offset
        for name, column in (("t", made["t"] // 1000 - offset), ("x", made["x"]), ("y", made["y"]), ("p", made["p"])):
            kind = np.uint32 if name == "t" else np.uint8 if name == "p" else np.uint16
            file.create_dataset(f"events/{name}", data=column.astype(kind), **options)
    return path


def test_dsec(tmp_path, monkeypatch):
    monkeypatch.setattr("liquid_spike_control.events.files.PIECE", 999)
    file = open_events(dsec(tmp_path / "events.h5", events(), compression="gzip"))
    assert (file.width, file.height) == (640, 480)
    np.testing.assert_array_equal(joined(file.pieces()), events())


def test_dsec_without_the_filter_names_the_plugin(tmp_path):
    """A chunk that Blosc (filter 32001) would have to unpack."""
    made = events(100)
    with h5py.File(tmp_path / "events.h5", "w") as file:
        file["t_offset"] = 0
        for name in "txyp":
            column = made[name].astype(np.uint32)
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk(column.shape)
            plist.set_filter(32001, h5py.h5z.FLAG_OPTIONAL)
            group = file.require_group("events")
            dataset = h5py.h5d.create(
                group.id, name.encode(), h5py.h5t.NATIVE_UINT32, h5py.h5s.create_simple(column.shape), plist
            )
            dataset.write_direct_chunk((0,), column.tobytes())
    try:
        import hdf5plugin  # noqa: F401
    except ImportError:
        with pytest.raises(TaskError, match="pip install hdf5plugin"):
            joined(open_events(tmp_path / "events.h5").pieces())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("o.raw", b"\xff\xd8\xff\xe0 a picture", "does not begin as a .raw file does"),
        ("o.raw", b"", "does not begin"),
        ("o.aedat4", b"#!AER-DAT2.0\r\n", "does not begin"),
        ("o.es", b"\0" * 40, "does not begin"),
        ("o.dat", b"% evt 9\n% \n", "not a whole .dat file"),
        ("o.h5", b"no HDF5", "not a whole .h5 file"),
        ("o.csv", b"t,x,y,on\n", "is no event recording"),
        ("o.raw", b"% evt 3.0\n% end\n", "give --size"),
    ],
)
def test_foreign_files_are_refused_in_one_line(tmp_path, name, content, says):
    pytest.importorskip("faery")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TaskError, match=says) as refused:
        joined(open_events(path).pieces())
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)


def test_hdf5_that_is_not_dsec(tmp_path):
    with h5py.File(tmp_path / "o.h5", "w") as file:
        file["other"] = 1
    with pytest.raises(TaskError, match="no dataset events/t"):
        open_events(tmp_path / "o.h5")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_cut_files_are_read_up_to_the_cut_or_refused(tmp_path, suffix):
    path = tmp_path / f"o{suffix}"
    by_faery(path, events())
    data, whole = path.read_bytes(), joined(open_events(path).pieces())
    for cut in np.linspace(4, len(data) - 1, 25).astype(int):
        path.write_bytes(data[:cut])
        found = []
        try:
            for piece in open_events(path).pieces():
                found.append(piece)
        except TaskError as error:
            assert "\n" not in str(error)
        if found:
            np.testing.assert_array_equal(joined(found), whole[: sum(map(len, found))])


# ---- windows and packets ----


def test_windows_hold_every_event_once_and_leave_no_gap():
    made = events()
    made["t"][2500:] += 50_000_000  # a still scene
    cut = list(windows(iter(np.array_split(made, 13)), 5_000_000))
    ends = np.array([end for end, _ in cut])
    assert (np.diff(ends) == 5_000_000).all() and (ends % 1000 == 0).all()
    for end, part in cut:
        assert ((part["t"] > end - 5_000_000) & (part["t"] <= end)).all()
    np.testing.assert_array_equal(joined(part for _, part in cut), made)
    assert sum(len(part) == 0 for _, part in cut) >= 9


@pytest.mark.parametrize(
    ("step", "says"), [(-1, "run back by 1 ns"), (LONGEST_GAP_NS + 1, "jump by 600 s")]
)
def test_a_clock_that_jumps_is_refused(step, says):
    made = np.zeros(2, EVENT)
    made["t"] = (10**12, 10**12 + step)
    with pytest.raises(TaskError, match=says):
        list(windows(iter([made[:1], made[1:]]), 5_000_000))


@pytest.mark.parametrize("encoding", ["evt3", "mono"])
def test_packets_are_small_and_their_stamps_ascend(encoding):
    """A window of more events than fit one packet is published as several."""
    many = np.zeros(120_000, EVENT)
    many["t"] = 10**9 + np.arange(120_000) // 40 * 1000
    made = list(packets(iter([many]), PacketForm(encoding, 5_000_000), None))
    assert max(len(packet.data) for packet in made) <= 400_000
    assert sum(packet.n_events for packet in made) == len(many)
    assert len(made) == 3
    stamps = [packet.stamp_ns for packet in made]
    assert stamps == sorted(set(stamps))


def test_packets_of_a_driver_are_on_the_sensors_clock(tmp_path):
    """What the perception makes of them with event_clock: sensor, and what a bag of them is read as."""
    made = events(start_us=3_000_000)
    recording, bag = by_faery(tmp_path / "o.raw", made), tmp_path / "o.mcap"
    assert run("convert", recording, bag, "--driver", "--start", "50").returncode == 0
    clock, decoder, found = SensorClock(), Decoder(), []
    for packet in event_packets(Bag(bag), TOPIC):
        stamp = to_ns(packet.header.stamp)
        assert stamp > 50 * 10**9 and packet.time_base == 0
        decoded = decoder.decode(packet.events, packet.encoding, 0, packet.width, packet.height)
        found.append(clock.translate(decoded, stamp))
    shifts = joined(found)["t"] - made["t"]
    assert (shifts == shifts[0]).all() and clock.steps == 0
    np.testing.assert_array_equal(joined(open_source(bag, TOPIC, sensor_clock=True).pieces()), made)


# ---- the commands ----


def run(*arguments):
    command = [sys.executable, "-m", "liquid_spike_control", "events", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_convert_to_a_bag_and_back_keeps_every_event(tmp_path):
    """From EVT2 to packets to AEDAT4, each by a process of its own."""
    recording = by_faery(tmp_path / "o.raw", events(), "evt2")
    bag, back = tmp_path / "o.mcap", tmp_path / "back.aedat4"
    there = run("convert", recording, bag, "--encoding", "mono")
    assert there.returncode == 0, there.stderr
    assert f"5000 events, 0.200 s, 40 packets on {TOPIC}" in there.stdout
    again = run("convert", bag, back)
    assert again.returncode == 0, again.stderr
    np.testing.assert_array_equal(joined(open_events(back).pieces()), events())


def test_a_recording_from_time_0_is_moved_to_1_s(tmp_path):
    recording = by_faery(tmp_path / "o.raw", events(start_us=0))
    assert run("convert", recording, tmp_path / "o.mcap").returncode == 0
    found = joined(open_source(tmp_path / "o.mcap", TOPIC).pieces())
    assert 10**9 < found["t"][0] <= 10**9 + 2000
    assert run("convert", recording, tmp_path / "late.mcap", "--start", "7").returncode == 0
    assert 7 * 10**9 < joined(open_source(tmp_path / "late.mcap", TOPIC).pieces())["t"][0] <= 7 * 10**9 + 2000


def test_info(tmp_path):
    made = events()
    done = run("info", by_faery(tmp_path / "o.raw", made), "--json", tmp_path / "o.json")
    assert done.returncode == 0, done.stderr
    assert "346 x 260" in done.stdout and "in order" in done.stdout
    told = json.loads((tmp_path / "o.json").read_text())
    assert (told["events"], told["on"], told["backward"]) == (5000, int(made["p"].sum()), 0)
    assert told["duration_s"] == pytest.approx((made["t"][-1] - made["t"][0]) * 1e-9)
    counts = np.bincount(made["t"] // 10_000_000)
    assert told["peak"] == counts.max()


def test_info_of_events_that_run_back(tmp_path):
    made = events(100)
    made["t"][50:] -= 1_000_000_000
    dsec(tmp_path / "o.h5", made[np.argsort(made["t"], kind="stable")])
    with h5py.File(tmp_path / "o.h5", "r+") as file:
        file["events/t"][:] = np.roll(file["events/t"][:], 7)
    done = run("info", tmp_path / "o.h5")
    assert done.returncode == 1
    assert "no: 1 events run back" in done.stdout


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"file": "none.raw"}, "none.raw: no such file"),
        ({"out": "there.mcap"}, "there.mcap exists"),
        ({"out": "o.txt"}, ".txt cannot be written"),
        ({"out": "o.dat", "version": "evt2"}, "--version evt2 is none of .dat"),
        ({"out": "none/o.es"}, "there is no folder"),
        ({"out": "o.mcap", "window": 0.0}, "--window 0"),
        ({"file": "there.mcap", "out": "o.mcap"}, "not an MCAP file"),
    ],
)
def test_what_cannot_be_converted(tmp_path, changes, says):
    by_faery(tmp_path / "o.raw", events(10))
    (tmp_path / "there.mcap").touch()
    paths = {k: tmp_path / changes.get(k, v) for k, v in (("file", "o.raw"), ("out", "o.es"))}
    with pytest.raises(LiquidSpikeError, match=says) as refused:
        convert_command(EventsConvertOptions(**changes | paths))
    assert "\n" not in str(refused.value)


def test_the_command_refuses_in_one_line(tmp_path):
    done = run("info", tmp_path / "none.raw")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
