# SPDX-License-Identifier: Apache-2.0
"""Provenance of a figure: the identity of a task, which counts in the key of a result, and the environment.

A key covers what decides a figure by *declared versions* (a task's ``version`` and :data:`~.versions.VERSIONS`), by the
options of its cell and by the content of data files. Names and places of modules do not count, so code may be moved
and renamed. The version of a task outside this package is not checked, so its source code counts.

Processor, Python and libraries are recorded beside the key, in the :func:`environment` of every training and
evaluation. They move a figure by rounding, which a closed loop amplifies, so that a training on another processor gives
other weights; but that is the spread of one more training seed, not another experiment. A key that held them would
invalidate a whole run with every patch release, and a run from another machine could not be continued. The report
lists all environments, and ``bench closed-loop --verify`` repeats a cell in the present one.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec

from ... import __version__
from ...errors import TaskError
from ...resources import PACKAGE

_ROOT = Path(__file__).resolve().parents[2]
#: Libraries that figures depend on, by import name, each with the distributions that provide it.
LIBRARIES = {
    "mujoco": ("mujoco", "mujoco-core"), "gymnasium": ("gymnasium",), "numpy": ("numpy",), "numba": ("numba",),
    "torch": ("torch",),
}  # fmt: skip
#: Instruction sets that change the order of sums in kernels.
INSTRUCTIONS = ("avx512f", "avx2", "fma", "asimd", "sve")


def identity(task: Any) -> dict[str, Any]:
    """Return the identity of a task, for keys.

    Args:
        task: with ``name`` and ``version``; ``data_files``, if it has them, are paths of the files that decide its
            episodes and its expert (scenes, trained models); ``robot``, if it has one.

    Returns:
        ``name``, ``version``, ``files`` (content hashes, sorted) and ``code``, empty for a task of this package. The
        description of a robot outside this package counts as a file.

    Raises:
        TaskError: the task is not of this package and its source cannot be read.
    """
    files = {file_version(Path(path)) for path in getattr(task, "data_files", ())}
    robot = getattr(task, "robot", None)
    if robot is not None and not Path(robot.folder).resolve().is_relative_to(_ROOT):
        # As it was read, so that what it extends counts and where it lies does not
        described = {k: v for k, v in msgspec.to_builtins(robot).items() if k not in ("folder", "source")}
        text = json.dumps(described, sort_keys=True, default=str)
        files.add(hashlib.sha256(text.encode()).hexdigest()[:16])
    return {"name": task.name, "version": task.version, "files": sorted(files), "code": source_version(type(task))}


def file_version(path: Path) -> str:
    """16 hex digits of the SHA-256 over a file's content, ``"missing"`` if it is not there.

    Comments, layout and the order of attributes of XML do not count; files that it includes or names do, by content.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return "missing"
    if path.suffix == ".xml":
        try:
            content = _canonical(path, content)
        except ElementTree.ParseError:
            pass  # MuJoCo reports the error
    return hashlib.sha256(content).hexdigest()[:16]


def _canonical(path: Path, content: bytes) -> bytes:
    root = ElementTree.fromstring(content)
    folders = [path.parent]
    for compiler in root.iter("compiler"):
        named = (compiler.attrib.get(name) for name in ("assetdir", "meshdir", "texturedir"))
        folders += [path.parent / name for name in named if name]
    for element in root.iter():
        name = element.attrib.get("file")
        found = [folder / name for folder in folders if name and (folder / name).is_file()]
        if found and found[0].resolve() != path.resolve():
            element.attrib["file"] = file_version(found[0])
    text = ElementTree.tostring(root, encoding="unicode")
    return ElementTree.canonicalize(text, strip_text=True).encode()


def source_version(cls: type) -> str:
    """16 hex digits of the SHA-256 over the code of a class outside this package; empty for one of this package.

    The module of the class counts with all modules beside it that it imports, and the files beside them whose names
    stand in them. Comments, docstrings, layout and the names of modules do not count.

    Raises:
        TaskError: the source cannot be read.
    """
    if cls.__module__.split(".")[0] == PACKAGE:
        return ""
    try:
        start = Path(inspect.getsourcefile(cls) or "")
        texts = sorted(_parts(start.resolve(strict=True)))
    except (OSError, TypeError, SyntaxError) as error:
        raise TaskError(
            f"task class {cls.__qualname__}: its source cannot be read ({error}), so its results cannot be "
            "distinguished from those of a later version; define it in a Python file"
        ) from None
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _parts(start: Path) -> Iterator[str]:
    """Hashes of the modules that a module imports from its own package or folder, itself among them, and of files."""
    seen, waiting = {start}, [start]
    while waiting:
        path = waiting.pop()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for found in (*_imports(tree, path), *_named_files(tree, path)):
            if found in seen:
                continue
            seen.add(found)
            if found.suffix == ".py":
                waiting.append(found)
            else:
                yield file_version(found)
        yield hashlib.sha256(ast.unparse(_without_docstrings(tree)).encode()).hexdigest()


def _imports(tree: ast.Module, path: Path) -> Iterator[Path]:
    """Files of the modules that a module imports from its own package or, without a package, from its own folder."""
    top = path.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    own = top / path.relative_to(top).parts[0] if top != path.parent else top
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if node.level else top
            stem = base.joinpath(*(node.module or "").split("."))
            candidates = [stem, *(stem / alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            candidates = [top.joinpath(*alias.name.split(".")) for alias in node.names]
        else:
            continue
        if own == top and top.name in ("site-packages", "dist-packages"):
            continue  # a single module there has every other distribution beside it
        for candidate in candidates:
            for file in (candidate.parent / f"{candidate.name}.py", candidate / "__init__.py"):
                if file.is_relative_to(own) and file.is_file():
                    yield file.resolve()


def _named_files(tree: ast.Module, path: Path) -> Iterator[Path]:
    """Files beside a module whose names stand in it, e.g. ``"arm.xml"``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
            if "." in name and len(name) < 200 and name.isprintable() and (path.parent / name).is_file():
                yield (path.parent / name).resolve()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            bare = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = bare or [ast.Pass()]
    return tree


def environment() -> dict[str, Any]:
    """Return the environment that figures depend on beside their key: processor, cores, Python and libraries."""
    processor, instructions = _processor()
    return {
        PACKAGE: __version__,
        "processor": processor,
        "instructions": instructions,
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "libraries": {name: _version(distributions) for name, distributions in LIBRARIES.items()},
    }


def same_arithmetic(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two environments are known to round alike: one class of processor and the same libraries.

    An environment that does not name its instruction sets is like no other.
    """
    return all(a.get(k) and a.get(k) == b.get(k) for k in ("processor", "instructions", "libraries"))


def _version(distributions: tuple[str, ...]) -> str:
    for name in distributions:
        try:
            return metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            continue
    return "none"


def _processor() -> tuple[str, str]:
    """Model, and architecture with the instruction sets that matter."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    fields = {key.strip(): value.split() for key, _, value in (line.partition(":") for line in lines)}
    named = " ".join(fields.get("model name", [])) or platform.processor() or platform.machine()
    flags = fields.get("flags") or fields.get("Features") or []
    found = [name for name in INSTRUCTIONS if name in flags] or [sys.byteorder + "-endian"]
    return named, " ".join([platform.machine(), *found])
