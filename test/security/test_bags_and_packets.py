# SPDX-License-Identifier: Apache-2.0
"""Bags and packets that claim too much, or carry code in the definitions of their message types."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from liquid_spike_control.mcap import MAGIC, McapScan

JOINT_STATE = "sensor_msgs/msg/JointState"
ROOM = 1 << 30

READ = """
import resource, sys
from pathlib import Path

from liquid_spike_control.errors import LiquidSpikeError
from liquid_spike_control.events.codec import Decoder
from liquid_spike_control.records.bag import Bag

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]),) * 2)
for path in sys.argv[2:]:
    read = 0
    try:
        bag = Bag(path)
        for raw in bag.messages():
            bag.read(raw)
            read += 1
        print(f"{Path(path).name}: {read} read, cut: {bag.cut}")
    except LiquidSpikeError as error:
        print(f"{Path(path).name}: {read} read, refused: {error}")
"""


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(data)) + data


def record(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack("<BQ", kind, len(body) if length is None else length) + body


def schema(name: str, definition: str, encoding: str = "ros2msg") -> bytes:
    return record(3, struct.pack("<H", 1) + text(name) + text(encoding) + text(definition))


def channel() -> bytes:
    return record(4, struct.pack("<HH", 1, 1) + text("/joint_states") + text("cdr") + struct.pack("<I", 0))


def message(data: bytes) -> bytes:
    return record(5, struct.pack("<HIQQ", 1, 0, 1, 1) + data)


def write(path: Path, *records: bytes) -> Path:
    path.write_bytes(MAGIC + b"".join(records))
    return path


def read_bounded(*paths: Path) -> list[str]:
    """What a reader with little memory says of each bag."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(ROOM), *map(str, paths)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout.splitlines()
    assert len(said) == len(paths)
    return said


#: Of each, what a definition must not do: make a file of the name that replaces WITNESS.
CODE = "__import__('pathlib').Path('WITNESS').touch()"
NAMES = (
    f"a/msg/B:\n  pass\n{CODE}\nclass C",
    f"a/msg/B(metaclass={CODE})",
    f"a/msg/B']={CODE}#",
    f'a/msg/B"""\n    {CODE}\n    """',
)
DEFINITIONS = (
    f"int32 X={CODE}",
    f"string X={CODE}",
    f"string X='\"\"\" + {CODE} + \"\"\"'",
    f"int32 x {CODE}",
    f"int32[{CODE}] x",
    f"string<={CODE} x",
    f"int32 x\n{'=' * 80}\nMSG: a/msg/C({CODE})\nint32 y",
    f"# {CODE}\n\"\"\"\n{CODE}\nint32 x",
)


@pytest.mark.parametrize("encoding", ["ros2msg", "ros2idl"])
def test_definitions_of_message_types_are_no_code(tmp_path, encoding):
    witness = tmp_path / "it ran"
    cases = [(name, "int32 x") for name in NAMES] + [("a/msg/B", definition) for definition in DEFINITIONS]
    for k, (name, definition) in enumerate(cases):
        here = [part.replace("WITNESS", str(witness)) for part in (name, definition)]
        scan = McapScan(write(tmp_path / f"{k}.mcap", schema(*here, encoding), channel(), message(bytes(8))))
        for raw in scan.messages():
            if raw.kind in scan.types.fielddefs:
                scan.types.deserialize_cdr(b"\0\1\0\0" + bytes(4), raw.kind)
        assert not witness.exists(), here


def test_bags_that_claim_too_much(tmp_path):
    known = schema(JOINT_STATE, "")
    cdr = b"\0\1\0\0"
    stamp = struct.pack("<iI", 1, 0) + struct.pack("<I", 1) + b"\0" + bytes(3)
    chunk = struct.pack("<QQQI", 0, 0, 2**60, 0) + text("zstd") + struct.pack("<Q", 2**60)
    recursive = schema("a/msg/B", "a/msg/B[] x")
    empty = schema("a/msg/B", f"a/msg/E[] x\n{'=' * 80}\nMSG: a/msg/E\n")
    cases = {
        "names": write(tmp_path / "0.mcap", known, channel(), message(cdr + stamp + struct.pack("<I", 2**32 - 1))),
        "positions": write(
            tmp_path / "1.mcap", known, channel(), message(cdr + stamp + bytes(4) + struct.pack("<I", 2**32 - 1))
        ),
        "record": write(tmp_path / "2.mcap", known, channel(), record(5, bytes(30), 2**62)),
        "chunk": write(tmp_path / "3.mcap", record(6, chunk)),
        "text": write(tmp_path / "4.mcap", record(3, struct.pack("<HI", 1, 2**32 - 1))),
        "itself": write(tmp_path / "5.mcap", recursive, channel(), message(cdr + struct.pack("<I", 1) * 100_000)),
        "empty ones": write(tmp_path / "6.mcap", empty, channel(), message(cdr + struct.pack("<I", 2**32 - 1))),
    }
    for case, line in zip(cases, read_bounded(*cases.values()), strict=True):
        assert " 0 read, " in line and not line.endswith("cut: None") and "MemoryError" not in line, (case, line)


def test_packets_take_memory_by_their_bytes_not_by_their_claims():
    from liquid_spike_control.events.codec import DECODED, Decoder, decode_spikes

    data = np.random.default_rng(0).integers(0, 256, 4096, np.uint8).tobytes()
    for encoding in DECODED:
        decoder = Decoder()
        events = decoder.decode(data, encoding, 1, 2**32 - 1, 2**32 - 1)
        assert events.nbytes <= 16 * 12 * len(data)
        assert len(decoder.decode(data, encoding, 2**64 - 1, 0, 0)) == 0
    assert decode_spikes(data, 2**31, 2**31) is None
