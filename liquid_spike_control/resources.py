# SPDX-License-Identifier: Apache-2.0
"""Paths of files that are not Python: MJCF, yaml and launch files, and the shipped models."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .errors import LiquidSpikeError

PACKAGE = "liquid_spike_control"
#: Folder of the installed package.
PACKAGE_FOLDER = Path(__file__).resolve().parent


def share(relative: str) -> Path:
    """Path of a shared file, e.g. ``sim/pencil.xml``.

    Looked for in the source tree (editable install), then in the ament prefixes, then in
    ``<sys.prefix>/share``.

    Raises:
        LiquidSpikeError: it is nowhere to be found.
    """
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    roots = [Path(p) / "share" / PACKAGE for p in prefixes if p]
    if (PACKAGE_FOLDER.parent / "resource" / PACKAGE).exists():
        roots.insert(0, PACKAGE_FOLDER.parent)
    for root in roots:
        if (root / relative).exists():
            return root / relative
    raise LiquidSpikeError(f"{relative} is missing from the installation; reinstall {PACKAGE}")


def shipped_model(name: str) -> Path:
    """Path of a trained model that ships with a robot of this package, e.g. ``"pencil/perception.nir"``."""
    return PACKAGE_FOLDER / "robots" / name


def model_file(path: str | Path) -> Path:
    """A model file: the path, or, where no such file is here, the one that ships, e.g. of ``pencil/perception.nir``."""
    path = Path(path)
    if not path.exists() and not path.is_absolute() and shipped_model(str(path)).is_file():
        return shipped_model(str(path))
    return path
