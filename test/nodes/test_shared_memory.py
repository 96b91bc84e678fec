# SPDX-License-Identifier: Apache-2.0
"""What killed processes leave in /dev/shm goes, what living ones use stays."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from liquid_spike_control.nodes.shared_memory import FOLDER, remove_stale_segments, stale_segments

PARTICIPANT = """
import re, rclpy
from pathlib import Path
from rclpy.node import Node
from liquid_spike_control.nodes.shared_memory import own_segment_bytes

rclpy.init()
node = Node("participant")
mapped = re.findall("/dev/shm/((?:fastrtps|fastdds)_[0-9a-f]{16})$", Path("/proc/self/maps").read_text(), re.M)
print(own_segment_bytes(), *sorted(set(mapped)), flush=True)
input()
"""


@contextmanager
def participant() -> Iterator[tuple[subprocess.Popen, int, set[str]]]:
    """A process on the domain, how large its segment is, and the names of those it has mapped."""
    with subprocess.Popen(
        [sys.executable, "-c", PARTICIPANT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            size, *names = process.stdout.readline().split()
            yield process, int(size), set(names)
        finally:
            process.kill()


def test_segments_of_killed_processes_are_removed_and_those_of_living_ones_kept(ros_domain):
    with participant() as (living, size, kept):
        assert 32 << 20 <= size < 40 << 20
        with participant() as (killed, _, names):
            lost = names - kept
            assert lost and not lost & {path.name for path in stale_segments()}
            killed.kill()
            killed.wait(5)
        remove_stale_segments()  # or some other node of this machine that starts just now does
        assert not any((FOLDER / name).exists() or (FOLDER / f"{name}_el").exists() for name in lost)
        assert all((FOLDER / name).exists() for name in kept)
        assert living.poll() is None


def test_only_locked_files_of_fast_dds_are_looked_at(tmp_path):
    other = [tmp_path / name for name in ("fastdds_port7400_el", "fastdds_mine_el", "sem.fastdds_0123456789abcdef")]
    for path in other:
        path.write_bytes(b"x")
    segment, lock = tmp_path / "fastdds_0123456789abcdef", tmp_path / "fastdds_0123456789abcdef_el"
    segment.write_bytes(bytes(8192))
    lock.write_bytes(b"")
    assert stale_segments(tmp_path) == [segment]
    assert remove_stale_segments(tmp_path) >= 8192
    assert sorted(tmp_path.iterdir()) == sorted(other)
    assert remove_stale_segments(tmp_path / "none") == 0
