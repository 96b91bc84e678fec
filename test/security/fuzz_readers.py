# SPDX-License-Identifier: Apache-2.0
"""Mutated files for every reader: each is read, or refused in one line, in bounded memory and time.

``python test/security/fuzz_readers.py [--files 300] [--seed 0] [--only NAME ...]`` prints a table; exit status 1: a
traceback, an abort, more than 1 GB or more than 30 s. Each target has a process of its own, with a limit on its memory.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from liquid_spike_control.errors import LiquidSpikeError
from liquid_spike_control.resources import shipped_model

ROOT = Path(__file__).parents[2]
DATA = ROOT / "test/data"
#: Address space above what a process has after a first read of a whole file, and its resident memory [bytes].
ROOM, MOST = 1 << 30, 1 << 30
#: For one file, of the processor's time [s].
TIMEOUT_S = 30

Read = Callable[[Path], object]


# ---- whole files, made once ----


def _events() -> np.ndarray:
    from liquid_spike_control.types import EVENT

    events = np.zeros(3000, EVENT)
    events["t"] = 1_000_000 + np.arange(3000) * 20_000
    events["x"], events["y"], events["p"] = np.arange(3000) * 7 % 128, np.arange(3000) // 40, np.arange(3000) % 2
    return events


def _recording(path: Path, **how) -> None:
    from liquid_spike_control.events.files import write_events

    write_events(path, [_events()], 128, 96, **how)


def _dsec(path: Path) -> None:
    import h5py

    events = _events()
    with h5py.File(path, "w") as file:
        for name, kind in (("t", "u4"), ("x", "u2"), ("y", "u2"), ("p", "u1")):
            values = events[name] // 1000 if name == "t" else events[name]
            file.create_dataset(f"events/{name}", data=values.astype(kind), chunks=(1024,), compression="gzip")
        file["t_offset"] = 5


def _bag(path: Path, **described) -> None:
    from liquid_spike_control.events.codec import encode
    from liquid_spike_control.mcap import EVENT_PACKET
    from liquid_spike_control.records.mcap_file import McapFile

    file = McapFile(path)
    types = file.types.types
    file.write_graph(0, {"nodes": {"/gate": {"mode": "lockstep"}, "/controller": {"tolerance_s": 0.0}}, "models": {}})
    events = _events()
    time = types["builtin_interfaces/msg/Time"]
    for k in range(20):
        stamp = 1_000_000_000 + k * 5_000_000
        header = types["std_msgs/msg/Header"](stamp=time(sec=1, nanosec=k * 5_000_000), frame_id="c")
        part = events[k * 100 : k * 100 + 100].copy()
        part["t"] += stamp - part["t"][0]
        data = np.frombuffer(encode(part, "mono", stamp), np.uint8)
        packet = types[EVENT_PACKET](header=header, height=96, width=128, seq=k, time_base=stamp, encoding="mono",
                                     is_bigendian=False, events=data)  # fmt: skip
        file.write_message("/event_camera/events", stamp, packet)
        for topic in ("/joint_states", "/perception/state", "/controller/command", "/robot_joint_command"):
            joints = types["sensor_msgs/msg/JointState"](
                header=header, name=["slider", "hinge"], position=np.zeros(2), velocity=np.zeros(2), effort=np.zeros(2)
            )
            file.write_message(topic, stamp, joints)
        pair = types["diagnostic_msgs/msg/KeyValue"](key="lost", value="0")
        status = types["diagnostic_msgs/msg/DiagnosticStatus"](
            level=0, name="perception: x", message="", hardware_id="", values=[pair]
        )
        array = types["diagnostic_msgs/msg/DiagnosticArray"](header=header, status=[status])
        file.write_message("/diagnostics", stamp, array)
    file.close()


def _rosbag(path: Path, suffix: str, storage: str = "SQLITE3", compression: str = "NONE") -> None:
    """One file of a bag's folder; the folder is made anew around each mutation."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    from liquid_spike_control.records.bag import Bag

    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.mcap"
        _bag(whole)
        bag = Bag(whole)
        writer = Writer(Path(folder) / "bag", version=9, storage_plugin=StoragePlugin[storage])
        writer.set_compression(CompressionMode[compression], CompressionFormat.ZSTD)
        with writer:
            connections: dict = {}
            for raw in bag.messages():
                if raw.topic not in connections:
                    connections[raw.topic] = writer.add_connection(raw.topic, raw.kind, typestore=bag._types)
                writer.write(connections[raw.topic], raw.stamp_ns, raw.data)
        (found,) = [p for p in (Path(folder) / "bag").iterdir() if p.name.endswith(suffix)]
        path.write_bytes(found.read_bytes())


