# SPDX-License-Identifier: Apache-2.0
"""``liquid-spike doctor``: what is wrong with this machine for a robot, and what to do about it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from ... import kernel_cache
from ...extras import DOCS
from ...outputs import write_json
from ...terminal import Console
from ..graph import environment
from .finding import Finding, error, ok, warning
from .machine import examine_machine
from .software import examine_backends, examine_software

if TYPE_CHECKING:
    from ...options import DoctorOptions

COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}
#: How long a picture may take, and the kernels, which are compiled the first time [s].
PICTURE_S, KERNELS_S = 30.0, 180.0


def doctor_command(options: DoctorOptions) -> int:
    """Check the machine, print and write the findings; status 1 if there is an error among them."""
    console = Console(highlight=False, soft_wrap=True)
    findings = []
    for finding in examine():
        findings.append(finding)
        mark = Text(f"{finding.status:>7}  ", COLOURS[finding.status])
        console.print(mark.append(f"{finding.name}: ", "bold").append(finding.text, "default"))
        if finding.remedy:
            console.print(Text(f"{'':9}{finding.remedy}", "dim"))
    counts = Counter(finding.status for finding in findings)
    console.print(f"{counts['ok']} ok, {counts['warning']} warnings, {counts['error']} errors")
    write_json(options.json, [asdict(finding) for finding in findings])
    return 1 if counts["error"] else 0


def examine() -> Iterator[Finding]:
    """Every finding, as it is made."""
    given = dict(os.environ)
    os.environ.update(environment())
    yield from examine_software()
    yield from examine_machine()
    yield _gl()
    yield _kernels()
    yield from examine_backends()
    try:
        import rclpy  # noqa: F401
    except ImportError:
        return  # reported with the software
    from .middleware import examine_middleware

    yield from examine_middleware(given)


def _probe(which: str, timeout_s: float, **variables: str) -> tuple[bool, str]:
    """Run a probe; return whether it succeeded, and the last line of its output."""
    command = [sys.executable, "-m", f"{__package__}.probes", which]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout_s, env=os.environ | variables
        )
    except subprocess.TimeoutExpired:
        return False, f"not within {timeout_s:.0f} s"
    lines = [*done.stderr.splitlines(), *done.stdout.splitlines()] or [f"ended with status {done.returncode}"]
    return done.returncode == 0, lines[-1].strip()


def _gl() -> Finding:
    did, text = _probe("picture", PICTURE_S)
    if did:
        return ok("off-screen rendering", text)
    remedy = "MUJOCO_GL=egl; sudo apt install libegl1 libgl1-mesa-dri libopengl0; only simulation renders"
    return error("off-screen rendering", text, remedy)


def _kernels() -> Finding:
    did, text = _probe("kernels", KERNELS_S, MUJOCO_GL="disable")
    if not did and (unkept := kernel_cache.explain(RuntimeError(text))):
        return error("kernels", str(unkept), f"{kernel_cache.VARIABLE}=<a folder that can be written>")
    if not did:
        return error("kernels", text, f"pip install again: {DOCS}")
    count, compiled, seconds, folder = text.split(maxsplit=3)
    if kernel_cache.is_temporary(Path(folder)):
        remedy = f"set {kernel_cache.VARIABLE} to a folder that lasts; otherwise each boot compiles for a minute"
        return warning("kernels", f"the package and the home directory cannot be written; cache {folder}", remedy)
    if int(compiled):
        return ok("kernels", f"{count}, {compiled} of them compiled just now in {seconds} s, cache {folder}")
    return ok("kernels", f"{count} from the cache in {seconds} s, {folder}")
