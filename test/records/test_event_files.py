# SPDX-License-Identifier: Apache-2.0
"""Recordings of event cameras: what faery and DSEC's layout hold, in and out, cut and foreign."""

import json
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from cli_here import cli

from liquid_spike_control.errors import LiquidSpikeError, TaskError
from liquid_spike_control.events.codec import encode
from liquid_spike_control.events.files import open_events, write_events
from liquid_spike_control.events.front_end import FrontEndSettings
from liquid_spike_control.events.stream import EventStream
from liquid_spike_control.joints import to_ns
from liquid_spike_control.options import EventsConvertOptions
from liquid_spike_control.records.bag import Bag
from liquid_spike_control.records.contents import event_packets
from liquid_spike_control.records.event_bag import PacketForm, packets, write_event_bag
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


HEADER = "% evt 2.1\n% format {};height=260;width=346{}\n% end\n"


def evt2_words(made, bits=64) -> np.ndarray:
    """The words of Prophesee's documentation, an event each, with a TIME_HIGH wherever it changes."""
    words, high = [], None
    for t, x, y, p in made.tolist():
        us = t // 1000
        if us >> 6 != high:
            high = us >> 6
            words.append(8 << 60 | (high & (1 << 28) - 1) << 32)
        base = x & ~31 if bits == 64 else x
        words.append(p << 60 | (us & 63) << 54 | base << 43 | y << 32 | 1 << (x - base))
    return np.array(words, "<u8")


@pytest.mark.parametrize(("says", "swapped"), [("", False), ("", True), (";endianness=legacy", True)])
def test_evt21_in_both_orders_of_its_halves(tmp_path, says, swapped):
    made, path = events(), tmp_path / "o.raw"
    words = evt2_words(made)
    ordered = words << np.uint64(32) | words >> np.uint64(32) if swapped else words
    path.write_bytes(HEADER.format("EVT21", says).encode() + ordered.tobytes())
    file = open_events(path)
    assert (file.width, file.height) == (346, 260)
    np.testing.assert_array_equal(joined(file.pieces()), made)
    assert file.dropped == {}


def test_a_vector_of_evt21(tmp_path):
    words = np.array([8 << 60 | 3 << 32, 1 << 60 | 5 << 54 | 32 << 43 | 7 << 32 | 0x80000005], "<u8")
    (tmp_path / "o.raw").write_bytes(HEADER.format("EVT21", "").encode() + words.tobytes())
    found = joined(open_events(tmp_path / "o.raw").pieces())
    assert found.tolist() == [(197_000, x, 7, 1) for x in (32, 34, 63)]


def test_evt2_before_its_first_time_and_outside_its_picture(tmp_path):
    """Without a TIME_HIGH the time is not known; a pixel that is not there is passed over, and the rest is read."""
    made = events(100)
    made["x"][50] = 1000
    words = (evt2_words(made, bits=32) >> np.uint64(32)).astype("<u4")
    early, reserved = np.array([1 << 28 | 5 << 11 | 6], "<u4"), np.array([5 << 28], "<u4")
    data = np.concatenate([early, words[:20], reserved, words[20:]]).astype("<u4")
    path = tmp_path / "o.raw"
    path.write_bytes(HEADER.replace("2.1", "2.0").format("EVT2", "").encode() + data.tobytes())
    file = open_events(path)
    np.testing.assert_array_equal(joined(file.pieces()), np.delete(made, 50))
    assert file.dropped == {"incomplete": 1, "skipped": 1, "out_of_picture": 1}


def test_a_raw_file_with_a_word_outside_the_picture_and_padding_is_read_on(tmp_path):
    words = np.frombuffer(encode(events(), "evt3", 0), "<u2")
    spoilt = np.concatenate([words[:3000], [2 << 12 | 2000, 0x9999], words[3000:]]).astype("<u2")
    path = tmp_path / "o.raw"
    path.write_bytes(b"% evt 3.0\n% geometry 346x260\n" + spoilt.tobytes())
    file = open_events(path)
    found = joined(file.pieces())
    assert len(found) == 5000 and file.dropped == {"out_of_picture": 1, "skipped": 1}
    done = run("info", path)
    assert done.returncode == 0 and "not decoded: 1 skipped, 1 out_of_picture" in done.stdout


