# SPDX-License-Identifier: Apache-2.0
"""Spikes go out to files and come back; files of something else are refused in one line."""

from typing import get_type_hints

import nir
import numpy as np
import pytest

from liquid_spike_control.errors import OutputError, TaskError
from liquid_spike_control.events.binning import SpikeBinner
from liquid_spike_control.neuromorphic.files.spike_files import WRITES, random_spikes, read_spikes, write_spikes
from liquid_spike_control.options import EmulateOptions
from liquid_spike_control.types import EVENT, SpikeTrain

DT = 1e-3


def some(n_neurons: int = 40, n_steps: int = 300, seed: int = 0) -> SpikeTrain:
    dense = np.random.default_rng(seed).random((n_steps, n_neurons)) < 0.03
    dense[-1] = False  # silence at the end is part of it
    return SpikeTrain.from_dense(dense)


def same(a: SpikeTrain, b: SpikeTrain) -> bool:
    return np.array_equal(a.indptr, b.indptr) and np.array_equal(a.ids, b.ids)


@pytest.mark.parametrize("name", ["s.npz", "s.npy", "s.nir"])
@pytest.mark.parametrize("spikes", [some(), SpikeTrain(np.zeros(6, np.int64), np.zeros(0, np.int32))])
def test_out_and_in(tmp_path, name, spikes):
    write_spikes(tmp_path / name, spikes, 40, DT)
    assert same(read_spikes(tmp_path / name, 40, DT), spikes)


def test_pairs_in_any_order(tmp_path):
    np.save(tmp_path / "p.npy", np.array([[3, 1], [0, 39], [3, 0]]))
    spikes = read_spikes(tmp_path / "p.npy", 40, DT)
    assert spikes.indptr.tolist() == [0, 1, 1, 1, 3] and spikes.ids.tolist() == [39, 0, 1]


def test_time_gridded_nir_samples_of_several_nodes(tmp_path):
    spikes = some(40)
    grid = nir.TimeGriddedData(spikes.to_dense(40)[None], DT)
    other = nir.TimeGriddedData(np.zeros((1, 5, 3)), DT)
    data = {"one": nir.NIRNodeData({"spikes": grid, "v": grid}), "two": nir.NIRNodeData({"spikes": other})}
    nir.write_data(tmp_path / "s.h5", nir.NIRGraphData(data))
    assert same(read_spikes(tmp_path / "s.h5", 40, DT, node="one"), spikes)
    with pytest.raises(TaskError, match="samples of one, two; name one with --node"):
        read_spikes(tmp_path / "s.h5", 40, DT)


def events(n: int = 3000, width: int = 12, height: int = 8) -> np.ndarray:
    rng = np.random.default_rng(2)
    made = np.zeros(n, EVENT)
    made["t"] = 10**9 + np.sort(rng.integers(1, 50_000_000, n))
    made["t"][0] = 10**9 + 1
    made["x"], made["y"], made["p"] = rng.integers(0, width, n), rng.integers(0, height, n), rng.integers(0, 2, n)
    return made


def test_events_become_the_spikes_of_the_binner(tmp_path):
    made = events()
    np.save(tmp_path / "e.npy", made)
    expected = SpikeBinner(12, 8, 1, 1_000_000).bin(made, 10**9, 50)
    assert same(read_spikes(tmp_path / "e.npy", 192, DT, (2, 8, 12)), expected)
    one = read_spikes(tmp_path / "e.npy", 96, DT, (1, 8, 12))
    assert np.array_equal(one.to_dense(96), expected.to_dense(192)[:, :96] | expected.to_dense(192)[:, 96:])