def _spikes(path: Path) -> None:
    from liquid_spike_control.neuromorphic.files.spike_files import random_spikes, write_spikes

    write_spikes(path, random_spikes(70, 50.0, 200, 1e-3, 0), 70, 1e-3)


def _compiled(path: Path) -> None:
    from liquid_spike_control.neuromorphic.files.compiled import write_network
    from liquid_spike_control.neuromorphic.model import read_model

    model = read_model(DATA / "netx/cuba.net", None, None, None, None)
    write_network(path, model.network(), {"dt": 1e-3})


def _checkpoint(path: Path) -> None:
    import torch

    from liquid_spike_control.training.tensor_tree import to_bytes

    tree = {"version": 1, "recipe": {"task": "a"}, "state": {"w": torch.ones(30, 4), "o": {0: [torch.zeros(3), 1.5]}}}
    path.write_bytes(to_bytes(tree))


def _copy(source: Path) -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(Path(source).read_bytes()), None)[1]


# ---- readers ----


def _read_events(path: Path) -> None:
    from liquid_spike_control.events.files import open_events

    for _ in open_events(path, (128, 96)).pieces():
        pass


def _read_bag(path: Path) -> None:
    from liquid_spike_control.records.bag import Bag

    bag = Bag(path)
    for raw in bag.messages():
        try:
            bag.read(raw)
        except LiquidSpikeError:
            continue


DESCRIPTION = """{"nodes": {"/gate": {"mode": "lockstep", "lower": [-10.0], "upper": [10.0], "rate": [400.0],
"max_age_s": 0.02, "safe": [0.0], "command_names": ["cart_force"], "command_type": "sensor_msgs/msg/JointState"},
"/controller": {"tolerance_s": 0.001, "joint_names": ["cart_position", "cart_velocity"], "joint_interfaces":
["slider/position", "slider/velocity"], "estimate_names": ["pole_angle", "pole_rate"]}, "/perception":
{"window_s": 0.005, "event_clock": "sensor"}, "/neuromorphic": {"backend": "loihi"}},
"models": {"controller_model": "00"}}"""


def _read_described(path: Path) -> None:
    """The description of a graph that a recorder wrote, in an undamaged bag."""
    from liquid_spike_control.records.mcap_file import GRAPH_TOPIC, STRING, McapFile

    with tempfile.TemporaryDirectory() as folder:
        file = McapFile(Path(folder) / "a.mcap")
        text = path.read_bytes() + b"\0"
        file.write(GRAPH_TOPIC, STRING, 0, b"\0\1\0\0" + struct.pack("<I", len(text)) + text)
        file.close()
        _read_run(Path(folder) / "a.mcap")


def _messages(path: Path) -> None:
    """Serialised messages: a joint state and diagnostics, each with its length before it."""
    from liquid_spike_control.records.bag import Bag

    with tempfile.TemporaryDirectory() as folder:
        _bag(Path(folder) / "a.mcap")
        found = {raw.topic: raw.data for raw in Bag(Path(folder) / "a.mcap").messages()}
    joints = found["/joint_states"]
    path.write_bytes(struct.pack("<H", len(joints)) + joints + found["/diagnostics"])


def _read_messages(path: Path) -> None:
    from liquid_spike_control.records.mcap_file import McapFile

    data = path.read_bytes()
    end = 2 + int.from_bytes(data[:2], "little")
    with tempfile.TemporaryDirectory() as folder:
        file = McapFile(Path(folder) / "a.mcap")
        for topic in ("/joint_states", "/perception/state", "/controller/command", "/robot_joint_command"):
            file.write(topic, "sensor_msgs/msg/JointState", 0, data[2:end])
        file.write("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", 0, data[end:])
        file.close()
        _read_run(Path(folder) / "a.mcap")


def _read_run(path: Path) -> None:
    """What a replay reads before it runs anything."""
    from liquid_spike_control.records.bag import Bag
    from liquid_spike_control.records.contents import read_contents
    from liquid_spike_control.records.replay import recorded_robot
    from liquid_spike_control.records.setup import Topics, read_description, setup_of

    bag, topics = Bag(path), Topics()
    description = read_description(bag)
    read_contents(bag, topics, setup_of(description, topics, None, recorded_robot(description)))


