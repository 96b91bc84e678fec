# SPDX-License-Identifier: Apache-2.0
"""Files that a command writes: checked before the work, then written whole or not at all.

Every file that this package writes for a user goes through this module. A regular file is written beside its place and
renamed, so that a reader never sees half of it; its permissions follow the umask, or those of the file that it
replaces. A device or a FIFO is written to, never replaced. A link is followed.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import OutputError, TaskError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Suffixes of pictures. Matplotlib would add one of its own where none is given, and refuse others after the work.
FIGURES = (".png", ".svg", ".pdf", ".eps", ".jpg", ".webp")
#: Suffixes of moving pictures.
VIDEOS = (".gif", ".mp4")
#: Names of streams that this process has open already.
_STREAM = re.compile(r"/dev/(?:(stdout)|(stderr)|fd/(\d+))|/proc/self/fd/(\d+)")


def check_output(path: Path, subject: str = "", suffixes: tuple[str, ...] = ()) -> None:
    """Refuse a file that could not be written.

    Args:
        path: of the file.
        subject: of the error message; the path, if empty.
        suffixes: one of which the file must have; any, if empty. Only a picture goes into a device or a FIFO without.

    Raises:
        TaskError: its folder is missing or cannot be written to, its name is too long, it is a folder, or its suffix
            is none of those.
    """
    subject = subject or str(path)
    try:
        if _is_stream(path):
            _check_suffix(path, subject, suffixes, True)
            return
        place = Path(os.path.realpath(path))
        try:
            mode = place.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            mode = stat.S_IFREG
        if stat.S_ISDIR(mode):
            raise TaskError(f"{subject} is a folder; name a file in it")
        if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
            if not os.access(place, os.W_OK):
                raise TaskError(f"{subject}: permission denied; choose another file")
            _check_suffix(path, subject, suffixes, True)
            return
        if not stat.S_ISREG(mode):
            raise TaskError(f"{subject} is a block device or a socket; name a file")
        _check_suffix(path, subject, suffixes, False)
        if not place.parent.is_dir():
            raise TaskError(f"{subject}: there is no folder {path.absolute().parent}; make it first")
        # permission bits do not show a read-only or special file system: only a trial does
        with tempfile.TemporaryFile(dir=place.parent):
            pass
    except OSError as error:
        raise TaskError(f"{subject}: cannot be written ({error.strerror}); choose another file") from None


def _check_suffix(path: Path, subject: str, suffixes: tuple[str, ...], special: bool) -> None:
    if special and not path.suffix and suffixes == FIGURES:
        return  # PNG, see save_figure
    if suffixes and path.suffix.lower() not in suffixes:
        raise TaskError(f"{subject}: unknown suffix '{path.suffix}'; give one of {', '.join(suffixes)}")


def check_new(path: Path, subject: str = "", into: bool = False) -> None:
    """Refuse a file that is there already, for a command that replaces none.

    Args:
        path: of the file.
        subject: of the error message; the path, if empty.
        into: whether a device or a FIFO may be written to; else it is refused.

    Raises:
        TaskError: it is there.
    """
    subject = subject or str(path)
    if _is_stream(path) or (path.exists() and not path.is_file()):
        if not into or path.is_dir():
            raise TaskError(f"{subject} is no regular file; give another name")
    elif path.exists():
        raise TaskError(f"{subject} exists; give another name")


def check_folder(path: Path, subject: str = "") -> None:
    """Refuse a folder that could not be made, or not be written to.

    Args:
        path: of the folder; it and those above it need not exist.
        subject: of the error message; the path, if empty.

    Raises:
        TaskError: it is a file, or it or the one above it cannot be written to.
    """
    subject = subject or str(path)
    try:
        place = Path(os.path.realpath(path))
        while not os.path.lexists(place):
            place = place.parent
        if not place.is_dir():
            raise TaskError(f"{subject}: {place} is no folder; choose another one")
        with tempfile.TemporaryDirectory(dir=place):
            pass
    except OSError as error:
        raise TaskError(f"{subject}: cannot be written ({error.strerror}); choose another folder") from None


def make_folder(path: str | Path) -> None:
    """Make a folder and those above it, as far as they are missing.

    Raises:
        OutputError: it cannot be made.
    """
    with _reported(Path(path)):
        Path(path).mkdir(parents=True, exist_ok=True)


def check_outputs(suffixes: Mapping[str, tuple[str, ...]] | None = None, /, **outputs: Path | None) -> None:
    """Refuse files that could not be written, see :func:`check_output`.

    Args:
        suffixes: by the name of an option, one of which its file must have; any, if none are given.
        outputs: path by the name of its option; None if not requested.

    Raises:
        TaskError: a file could not be written, or two options name the same one.
    """
    seen: dict[str, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        check_output(path, f"--{option} {path}", (suffixes or {}).get(option, ()))
        place = os.path.realpath(path)
        if place in seen and not place.startswith("/dev/") and not _is_stream(path):
            raise TaskError(f"--{option} {path}: the same file as --{seen[place]}; give two names")
        seen[place] = option


def write_file(path: str | Path, data: bytes | memoryview | str) -> None:
    """Write a file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with opened(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def opened(path: str | Path) -> Iterator[io.BufferedIOBase]:
    """A file to write bytes to; it is in its place when the block ends, and not at all if the block raises.

    Raises:
        OutputError: it cannot be written.
    """
    path = Path(path)
    with _reported(path):
        if _is_special(path):
            with _special(path) as file:
                yield file
        else:
            with written(path) as temporary, open(temporary, "xb") as file:
                yield file


@contextmanager
def written(path: str | Path) -> Iterator[Path]:
    """A path that another library writes to; the file is in its place when the block ends, see :func:`opened`.

    Raises:
        OutputError: it cannot be written.
    """
    path = Path(path)
    with _reported(path):
        if _is_special(path):
            with tempfile.TemporaryDirectory() as folder:
                whole = Path(folder) / f"output{path.suffix}"
                yield whole
                with open(whole, "rb") as source, _special(path) as file:
                    shutil.copyfileobj(source, file)
            return
        place = Path(os.path.realpath(path))
        # short, as the file's own name may be as long as names may be
        temporary = place.with_name(f".{secrets.token_hex(8)}{place.suffix[:16]}")
        try:
            yield temporary
            with open(temporary, "rb") as file:
                if place.is_file():
                    os.fchmod(file.fileno(), stat.S_IMODE(place.stat().st_mode))
                os.fsync(file.fileno())
            os.replace(temporary, place)
        finally:
            with suppress(OSError):
                os.unlink(temporary)


@contextmanager
def written_folder(path: str | Path) -> Iterator[Path]:
    """A folder to fill, which is in its place when the block ends, and not at all if the block raises.

    Half of it would stand in the way of the next attempt.

    Args:
        path: of the folder; nothing may be there. Folders above it are made.

    Raises:
        OutputError: it cannot be written.
    """
    path = Path(path)
    with _reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent) as made:
            whole = Path(made) / "whole"
            whole.mkdir()
            yield whole
            whole.rename(path)