def record(path, made: np.ndarray, encoding: str) -> None:
    """A bag as the recorder node writes it."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    from liquid_spike_control.events.codec import encode
    from liquid_spike_control.mcap import EVENT_PACKET_DEFINITION as EVENT_PACKET

    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(EVENT_PACKET, "event_camera_msgs/msg/EventPacket"))
    packet, header, time = (store.types[f"{m}"] for m in (
        "event_camera_msgs/msg/EventPacket", "std_msgs/msg/Header", "builtin_interfaces/msg/Time"))  # fmt: skip
    with Writer(path.parent / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/event_camera/events", packet.__msgtype__, typestore=store)
        for k in range(10):
            base = 10**9 + k * 5_000_000
            mine = made[(made["t"] > base) & (made["t"] <= base + 5_000_000)]
            data = np.frombuffer(encode(mine, encoding, base), np.uint8)
            stamp = time(sec=1, nanosec=(k + 1) * 5_000_000)
            message = packet(header(stamp, "camera"), 8, 12, k, base, encoding, False, data)
            writer.write(connection, base, store.serialize_cdr(message, packet.__msgtype__))
    next((path.parent / "bag").glob("*.mcap")).rename(path)


def test_a_recorded_run(tmp_path):
    made = events()
    record(tmp_path / "run.mcap", made, "mono")
    expected = SpikeBinner(12, 8, 2, 1_000_000).bin(made, 10**9, 50)
    assert same(read_spikes(tmp_path / "run.mcap", 96, DT, (2, 4, 12)), expected)
    with pytest.raises(TaskError, match="cannot be divided into 5 x 4"):
        read_spikes(tmp_path / "run.mcap", 40, DT, (2, 4, 5))


def test_recordings_that_faery_reads(tmp_path):
    faery = pytest.importorskip("faery")
    made = events()
    made["t"] = made["t"] // 1000 * 1000  # microseconds
    theirs = np.zeros(len(made), faery.EVENTS_DTYPE)
    theirs["t"], theirs["x"], theirs["y"], theirs["on"] = made["t"] // 1000, made["x"], made["y"], made["p"]
    for name in ("e.es", "e.dat", "e.raw"):
        faery.events_stream_from_array(theirs, (12, 8)).to_file(tmp_path / name)
        spikes = read_spikes(tmp_path / name, 192, DT, (2, 8, 12))
        first = int(made["t"][0]) - 1
        expected = SpikeBinner(12, 8, 1, 1_000_000).bin(made, first, spikes.n_steps)
        assert same(spikes, expected), name


def test_random_spikes():
    spikes = random_spikes(200, 20.0, 5000, DT, 1)
    assert abs(len(spikes.ids) / (200 * 5000) - 0.02) < 0.001
    assert same(spikes, random_spikes(200, 20.0, 5000, DT, 1))
    assert not same(spikes, random_spikes(200, 20.0, 5000, DT, 2))
    inside = np.diff(spikes.ids)[np.diff(np.repeat(np.arange(5000), np.diff(spikes.indptr))) == 0]
    assert inside.min() > 0  # ascending, none twice
    assert random_spikes(3, 1000.0, 4, DT, 0).ids.tolist() == [0, 1, 2] * 4
    for rate, steps in ((-1, 10), (1001, 10), (float("nan"), 10), (1, 0), (1, 2**40)):
        with pytest.raises(TaskError, match="--rate|--steps"):
            random_spikes(3, rate, steps, DT, 0)


def test_bad_files(tmp_path):
    def refused(name: str, says: str, n: int = 40, shape=None) -> None:
        with pytest.raises(TaskError) as error:
            read_spikes(tmp_path / name, n, DT, shape)
        said = str(error.value)
        assert said.startswith(str(tmp_path / name)) and says in said and "\n" not in said, said

    refused("none.npz", "no such file")
    refused("spikes.txt", "is no spike file")
    for name in ("s.npz", "s.npy", "s.nir"):
        write_spikes(tmp_path / name, some(), 40, DT)
        refused(name, "41 inputs", n=41)
        data = (tmp_path / name).read_bytes()
        (tmp_path / f"cut{name}").write_bytes(data[: len(data) // 2])
        refused(f"cut{name}", "not a whole")
        (tmp_path / f"junk{name}").write_bytes(b"\x89junk" * 99)
        refused(f"junk{name}", "not a whole")
    (tmp_path / "junk.mcap").write_bytes(b"junk" * 99)
    refused("junk.mcap", "not an MCAP file")
    write_spikes(tmp_path / "slow.npz", some(), 40, 2 * DT)
    refused("slow.npz", "steps of 0.002 s, the network's are 0.001 s")
    np.savez(tmp_path / "a.npz", ids=np.zeros(3, int))
    refused("a.npz", "no array indptr")
    np.savez(tmp_path / "b.npz", ids=np.array([5, 5]), indptr=np.array([0, 2]))
    refused("b.npz", "twice in a step")
    np.savez(tmp_path / "c.npz", ids=np.array([5, 99]), indptr=np.array([0, 2]))
    refused("c.npz", "neurons 5 .. 99")
    np.savez(tmp_path / "d.npz", ids=np.array([5, 9]), indptr=np.array([0, 3]))
    refused("d.npz", "do not meet")
    real = nir.EventData(np.array([[1.5]]), np.array([[0.001]]), 40, 1.0)
    nir.write_data(tmp_path / "real.nir", nir.NIRGraphData({"a": nir.NIRNodeData({"spikes": real})}))
    refused("real.nir", "they must be integers")
    late = nir.EventData(np.array([[1]]), np.array([[np.nan]]), 40, 1.0)
    nir.write_data(tmp_path / "late.nir", nir.NIRGraphData({"a": nir.NIRNodeData({"spikes": late})}))
    refused("late.nir", "spikes outside of 0 .. 1.0 s")
    np.save(tmp_path / "o.npy", np.array([{}, []], object), allow_pickle=True)
    refused("o.npy", "not a whole .npy")
    np.save(tmp_path / "e.npy", np.array([[2**40, 1]]))
    refused("e.npy", "1099511627777 steps")
    np.save(tmp_path / "neg.npy", np.array([[-4, 1], [2, 1]]))
    refused("neg.npy", "steps begin at 0")
    np.save(tmp_path / "events.npy", events())
    refused("events.npy", "give --shape")
    refused("events.npy", "lie outside", n=2 * 8 * 6, shape=(2, 8, 6))
    with pytest.raises(TaskError, match="give one of these suffixes"):
        write_spikes(tmp_path / "s.txt", some(), 40, DT)
    with pytest.raises(TaskError, match="too many to write out; give .npz"):
        write_spikes(tmp_path / "s.npy", SpikeTrain(np.zeros(2**20 + 1, np.int64), np.zeros(0, int)), 2**20, DT)
    with pytest.raises(OutputError, match="cannot be written"):
        write_spikes(tmp_path / "no" / "s.npz", some(), 40, DT)


def test_numbers_that_are_no_spikes_are_not_taken_for_spikes(tmp_path):
    dense = np.zeros((5, 40))
    dense[2, 3] = 1
    np.save(tmp_path / "ones.npy", dense)
    assert read_spikes(tmp_path / "ones.npy", 40, DT).ids.tolist() == [3]
    counts = np.zeros((5, 40), np.int64)
    counts[1, 1] = 3
    for name, values in (("counts", counts), ("pictures", dense * 0.25), ("signs", -dense), ("holes", dense * np.nan)):
        np.save(tmp_path / f"{name}.npy", values)
        with pytest.raises(TaskError, match=f"{name}.npy: it holds .*, and spikes are 0 or 1"):
            read_spikes(tmp_path / f"{name}.npy", 40, DT)
    grid = nir.TimeGriddedData(counts[None], DT)
    nir.write_data(tmp_path / "c.nir", nir.NIRGraphData({"input": nir.NIRNodeData({"spikes": grid})}))
    with pytest.raises(TaskError, match="it holds 3, and spikes are 0 or 1"):
        read_spikes(tmp_path / "c.nir", 40, DT)


def test_pairs_for_two_inputs_are_not_taken_for_rows_of_spikes(tmp_path):
    np.save(tmp_path / "p.npy", np.array([[0, 1], [3, 0], [3, 1]]))
    with pytest.raises(TaskError, match=r"pairs \(step, neuron\) or counts; write spikes of each step as bool"):
        read_spikes(tmp_path / "p.npy", 2, DT)
    np.save(tmp_path / "d.npy", np.array([[0, 1], [1, 0], [1, 1]]))
    assert read_spikes(tmp_path / "d.npy", 2, DT).indptr.tolist() == [0, 1, 2, 4]


def test_the_command_takes_the_suffixes_that_can_be_written():
    (output,) = get_type_hints(EmulateOptions, include_extras=True)["out"].__metadata__
    assert output.suffixes == WRITES
