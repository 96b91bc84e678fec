# SPDX-License-Identifier: Apache-2.0
"""The machine: cores, memory, clocks, and whether a process may have a real-time priority."""

from __future__ import annotations

import gzip
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from ..scheduling import priority_permitted
from .finding import Finding, error, ok, warning

#: A graph of five nodes takes so much [bytes]: 250 MB each, and room for events and a recorder.
GRAPH_BYTES = 2 << 30
#: So many cores keep the nodes, the robot's driver and the system out of each other's way.
CORES = 4
_CPU = Path("/sys/devices/system/cpu")
_RTPRIO_REMEDY = "give the user `rtprio 98` in /etc/security/limits.d/ and log in again; runs in real time take one"


def examine_machine() -> Iterator[Finding]:
    """Cores, memory, real-time scheduling and the CPU's frequency."""
    yield _cores()
    yield _memory(Path("/proc/meminfo"))
    yield _priority()
    yield preemption(Path("/"), os.uname().release)
    yield governor(_CPU)


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    text = f"{cores}, load {load:.1f}"
    if load > cores:
        return warning("cores", text, "others use the machine: the robot's deadlines need idle cores")
    if cores < CORES:
        return warning("cores", text, f"{CORES} let a graph run without its nodes waiting for each other")
    return ok("cores", text)


def _memory(meminfo: Path) -> Finding:
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in meminfo.read_text().splitlines()}
    free = kilobytes["MemAvailable"] << 10
    text = f"{free / 1e9:.1f} GB of {kilobytes['MemTotal'] * 1024e-9:.1f} GB free"
    if free < GRAPH_BYTES // 2:
        return error("memory", text, "a graph needs 1 GB at least; end other programs")
    if free < GRAPH_BYTES:
        return warning("memory", text, "a graph with a recorder takes up to 2 GB; end other programs")
    return ok("memory", text)


def _priority() -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    if not priority_permitted():
        return warning("real-time priority", f"not permitted (RLIMIT_RTPRIO {limit})", _RTPRIO_REMEDY)
    return ok("real-time priority", "permitted")


def preemption(root: Path, release: str) -> Finding:
    """Whether the kernel leaves what it does for others when a deadline comes.

    Args:
        root: of the file system.
        release: of the kernel, as ``uname -r`` prints it.
    """
    name, model = "kernel preemption", _preemption_model(root, release)
    if model is None:
        return ok(name, "not reported by this kernel")
    if model in ("none", "voluntary"):
        remedy = "others' system calls may hold a deadline up for ms: boot with preempt=full or a PREEMPT_RT kernel"
        return warning(name, model, remedy)
    return ok(name, model)


def _preemption_model(root: Path, release: str) -> str | None:
    """``none``, ``voluntary``, ``lazy``, ``full`` or ``PREEMPT_RT``: as booted, or else as built."""
    realtime, built = root / "sys/kernel/realtime", root / "proc/config.gz"
    if realtime.exists() and realtime.read_text().strip() == "1":
        return "PREEMPT_RT"
    words = (root / "proc/cmdline").read_text().split()
    booted = [word.removeprefix("preempt=") for word in words if word.startswith("preempt=")]
    if booted:
        return booted[-1]
    try:
        plain = root / f"boot/config-{release}"
        config = gzip.decompress(built.read_bytes()).decode() if built.exists() else plain.read_text()
    except OSError:
        return None
    models = {"PREEMPT_NONE": "none", "PREEMPT_VOLUNTARY": "voluntary", "PREEMPT_LAZY": "lazy", "PREEMPT": "full"}
    chosen = [model for option, model in models.items() if f"CONFIG_{option}=y" in config.splitlines()]
    return chosen[0] if chosen else None


def governor(cpu: Path) -> Finding:
    """Whether the cores stay at their highest frequency.

    Args:
        cpu: the folder of the cores, /sys/devices/system/cpu.
    """
    governors = {path.read_text().strip() for path in cpu.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    if not governors:
        return ok("cpu governor", "none: this machine does not offer one")
    text = ", ".join(sorted(governors))
    if governors != {"performance"}:
        return warning("cpu governor", text, "sudo cpupower frequency-set -g performance; waking a slow core takes ms")
    return ok("cpu governor", text)