def write_json(path: str | Path | None, values: Any) -> None:
    """Write numbers, arrays and text as JSON, if a file is given; values that are not finite become null.

    Raises:
        OutputError: the file cannot be written.
    """
    if path is not None:
        write_file(path, json.dumps(plain(values), indent=2) + "\n")


@contextmanager
def in_print() -> Iterator[None]:
    """Black on white, whatever a user's matplotlib is configured to: around what draws a figure, or as its decorator.

    Colours of lines and labels are fixed when an axis is made, so :func:`save_figure` alone would come too late.
    """
    from matplotlib import style

    with style.context("default"):
        yield


def save_figure(figure: Figure, path: str | Path, dpi: float = 120, **options: Any) -> None:
    """Write a picture; the format is the suffix's, PNG into a device.

    It is opaque and white: readable in print and on a dark page. What draws it is decorated by :func:`in_print`.

    Raises:
        OutputError: the file cannot be written.
        TaskError: the suffix is none of :data:`FIGURES`.
    """
    path, buffer = Path(path), io.BytesIO()
    suffix = path.suffix.lower() or (".png" if _is_special(path) else "")
    if suffix not in FIGURES:
        raise TaskError(f"{path}: unknown suffix '{path.suffix}'; give one of {', '.join(FIGURES)}")
    with in_print():  # ticks are made when they are drawn
        figure.savefig(buffer, format=suffix[1:], dpi=dpi, facecolor="white", transparent=False, **options)
    write_file(path, buffer.getvalue())


def plain(value: Any) -> Any:
    """A value as JSON has it: arrays as lists, what is not finite as None, paths and all else as text."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if hasattr(value, "tolist"):  # of NumPy; an import would cost a command that writes text a tenth of a second
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _is_stream(path: Path) -> bool:
    return _STREAM.fullmatch(str(path)) is not None


def _is_special(path: Path) -> bool:
    """Whether to write to the file in place instead of replacing it."""
    if _is_stream(path):
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(21, "Is a directory", str(path))
    return not stat.S_ISREG(mode)


@contextmanager
def _special(path: Path) -> Iterator[io.BufferedIOBase]:
    found = _STREAM.fullmatch(str(path))
    if found is None:
        with open(os.open(path, os.O_WRONLY | os.O_CLOEXEC), "wb") as file:
            yield file
        return
    number = 1 if found[1] else 2 if found[2] else int(found[3] or found[4])
    with open(os.dup(number), "wb") as file:  # opened by its name, a redirected file would be truncated
        yield file


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _is_stream(path):
            raise  # as with all that is printed, e.g. into `head`
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}); choose another folder") from None
