# SPDX-License-Identifier: Apache-2.0
"""Fast-DDS's shared-memory segments: how large ours is, and what killed processes left behind.

Every participant has a segment in /dev/shm and, beside it, a file ``<segment>_el`` that it holds locked for as long as
it lives. A process that is killed cannot remove its segment, and Fast-DDS never does: with the shipped profile each
such death would cost 34 MB until the next boot.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/dev/shm")
_LOCK = re.compile(r"(?:fastrtps|fastdds)_[0-9a-f]{16}_el")
_MAPPED = re.compile(r"/(?:fastrtps|fastdds)_[0-9a-f]{16}$")


def stale_segments(folder: Path = FOLDER) -> list[Path]:
    """Segments of processes that are no more."""
    return [segment for segment, _ in _stale(folder)]


def remove_stale_segments(folder: Path = FOLDER) -> int:
    """Remove what dead processes left behind, as far as this user may; returns how many bytes that were.

    Safe while others start: a process locks its ``_el`` file before it makes its segment, and the lock is held here
    from the look to the removal.
    """
    freed = 0
    for segment, lock in _stale(folder):
        try:
            freed += segment.stat().st_blocks * 512
            segment.unlink()
        except FileNotFoundError:
            pass
        except PermissionError:
            continue
        lock.unlink(missing_ok=True)
    return freed


def _stale(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Segment and lock file of every dead participant; the lock is held while the caller has them in hand."""
    for lock in sorted(folder.glob("fast*_el")):
        if not _LOCK.fullmatch(lock.name):
            continue  # ports, which Fast-DDS looks after
        try:
            with open(lock, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield lock.with_name(lock.name.removesuffix("_el")), lock
        except (BlockingIOError, FileNotFoundError, PermissionError):
            continue


def own_segment_bytes() -> int:
    """Size of the largest segment that this process has mapped; 0 without a participant or shared memory."""
    largest = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        if _MAPPED.search(line):
            first, _, last = line.split()[0].partition("-")
            largest = max(largest, int(last, 16) - int(first, 16))
    return largest