@pytest.mark.parametrize("suffix", [".raw", ".dat"])
def test_files_that_do_not_say_their_size_take_the_option(tmp_path, suffix):
    path = by_faery(tmp_path / f"o{suffix}", events())
    data = path.read_bytes()
    for line in (b"% geometry 346x260\n", b"width=346;height=260", b"% Width 346\n", b"% Height 260\n"):
        data = data.replace(line, b"")
    path.write_bytes(data)
    with pytest.raises(TaskError, match="give --size WIDTH HEIGHT"):
        open_events(path)
    np.testing.assert_array_equal(joined(open_events(path, (346, 260)).pieces()), events())


TURN, TURN2 = 1 << 24, 1 << 34  # of the clocks of EVT3 and EVT2 [us]
TIMES = {
    "over a turn": [TURN - 4097, TURN - 1, TURN, TURN + 5, TURN2 - 1, TURN2, TURN2 + 70],
    "after turns without events": [100, 101, 3 * TURN + 7, 3 * TURN + 8, 900 * TURN, 901 * TURN - 9000],
    "from the end of a turn": [5 * TURN - 4097, 5 * TURN - 1, 5 * TURN + 5],
    "the time of day": [1_764_450_000_000_000, 1_764_450_000_000_001, 1_764_450_020_000_000],
    "at once": [7] * 9,
}


@pytest.mark.parametrize("version", ["evt2", "evt3"])
@pytest.mark.parametrize("times", TIMES)
def test_raw_files_that_we_write_have_their_times_for_every_reader(tmp_path, version, times):
    made = events(len(TIMES[times]))
    made["t"] = np.array(TIMES[times]) * 1000
    made["t"][-1] += 999  # cut to microseconds
    path = tmp_path / "o.raw"
    write_events(path, [made[:3], made[3:3], made[3:]], 346, 260, version)
    made["t"][-1] -= 999
    assert (b"% t0 " in path.read_bytes()) == (times == "the time of day")
    file = open_events(path)
    assert (file.width, file.height) == (346, 260)
    np.testing.assert_array_equal(joined(file.pieces()), made)
    assert file.dropped == {}
    faery = pytest.importorskip("faery")
    theirs = np.concatenate(list(faery.events_stream_from_file(path)))
    for ours, name in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
        np.testing.assert_array_equal(made[ours] // (1000 if ours == "t" else 1), theirs[name])


def test_a_raw_file_without_events_and_one_with_a_gap_that_no_clock_bridges(tmp_path):
    write_events(tmp_path / "none.raw", [], 346, 260)
    assert list(open_events(tmp_path / "none.raw").pieces()) == []
    made = events(2)
    made["t"] = [0, 5000 * TURN * 1000]
    with pytest.raises(TaskError, match="the events jump by 83886 s"):
        write_events(tmp_path / "o.raw", [made], 346, 260)
    assert not (tmp_path / "o.raw").exists()


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".csv"])
def test_events_that_a_file_cannot_hold_are_refused_before_it_is_in_its_place(tmp_path, suffix):
    if suffix in (".dat", ".aedat4", ".es"):
        pytest.importorskip("faery")
    for field, value, says in (("t", 0, "run back"), ("t", -1, "before time 0"), ("x", 346, "outside of 346 x 260")):
        made = events(10)
        made[field][7] = value
        for pieces in ([made], [made[:7], made[7:]]):
            with pytest.raises(TaskError, match=says) as refused:
                write_events(tmp_path / f"o{suffix}", pieces, 346, 260)
            assert "\n" not in str(refused.value) and not (tmp_path / f"o{suffix}").exists()


