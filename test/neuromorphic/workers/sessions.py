# SPDX-License-Identifier: Apache-2.0
"""Processes of a worker, as the kernel sees them."""

import time
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def ends(pid: int, within_s: float = 15.0) -> bool:
    until = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


def session(leader: int) -> list[Path]:
    """Entries in /proc of the processes of a child's session."""

    def group(process: Path) -> int | None:
        try:
            return int((process / "stat").read_text().rpartition(")")[2].split()[2])
        except OSError:
            return None

    return [p for p in Path("/proc").iterdir() if p.name.isdigit() and group(p) == leader]
