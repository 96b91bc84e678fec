# SPDX-License-Identifier: Apache-2.0
"""Where a figure comes from: the code that made it, as a hash, the versions of what it stands on, and the machine.

The hash covers the modules that decide a figure (tasks, experts, cells, training), found by following the imports
from a few of them, and the files that they name. Comments, docstrings and layout do not count: a hash that changed with
every comment would throw away hours of work for nothing.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

from ... import __version__
from ...errors import LiquidSpikeError
from ...resources import PACKAGE, share, zoo

#: Rooms whose code decides a figure; imports are not followed out of them.
ROOMS = ("tasks", "control", "liquid", "training", "spiking", "neuromorphic", "sim", "perception", "simulation",
         "hard_simulation", "loop")  # fmt: skip
#: Modules that count only where they are asked for by name, as others need a name of them and no more: the list of all
#: tasks, the range of the training seeds, and what runs spiking controllers, which any controller file may be. A task
#: that is added, or another spiking network, must not throw away the figures of the others.
_ON_REQUEST = (
    "tasks.catalogue", "training.streams", "control.spiking", "spiking.policy_file", "neuromorphic.reference",
)  # fmt: skip
_ROOT = Path(__file__).resolve().parents[2]


@cache
def code_version(modules: tuple[str, ...]) -> str:
    """16 hex digits of the SHA-256 over all that some modules of this package import, and the files that they name.

    Args:
        modules: as in ``"tasks.swing_up"``, relative to the package.

    Raises:
        FileNotFoundError: there is no such module.
    """
    digest = hashlib.sha256()
    for name, tree in sorted(_closure(modules).items()):
        digest.update(f"{name}\n{ast.unparse(_without_docstrings(tree))}\n".encode())
        for path in _named_files(tree):
            digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _closure(modules: Iterable[str]) -> dict[str, ast.Module]:
    trees: dict[str, ast.Module] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in trees:
            continue
        path = _ROOT.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting += (m for m in _imports(trees[name], package) if m not in _ON_REQUEST)
    return trees


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Modules of :data:`ROOMS` that a module imports, at its head or later."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        parents = f"{PACKAGE}.{package}".rstrip(".").split(".")
        parents = parents[: len(parents) - node.level + 1]
        stem = ".".join([*parents[1:], *([node.module] if node.module else [])])
        for candidate in (stem, *(f"{stem}.{alias.name}".lstrip(".") for alias in node.names)):
            path = _ROOT.joinpath(*candidate.split("."))
            if candidate.split(".")[0] in ROOMS and (path.with_suffix(".py").exists() or path.is_dir()):
                yield candidate


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            bare = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = bare or [ast.Pass()]
    return tree


def _named_files(tree: ast.Module) -> Iterator[Path]:
    """Models and scenes whose whole names stand in a module, e.g. ``"sim/swing_up.xml"``."""
    names = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    for name in sorted(names):
        if name.endswith(".xml") and "/" in name and "\n" not in name:
            try:
                yield share(name)
            except LiquidSpikeError:
                continue  # text that looks like a path
        elif name.endswith((".safetensors", ".nir", ".json")) and zoo(name).is_file():
            yield zoo(name)


def expert_version(task_name: str) -> str:
    """Of the network that is a task's expert; empty where the expert is a law."""
    return zoo_version(f"{task_name.removesuffix('-positions').replace('-', '_')}_expert.safetensors")


def zoo_version(name: str) -> str:
    """16 hex digits of the SHA-256 of a shipped model; empty if it is not there."""
    path = zoo(name)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


def versions(*distributions: str) -> dict[str, str]:
    """Versions of this package and of others, without the part that names a build; ``"none"`` if not installed."""
    found = {PACKAGE: __version__}
    for name in distributions:
        try:
            found[name] = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def machine() -> dict[str, str | int]:
    """What a latency depends on: processor, cores, Python."""
    return {"processor": _processor(), "cores": os.cpu_count() or 1, "python": platform.python_version()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
