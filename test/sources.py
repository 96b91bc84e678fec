# SPDX-License-Identifier: Apache-2.0
"""The files of this repository and what they import, for tests of its rules."""

import ast
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "liquid_spike_control"


def tree() -> list[Path]:
    """Every file of the repository, relative to its root: what git tracks or would.

    In a source archive, which no git knows, every file whose name and folders .gitignore does not name.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode == 0:
        return [Path(name) for name in sorted(listed.stdout.split("\0")) if name and (ROOT / name).exists()]
    ignored = [".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text().split())]

    def kept(path: Path) -> bool:
        places = [path.name, *(folder.as_posix() for folder in path.parents), *path.parts]
        return not any(fnmatch(place, pattern) for place in places for pattern in ignored)

    every = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return sorted(path for path in every if kept(path))


def modules() -> Iterator[tuple[str, Path]]:
    """Dotted name and path of every module of the package."""
    for path in (p for p in tree() if p.parts[0] == PACKAGE and p.suffix == ".py"):
        yield ".".join(path.with_suffix("").parts).removesuffix(".__init__"), path


def imports(module: str, path: Path) -> set[str]:
    """Dotted names that a module imports, also inside functions; ``from a import b`` gives a.b."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def is_ros(name: str) -> bool:
    """Whether an imported name belongs to rclpy, a launch package or an interface package."""
    top = name.partition(".")[0]
    named = top in {"rclpy", "launch", "launch_ros", "std_srvs", "ament_index_python"}
    return named or top.endswith(("_msgs", "_interfaces"))


def run(*command: str | Path, **options) -> str:
    """Output of a command that must succeed."""
    result = subprocess.run(
        [str(c) for c in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    assert result.returncode == 0, result.stdout[-4000:]
    return result.stdout