def _in_folder(name: str, metadata: str, read: Read) -> Read:
    def inner(path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:
            if metadata:
                (Path(folder) / "metadata.yaml").write_text(metadata)
            (Path(folder) / name).write_bytes(path.read_bytes())
            read(Path(folder))

    return inner


def _lazily(module: str, name: str, *arguments: object) -> Read:
    def read(path: Path) -> object:
        import importlib

        return getattr(importlib.import_module(f"liquid_spike_control.{module}"), name)(path, *arguments)

    return read


def _read_source(path: Path) -> None:
    from liquid_spike_control.records.event_source import open_source

    for _ in open_source(path, "/event_camera/events").pieces():
        pass


def _read_checkpoint(path: Path) -> None:
    from liquid_spike_control.training.resume import read_checkpoint

    read_checkpoint(path, {"task": "a"})


def _camera_info(path: Path) -> None:
    matrix = "{rows: 3, cols: 3, data: [60.0, 0.0, 31.0, 0.0, 62.0, 23.5, 0.0, 0.0, 1.0]}"
    path.write_text(
        f"image_width: 64\nimage_height: 48\ncamera_name: eye\ncamera_matrix: {matrix}\n"
        "distortion_model: plumb_bob\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [-0.3, 0.1, 0.001, 0.002, 0.0]}\n"
        f"rectification_matrix: {matrix}\n"
        "projection_matrix: {rows: 3, cols: 4, data: [60.0, 0.0, 31.0, 0.0, 0.0, 62.0, 23.5, 0.0, 0.0, 0.0, 1.0, 0]}\n"
    )


def _read_camera_info(path: Path) -> None:
    from liquid_spike_control.events.camera_info import read_camera_info

    read_camera_info(path).check(64, 48)


def _hot_pixels(path: Path) -> None:
    from liquid_spike_control.events.hot_pixels import find_hot_pixels, write_hot_pixels

    counts = np.ones((96, 128), np.int64)
    counts[5, 7] = counts[80, 100] = 5000
    write_hot_pixels(path, find_hot_pixels(counts, 10.0, 2.0, 10.0), {"recording": "o.raw"})


def _series(path: Path) -> None:
    rows = ("t,force,angle", *(f"{k * 0.01:.2f},{k % 7 - 3},{np.sin(k / 9):.4f}" for k in range(600)))
    path.write_text("\n".join(rows))


def _read_series(path: Path) -> None:
    from liquid_spike_control.training.series import read_csv

    read_csv(path).signals()


def _reservoir(path: Path) -> None:
    from liquid_spike_control.spiking.reservoir import ReservoirDescription
    from liquid_spike_control.training.reservoir import ReservoirTraining, train_reservoir
    from liquid_spike_control.training.series import narma10

    train_reservoir(ReservoirTraining(ReservoirDescription(n_neurons=40), fields=4), narma10(600, 0), path, "none")


def _m3ed(path: Path) -> None:
    import h5py

    events = _events()
    with h5py.File(path, "w") as file:
        for side in ("left", "right"):
            for name in "txyp":
                values = events[name] // 1000 if name == "t" else events[name]
                file[f"prophesee/{side}/{name}"] = values.astype("u4")
            file[f"prophesee/{side}/calib/resolution"] = (128, 96)


def _read_m3ed(path: Path) -> None:
    from liquid_spike_control.events.files import open_events

    for _ in open_events(path, track="left").pieces():
        pass


PARAMETERS = """/**:
  ros__parameters: {priority: 3, use_sim_time: false}
perception:
  ros__parameters:
    window_s: 0.005
    qos_overrides: {/event_camera/events: {subscription: {depth: 7, reliability: best_effort}}}
robot1:
  gate: {ros__parameters: {lower: [-10.0], upper: [10.0], command_names: [cart_force]}}
"""

CONTROLLER, PERCEPTION = shipped_model("pencil/controller.safetensors"), shipped_model("pencil/perception.nir")
_model = _lazily("neuromorphic.model", "read_model", None, None, None, None)
_euler = _lazily("spiking.nir_import", "read_nir", "euler", 1e-6)
_of_70 = _lazily("neuromorphic.files.spike_files", "read_spikes", 70, 1e-3)

#: Name to the suffix, what makes a whole file, and what reads one.
TARGETS: dict[str, tuple[str, Callable[[Path], None], Read]] = {
    "controller, cfc": (".safetensors", _copy(CONTROLLER), _lazily("checkpoint", "read_controller")),
    "controller, ncp": (".safetensors", _copy(shipped_model("hover/ncp.safetensors")),
                        _lazily("control.files", "read_controller_file")),
    "controller, spiking": (".nir", _copy(shipped_model("swing_up/spiking.nir")),
                            _lazily("control.files", "read_controller_file")),
    "perception": (".nir", _copy(PERCEPTION), _lazily("spiking.nir_io", "read_perception_model")),
    "model, our nir": (".nir", _copy(PERCEPTION), _model),
    "model, compiled": (".safetensors", _compiled, _model),
    "nir, norse": (".nir", _copy(DATA / "nir/norse_dense.nir"), _euler),
    "nir, snntorch": (".nir", _copy(DATA / "nir/snntorch_recurrent.nir"), _euler),
    "nir, sinabs": (".nir", _copy(DATA / "nir/sinabs_conv.nir"), _euler),
    "nir, rockpool": (".nir", _copy(DATA / "nir/rockpool_dense.nir"), _euler),
    "nir, nengo": (".nir", _copy(DATA / "nir/nengo_handmade_dense.nir"), _euler),
    "netx, cuba": (".net", _copy(DATA / "netx/cuba.net"), _lazily("neuromorphic.files.netx", "read_netx")),
    "netx, sdnn": (".net", _copy(DATA / "netx/sdnn.net"), _lazily("neuromorphic.files.netx", "read_netx")),
    "netx, recurrent": (".net", _copy(DATA / "netx/recurrent.net"), _lazily("neuromorphic.files.netx", "read_netx")),
    "spikes, npz": (".npz", _spikes, _of_70),
    "spikes, npy": (".npy", _spikes, _of_70),
    "spikes, mcap": (".mcap", _bag, _lazily("neuromorphic.files.event_files", "read_recording")),
    "spikes, nir": (".nir", _spikes,
                    _lazily("neuromorphic.files.spike_files", "read_spikes", 70, 1e-3, None, "output")),
    "payloads": (".npy", lambda path: np.save(path, np.arange(350).reshape(5, 70)),
                 _lazily("neuromorphic.files.spike_files", "read_payloads", 70)),
    "events, evt2": (".raw", functools.partial(_recording, version="evt2"), _read_events),
    "events, evt3": (".raw", functools.partial(_recording, version="evt3"), _read_events),
    "events, dat": (".dat", _recording, _read_events),
    "events, aedat4": (".aedat4", _recording, _read_events),
    "events, es": (".es", _recording, _read_events),
    "events, csv": (".csv", _recording, _read_events),
    "events, dsec": (".h5", _dsec, _read_events),
    "events, bag": (".mcap", _bag, _read_source),
    "bag, mcap": (".mcap", _bag, _read_bag),
    "bag, db3": (".db3", functools.partial(_rosbag, suffix=".db3"), _read_bag),
    "bag, chunks": (".mcap", functools.partial(_rosbag, suffix=".mcap", storage="MCAP", compression="STORAGE"),
                    _read_bag),
    "bag, messages": (".mcap", functools.partial(_rosbag, suffix=".mcap", storage="MCAP", compression="MESSAGE"),
                      _in_folder("a.mcap", "compression_mode: MESSAGE", _read_bag)),
    "bag, file": (".zstd", functools.partial(_rosbag, suffix=".zstd", storage="MCAP", compression="FILE"),
                  _in_folder("a.mcap.zstd", "compression_mode: FILE", _read_bag)),
    "replay": (".mcap", _bag, _read_run),
    "replay, description": (".json", lambda path: (path.write_text(DESCRIPTION), None)[1], _read_described),
    "replay, messages": (".cdr", _messages, _read_messages),
    "yaml, parameters": (".yaml", lambda path: (path.write_text(PARAMETERS), None)[1],
                         _lazily("nodes.parameter_file", "read_parameters")),
    "yaml, robot": (".yaml", _copy(ROOT / "liquid_spike_control/robots/hover/robot.yaml"),
                    _lazily("robot_file", "read_robot")),
    "yaml, tracking": (".yaml", _copy(ROOT / "liquid_spike_control/robots/arm/pd.yaml"),
                       _lazily("control.files", "read_controller_file")),
    "yaml, network": (".yaml", _copy(ROOT / "liquid_spike_control/robots/quadrotor/network.yaml"),
                      _lazily("spiking.layers", "read_layers")),
    "yaml, camera info": (".yaml", _camera_info, _read_camera_info),
    "json, hot pixels": (".json", _hot_pixels, _lazily("events.hot_pixels", "read_hot_pixels", 128, 96)),
    "csv, series": (".csv", _series, _read_series),
    "reservoir": (".nir", _reservoir, _lazily("spiking.reservoir_file", "read_reservoir")),
    "events, m3ed": (".h5", _m3ed, _read_m3ed),
    "checkpoint": (".checkpoint", _checkpoint, _read_checkpoint),
}  # fmt: skip

_NUMBERS = [b"\xff" * 8, b"\0" * 8, *(struct.pack("<Q", n) for n in (2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62))]
_NUMBERS += [b"nan", b"inf", b"-1", b"[" * 3000, b"1e999", b"\x1b[2J", struct.pack("<d", float("nan"))]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A file with one to six changes: bits, numbers, pieces that are cut out, doubled, moved or zeroed."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randrange(max(1, len(changed)))
        if rng.random() < 0.4:  # headers are short, and the most can go wrong in them
            at = rng.randrange(max(1, min(len(changed), 2048)))
        length = rng.choice((1, 4, 8, 64, 1000))
        kind = rng.randrange(8)
        if kind <= 1 and changed:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            number = rng.choice(_NUMBERS)
            changed[at : at + len(number)] = number
        elif kind == 3:
            changed[at : at + length] = b""
        elif kind == 4:
            changed[at:at] = changed[at : at + length]
        elif kind == 5:
            changed[at : at + length] = rng.randbytes(min(length, max(0, len(changed) - at)))
        elif kind == 6:
            del changed[at:]
        else:
            other = rng.randrange(max(1, len(changed)))
            changed[at : at + length] = changed[other : other + length]
    return bytes(changed)


def child(name: str, n: int, seed: int, folder: Path) -> None:
    """Read ``n`` mutations; print the number of each before it, then what became of it."""
    suffix, make, read = TARGETS[name]
    whole, path = folder / f"whole{suffix}", folder / f"mutated{suffix}"
    make(whole)
    data = whole.read_bytes()
    try:
        read(whole)
    except LiquidSpikeError as error:
        raise AssertionError(f"{name}: the whole file is refused: {error}") from error
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rng = random.Random(f"{name} {seed}")
    for k in range(n):
        print(f"{k}", flush=True)
        mutation = mutated(data, rng)
        path.write_bytes(mutation)
        # without a handler they end the process; of the processor's time, and longer where something is waited for
        signal.setitimer(signal.ITIMER_PROF, TIMEOUT_S)
        signal.alarm(10 * TIMEOUT_S)
        try:
            read(path)
            print("read", flush=True)
        except LiquidSpikeError as error:
            print("refused" if "\n" not in str(error) else f"FAILED: more than a line: {str(error)!r}", flush=True)
        except BaseException:
            print("FAILED: " + traceback.format_exc().strip().replace("\n", " | ")[-400:], flush=True)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
    status = Path("/proc/self/status").read_text().splitlines()
    print(f"peak {next(line.split()[1] for line in status if line.startswith('VmHWM'))}", flush=True)


def fuzz(name: str, n: int, seed: int = 0) -> tuple[dict[str, int], list[str]]:
    """How many mutations were read and how many refused, the peak [MB]; and what failed."""
    counts, failures = {"read": 0, "refused": 0, "peak_mb": 0}, []
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, __file__, "--child", name, "--files", str(n), "--seed", str(seed), "--folder", folder],
            capture_output=True, text=True, errors="replace", cwd=ROOT, stdin=subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": folder, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        number = "?"
        for line in done.stdout.splitlines():
            if line.isdecimal():
                number = line
            elif line in counts:
                counts[line] += 1
            elif line.startswith("peak "):
                counts["peak_mb"] = int(line.split()[1]) // 1024
            elif line.startswith("FAILED"):
                failures.append(f"{name} {number}: {line}")
        if done.returncode != 0:
            how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
            failures.append(f"{name} {number}: ended by {how}: {done.stderr[-600:]}")
        if counts["peak_mb"] * 1024 * 1024 > MOST:
            failures.append(f"{name}: {counts['peak_mb']} MB")
    return counts, failures


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.files, options.seed, options.folder)
        return 0
    failed = False
    for name in options.only or TARGETS:
        counts, failures = fuzz(name, options.files, options.seed)
        print(f"{name:20} {counts['read']:5} read {counts['refused']:5} refused {counts['peak_mb']:5} MB", flush=True)
        for failure in failures[:5]:
            print(f"  {failure}", flush=True)
        failed |= bool(failures)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