@pytest.mark.parametrize(("suffix", "version"), [(".raw", "evt2"), (".dat", None)])
def test_times_are_written_where_every_reader_finds_them(tmp_path, suffix, version):
    write_events(tmp_path / f"o{suffix}", iter([events()]), 346, 260, version)
    data = (tmp_path / f"o{suffix}").read_bytes()
    first = int(events()["t"][0] // 1000)
    assert b"t0 5" not in data.lower()
    stamp = first.to_bytes(4, "little") if suffix == ".dat" else (8 << 28 | first >> 6).to_bytes(4, "little")
    assert stamp in data[:200]
    np.testing.assert_array_equal(joined(open_events(tmp_path / f"o{suffix}").pieces()), events())


def test_a_stereo_recording_asks_which_camera(tmp_path):
    faery = pytest.importorskip("faery")
    path, left, right = tmp_path / "o.aedat4", events(), events(seed=1)
    node, value, root = faery.aedat.DescriptionNode, faery.aedat.DescriptionAttribute, "/mainloop/Recorder/outInfo/"

    def track_node(number):
        said = {"compression": "NONE", "originalOutputName": "events", "typeIdentifier": "EVTS"}
        sizes = {"sizeX": value("int", 346), "sizeY": value("int", 260), "source": value("string", "stereo")}
        info = node("info", f"{root}{number}/info/", sizes, [])
        return node(str(number), f"{root}{number}/", {k: value("string", v) for k, v in said.items()}, [info])

    with faery.aedat.Encoder(path, [node("outInfo", root, {}, [track_node(3), track_node(5)])], None) as encoder:
        for track, made in ((3, left), (5, right)):
            theirs = np.zeros(len(made), faery.EVENTS_DTYPE)
            theirs["t"], theirs["x"], theirs["y"], theirs["on"] = made["t"] // 1000, made["x"], made["y"], made["p"]
            encoder.write(track, theirs)
    with pytest.raises(TaskError, match="tracks 3, 5; give --track"):
        open_events(path)
    with pytest.raises(TaskError, match="tracks 3, 5; give --track"):
        open_events(path, track="4")
    np.testing.assert_array_equal(joined(open_events(path, track="3").pieces()), left)
    np.testing.assert_array_equal(joined(open_events(path, track="5").pieces()), right)


def dsec(path, made, **options):
    with h5py.File(path, "w") as file:
        offset = int(made["t"][0]) // 1000
        file["t_offset"] = offset
        for name, column in (("t", made["t"] // 1000 - offset), ("x", made["x"]), ("y", made["y"]), ("p", made["p"])):
            kind = np.uint32 if name == "t" else np.uint8 if name == "p" else np.uint16
            file.create_dataset(f"events/{name}", data=column.astype(kind), **options)
    return path


def test_dsec(tmp_path, monkeypatch):
    monkeypatch.setattr("liquid_spike_control.events.hdf5_files.PIECE", 999)
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
        ("o.xyz", b"t,x,y,on\n", "is no event recording"),
        ("o.csv", b"t,x,y,p\n", "give --size"),
        ("o.raw", b"% evt 3.0\n% end\n", "give --size"),
        ("o.raw", b"% evt 4.0\n% end\n", "the header has format '4.0'; give a recording of EVT 2.0, 2.1 or 3.0"),
        ("o.raw", b"% date today\n% end\n", "the header has no format"),
        ("o.dat", b"% Version 2\n% Width 9\n% Height 9\n\x00\x08", "no events of a DVS in it"),
        ("o.es", b"Event Stream\x02\x00\x00\x04\x09\x00\x09\x00", "no events of a DVS in it"),
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
    with pytest.raises(TaskError, match="no events in it as DSEC, TUM-VIE, M3ED"):
        open_events(tmp_path / "o.h5")


def columns_in(group, made, names="txyp", **kinds):
    for name, field in zip(names.split(",") if "," in names else names, "txyp", strict=True):
        column = made[field] // 1000 if field == "t" else made[field]
        group[name] = column.astype(kinds.get(field, np.int64))


def tum_vie(file, made):
    columns_in(file.create_group("events"), made)


def signed(file, made):
    """As many tools write polarities: -1 and 1."""
    columns_in(file.create_group("events"), made)
    del file["events/p"]
    file["events/p"] = made["p"].astype(np.int8) * 2 - 1


def v2e(file, made):
    file["events"] = np.stack([made["t"] // 1000, made["x"], made["y"], made["p"]], axis=1).astype(np.uint32)


def metavision(file, made):
    file.attrs["geometry"] = "346x260"
    records = np.zeros(len(made), [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    records["t"] = made["t"] // 1000
    for name in "xyp":
        records[name] = made[name]
    file["CD/events"] = records


def rpg(file, made):
    file.attrs["sensor_resolution"] = (260, 346)
    group = file.create_group("events")
    group["ts"], group["xs"], group["ys"] = made["t"] * 1e-9, made["x"], made["y"]
    group["ps"] = made["p"].astype(bool)


@pytest.mark.parametrize("write", [tum_vie, signed, v2e, metavision, rpg])
def test_hdf5_of_other_data_sets_and_tools(tmp_path, write):
    with h5py.File(tmp_path / "o.h5", "w") as file:
        write(file, events())
    if write in (metavision, rpg):
        opened = open_events(tmp_path / "o.h5")
    else:
        with pytest.raises(TaskError, match="give --size"):
            open_events(tmp_path / "o.h5")
        opened = open_events(tmp_path / "o.h5", (346, 260))
    assert (opened.width, opened.height) == (346, 260)
    np.testing.assert_array_equal(joined(opened.pieces()), events())


def test_m3ed_has_two_cameras(tmp_path):
    with h5py.File(tmp_path / "o.h5", "w") as file:
        for seed, name in enumerate(("left", "right")):
            columns_in(file.create_group(f"prophesee/{name}"), events(seed=seed))
            file[f"prophesee/{name}/calib/resolution"] = [1280, 720]
    with pytest.raises(TaskError, match="give --track left or --track right"):
        open_events(tmp_path / "o.h5")
    for seed, name in enumerate(("left", "right")):
        file = open_events(tmp_path / "o.h5", track=name)
        assert (file.width, file.height) == (1280, 720)
        np.testing.assert_array_equal(joined(file.pieces()), events(seed=seed))


def test_hdf5_that_reaches_into_other_files_is_refused(tmp_path):
    dsec(tmp_path / "other.h5", events(10))
    with h5py.File(tmp_path / "o.h5", "w") as file:
        file["events"] = h5py.ExternalLink("other.h5", "/events")
        file["t_offset"] = 0
    with pytest.raises(TaskError, match="events is a link"):
        open_events(tmp_path / "o.h5")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"t": np.arange(20).reshape(10, 2)}, "events/t is no list of numbers"),
        ({"t": np.array([1, np.nan, *range(8)])}, "a time is not finite"),
        ({"t": np.full(10, 2**62)}, "a time is not finite, or beyond"),
        ({"x": np.full(10, -1)}, "x is not a pixel everywhere"),
        ({"p": np.zeros(10, [("a", "u1", 1000)])}, "events/p has rows of 1,000 bytes; at most 256"),
        ({"y": np.zeros(9)}, "are not of one length"),
    ],
)
def test_hdf5_with_columns_that_are_none(tmp_path, change, says):
    with h5py.File(tmp_path / "o.h5", "w") as file:
        for name in "txyp":
            file[f"events/{name}"] = change.get(name, np.arange(10))
    with pytest.raises(TaskError, match=says):
        joined(open_events(tmp_path / "o.h5", (346, 260)).pieces())


@pytest.mark.parametrize("size", [(100_000, 100_000), (-3, 5)])
def test_pictures_of_impossible_sizes(tmp_path, size):
    with h5py.File(tmp_path / "o.h5", "w") as file:
        rpg(file, events(10))
        file.attrs["sensor_resolution"] = size
    with pytest.raises(TaskError, match="at most 4096 x 4096 are read"):
        open_events(tmp_path / "o.h5")


# ---- text ----


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("t,x,y,p\n", "{us},{x},{y},{p}\n"),
        ("# seconds, as the Event Camera Dataset\n", "{s}.{ns:09d} {x} {y} {p}\n"),
        ("x;y;polarity;timestamp\n", "{x};{y};{sign};{us}\n"),
        ("", "{epoch},{x},{y},{truth}\n"),
    ],
)
def test_text_in_its_dialects(tmp_path, header, line):
    made, path = events(), tmp_path / "o.csv"
    later = 1_700_000_000 * 10**9 if "epoch" in line else 0
    with open(path, "w") as file:
        file.write(header)
        for t, x, y, p in made.tolist():
            file.write(
                line.format(us=t // 1000, s=t // 10**9, ns=t % 10**9, x=x, y=y, p=p, sign=2 * p - 1, truth=bool(p),
                            epoch=t + later)
            )  # fmt: skip
    made["t"] += later
    np.testing.assert_array_equal(joined(open_events(path, (346, 260)).pieces()), made)


def test_text_is_written_and_read(tmp_path):
    write_events(tmp_path / "o.csv", np.array_split(events(), 7), 346, 260)
    assert (tmp_path / "o.csv").read_text().startswith("t,x,y,p\n50")
    np.testing.assert_array_equal(joined(open_events(tmp_path / "o.csv", (346, 260)).pieces()), events())


@pytest.mark.parametrize("line", ["1,2", "1,2,3,x", "nan,1,2,0", "1,-1,2,0", "1,70000,2,0", "1.2.3,1,2,0", "9" * 2000])
def test_text_with_a_line_that_is_no_event(tmp_path, line):
    (tmp_path / "o.csv").write_text(f"t,x,y,p\n1,1,1,1\n{line}\n")
    with pytest.raises(TaskError, match="line 3 is no event"):
        joined(open_events(tmp_path / "o.csv", (346, 260)).pieces())


def test_a_size_that_is_too_small_is_refused(tmp_path):
    dsec(tmp_path / "o.h5", events())
    done = run("convert", tmp_path / "o.h5", tmp_path / "o.mcap", "--size", "100", "100")
    assert done.returncode == 2 and "lie outside of 100 x 100 pixels; give a greater --size" in done.stderr


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
    stream, found = EventStream(sensor_clock=True), []
    for _, packet in event_packets(Bag(bag), (TOPIC,)):
        stamp = to_ns(packet.header.stamp)
        assert stamp > 50 * 10**9 and packet.time_base == 0
        found.append(stream.read(packet, stamp))
    shifts = joined(found)["t"] - made["t"]
    assert (shifts == shifts[0]).all() and stream.clock.steps == 0
    np.testing.assert_array_equal(joined(open_source(bag, TOPIC, sensor_clock=True).pieces()), made)


def test_a_drivers_packets_of_any_length_of_time(tmp_path):
    """100 s, more than five turns of evt3's clock: every event, at its time."""
    made = np.zeros(20_000, EVENT)
    made["t"] = np.arange(1, 20_001) * 5_000_000
    made["x"], made["y"], made["p"] = np.arange(20_000) % 346, np.arange(20_000) % 260, np.arange(20_000) % 2
    recording, bag = by_faery(tmp_path / "o.raw", made), tmp_path / "o.mcap"
    done = run("convert", recording, bag, "--driver")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(joined(open_source(bag, TOPIC, sensor_clock=True).pieces()), made)


def test_a_sensor_that_restarts_within_a_bag_loses_nothing(tmp_path):
    """Two runs of a driver, the second with its clock at 0 again, 5 s later by the stamps."""
    form, source = PacketForm("evt3", 5_000_000, driver=True), SimpleNamespace(width=346, height=260)
    one, two = events(start_us=2_000_000), events(seed=1, start_us=1000)
    both = [*packets(iter([one]), form, 50 * 10**9), *packets(iter([two]), form, 55 * 10**9)]
    write_event_bag(tmp_path / "o.mcap", iter(both), source, TOPIC, form)
    opened = open_source(tmp_path / "o.mcap", TOPIC, sensor_clock=True)
    found = joined(opened.pieces())
    assert opened.dropped == {}
    shift = found["t"][len(one)] - two["t"][0]
    assert abs(shift - (7_000_000_000 - 1_000_000)) < 5_000_000
    two["t"] += shift
    np.testing.assert_array_equal(found, np.concatenate([one, two]))


# ---- the commands ----


def run(*arguments):
    return cli("events", *arguments)


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


def test_hot_pixels(tmp_path):
    """Two pixels of 200 Hz in a recording of 20 s beside noise: the mask holds them, and a front end takes it."""
    rng = np.random.default_rng(0)
    made = np.zeros(18_000, EVENT)
    made["t"] = np.sort(rng.integers(0, 20_000_000, len(made))) * 1000
    made["x"], made["y"], made["p"] = rng.integers(0, 60, len(made)), rng.integers(0, 40, len(made)), 1
    hot = rng.choice(len(made), 8000, replace=False)
    made["x"][hot], made["y"][hot] = np.where(np.arange(8000) % 2, 17, 59), np.where(np.arange(8000) % 2, 5, 39)
    recording, mask = tmp_path / "o.csv", tmp_path / "hot_pixels.json"
    write_events(recording, iter([made]), 60, 40)
    done = run("hot-pixels", recording, "--size", "60", "40", "--out", mask)
    assert done.returncode == 0, done.stderr
    pixel = made["x"] + 60 * made["y"].astype(int)
    share = 100 * np.isin(pixel, (17 + 60 * 5, 59 + 60 * 39)).mean()
    assert "o.csv: 2 hot pixels of 60 x 40 in 20.0" in done.stdout and f"{share:.1f} % of 18000 events" in done.stdout
    settings = FrontEndSettings(hot_pixels=str(mask)).with_contents(tmp_path, 60, 40)
    assert settings.hot_pixels == ((17, 5), (59, 39))
    short = run("hot-pixels", recording, "--size", "60", "40", "--rate", "0.01")
    assert short.returncode == 2 and short.stderr.count("\n") == 1
    assert "s are too short for pixels of 0.01 Hz; record 1000 s, or give a greater --rate" in short.stderr


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"file": "none.raw"}, "none.raw: no such file"),
        ({"out": "there.mcap"}, "there.mcap exists"),
        ({"out": "o.txt"}, ".txt cannot be written"),
        ({"out": "o.dat", "version": "evt2"}, "--version evt2 is not for .dat"),
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


@pytest.mark.parametrize("name", ["o.csv", "o.dat", "o.mcap"])
def test_a_recording_without_events_leaves_no_file_behind(tmp_path, name):
    (tmp_path / "a.raw").write_bytes(b"% evt 3.0\n% geometry 640x480\n% end\n")
    done = cli("events", "convert", tmp_path / "a.raw", tmp_path / name)
    assert done.returncode == 2 and "there is no event in it" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.raw"]


def test_text_as_spreadsheets_save_it_begins_with_a_mark(tmp_path):
    text = "t,x,y,p\r\n1000,3,2,1\r\n2000,4,2,0\r\n"
    (tmp_path / "o.csv").write_text(text, encoding="utf-8-sig")
    (tmp_path / "plain.csv").write_text("1000,3,2,1\r\n2000,4,2,0\r\n", encoding="utf-8-sig")
    for name in ("o.csv", "plain.csv"):
        found = joined(open_events(tmp_path / name, (8, 8)).pieces())
        assert found["x"].tolist() == [3, 4] and found["t"].tolist() == [1_000_000, 2_000_000]
