# SPDX-License-Identifier: Apache-2.0
"""Versions, the ROS distribution, and the simulators and hardware that can run a spiking network."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from ... import __version__
from ...errors import WorkerError
from ...extras import DOCS, remedy
from ...neuromorphic.workers.oracles import KINDS, find_oracle
from ...resources import PACKAGE
from ..ros import missing_interfaces
from ..transport import rclpy_version
from .finding import Finding, error, ok, warning

#: First number of rclpy's version, by ROS distribution.
DISTRIBUTIONS = {7: "Jazzy", 9: "Kilted", 10: "Lyrical"}
#: Distributions that the tests pass on.
TESTED = ("Jazzy", "Kilted")
#: What each simulator of Loihi reaches a chip through; none of it is public.
HARDWARE = {"lava": "lava/magma/compiler/subcompilers/nc", "nengo_loihi": "nxsdk"}


def examine_software() -> Iterator[Finding]:
    """Python, this package, the libraries it needs, and ROS."""
    yield _python()
    yield ok(PACKAGE, __version__)
    yield _libraries()
    yield _ros()


def _python() -> Finding:
    text = f"{platform.python_version()}, {sys.prefix}"
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return warning("python", text, "the tests pass on 3.11 to 3.13; make PYTHON=python3.12")
    return ok("python", text)


def _libraries() -> Finding:
    found, wrong = [], []
    for text in requires(PACKAGE) or ():
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            have = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        found.append(f"{requirement.name} {have}")
        if not requirement.specifier.contains(have, prereleases=True):
            wrong.append(f"{requirement.name} {have} is not {requirement.specifier}")
    wrong += _two_of_mujoco()
    if wrong:
        return error("libraries", "; ".join(wrong), f"make install, or pip install again: {DOCS}")
    return ok("libraries", ", ".join(found))


def _two_of_mujoco() -> list[str]:
    """MuJoCo 4 is a distribution `mujoco` that requires `mujoco-core` of its own version; any other pair is two
    libraries in one folder, of which the one installed last overwrote a part of the other.
    """
    try:
        whole, core = version("mujoco"), version("mujoco-core")
    except PackageNotFoundError:
        return []
    if whole == core:
        return []
    return [f"mujoco {whole} and mujoco-core {core} share a folder; pip uninstall both, then install mujoco"]


def _ros() -> Finding:
    try:
        import rclpy  # noqa: F401
    except ImportError as failure:
        return error("ros", f"rclpy: {' '.join(str(failure).split())}", str(remedy("rclpy")))
    have = rclpy_version()
    name = os.environ.get("ROS_DISTRO", "").capitalize() or DISTRIBUTIONS.get(have[0] if have else 0, "unknown")
    text = f"{name}, rclpy {'.'.join(map(str, have))}"
    if missing := missing_interfaces():
        return error("ros", f"{text}; not installed: {', '.join(missing)}", str(remedy(missing[0])))
    if name not in TESTED:
        return warning("ros", text, f"the tests pass on {' and '.join(TESTED)}")
    return ok("ros", text)


def examine_backends() -> Iterator[Finding]:
    """Other people's simulators, and hardware."""
    missing = []
    for kind in KINDS:
        try:
            python = find_oracle(kind)
        except WorkerError:
            missing.append(kind)
            yield ok(kind, "not installed; only comparisons need it", "make oracles")
            continue
        yield ok(kind, f"{_installed(python, kind)}, {python.parent.parent}")
    yield _hardware([kind for kind in HARDWARE if kind not in missing])


def _installed(python: Path, kind: str) -> str:
    """Version of a simulator, by the name of its folder of metadata."""
    name = {"lava": "lava_nc"}.get(kind, kind)
    for folder in python.parent.parent.glob("lib/python*/site-packages/*.dist-info"):
        if found := re.fullmatch(rf"{name}-(.+)\.dist-info", folder.name, re.IGNORECASE):
            return found[1]
    return "of unknown version"


def _hardware(installed: list[str]) -> Finding:
    for kind in installed:
        prefix = find_oracle(kind).parent.parent
        if any(prefix.glob(f"lib/python*/site-packages/{HARDWARE[kind]}")):
            board = os.environ.get("LOIHI_GEN")
            if board:
                return ok("loihi hardware", f"{board} through {kind}")
            return warning(
                "loihi hardware", f"{kind} can drive a chip, but LOIHI_GEN is not set", "LOIHI_GEN=N3C1, and a board"
            )
    return ok(
        "loihi hardware",
        "none: neither Lava's extension for Loihi 2 nor NxSDK is here; the emulator runs the same integers",
        "both, and access to a board, come with membership of Intel's INRC",
    )
