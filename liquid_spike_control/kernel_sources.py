# SPDX-License-Identifier: Apache-2.0
"""Compiled kernels kept by the content of all that they are compiled from.

numba keeps a kernel by the file that it stands in: by its content or, before 0.68, by its time and size. A kernel that
calls one of another file contains that one's machine code, so that after an update it would go on computing with the
old one. It also writes its index before the code that the index names, so that a process that is killed between the
two, or another one that starts then, leaves or takes the code of the version before under the new one's index.

Here the names of a kernel's files in the cache end with a digest of its module and of all modules that this one
imports, out of this package or beside it: what is compiled from other sources is never found. Files of other digests
are removed.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_PACKAGE = Path(__file__).resolve().parent
_CACHING = "numba.core.caching"
# not compiled here: most processes that import this package need no kernel
_COMMENT = rb"#[^\n]*"
_IMPORT = rb"(?m)^[ \t]*(?:from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+([\w.]+))"
#: Of a file in the cache: module, kernel and line, digest, version of Python.
_KEPT = r"(\w+)\..+-\d+(?:-([0-9a-f]{16}))?\.py\d+\w*(?:\.\d+\.nbc|\.nbi)"


@functools.cache
def digest(path: Path) -> str | None:
    """Sixteen digits that change with the content of a module and of all that it imports.

    Args:
        path: of the module, resolved.

    Returns:
        None for a module that is neither in this package nor imports anything from it.
    """
    import hashlib  # takes longer than this package does

    sources, waiting = {path: b""}, [path]
    while waiting:
        at = waiting.pop()
        sources[at], imported = _read(at)
        waiting += [other for other in imported if other not in sources]
        sources |= {other: b"" for other in imported if other not in sources}
    if not any(_PACKAGE in source.parents for source in sources):
        return None
    content = hashlib.sha256()
    for source in sorted(sources, key=str):
        content.update(f"{source.name} {len(sources[source])}\n".encode())
        content.update(sources[source])
    return content.hexdigest()[:16]


@functools.cache
def _read(path: Path) -> tuple[bytes, tuple[Path, ...]]:
    """A module, and the files of those that it imports, of those that lie beside it or in this package."""
    text, found = path.read_bytes(), []
    for dots, module, names, plain in re.findall(_IMPORT, re.sub(_COMMENT, b"", text)):
        parts = (module or plain).decode().split(".") if module or plain else []
        if dots:
            folder = path.parents[len(dots) - 1]
        elif parts[:1] == [_PACKAGE.name]:
            folder, parts = _PACKAGE, parts[1:]
        else:
            continue
        folder = folder.joinpath(*parts)
        if parts and os.path.isfile(file := f"{folder}.py"):
            found.append(Path(file))
            continue
        found += [Path(file) for file in (f"{folder}/__init__.py",) if os.path.isfile(file)]
        for name in re.findall(r"(\w+)(?:\s+as\s+\w+)?", names.decode()):
            for file in (f"{folder}/{name}.py", f"{folder}/{name}/__init__.py"):
                if os.path.isfile(file):
                    found.append(Path(file))
    return text, tuple(found)


class _OwnKernels:
    """Where a kernel of this package is kept: where numba would, by a name that has the digest."""

    def __init__(self, found: Any, path: Path, kept_by: str):
        self._found, self._digest = found, kept_by
        self._py_file = str(path)  # numba's warnings name it
        _remove_others(Path(found.get_cache_path()), path.stem, kept_by)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _OwnKernels | None:
        path = Path(py_file)
        if not path.is_file() or (kept_by := digest(path.resolve())) is None:
            return None
        for other in sys.modules[_CACHING].CacheImpl._locator_classes:
            if other is not cls and (found := other.from_function(py_func, py_file)) is not None:
                return cls(found, path, kept_by)
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)

    def get_source_stamp(self) -> str:
        return self._digest

    def get_disambiguator(self) -> str:
        return f"{self._found.get_disambiguator()}-{self._digest}"


@functools.cache
def _remove_others(folder: Path, module: str, kept_by: str) -> None:
    """Remove what was compiled from other sources of a module."""
    for name in _listed(folder):
        kept = re.fullmatch(_KEPT, name)
        if kept and kept[1] == module and kept[2] != kept_by:
            with suppress(OSError):
                os.unlink(folder / name)


@functools.cache
def _listed(folder: Path) -> list[str]:
    with suppress(OSError):
        return os.listdir(folder)
    return []


def keep_by_sources() -> None:
    """Have numba keep this package's kernels by their sources, from when it is imported."""
    if caching := sys.modules.get(_CACHING):
        _add(caching)
    elif not any(isinstance(finder, _AfterCaching) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterCaching())


def _add(caching: ModuleType) -> None:
    classes = caching.CacheImpl._locator_classes
    if _OwnKernels not in classes:
        classes.insert(0, _OwnKernels)


class _AfterCaching:
    """Adds to numba's module of caches when that is loaded: this package is imported far more often than numba."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _CACHING:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_add(module: ModuleType) -> None:
                load(module)
                _add(module)

            spec.loader.exec_module = load_and_add  # type: ignore[method-assign]
        return spec
