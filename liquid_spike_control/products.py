# SPDX-License-Identifier: Apache-2.0
"""Files that a command is to write: whether they could be, asked before the work."""

from __future__ import annotations

from pathlib import Path

from .errors import TaskError


def check_folder(path: Path, subject: str = "") -> None:
    """Refuse a file that could not be written, as its folder is not there.

    Args:
        path: of the file.
        subject: of the error message; the path, if empty.

    Raises:
        TaskError: there is no such folder.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise TaskError(f"{subject or path}: there is no folder {folder}; make it first")


def check_folders(**products: Path | None) -> None:
    """Refuse files that could not be written: now, not after minutes of work.

    Args:
        products: path by the name of its option; None is not wanted.

    Raises:
        TaskError: a file's folder is not there.
    """
    for option, path in products.items():
        if path is not None:
            check_folder(path, f"--{option} {path}")
