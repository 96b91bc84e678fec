# SPDX-License-Identifier: Apache-2.0
"""The cache folder of compiled kernels where neither this package nor the home directory can be written.

numba caches a kernel beside its module or under ``~/.cache``, and refuses to compile a cached kernel if it can write
to neither: on the read-only file system of a hardened container no kernel would run.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from .errors import LiquidSpikeError

#: numba's variable; a user's own setting wins.
VARIABLE = "NUMBA_CACHE_DIR"
#: What is tried after ``TMPDIR``: a file system in memory, which ROS needs too.
_SHARED_MEMORY = Path("/dev/shm")


class KernelCacheError(LiquidSpikeError):
    """Compiled kernels can be kept nowhere."""


def provide_cache() -> Path | None:
    """Name numba a folder of this user's own among the temporary files, if it would find none; call before kernels
    are imported.

    Returns:
        The folder; None where numba finds one by itself, or where there is none at all.
    """
    if os.environ.get(VARIABLE) or _writable(_own_folder()) or _writable(_user_folder()):
        return None
    for parent in dict.fromkeys((Path(os.environ.get("TMPDIR") or "/tmp"), Path("/tmp"), _SHARED_MEMORY)):
        folder = parent / _name()
        if _make_private(folder):
            os.environ[VARIABLE] = str(folder)
            if "numba" in sys.modules:  # it has read the variable already
                import numba

                numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
            return folder
    return None


def explain(error: RuntimeError) -> KernelCacheError | None:
    """The error for a user in place of numba's refusal to cache a kernel; None for any other error."""
    if "no locator available" not in str(error):
        return None
    if given := os.environ.get(VARIABLE):
        return KernelCacheError(f"{VARIABLE}={given}: cannot be written; name a folder for compiled kernels that can")
    return KernelCacheError(
        f"no folder for compiled kernels can be written: not {_own_folder()}, {_user_folder()}, the folder for "
        f"temporary files or {_SHARED_MEMORY}; mount one and name it in {VARIABLE}"
    )


def is_temporary(folder: Path) -> bool:
    """Whether a folder of kernels is one that :func:`provide_cache` made, which may be gone after the next boot."""
    return _name() in folder.parts


def _name() -> str:
    return f"liquid_spike_control_kernels_{os.getuid()}"


def _own_folder() -> Path:
    return Path(__file__).parent / "__pycache__"


def _user_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "numba"


def _writable(folder: Path) -> bool:
    """Whether the folder can be written, or made."""
    while not folder.exists():
        if folder == folder.parent:
            return False
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _make_private(folder: Path) -> bool:
    """Create a folder that only this user can write, as its files are executed; return whether it is one now."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o022
    return own and os.access(folder, os.W_OK | os.X_OK)
